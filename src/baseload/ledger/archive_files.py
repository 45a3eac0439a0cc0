"""The files of the archive: a day's readings as Parquet, written whole or not at all, and read in pieces.

In:     rows of a day, in the order (account, accepted_ns, id). Out: `readings-2026-10-01.parquet` (zstd); when a day is
        archived again with other content, `readings-2026-10-01.2.parquet` and so on: the highest number holds.
A row is a row of the table `readings`, then its transaction, its late rating, how its charge came about (names of the
tables `resettlements` and `charges`), and the amounts in force (`paid_*`). Amounts are BIGINT nano-units: exact.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Boolean, LargeBinary, Text

from baseload.errors import Refusal
from baseload.ledger.parquet import connect, load
from baseload.ledger.rating import SETTLED
from baseload.ledger.texts import instant
from baseload.store import tables

GROUP_ROWS = 20_480  # of a row group: what a reader must hold at once
READ_ROWS = 1_000
LATE = {
    "late_at_ns": "BIGINT", "late_actor": "VARCHAR", "late_cost_price": "BIGINT", "late_charge_price": "BIGINT",
    "late_cost_nano": "BIGINT", "late_cost_currency": "VARCHAR", "late_charge_nano": "BIGINT",
    "late_charge_currency": "VARCHAR", "late_margin_ppm": "BIGINT",
}  # fmt: skip
HOW = ("rule", "list_nano", "discount_ppm", "allowance_nano", "absorbed_nano")
PAID = ("paid_cost_nano", "paid_cost_currency", "paid_charge_nano", "paid_charge_currency")


def _kind(column: Any) -> str:
    for type_, kind in ((Boolean, "BOOLEAN"), (LargeBinary, "BLOB"), (Text, "VARCHAR")):
        if isinstance(column.type, type_):
            return kind
    return "BIGINT"


COLUMNS = {
    **{column.name: _kind(column) for column in tables.readings.columns},
    "transaction_id": "BIGINT",
    **LATE,
    **dict.fromkeys(HOW, "BIGINT"),
    **{name: "VARCHAR" if name.endswith("currency") else "BIGINT" for name in PAID},
}
_NAME = re.compile(r"^readings-(\d{4}-\d{2}-\d{2})(?:\.([1-9]\d*))?\.parquet$")
_GLOB = frozenset("*?[]")  # DuckDB takes a path that has one for a pattern


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What must be equal wherever it is added up. `waiting`: state -> readings without amounts; money by currency."""

    readings: int
    waiting: dict[str, int]
    cost: dict[str, int]
    charge: dict[str, int]


def name_of(start_ns: int, number: int) -> str:
    """(a day's begin, 2) -> "readings-2026-10-01.2.parquet"; the first has no number."""
    return f"readings-{instant(start_ns)[:10]}{f'.{number}' if number > 1 else ''}.parquet"


def is_name(name: str) -> bool:
    """Whether a file is called like one of the archive."""
    return _NAME.match(name) is not None


def newest(folder: Path) -> dict[str, Path]:
    """Day ("2026-10-01") -> the file that holds, of the days in a folder, in order. Raises Refusal `archive_folder`."""
    best: dict[str, tuple[int, Path]] = {}
    for path in usable(folder).iterdir():
        if match := _NAME.match(path.name):
            best[match[1]] = max(best.get(match[1], (0, path)), (int(match[2] or 1), path))
    return {day: path for day, (_, path) in sorted(best.items())}


def usable(folder: Path) -> Path:
    """The folder, if it is one and DuckDB can name files in it. Raises Refusal `archive_folder`."""
    if not folder.is_dir():
        raise Refusal(f"{folder} is no folder.", "Name the folder of the archive.", code="archive_folder", status=404)
    if _GLOB & set(str(folder)):
        raise Refusal(f"{folder} has one of * ? [ ] in it.", "Choose a plain name.", code="archive_folder")
    return folder


def sha256(path: Path) -> bytes:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


class Staging:
    """Rows of a file that is not there yet: on disk, so that memory does not grow with their number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._duck = connect(folder / "rows.duckdb")
        columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        self._duck.execute(f"CREATE TABLE rows ({columns})")
        self._appender = self._duck.appender("rows")

    def append(self, rows: Sequence[Sequence[Any]]) -> None:
        """Rows with all COLUMNS, in their order."""
        self._appender.append_rows(rows)
        self._appender.flush()

    def write(self) -> Path:
        """The file, flushed to the disk, still under another name."""
        path = self._folder / "whole.parquet"
        self._duck.table("rows").write_parquet(str(path), compression="zstd", row_group_size=GROUP_ROWS)
        path.chmod(0o600)
        flush(path)
        return path

    def close(self) -> None:
        self._duck.close()


@contextmanager
def staging(folder: Path) -> Iterator[Staging]:
    """A place for rows beside the files, on the same disk; gone at the end. Raises Refusal `archive_failed`."""
    duck = load("duckdb")
    try:
        with tempfile.TemporaryDirectory(prefix=".staging-", dir=folder) as name, closing(Staging(Path(name))) as stage:
            yield stage
    except (OSError, duck.Error) as error:
        raise Refusal(
            f"The archive cannot be written ({str(error).splitlines()[0]}).",
            "Look at the disk; what was there before is unchanged.",
            code="archive_failed",
            status=500,
        ) from error


def flush(path: Path) -> None:
    """What was written, or renamed in a folder, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sums_of(path: Path) -> Sums:
    """Added up from the file's own columns. Raises `duckdb.Error` where it cannot be read."""
    query = (
        "SELECT CASE WHEN paid_cost_nano IS NULL THEN state ELSE 'settled' END, paid_cost_currency,"
        " paid_charge_currency, count(*), sum(paid_cost_nano), sum(paid_charge_nano) FROM read_parquet(?) GROUP BY ALL"
    )
    readings, waiting, cost, charge = 0, dict[str, int](), dict[str, int](), dict[str, int]()
    with closing(connect()) as duck:
        for state, cost_currency, charge_currency, count, cost_nano, charge_nano in duck.execute(
            query, [str(path)]
        ).fetchall():
            readings += count
            if state != SETTLED:
                waiting[state] = waiting.get(state, 0) + count
            else:
                cost[cost_currency] = cost.get(cost_currency, 0) + int(cost_nano)
                charge[charge_currency] = charge.get(charge_currency, 0) + int(charge_nano)
    return Sums(readings=readings, waiting=waiting, cost=cost, charge=charge)


def rows(path: Path, columns: Sequence[str], where: Mapping[str, int]) -> Iterator[tuple[Any, ...]]:
    """Rows of a file in their order, a piece at a time. `where`: a column with a comparison ("id >=") -> its value."""
    conditions = " AND ".join(f"{comparison} ?" for comparison in where) or "TRUE"
    names = ", ".join(f'"{name}"' for name in columns)
    with closing(connect()) as duck:
        query = f"SELECT {names} FROM read_parquet(?) WHERE {conditions}"  # noqa: S608 - names of our columns
        found = duck.execute(query, [str(path), *where.values()])
        while piece := found.fetchmany(READ_ROWS):
            yield from piece


def read(folder: Path, start_ns: int, end_ns: int, account: int | None = None) -> Iterator[dict[str, Any]]:
    """Readings of calls that arrived in [start, end), by day, account and arrival, from the files that hold.

    account: only this one's (an id). A day without a file has no rows here: ask `archive_check` whether it should.
    Raises Refusal `archive_folder`, `archive_unreadable`.
    """
    return read_files(list(newest(folder).values()), start_ns, end_ns, account)


def read_files(paths: Sequence[Path], start_ns: int, end_ns: int, account: int | None) -> Iterator[dict[str, Any]]:
    """As `read`, from these files."""
    duck = load("duckdb")
    where = {"accepted_ns >=": start_ns, "accepted_ns <": end_ns} | ({} if account is None else {"account =": account})
    first, last = instant(max(start_ns, 0))[:10], instant(min(max(end_ns - 1, 0), 2**62))[:10]
    for path in paths:
        match = _NAME.match(path.name)
        if match is None or not first <= match[1] <= last:
            continue
        try:
            for row in rows(path, list(COLUMNS), where):
                yield dict(zip(COLUMNS, row, strict=True))
        except duck.Error as error:
            raise Refusal(
                f"{path} cannot be read ({str(error).splitlines()[0]}).",
                "See: baseload archive verify",
                code="archive_unreadable",
                status=409,
            ) from error
