"""Readings to Parquet, a file for each whole day (UTC, by arrival of the call), with what they cost and charged.

In:     a database, days that are over, a folder. Out: files (`archive_files`), each proved before it gets its name: its
        count and its sums of cost and charge are those of the roll-up and those of the postings. A row in `archives`
        has its SHA-256. The readings stay in the database: the book is never made smaller.
Again the same day: nothing is written where the day has not changed; else (late calls, late prices) a second file with
the whole day. One archive at a time works in a folder; a killed one leaves only what the next one removes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, select

from baseload import store
from baseload.errors import Refusal
from baseload.ledger import archive_files as files
from baseload.ledger.archive_files import Sums
from baseload.ledger.parquet import load
from baseload.ledger.rating import NO_USAGE, SETTLED, UNMETERED, UNPRICED
from baseload.ledger.rollups import DAY_NS
from baseload.ledger.settled import LATE, READINGS, rating_of, stream
from baseload.ledger.texts import instant
from baseload.store import tables

BATCH_ROWS = 5_000
_WIDTH = len(files.COLUMNS) - len(files.PAID)
Record = Callable[[Connection, str, str, str, dict[str, Any]], None]  # connection, actor, action, subject, detail


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """One day. `made`: False = it was there already, with the same content."""

    day: str
    file: str
    readings: int
    bytes: int
    sha256: str
    made: bool


def archive(engine: Engine, start_ns: int, end_ns: int, folder: Path, actor: str, **options: Any) -> list[Archived]:
    """All of `archiving` at once."""
    return [day for day in archiving(engine, start_ns, end_ns, folder, actor, **options) if day is not None]


def archiving(
    engine: Engine,
    start_ns: int,
    end_ns: int,
    folder: Path,
    actor: str,
    *,
    record: Record | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> Iterator[Archived | None]:
    """Archives the days in [start, end) that have readings, the oldest first. None = still at work on one.

    record: called in the transaction that notes a file (the audit). clock: wall-clock nanoseconds.
    Raises Refusal `days_wrong` (not whole days), `period_open` (not over), `archive_folder`, `archive_busy`,
    `archive_differs` (the book is not sound: nothing of that day is written), `archive_failed`, `extra_missing`.
    """
    if start_ns % DAY_NS or end_ns % DAY_NS or start_ns >= end_ns:
        raise Refusal("The archive takes whole days (UTC).", "Give dates, the first one earlier.", code="days_wrong")
    if end_ns > clock():
        raise Refusal(
            f"{instant(end_ns - DAY_NS)[:10]} is not over.", "Choose an earlier end.", code="period_open", status=409
        )
    load("duckdb")
    return _archiving(engine, start_ns, end_ns, folder, actor, record, clock)


def _archiving(
    engine: Engine, start_ns: int, end_ns: int, folder: Path, actor: str, record: Record | None,
    clock: Callable[[], int],
) -> Iterator[Archived | None]:  # fmt: skip
    with _alone(folder):
        with store.reading(engine) as connection:
            days = days_with_readings(connection, start_ns, end_ns)
        for day in days:
            yield from _day(engine, day, folder, actor, record, clock)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The folder is there and nobody else writes into it; what a killed archive left is removed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(files.usable(folder) / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refusal(
            f"{folder} cannot be written ({error.strerror}).", "Choose another folder.", code="archive_folder"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in folder.glob(".staging-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    except BlockingIOError as error:
        raise Refusal(
            f"Another archive writes into {folder}.", "Wait until it is done.", code="archive_busy", status=409
        ) from error
    finally:
        os.close(handle)


def days_with_readings(connection: Connection, start_ns: int, end_ns: int, account: int | None = None) -> list[int]:
    """Begins of the days in [start, end) that have readings (of an account), by the roll-up."""
    table = tables.usage_hours.c
    query = select(table.hour_ns).where(table.hour_ns >= start_ns, table.hour_ns < end_ns).distinct()
    if account is not None:
        query = query.where(table.account == account)
    return sorted({int(hour) - int(hour) % DAY_NS for hour in connection.execute(query).scalars()})


def booked(connection: Connection, start_ns: int, end_ns: int) -> Sums:
    """What the roll-up says of the readings that arrived in [start, end), whole hours."""
    table = tables.usage_hours.c
    states = (NO_USAGE, UNMETERED, UNPRICED)
    counts = [func.sum(table[name]) for name in ("attempts", *states)]
    query = (
        select(table.cost_currency, table.charge_currency, *counts, *tables.sum_nano(table.cost_nano),
               *tables.sum_nano(table.charge_nano))
        .where(table.hour_ns >= start_ns, table.hour_ns < end_ns)
        .group_by(table.cost_currency, table.charge_currency)
    )  # fmt: skip
    readings, waiting, cost, charge = 0, dict[str, int](), dict[str, int](), dict[str, int]()
    for cost_currency, charge_currency, attempts, *rest in connection.execute(query):
        readings += int(attempts)
        for state, count in zip(states, rest[:3], strict=True):
            if count:
                waiting[state] = waiting.get(state, 0) + int(count)
        if cost_currency:
            halves = [int(half) for half in rest[3:]]
            cost[cost_currency] = cost.get(cost_currency, 0) + halves[0] * tables.GIGA + halves[1]
            charge[charge_currency] = charge.get(charge_currency, 0) + halves[2] * tables.GIGA + halves[3]
    return Sums(readings=readings, waiting=waiting, cost=cost, charge=charge)


def book_rows(connection: Connection, start_ns: int, end_ns: int) -> Iterator[Any]:
    """Readings that arrived in [start, end), by account, arrival and id: the order of the index, nothing is sorted.

    Each with its transaction, late rating, charge and what was posted (`posted_*`, NULL where nothing was).
    """
    hours = tables.usage_hours.c
    accounts = select(hours.account).where(hours.hour_ns >= start_ns, hours.hour_ns < end_ns).distinct()
    cost, charge, how = tables.postings.alias("cost"), tables.postings.alias("charge"), tables.charges
    transaction, table = tables.transactions.c, READINGS.c
    late = [LATE.c[name.removeprefix("late_")].label(name) for name in files.LATE]
    query: Any = (
        select(*READINGS.columns, transaction.id.label("transaction_id"), *late, *(how.c[name] for name in files.HOW),
               cost.c.amount_nano.label("posted_cost"), cost.c.currency.label("posted_cost_currency"),
               charge.c.amount_nano.label("posted_charge"), charge.c.currency.label("posted_charge_currency"),
               LATE.c.reading_id.label("late"))
        .select_from(READINGS)
        .outerjoin(LATE, LATE.c.reading_id == table.id)
        .outerjoin(how, how.c.reading_id == table.id)
        .outerjoin(tables.transactions, transaction.reading_id == table.id)
        .outerjoin(cost, (cost.c.transaction_id == transaction.id) & (cost.c.line == 1))
        .outerjoin(charge, (charge.c.transaction_id == transaction.id) & (charge.c.line == 2))
        .where(table.accepted_ns >= start_ns, table.accepted_ns < end_ns)
        .order_by(table.accepted_ns, table.id)
    )  # fmt: skip
    for account in sorted(connection.execute(accounts).scalars()):
        yield from stream(connection, query.where(table.account == account))


def _day(
    engine: Engine, start_ns: int, folder: Path, actor: str, record: Record | None, clock: Callable[[], int]
) -> Iterator[Archived | None]:
    with store.reading(engine) as connection:
        due, known = booked(connection, start_ns, start_ns + DAY_NS), _recorded(connection, start_ns)
        if known is not None and _holds(folder / known.file, due):
            yield _said(folder, known.file, start_ns, known.readings, bytes(known.hash), made=False)
            return
        with files.staging(folder) as stage:
            posted = yield from _stage(connection, stage, start_ns)
            path = stage.write()
            written = files.sums_of(path)
            if not written == posted == due:
                raise _differs(start_ns, written, posted, due)
            digest = files.sha256(path)
            yield None
            name, made = _keep(engine, path, folder, start_ns, digest, written.readings, actor, record, clock)
    yield _said(folder, name, start_ns, written.readings, digest, made=made)


def _stage(connection: Connection, stage: files.Staging, start_ns: int) -> Generator[None, None, Sums]:
    """Puts the day's rows down. Returns the sums of what was posted for them."""
    readings, waiting, cost, charge = 0, dict[str, int](), dict[str, int](), dict[str, int]()
    found = book_rows(connection, start_ns, start_ns + DAY_NS)
    while batch := list(islice(found, BATCH_ROWS)):
        staged = []
        for row in batch:
            rating = rating_of(row)
            staged.append((*row[:_WIDTH], *rating[2:6]))
            readings += 1
            if rating.state != SETTLED:
                waiting[rating.state] = waiting.get(rating.state, 0) + 1
            if row.posted_cost is not None:
                cost[row.posted_cost_currency] = cost.get(row.posted_cost_currency, 0) + row.posted_cost
            if row.posted_charge is not None:
                charge[row.posted_charge_currency] = charge.get(row.posted_charge_currency, 0) + row.posted_charge
        stage.append(staged)
        yield None
    return Sums(readings=readings, waiting=waiting, cost=cost, charge=charge)


def _keep(
    engine: Engine, path: Path, folder: Path, start_ns: int, digest: bytes, readings: int, actor: str,
    record: Record | None, clock: Callable[[], int],
) -> tuple[str, bool]:  # fmt: skip
    """Gives the file its name and notes it, or puts it where a file with this very content is missing."""
    with store.writing(engine) as connection:
        known = _recorded(connection, start_ns)
        if known is not None and bytes(known.hash) == digest:
            os.replace(path, folder / known.file)
            files.flush(folder)
            return known.file, False
        name = _free(connection, folder, start_ns)
        os.rename(path, folder / name)
        files.flush(folder)
        values = {
            "start_ns": start_ns, "end_ns": start_ns + DAY_NS, "file": name, "hash": digest, "readings": readings,
            "made_ns": clock(), "actor": actor,
        }  # fmt: skip
        connection.execute(tables.archives.insert().values(values))
        if record is not None:
            record(connection, actor, "archive", name, {"readings": readings, "sha256": digest.hex()})
    return name, True


def _free(connection: Connection, folder: Path, start_ns: int) -> str:
    """The day's next name. A file that no row knows (a kill came between, or it is somebody's) stays as it is."""
    table, number = tables.archives.c, 1
    taken = set(connection.execute(select(table.file).where(table.start_ns == start_ns)).scalars())
    while (name := files.name_of(start_ns, number)) in taken or (folder / name).exists():
        number += 1
    return name


def _recorded(connection: Connection, start_ns: int) -> Any:
    table = tables.archives
    query = select(table).where(table.c.start_ns == start_ns, table.c.end_ns == start_ns + DAY_NS)
    return connection.execute(query.order_by(table.c.id.desc()).limit(1)).one_or_none()


def _holds(path: Path, due: Sums) -> bool:
    """Whether a file is there and is the whole day still. Whatever changes a day changes one of these sums."""
    try:
        return path.exists() and files.sums_of(path) == due
    except load("duckdb").Error:
        return False


def _said(folder: Path, name: str, start_ns: int, readings: int, digest: bytes, *, made: bool) -> Archived:
    return Archived(day=instant(start_ns)[:10], file=name, readings=readings, bytes=(folder / name).stat().st_size,
                    sha256=digest.hex(), made=made)  # fmt: skip


def _differs(start_ns: int, written: Sums, posted: Sums, due: Sums) -> Refusal:
    return Refusal(
        f"The book contradicts itself about {instant(start_ns)[:10]}: its readings say {written}, its postings {posted}"
        f" and its roll-up {due}. Nothing was written.",
        "See: baseload ledger check",
        code="archive_differs",
        status=409,
    )
