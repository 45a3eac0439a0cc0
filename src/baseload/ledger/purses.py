"""Purses: what limits an account's spending, and how much of each is left.

In:     accounts, keys, purses, the book. Out: which purses a call counts against; funds, spent, out, available.

Two kinds, both counted in the account's own currency:
- **funding**: the money of an account that pays in advance (its prepaid balance) or up to a credit line. It pays for
  the account's calls and for those below it that have no funding of their own. An account without any is postpaid.
- **budget**: so much a day, week, month, or in total, for an account with all below it, or for one key.

    available = funds - spent - pending - out at gateways

`spent` is what settled readings were charged, `pending` is held for readings that wait for a price, `out` is what
leases have granted and nobody has consumed or returned. A hard purse is only ever spent from through leases, and a
lease is granted only from what is available: so no purse goes below zero. A soft one only warns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, func, select

from baseload import store
from baseload.ledger.rating import SETTLED
from baseload.ledger.settled import account_id
from baseload.money.period import FOREVER_NS, window
from baseload.store import tables

VERSION = "purses_version"  # a setting that changes with every change of a purse


class Purse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of `purses`. `limit_nano`: of a budget; of a funding the credit line."""

    id: int
    kind: str
    account: int
    key: int  # 0 = of the account
    name: str
    currency: str
    hard: bool
    period: str
    zone: str
    limit_nano: int
    warn: tuple[int, ...]
    from_ns: int
    to_ns: int  # FOREVER_NS = in force

    def window(self, at_ns: int) -> tuple[int, int]:
        """(begin, end) of the window around an instant."""
        return window(self.period, self.zone, at_ns)

    def in_force(self, at_ns: int) -> bool:
        return self.from_ns <= at_ns < self.to_ns


GIVEN = ("credit", "debit", "code")  # payments without cash: ledger.payments


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A purse in one window, in nano-units of its currency."""

    purse: Purse
    window_ns: int
    window_end_ns: int
    funds_nano: int
    spent_nano: int
    pending_nano: int
    out_nano: int

    @property
    def available_nano(self) -> int:
        return self.funds_nano - self.spent_nano - self.pending_nano - self.out_nano


class PurseBook:
    """All purses, and the tree of accounts they hang in. Read once, asked for every reading."""

    def __init__(self, connection: Connection) -> None:
        table = tables.purses
        self.version = _version(connection)
        self.purses = {row.id: _purse(row) for row in connection.execute(select(table).order_by(table.c.id))}
        rows = connection.execute(select(tables.accounts.c.id, tables.accounts.c.parent_id))
        self.parent: dict[int, int] = {row.id: row.parent_id or 0 for row in rows}
        self._of_account: dict[int, list[Purse]] = {}
        for purse in self.purses.values():
            self._of_account.setdefault(purse.account, []).append(purse)
        self._known: dict[tuple[int, int], tuple[Purse, ...]] = {}

    def fresh(self, connection: Connection) -> bool:
        """Whether this is still what the database says."""
        return self.version == _version(connection)

    def lineage(self, account: int) -> list[int]:
        """The account and those above it, innermost first."""
        found: list[int] = []
        while account and account not in found:
            found.append(account)
            account = self.parent.get(account, 0)
        return found

    def payer(self, account: int, at_ns: int) -> Purse | None:
        """The funding that pays for an account's calls: its own, or the nearest one above. None = postpaid."""
        for each in self.lineage(account):
            for purse in self._of_account.get(each, ()):
                if purse.kind == "funding" and purse.in_force(at_ns):
                    return purse
        return None

    def counting(self, account: int, key: int, at_ns: int) -> list[Purse]:
        """Every purse that a call counts against."""
        near = self._known.get((account, key))
        if near is None:
            near = self._known[account, key] = tuple(
                purse
                for each in self.lineage(account)
                for purse in self._of_account.get(each, ())
                if purse.key in (0, key)
            )
        if not near:
            return []
        payer = self.payer(account, at_ns)
        return [p for p in near if p.in_force(at_ns) and (p.kind == "budget" or p is payer)]

    def members(self, purse: Purse, at_ns: int) -> list[int]:
        """The accounts whose calls count against it."""
        if purse.kind == "budget":
            return [account for account in self.parent if purse.account in self.lineage(account)]
        return [account for account in self.parent if self.payer(account, at_ns) is purse]


def _version(connection: Connection) -> int:
    found = connection.execute(select(tables.settings.c.value).where(tables.settings.c.key == VERSION)).scalar()
    return int(found or 0)


def _purse(row: Any) -> Purse:
    return Purse(
        id=row.id, kind=row.kind, account=row.account_id, key=row.key_id or 0, name=row.name, currency=row.currency,
        hard=bool(row.hard), period=row.period, zone=row.zone, limit_nano=row.limit_nano, warn=tuple(row.warn),
        from_ns=row.from_ns, to_ns=row.to_ns or FOREVER_NS,
    )  # fmt: skip


def balance_nano(connection: Connection, code: str) -> int:
    """The balance of a ledger account by its code: debit > 0; 0 where it was never posted to."""
    ledger, balance = tables.ledger_accounts.c, tables.balances.c
    query = select(balance.units, balance.nano).join(
        tables.ledger_accounts, ledger.id == balance.ledger_account_id
    ).where(ledger.code == code)  # fmt: skip
    row = connection.execute(query).one_or_none()
    return int(row.units) * tables.GIGA + int(row.nano) if row is not None else 0


def funds_nano(connection: Connection, book: PurseBook, purse: Purse, at_ns: int) -> int:
    """What a purse may spend in a window: a budget's limit; the money paid in, the credit line and credits granted."""
    if purse.kind == "budget":
        return purse.limit_nano
    found = purse.limit_nano - balance_nano(connection, f"prepaid:{purse.account}:{purse.currency}")
    for account in book.members(purse, at_ns):  # a credit granted to an account lowers what its payer owes
        found += corrections_nano(connection, account, purse.currency)
    return found


def corrections_nano(connection: Connection, account: int, currency: str) -> int:
    """Credits (positive) and corrections by hand of what an account owes, in nano-units.

    `adjustment` stands against `receivable` in these, and against `prepaid` in payments, which have a row each: so this
    is its balance less those, and costs the same however many transactions there are. Asked for with every lease.
    """
    table = tables.payments.c
    query = select(*tables.sum_nano(table.nano)).where(
        table.account_id == account, table.currency == currency, table.kind.in_(GIVEN)
    )
    high, low = connection.execute(query).one()
    return balance_nano(connection, f"adjustment:{account}:{currency}") - int(high) * tables.GIGA - int(low)


def out_nano(connection: Connection, purse: int, window_ns: int) -> int:
    """What leases have out of a purse in a window."""
    lease = tables.leases.c
    left = lease.granted_nano - lease.consumed_nano - lease.returned_nano
    query = select(*tables.sum_nano(left)).where(
        lease.purse_id == purse, lease.window_ns == window_ns, lease.state != "home"
    )
    high, low = connection.execute(query).one()
    return int(high) * tables.GIGA + int(low)


def state_of(connection: Connection, book: PurseBook, purse: Purse, at_ns: int) -> State:
    """A purse in the window around an instant."""
    begin, end = purse.window(at_ns)
    table = tables.purse_windows.c
    query = select(table.spent_nano, table.pending_nano).where(table.purse_id == purse.id, table.window_ns == begin)
    row = connection.execute(query).one_or_none()
    return State(
        purse=purse, window_ns=begin, window_end_ns=end, funds_nano=funds_nano(connection, book, purse, at_ns),
        spent_nano=row.spent_nano if row is not None else 0, pending_nano=row.pending_nano if row is not None else 0,
        out_nano=out_nano(connection, purse.id, begin),
    )  # fmt: skip


def recount(connection: Connection, book: PurseBook, purse: Purse, window_ns: int) -> tuple[int, int]:
    """(spent, pending) of a purse in a window, from the readings: what settlement keeps, counted again."""
    readings, late = tables.readings, tables.resettlements
    begin, end = purse.window(window_ns) if purse.period != "total" else (0, FOREVER_NS)
    if purse.kind == "funding":
        begin, end = max(begin, purse.from_ns), min(end, purse.to_ns)
    accounts = [account for account in book.parent if purse.account in book.lineage(account)]
    when: list[ColumnElement[bool]] = [
        readings.c.account.in_(accounts), readings.c.accepted_ns >= begin, readings.c.accepted_ns < end,
    ]  # fmt: skip
    if purse.key:
        when.append(readings.c.key == purse.key)
    charge = func.coalesce(late.c.charge_nano, readings.c.charge_nano)
    currency = func.coalesce(late.c.charge_currency, readings.c.charge_currency)
    query = select(
        readings.c.account, readings.c.accepted_ns, readings.c.state, charge, currency, readings.c.charge_max,
        readings.c.leases, late.c.reading_id,
    ).select_from(readings.outerjoin(late, late.c.reading_id == readings.c.id)).where(*when)  # fmt: skip
    spent = pending = 0
    for account, at_ns, state, nano, what, most, leased, late_id in connection.execute(query):
        if purse.kind == "funding" and book.payer(account, at_ns) is not purse:
            continue
        if state == SETTLED or late_id is not None:
            spent += nano if what == purse.currency else 0
        elif state == "unpriced" and leased != "[]":
            pending += max(most, 0)
    return spent, pending


def states(engine: Engine, at_ns: int, account: int | str | None = None) -> list[State]:
    """Every purse in force, or those that bind an account (by id or name)."""
    with store.reading(engine) as connection:
        book = PurseBook(connection)
        found: Iterable[Purse] = [purse for purse in book.purses.values() if purse.in_force(at_ns)]
        if account is not None:
            near = set(book.lineage(account_id(connection, account)))
            found = [purse for purse in found if purse.account in near]
        return [state_of(connection, book, purse, at_ns) for purse in found]


def available_of_account(connection: Connection, account: int, at_ns: int | None = None) -> int | None:
    """What the money of an account's payer still allows, in nano-units; None = nothing limits it (postpaid)."""
    import time

    now_ns = time.time_ns() if at_ns is None else at_ns
    book = PurseBook(connection)
    purse = book.payer(account, now_ns)
    return state_of(connection, book, purse, now_ns).available_nano if purse is not None else None


def spend(
    connection: Connection,
    spent: Mapping[tuple[int, int], int],
    pending: Mapping[tuple[int, int], int],
) -> None:
    """Adds to what purses have spent and hold, by (purse, begin of the window)."""
    dialect = connection.dialect.name
    mark = "?" if dialect == "sqlite" else "%s"
    rows = [(*key, spent.get(key, 0), pending.get(key, 0)) for key in sorted(spent.keys() | pending.keys())]
    if rows:
        statement = (
            f"INSERT INTO purse_windows (purse_id, window_ns, spent_nano, pending_nano)"  # noqa: S608 - constants
            f" VALUES ({mark}, {mark}, {mark}, {mark}) ON CONFLICT (purse_id, window_ns) DO UPDATE SET"
            " spent_nano = purse_windows.spent_nano + excluded.spent_nano,"
            " pending_nano = purse_windows.pending_nano + excluded.pending_nano"
        )
        for row in rows:  # a check of the row to insert comes before the conflict: a release is never inserted
            if row[2] < 0 or row[3] < 0:
                _release(connection, row)
            else:
                connection.exec_driver_sql(statement, row)


def _release(connection: Connection, row: tuple[int, int, int, int]) -> None:
    table = tables.purse_windows
    connection.execute(
        table.update()
        .where(table.c.purse_id == row[0], table.c.window_ns == row[1])
        .values(spent_nano=table.c.spent_nano + row[2], pending_nano=table.c.pending_nano + row[3])
    )


def touched(connection: Connection) -> None:
    """A purse has changed: whoever keeps a `PurseBook` reads it anew."""
    table = tables.settings
    version = _version(connection) + 1
    changed = connection.execute(table.update().where(table.c.key == VERSION).values(value=version))
    if changed.rowcount == 0:
        connection.execute(table.insert().values(key=VERSION, value=version))
