"""Lesson 71: every migration from each revision, on both databases; and what it makes is what the code expects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from baseload import store
from baseload.store import engine as store_engine
from tests import databases

SCRIPTS = ScriptDirectory.from_config(store_engine._alembic())
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
HEAD = REVISIONS[-1]


def differences(engine):
    with store.reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, store.tables.metadata)


@pytest.mark.parametrize("start", [None, *REVISIONS])
def test_lesson_71_upgrade_from_each_revision_reaches_the_tables_of_the_code(backend, tmp_path, start):
    engine = store.open(databases.empty_url(backend, tmp_path))
    assert store.revision(engine) is None
    if start is not None:
        store.upgrade(engine, start)
        assert store.revision(engine) == start
    store.upgrade(engine)
    assert store.revision(engine) == HEAD
    assert differences(engine) == []
    store.upgrade(engine)  # a second time changes nothing
    assert store.revision(engine) == HEAD
    engine.dispose()


def test_a_schema_that_differs_is_seen(backend, tmp_path):
    """The comparison above can fail: a table more and a column less are both reported."""
    engine = store.open(databases.fresh_url(backend, tmp_path))
    with store.writing(engine) as connection:
        connection.execute(text("CREATE TABLE stray (id BIGINT)"))
        connection.execute(text("ALTER TABLE refusals DROP COLUMN code"))
    found = {change[0] for change in differences(engine) if isinstance(change, tuple)}
    assert found == {"remove_table", "add_column"}
    engine.dispose()


def test_an_upgrade_that_fails_half_way_leaves_nothing(backend, tmp_path, monkeypatch):
    from baseload.store.migrations import guards_0001

    broken = ["CREATE TABLE half (id BIGINT)", "CREATE NONSENSE"]
    with monkeypatch.context() as patch:
        patch.setattr(guards_0001, "sqlite", lambda: broken)
        patch.setattr(guards_0001, "postgresql", lambda: broken)
        engine = store.open(databases.empty_url(backend, tmp_path))
        with pytest.raises(Exception, match="NONSENSE"):
            store.upgrade(engine)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    store.upgrade(engine)
    assert store.revision(engine) == HEAD
    engine.dispose()


def test_two_processes_may_upgrade_at_once(backend, tmp_path):
    url = databases.empty_url(backend, tmp_path)
    code = f"from baseload import store; e = store.open({url!r}); store.upgrade(e); print(store.revision(e))"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in started] == [HEAD, HEAD]


def test_migrations_lie_in_the_package_so_that_they_work_installed():
    package = Path(store.__file__).parent
    assert Path(SCRIPTS.dir).is_relative_to(package)
    assert (package / "migrations" / "versions" / "r0001_books.py").is_file()
