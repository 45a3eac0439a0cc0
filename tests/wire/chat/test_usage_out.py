"""Meters written as chat usage and read again are the same meters (lesson 20: two hops keep the numbers)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CompletionUsage

from baseload.wire.chat import usage_out
from baseload.wire.usage import normalise

COUNTS = st.integers(1, 2**30)
FRESH = ("input_audio", "input_image")
READS = ("cache_read_audio", "cache_read_image")
WRITES = ("cache_write_5m", "cache_write_1h", "cache_write_30m", "cache_write_12h")


@st.composite
def readings(draw: st.DrawFn) -> dict[str, int]:
    meters = {"input_uncached": draw(st.integers(0, 2**30))}
    for name in (*FRESH, *READS, *WRITES, "web_searches", "web_fetches"):
        if draw(st.booleans()):
            meters[name] = draw(COUNTS)
    if draw(st.booleans()):
        meters[draw(st.sampled_from(["cache_read", "cache_read_explicit"]))] = draw(COUNTS)
    parts = {name: draw(COUNTS) for name in ("output_audio", "output_image") if draw(st.booleans())}
    meters["output_total"] = sum(parts.values()) + draw(st.integers(0, 2**30))
    if meters["output_total"] and draw(st.booleans()):
        parts["reasoning"] = draw(st.integers(1, meters["output_total"]))
    return meters | parts


def again(meters: dict[str, int], vendor: str) -> tuple[dict[str, int], tuple[str, ...]]:
    usage = normalise("openai-chat", vendor, msgspec.json.encode(usage_out.write(meters)))
    return usage.meters, usage.flags


@settings(max_examples=400, deadline=None)
@given(meters=readings(), vendor=st.sampled_from(["openai", "dashscope", "openrouter", "compatible", "anthropic"]))
def test_lesson_20_conversion_keeps_semantics(meters: dict[str, int], vendor: str):
    """Whoever we are taken for: cache writes carry their lifetime themselves, and nothing is odd about the report."""
    first, flags = again(meters, vendor)
    assert first == meters
    assert flags == ()
    assert again(first, vendor) == (meters, ())


def test_what_it_looks_like():
    written = usage_out.write(
        {
            "input_uncached": 10,
            "cache_read": 100,
            "cache_write_5m": 20,
            "cache_write_1h": 30,
            "cache_write_30m": 40,
            "output_total": 7,
            "reasoning": 5,
        }
    )
    assert written == {
        "prompt_tokens": 200,
        "completion_tokens": 7,
        "total_tokens": 207,
        "prompt_tokens_details": {
            "cached_tokens": 100,
            "cache_write_tokens": 90,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
            "cache_write_tokens_details": {"ttl_30m_tokens": 40},
        },
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    sdk = CompletionUsage.model_validate(written)
    assert sdk.prompt_tokens_details is not None
    assert (sdk.prompt_tokens_details.cached_tokens, sdk.prompt_tokens_details.cache_write_tokens) == (100, 90)


def test_prompt_includes_reads_and_writes():
    """Pitfall 14: Anthropic's three counters are one sum in chat."""
    written = usage_out.write({"input_uncached": 3, "cache_read": 5, "cache_write_5m": 7, "output_total": 1})
    assert written["prompt_tokens"] == 15


@pytest.mark.parametrize(
    ("meters", "has", "lacks"),
    [
        ({"output_total": 5}, {"completion_tokens": 5}, ("prompt_tokens", "total_tokens")),
        ({"input_uncached": 5}, {"prompt_tokens": 5}, ("completion_tokens", "total_tokens")),
        ({"input_uncached": 0, "output_total": 0}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, ()),
    ],
)
def test_absent_is_not_zero(meters: dict[str, int], has: dict[str, int], lacks: tuple[str, ...]):
    written = usage_out.write(meters)
    assert has.items() <= written.items()
    assert not set(lacks) & set(written)
    assert again(meters, "openai")[0] == meters


class _Vector(msgspec.Struct):
    id: str
    expect: dict[str, int | str | None] | None


class _File(msgspec.Struct):
    vectors: list[_Vector]


def test_every_published_reading_survives_a_hop_as_chat():
    """Whatever vendor and protocol it came from. `tool_prompt` says where input came from: chat has no place for it."""
    path = Path(__file__).parents[1] / "usage_vectors.json"
    seen = 0
    for vector in msgspec.json.decode(path.read_bytes(), type=_File).vectors:
        meters = {name: count for name, count in (vector.expect or {}).items() if isinstance(count, int)}
        meters.pop("tool_prompt", None)
        if not meters or {"cache_read", "cache_read_explicit"} <= meters.keys():
            continue
        seen += 1
        first = again(meters, "openai")[0]
        assert {name: count for name, count in first.items() if count} == {
            name: count for name, count in meters.items() if count
        }, vector.id
    assert seen > 60
