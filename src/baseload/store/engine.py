"""Opening, upgrading, writing and reading the database. The only file that knows how the two databases differ in use.

SQLite: WAL, one writer, readers never wait. `synchronous=FULL`: a commit is on disk when it returns. A commit here
ends a whole batch of the journal, so the fsync is paid some ten times a second at the most; with NORMAL a power cut
could take back settlements whose journal segments had been removed since. (A SIGKILL loses nothing in either setting.)
PostgreSQL: psycopg 3, connections tested before use so that a restart of the server heals by itself.

Writers are serialised on both: SQLite by BEGIN IMMEDIATE, PostgreSQL by an advisory lock held to the end of the
transaction. One writer keeps ids dense and settlement free of deadlocks, and the ledger has one writing process anyway.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from baseload.errors import Refusal

BUSY_TIMEOUT_MS = 30_000
WRITER_LOCK = 0x62_61_73_65_6C_6F_61_64  # "baseload": the advisory lock of the one writer
_WRITE = "baseload_write"


class DatabaseAway(Refusal):
    """The database does not answer, or could not finish now. Nothing was changed; the same step may be tried again."""

    code, status = "database_away", 503


def open(url: str) -> Engine:
    """An engine for `sqlite:///PATH` or `postgresql://...`. Makes an SQLite path's folders; connects to nothing."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _bad_url(url) from error
    match parsed.get_backend_name():
        case "sqlite":
            return _open_sqlite(parsed)
        case "postgresql":
            return _open_postgresql(parsed)
        case _:
            raise _bad_url(url)


def _bad_url(url: str) -> Refusal:
    return Refusal(
        f"The database URL starts with {url.split(':', 1)[0]!r}, which is neither sqlite nor postgresql.",
        "Write sqlite:////absolute/path/baseload.db or postgresql://user@host/name.",
        code="database_url",
    )


def _open_sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise Refusal(
            "An SQLite database needs a path: a book in memory would be lost with the process.",
            "Write sqlite:////absolute/path/baseload.db.",
            code="database_url",
        )
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url.set(drivername="sqlite+pysqlite"))

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; `_begin` below does
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "recursive_triggers = ON",  # else INSERT OR REPLACE would delete a row of the book without its trigger
            "temp_store = MEMORY",
            "cache_size = -65536",  # KiB
            "wal_autocheckpoint = 4000",  # pages, 16 MB: a batch of readings is about 3 MB
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _open_postgresql(url: URL) -> Engine:
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "baseload"},
    )


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction of the only writer: commits at the end, rolls back on any exception. Waits for another writer.

    Raises DatabaseAway where the database is not there or could not serialise the work.
    """
    with _translated(), engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITER_LOCK})
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent picture of the database for any number of queries. Never blocks a writer, never waits for one."""
    level = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    options: dict[str, Any] = level if engine.dialect.name == "postgresql" else {}
    with _translated(), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _away(error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _away(error) from error
        raise


def _away(error: DBAPIError) -> DatabaseAway:
    said = str(error.orig).strip() or repr(error.orig)
    return DatabaseAway(
        f"The database did not answer ({said.splitlines()[0]}).",
        "Start it, or look at its log; the journal keeps everything until then.",
    )


def upgrade(engine: Engine, target: str = "head") -> None:
    """Brings the schema to `target` in one transaction: a kill in the middle leaves the old schema, whole."""
    from alembic import command  # half a second of imports, needed once

    with writing(engine) as connection:
        command.upgrade(_alembic(connection), target)


def revision(engine: Engine) -> str | None:
    """The schema's revision, or None for an empty database."""
    from alembic.runtime.migration import MigrationContext

    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _alembic(connection: Connection | None = None) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def dispose(engine: Engine) -> None:
    """Closes every pooled connection; SQLite then folds its write-ahead file into the database."""
    engine.dispose()
