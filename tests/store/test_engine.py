"""Opening, reading and writing: what the rest of the house relies on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
from sqlalchemy import insert, select, text

from baseload import store
from baseload.errors import Refusal
from baseload.store import tables

SETTING = tables.settings


def test_the_folders_of_a_path_are_made(tmp_path):
    engine = store.open(f"sqlite:///{tmp_path}/deep/er/book.db")
    store.upgrade(engine)
    assert (tmp_path / "deep" / "er" / "book.db").is_file()
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "nonsense", ""])
def test_a_url_that_cannot_hold_a_book_is_refused_with_what_to_write(url):
    with pytest.raises(Refusal) as caught:
        store.open(url)
    assert caught.value.code == "database_url"
    assert "sqlite:////absolute/path" in caught.value.fix


def test_sqlite_is_opened_so_that_a_commit_is_on_disk_and_rules_hold(tmp_path):
    engine = store.open(f"sqlite:///{tmp_path}/book.db")
    for pragma, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}.items():
        with engine.connect() as connection:
            assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value
    engine.dispose()


def test_an_exception_takes_everything_back(engine):
    def half() -> None:
        with store.writing(engine) as connection:
            connection.execute(insert(SETTING).values(key="a", value=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with store.reading(engine) as connection:
        assert connection.execute(select(SETTING)).all() == []


def test_a_reader_sees_one_picture_while_a_writer_commits(engine):
    with store.reading(engine) as reader:
        assert reader.execute(select(SETTING)).all() == []
        with store.writing(engine) as writer:
            writer.execute(insert(SETTING).values(key="a", value=1))
        assert reader.execute(select(SETTING)).all() == []
    with store.reading(engine) as reader:
        assert reader.execute(select(SETTING.c.value)).scalars().all() == [1]


def test_writers_wait_for_each_other_and_lose_no_update(engine):
    with store.writing(engine) as connection:
        connection.execute(insert(SETTING).values(key="n", value=0))

    def add_ten() -> None:
        for _ in range(10):
            with store.writing(engine) as connection:
                value = connection.execute(select(SETTING.c.value)).scalar()
                connection.execute(SETTING.update().values(value=value + 1))

    threads = [threading.Thread(target=add_ten) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading(engine) as connection:
        assert connection.execute(select(SETTING.c.value)).scalar() == 40


def test_what_was_committed_survives_a_sigkill(engine, backend, tmp_path):
    url = engine.url.render_as_string(hide_password=False)
    code = f"""
import time
from sqlalchemy import insert
from baseload import store
engine = store.open({url!r})
with store.writing(engine) as connection:
    connection.execute(insert(store.tables.settings).values(key="kept", value=1))
with store.writing(engine) as connection:
    connection.execute(insert(store.tables.settings).values(key="running", value=1))
    print("ready", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with store.writing(engine) as connection:  # and its lock is gone with it
        assert connection.execute(select(SETTING.c.key)).scalars().all() == ["kept"]


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////proc/nowhere/book.db"])
def test_a_database_that_is_away_says_so(url):
    with pytest.raises((store.DatabaseAway, OSError)) as caught, store.writing(store.open(url)):
        pass
    assert caught.type is not store.DatabaseAway or caught.value.code == "database_away"


def test_lesson_66_values_are_bound_never_pasted(engine):
    evil = "x'); DELETE FROM settings; --"
    with store.writing(engine) as connection:
        connection.execute(insert(SETTING).values(key=evil, value=evil))
    with store.reading(engine) as connection:
        assert connection.execute(select(SETTING.c.value).where(SETTING.c.key == evil)).scalar() == evil


def test_sums_beyond_64_bits_are_exact(engine):
    """Three postings of the greatest size: their sum does not fit the column, the total of the two halves is exact."""
    big = tables.NANO_MAX
    with store.writing(engine) as connection:
        for number, kind in ((1, "asset"), (2, "income")):
            account = {"id": number, "code": kind, "kind": kind, "currency": "USD"}
            connection.execute(insert(tables.ledger_accounts).values(**account))
        for number in (1, 2, 3):
            posting = {"transaction_id": number, "line": 1, "debit_id": 1, "credit_id": 2, "amount_nano": big}
            connection.execute(insert(tables.postings).values(currency="USD", **posting))
            transaction = {"id": number, "kind": "adjustment", "at_ns": 0, "key": str(number)}
            connection.execute(insert(tables.transactions).values(**transaction))
    ledger_account = tables.entries.c.ledger_account_id
    with store.reading(engine) as connection:
        for number, sign in ((1, 1), (2, -1)):
            high, low = connection.execute(
                select(*tables.sum_nano(tables.entries.c.amount_nano)).where(ledger_account == number)
            ).one()
            assert int(high) * tables.GIGA + int(low) == 3 * big * sign
