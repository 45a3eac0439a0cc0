"""Settlement never drops: not for a database that is away, not for a broken journal, not at the end."""

from __future__ import annotations

import shutil
import time

import msgspec
from sqlalchemy import func, select

from baseload import store
from baseload.control.services import config, health, reports
from baseload.control.worker import Settlement, Watcher, journals
from baseload.gateway.journal.entries import Reading
from baseload.gateway.journal.writer import JournalWriter
from baseload.ledger.prices import keep_price
from baseload.money.price import PriceRow
from baseload.store import tables as t


def reading(call: str, context) -> Reading:
    """A finished call of 100 tokens in and 10 out, by the snapshot in force."""
    snapshot = context.publisher.current()
    offer, now = snapshot.offers[0], time.time_ns()
    return Reading(
        call=call, attempt=1, account=snapshot.accounts[0].id, key=snapshot.keys[0].id, offer=offer.id,
        cost_price=offer.cost_prices[0], charge_price=0, tariff=snapshot.accounts[0].tariff, model=offer.model,
        endpoint="chat", stream=False, outcome="ok", status=200, fault="", meters={"input": 100, "output": 10},
        input_provenance="reported", output_provenance="reported", flags=(), select={}, reported_cost="",
        raw_usage=b"{}", delivered_output=-1, accepted_ns=now, sent_ns=now, first_ns=now, end_ns=now, request_bytes=1,
        reply_bytes=1, upstream_id="", upstream_model=offer.model, currency="USD", hold_nano=0,
        snapshot=snapshot.version,
    )  # fmt: skip


def write(context, gateway: str, *calls: str) -> None:
    writer = JournalWriter(context.home.journal / gateway, gateway, segment_bytes=65536)
    for call in calls:
        writer.append(reading(call, context))
    assert writer.flush()
    writer.close()


def settled(context) -> list[str]:
    with store.reading(context.engine) as connection:
        return list(connection.execute(select(t.readings.c.call).order_by(t.readings.c.id)).scalars())


def test_every_journal_of_the_home_is_settled_once(context):
    worker = Settlement(context)
    write(context, "g0", "a", "b")
    write(context, "g1", "c")
    assert worker.round()
    assert sorted(settled(context)) == ["a", "b", "c"]
    assert worker.round()
    assert sorted(settled(context)) == ["a", "b", "c"]
    assert set(health.status(context)["journals"]) == {"g0", "g1"}
    with store.reading(context.engine) as connection:
        assert connection.execute(select(func.count()).select_from(t.transactions)).scalar() == 3


def test_lesson_48_a_database_that_is_away_delays_and_drops_nothing(context):
    worker = Settlement(context)
    write(context, "g0", "a")
    store.dispose(context.engine)
    away = context.home.path / "away"
    away.mkdir()
    files = list(context.home.path.glob("baseload.db*"))
    for path in files:
        shutil.move(path, away / path.name)
    context.home.database.mkdir()
    assert not worker.round()
    assert "database" in context.state.settle_error
    assert any(c["check"] == "settlement" and c["state"] == "wrong" for c in health.doctor(context))
    store.dispose(context.engine)
    context.home.database.rmdir()
    for path in files:
        shutil.move(away / path.name, path)
    assert worker.round()
    assert settled(context) == ["a"]
    assert context.state.settle_error == ""


def test_trouble_with_one_journal_does_not_hold_up_the_others(context):
    write(context, "g1", "fine")
    segment = next(path.name for path in (context.home.journal / "g1").iterdir() if path.suffix)
    broken = context.home.journal / "g0"
    broken.mkdir()
    (broken / segment).write_bytes(b"not a journal at all" * 100)
    worker = Settlement(context)
    worker.round()
    assert settled(context) == ["fine"]


def test_what_the_gateways_left_at_the_end_is_settled_before_the_end(context):
    worker = Settlement(context)
    write(context, "g0", "last")
    context.stopping.set()
    worker.start()
    worker.join(20)
    assert settled(context) == ["last"]


def test_lag_is_told_in_seconds(context):
    worker = Settlement(context)
    assert worker.round()
    now = time.time_ns()
    assert health.lag_s(context, context.state.settled_ns + 5 * 10**9) == 5.0
    assert health.lag_s(context, now) < 60


def test_a_database_restored_beside_a_new_journal_settles_the_new_one(context):
    worker = Settlement(context)
    write(context, "g0", "old-a", "old-b")
    assert worker.round()
    shutil.rmtree(context.home.journal / "g0")  # the restored home has the database, not the journal
    write(context, "g0", "new")  # at the very places where the old ones stood
    assert worker.round()
    assert sorted(settled(context)) == ["new", "old-a", "old-b"]


def test_a_reading_without_a_price_is_kept_and_posted_when_there_is_one(context):
    entry = msgspec.structs.replace(reading("odd", context), meters={"input_uncached": 100, "cache_write_1h": 10})
    writer = JournalWriter(context.home.journal / "g0", "g0", segment_bytes=65536)
    writer.append(entry)
    assert writer.flush()
    writer.close()
    assert Settlement(context).round()
    assert [finding["check"] for finding in reports.check(context)] == ["unpriced"]
    still = reports.resettle(context, cost_price=0, charge_price=0, actor="test")
    assert (still["settled"], [line["call"] for line in still["open"]]) == (0, ["odd"])
    row = PriceRow(book="cost:local", model="smollm2", currency="USD", rate={"input": "1", "cache_write_1h": "3"})
    with store.writing(context.engine) as connection:
        kept = keep_price(connection, row)
    assert reports.resettle(context, cost_price=kept.id, charge_price=0, actor="test") == {"settled": 1, "open": []}
    assert reports.check(context) == []
    bill = reports.bill(context, account="default", since="", until="", month="")
    assert bill["bill"]["totals"][0]["nano"] == 100 * 1000 + 10 * 3000


def test_doctor_says_when_the_journal_ends_before_what_was_settled(context):
    folder = context.home.journal / "g0"
    folder.mkdir()
    (folder / "0000000004.seg").touch()
    context.state.journals["g0"] = {"settled_to": "4:42", "more": False}

    def settlement() -> str:
        return {check["check"]: check["state"] for check in health.doctor(context)}["settlement"]

    assert settlement() == "ok"
    (folder / "0000000004.seg").rename(folder / "0000000001.seg")  # a restored database beside a new journal
    assert settlement() == "wrong"


def test_journals_are_the_folders_of_gateways(context):
    assert journals(context.home.journal / "nowhere") == []
    (context.home.journal / "g3").mkdir()
    (context.home.journal / ".hidden").mkdir()
    (context.home.journal / "file").write_text("")
    assert [path.name for path in journals(context.home.journal)] == ["g3"]


def test_the_watcher_applies_a_changed_file_once(context, monkeypatch):
    applied: list[str] = []
    monkeypatch.setattr(config, "apply", lambda _context, actor: applied.append(actor))
    watcher = Watcher(context)
    watcher.look()
    assert applied == []
    context.home.config.write_text("")
    watcher.look()
    watcher.look()
    assert applied == ["file"]
    watcher.ask()
    watcher.look()
    assert applied == ["file", "file"]


def test_the_watcher_tries_again_when_the_database_was_away(context, monkeypatch):
    tries: list[int] = []

    def apply(*_: object) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise store.DatabaseAway("away")

    monkeypatch.setattr(config, "apply", apply)
    watcher = Watcher(context)
    context.home.config.write_text("")
    for _ in range(3):
        watcher.look()
    assert len(tries) == 2
