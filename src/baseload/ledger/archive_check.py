"""Is the archive what was written, and is it still what the book says? And an old bill, rated again from its files.

In:     a database, the folder of its archive. Out: findings, none = all is well. Reads only; memory does not grow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.ledger import archive_files as files
from baseload.ledger.archive import book_rows, days_with_readings
from baseload.ledger.bills import Difference, pair, rated_again
from baseload.ledger.charging import RuleBook
from baseload.ledger.parquet import load
from baseload.ledger.prices import load_prices
from baseload.ledger.rating import SETTLED
from baseload.ledger.rollups import DAY_NS
from baseload.ledger.settled import account_id, rating_of
from baseload.ledger.texts import instant
from baseload.store import tables

_KEY = ("account", "accepted_ns", "id")
_AMOUNTS = ("transaction_id", *files.PAID)
_PIECE = 5_000
_EXAMPLES = 3


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """`check`: missing | changed | unreadable | amounts are errors, unknown (nobody noted this file) a warning, behind
    (the day has changed since: archive it again) info."""

    file: str
    check: str
    severity: str
    say: str


def verify(engine: Engine, folder: Path) -> list[Fault]:
    """All of `verifying` at once."""
    return [fault for fault in verifying(engine, folder) if fault is not None]


def verifying(engine: Engine, folder: Path) -> Iterator[Fault | None]:
    """Every file that is noted is there, has its hash, and each amount in it is what the book has posted for that
    reading. None = still at work. Raises Refusal `archive_folder`, `extra_missing`."""
    files.usable(folder)
    load("duckdb")
    return _verifying(engine, folder)


def _verifying(engine: Engine, folder: Path) -> Iterator[Fault | None]:
    table = tables.archives
    with store.reading(engine) as connection:
        noted = connection.execute(select(table).order_by(table.c.start_ns, table.c.id)).all()
    last = {row.start_ns: row.id for row in noted}
    for row in noted:
        with store.reading(engine) as connection:
            yield from _file(connection, folder / row.file, row, newest=last[row.start_ns] == row.id)
    names = {row.file for row in noted}
    for path in sorted(folder.iterdir()):
        if files.is_name(path.name) and path.name not in names:
            say = "The database knows nothing of it: left by a kill, or of another book. It may be removed."
            yield Fault(file=path.name, check="unknown", severity="warning", say=say)


def _file(connection: Connection, path: Path, row: Any, *, newest: bool) -> Iterator[Fault | None]:
    def error(check: str, say: str) -> Fault:
        return Fault(file=path.name, check=check, severity="error", say=say)

    try:
        digest = files.sha256(path)
    except FileNotFoundError:
        yield error("missing", f"It is not in {path.parent}.")
        return
    except OSError as failed:
        yield error("unreadable", f"It cannot be read ({failed.strerror}).")
        return
    yield None
    if digest != bytes(row.hash):
        yield error("changed", f"Its SHA-256 is {digest.hex()}; {bytes(row.hash).hex()} was written.")
        return
    found = _Comparison()
    try:
        mine = files.rows(path, (*_KEY, *_AMOUNTS), {})
        for _ in found.compare(mine, _posted(connection, row.start_ns, row.end_ns)):
            yield None
    except load("duckdb").Error as failed:
        yield error("unreadable", f"It cannot be read ({str(failed).splitlines()[0]}).")
        return
    if found.count != row.readings:
        yield error("amounts", f"It has {found.count} readings; {row.readings} were noted.")
    if found.wrong:
        say = f"{found.wrong} readings are not what the book has posted: {', '.join(found.examples)}"
        yield error("amounts", say)
    if newest and (found.later or found.more):
        say = f"{found.more} readings came since, {found.later} got their price: archive the day again."
        yield Fault(file=path.name, check="behind", severity="info", say=say)


def _posted(connection: Connection, start_ns: int, end_ns: int) -> Iterator[tuple[Any, ...]]:
    for row in book_rows(connection, start_ns, end_ns):
        yield (row.account, row.accepted_ns, row.id, row.transaction_id, row.posted_cost, row.posted_cost_currency,
               row.posted_charge, row.posted_charge_currency)  # fmt: skip


class _Comparison:
    """Two runs of rows with the same order, side by side."""

    def __init__(self) -> None:
        self.count = self.wrong = self.more = self.later = 0
        self.examples: list[str] = []

    def compare(self, mine: Iterator[tuple[Any, ...]], book: Iterator[tuple[Any, ...]]) -> Iterator[None]:
        """Yields now and then, while it works."""
        width = len(_KEY)
        ours, theirs = next(mine, None), next(book, None)
        for step in itertools.count(1):
            if step % _PIECE == 0:
                yield
            if ours is None and theirs is None:
                return
            if ours is None or (theirs is not None and theirs[:width] < ours[:width]):
                self.more += 1
                theirs = next(book, None)
                continue
            self.count += 1
            if theirs is None or ours[:width] < theirs[:width]:
                self._differs(f"reading {ours[2]} is not in the book")
            else:
                if ours[width] is None and theirs[width] is not None:
                    self.later += 1
                elif ours[width:] != theirs[width:]:
                    self._differs(f"reading {ours[2]}: the file says {ours[width:]}, the book {theirs[width:]}")
                theirs = next(book, None)
            ours = next(mine, None)

    def _differs(self, say: str) -> None:
        self.wrong += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(say)


def recompute(engine: Engine, folder: Path, account: int | str, start_ns: int, end_ns: int) -> list[Difference]:
    """As `bills.recompute`, but meters and amounts come from the files: every settled reading of an account's time is
    rated again by the price rows and rules in the database. [] = the bill was right.

    Raises Refusal `archive_missing` where a day with readings of the account has no file in the folder.
    """
    files.usable(folder)
    with store.reading(engine) as connection:
        number = account_id(connection, account)
        paths = _holding(connection, folder, number, start_ns, end_ns)
        table = tables.price_rows.c
        prices, rules = load_prices(connection, connection.execute(select(table.id)).scalars()), RuleBook(connection)
    found = []
    for row in files.read_files(paths, start_ns, end_ns, number):
        seen = SimpleNamespace(**row, late=row["late_at_ns"])
        rating = rating_of(seen)
        if rating.state == SETTLED:
            again = rated_again(seen, rating, prices, rules)
            if again[2:6] != rating[2:6]:
                say = f"archived {pair(rating[2:6])}, computed {pair(again[2:6])} {again.detail}".strip()
                found.append(Difference(reading=seen.id, call=seen.call, attempt=seen.attempt, say=say))
    return found


def _holding(connection: Connection, folder: Path, account: int, start_ns: int, end_ns: int) -> list[Path]:
    """The noted file that holds of each day with readings of an account, in order."""
    first, last = start_ns - start_ns % DAY_NS, end_ns + -end_ns % DAY_NS
    table = tables.archives.c
    query = select(table.start_ns, table.file).where(table.start_ns >= first, table.end_ns <= last).order_by(table.id)
    noted = {row.start_ns: folder / row.file for row in connection.execute(query)}
    days = days_with_readings(connection, start_ns - start_ns % DAY_NS, last, account)
    for day in days:
        if day not in noted or not noted[day].exists():
            raise Refusal(
                f"{instant(day)[:10]} is not in {folder}.",
                "Archive it, or bring its file back: baseload archive verify",
                code="archive_missing",
                status=404,
            )
    return [noted[day] for day in days]
