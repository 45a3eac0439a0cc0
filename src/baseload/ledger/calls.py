"""One call from the inside: every attempt, what it used, how it was priced, where it was posted.

In:     a call id. Out: a dict that JSON can hold; amounts as nano-units and as text.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.dispatch.seen import decode, order
from baseload.errors import Defect, Refusal
from baseload.gateway.journal.charged import delivered
from baseload.gateway.journal.entries import Reading
from baseload.ledger.prices import load_prices
from baseload.ledger.rating import SETTLED
from baseload.ledger.settled import READINGS, account_id, entry_of, rating_of, readings_query
from baseload.ledger.texts import decimal, instant, money
from baseload.money.price import PriceRow
from baseload.money.rate import Unpriced, rate
from baseload.store import tables
from baseload.wire.usage import price_meters

PAGE_MAX = 1000
SOUND = ("ok", "client_left", "stopped")  # outcomes of attempts at which no provider failed


def call(engine: Engine, call_id: str) -> dict[str, Any]:
    """All that is known of a call. `state`: settled | open (an attempt awaits price or meter) | running | refused.

    Raises Refusal `call_not_found`: never seen, or not settled yet.
    """
    with store.reading(engine) as connection:
        rows = connection.execute(
            readings_query(READINGS.c.call == call_id).order_by(READINGS.c.attempt)
        ).all()  # fmt: skip
        holds = connection.execute(select(tables.open_holds).where(tables.open_holds.c.call == call_id)).all()
        refused = connection.execute(select(tables.refusals).where(tables.refusals.c.call == call_id)).all()
        if not rows and not holds and not refused:
            raise Refusal(
                f"Call {call_id!r} is not in the ledger.",
                "Check the id (header x-baseload-call-id); a call appears when it is settled, usually within a second.",
                code="call_not_found",
                status=404,
            )
        attempts = [_attempt(connection, row) for row in rows]
        any_row = (rows or holds or refused)[0]
        if holds:
            state = "running"
        elif rows:
            state = "settled" if all(one["state"] in (SETTLED, "no_usage") for one in attempts) else "open"
        else:
            state = "refused"
        return {
            "call": call_id,
            "state": state,
            "account": any_row.account,
            "account_name": _name(connection, tables.accounts, any_row.account),
            "key": any_row.key,
            "model": any_row.model,
            "attempts": attempts,
            "holds": [_hold(connection, row) for row in holds],
            "refusals": [_refusal(row) for row in refused],
        }


def _attempt(connection: Connection, row: Any) -> dict[str, Any]:
    entry, rating = entry_of(row), rating_of(row)
    prices = load_prices(connection, [entry.cost_price, entry.charge_price])
    shown: dict[str, Any] = msgspec.structs.asdict(entry)
    shown["raw_usage"] = entry.raw_usage.decode("utf-8", "replace")
    shown["hold"] = money(entry.hold_nano, entry.currency)
    shown |= _dispatch(connection, entry, prices.get(entry.cost_price))
    for name in ("accepted", "sent", "first", "end"):
        at_ns = shown[f"{name}_ns"]
        shown[name] = instant(at_ns) if at_ns else ""
    shown |= {
        "reading": row.id,
        "gateway": row.gateway,
        "segment": row.segment,
        "offset": row.byte_offset,
        "offer_name": _name(connection, tables.offers, entry.offer),
        "state": rating.state,
        "detail": rating.detail,
        "settled": instant(row.settled_ns),
        "priced_later": row.late is not None,
        "deciding_instant": "arrival",
        "margin_ppm": rating.margin_ppm,
        "postings": _postings(connection, row.transaction_id) if row.transaction_id is not None else [],
    }
    if rating.state == SETTLED:
        shown["cost"] = money(rating.cost_nano or 0, str(rating.cost_currency))
        shown["charge"] = money(rating.charge_nano or 0, str(rating.charge_currency))
        shown["cost_lines"] = _lines(entry, prices.get(entry.cost_price), whole=True)
        own = prices.get(entry.charge_price)
        shown["charge_lines"] = _lines(entry, own or prices.get(entry.cost_price), whole=False)
        shown["charge_by"] = "price" if own is not None else "cost plus margin"
    return shown


def _dispatch(connection: Connection, entry: Reading, cost_row: PriceRow | None) -> dict[str, Any]:
    """What the decision expected, and the merit order it saw."""
    names = dict(zip(("input_tokens", "cached_tokens", "output_tokens"), entry.expected, strict=False))
    found: dict[str, Any] = {"expected": names, "expected_cost": None, "seen": None}
    if entry.expected_nano >= 0 and cost_row is not None:
        found["expected_cost"] = money(entry.expected_nano, cost_row.currency)
    view = decode(entry.seen)
    if view is None:
        return found
    offers: dict[int, str] = {}
    lines = []
    for line in order(view):
        if line.offer not in offers:
            offers[line.offer] = _name(connection, tables.offers, line.offer)
        lines.append({
            "offer": line.offer, "offer_name": offers[line.offer], "credential": line.credential,
            "rank": line.rank, "why_not": line.why_not,
            "expected": money(line.expected, view.currency) if line.expected >= 0 else None,
        })  # fmt: skip
    found["seen"] = {"objective": view.objective, "after": view.why, "order": lines}
    return found


def _lines(entry: Reading, row: PriceRow | None, *, whole: bool) -> list[dict[str, Any]]:
    """How a price row rates the reading, meter by meter; amounts exact, before the one rounding."""
    if row is None:
        return []
    used = price_meters(entry.meters)
    meters = used if whole else delivered(entry, used)
    try:
        rated = rate(row, meters, entry.select, entry.accepted_ns)
    except (Unpriced, Defect):  # an explanation never hides the record it explains
        return []
    return [
        {"meter": line.meter, "units": line.units, "rate": line.rate, "nano": str(line.nano), "currency": row.currency,
         "price": row.id, "book": row.book}
        for line in rated.lines
    ]  # fmt: skip


def _postings(connection: Connection, transaction: int) -> list[dict[str, Any]]:
    posting = tables.postings.c
    debit, credit = tables.ledger_accounts.alias("debit"), tables.ledger_accounts.alias("credit")
    query = (
        select(posting.transaction_id, posting.currency, posting.amount_nano, debit.c.code, credit.c.code)
        .select_from(tables.postings)
        .join(debit, debit.c.id == posting.debit_id)
        .join(credit, credit.c.id == posting.credit_id)
        .where(posting.transaction_id == transaction)
        .order_by(posting.line)
    )
    return [
        {"transaction": number, "debit": debit_code, "credit": credit_code, **money(nano, currency)}
        for number, currency, nano, debit_code, credit_code in connection.execute(query)
    ]


def _hold(connection: Connection, row: Any) -> dict[str, Any]:
    return {
        "attempt": row.attempt, "gateway": row.gateway, "offer": row.offer,
        "offer_name": _name(connection, tables.offers, row.offer), "hold": money(row.hold_nano, row.currency),
        "accepted": instant(row.accepted_ns), "expires": instant(row.expires_ns),
    }  # fmt: skip


def _refusal(row: Any) -> dict[str, Any]:
    return {
        "code": row.code, "status": row.status, "endpoint": row.endpoint, "model": row.model, "gateway": row.gateway,
        "accepted": instant(row.accepted_ns), "end": instant(row.end_ns),
    }  # fmt: skip


def _name(connection: Connection, table: Any, number: int) -> str:
    return connection.execute(select(table.c.name).where(table.c.id == number)).scalar() or ""


def recent(
    engine: Engine, *, account: int | str | None = None, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Readings settled last, newest first, one page. `before`: the `reading` of the last row of the page before."""
    table = READINGS.c
    conditions = [] if before is None else [table.id < before]
    with store.reading(engine) as connection:
        if account is not None:
            conditions.append(table.account == account_id(connection, account))
        # the ids first: of an account with many readings the index is sorted then, not its rows
        newest = select(table.id).where(*conditions).order_by(table.id.desc()).limit(min(limit, PAGE_MAX))
        page = readings_query(table.id.in_(list(connection.execute(newest).scalars())))
        return [_short(row) for row in connection.execute(page.order_by(table.id.desc()))]


def _short(row: Any) -> dict[str, Any]:
    rating = rating_of(row)
    return {
        "reading": row.id, "call": row.call, "attempt": row.attempt, "account": row.account, "key": row.key,
        "offer": row.offer, "model": row.model, "endpoint": row.endpoint, "outcome": row.outcome, "status": row.status,
        "meters": msgspec.json.decode(row.meters), "input_provenance": row.input_provenance,
        "output_provenance": row.output_provenance, "accepted": instant(row.accepted_ns), "state": rating.state,
        "cost": decimal(rating.cost_nano) if rating.cost_nano is not None else "",
        "cost_currency": rating.cost_currency or "",
        "charge": decimal(rating.charge_nano) if rating.charge_nano is not None else "",
        "charge_currency": rating.charge_currency or "",
    }  # fmt: skip
