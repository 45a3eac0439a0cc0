"""Usage: the published vectors, and two hops that change no number."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.wire.responses import StreamMeter, read_reply
from baseload.wire.responses.usage_out import write, write_tools
from baseload.wire.usage import normalise
from tests.wire.test_usage_vectors import File, Vector

_FILE = Path(__file__).parent.parent / "usage_vectors.json"
OURS = [
    vector
    for vector in msgspec.json.decode(_FILE.read_bytes(), type=File).vectors
    if vector.protocol == "openai-responses"
]
_encode = msgspec.json.Encoder().encode


def test_no_vector_is_left_out():
    assert [vector.id for vector in OURS] == ["u021", "u022", "u023", "u024"]


@pytest.mark.parametrize("vector", OURS, ids=lambda vector: vector.id)
def test_vector(vector: Vector):
    tier = ""
    if vector.streamed:
        meter = StreamMeter()
        for frame in vector.frames:
            meter.feed(b"data: " + b"".join(bytes(frame).splitlines()) + b"\n\n")
        meter.close()
        assert meter.malformed == 0
        assert meter.done
        reports, tier = meter.usages, meter.tier
    else:
        reports = read_reply(b'{"status":"completed","usage":' + bytes(vector.usage) + b"}").usages
    found = normalise("openai-responses", vector.vendor, reports, tier=tier, ended=vector.ended)
    assert found.meters == {**(vector.expect or {})}
    assert found.input_provenance == found.output_provenance == vector.provenance
    assert list(found.flags) == vector.flags
    assert found.select == vector.select


counts = st.integers(0, 2**30)
some = st.integers(1, 2**30)


@st.composite
def readings(draw: st.DrawFn) -> dict[str, int]:
    """Meters as `normalise` makes them of any protocol, in so far as Responses has a place for them."""
    meters = {"input_uncached": draw(counts), "output_total": draw(counts)}
    explicit = draw(st.booleans())
    optional = ["cache_read_explicit" if explicit else "cache_read"]
    optional += ["cache_write_5m", "cache_write_30m", "cache_write_1h", "cache_write_12h"]
    optional += ["input_audio", "input_image", "web_searches"]
    for name in draw(st.sets(st.sampled_from(optional))):
        meters[name] = draw(some)
    inside = draw(st.integers(0, meters["output_total"]))
    if inside:
        meters["reasoning"] = inside
    audio = draw(st.integers(0, meters["output_total"]))
    if audio:
        meters["output_audio"] = audio
    return meters


@given(readings())
def test_lesson_20_conversion_keeps_semantics(meters: dict[str, int]):
    usage = write(meters)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    tools = write_tools(meters)
    body = {"status": "completed", "usage": usage, **({"tool_usage": tools} if tools else {})}
    found = normalise("openai-responses", "anyone", read_reply(_encode(body)).usages)
    assert found.meters == meters
    assert found.flags == ()


def test_pitfall_14_input_includes_cache_reads_and_writes():
    usage = write({"input_uncached": 1, "cache_read": 20, "cache_write_5m": 300, "output_total": 5, "reasoning": 4})
    assert usage == {
        "input_tokens": 321,
        "input_tokens_details": {
            "cached_tokens": 20,
            "cache_write_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 0},
        },
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 326,
    }
    assert write_tools({"input_uncached": 1}) is None
