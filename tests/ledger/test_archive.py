"""The archive: days as Parquet, proved before they get their name, proved again later, and a bill rated from them."""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import sys
import tracemalloc

import duckdb
import pytest
from sqlalchemy import text

from baseload import store
from baseload.errors import Refusal
from baseload.ledger import archive_files
from baseload.ledger.amend import resettle
from baseload.ledger.archive import archive, archiving
from baseload.ledger.archive_check import recompute, verify
from baseload.ledger.bills import bill
from baseload.ledger.settle import Settler
from baseload.store import tables
from tests.ledger import model
from tests.ledger import support as s

DAY = 24 * s.HOUR
D0 = s.T0 - s.T0 % DAY
FILE = "readings-2026-09-21.parquet"
NO_PRICE = {"cost_price": 99}


class Desk:
    """A grid with its settlement, and a folder for its archive."""

    def __init__(self, engine, folder):
        s.configure(engine)
        self.engine, self.journal, self.folder = engine, folder / "g1", folder / "archive"
        self.settler, self.acts = Settler(engine), []

    def calls(self, *readings):
        s.journal(self.journal, *readings)
        self.settler.drain(self.journal, "g1")

    def archive(self, days=1, folder=None):
        def record(_, *act):
            self.acts.append(act)

        return archive(self.engine, D0, D0 + days * DAY, folder or self.folder, "test", record=record)

    def verify(self):
        return [(fault.file, fault.check, fault.severity) for fault in verify(self.engine, self.folder)]

    def rows(self, days=1, **options):
        return list(archive_files.read(self.folder, D0, D0 + days * DAY, **options))

    def files(self):
        return sorted(path.name for path in self.folder.iterdir() if path.name != ".lock")


@pytest.fixture
def desk(engine, tmp_path):
    return Desk(engine, tmp_path)


def refused(code, act, *arguments, **options):
    with pytest.raises(Refusal) as caught:
        act(*arguments, **options)
    assert caught.value.code == code
    return caught.value


def tamper(engine, table, statement):
    """Someone with the owner's rights takes the triggers away and changes the book."""
    with store.writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            for verb in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{verb}"))
        else:
            connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}"))
        assert connection.execute(text(statement)).rowcount > 0


def test_a_day_is_written_whole_with_amounts_transactions_and_every_column(desk):
    desk.calls(*model.traffic(random.Random(5), 300), s.reading("next", input=1, accepted_ns=D0 + DAY))
    desk.calls(
        s.reading("odd", input=3, model="ünï\n'\"\\;,\t\r", raw_usage=b"\x00\xff'", seen=b"\x00", upstream_id="")
    )
    (made,) = desk.archive()
    (also,) = desk.archive(days=2)[1:]
    assert (made.day, made.file, made.made) == ("2026-09-21", FILE, True)
    assert (also.file, also.readings) == ("readings-2026-09-22.parquet", 1)
    rows = desk.rows()
    assert made.readings == len(rows) == len(s.table(desk.engine, f"readings WHERE accepted_ns < {D0 + DAY}", "id"))
    order = [(row["account"], row["accepted_ns"], row["id"]) for row in rows]
    assert order == sorted(order)
    with store.reading(desk.engine) as connection:
        kept = {row.id: row for row in connection.execute(tables.readings.select())}
        posted = {
            (number, line): (currency, nano)
            for number, line, currency, nano in connection.execute(
                text("SELECT transaction_id, line, currency, amount_nano FROM postings")
            )
        }
    for row in rows:
        for column in tables.readings.columns:
            assert row[column.name] == getattr(kept[row["id"]], column.name), column.name
        if row["transaction_id"] is None:
            assert row["state"] != "settled"
            assert row["paid_cost_nano"] is row["paid_charge_currency"] is None
        else:
            assert (row["paid_cost_currency"], row["paid_cost_nano"]) == posted[row["transaction_id"], 1]
            assert (row["paid_charge_currency"], row["paid_charge_nano"]) == posted[row["transaction_id"], 2]
    assert desk.verify() == []
    assert (desk.folder / FILE).stat().st_mode & 0o777 == 0o600
    assert [(act[0], act[1], act[2]) for act in desk.acts] == [
        ("test", "archive", FILE), ("test", "archive", also.file),
    ]  # fmt: skip
    ((noted, digest, start, end),) = s.table(
        desk.engine, f"archives WHERE file = '{FILE}'", "readings, hash, start_ns, end_ns"
    )
    assert (noted, bytes(digest).hex(), start, end) == (made.readings, made.sha256, D0, D0 + DAY)


def test_again_nothing_is_written_until_the_day_has_changed(desk):
    desk.calls(s.reading("a", input=1_000), s.reading("b", input=10, **NO_PRICE))
    (first,) = desk.archive()
    content = (desk.folder / FILE).read_bytes()
    (again,) = desk.archive()
    assert (again.made, again.sha256, again.file) == (False, first.sha256, FILE)
    assert len(s.table(desk.engine, "archives", "id")) == len(desk.acts) == 1
    desk.calls(s.reading("late", input=5))
    assert desk.verify() == [(FILE, "behind", "info")]
    (second,) = desk.archive()
    assert (second.file, second.readings, second.made) == ("readings-2026-09-21.2.parquet", 3, True)
    assert len(resettle(desk.engine, cost_price=s.USD_PRICE).settled) == 1
    assert desk.verify() == [("readings-2026-09-21.2.parquet", "behind", "info")]
    (third,) = desk.archive()
    assert third.file == "readings-2026-09-21.3.parquet"
    assert desk.verify() == []
    assert (desk.folder / FILE).read_bytes() == content
    late = [row for row in desk.rows() if row["late_at_ns"] is not None]
    assert [(row["call"], row["state"], row["paid_cost_nano"], row["late_cost_price"]) for row in late] == [
        ("b", "unpriced", 10_000, s.USD_PRICE)
    ]
    assert [row["call"] for row in desk.rows(account=s.ACME)] == ["a", "b", "late"]


def test_only_whole_days_that_are_over(desk):
    for start, end in ((D0 + 1, D0 + DAY), (D0, D0 + s.HOUR), (D0, D0)):
        refused("days_wrong", archive, desk.engine, start, end, desk.folder, "test")
    at = {"clock": lambda: D0 + DAY - 1}
    refused("period_open", archive, desk.engine, D0, D0 + DAY, desk.folder, "test", **at)
    assert not desk.folder.exists()
    assert desk.archive() == []  # nothing was used: no file
    assert desk.files() == []


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("postings", "UPDATE postings SET amount_nano = amount_nano + 1 WHERE transaction_id = 1 AND line = 2"),
        ("readings", "UPDATE readings SET charge_nano = charge_nano + 1 WHERE id = 1"),
        ("usage_hours", "UPDATE usage_hours SET cost_nano = cost_nano - 1"),
        ("usage_hours", "UPDATE usage_hours SET attempts = attempts + 1"),
    ],
)
def test_a_book_that_contradicts_itself_is_not_archived(desk, table, statement):
    desk.calls(s.reading("a", input=1_000))
    tamper(desk.engine, table, statement)
    refusal = refused("archive_differs", desk.archive)
    assert "2026-09-21" in refusal.say
    assert desk.files() == []
    assert s.table(desk.engine, "archives", "id") == []


def test_verify_finds_what_was_lost_changed_or_put_in(desk):
    desk.calls(s.reading("a", input=1_000), s.reading("b", input=1, accepted_ns=D0 + DAY))
    desk.calls(s.reading("c", input=1, accepted_ns=D0 + 2 * DAY))
    desk.archive(days=3)
    path = desk.folder / FILE
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    (desk.folder / "readings-2026-09-22.parquet").unlink()
    (desk.folder / "readings-2026-09-23.7.parquet").write_bytes(content)
    tamper(desk.engine, "postings", "UPDATE postings SET amount_nano = amount_nano + 1 WHERE transaction_id = 3")
    assert desk.verify() == [
        (FILE, "changed", "error"),
        ("readings-2026-09-22.parquet", "missing", "error"),
        ("readings-2026-09-23.parquet", "amounts", "error"),
        ("readings-2026-09-23.7.parquet", "unknown", "warning"),
    ]
    refused("archive_folder", verify, desk.engine, desk.folder / "nowhere")


def test_a_reading_that_vanished_from_the_book_is_seen_in_its_file(desk):
    desk.calls(s.reading("a", input=1), s.reading("b", input=2), s.reading("c", **NO_PRICE))
    desk.archive()
    tamper(desk.engine, "readings", "DELETE FROM readings WHERE call = 'c'")
    (fault,) = verify(desk.engine, desk.folder)
    assert (fault.check, "reading 3 is not in the book" in fault.say) == ("amounts", True)


def test_a_lost_or_damaged_file_is_written_again_under_its_name(desk):
    desk.calls(s.reading("a", input=1_000))
    desk.archive()
    for harm in ((desk.folder / FILE).unlink, lambda: (desk.folder / FILE).write_bytes(b"PAR1 and nothing")):
        harm()
        assert desk.verify() != []
        (again,) = desk.archive()
        assert (again.file, again.made) == (FILE, False)
        assert desk.verify() == []
    assert len(s.table(desk.engine, "archives", "id")) == 1


def test_a_file_that_stands_in_the_way_is_left_alone(desk):
    """A kill between the name and the note, or somebody's own file."""
    desk.calls(s.reading("a", input=1_000))
    desk.folder.mkdir()
    (desk.folder / FILE).write_bytes(b"somebody's")
    (made,) = desk.archive()
    assert made.file == "readings-2026-09-21.2.parquet"
    assert (desk.folder / FILE).read_bytes() == b"somebody's"
    assert desk.verify() == [(FILE, "unknown", "warning")]
    assert [row["call"] for row in desk.rows()] == ["a"]


def test_one_archive_at_a_time_and_what_a_killed_one_left_is_removed(desk):
    desk.calls(s.reading("a", input=1_000))
    (desk.folder / ".staging-old").mkdir(parents=True)
    (desk.folder / ".staging-old" / "rows.duckdb").write_bytes(b"half")
    other = os.open(desk.folder / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    refused("archive_busy", desk.archive)
    os.close(other)
    desk.archive()
    assert desk.files() == [FILE]


def test_one_that_is_left_off_leaves_nothing(desk):
    desk.calls(s.reading("a", input=1_000))
    work = archiving(desk.engine, D0, D0 + DAY, desk.folder, "test")
    assert next(work) is None
    assert [name[:9] for name in desk.files()] == [".staging-"]
    work.close()
    assert desk.files() == []
    assert [each.made for each in desk.archive()] == [True]


def test_readings_that_settle_meanwhile_are_not_half_in(desk):
    desk.calls(s.reading("a", input=1_000))
    work = archiving(desk.engine, D0, D0 + DAY, desk.folder, "test")
    assert next(work) is None
    desk.calls(s.reading("b", input=1))
    made = [each for each in work if each is not None]
    assert [(each.file, each.readings) for each in made] == [(FILE, 1)]
    assert desk.verify() == [(FILE, "behind", "info")]
    assert [(each.file, each.readings) for each in desk.archive()] == [("readings-2026-09-21.2.parquet", 2)]


def test_folders_that_cannot_be(desk, tmp_path):
    desk.calls(s.reading("a", input=1_000))
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "odd[1]"):
        refused("archive_folder", desk.archive, folder=folder)
    assert s.table(desk.engine, "archives", "id") == []


def test_a_bill_can_be_rated_again_from_the_files(desk):
    desk.calls(*model.traffic(random.Random(11), 200))
    end = D0 + DAY
    refused("archive_missing", recompute, desk.engine, desk.folder.parent, "acme", D0, end)
    desk.archive()
    assert recompute(desk.engine, desk.folder, "acme", D0, end) == []
    assert recompute(desk.engine, desk.folder, "zenith", D0, end) == []
    assert recompute(desk.engine, desk.folder, "zenith", D0 - 9 * DAY, D0) == []
    for account in (s.ACME, s.ZENITH):
        charged = {}
        for row in desk.rows(account=account):
            if row["paid_charge_nano"] is not None:
                currency = row["paid_charge_currency"]
                charged[currency] = charged.get(currency, 0) + row["paid_charge_nano"]
        assert charged == {total.currency: total.nano for total in bill(desk.engine, account, D0, end).totals}
    tamper(desk.engine, "price_rows", "UPDATE price_rows SET body = replace(body, '\"3\"', '\"4\"') WHERE id = 1")
    assert {found.say[:8] for found in recompute(desk.engine, desk.folder, "acme", D0, end)} == {"archived"}


def test_charges_that_rules_made_are_rated_again_with_their_rules(desk):
    with store.writing(desk.engine) as connection:
        rules = {"minimum_nano": 50_000, "allowance_nano": 20_000, "discounts": [{"from_nano": 0, "ppm": 100_000}]}
        body = json.dumps(rules)
        connection.execute(tables.tariff_rules.insert().values(tariff_id=s.STANDARD, from_ns=0, body=body))
    desk.calls(
        *(s.reading(f"c{number}", input=number) for number in (1, 10, 100)), s.reading("d", input=9, charge_max=7)
    )
    desk.calls(s.reading("e", input=70, **NO_PRICE))
    assert len(resettle(desk.engine, cost_price=s.USD_PRICE).settled) == 1
    desk.archive()
    rows = desk.rows()
    assert {row["discount_ppm"] for row in rows} == {100_000}
    assert sum(row["allowance_nano"] for row in rows) == 20_000
    assert [row["paid_charge_nano"] for row in rows if row["call"] == "d"] == [7]
    assert recompute(desk.engine, desk.folder, "acme", D0, D0 + DAY) == []
    assert desk.verify() == []


def test_rows_are_held_a_batch_at_a_time(desk, monkeypatch):
    """What Python holds; DuckDB has a limit of its own. Both days are more than one read of the database (1,000)."""
    monkeypatch.setattr("baseload.ledger.archive.BATCH_ROWS", 100)
    desk.calls(*(s.reading(f"c{number}", input=1, accepted_ns=D0 + number) for number in range(3_000)))
    desk.calls(*(s.reading(f"d{number}", input=1, accepted_ns=D0 + DAY + number) for number in range(1_200)))
    peaks = []
    for start in (D0 + DAY, D0):
        tracemalloc.start()
        archive(desk.engine, start, start + DAY, desk.folder, "test")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.8 * peaks[0]  # of two and a half times as many
    found = duckdb.sql(f"SELECT DISTINCT compression FROM parquet_metadata('{desk.folder / FILE}')").fetchall()
    assert found == [("ZSTD",)]


def test_duckdb_is_loaded_only_when_it_is_needed():
    code = "import baseload.ledger.archive, baseload.ledger.archive_check, sys; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
