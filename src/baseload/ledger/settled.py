"""Settled readings as queries see them: what was rated at settlement, or later where no price was known then.

In:     conditions. Out: a SELECT whose `paid_*` columns are the amounts in force, and rows turned back into entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Select, func, select

from baseload.gateway.journal.entries import Reading
from baseload.ledger.rating import SETTLED, Basis, Rating
from baseload.ledger.rows import reading_of
from baseload.money.price import PriceRow
from baseload.store import tables

READINGS, LATE = tables.readings, tables.resettlements
_LATE = ("cost_price", "charge_price", "cost_nano", "cost_currency", "charge_nano", "charge_currency", "margin_ppm")


def readings_query(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Readings with their late rating (`late_*`, NULL where there is none) and the transaction that posts them."""
    late = [LATE.c[name].label(f"late_{name}") for name in _LATE]
    transaction = tables.transactions.c
    query = select(READINGS, transaction.id.label("transaction_id"), LATE.c.reading_id.label("late"), *late)
    joined = READINGS.outerjoin(LATE, LATE.c.reading_id == READINGS.c.id).outerjoin(
        tables.transactions, transaction.reading_id == READINGS.c.id
    )
    return query.select_from(joined).where(*conditions)


def rating_of(row: Any) -> Rating:
    """The rating in force of a row of `readings_query`."""
    if row.late is not None:
        return Rating(SETTLED, "", row.late_cost_nano, row.late_cost_currency, row.late_charge_nano,
                      row.late_charge_currency, row.late_margin_ppm)  # fmt: skip
    return Rating(row.state, row.detail, row.cost_nano, row.cost_currency, row.charge_nano, row.charge_currency,
                  row.margin_ppm)  # fmt: skip


def entry_of(row: Any) -> Reading:
    """The reading as it would be rated now: with the price rows of the late rating where there is one."""
    reading = reading_of(row)
    if row.late is not None:
        return _with_prices(reading, row.late_cost_price, row.late_charge_price)
    return reading


def _with_prices(reading: Reading, cost_price: int, charge_price: int) -> Reading:
    from msgspec.structs import replace

    return replace(reading, cost_price=cost_price, charge_price=charge_price)


def basis_of(entry: Reading, rating: Rating, prices: dict[int, PriceRow]) -> Basis:
    """What the amounts of a rating were computed from; the margin is the one that was applied."""
    return Basis(prices.get(entry.cost_price), prices.get(entry.charge_price), rating.margin_ppm)


def stream(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    """Rows, a thousand at a time: memory does not grow with the book.

    An option of the query, not of the connection: what is written after it must not go through a server's cursor.
    """
    yield from connection.execute(query.execution_options(yield_per=1000))


def account_id(connection: Connection, account: int | str) -> int:
    """The id of an account given by id or name. Raises Refusal `account_not_found`."""
    from baseload.errors import Refusal

    table = tables.accounts.c
    which = table.id == account if isinstance(account, int) else table.name == account
    found = connection.execute(select(table.id).where(which)).scalar()
    if found is None:
        raise Refusal(
            f"There is no account {account!r}.", "See: baseload accounts list", code="account_not_found", status=404
        )
    return int(found)


def names(connection: Connection, table: Any) -> dict[int, str]:
    """id -> name of accounts, offers, providers or keys."""
    return {row.id: row.name for row in connection.execute(select(table.c.id, table.c.name))}


def count(connection: Connection, query: Select[Any]) -> int:
    """Rows of a query."""
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def adjustments_of(*conditions: ColumnElement[bool]) -> CTE:
    """id, instant and words of transactions that are no reading's, found before their postings are looked at.

    A planner that begins with the postings reads the whole book for a handful of them.
    """
    transaction = tables.transactions.c
    query = select(transaction.id, transaction.at_ns, transaction.memo).where(transaction.key.is_not(None), *conditions)
    return query.cte("made").prefix_with("MATERIALIZED")
