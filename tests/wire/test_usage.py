"""Usage beyond the vectors: merging, gaps, contradictions and hostile numbers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.wire.usage import INFORMATIONAL, Usage, normalise, price_meters

PLAIN = b'{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}'


def read(usage: object, vendor: str = "any", **options: object) -> Usage:
    raw = usage if isinstance(usage, bytes) else json.dumps(usage).encode()
    return normalise("openai-chat", vendor, raw, **options)  # type: ignore[arg-type]


def test_lesson_06_explicit_zero_is_a_report():
    found = read({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, counted_output=55, counted_input=9)
    assert found.meters == {"input_uncached": 0, "output_total": 0}
    assert (found.input_provenance, found.output_provenance) == ("reported", "reported")


def test_lesson_07_the_last_report_wins_per_field_and_nothing_is_added():
    reports = [
        b'{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":4,"x":1}}',
        b'{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":null}',
        b'{"completion_tokens":3,"prompt_tokens_details":{"audio_tokens":2}}',
        b"{}",
    ]
    found = normalise("openai-chat", "any", reports)
    assert found.meters == {"input_uncached": 3, "cache_read": 4, "input_audio": 2, "output_total": 3}
    assert found.flags == (), "the total of an older report is not held against the newer parts"
    assert found.raw == b"{}"
    assert normalise("openai-chat", "any", [PLAIN, PLAIN]).meters == {"input_uncached": 10, "output_total": 4}
    assert normalise("openai-chat", "any", []).meters == {}
    assert normalise("openai-chat", "any", [b""]).input_provenance == "missing"


def test_a_broken_report_among_several_is_not_hidden_by_what_came_before():
    found = normalise("openai-chat", "any", [PLAIN, b'{"prompt_tokens":-1,"completion_tokens":5}'])
    assert (found.meters, found.flags, found.input_provenance) == ({}, ("invalid",), "missing")
    found = normalise("openai-chat", "any", [PLAIN, b'{"prompt_tokens":'])
    assert (found.meters, found.flags, found.raw) == ({}, ("invalid",), b'{"prompt_tokens":')


def test_lesson_08_a_total_above_its_parts_is_output_and_flagged():
    found = read({"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 338})
    assert found.meters == {"input_uncached": 40, "output_total": 298, "reasoning": 288}
    assert found.flags == ("total_mismatch",)
    outside = {"reasoning_tokens": 288}
    found = read(
        {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 338, "completion_tokens_details": outside}
    )
    assert found.meters == {"input_uncached": 40, "output_total": 298, "reasoning": 288}, "not counted a second time"
    found = normalise("openai-embeddings", "any", b'{"prompt_tokens":4,"total_tokens":9}')
    assert (found.meters, found.flags) == ({"input_uncached": 4, "output_total": 0}, ("total_mismatch",))


def test_lesson_10_and_11_provenance_and_reported_beats_counted():
    found = read(b"", counted_input=7, counted_output=3)
    assert found.meters == {"input_uncached": 7, "output_total": 3}
    assert (found.input_provenance, found.output_provenance, found.flags) == ("counted", "counted", ())
    found = read(b"null", counted_output=3)
    assert (found.meters, found.input_provenance, found.output_provenance) == (
        {"output_total": 3},
        "missing",
        "counted",
    )
    found = read(PLAIN, counted_input=700, counted_output=300)
    assert (found.meters, found.output_provenance) == ({"input_uncached": 10, "output_total": 4}, "reported")
    assert found.raw == PLAIN


def test_a_side_that_is_not_reported_is_counted_or_worked_out_from_the_total():
    found = read({"prompt_tokens": 10}, counted_output=3)
    assert found.meters == {"input_uncached": 10, "output_total": 3}
    assert (found.input_provenance, found.output_provenance, found.flags) == ("reported", "counted", ("partial",))
    found = read({"completion_tokens": 10})
    assert (found.meters, found.input_provenance, found.flags) == ({"output_total": 10}, "missing", ("partial",))
    assert read({"prompt_tokens": 10, "total_tokens": 15}).meters == {"input_uncached": 10, "output_total": 5}
    assert read({"completion_tokens": 10, "total_tokens": 15}).meters == {"input_uncached": 5, "output_total": 10}
    assert read({"total_tokens": 15}).meters == {}


@pytest.mark.parametrize("ended", ["client_abort", "upstream_cut", "upstream_error"])
def test_lesson_01_a_broken_attempt_keeps_its_report_and_is_flagged(ended: str):
    found = read(PLAIN, ended=ended, counted_output=99)
    assert (found.meters, found.flags) == ({"input_uncached": 10, "output_total": 4}, ("partial",))
    found = read(b"", ended=ended, counted_output=99, counted_input=5)
    assert (found.meters, found.output_provenance, found.flags) == (
        {"input_uncached": 5, "output_total": 99},
        "counted",
        (),
    )


def test_lesson_15_a_relay_that_subtracted_is_seen_by_the_total():
    details = {"cached_tokens": 900, "cache_write_tokens": 50}
    report = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 1055, "prompt_tokens_details": details}
    found = read(report, "openai")
    assert found.meters == {"input_uncached": 100, "cache_read": 900, "cache_write_30m": 50, "output_total": 5}
    assert found.flags == ("exclusive_detected",)


@pytest.mark.parametrize(
    ("vendor", "asked", "meter", "flags"),
    [
        ("openai", "", "cache_write_30m", ()),
        ("openai", "30m", "cache_write_30m", ()),
        ("azure", "", "cache_write_30m", ()),
        ("dashscope", "", "cache_write_5m", ()),
        ("moonshot", "1h", "cache_write_1h", ("ttl_from_request",)),
        ("moonshot", "", "cache_write_5m", ("ttl_assumed",)),
        ("openrouter", "7 days", "cache_write_5m", ("ttl_assumed",)),
    ],
)
def test_lesson_16_and_21_writes_by_lifetime_replace_input(vendor: str, asked: str, meter: str, flags: tuple[str, ...]):
    details = {"cache_write_tokens": 70}
    report = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": details}
    found = read(report, vendor, request_cache_ttl=asked)
    assert found.meters == {"input_uncached": 30, meter: 70, "output_total": 5}
    assert found.flags == flags


def test_lesson_21_two_lifetimes_in_one_call_and_one_of_them_unsaid():
    split = {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30}
    details = {"cache_creation_input_tokens": 50, "cache_creation": split}
    report = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": details}
    found = read(report, "dashscope")
    assert found.meters == {"input_uncached": 50, "cache_write_5m": 20, "cache_write_1h": 30, "output_total": 5}
    assert found.flags == ()
    details["cache_creation_input_tokens"] = 60
    found = read(report, "dashscope")
    assert found.meters == {"input_uncached": 40, "cache_write_5m": 30, "cache_write_1h": 30, "output_total": 5}
    assert found.flags == ("cache_split_mismatch",)


def test_lesson_14_and_18_clamped_is_flagged_and_never_negative():
    details = {"cached_tokens": 80, "cache_write_tokens": 80}
    found = read({"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": details}, "openai")
    assert found.meters == {"input_uncached": 0, "cache_read": 80, "cache_write_30m": 20, "output_total": 5}
    assert found.flags == ("cache_exceeds_prompt",)


@pytest.mark.parametrize(
    "value",
    [
        "-5",
        "12.5",
        "true",
        '"x"',
        "[]",
        "{}",
        "1e400",
        "-0.5",
        "99999999999999999999",
        '"1_000"',
        '"NaN"',
        '""',
        "1099511627777",
    ],
)
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_what_is_no_count_voids_the_report(field: str, value: str):
    other = "completion_tokens" if field == "prompt_tokens" else "prompt_tokens"
    found = read(f'{{"{field}":{value},"{other}":3}}'.encode(), counted_output=8, counted_input=2)
    assert found.flags == ("invalid",)
    assert (found.meters, found.input_provenance, found.output_provenance) == (
        {"input_uncached": 2, "output_total": 8},
        "counted",
        "counted",
    )


@pytest.mark.parametrize("value", ["-1", "2.5", "true", "[]", "99999999999999999999"])
@pytest.mark.parametrize(
    "place",
    [
        '"total_tokens":%s',
        '"cached_tokens":%s',
        '"prompt_tokens_details":{"cached_tokens":%s}',
        '"prompt_tokens_details":{"cache_creation":{"ephemeral_5m_input_tokens":%s}}',
        '"completion_tokens_details":{"reasoning_tokens":%s}',
        '"timings":{"cache_n":%s}',
    ],
)
def test_elsewhere_it_is_left_out_and_flagged(place: str, value: str):
    found = read(f'{{"prompt_tokens":10,"completion_tokens":4,{place % value}}}'.encode())
    assert (found.meters, found.flags) == ({"input_uncached": 10, "output_total": 4}, ("invalid",))


@pytest.mark.parametrize(
    "part",
    [
        '"prompt_tokens_details":[]',
        '"completion_tokens_details":"x"',
        '"timings":3',
        '"prompt_tokens_details":{"cache_type":5}',
    ],
)
def test_a_part_of_another_shape_is_left_out_and_flagged(part: str):
    found = read(f'{{"prompt_tokens":10,"completion_tokens":4,{part}}}'.encode())
    assert (found.meters, found.flags) == ({"input_uncached": 10, "output_total": 4}, ("invalid",))


@pytest.mark.parametrize("value", ["7", '"7"', "7.0", '"7.00"', "70e-1"])
def test_whole_numbers_in_any_dress_are_counts(value: str):
    found = read(f'{{"prompt_tokens":{value},"completion_tokens":{value},"completion_tokens_details":null}}'.encode())
    assert (found.meters, found.flags) == ({"input_uncached": 7, "output_total": 7}, ())


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        ("0.00095", "0.00095 USD"),
        ("4.75e-05", "0.0000475 USD"),
        ("0", "0 USD"),
        ("12", "12 USD"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827 USD"),
        ('"0.5"', "0.5 USD"),
        ("null", ""),
        ("1e999999999", ""),
        ("true", ""),
        ("{}", ""),
    ],
)
def test_reported_money_keeps_its_digits(cost: str, text: str):
    raw = f'{{"prompt_tokens":1,"completion_tokens":1,"cost":{cost}}}'.encode()
    assert read(raw, "openrouter").reported_cost == text
    assert read(raw, "somebody").reported_cost == "", "a number without a known currency is no money"


@pytest.mark.parametrize(
    ("tier", "select"),
    [("", {}), ("default", {}), ("standard", {}), ("flex", {"tier": "flex"}), ("priority", {"tier": "priority"})],
)
def test_lesson_25_the_tier_of_the_reply_selects_the_price(tier: str, select: dict[str, str]):
    assert read(PLAIN, tier=tier).select == select
    assert read({"prompt_tokens": 1, "completion_tokens": 1, "service_tier": tier}).select == select


def test_a_batch_item_is_a_batch_item():
    assert normalise("openai-chat-batch-item", "openai", PLAIN).select == {"batch": True}


def test_protocols_that_are_not_spoken_are_a_defect_of_the_caller():
    with pytest.raises(ValueError, match="openai-chat"):
        normalise("gopher", "any", PLAIN)


def test_price_meters_follow_the_names_of_price_rows():
    assert price_meters(
        {
            "input_uncached": 5,
            "cache_read": 1,
            "cache_read_explicit": 2,
            "cache_write_5m": 3,
            "input_audio": 4,
            "output_total": 100,
            "output_audio": 30,
            "output_image": 20,
            "reasoning": 40,
            "tool_prompt": 2,
            "provisioned_input": 5,
            "provisioned_output": 9,
            "web_searches": 6,
        }
    ) == {
        "input": 5,
        "cache_read": 1,
        "cache_read_explicit": 2,
        "cache_write_5m": 3,
        "input_audio": 4,
        "output": 50,
        "output_audio": 30,
        "output_image": 20,
        "web_search_call": 6,
    }
    assert price_meters({}) == {}


COUNT = st.one_of(st.none(), st.integers(0, 60))
IN = [
    "cached_tokens",
    "audio_tokens",
    "image_tokens",
    "cache_write_tokens",
    "cache_creation_input_tokens",
    "audio_cached_tokens",
]
OUT = ["reasoning_tokens", "audio_tokens", "image_tokens", "provisioned_tokens"]


def members(names: list[str]) -> st.SearchStrategy[dict[str, int | None]]:
    return st.dictionaries(st.sampled_from(names), COUNT)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 60),
    st.integers(0, 60),
    COUNT,
    members(IN),
    members(OUT),
    members(["cached_tokens", "prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "reasoning_tokens"]),
    st.sampled_from(["openai", "dashscope", "deepseek", "moonshot", "volcengine", "any"]),
)
def test_lesson_13_meters_are_disjoint_and_sum_to_what_was_reported(
    prompt: int,
    completion: int,
    total: int | None,
    ins: dict[str, int | None],
    outs: dict[str, int | None],
    top: dict[str, int | None],
    vendor: str,
):
    report = {**top, "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    found = read({**report, "prompt_tokens_details": ins, "completion_tokens_details": outs}, vendor)
    assert all(count >= 0 for count in found.meters.values())
    paid = price_meters(found.meters)
    output = sum(count for name, count in paid.items() if name.startswith("output"))
    whole_input = sum(paid.values()) - output
    assert output == found.meters["output_total"]
    if "exclusive_detected" in found.flags:
        assert whole_input + output == total
    else:
        assert whole_input == prompt
        assert (
            output == completion
            if "total_mismatch" not in found.flags
            else output == max(completion, (total or 0) - prompt)
        )
    for name in INFORMATIONAL & found.meters.keys():
        assert (
            found.meters[name] <= found.meters["input_uncached" if "input" in name else "output_total"]
            or name == "provisioned_input"
        )
    assert (found.input_provenance, found.output_provenance) == ("reported", "reported")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.sampled_from(["openai-chat", "openai-embeddings"]))
def test_nothing_raises(raw: bytes, protocol: str):
    normalise(protocol, "openrouter", raw)
    normalise(protocol, "openrouter", [raw, PLAIN, raw])
    normalise(protocol, "openrouter", b'{"prompt_tokens":' + raw + b',"cost":' + raw + b"}")
