"""Putting right what could not be right at once: prices that came late, credits and corrections made by hand.

In:     ids of unpriced readings and price rows; an account and an amount.
Out:    new transactions. The readings and what was posted before stay as they are; saying a thing twice posts it once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import astuple, replace
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.gateway.journal.entries import Reading
from baseload.ledger.book import LedgerAccounts, insert_rows, last_id, post, reading_keys, write_transactions
from baseload.ledger.charging import Months, RuleBook, charge
from baseload.ledger.prices import Prices, load_prices
from baseload.ledger.purses import PurseBook, spend
from baseload.ledger.rating import SETTLED, UNPRICED, Rating, rate_reading
from baseload.ledger.rollups import Usage, write_usage
from baseload.ledger.rows import reading_of
from baseload.ledger.settled import account_id
from baseload.money.price import PriceRow
from baseload.store import tables
from baseload.wire.usage import price_meters


class StillOpen(msgspec.Struct):
    """A reading that could not be priced now either, and why."""

    reading: int
    call: str
    attempt: int
    say: str


class Resettled(msgspec.Struct, kw_only=True):
    """`settled`: ids of the readings posted now."""

    settled: list[int]
    open: list[StillOpen]


def resettle(
    engine: Engine,
    readings: Sequence[int] | None = None,
    *,
    cost_price: int = 0,
    charge_price: int = 0,
    actor: str = "",
    clock: Callable[[], int] = time.time_ns,
    limit: int = 10_000,
) -> Resettled:
    """Posts readings in state "unpriced", all (at most `limit`) or those given by id, in one transaction.

    cost_price, charge_price: ids of rows to rate by instead of the reading's own (0: its own, which may be in the
    database by now). Each is taken for readings it can be a price of only (`_Given`); the others keep their own. The
    deciding instant stays the call's arrival. Readings settled already are passed over.
    """
    table, late = tables.readings, tables.resettlements
    query = select(table).where(table.c.state == UNPRICED)
    query = query.where(~select(late.c.reading_id).where(late.c.reading_id == table.c.id).exists())
    if readings is not None:
        query = query.where(table.c.id.in_(list(readings)))
    done = Resettled(settled=[], open=[])
    with store.writing(engine) as connection:
        prices, usage = Prices(), Usage()
        prices.refresh(connection)
        rows = [(row.id, reading_of(row)) for row in connection.execute(query.order_by(table.c.id).limit(limit))]
        given = _Given(connection, (entry for _, entry in rows), cost_price, charge_price)
        found = [(number, given.priced_by(entry)) for number, entry in rows]
        prices.load(connection, prices.missing(entry for _, entry in found))
        rules, months, book = RuleBook(connection), Months(connection), PurseBook(connection)
        for number, entry in found:
            used = price_meters(entry.meters)
            basis = prices.basis(entry)._replace(minimum_nano=rules.at(entry.tariff, entry.accepted_ns)[1].minimum_nano)
            rating, how = charge(entry, rate_reading(entry, basis, used), rules, months)
            if rating.state == SETTLED:
                if how is not None:
                    insert_rows(connection, tables.charges, [(number, *astuple(how))])
                _spend_late(connection, book, entry, rating)
                _post_late(connection, number, entry, rating, prices.provider_of.get(entry.offer, 0), actor, clock())
                usage.settle_late(entry, used, rating)
                done.settled.append(number)
            else:
                done.open.append(StillOpen(number, entry.call, entry.attempt, rating.detail))
        write_usage(connection, usage)
        months.write()
    return done


def _spend_late(connection: Connection, book: PurseBook, entry: Reading, rating: Rating) -> None:
    """What was set aside for a reading without a price is free again, and its charge is spent."""
    spent: dict[tuple[int, int], int] = {}
    pending: dict[tuple[int, int], int] = {}
    for purse in book.counting(entry.account, entry.key, entry.accepted_ns):
        place = (purse.id, purse.window(entry.accepted_ns)[0])
        if rating.charge_currency == purse.currency:
            spent[place] = rating.charge_nano or 0
        if entry.leases and entry.charge_max > 0:
            pending[place] = -entry.charge_max
    spend(connection, spent, pending)


class _Given:
    """Price rows that a person names for readings without a price. One of another model would be plausible, and wrong.

    A cost row is taken where it has the model of the reading's own row and stands in the same book, or is a price of
    the reading's offer by now; a charge row where it is of the reading's tariff and has the model that was asked for.
    """

    def __init__(self, connection: Connection, entries: Iterable[Reading], cost: int, charge: int) -> None:
        rows = load_prices(connection, [cost, charge, *(entry.cost_price for entry in entries)])
        for number in (cost, charge):
            if number and number not in rows:
                raise Refusal(
                    f"There is no price row {number}.", "baseload prices show", code="price_not_found", status=404
                )
        self._rows, self._cost, self._charge = rows, rows.get(cost), rows.get(charge)
        offers, tariffs = tables.offers.c, tables.tariffs.c
        query = select(offers.id, offers.upstream_model, offers.prices)
        self._offers = {row.id: row for row in connection.execute(query)}
        self._tariffs = {row.id: f"tariff:{row.name}" for row in connection.execute(select(tariffs.id, tariffs.name))}

    def priced_by(self, entry: Reading) -> Reading:
        cost, charge = self._cost, self._charge
        if cost is not None and self._may_cost(cost, entry):
            entry = replace(entry, cost_price=cost.id)
        if charge is not None and self._tariffs.get(entry.tariff) == charge.book and entry.model in charge.names():
            entry = replace(entry, charge_price=charge.id)
        return entry

    def _may_cost(self, row: PriceRow, entry: Reading) -> bool:
        own, offer = self._rows.get(entry.cost_price), self._offers.get(entry.offer)
        if offer is not None and row.id in offer.prices:
            return True
        if own is not None:
            return own.book == row.book and bool(set(own.names()).intersection(row.names()))
        return offer is not None and offer.upstream_model in row.names()


def _post_late(
    connection: Connection, number: int, entry: Reading, rating: Rating, provider: int, actor: str, now_ns: int
) -> None:
    keys = reading_keys(provider, entry.account, str(rating.cost_currency), str(rating.charge_currency))
    ids = LedgerAccounts().ids(connection, set(keys))
    cost, payable, receivable, revenue = (ids[key] for key in keys)
    transaction = last_id(connection, tables.transactions) + 1
    postings = [
        (transaction, 1, cost, payable, str(rating.cost_currency), rating.cost_nano or 0),
        (transaction, 2, receivable, revenue, str(rating.charge_currency), rating.charge_nano or 0),
    ]
    memo = f"priced later by {actor}" if actor else "priced later"
    write_transactions(connection, [(transaction, "reading", entry.accepted_ns, number, None, memo)], postings)
    late = (number, transaction, now_ns, actor, entry.cost_price, entry.charge_price, *rating[2:])
    insert_rows(connection, tables.resettlements, [late])


def adjust(
    engine: Engine, account: int | str, nano: int, currency: str, *, key: str, memo: str, at_ns: int
) -> tuple[int, bool]:
    """Moves what an account owes by `nano` (negative: a credit). Returns (transaction id, made).

    `key` names the adjustment: the same key with the same content posts nothing again (made = False), with other
    content it is refused (`exists_with_other_amount`).
    """
    with store.writing(engine) as connection:
        number = account_id(connection, account)
        receivable, against = ("receivable", number, currency), ("adjustment", number, currency)
        move = (receivable, against, nano) if nano >= 0 else (against, receivable, -nano)
        return post(connection, key=key, at_ns=at_ns, memo=memo, moves=[move])
