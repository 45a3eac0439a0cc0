"""Anthropic's usage: every published vector, and both ways without a token lost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from baseload.wire.messages import StreamMeter, usage_out
from baseload.wire.usage import Usage, normalise


class Vector(msgspec.Struct):
    id: str
    vendor: str
    protocol: str
    streamed: bool
    expect: dict[str, int | str | None] | None
    provenance: str | dict[str, str]
    usage: Raw = Raw(b"")
    frames: list[Raw] = []
    ended: str = "normal"
    flags: list[str] = []
    select: dict[str, str | bool] = {}
    setting: dict[str, str] = {}


class File(msgspec.Struct):
    vectors: list[Vector]


PAGE = (Path(__file__).parent.parent / "usage_vectors.json").read_bytes()
OURS = [v for v in msgspec.json.decode(PAGE, type=File).vectors if v.protocol == "anthropic-messages"]
COUNTED = 3  # what the gateway counted of the relayed text, for streams that broke off


def test_all_twelve_vectors_are_here():
    assert [vector.id for vector in OURS] == [f"u{number:03}" for number in range(44, 56)]


@pytest.mark.parametrize("vector", OURS, ids=lambda vector: vector.id)
def test_vector(vector: Vector):
    found = read(vector)
    provenance = vector.provenance
    if isinstance(provenance, str):
        provenance = {"input": provenance, "output": provenance}
    assert (found.input_provenance, found.output_provenance) == (provenance["input"], provenance["output"])
    assert vector.expect is not None
    expect = {name: COUNTED if count is None else count for name, count in vector.expect.items()}
    assert found.meters == expect
    assert sorted(found.flags) == sorted(vector.flags)
    assert found.select == vector.select


def read(vector: Vector) -> Usage:
    tier = ""
    if vector.streamed:
        meter = StreamMeter()
        for frame in vector.frames:
            meter.feed(b"data: " + b"".join(bytes(frame).splitlines()) + b"\n\n")
        meter.close()
        assert meter.malformed == 0
        report: bytes | list[bytes] = meter.usages
        tier = meter.tier
    else:
        report = bytes(vector.usage)
    return normalise(vector.protocol, vector.vendor, report, ended=vector.ended, counted_output=COUNTED, tier=tier)


def meters_of(report: bytes, **settings: str) -> Usage:
    return normalise("anthropic-messages", "anthropic", report, **settings)


def test_pitfall_14_input_is_exclusive():
    found = meters_of(b'{"input_tokens":10,"cache_read_input_tokens":90,"output_tokens":1}')
    assert found.meters == {"input_uncached": 10, "cache_read": 90, "output_total": 1}


def test_a_write_without_lifetime_has_the_one_the_request_asked_for():
    found = meters_of(b'{"input_tokens":1,"cache_creation_input_tokens":40,"output_tokens":2}', request_cache_ttl="1h")
    assert found.meters == {"input_uncached": 1, "cache_write_1h": 40, "output_total": 2}
    assert found.flags == ("ttl_from_request",)


def test_a_split_larger_than_its_total_is_cut_and_flagged():
    found = meters_of(
        b'{"input_tokens":1,"cache_creation_input_tokens":50,'
        b'"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":40},"output_tokens":2}'
    )
    assert found.meters["cache_write_5m"] + found.meters["cache_write_1h"] == 50
    assert found.flags == ("cache_split_mismatch",)


def test_a_batch_item_has_the_price_of_a_batch():
    assert meters_of(b'{"input_tokens":1,"output_tokens":2,"service_tier":"batch"}').select == {"batch": True}
    assert meters_of(b'{"input_tokens":1,"output_tokens":2,"service_tier":"priority"}').select == {"tier": "priority"}


@pytest.mark.parametrize(
    ("report", "meters", "flags"),
    [
        (b'{"input_tokens":-1,"output_tokens":2}', {}, ("invalid",)),
        (b'{"input_tokens":"12","output_tokens":2.0}', {"input_uncached": 12, "output_total": 2}, ()),
        (b'{"input_tokens":1,"output_tokens":2,"server_tool_use":7}', {"input_uncached": 1, "output_total": 2}, None),
        (b'{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":-4}', None, ("invalid",)),
        (b"[]", {}, ("invalid",)),
        (b'{"input_tokens":{},"output_tokens":2}', {}, ("invalid",)),
    ],
)
def test_broken_reports_are_flagged(report: bytes, meters: dict[str, int] | None, flags: tuple[str, ...] | None):
    found = meters_of(report)
    assert meters is None or found.meters == meters
    assert all(count >= 0 for count in found.meters.values())
    assert found.flags == ("invalid",) if flags is None else found.flags == flags


def test_thinking_above_the_output_is_cut_and_flagged():
    found = meters_of(b'{"input_tokens":1,"output_tokens":2,"output_tokens_details":{"thinking_tokens":9}}')
    assert found.meters["reasoning"] == 2
    assert found.flags == ("reasoning_exceeds_output",)


COUNT = st.integers(0, 2**40)


@given(
    st.fixed_dictionaries(
        {"input_uncached": COUNT, "output_total": COUNT},
        optional={
            "cache_read": COUNT.filter(bool),
            "cache_write_5m": COUNT.filter(bool),
            "cache_write_1h": COUNT.filter(bool),
            "web_searches": COUNT.filter(bool),
            "web_fetches": COUNT.filter(bool),
        },
    )
)
def test_lesson_20_conversion_keeps_semantics(meters: dict[str, int]):
    if meters.get("cache_write_5m", 0) + meters.get("cache_write_1h", 0) > 2**40:
        meters.pop("cache_write_1h")
    written = msgspec.json.encode(usage_out.write(meters))
    found = meters_of(written)
    assert found.meters == meters
    assert not found.flags
    assert msgspec.json.encode(usage_out.write(found.meters)) == written


def test_meters_without_a_counter_here_keep_the_sum():
    meters = {"input_uncached": 1, "input_audio": 2, "cache_read": 4, "cache_read_image": 8, "cache_write_30m": 16}
    usage = usage_out.write({**meters, "output_total": 5, "output_audio": 3, "reasoning": 2})
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (
        3,
        12,
        16,
    )
    assert usage["output_tokens"] == 5
    assert usage["output_tokens_details"] == {"thinking_tokens": 2}
