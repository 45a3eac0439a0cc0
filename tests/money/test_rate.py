"""Rating against an independent second rating with Fractions, and what must hold for every row."""

from __future__ import annotations

import ast
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.money.support import NoPrice, all_shipped, instant_ns, oracle, per, shipped

import baseload.money
from baseload.errors import Defect
from baseload.money.book import load_book, rows_in_force
from baseload.money.price import METERS, PROMPT_METERS, UNIT_METERS, PriceRow, Rule, When
from baseload.money.rate import Unpriced, hold_rates, hold_units, rate, rate_nano

ROWS = all_shipped()
NOW = instant_ns("2026-11-20T03:00:00Z")
EDGES = sorted(
    {
        edge
        for row in ROWS
        for rule in row.rules
        for edge in (rule.when.input_over, rule.when.input_upto, rule.when.output_over)
        if edge is not None
    }
)

# Counts that sit on, below and above the edges of bands as often as anywhere else.
COUNTS = st.integers(0, 3_000) | st.sampled_from([edge + step for edge in EDGES for step in (-1, 0, 1)])
USAGE = st.dictionaries(st.sampled_from(METERS), COUNTS, max_size=6)
SELECT = st.fixed_dictionaries(
    {},
    optional={
        "tier": st.sampled_from(["", "default", "standard", "on_demand", "flex", "priority", "fast", "batch", "scale"]),
        "speed": st.sampled_from(["", "standard", "fast"]),
        "batch": st.booleans(),
        "geo": st.sampled_from(["", "global", "not_available", "us", "eu", "jp"]),
        "thinking": st.booleans(),
    },
)


def one(vendor: str, model: str, scope: str = "global", at_ns: int = NOW) -> PriceRow:
    (row,) = rows_in_force(shipped(vendor), model, scope, at_ns)
    return row


def instants(row: PriceRow) -> st.SearchStrategy[int]:
    return st.integers(row.from_ns or instant_ns("2025-01-01T00:00:00Z"), (row.to_ns or 2 * NOW) - 1)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_every_rating_equals_the_slow_one(data: st.DataObject):
    row = data.draw(st.sampled_from(ROWS))
    usage, select, at_ns = data.draw(USAGE), data.draw(SELECT), data.draw(instants(row))
    try:
        wanted = oracle(row, usage, select, at_ns)
    except NoPrice:
        with pytest.raises(Unpriced):
            rate_nano(row, usage, select, at_ns)
        with pytest.raises(Unpriced):
            rate(row, usage, select, at_ns)
        return
    rated = rate(row, usage, select, at_ns)
    assert rated.exact == wanted
    assert rated.nano == round(wanted) == rate_nano(row, usage, select, at_ns)
    # the explanation adds up, line by line
    assert sum((line.nano for line in rated.lines), Fraction(0)) == wanted
    for meter, units, text, nano in rated.lines:
        assert units == usage[meter]
        assert nano == Fraction(text) * units * 10**9 / per(meter)


DECIMALS = st.decimals(0, 1000, places=6).map(lambda number: f"{number:f}")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_made_up_rows_too(data: st.DataObject):
    """Rows no vendor has: many edges, rules in any order, factors with many places."""
    edge = st.integers(0, 40)
    when = st.builds(
        When,
        input_over=st.none() | edge,
        input_upto=st.none() | edge,
        output_over=st.none() | edge,
        output_upto=st.none() | edge,
        thinking=st.none() | st.booleans(),
        tier=st.sampled_from([(), ("flex",), ("default", "priority")]),
        batch=st.none() | st.booleans(),
    )
    rule = st.builds(
        Rule,
        when=when,
        set=st.dictionaries(st.sampled_from(METERS), DECIMALS, max_size=2),
        multiply=st.dictionaries(st.sampled_from(["tokens", *METERS]), DECIMALS, max_size=2),
        ratio=st.dictionaries(st.sampled_from(PROMPT_METERS[1:]), DECIMALS, max_size=1),
    )
    row = PriceRow(
        book="cost:x",
        vendor="x",
        model="m",
        currency="USD",
        rate={"input": data.draw(DECIMALS), **data.draw(st.dictionaries(st.sampled_from(METERS), DECIMALS))},
        rules=tuple(data.draw(st.lists(rule, max_size=6))),
    )
    usage = data.draw(st.dictionaries(st.sampled_from(METERS), st.integers(0, 30), max_size=5))
    select = data.draw(SELECT)
    try:
        wanted = oracle(row, usage, select, NOW)
    except NoPrice:
        with pytest.raises(Unpriced):
            rate_nano(row, usage, select, NOW)
        return
    assert rate_nano(row, usage, select, NOW) == round(wanted)
    assert rate(row, usage, select, NOW).exact == wanted


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_lesson_19_more_cache_hits_never_cost_more(data: st.DataObject):
    row = data.draw(st.sampled_from([row for row in ROWS if "cache_read" in row.rate]))
    at_ns = data.draw(instants(row))
    select = data.draw(st.sampled_from([{}, {"batch": True}, {"tier": "flex"}, {"tier": "priority"}, {"geo": "us"}]))
    prompt, output = data.draw(COUNTS), data.draw(st.integers(0, 5_000))
    fewer = data.draw(st.integers(0, prompt))
    more = data.draw(st.integers(fewer, prompt))

    def cost(hits: int) -> int:
        return rate_nano(row, {"input": prompt - hits, "cache_read": hits, "output": output}, select, at_ns)

    try:
        lines = {
            line.meter: Fraction(line.rate) for line in rate(row, {"input": 1, "cache_read": 1}, select, at_ns).lines
        }
    except Unpriced:
        with pytest.raises(Unpriced):
            cost(more)
        return
    assert lines["cache_read"] <= lines["input"], "a shipped list sells hits dearer than misses"
    if row.max_input and prompt > row.max_input:
        return
    assert cost(more) <= cost(fewer)


def test_lesson_16_a_write_replaces_the_input_charge():
    row = one("moonshot", "kimi-k3", "intl")
    assert rate_nano(row, {"cache_write_5m": 1_000_000}, {}, NOW) == 3 * 10**9  # not 6
    assert rate_nano(row, {"cache_write_1h": 1_000_000}, {}, NOW) == 6 * 10**9


def test_lesson_22_a_missing_price_is_named():
    with pytest.raises(Unpriced) as caught:
        rate_nano(one("openai", "gpt-5"), {"input": 1, "cache_write_30m": 7}, {}, NOW)
    assert caught.value.what == "cache_write_30m"
    assert "7 of cache_write_30m" in caught.value.say
    assert "gpt-5 (global) of cost:openai" in caught.value.say
    with pytest.raises(Unpriced) as caught:
        rate_nano(one("openai", "gpt-5-nano"), {"input": 1}, {"tier": "priority"}, NOW)
    assert caught.value.what == "tier=priority"
    assert 'tier = "priority"' in caught.value.fix
    with pytest.raises(Unpriced) as caught:
        rate_nano(one("openai", "gpt-5"), {"holograms": 2}, {}, NOW)
    assert caught.value.what == "holograms"
    with pytest.raises(Unpriced) as caught:
        rate_nano(one("openai", "gpt-5"), {"input": 1}, {"byok": True}, NOW)
    assert caught.value.what == "byok=True"


def test_lesson_24_the_border_is_an_integer_and_the_prompt_is_whole():
    row = one("openai", "gpt-6-sol")
    for usage in ({"input": 272_000}, {"input": 1, "cache_read": 271_999}, {"cache_write_30m": 272_000}):
        over = {**usage, "input": usage.get("input", 0) + 1}
        assert rate_nano(row, over, {}, NOW) > rate_nano(row, usage, {}, NOW) * 19 // 10


def test_lesson_25_the_tier_of_the_reply_decides():
    row = one("openai", "gpt-5")
    usage = {"input": 1000, "output": 100}
    assert rate_nano(row, usage, {"tier": "flex"}, NOW) * 2 == rate_nano(row, usage, {"tier": "default"}, NOW)
    assert rate_nano(row, usage, {"tier": "standard"}, NOW) == rate_nano(row, usage, {}, NOW)


def test_lesson_26_the_hour_decides():
    row = one("deepseek", "deepseek-v4-pro")
    peak, noon = instant_ns("2026-11-20T03:59:59.999999Z"), instant_ns("2026-11-20T04:00:00Z")
    assert rate_nano(row, {"output": 1}, {}, peak) == 2 * rate_nano(row, {"output": 1}, {}, noon)


def test_lesson_29_one_rounding_a_reading_not_one_a_meter():
    row = PriceRow(book="cost:x", model="m", currency="USD", rate={"input": "0.0004", "output": "0.0003"})
    assert rate_nano(row, {"input": 1}, {}, NOW) == 0  # 0.4 nano
    assert rate_nano(row, {"input": 1, "output": 1}, {}, NOW) == 1  # 0.7 nano: two roundings would give 0


def test_lesson_06_an_explicit_zero_costs_zero():
    assert rate_nano(one("openai", "gpt-5"), {"input": 0, "output": 0, "cache_write_30m": 0}, {}, NOW) == 0
    assert rate(one("openai", "gpt-5"), {}, {}, NOW).lines == ()


def test_counts_inside_another_meter_are_not_billed_twice():
    row = one("openai", "gpt-5")
    usage = {"input": 10, "output": 20}
    assert rate_nano(row, {**usage, "reasoning": 15, "tool_prompt": 3}, {}, NOW) == rate_nano(row, usage, {}, NOW)


def test_a_negative_count_is_a_defect():
    with pytest.raises(Defect, match="input is -1"):
        rate_nano(one("openai", "gpt-5"), {"input": -1}, {}, NOW)


def test_a_row_is_not_applied_outside_its_time():
    row = one("gemini", "gemini-4-argon")
    assert rate_nano(row, {"input": 1}, {}, row.to_ns - 1) == 2000
    with pytest.raises(Unpriced):
        rate_nano(row, {"input": 1}, {}, row.to_ns)
    later = one("gemini", "gemini-4-argon", at_ns=row.to_ns)
    with pytest.raises(Unpriced):
        rate_nano(later, {"input": 1}, {}, row.to_ns - 1)


def test_a_mode_without_a_rule_changes_nothing():
    row = one("openai", "gpt-5")
    assert rate_nano(row, {"input": 9}, {"thinking": True}, NOW) == rate_nano(row, {"input": 9}, {}, NOW)


def test_a_selector_that_is_no_truth_value_is_a_defect():
    with pytest.raises(Defect):
        rate_nano(one("openai", "gpt-5"), {"input": 9}, {"batch": "yes"}, NOW)


def test_two_rows_with_one_address_do_not_share_a_price():
    """The compiled form is found by identity; a freed row's address may be used again."""
    for price in range(1, 200):
        row = PriceRow(book="cost:x", model="m", currency="USD", rate={"input": str(price)})
        assert rate_nano(row, {"input": 1_000_000}, {}, NOW) == price * 10**9
        del row


def test_the_snapshots_copy_of_a_row_rates_the_same():
    for row in ROWS:
        copy = msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=PriceRow)
        assert copy == row
        at_ns = row.from_ns or (row.to_ns - 1 if row.to_ns else NOW)
        assert rate_nano(copy, {"input": 777}, {}, at_ns) == rate_nano(row, {"input": 777}, {}, at_ns)


# --- holds


def settle_worst(row: PriceRow, prompt: int, output: int, at_ns: int) -> int:
    select: list[dict[str, Any]] = [{}, {"thinking": True}]
    usages = [{"input": prompt, "output": output}, {"cache_read": prompt, "output": output}]
    usages += [{meter: prompt, "output": output} for meter in ("cache_write_5m", "cache_write_30m")]
    worst = 0
    for chosen in select:
        for usage in usages:
            try:
                worst = max(worst, rate_nano(row, usage, chosen, at_ns))
            except Unpriced:
                continue
    return worst


@settings(max_examples=400, deadline=None)
@given(st.data())
@example(data=None)
def test_lesson_37_a_hold_covers_what_settlement_can_ask(data: st.DataObject | None):
    if data is None:
        row, prompt, output, at_ns = one("volcengine", "doubao-seed-1-8", "cn"), 20_000, 201, NOW
    else:
        row = data.draw(st.sampled_from(ROWS))
        prompt, output, at_ns = data.draw(COUNTS), data.draw(st.integers(0, 10_000)), data.draw(instants(row))
    if row.max_input and prompt > row.max_input:
        with pytest.raises(Unpriced):
            hold_rates(row, at_ns, prompt)
        return
    input_rate, output_rate = hold_rates(row, at_ns, prompt)
    hold = -(-(prompt * input_rate + output * output_rate) // 1_000_000)
    if "output" in row.rate or not output:
        assert settle_worst(row, prompt, output, at_ns) <= hold


def test_hold_rates_in_figures():
    assert hold_rates(one("openai", "gpt-5"), NOW, 1000) == (1_250_000_000, 10_000_000_000)
    sol = one("openai", "gpt-6-sol")
    assert hold_rates(sol, NOW, 272_000) == (2_500_000_000, 10_000_000_000)  # a 30-minute write is dearer than input
    assert hold_rates(sol, NOW, 272_001) == (5_000_000_000, 15_000_000_000)
    assert hold_rates(sol, NOW, 10, extra=["cache_write_12h"]) == (5_000_000_000, 10_000_000_000)
    assert hold_rates(sol, NOW, 10, select={"tier": "flex"}) == (1_250_000_000, 5_000_000_000)
    doubao = one("volcengine", "doubao-seed-1-8", "cn")
    assert hold_rates(doubao, NOW, 10) == (800_000_000, 8_000_000_000)  # the output band is known only at the end
    qwen = one("dashscope", "qwen-plus", "cn")
    assert hold_rates(qwen, NOW, 10)[1] == 8_000_000_000
    assert hold_rates(qwen, NOW, 10, select={"thinking": False})[1] == 2_000_000_000
    assert hold_rates(one("openai", "text-embedding-3-small"), NOW, 10) == (20_000_000, 0)
    with pytest.raises(Unpriced):
        hold_rates(one("openai", "gpt-5-nano"), NOW, 10, select={"tier": "priority"})


# --- own units


def units_row(**rate: str) -> PriceRow:
    return PriceRow(book="cost:x", vendor="x", model="m", currency="USD", rate=rate)


@pytest.mark.parametrize(
    ("meter", "price", "count", "amount"),
    [
        ("images", "40", 3, "0.12"),  # four cents a picture
        ("search_units", "2", 1, "0.002"),
        ("characters", "15", 4096, "0.06144"),
        ("audio_ms", "0.36", 60_000, "0.006"),  # 0.006 a minute
        ("audio_ms", "0.36", 1, "0.0000001"),
        ("audio_ms", "0.04", 3_600_000, "0.04"),
        ("audio_ms", "0", 5, "0"),
    ],
)
def test_own_units_in_figures(meter, price, count, amount):
    rated = rate(units_row(**{meter: price}), {meter: count}, {}, NOW)
    assert rated.nano == rated.exact == Fraction(amount) * 10**9
    assert [(line.meter, line.units) for line in rated.lines] == [(meter, count)]


def test_a_price_by_the_minute_or_second_is_exact_by_the_hour():
    """0.006 a minute and 0.0001 a second, for every length: what was quoted, rounded once."""
    minute, second = units_row(audio_ms="0.36"), units_row(audio_ms="0.36", input="0.333")
    for ms in (1, 7, 999, 59_999, 60_001, 3_599_999):
        exact = Fraction("0.006") * 10**9 * ms / 60_000
        assert rate(minute, {"audio_ms": ms}, {}, NOW).exact == exact
        assert rate_nano(minute, {"audio_ms": ms}, {}, NOW) == round(exact)
        mixed = exact + Fraction("0.333") * 1000 * 5
        assert rate(second, {"audio_ms": ms, "input": 5}, {}, NOW).exact == mixed
        assert rate_nano(second, {"audio_ms": ms, "input": 5}, {}, NOW) == round(mixed)


def test_a_third_of_a_nano_is_rounded_half_even():
    row = units_row(audio_ms="0.0018")  # half a nano a millisecond
    assert [rate_nano(row, {"audio_ms": ms}, {}, NOW) for ms in (1, 2, 3, 5)] == [0, 1, 2, 2]


@pytest.mark.parametrize("meter", UNIT_METERS)
def test_own_units_without_a_price_are_refused_by_name(meter):
    for row in (units_row(input="1", output="1"), units_row(web_search_call="1")):
        with pytest.raises(Unpriced) as caught:
            rate_nano(row, {meter: 1}, {}, NOW)
        assert caught.value.what == meter


def test_token_rules_leave_own_units_alone():
    rule = Rule(when=When(batch=True), multiply={"tokens": "0.5"})
    row = PriceRow(book="cost:x", model="m", currency="USD", rate={"input": "1", "images": "40"}, rules=(rule,))
    assert rate_nano(row, {"images": 1, "input": 1000}, {"batch": True}, NOW) == 40_000_000 + 500_000
    half = Rule(when=When(batch=True), multiply={"images": "0.5"})
    row = PriceRow(book="cost:x", model="m", currency="USD", rate={"images": "40"}, rules=(half,))
    assert rate_nano(row, {"images": 1}, {"batch": True}, NOW) == 20_000_000


def test_what_own_units_are_held_for():
    assert hold_units(units_row(images="40"), NOW, {"images": 3}) == 120_000_000
    assert hold_units(units_row(audio_ms="0.36"), NOW, {"audio_ms": 1}) == 100
    assert hold_units(units_row(audio_ms="0.0001"), NOW, {"audio_ms": 1}) == 1  # rounded up
    tokens = units_row(input="5", output_image="40")
    assert hold_units(tokens, NOW, {"images": 3}) == 0  # it is billed by tokens
    assert hold_rates(tokens, NOW, 10) == (5_000_000_000, 40_000_000_000)
    with pytest.raises(Unpriced) as caught:
        hold_units(units_row(characters="15"), NOW, {"images": 3})
    assert caught.value.what == "images"
    dear = Rule(when=When(thinking=True), multiply={"images": "2"})
    row = PriceRow(book="cost:x", model="m", currency="USD", rate={"images": "40"}, rules=(dear,))
    assert hold_units(row, NOW, {"images": 1}) == 80_000_000
    assert hold_units(row, NOW, {"images": 1}, select={"thinking": False}) == 40_000_000


@given(st.data())
def test_a_hold_of_units_covers_what_settlement_asks(data: st.DataObject):
    rates = data.draw(st.dictionaries(st.sampled_from(UNIT_METERS), DECIMALS, min_size=1))
    units = data.draw(st.dictionaries(st.sampled_from(sorted(rates)), st.integers(0, 10**7), min_size=1))
    row = PriceRow(book="cost:x", vendor="x", model="m", currency="USD", rate=rates)
    asked = rate_nano(row, units, {}, NOW)
    assert asked <= hold_units(row, NOW, units) <= asked + 1


def test_money_knows_no_float():
    """No float literal, no float(), no true division in the room."""
    for path in Path(baseload.money.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), path
            assert not isinstance(node, ast.Div), (path, node.lineno)
            names = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
            assert not names, (path, node.lineno)


def test_a_sum_over_many_readings_is_the_sum_of_their_amounts():
    random_ = random.Random(7)
    row = one("deepseek", "deepseek-v4-pro")
    usages = [{"input": random_.randrange(9999), "output": random_.randrange(999)} for _ in range(500)]
    exact = sum(oracle(row, usage, {}, NOW) for usage in usages)
    assert abs(sum(rate_nano(row, usage, {}, NOW) for usage in usages) - exact) <= len(usages) // 2


def test_a_surcharge_is_a_second_row():
    text = """
[vendor]
name = "x"
currency = "USD"
[[price]]
model = "m"
rate = { input = "1", output = "2" }
[[price]]
model = "m"
kind = "surcharge"
rate = { input = "0.5", output = "0" }
"""
    base, fee = rows_in_force(load_book(text), "m", "global", NOW)
    assert (base.kind, fee.kind) == ("list", "surcharge")
    usage = {"input": 1_000_000, "output": 1_000_000}
    assert rate_nano(base, usage, {}, NOW) + rate_nano(fee, usage, {}, NOW) == 3_500_000_000
