"""Offers: one upstream model at one provider."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from baseload import store
from baseload.control import audit, books
from baseload.control.apply import insert_row, store_rows
from baseload.control.config import PriceConf
from baseload.control.context import Context
from baseload.control.desired import endpoints_of
from baseload.control.endpoints import half_priced
from baseload.control.rules import MODEL
from baseload.errors import Refusal
from baseload.ledger.prices import load_prices
from baseload.money.price import PriceRow
from baseload.store import tables as t


def list_offers(context: Context, model: str | None = None) -> list[dict[str, Any]]:
    """Offers with the rates in force now; `price` is {} where there is none, and such a call is refused."""
    with store.reading(context.engine) as connection:
        return [row for row in _rows(connection) if not model or row["model"] == model]


def add(
    context: Context,
    actor: str,
    *,
    model: str,
    provider: str,
    name: str = "",
    upstream_model: str = "",
    endpoints: list[str] | None = None,
    price: dict[str, Any] | str = "catalogue",
    context_max: int = 0,
) -> dict[str, Any]:
    """A new offer beside those of the file."""
    with store.writing(context.engine) as connection:
        found = insert_offer(
            connection, model=model, provider=provider, name=name, upstream_model=upstream_model,
            endpoints=endpoints or [], price=price, context_max=context_max,
        )  # fmt: skip
        audit.record(connection, actor, "offer.create", found)
        row = next(row for row in _rows(connection) if row["name"] == found)
    context.changed()
    return row


def insert_offer(
    connection: Connection,
    *,
    model: str,
    provider: str,
    name: str,
    upstream_model: str,
    endpoints: list[str],
    price: dict[str, Any] | str,
    context_max: int,
) -> str:
    """Checks and inserts, or prices an offer that command made without a price; returns the offer's name.

    Without `endpoints` the vendor's default is taken.
    """
    if not MODEL.match(model):
        raise Refusal(
            "A model's name is 1 to 200 visible ASCII characters.", 'As in "llama".', code="name_wrong", param="model"
        )
    row = connection.execute(select(t.providers).where(t.providers.c.name == provider)).first()
    if row is None:
        raise Refusal(
            f"There is no provider {provider!r}.",
            f"baseload providers list, or baseload providers add {provider}",
            code="provider_not_found",
            status=404,
        )
    name = name or f"{model}@{provider}"
    there = connection.execute(select(t.offers).where(t.offers.c.name == name)).first()
    if there is not None and (there.declared or there.prices or isinstance(price, str) or there.provider_id != row.id):
        raise Refusal(
            f"There is an offer {name!r} already.",
            "Change it in baseload.toml: an [[offers]] of the same model and provider takes its place.",
            code="offer_exists",
            status=409,
        )
    upstream = upstream_model or (there.upstream_model if there else model)
    if isinstance(price, str):
        rows = books.catalogue_rows(row.dialect, upstream, row.extra.get("scope", ""), [])
    else:
        rows = books.offer_rows(provider, upstream, own_price(price))
    if not endpoints and there is not None:
        endpoints = list(there.endpoints)
    endpoints = endpoints_of(row.dialect, endpoints, rows)
    if half := half_priced(endpoints, rows):
        raise Refusal(
            f"The price has no rate for {half}, and calls through {', '.join(endpoints)} use it.",
            f"Give it one (0 where it is free), by command --price-{half}; or name doors that need none: --endpoints.",
            code="price_incomplete",
            status=422,
            param="price",
        )
    values = {
        "name": name,
        "model": model,
        "provider_id": row.id,
        "upstream_model": upstream,
        "endpoints": endpoints,
        "prices": store_rows(connection, rows),
        "extra": {
            "context_max": context_max,
            "output_max": 0,
            "bytes_per_token": 4.0,
            "price": "catalogue" if isinstance(price, str) else "own",
        },
    }
    if there is None:
        insert_row(connection, t.offers, values)
    else:
        # made by command, without a price: `providers add --models` knows none for a server of one's own
        endpoints = list(dict.fromkeys([*there.endpoints, *endpoints]))
        extra = {**there.extra, "price": "own", "context_max": context_max or there.extra.get("context_max", 0)}
        priced = {"prices": values["prices"], "upstream_model": upstream, "endpoints": endpoints, "extra": extra}
        connection.execute(update(t.offers).where(t.offers.c.id == there.id).values(priced))
    return name


def own_price(price: dict[str, Any]) -> PriceConf:
    """A price from a request, in the shape of the configuration file."""
    try:
        return msgspec.convert(price, PriceConf)
    except msgspec.ValidationError as error:
        raise Refusal(
            f"The price is wrong: {error}.",
            '{"currency": "USD", "rate": {"input": "0.15", "output": "0.60"}}',
            code="price_wrong",
            param="price",
        ) from error


def in_force(rows: list[PriceRow], at_ns: int) -> PriceRow | None:
    """The row that prices a call at this instant."""
    return next((row for row in rows if row.in_force(at_ns)), None)


def _rows(connection: Connection) -> list[dict[str, Any]]:
    query = (
        select(t.offers, t.providers.c.name.label("provider"), t.providers.c.kind.label("provider_kind"),
               t.providers.c.disabled.label("provider_disabled"))
        .join(t.providers, t.providers.c.id == t.offers.c.provider_id)
        .order_by(t.offers.c.id)
    )  # fmt: skip
    rows = connection.execute(query).all()
    prices = load_prices(connection, [number for row in rows for number in row.prices])
    now = time.time_ns()
    return [_row(row, in_force([prices[number] for number in row.prices if number in prices], now)) for row in rows]


def _row(row: Any, price: PriceRow | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "model": row.model,
        "provider": row.provider,
        "provider_kind": row.provider_kind,
        "upstream_model": row.upstream_model,
        "endpoints": row.endpoints,
        "price": {"currency": price.currency, **price.rate} if price else {},
        "price_from": row.extra.get("price", ""),
        "context_max": row.extra.get("context_max", 0),
        "declared": row.declared,
        "disabled": row.disabled or row.provider_disabled,
    }
