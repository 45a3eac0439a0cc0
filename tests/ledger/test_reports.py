"""What is read from the book: bills, usage, calls, exports. Each is held against something computed another way."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from sqlalchemy import event, text

from baseload import store
from baseload.errors import Refusal
from baseload.gateway.journal.entries import Reading
from baseload.ledger.bills import bill, recompute
from baseload.ledger.calls import call, recent
from baseload.ledger.export import COLUMNS, FORMATS, export
from baseload.ledger.settle import Settler
from baseload.ledger.texts import decimal, instant, moneys
from baseload.ledger.usage import BY, usage
from baseload.money.amount import Amount
from tests.ledger import model
from tests.ledger import support as s


@pytest.fixture
def grid(engine, tmp_path):
    """A settled journal of 200 calls, one a second from T0; returns (engine, entries)."""
    s.configure(engine)
    entries = model.traffic(random.Random(11), 200)
    s.journal(tmp_path / "g1", *entries)
    Settler(engine).drain(tmp_path / "g1", "g1")
    return engine, entries


def settle(engine, tmp_path, *entries):
    s.journal(tmp_path / "g1", *entries)
    return Settler(engine).drain(tmp_path / "g1", "g1")


# -- bills ---------------------------------------------------------------------------------------------------------


def test_a_bill_is_the_sum_of_its_lines_and_of_the_receivables_to_the_digit(grid):
    engine, entries = grid
    balances, _ = model.books(entries)
    for account, name in ((s.ACME, "acme"), (s.ZENITH, "zenith")):
        found = bill(engine, name, s.T0, s.T0 + s.HOUR)
        assert (found.account, found.account_name, found.adjustments) == (account, name, [])
        for total in found.totals:
            lines = [line for line in found.lines if line.currency == total.currency]
            assert total.nano == sum(line.charge_nano for line in lines)
            assert total.nano == balances.get(f"receivable:{account}:{total.currency}", 0)
            assert total.nano == sum(Amount.parse(f"{line.charge} {line.currency}").nano for line in lines)
        assert recompute(engine, name, s.T0, s.T0 + s.HOUR) == []


def test_the_line_of_a_bill_counts_what_the_readings_counted(engine, tmp_path):
    s.configure(engine)
    meters = {"input_uncached": 10, "cache_read": 20, "output_total": 5, "reasoning": 3}
    settle(engine, tmp_path, s.reading("c1", meters=meters), s.reading("c1", 2, meters=meters))
    (line,) = bill(engine, s.ACME, s.T0, s.T0 + 1).lines
    assert (line.model, line.offer_name, line.calls, line.attempts) == ("small", "small@usd", 1, 2)
    assert line.meters == {"input": 20, "cache_read": 40, "output": 10, "reasoning": 6}
    assert (line.cost_nano, line.charge_nano, line.cost, line.charge) == (54_000, 59_400, "0.000054", "0.0000594")


def test_a_period_is_half_open_by_the_arrival_of_the_call(engine, tmp_path):
    s.configure(engine)
    late = {"end_ns": s.T0 + s.HOUR}
    settle(engine, tmp_path, *(s.reading(f"c{at}", input=1, accepted_ns=s.T0 + at, **late) for at in (-1, 0, 9, 10)))
    found = bill(engine, s.ACME, s.T0, s.T0 + 10)
    assert [line.calls for line in found.lines] == [2]
    borders = [s.T0 - 5, s.T0, s.T0 + 10, s.T0 + 99]
    parts = [bill(engine, s.ACME, start, end) for start, end in pairwise(borders)]
    assert sum(part.totals[0].nano for part in parts) == s.balances(engine)["receivable:1:USD"]


def test_a_bill_can_be_asked_for_again_as_it_was(engine, tmp_path):
    s.configure(engine)
    settle(engine, tmp_path, s.reading("c1", input=100), s.reading("c2", s.CNY_PRICE, input=1, cost_price=99))
    first = bill(engine, s.ACME, s.T0, s.T0 + s.HOUR)
    assert (first.unpriced, first.unmetered) == (1, 0)
    settle(engine, tmp_path, s.reading("late", input=100))
    assert bill(engine, s.ACME, s.T0, s.T0 + s.HOUR).totals[0].nano == 2 * first.totals[0].nano
    assert bill(engine, s.ACME, s.T0, s.T0 + s.HOUR, upto=first.last_transaction) == first


def test_nobody_is_billed_for_somebody_else_or_for_nothing(grid):
    engine, _ = grid
    assert bill(engine, s.ACME, s.T0 - s.HOUR, s.T0).totals == []
    for account in (99, "nobody", "acme' OR '1'='1"):
        with pytest.raises(Refusal) as caught:
            bill(engine, account, s.T0, s.T0 + s.HOUR)
        assert caught.value.code == "account_not_found"


def test_recompute_finds_an_amount_that_was_changed(grid):
    """Someone with the owner's rights takes the triggers away and changes the book."""
    engine, _ = grid
    which = "SELECT min(id) FROM readings WHERE state = 'settled' AND account = 1"
    tamper(engine, "readings", f"UPDATE readings SET charge_nano = charge_nano + 1 WHERE id = ({which})")
    (found,) = recompute(engine, s.ACME, s.T0, s.T0 + s.HOUR)
    assert "computed" in found.say
    assert recompute(engine, s.ZENITH, s.T0, s.T0 + s.HOUR) == []


def tamper(engine, table, statement):
    with store.writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            for verb in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER {table}_no_{verb}"))
        else:
            connection.execute(text(f"DROP TRIGGER {table}_append_only ON {table}"))
        assert connection.execute(text(statement)).rowcount > 0


# -- usage ---------------------------------------------------------------------------------------------------------


def test_usage_adds_up_to_the_readings_however_it_is_grouped(grid):
    engine, entries = grid
    balances, counts = model.books(entries)
    attempts = sum(counts[state] for state in ("settled", "no_usage", "unmetered", "unpriced"))
    readings = {(entry.call, entry.attempt): entry for entry in entries if isinstance(entry, Reading)}
    output = sum(entry.meters.get("output_total", 0) for entry in readings.values())
    money = {"cost": "cost:", "charge": "receivable:"}
    for by in [(name,) for name in BY] + [("account", "model"), ("day", "offer", "outcome"), ()]:
        rows = usage(engine, s.T0, s.T0 + s.HOUR, by=by).rows
        assert len({tuple(row.group.values()) for row in rows}) == len(rows)
        assert (sum(row.attempts for row in rows), sum(row.output for row in rows)) == (attempts, output), by
        for state in ("no_usage", "unmetered", "unpriced"):
            assert sum(getattr(row, state) for row in rows) == counts[state]
        for currency in ("USD", "CNY", "EUR"):
            for kind, code in money.items():
                expected = [nano for at, nano in balances.items() if at.startswith(code) and at.endswith(currency)]
                assert sum(getattr(row, kind).get(currency, 0) for row in rows) == sum(expected)


def test_usage_filters_and_names(grid):
    engine, _ = grid
    whole = usage(engine, s.T0, s.T0 + s.HOUR, by=("offer",))
    assert [row.group["offer"] for row in whole.rows] == ["small@usd", "small@cny", "small@own"]
    for row in whole.rows:
        one = usage(engine, s.T0, s.T0 + s.HOUR, by=("offer",), offer=row.ids["offer"])
        assert one.rows == [row]
    vendor = usage(engine, s.T0, s.T0 + s.HOUR, by=("provider",), provider=1)
    assert [row.group for row in vendor.rows] == [{"provider": "vendor"}]
    assert vendor.rows[0].attempts == whole.rows[0].attempts + whole.rows[1].attempts
    assert usage(engine, s.T0, s.T0 + s.HOUR, model="other", account=1, key=1).rows == []


def test_usage_says_which_time_it_covers(engine, tmp_path):
    s.configure(engine)
    settle(engine, tmp_path, *(s.reading(f"c{hour}", input=1, accepted_ns=s.T0 + hour * s.HOUR) for hour in range(4)))
    report = usage(engine, s.T0 + s.HOUR + 5, s.T0 + 2 * s.HOUR + 5, by=("hour",))
    assert (report.start_ns, report.end_ns) == (s.T0 + s.HOUR, s.T0 + 3 * s.HOUR)
    assert [row.group["hour"] for row in report.rows] == [
        instant(report.start_ns)[:13],
        instant(s.T0 + 2 * s.HOUR)[:13],
    ]


def test_usage_of_what_does_not_exist_is_refused(engine):
    with pytest.raises(Refusal, match="colour"):
        usage(engine, 0, 1, by=("colour",))


def test_lesson_58_bills_and_usage_read_by_an_index(grid):
    """The plan of every query of a bill and of usage: no table that grows with the traffic is scanned."""
    engine, _ = grid
    if engine.dialect.name != "sqlite":
        with store.reading(engine) as connection:  # PostgreSQL plans by size; here the indexes must at least be there
            found = connection.execute(text("SELECT indexname FROM pg_indexes")).scalars().all()
        assert {
            "ix_readings_account_accepted_ns",
            "ix_usage_hours_account_hour_ns",
            "ix_refusals_account_accepted_ns",
        } <= set(found)
        return
    seen = []

    def note(connection, cursor, statement, parameters, *_):
        if statement.lstrip().startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    bill(engine, s.ACME, s.T0, s.T0 + s.HOUR)
    usage(engine, s.T0, s.T0 + s.HOUR, by=("model",), account=s.ACME)
    usage(engine, s.T0, s.T0 + s.HOUR, by=("account",))
    call(engine, "c00003")
    recent(engine, account=s.ACME)
    event.remove(engine, "before_cursor_execute", note)
    assert len(seen) > 8
    growing = ("readings", "postings", "transactions", "usage_hours", "refusals", "open_holds", "cost", "charge")
    with store.reading(engine) as connection:
        for statement, parameters in seen:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            scans = [row[3] for row in plan if re.match(rf"SCAN ({'|'.join(growing)})\b(?!.*USING)", row[3])]
            assert scans == [], statement


# -- calls ---------------------------------------------------------------------------------------------------------


def test_a_call_explains_what_it_cost(engine, tmp_path):
    s.configure(engine)
    meters = {"input_uncached": 100, "cache_read": 50, "output_total": 20, "reasoning": 5}
    done = s.reading("c1", meters=meters, outcome="client_left", delivered_output=10)
    settle(engine, tmp_path, s.hold("c1"), done, s.hold("c1", 2))
    found = call(engine, "c1")
    assert (found["state"], found["account_name"], found["model"]) == ("running", "acme", "small")
    (attempt,) = found["attempts"]
    assert attempt["cost"] == {"nano": 165_000, "text": "0.000165", "currency": "USD"}
    assert attempt["charge"] == {"nano": 148_500, "text": "0.0001485", "currency": "USD"}
    lines = {line["meter"]: line for line in attempt["cost_lines"]}
    assert {meter: line["units"] for meter, line in lines.items()} == {"input": 100, "cache_read": 50, "output": 20}
    assert sum(Fraction(line["nano"]) for line in lines.values()) == 165_000
    assert {line["meter"]: line["units"] for line in attempt["charge_lines"]}["output"] == 10
    assert attempt["margin_ppm"] == 100_000
    assert attempt["charge_by"] == "cost plus margin"
    assert attempt["deciding_instant"] == "arrival"
    assert (attempt["accepted"], attempt["offer_name"]) == (instant(s.T0), "small@usd")
    assert (attempt["gateway"], attempt["input_provenance"], attempt["raw_usage"]) == (
        "g1",
        "reported",
        '{"prompt_tokens":1}',
    )
    assert [(line["debit"], line["credit"], line["nano"]) for line in attempt["postings"]] == [
        ("cost:1:USD", "payable:1:USD", 165_000),
        ("receivable:1:USD", "revenue:1:USD", 148_500),
    ]
    assert [(one["attempt"], one["hold"]["nano"]) for one in found["holds"]] == [(2, 5_000_000)]
    json.dumps(found)


def test_a_call_that_was_refused_or_never_seen(engine, tmp_path):
    s.configure(engine)
    settle(engine, tmp_path, s.refused("r1", code="model_not_found", status=404))
    found = call(engine, "r1")
    assert (found["state"], found["refusals"][0]["code"], found["attempts"]) == ("refused", "model_not_found", [])
    with pytest.raises(Refusal) as caught:
        call(engine, "never")
    assert (caught.value.code, caught.value.status) == ("call_not_found", 404)


def test_recent_calls_page_by_page_are_all_calls_once(grid):
    engine, _ = grid
    for account in (None, "acme"):
        ids, before = [], None
        while page := recent(engine, account=account, before=before, limit=17):
            ids += [row["reading"] for row in page]
            before = page[-1]["reading"]
            json.dumps(page)
        where = "" if account is None else "WHERE account = 1"
        assert ids == sorted((number for (number,) in s.table(engine, f"readings {where}", "id")), reverse=True)


# -- exports -------------------------------------------------------------------------------------------------------


def test_csv_and_jsonl_say_the_same_and_sum_to_zero(grid):
    engine, entries = grid
    rows = list(csv.DictReader(io.StringIO("".join(export(engine, "csv")))))
    lines = [msgspec.json.decode(line) for line in "".join(export(engine, "jsonl")).splitlines()]
    assert [[str(line[name]) for name in COLUMNS] for line in lines] == [
        [row[name] for name in COLUMNS] for row in rows
    ]
    balances: dict[str, int] = {}
    for row in rows:
        balances[row["ledger_account"]] = balances.get(row["ledger_account"], 0) + int(row["nano"])
        assert decimal(int(row["nano"])) == row["amount"]
    assert {code: nano for code, nano in balances.items() if nano} == model.books(entries)[0]
    for currency in ("USD", "CNY", "EUR"):
        assert sum(int(row["nano"]) for row in rows if row["currency"] == currency) == 0


def test_beancount_entries_balance(grid):
    engine, entries = grid
    text_ = "".join(export(engine, "beancount"))
    opened = set(re.findall(r"^1970-01-01 open (\S+) [A-Z]{3}$", text_, re.M))
    blocks = text_.split("\n\n")[1:]
    assert len(blocks) == model.books(entries)[1]["settled"]
    for block in blocks:
        sums: dict[str, Fraction] = {}
        for account, amount, currency in re.findall(r"^  ([A-Z]\S+)  (-?[0-9.]+) ([A-Z]{3})$", block, re.M):
            assert account in opened
            assert re.fullmatch(r"(Assets|Liabilities|Income|Expenses)(:[A-Z0-9][A-Za-z0-9-]*)+", account)
            sums[currency] = sums.get(currency, Fraction(0)) + Fraction(amount)
        assert sums
        assert set(sums.values()) == {0}


def test_an_export_of_a_time_has_that_time_only_and_comes_in_pieces(engine, tmp_path):
    s.configure(engine)
    settle(engine, tmp_path, *(s.reading(f"c{at}", input=1, accepted_ns=s.T0 + at) for at in range(700)))
    for format_ in FORMATS:
        pieces = list(export(engine, format_, s.T0 + 10, s.T0 + 690))
        assert len(pieces) > 3
        whole = "".join(pieces)
        assert '"c10' in whole or ",c10," in whole
        assert not re.search(r"\bc(9|690)\b", whole)
    with pytest.raises(Refusal, match="xlsx"):
        export(engine, "xlsx")


def test_names_that_hurt_are_written_safely(engine, tmp_path):
    s.configure(engine)
    with store.writing(engine) as connection:
        name = 'a"c,\n\\é me'
        connection.execute(text("UPDATE accounts SET name = :name WHERE id = 1"), {"name": name})
    settle(engine, tmp_path, s.reading('c"1\n2', input=1))
    rows = list(csv.DictReader(io.StringIO("".join(export(engine, "csv")))))
    assert {row["name"] for row in rows} == {name, "vendor"}
    beancount = "".join(export(engine, "beancount"))
    assert "Assets:Receivable:A1-a-c-me" in beancount
    assert '* "reading" "c\\"1 2/1"' in beancount


# -- texts ---------------------------------------------------------------------------------------------------------


def test_amounts_are_said_twice_and_exactly():
    assert [decimal(nano) for nano in (0, 1, -1, 10**9, 1_500_000_000, -123_456_789_012)] == [
        "0.00", "0.000000001", "-0.000000001", "1.00", "1.50", "-123.456789012",
    ]  # fmt: skip
    assert moneys({"USD": 5, "CNY": 1}) == [
        {"nano": 1, "text": "0.000000001", "currency": "CNY"},
        {"nano": 5, "text": "0.000000005", "currency": "USD"},
    ]
    assert instant(1) == "1970-01-01T00:00:00.000000001Z"
