"""Reconciliation: a vendor's file made from the true usage, with every fault planted; exactly those are found."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from baseload.errors import Refusal
from baseload.ledger.check import check
from baseload.ledger.reconcile import book, formats
from baseload.ledger.reconcile.formats import DAY_NS, BadStatement
from baseload.ledger.settle import Settler
from tests.ledger.support import SECOND, balances, configure, journal, reading

DAY = 1_790_000_000_000_000_000 // DAY_NS * DAY_NS
IN, OUT = 1_000, 3_000  # nano-units a token
MAPPING = b"""
day = "day"
model = "model"
request = "request"
amount = "amount"
currency = "USD"
[meters]
input = "input"
output = "output"
"""


def made(seed: int, count: int = 2_000) -> list[Any]:
    """True usage over three days, far from midnight."""
    chance = random.Random(seed)
    entries = []
    for number in range(count):
        at_ns = DAY + chance.randrange(3) * DAY_NS + chance.randrange(3_600, 80_000) * SECOND
        entries.append(
            reading(
                f"c{number}", input=chance.randrange(1, 2_000), output=chance.randrange(1, 500), accepted_ns=at_ns,
                end_ns=at_ns + SECOND, upstream_id=f"req-{number}",
            )
        )  # fmt: skip
    return entries


def row(entry: Any, *, request: bool = True, factor: int = 1, day_ns: int = 0) -> dict[str, Any]:
    tokens = entry.meters["input_uncached"], entry.meters["output_total"]
    day = day_ns or entry.accepted_ns - entry.accepted_ns % DAY_NS
    nano = (tokens[0] * IN + tokens[1] * OUT) * factor
    return {
        "day": str(day // 10**9), "model": "small", "request": entry.upstream_id if request else "",
        "input": tokens[0], "output": tokens[1], "nano": nano,
    }  # fmt: skip


def csv_of(rows: list[dict[str, Any]]) -> bytes:
    from datetime import UTC, datetime

    out = ["day,model,request,input,output,amount"]
    for one in rows:
        day = datetime.fromtimestamp(int(one["day"]), UTC).date().isoformat()
        out.append(f"{day},{one['model']},{one['request']},{one['input']},{one['output']},{one['nano'] / 10**9:.9f}")
    return "\n".join(out).encode()


def settle(engine: Engine, tmp_path: Path, entries: list[Any]) -> None:
    configure(engine)
    journal(tmp_path / "g1", *entries)
    Settler(engine).drain(tmp_path / "g1", "g1")


def keep(engine: Engine, data: bytes, mapping: bytes = MAPPING) -> int:
    lines = formats.read("custom", data, mapping)
    return book.keep(engine, "vendor", "custom", data, lines, actor="t", now_ns=1)[0]


def payable(engine: Engine) -> int:
    return -balances(engine).get("payable:1:USD", 0)


def test_lesson_49_every_planted_fault_is_found_by_request_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    entries = made(1)
    chance = random.Random(2)
    lost, double_there, double_here, unbilled, guessed, dearer = (
        set(part) for part in zip(*[iter(chance.sample(range(2_000), 120))] * 20, strict=True)
    )
    late = [
        replace(entries[n], accepted_ns=DAY + DAY_NS - 5 * SECOND, end_ns=DAY + DAY_NS + 5 * SECOND)
        for n in range(1_990, 2_000)
        if n not in lost | double_there | double_here | unbilled | guessed | dearer
    ]
    for one in late:
        entries[int(one.call[1:])] = one
    ours, theirs = [], []
    for number, entry in enumerate(entries):
        is_late = entry in late
        factor = 2 if number in dearer else 1
        if number not in unbilled:
            theirs.append(row(entry, factor=factor, day_ns=DAY + DAY_NS if is_late else 0))
        if number in double_there:
            theirs.append(row(entry))
        if number in lost:
            continue
        if number in guessed:
            entry = replace(entry, meters={"input_uncached": 7, "output_total": 7}, output_provenance="estimated")
        ours.append(entry)
        if number in double_here:
            ours.append(replace(entry, call=f"{entry.call}-again"))
    settle(engine, tmp_path, ours)
    statement = keep(engine, csv_of(theirs))
    found = book.findings(engine, statement)
    assert Counter(one.kind for one in found) == {
        "missing_here": 20, "double_there": 20, "double_here": 20, "missing_there": 20, "estimated": 20,
        "price_changed": 20,
    }  # fmt: skip
    wanted = {f"req-{number}" for number in lost}
    assert {one.request for one in found if one.kind == "missing_here"} == wanted
    # approved, the book owes what the vendor bills, to the nano-unit
    total = sum(one["nano"] for one in theirs)
    assert payable(engine) + sum(one.nano for one in found) == total
    some = [one.key for one in found if one.kind == "missing_here"]
    assert len(book.approve(engine, statement, some, actor="t", now_ns=1)) == 20
    assert book.approve(engine, statement, some, actor="t", now_ns=1) == []
    book.approve(engine, statement, [one.key for one in found], actor="t", now_ns=1)
    assert payable(engine) == total
    assert [one for one in check(engine) if one.severity == "error"] == []


def test_sums_of_days_show_what_is_lost_and_what_is_double(engine: Engine, tmp_path: Path) -> None:
    entries = made(3, 300)
    theirs = [row(entry, request=False) for entry in entries]
    days = [DAY + number * DAY_NS for number in range(3)]
    by_day = {day: [e for e in entries if e.accepted_ns // DAY_NS * DAY_NS == day] for day in days}
    lost, again = by_day[days[0]][0], by_day[days[1]][0]
    ours = [entry for entry in entries if entry is not lost] + [replace(again, call="again", upstream_id="x")]
    settle(engine, tmp_path, ours)
    mapping = MAPPING.replace(b'request = "request"\n', b"")
    statement = keep(engine, csv_of(theirs), mapping)
    found = {one.day_ns: one for one in book.findings(engine, statement)}
    assert {day: one.kind for day, one in found.items()} == {days[0]: "missing_here", days[1]: "missing_there"}
    assert found[days[0]].tokens == {
        "input": lost.meters["input_uncached"], "output": lost.meters["output_total"]
    }  # fmt: skip
    book.approve(engine, statement, [one.key for one in found.values()], actor="t", now_ns=1)
    assert payable(engine) == sum(one["nano"] for one in theirs)


def test_a_file_is_imported_once_and_a_wrong_one_not_at_all(engine: Engine, tmp_path: Path) -> None:
    settle(engine, tmp_path, made(4, 3))
    data = csv_of([row(entry) for entry in made(4, 3)])
    lines = formats.read("custom", data, MAPPING)
    first = book.keep(engine, "vendor", "custom", data, lines, actor="t", now_ns=1)
    assert book.keep(engine, "vendor", "custom", data, lines, actor="t", now_ns=2) == (first[0], False)
    assert book.findings(engine, first[0]) == []
    with pytest.raises(Refusal, match="no provider"):
        book.keep(engine, "nobody", "custom", data, lines, actor="t", now_ns=1)
    for wrong, say in (
        (data.replace(b"amount", b"price", 1), "columns amount"),
        (data + b"\nyesterday,small,x,1,1,1", "Line 5"),
        (data + b"\n2026-09-21,small,x,1,1,a lot", "no amount"),
        (b"\xff\xfe", "not UTF-8"),
    ):
        with pytest.raises(BadStatement, match=say):
            formats.read("custom", wrong, MAPPING)
    with pytest.raises(BadStatement, match="no format"):
        formats.read("nonsense", data)


def test_the_vendors_own_formats() -> None:
    usage = {"data": [{"start_time": DAY // 10**9, "results": [
        {"input_tokens": 100, "input_cached_tokens": 40, "output_tokens": 7, "num_model_requests": 2, "model": "gpt",
         "api_key_id": "key_1"}]}]}  # fmt: skip
    [line] = formats.read("openai-usage", json.dumps(usage).encode())
    assert (line.day_ns, line.model, line.credential) == (DAY, "gpt", "key_1")
    assert line.meters == {"input": 60, "cache_read": 40, "output": 7, "requests": 2}
    costs = (
        b'{"data":[{"start_time":%d,"results":[{"amount":{"value":0.06,"currency":"usd"},"line_item":"gpt, input"}]}]}'
    )
    [line] = formats.read("openai-costs", costs % (DAY // 10**9))
    assert (line.nano, line.currency, line.model) == (60_000_000, "USD", "gpt")
    claude = {"data": [{"starting_at": "2026-11-01T00:00:00Z", "results": [
        {"uncached_input_tokens": 5, "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
         "cache_read_input_tokens": 4, "output_tokens": 6, "model": "claude", "api_key_id": None}]}]}  # fmt: skip
    [line] = formats.read("anthropic-usage", json.dumps(claude).encode())
    assert line.meters == {"input": 5, "cache_read": 4, "cache_write": 5, "output": 6}
    cents = {"data": [{"starting_at": "2026-11-01T00:00:00Z", "results": [{"amount": "123.45", "currency": "USD"}]}]}
    [line] = formats.read("anthropic-cost", json.dumps(cents).encode())
    assert line.nano == 1_234_500_000
    deepseek = "utc_date,model,api_key_name,type,price,amount\n2026-11-01,v4,k,output_tokens,0.000003,1000\n"
    [line] = formats.read("deepseek-usage", deepseek.encode())
    assert (line.nano, line.currency, line.meters) == (3_000_000, "CNY", {"output": 1000})
    aws = (
        "lineItem/UsageStartDate,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageAmount,lineItem/UnblendedCost,"
        "lineItem/CurrencyCode\n2026-11-01T05:00:00Z,AmazonBedrock,USE1-Nova-output-tokens,1.5,0.0048,USD\n"
        "2026-11-01T05:00:00Z,AmazonEC2,Box,1,1,USD\n"
    )
    [line] = formats.read("aws-cur", aws.encode())
    assert (line.meters, line.nano) == ({"output": 1500}, 4_800_000)
