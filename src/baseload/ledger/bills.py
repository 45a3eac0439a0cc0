"""What an account owes for a time, to the nano-unit, from the postings; and the proof from readings and price rows.

In:     an account, a half-open time [start, end) of the calls' arrival.
Out:    a `Bill`; its totals are the sums of the postings on the account's receivables, whatever the readings say.
        `recompute` rates every reading again and lists what differs (nothing, in an honest book).
A bill names the last transaction it includes. Asked again with `upto` it is the same bill, whatever came since.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, case, func, select

from baseload import store
from baseload.ledger.charging import Applied, RuleBook
from baseload.ledger.prices import load_prices
from baseload.ledger.rating import SETTLED, UNMETERED, UNPRICED, Rating, rate_reading
from baseload.ledger.rows import decode_meters
from baseload.ledger.settled import (
    READINGS,
    account_id,
    adjustments_of,
    basis_of,
    entry_of,
    names,
    rating_of,
    readings_query,
    stream,
)
from baseload.ledger.texts import decimal, instant
from baseload.money.price import PriceRow
from baseload.store import tables
from baseload.wire.usage import price_meters


class BillLine(msgspec.Struct, kw_only=True):
    """Calls of one model at one offer. Meters under the names of price rows; reasoning is inside output."""

    model: str
    offer: int
    offer_name: str
    calls: int  # first attempts
    attempts: int
    meters: dict[str, int]
    currency: str
    charge_nano: int
    charge: str
    cost_currency: str
    cost_nano: int  # what the provider bills us for them
    cost: str


class Adjustment(msgspec.Struct, kw_only=True):
    """A credit (negative: the account owes less) or a correction made by hand."""

    transaction: int
    at: str
    memo: str
    currency: str
    nano: int
    amount: str


class Total(msgspec.Struct, kw_only=True):
    """The sum of one currency."""

    currency: str
    nano: int
    amount: str


class Bill(msgspec.Struct, kw_only=True):
    """Totals = lines + adjustments. `unmetered` and `unpriced` readings of the time are in no line yet."""

    account: int
    account_name: str
    start_ns: int
    end_ns: int
    start: str
    end: str
    lines: list[BillLine]
    adjustments: list[Adjustment]
    totals: list[Total]
    unmetered: int
    unpriced: int
    last_transaction: int


class Difference(msgspec.Struct, kw_only=True):
    """A reading whose amounts are not what its price rows give."""

    reading: int
    call: str
    attempt: int
    say: str


def bill(engine: Engine, account: int | str, start_ns: int, end_ns: int, *, upto: int | None = None) -> Bill:
    """The bill of an account (id or name). `upto`: no transaction after this one (`Bill.last_transaction`)."""
    with store.reading(engine) as connection:
        number = account_id(connection, account)
        last = connection.execute(select(func.coalesce(func.max(tables.transactions.c.id), 0))).scalar_one()
        last = last if upto is None else min(last, upto)
        lines = _lines(connection, number, start_ns, end_ns, last)
        adjustments = _adjustments(connection, number, start_ns, end_ns, last)
        open_ = _open(connection, number, start_ns, end_ns, last)
        name = connection.execute(select(tables.accounts.c.name).where(tables.accounts.c.id == number)).scalar_one()
    totals: dict[str, int] = {}
    for currency, nano in [(line.currency, line.charge_nano) for line in lines] + [
        (adjustment.currency, adjustment.nano) for adjustment in adjustments
    ]:
        totals[currency] = totals.get(currency, 0) + nano
    return Bill(
        account=number,
        account_name=name,
        start_ns=start_ns,
        end_ns=end_ns,
        start=instant(start_ns),
        end=instant(end_ns),
        lines=lines,
        adjustments=adjustments,
        totals=[Total(currency=currency, nano=nano, amount=decimal(nano)) for currency, nano in sorted(totals.items())],
        unmetered=open_.get(UNMETERED, 0),
        unpriced=open_.get(UNPRICED, 0),
        last_transaction=last,
    )


def _when(account: int, start_ns: int, end_ns: int) -> list[ColumnElement[bool]]:
    table = READINGS.c
    return [table.account == account, table.accepted_ns >= start_ns, table.accepted_ns < end_ns]


def _lines(connection: Connection, account: int, start_ns: int, end_ns: int, last: int) -> list[BillLine]:
    """Reads the postings of the account's calls: line 1 is the cost, line 2 the charge."""
    cost, charge = tables.postings.alias("cost"), tables.postings.alias("charge")
    transaction = tables.transactions
    table = READINGS.c
    query = (
        select(table.model, table.offer, table.attempt, table.meters, cost.c.currency.label("cost_currency"),
               cost.c.amount_nano.label("cost_nano"), charge.c.currency, charge.c.amount_nano)
        .select_from(READINGS)
        .join(transaction, transaction.c.reading_id == table.id)
        .join(cost, (cost.c.transaction_id == transaction.c.id) & (cost.c.line == 1))
        .join(charge, (charge.c.transaction_id == transaction.c.id) & (charge.c.line == 2))
        .where(*_when(account, start_ns, end_ns), transaction.c.id <= last)
    )  # fmt: skip
    offers = names(connection, tables.offers)
    found: dict[tuple[str, int, str, str], BillLine] = {}
    for row in stream(connection, query):
        key = (row.model, row.offer, row.currency, row.cost_currency)
        line = found.get(key)
        if line is None:
            line = found[key] = BillLine(
                model=row.model, offer=row.offer, offer_name=offers.get(row.offer, ""), calls=0, attempts=0, meters={},
                currency=row.currency, charge_nano=0, charge="", cost_currency=row.cost_currency, cost_nano=0, cost="",
            )  # fmt: skip
        line.calls += row.attempt == 1
        line.attempts += 1
        line.charge_nano += row.amount_nano
        line.cost_nano += row.cost_nano
        meters = decode_meters(row.meters)
        counted = {**price_meters(meters), "reasoning": meters.get("reasoning", 0)}
        for meter, units in counted.items():
            if units:
                line.meters[meter] = line.meters.get(meter, 0) + units
    for line in found.values():
        line.charge, line.cost = decimal(line.charge_nano), decimal(line.cost_nano)
    return [line for _, line in sorted(found.items())]


def _adjustments(connection: Connection, account: int, start_ns: int, end_ns: int, last: int) -> list[Adjustment]:
    """Through `postings`, not the view `entries`: SQLite joins a view of two halves only by reading all of it."""
    transaction, posting = tables.transactions.c, tables.postings.c
    debit, credit = tables.ledger_accounts.alias("debit"), tables.ledger_accounts.alias("credit")
    owed = [(side.c.account_id == account) & side.c.code.like("receivable:%") for side in (debit, credit)]
    made = adjustments_of(transaction.at_ns >= start_ns, transaction.at_ns < end_ns, transaction.id <= last)
    query = (
        select(made.c.id, made.c.at_ns, made.c.memo, posting.currency,
               case((owed[0], posting.amount_nano), else_=-posting.amount_nano))
        .select_from(made)
        .join(tables.postings, posting.transaction_id == made.c.id)
        .join(debit, debit.c.id == posting.debit_id)
        .join(credit, credit.c.id == posting.credit_id)
        .where(owed[0] | owed[1])
        .order_by(made.c.id, posting.line)
    )  # fmt: skip
    return [
        Adjustment(transaction=number, at=instant(at_ns), memo=memo, currency=currency, nano=nano, amount=decimal(nano))
        for number, at_ns, memo, currency, nano in connection.execute(query)
    ]


def _open(connection: Connection, account: int, start_ns: int, end_ns: int, last: int) -> dict[str, int]:
    table, late = READINGS.c, tables.resettlements.c
    settled_later = select(late.reading_id).where(late.reading_id == table.id, late.transaction_id <= last).exists()
    query = (
        select(table.state, func.count().label("number"))
        .where(*_when(account, start_ns, end_ns), table.state.in_((UNMETERED, UNPRICED)), ~settled_later)
        .group_by(table.state)
    )
    return {row.state: row.number for row in connection.execute(query)}


def recompute(engine: Engine, account: int | str, start_ns: int, end_ns: int) -> list[Difference]:
    """Rates every settled reading of a bill again, by its stored meters, prices and margin. [] = the bill is right.

    Compares the amounts of the reading and of both its postings.
    """
    with store.reading(engine) as connection:
        number = account_id(connection, account)
        return list(differences(connection, *_when(number, start_ns, end_ns)))


def differences(connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[Difference]:
    """What `recompute` finds among the readings that meet the conditions."""
    cost, charge = tables.postings.alias("cost"), tables.postings.alias("charge")
    transaction = tables.transactions.c
    query = readings_query(*conditions).add_columns(
        cost.c.amount_nano.label("posted_cost"), cost.c.currency.label("posted_cost_currency"),
        charge.c.amount_nano.label("posted_charge"), charge.c.currency.label("posted_charge_currency"),
    )  # fmt: skip
    query = query.outerjoin(cost, (cost.c.transaction_id == transaction.id) & (cost.c.line == 1))
    query = query.outerjoin(charge, (charge.c.transaction_id == transaction.id) & (charge.c.line == 2))
    how = tables.charges.c
    query = query.add_columns(
        how.rule, how.list_nano, how.discount_ppm, how.allowance_nano, how.absorbed_nano
    ).outerjoin(tables.charges, how.reading_id == READINGS.c.id)
    table = tables.price_rows.c
    prices, rules = load_prices(connection, connection.execute(select(table.id)).scalars()), RuleBook(connection)
    for row in stream(connection, query.order_by(READINGS.c.id)):
        rating = rating_of(row)
        if rating.state != SETTLED:
            continue
        again = rated_again(row, rating, prices, rules)
        said = (rating.cost_nano, rating.cost_currency, rating.charge_nano, rating.charge_currency)
        posted = (row.posted_cost, row.posted_cost_currency, row.posted_charge, row.posted_charge_currency)
        if again[2:6] != said:
            why = f"recorded {pair(said)}, computed {pair(again[2:6])} {again.detail}".strip()
        elif posted != said:
            why = f"recorded {pair(said)}, posted {pair(posted)}"
        else:
            continue
        yield Difference(reading=row.id, call=row.call, attempt=row.attempt, say=why)


def rated_again(row: Any, rating: Rating, prices: dict[int, PriceRow], rules: RuleBook) -> Rating:
    """A settled reading rated from its meters, price rows and rules. `row`: of `readings_query`, with its `charges`."""
    entry = entry_of(row)
    basis = basis_of(entry, rating, prices)
    if row.rule:
        basis = basis._replace(minimum_nano=rules.by_id(row.rule).minimum_nano)
    again = rate_reading(entry, basis, price_meters(entry.meters))
    if row.list_nano is not None:
        applied = Applied(row.rule, row.list_nano, row.discount_ppm, row.allowance_nano, row.absorbed_nano)
        if again.charge_nano == applied.list_nano:
            again = again._replace(charge_nano=applied.charge_nano())
    return again


def pair(amounts: tuple[int | str | None, ...]) -> str:
    cost, cost_currency, charge, charge_currency = amounts
    return f"cost {cost} {cost_currency}, charge {charge} {charge_currency} (nano)"
