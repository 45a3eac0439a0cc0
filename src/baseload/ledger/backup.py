"""A consistent copy of an SQLite book while everything runs, verified before it gets its name.

In:     an engine, a path that does not exist yet. Out: one file, mode 0600, that opens as a database of its own.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from baseload.errors import Defect, Refusal


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. `transactions` and `readings` count the rows of the copy."""

    path: str
    bytes: int
    transactions: int
    readings: int


def backup(engine: Engine, target: Path) -> Backup:
    """Copies the database to `target` with SQLite's own backup, which waits for no writer and stops none.

    The copy is checked (pages, foreign keys) and flushed to disk under another name first; a failure leaves no file.
    """
    if engine.dialect.name != "sqlite":
        raise Refusal(
            "A PostgreSQL database is not copied by Baseload.",
            "Use PostgreSQL's own tool: pg_dump --format=custom --file=baseload.dump DATABASE_URL",
            code="backup_postgresql",
        )
    if target.exists():
        raise Refusal(f"{target} exists already.", "Choose another name.", code="exists", status=409)
    partial = target.with_name(f".{target.name}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with closing(sqlite3.connect(str(engine.url.database))) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, whole by itself
            counts = _verify(copy)
        _flush(partial)
        os.rename(partial, target)
        _flush(target.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Refusal(
            f"{target} cannot be written ({error.strerror}).", "Choose another place.", code="backup_path"
        ) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return Backup(path=str(target), bytes=target.stat().st_size, transactions=counts[0], readings=counts[1])


def _verify(copy: sqlite3.Connection) -> tuple[int, int]:
    said = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if said != "ok" or copy.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise Defect(f"The copy of the database is not sound ({said}); it was not kept.")
    unbalanced = "SELECT 1 FROM entries GROUP BY currency HAVING sum(amount_nano / 1000000000) * 1000000000" \
        " + sum(amount_nano % 1000000000) <> 0"  # fmt: skip
    if copy.execute(unbalanced).fetchone() is not None:
        raise Defect("The copy of the database does not balance; it was not kept.")
    (transactions,) = copy.execute("SELECT count(*) FROM transactions").fetchone()
    (readings,) = copy.execute("SELECT count(*) FROM readings").fetchone()
    return transactions, readings


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
