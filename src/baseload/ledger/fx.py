"""Dated rates of exchange: what one currency was worth in the base currency, from an instant on. They only grow.

In:     a currency, a decimal rate, an instant. Out: the rate in force at an instant; exact ratios between currencies.
A charge in another currency than its price's is made by the rate in force when the call arrived, and keeps it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.money.amount import check_currency, parse_decimal
from baseload.store import tables

BASE = "USD"


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` units of `base` for one of `currency`, from `from_ns` on."""

    id: int
    currency: str
    base: str
    rate: str
    from_ns: int
    source: str


def keep(connection: Connection, currency: str, rate: str, from_ns: int, *, source: str, base: str = BASE) -> bool:
    """A rate from an instant on. Call within `store.writing`. False: it is in force already. Raises Refusal."""
    check_currency(currency)
    digits, _ = parse_decimal(rate)
    if not digits or currency == base:
        raise Refusal(
            f"{rate!r} is no rate of {currency} in {base}.", 'As in "0.139".', code="rate_wrong", param="rate"
        )
    found = latest(connection, from_ns).get(currency)
    if found is not None and found.rate == rate:
        return False
    table = tables.fx_rates
    taken = select(table.c.id).where(table.c.currency == currency, table.c.base == base, table.c.from_ns == from_ns)
    if connection.execute(taken).scalar() is not None:
        raise Refusal(
            f"{currency} has another rate from that instant on.", "Rates are not changed: give a later instant.",
            code="rate_exists", status=409,
        )  # fmt: skip
    connection.execute(table.insert().values(currency=currency, base=base, rate=rate, from_ns=from_ns, source=source))
    return True


def rates(connection: Connection) -> list[Rate]:
    """All rates, oldest first."""
    table = tables.fx_rates
    return [_rate(row) for row in connection.execute(select(table).order_by(table.c.from_ns, table.c.id))]


def latest(connection: Connection, at_ns: int) -> dict[str, Rate]:
    """The rates in force at an instant, by currency."""
    return {rate.currency: rate for rate in rates(connection) if rate.from_ns <= at_ns}


def list_rates(engine: Engine) -> list[Rate]:
    with store.reading(engine) as connection:
        return rates(connection)


def _rate(row: Any) -> Rate:
    return Rate(id=row.id, currency=row.currency, base=row.base, rate=row.rate, from_ns=row.from_ns, source=row.source)
