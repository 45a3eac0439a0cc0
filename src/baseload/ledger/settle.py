"""Settlement: journal entries into the book, each exactly once.

In:     a gateway's journal directory, the position in `journal_cursor`.
Out:    rows and postings, and the moved cursor, all in one database transaction: a kill between any two statements
        leaves the database as it was, and the journal still has the entries.

Exactly once, three times over: the cursor moves with the rows; `readings` is unique by (gateway, segment, offset); and
by (call, attempt), so that an entry written twice to a journal, or to two journals, posts once. A second reading of an
attempt that says something else is kept in `journal_notes`, not posted and not lost.

Order of writing: readings, how their charges came about, postings, transactions (closing over them), balances, usage,
what purses have spent and leases consumed, refusals, holds, notes, cursor, leases that come home. Reading the journal
and rating happen before the transaction begins, so the writer's lock is held short.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import IntegrityError

from baseload import store
from baseload.failpoints import reach
from baseload.gateway.journal.entries import AnyEntry, Carry, Hold, Reading, Refused
from baseload.gateway.journal.reader import Position, Torn, log_torn, read_from
from baseload.ledger.alerts import budgets_reached
from baseload.ledger.book import (
    LedgerAccounts,
    Posting,
    insert_rows,
    last_id,
    reading_keys,
    write_transactions,
)
from baseload.ledger.charging import Applied, Months, RuleBook, charge
from baseload.ledger.leases import come_home, consume
from baseload.ledger.prices import Prices
from baseload.ledger.purses import PurseBook, spend
from baseload.ledger.rating import SETTLED, UNPRICED, Rating, rate_reading
from baseload.ledger.rollups import Usage, write_usage
from baseload.ledger.rows import (
    ENTRY_FIRST,
    ENTRY_LAST,
    clean,
    hold_row,
    reading_row,
    refusal_row,
)
from baseload.store import tables
from baseload.wire.usage import price_meters

AttemptKey = tuple[str, int]
Place = tuple[int, int, str, str]  # provider, account, currency of the cost, of the charge
LIMIT = 8000  # entries a step, about 4,000 calls: one fsync for all of them
_IN_MAX = 400
_KEEP_FIRST = " ON CONFLICT DO NOTHING"
_CURSOR_UPSERT = (
    " ON CONFLICT (gateway) DO UPDATE SET segment = excluded.segment, byte_offset = excluded.byte_offset,"
    " moved_ns = excluded.moved_ns"
)


class Settled(msgspec.Struct, kw_only=True):
    """What one step, or several added up, did. `more`: there are further entries; `raced`: another settler won."""

    position: Position | None = None
    entries: int = 0
    readings: int = 0  # new ones, of which:
    settled: int = 0
    no_usage: int = 0
    unmetered: int = 0
    unpriced: int = 0
    duplicates: int = 0  # readings that were there already, equal
    conflicts: int = 0  # readings of a known attempt, or at a known place, that say something else
    refusals: int = 0
    torn: int = 0
    more: bool = False
    raced: bool = False

    def add(self, other: Settled) -> None:
        """Adds the counts of a later step."""
        for name in ("entries", "readings", "settled", "no_usage", "unmetered", "unpriced", "duplicates", "conflicts",
                     "refusals", "torn"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.position, self.more, self.raced = other.position, other.more, other.raced


class _Item(NamedTuple):
    position: Position
    entry: Reading
    used: dict[str, int]  # meters as they are priced
    rating: Rating


class _Batch:
    """What was read in one step, sorted out. Pure: no I/O."""

    def __init__(self, found: Sequence[tuple[Position, AnyEntry]]) -> None:
        self.readings: list[tuple[Position, Reading]] = []
        self.repeated: list[tuple[Position, Reading]] = []  # the same attempt again within the batch
        self.refusals: list[tuple[Position, Refused]] = []
        self.holds: dict[AttemptKey, Hold] = {}  # opened and not closed within the batch
        self.closed: list[AttemptKey] = []  # closed here, opened in an earlier batch
        seen: dict[AttemptKey, Reading] = {}
        carried: set[AttemptKey] = set()
        holds, readings = self.holds, self.readings
        for at in found:
            entry = at[1]
            kind = type(entry)
            if kind is Reading:
                key = (entry.call, entry.attempt)  # type: ignore[union-attr]
                if key in seen:
                    self.repeated.append(at)  # type: ignore[arg-type]
                    continue
                seen[key] = entry  # type: ignore[assignment]
                readings.append(at)  # type: ignore[arg-type]
                if holds.pop(key, None) is None or key in carried:
                    self.closed.append(key)
            elif kind is Hold:
                key = (entry.call, entry.attempt)  # type: ignore[union-attr]
                if key not in seen:
                    holds[key] = entry  # type: ignore[assignment]
            elif kind is Refused:
                self.refusals.append(at)  # type: ignore[arg-type]
            elif kind is Carry:  # holds opened before its segment: known already, unless that segment is lost
                for hold in entry.holds:  # type: ignore[union-attr]
                    key = (hold.call, hold.attempt)
                    if key not in seen:
                        holds.setdefault(key, hold)
                        carried.add(key)


class Settler:
    """Settles journals into one database. Not thread-safe; several may work at once, one at a time writes."""

    def __init__(self, engine: Engine, *, clock: Callable[[], int] = time.time_ns) -> None:
        """`clock`: wall-clock nanoseconds, for `settled_ns` only; it decides no price."""
        self.engine = engine
        self._clock = clock
        self._prices = Prices()
        self._accounts = LedgerAccounts()
        self._purses: PurseBook | None = None

    def drain(self, directory: Path, gateway: str, limit: int = LIMIT) -> Settled:
        """Steps until the journal has no more for now. Raises DatabaseAway like `step`; call again, nothing is lost."""
        total = Settled()
        while True:
            done = self.step(directory, gateway, limit)
            total.add(done)
            if not done.more and not done.raced:
                return total

    def step(self, directory: Path, gateway: str, limit: int = LIMIT) -> Settled:
        """Settles up to `limit` entries from where `gateway`'s cursor stands, in one transaction, or nothing at all.

        Raises store.DatabaseAway where the database does not answer: nothing was changed, call again later.
        """
        with _collector_paused():
            return self._step(directory, gateway, limit)

    def _step(self, directory: Path, gateway: str, limit: int) -> Settled:
        with store.reading(self.engine) as connection:
            start = cursor(connection, gateway)
            torn: list[Torn] = []

            def report(damage: Torn) -> None:
                log_torn(damage)
                torn.append(damage)

            found, end = read_from(directory, start, limit, report)
            if not found and not torn and (start is None or end == start):
                return Settled(position=start)
            batch = _Batch(found)
            self._prices.refresh(connection)
            rules = RuleBook(connection)
            self._prices.load(connection, self._prices.missing(entry for _, entry in batch.readings))
        items = [self._rated(position, entry, rules) for position, entry in batch.readings]
        self._prices.trim()
        with store.writing(self.engine) as connection:
            if cursor(connection, gateway) != start:
                return Settled(position=start, raced=True)
            if self._purses is None or not self._purses.fresh(connection):
                self._purses = PurseBook(connection)
            done = self._write(connection, gateway, batch, items, torn, rules, end)
            now = self._clock()
            insert_rows(connection, tables.journal_cursor, [(gateway, end.segment, end.offset, now)], _CURSOR_UPSERT)
            if self._purses.purses:
                come_home(connection, self._purses, gateway, end, now)
            reach("settle-written")
        reach("settle-committed")
        self._accounts.committed()
        done.position, done.entries, done.more = end, len(found), len(found) >= limit
        return done

    def _rated(self, position: Position, entry: Reading, rules: RuleBook) -> _Item:
        used, basis = price_meters(entry.meters), self._prices.basis(entry)
        if rules:
            basis = basis._replace(minimum_nano=rules.at(entry.tariff, entry.accepted_ns)[1].minimum_nano)
        return _Item(position, entry, used, rate_reading(entry, basis, used))

    # -- within the transaction ----------------------------------------------------------------------------------------

    def _write(
        self,
        connection: Connection,
        gateway: str,
        batch: _Batch,
        listed: list[_Item],
        torn: list[Torn],
        rules: RuleBook,
        end: Position,
    ) -> Settled:
        done = Settled(torn=len(torn))
        notes = [(gateway, at.segment, at.offset, "torn", "", 0, _note(at)) for at in torn]
        others = [(position, entry) for position, entry in batch.repeated]
        items, applied, months = _charged(connection, listed, rules)
        try:
            with connection.begin_nested():
                first = self._write_readings(connection, gateway, items)
        except IntegrityError:  # some are there already: rare, so it is looked up only then
            new, known = _new_ones(connection, gateway, listed)
            others += known
            items, applied, months = _charged(connection, new, rules)
            first = self._write_readings(connection, gateway, items)
        rows = [
            (first + number, one.rule, one.list_nano, one.discount_ppm, one.allowance_nano, one.absorbed_nano)
            for number, one in applied.items()
        ]
        insert_rows(connection, tables.charges, rows)
        months.write()
        self._write_money(connection, items, first)
        notes += self._write_purses(connection, gateway, items, end)
        for position, entry in others:
            if _is_known(connection, gateway, position, entry):
                done.duplicates += 1
            else:
                done.conflicts += 1
                what = msgspec.json.encode(entry).decode()
                place = (gateway, position.segment, position.offset)
                notes.append((*place, "conflict", clean(entry.call), entry.attempt, what))
        self._write_refusals(connection, gateway, batch)
        _write_holds(connection, gateway, batch)
        self._write_notes(connection, notes)
        done.readings, done.refusals = len(items), len(batch.refusals)
        for state, number in Counter(item.rating.state for item in items).items():
            setattr(done, state, number)
        return done

    def _write_readings(self, connection: Connection, gateway: str, items: list[_Item]) -> int:
        """Returns the id of the first one; the others follow it."""
        first, now = last_id(connection, tables.readings) + 1, self._clock()
        rows = [
            reading_row(number, gateway, position, entry, rating, now)
            for number, (position, entry, _, rating) in enumerate(items, first)
        ]
        insert_rows(connection, tables.readings, rows)
        return first

    def _write_money(self, connection: Connection, items: list[_Item], first: int) -> None:
        provider_of = self._prices.provider_of.get
        usage = Usage()
        sums: dict[Place, list[int]] = {}  # cost, charge, readings
        rated: list[tuple[int, Place, int, int, int]] = []  # reading, place, arrival, cost, charge
        for reading_id, (_, entry, used, rating) in enumerate(items, first):
            usage.add(entry, used, rating)
            state, _, cost_nano, cost_currency, charge_nano, charge_currency, _ = rating
            if state == SETTLED:
                place: Any = (provider_of(entry.offer, 0), entry.account, cost_currency, charge_currency)
                added = sums.get(place)
                if added is None:
                    added = sums[place] = [0, 0, 0]
                added[0] += cost_nano or 0
                added[1] += charge_nano or 0
                added[2] += 1
                rated.append((reading_id, place, entry.accepted_ns, cost_nano, charge_nano))  # type: ignore[arg-type]
        ids = self._accounts.ids(connection, {key for place in sums for key in reading_keys(*place)})
        sides = {place: tuple(ids[key] for key in reading_keys(*place)) for place in sums}
        transactions: list[tuple[Any, ...]] = []
        postings: list[Posting] = []
        next_id = last_id(connection, tables.transactions) + 1
        for number, (reading_id, place, at_ns, cost_nano, charge_nano) in enumerate(rated, next_id):
            cost, payable, receivable, revenue = sides[place]
            postings.append((number, 1, cost, payable, place[2], cost_nano))
            postings.append((number, 2, receivable, revenue, place[3], charge_nano))
            transactions.append((number, "reading", at_ns, reading_id, None, ""))
        moved = []
        for place, (cost_nano, charge_nano, count) in sums.items():
            cost, payable, receivable, revenue = sides[place]
            moved += [(cost, payable, cost_nano, count), (receivable, revenue, charge_nano, count)]
        write_transactions(connection, transactions, postings, moved)
        write_usage(connection, usage)

    def _write_purses(
        self, connection: Connection, gateway: str, items: list[_Item], end: Position
    ) -> list[tuple[Any, ...]]:
        """What purses have spent, and what leases have consumed. Returns notes of leases that were overdrawn."""
        book = self._purses
        if book is None or not book.purses:
            return []
        spent: dict[tuple[int, int], int] = {}
        pending: dict[tuple[int, int], int] = {}
        used: dict[int, int] = {}
        last: dict[int, tuple[Position, str, int]] = {}  # where a lease was used last
        for position, entry, _, rating in items:
            for lease in entry.leases:
                used[lease] = used.get(lease, 0) + max(entry.charge_max, 0)
                last[lease] = (position, entry.call, entry.attempt)
            waits = rating.state == UNPRICED and bool(entry.leases)
            if not waits and not rating.charge_nano:
                continue
            for purse in book.counting(entry.account, entry.key, entry.accepted_ns):
                place = (purse.id, purse.window(entry.accepted_ns)[0])
                if waits:
                    pending[place] = pending.get(place, 0) + max(entry.charge_max, 0)
                elif rating.charge_currency == purse.currency:
                    spent[place] = spent.get(place, 0) + (rating.charge_nano or 0)
        spend(connection, spent, pending)
        budgets_reached(connection, book, spent, self._clock())
        key = f"lease:use:{gateway}:{end.segment}:{end.offset}"
        notes = []
        for lease, nano in consume(connection, book, used, key=key, at_ns=self._clock()):
            position, call, attempt = last[lease]
            what = msgspec.json.encode({"lease": lease, "excess_nano": nano}).decode()
            notes.append((gateway, position.segment, position.offset, "overdrawn", clean(call), attempt, what))
        return notes

    def _write_refusals(self, connection: Connection, gateway: str, batch: _Batch) -> None:
        if batch.refusals:
            first = last_id(connection, tables.refusals) + 1
            rows = [
                refusal_row(number, gateway, position, entry)
                for number, (position, entry) in enumerate(batch.refusals, first)
            ]
            insert_rows(connection, tables.refusals, rows, _KEEP_FIRST)

    def _write_notes(self, connection: Connection, notes: list[tuple[Any, ...]]) -> None:
        if notes:
            first, now = last_id(connection, tables.journal_notes) + 1, self._clock()
            rows = [(number, now, *note) for number, note in enumerate(notes, first)]
            insert_rows(connection, tables.journal_notes, rows, _KEEP_FIRST)


def _charged(
    connection: Connection, items: list[_Item], rules: RuleBook
) -> tuple[list[_Item], dict[int, Applied], Months]:
    """The items with what is charged in the end, and how that came about, by their place in the list."""
    months, applied = Months(connection), dict[int, Applied]()
    if not rules and all(item.entry.charge_max < 0 for item in items):
        return items, applied, months
    found = []
    for number, item in enumerate(items):
        rating, how = charge(item.entry, item.rating, rules, months)
        if how is not None:
            applied[number] = how
            item = item._replace(rating=rating)
        found.append(item)
    return found, applied, months


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A step makes some 10^5 tuples and no cycle; collections in between would walk them for a sixth of its time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def cursor(connection: Connection, gateway: str) -> Position | None:
    """Up to where `gateway`'s journal is settled; None: nothing yet."""
    table = tables.journal_cursor.c
    query = select(table.segment, table.byte_offset).where(table.gateway == gateway)
    row = connection.execute(query).one_or_none()
    return Position(row.segment, row.byte_offset) if row is not None else None


def _note(torn: Torn) -> str:
    return msgspec.json.encode({"lost_bytes": torn.lost, "why": torn.why}).decode()


def _new_ones(
    connection: Connection, gateway: str, items: list[_Item]
) -> tuple[list[_Item], list[tuple[Position, Reading]]]:
    """Parts readings into those the database does not have, by attempt or by place, and the others."""
    table = tables.readings.c
    attempts: set[AttemptKey] = set()
    places: set[tuple[int, int]] = set()
    for start in range(0, len(items), _IN_MAX):
        part = items[start : start + _IN_MAX]
        by_call = select(table.call, table.attempt).where(table.call.in_([clean(item.entry.call) for item in part]))
        attempts.update((call, attempt) for call, attempt in connection.execute(by_call))
        offsets = [item.position.offset for item in part]
        by_place = select(table.segment, table.byte_offset).where(
            table.gateway == gateway,
            table.segment.in_({item.position.segment for item in part}),
            table.byte_offset.in_(offsets),
        )
        places.update((segment, offset) for segment, offset in connection.execute(by_place))
    new: list[_Item] = []
    known: list[tuple[Position, Reading]] = []
    for item in items:
        position, entry = item.position, item.entry
        if (clean(entry.call), entry.attempt) in attempts or (position.segment, position.offset) in places:
            known.append((position, entry))
        else:
            new.append(item)
    return new, known


def _is_known(connection: Connection, gateway: str, position: Position, entry: Reading) -> bool:
    """Whether the database has this very reading of the attempt, field by field."""
    table = tables.readings
    query = select(table).where(table.c.call == clean(entry.call), table.c.attempt == entry.attempt)
    row = connection.execute(query).one_or_none()
    if row is None:
        return False
    mine = reading_row(0, gateway, position, entry, Rating(SETTLED, ""), 0)[ENTRY_FIRST:ENTRY_LAST]
    return tuple(bytes(v) if isinstance(v, memoryview) else v for v in row[ENTRY_FIRST:ENTRY_LAST]) == mine


def _write_holds(connection: Connection, gateway: str, batch: _Batch) -> None:
    """Keeps the working set of open holds: those closed here go, those still open come, unless a reading ended them."""
    table, readings = tables.open_holds, tables.readings.c
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    if batch.closed:
        statement = f"DELETE FROM {table.name} WHERE call = {mark} AND attempt = {mark}"  # noqa: S608 - our table
        connection.exec_driver_sql(statement, [(clean(call), attempt) for call, attempt in batch.closed])
    calls = sorted({clean(call) for call, _ in batch.holds})
    ended: set[AttemptKey] = set()
    for start in range(0, len(calls), _IN_MAX):
        query = select(readings.call, readings.attempt).where(readings.call.in_(calls[start : start + _IN_MAX]))
        ended.update((call, attempt) for call, attempt in connection.execute(query))
    rows = [hold_row(gateway, hold) for key, hold in batch.holds.items() if (clean(key[0]), key[1]) not in ended]
    insert_rows(connection, table, rows, _KEEP_FIRST)
