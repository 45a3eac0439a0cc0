"""Price rows for offers and tariffs: from the configuration, from files of one's own, from the catalogue.

In:    `PriceConf`, tables and files in the shape of docs/prices.md, vendors of the catalogue.
Out:   `PriceRow`s without ids.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from baseload.control.config import PriceConf
from baseload.errors import Refusal
from baseload.money.book import BadPriceFile, load_book, read_book
from baseload.money.price import PriceRow
from baseload.providers import catalogue

_PLACE = re.compile(r"^<prices>(?::\d+)?:(?: row \"[^\"]*\" \([^)]*\),?)?(?: price \d+,?)?(?: field \S+:)? ?")


def offer_rows(provider: str, model: str, price: PriceConf) -> list[PriceRow]:
    """The row of a price written at an offer: what `provider` charges for its `model`."""
    return _read({"vendor": {"name": provider}, "price": [_row(model, price)]})


def tariff_rows(tariff: str, model: str, price: PriceConf) -> list[PriceRow]:
    """The row of a tariff's own price for a model as clients ask for it."""
    return _read({"tariff": {"name": tariff}, "price": [_row(model, price)]})


def load_file(path: Path) -> list[PriceRow]:
    """A price file of one's own; its messages carry file and line already."""
    return load_book(path, catalogue.calendars())


def load_row(row: dict[str, Any]) -> list[PriceRow]:
    """One `[[prices]]` table: a row of a price file that also names its vendor."""
    vendor = row.get("vendor")
    if not isinstance(vendor, str) or not vendor:
        raise Refusal("`vendor` is missing: whose price is it?", 'Add: vendor = "deepseek"', code="price_wrong")
    return _read({"vendor": {"name": vendor}, "price": [{key: value for key, value in row.items() if key != "vendor"}]})


def catalogue_rows(dialect: str, model: str, scope: str, local: list[PriceRow]) -> list[PriceRow]:
    """Rows in force now or later for a vendor's model in a scope; rows of one's own contract replace the shipped list.

    A surcharge is an addition to another row, not a price; rows that ask for the account's consent are never taken by
    themselves. An empty list means: no price, the gateway refuses the call and says so.
    """
    own = [row for row in local if row.vendor == dialect]
    for rows in (own, list(catalogue.price_rows(dialect)) if dialect in catalogue.price_names() else []):
        if found := _current(rows, model, scope or "global"):
            return found
    return []


def _current(rows: list[PriceRow], model: str, scope: str) -> list[PriceRow]:
    now = time.time_ns()
    return sorted(
        (
            row
            for row in rows
            if row.scope == scope
            and model in row.names()
            and row.kind != "surcharge"
            and not row.consent
            and (row.to_ns == 0 or row.to_ns > now)
        ),
        key=lambda row: row.from_ns,
    )


def priced_models(dialect: str, scope: str) -> list[str]:
    """Names of the vendor's models that have a price in force in this scope."""
    if dialect not in catalogue.price_names():
        return []
    now = time.time_ns()
    names = {
        name
        for row in catalogue.price_rows(dialect)
        if row.scope == scope and row.kind != "surcharge" and not row.consent and row.in_force(now)
        for name in row.names()
    }
    return sorted(names)


def _row(model: str, price: PriceConf) -> dict[str, Any]:
    row: dict[str, Any] = {"model": model, "currency": price.currency, "rate": price.rate}
    if price.from_ is not None:
        row["from"] = price.from_
    if price.to is not None:
        row["to"] = price.to
    if price.rule:
        row["rule"] = price.rule
    if price.note:
        row["note"] = price.note
    return row


def _read(data: dict[str, Any]) -> list[PriceRow]:
    try:
        return read_book(data, catalogue.calendars())
    except BadPriceFile as wrong:
        raise Refusal(_PLACE.sub("", wrong.say), wrong.fix, code="price_wrong", param=wrong.field or None) from wrong
