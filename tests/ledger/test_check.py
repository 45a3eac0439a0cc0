"""`ledger check` finds each thing that can be wrong: every finding is provoked here, and a right book has none."""

from __future__ import annotations

import random
import sqlite3

import pytest
from sqlalchemy import text

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.backup import backup
from baseload.ledger.check import check, trial_balance
from baseload.ledger.settle import Settler
from tests.ledger import model
from tests.ledger import support as s


@pytest.fixture
def book(engine, tmp_path):
    """Three settled calls, nothing wrong."""
    s.configure(engine)
    s.journal(tmp_path / "g1", *(s.reading(f"c{number}", input=100, output=10) for number in (1, 2, 3)))
    Settler(engine).drain(tmp_path / "g1", "g1")
    assert check(engine, {"g1": tmp_path / "g1"}) == []
    return engine


def unguarded(engine, *statements):
    """Runs statements as someone who may take the database's own rules away."""
    if engine.dialect.name == "sqlite":
        connection = sqlite3.connect(engine.url.database)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
        connection.commit()
        connection.close()
    else:
        with store.writing(engine) as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                assert connection.exec_driver_sql(statement).rowcount > 0


TAMPERED = {
    "UPDATE postings SET amount_nano = amount_nano + 1 WHERE transaction_id = 2 AND line = 2": {"amount", "balance"},
    'UPDATE readings SET meters = \'{"input_uncached":99,"output_total":10}\' WHERE id = 2': {"amount", "usage"},
    "UPDATE readings SET cost_nano = 1 WHERE id = 2": {"amount", "usage"},
    "UPDATE readings SET state = 'unmetered', cost_nano = NULL, cost_currency = NULL, charge_nano = NULL, "
    "charge_currency = NULL WHERE id = 2": {"reading_posted", "usage", "unmetered"},
    "DELETE FROM readings WHERE id = 2": {"rows_missing", "usage"},
    "DELETE FROM transactions WHERE id = 2": {"rows_missing", "posting_orphan", "reading_not_posted", "amount"},
    "DELETE FROM postings WHERE transaction_id = 2": {"transaction_empty", "balance", "amount"},
    "DELETE FROM postings WHERE transaction_id = 2 AND line = 1": {"balance", "amount"},
    "UPDATE balances SET nano = nano + 1 WHERE ledger_account_id = 1": {"balance"},
    "DELETE FROM balances WHERE ledger_account_id = 1": {"balance"},
    "UPDATE usage_hours SET charge_nano = charge_nano + 1": {"usage"},
    "DELETE FROM usage_hours": {"usage"},
    "UPDATE readings SET reported_cost = '0.00013 USD' WHERE id = 2": set(),
    "UPDATE readings SET reported_cost = '0.00014 USD' WHERE id = 2": {"cost_reported"},
    "UPDATE readings SET reported_cost = 'cheap' WHERE id = 3": {"cost_reported"},
    "UPDATE price_rows SET body = replace(body, '\"3\"', '\"4\"') WHERE id = 1": {"amount"},
    "DELETE FROM offers WHERE id = 1": {"unknown_offer"},
    "UPDATE journal_cursor SET byte_offset = byte_offset + 999999": {"journal_replaced"},
    "UPDATE journal_cursor SET byte_offset = 0": {"unsettled"},
}


@pytest.mark.parametrize("statement", TAMPERED)
def test_every_tampering_is_found(book, tmp_path, statement):
    unguarded(book, statement)
    found = {one.check for one in check(book, {"g1": tmp_path / "g1"})}
    assert found == TAMPERED[statement]


def test_findings_come_worst_first_and_name_examples(engine, tmp_path):
    s.configure(engine)
    s.journal(
        tmp_path / "g1", s.unknown_usage("lost"), s.reading("dear", input=1, cost_price=99), s.reading("c1", input=1)
    )
    Settler(engine).drain(tmp_path / "g1", "g1")
    s.journal(tmp_path / "g1", s.reading("c1", input=2))
    Settler(engine).drain(tmp_path / "g1", "g1")
    s.journal(tmp_path / "g1", s.reading("c3", input=2))
    found = check(engine, {"g1": tmp_path / "g1"})
    assert [(one.check, one.severity) for one in found] == [
        ("journal_conflict", "error"), ("unmetered", "warning"), ("unpriced", "warning"), ("unsettled", "info"),
    ]  # fmt: skip
    assert "lost/1" in found[1].examples[0]
    assert "Price row 99" in found[2].examples[0]


def test_segments_gone_before_they_were_settled_are_an_error(engine, tmp_path):
    s.configure(engine)
    for number in (1, 2, 3):
        s.journal(tmp_path / "g1", s.reading(f"c{number}", input=1))
        if number == 1:
            Settler(engine).drain(tmp_path / "g1", "g1")
    (tmp_path / "g1" / "0000000002.seg").unlink()
    found = {one.check for one in check(engine, {"g1": tmp_path / "g1"})}
    assert "journal_torn" in found
    Settler(engine).drain(tmp_path / "g1", "g1")
    assert {one.check for one in check(engine, {"g1": tmp_path / "g1"})} == {"journal_torn"}


def test_the_trial_balance_is_what_the_model_says(engine, tmp_path):
    s.configure(engine)
    entries = model.traffic(random.Random(3), 100)
    s.journal(tmp_path / "g1", *entries)
    Settler(engine).drain(tmp_path / "g1", "g1", 7)
    rows = trial_balance(engine)
    assert {row["code"]: row["nano"] for row in rows if row["nano"]} == model.books(entries)[0]
    assert {row["kind"] for row in rows} == {"asset", "liability", "income", "expense"}


# -- backups -------------------------------------------------------------------------------------------------------


def test_a_backup_while_settling_opens_as_a_whole_book(book, backend, tmp_path):
    target = tmp_path / "copy.db"
    if backend == "postgresql":
        with pytest.raises(Refusal, match="pg_dump"):
            backup(book, target)
        assert not target.exists()
        return
    with store.writing(book) as connection:  # a transaction that is running is not in the copy, and does not stop it
        connection.execute(text("INSERT INTO settings (key, value) VALUES ('half', '1')"))
        made = backup(book, target)
    assert (made.transactions, made.readings, made.bytes) == (3, 3, target.stat().st_size)
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]
    copy = store.open(f"sqlite:///{target}")
    assert store.revision(copy) == store.revision(book)
    assert s.balances(copy) == s.balances(book)
    assert s.table(copy, "settings", "key") == []
    s.journal(tmp_path / "g1", s.reading("c4", input=1))
    Settler(copy).drain(tmp_path / "g1", "g1")  # it goes on where the copy was made
    assert check(copy, {"g1": tmp_path / "g1"}) == []
    copy.dispose()
    with pytest.raises(Refusal, match="exists"):
        backup(book, target)


def test_a_backup_that_cannot_be_written_leaves_nothing(book, backend, tmp_path):
    with pytest.raises(Refusal) as caught:
        backup(book, tmp_path / "nowhere" / "copy.db")
    assert caught.value.code == ("backup_path" if backend == "sqlite" else "backup_postgresql")
