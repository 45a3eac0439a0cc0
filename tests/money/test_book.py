"""Price files: what loads, and what a person is told about what does not."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.money.support import all_shipped, calendars, instant_ns, shipped

from baseload.errors import Refusal
from baseload.money.book import (
    BadPriceFile,
    check_overlaps,
    load_book,
    load_calendars,
    read_book,
    rows_in_force,
)
from baseload.money.price import PriceRow, row_key

GOOD = """\
# line 1
[vendor]
name = "acme"
currency = "USD"
tz = "Asia/Shanghai"

[source.page]
what = "acme.example/pricing"
read = 2026-11-20

[window.peak]
tz = "Asia/Shanghai"
days = ["mon", "tue"]
spans = [["09:00", "12:00"], ["14:00", "24:00"]]
except = "feast"

[calendar.feast]
dates = [2026-10-01]

[rule.batch]
when = { batch = true }
multiply = { tokens = "0.5" }

[[price]]
model = "acme-1"
also = ["acme-one"]
to = 2026-06-01T00:00:00+08:00
kind = "history"
source = "page"
rate = { input = "2", output = "8" }

[[price]]
model = "acme-1"
from = 2026-06-01T00:00:00+08:00
source = "page"
read = 2026-11-21
confidence = "medium"
note = "as printed"
max_input = 1000000
edge_doubt = true
deprecated = 2027-01-01
consent = "training"
rate = { input = "1", cache_read = "0.1", output = "4" }
use = ["batch"]
  [[price.rule]]
  when = { input_over = 128000, tier = ["standard", "flex"], window = "peak" }
  set = { output = "6" }

[[price]]
model = "acme-1"
scope = "cn"
currency = "CNY"
rate = { input = "7" }
"""


def test_a_row_holds_everything_it_needs():
    old, new, cn = load_book(GOOD)
    assert (old.book, old.vendor, old.model, old.also, old.scope) == (
        "cost:acme",
        "acme",
        "acme-1",
        ("acme-one",),
        "global",
    )
    assert (old.from_ns, old.to_ns) == (0, instant_ns("2026-05-31T16:00:00Z"))
    assert (old.source, old.read, old.confidence, old.kind) == ("acme.example/pricing", "2026-11-20", "high", "history")
    assert (new.from_ns, new.to_ns, new.read, new.max_input) == (old.to_ns, 0, "2026-11-21", 1_000_000)
    assert (new.consent, new.edge_doubt, new.deprecated, new.note) == ("training", True, "2027-01-01", "as printed")
    assert [rule.name for rule in new.rules] == ["", "batch"]  # its own first, then the shared ones
    own, shared = new.rules
    assert own.when.tier == ("default", "flex")  # canonical spelling
    assert own.when.window is not None
    assert own.when.window.except_dates == ("2026-10-01",)
    assert shared.multiply == {"tokens": "0.5"}
    assert (cn.scope, cn.currency, cn.rate) == ("cn", "CNY", {"input": "7"})


def test_a_row_travels_as_json_and_as_msgpack():
    for row in [*load_book(GOOD), *all_shipped()]:
        assert msgspec.json.decode(msgspec.json.encode(row), type=PriceRow) == row
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=PriceRow) == row


def test_the_first_member_of_a_stored_row_is_its_id():
    row = msgspec.structs.replace(load_book(GOOD)[0], id=7)
    assert msgspec.json.encode(row).startswith(b'{"id":7,')
    assert PriceRow.__struct_fields__[0] == "id"


def test_the_same_row_has_the_same_key_and_another_one_has_not():
    rows = load_book(GOOD)
    assert [row_key(row) for row in rows] == [row_key(row) for row in load_book(GOOD)]
    assert len({row_key(row) for row in all_shipped()}) == len(all_shipped())
    row = rows[1]
    assert row_key(msgspec.structs.replace(row, id=99)) == row_key(row)
    assert re.fullmatch(r"[0-9a-f]{64}", row_key(row))
    assert row_key(msgspec.structs.replace(row, rate=dict(reversed(row.rate.items())))) == row_key(row)
    for change in ({"to_ns": 1}, {"rate": {"input": "1"}}, {"rules": ()}, {"book": "tariff:x"}, {"currency": "EUR"}):
        assert row_key(msgspec.structs.replace(row, **change)) != row_key(row)


def test_rows_in_force_is_half_open():
    rows = load_book(GOOD)
    border = rows[0].to_ns
    assert rows_in_force(rows, "acme-1", "global", border - 1) == [rows[0]]
    assert rows_in_force(rows, "acme-1", "global", border) == [rows[1]]
    assert rows_in_force(rows, "acme-one", "global", border - 1) == [rows[0]]
    assert rows_in_force(rows, "acme-one", "global", border) == []
    assert rows_in_force(rows, "acme-1", "cn", border) == [rows[2]]
    assert rows_in_force(rows, "acme-1", "intl", border) == []
    assert rows_in_force(rows, "acme-2", "global", border) == []


def test_a_tariff_file():
    text = '[tariff]\nname = "retail"\ncurrency = "EUR"\n[[price]]\nmodel = "chat-small"\nrate = { input = "1" }\n'
    (row,) = load_book(text)
    assert (row.book, row.vendor, row.currency) == ("tariff:retail", "", "EUR")
    assert load_book(text, book="tariff:trial")[0].book == "tariff:trial"


def test_a_parsed_table_loads_too():
    data = {"vendor": {"name": "lab", "currency": "EUR"}, "price": [{"model": "m", "rate": {"input": "0.5"}}]}
    assert read_book(data)[0].rate == {"input": "0.5"}
    data["price"][0]["rate"] = {"input": 0.5}
    with pytest.raises(BadPriceFile, match="number with a point"):
        read_book(data, file="baseload.toml")


def test_files_of_every_kind_of_trouble(tmp_path: Path):
    with pytest.raises(BadPriceFile, match=r"none\.toml: cannot be read"):
        load_book(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(BadPriceFile, match="not UTF-8"):
        load_book(binary)
    broken = tmp_path / "broken.toml"
    broken.write_text("[vendor\n")
    with pytest.raises(BadPriceFile, match=r"broken\.toml: not TOML: .*line 1"):
        load_book(broken)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(GOOD.replace('output = "4"', 'outptu = "4"'))
    with pytest.raises(BadPriceFile) as caught:
        load_book(wrong)
    assert str(caught.value) == (
        f'{wrong}:43: row "acme-1" (global), field rate.outptu: There is no meter "outptu". Did you mean "output"?'
    )


WRONG: list[tuple[str, str, str, str, str]] = [
    # what to replace, by what, the line that is named, the field, a word of the message
    ('currency = "USD"\n', 'currncy = "USD"\n', "currncy", "currncy", 'Did you mean "currency"'),
    ('name = "acme"', 'name = ""', "", "name", "`name` is missing"),
    ('currency = "USD"', 'currency = "usd"', "usd", "currency", "three capital letters"),
    ('currency = "USD"', "", "", "currency", "has no currency"),
    ('tz = "Asia/Shanghai"\n\n', 'tz = "Asia/Shangai"\n\n', "Shangai", "tz", "no time zone"),
    ('what = "acme.example/pricing"', "what = 5", "what = 5", "what", "not text"),
    ("read = 2026-11-20", 'read = "yesterday"', "yesterday", "read", "2026-11-24"),
    ('days = ["mon", "tue"]', 'days = ["mon", "tues"]', "tues", "days", "no weekday"),
    ('days = ["mon", "tue"]', "days = []", "days = []", "days", "no days"),
    ('["09:00", "12:00"]', '["09:00", "25:00"]', "25:00", "spans", "no time of day"),
    ('["09:00", "12:00"]', '["12:00", "12:00"]', '"12:00", "12:00"', "spans", "ends before"),
    ('["09:00", "12:00"]', '"09:00-12:00"', "09:00-12:00", "spans", "pair of times"),
    ('except = "feast"', 'except = "feasts"', "feasts", "except", 'Did you mean "feast"'),
    ("dates = [2026-10-01]", 'dates = ["2026-10-01"]', '["2026-10-01"]', "dates", "list of dates"),
    ("when = { batch = true }", 'when = { batch = "yes" }', 'batch = "yes"', "batch", "true or false"),
    ("when = { batch = true }", "when = { batsh = true }", "batsh", "batsh", 'Did you mean "batch"'),
    ("when = { batch = true }", 'when = { tier = "batch" }', 'tier = "batch"', "tier", "batch = true"),
    ('multiply = { tokens = "0.5" }', 'multiply = { tokns = "0.5" }', "tokns", "multiply.tokns", "tokens"),
    ('multiply = { tokens = "0.5" }', 'multiply = { tokens = "half" }', "half", "multiply.tokens", "not a decimal"),
    ('multiply = { tokens = "0.5" }', "", "[rule.batch]", "", "changes nothing"),
    ('model = "acme-1"\nalso', "also", "[[price]]", "", "`model` is missing"),
    ('also = ["acme-one"]', 'also = "acme-one"', 'also = "acme-one"', "also", "list of texts"),
    ('kind = "history"', 'kind = "old"', '"old"', "kind", "list, promo, history, surcharge"),
    ("to = 2026-06-01T00:00:00+08:00", "", 'kind = "history"', "kind", "has ended"),
    ("to = 2026-06-01T00:00:00+08:00", "to = 2026-06-01T00:00:00", "to = 2026-06-01T00:00:00", "to", "with a zone"),
    ("to = 2026-06-01T00:00:00+08:00", "to = 2026-06-01", "to = 2026-06-01", "to", "with a zone"),
    (
        "from = 2026-06-01T00:00:00+08:00",
        "from = 2026-05-31T15:59:59Z",
        "from = 2026-05-31",
        "from",
        "at the same time",
    ),
    (
        "from = 2026-06-01T00:00:00+08:00",
        "from = 2026-06-01T00:00:00+08:00\nto = 2026-06-01T00:00:00+08:00",
        "to = 2026-06-01T00:00:00+08:00",
        "to",
        "not before",
    ),
    ('source = "page"\nread', 'source = "pgae"\nread', "pgae", "source", 'Did you mean "page"'),
    ('confidence = "medium"', 'confidence = "sure"', "sure", "confidence", "high, medium, low"),
    ("max_input = 1000000", "max_input = 1e6", "1e6", "max_input", "whole number"),
    ("max_input = 1000000", "max_input = true", "max_input = true", "max_input", "whole number"),
    ("edge_doubt = true", 'edge_doubt = "yes"', "edge_doubt", "edge_doubt", "true or false"),
    ('cache_read = "0.1"', 'cache_read = "-0.1"', "-0.1", "rate.cache_read", "negative"),
    ('cache_read = "0.1"', "cache_read = 0.1", "cache_read = 0.1", "rate.cache_read", 'Write cache_read = "0.1"'),
    ('cache_read = "0.1"', 'cache_read = "1e-1"', "1e-1", "rate.cache_read", "not a decimal"),
    ('cache_read = "0.1"', 'cache_reed = "0.1"', "cache_reed", "rate.cache_reed", 'Did you mean "cache_read"'),
    ('use = ["batch"]', 'use = ["btach"]', "btach", "use", 'Did you mean "batch"'),
    ("input_over = 128000", "input_over = 128_000.0", "128_000.0", "input_over", "whole number"),
    ("input_over = 128000", "input_over = -1", "input_over = -1", "input_over", "whole number"),
    ("input_over = 128000", "input_above = 128000", "input_above", "input_above", 'Did you mean "input_over"'),
    ('window = "peak"', 'window = "peek"', "peek", "window", 'Did you mean "peak"'),
    ('set = { output = "6" }', 'ste = { output = "6" }', "ste", "ste", 'Did you mean "set"'),
    ('set = { output = "6" }', "set = {}", "set = {}", "set", "table of rates"),
    ('rate = { input = "7" }', "", "[[price]]", "", "`rate` is missing"),
    ('rate = { input = "7" }', 'rate = "7"', 'rate = "7"', "rate", "table of rates"),
    ('scope = "cn"\n', "", "", "model", "at the same time"),
    ("[calendar.feast]", "[calender.feast]", "", "calender", 'Did you mean "calendar"'),
]


@pytest.mark.parametrize(
    ("old", "new", "at", "field", "word"), WRONG, ids=[f"{index}-{row[3]}" for index, row in enumerate(WRONG)]
)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, at: str, field: str, word: str):
    assert old in GOOD
    text = GOOD.replace(old, new)
    with pytest.raises(BadPriceFile) as caught:
        load_book(text)
    refusal = caught.value
    assert isinstance(refusal, Refusal)
    assert refusal.field == field
    assert word in f"{refusal.say} {refusal.fix}"
    assert refusal.fix or "true or false" in refusal.say
    if at:
        assert refusal.line is not None
        assert at in text.splitlines()[refusal.line - 1], str(refusal)
        assert refusal.say.startswith(f"<prices>:{refusal.line}:")


def test_a_file_without_vendor_or_tariff_or_with_both():
    for text in ("", '[vendor]\nname="a"\n[tariff]\nname="b"\n'):
        with pytest.raises(BadPriceFile, match="either of a vendor or of a tariff"):
            load_book(text)


def test_a_ratio_needs_the_input_rate():
    text = '[vendor]\nname = "a"\ncurrency = "USD"\n[rule.r]\nratio = { cache_read = "0.1" }\n'
    row = '[[price]]\nmodel = "m"\nuse = ["r"]\nrate = { output = "1" }\n'
    with pytest.raises(BadPriceFile, match="takes a ratio"):
        load_book(text + row)


def test_overlaps_are_found_over_several_files():
    rows = load_book(GOOD)
    check_overlaps(rows)
    check_overlaps([*rows, *(msgspec.structs.replace(row, book="tariff:x") for row in rows)])
    with pytest.raises(BadPriceFile, match=r"Two rows of cost:acme price acme-1 \(global\)"):
        check_overlaps([*rows, rows[1]])
    fee = msgspec.structs.replace(rows[1], kind="surcharge")
    check_overlaps([*rows, fee])
    with pytest.raises(BadPriceFile):
        check_overlaps([*rows, fee, fee])


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=5)


@given(SPANS)
def test_rows_that_load_leave_one_price_an_instant(spans: list[tuple[int, int]]):
    rows = [
        PriceRow(
            book="cost:x", model="m", currency="USD", rate={"input": "1"}, from_ns=start, to_ns=end, note=str(index)
        )
        for index, (start, end) in enumerate(spans)
        if end == 0 or start < end
    ]
    most = max((len(rows_in_force(rows, "m", "global", at_ns)) for at_ns in range(32)), default=0)
    if most > 1:
        with pytest.raises(BadPriceFile):
            check_overlaps(rows)
    else:
        check_overlaps(rows)


def test_lesson_28_prices_stay_in_the_currency_they_were_quoted_in():
    (cny,) = rows_in_force(shipped("zhipu"), "glm-5.3", "cn", instant_ns("2026-11-20T00:00:00Z"))
    (usd,) = rows_in_force(shipped("zhipu"), "glm-5.3", "intl", instant_ns("2026-11-20T00:00:00Z"))
    assert (cny.currency, cny.rate["input"], usd.currency, usd.rate["input"]) == ("CNY", "8", "USD", "1.4")


def test_the_shipped_calendar():
    assert "2026-10-01" in calendars()["cn-holidays"]
    assert load_calendars("[calendar.x]\ndates = [2026-01-02]\n") == {"x": ("2026-01-02",)}
