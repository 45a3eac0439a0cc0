"""usageMetadata -> meters and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from baseload.wire.gemini import StreamMeter, usage_out
from baseload.wire.messages import usage_out as messages_out
from baseload.wire.usage import normalise

FILE = Path(__file__).parents[1] / "usage_vectors.json"
VECTORS = [each for each in json.loads(FILE.read_text())["vectors"] if each["protocol"] == "gemini"]


def test_no_vector_is_left_out():
    assert len(VECTORS) == 9


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: each["id"])
def test_vector(vector):
    if vector["streamed"]:
        meter = StreamMeter()
        for frame in vector["frames"]:
            meter.feed(b"data: " + json.dumps(frame).encode() + b"\n\n")
        report: bytes | list[bytes] = meter.usages
    else:
        report = json.dumps(vector["usage"]).encode()
    found = normalise("gemini", vector["vendor"], report, ended=vector.get("ended", "normal"))
    assert {n: c for n, c in found.meters.items() if c} == {n: c for n, c in vector["expect"].items() if c}
    assert {"input_uncached", "output_total"} <= found.meters.keys(), "a zero that was reported is written down"
    assert sorted(found.flags) == sorted(vector.get("flags", []))
    assert found.select == vector.get("select", {})
    assert (found.input_provenance, found.output_provenance) == ("reported", "reported")


def read(**usage: object):
    return normalise("gemini", "gemini", json.dumps(usage).encode())


def test_a_total_of_older_parts_is_not_held_against_newer_ones():
    reports = [b'{"promptTokenCount":12,"totalTokenCount":12}', b'{"promptTokenCount":12,"candidatesTokenCount":9}']
    found = normalise("gemini", "gemini", reports)
    assert (found.meters, found.flags) == ({"input_uncached": 12, "output_total": 9}, ())


def test_what_is_not_said_is_not_zero():
    found = read(promptTokenCount=7)
    assert found.meters == {"input_uncached": 7}
    assert (found.input_provenance, found.output_provenance) == ("reported", "missing")
    found = read(candidatesTokenCount=7)
    assert found.meters == {"output_total": 7}
    assert found.input_provenance == "missing"
    assert read(totalTokenCount=9, candidatesTokenCount=7).meters == {"input_uncached": 2, "output_total": 7}
    assert read().meters == {}


def test_embeddings_have_no_output():
    found = normalise("gemini", "gemini", b'{"promptTokenCount":7}', endpoint="embeddings")
    assert (found.meters, found.flags) == ({"input_uncached": 7, "output_total": 0}, ())


@pytest.mark.parametrize(
    "raw",
    [
        b'{"promptTokenCount":-1}',
        b'{"promptTokenCount":"7"}',
        b'{"promptTokenCount":1.5}',
        b'{"promptTokenCount":99999999999999999}',
        b'{"promptTokenCount":5,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":-5}]}',
        b"[]",
        b"{",
        b'{"promptTokenCount":7,"promptTokensDetails":{}}',
    ],
)
def test_a_count_that_is_none_voids_the_report(raw):
    found = normalise("gemini", "gemini", raw)
    assert (found.meters, found.flags) == ({}, ("invalid",))


def test_parts_are_cut_to_fit_and_flagged():
    found = read(promptTokenCount=10, cachedContentTokenCount=50, candidatesTokenCount=1, totalTokenCount=11)
    assert found.meters == {"input_uncached": 0, "cache_read": 10, "output_total": 1}
    assert found.flags == ("cache_exceeds_prompt",)
    found = read(
        promptTokenCount=10,
        promptTokensDetails=[{"modality": "AUDIO", "tokenCount": 90}],
        candidatesTokenCount=1,
        totalTokenCount=11,
    )
    assert found.meters == {"input_uncached": 0, "input_audio": 10, "output_total": 1}
    assert found.flags == ("modality_overlap",)


counts = st.integers(0, 2**30)
METERS = ("input_uncached", "cache_read", "cache_read_audio", "cache_read_image", "input_audio", "input_image")


@st.composite
def gemini_meters(draw):
    """Meters that Gemini can report."""
    meters = {name: draw(counts) for name in METERS}
    tool = draw(counts)
    meters["input_uncached"] += tool
    if tool:
        meters["tool_prompt"] = tool
    reasoning, audio, image, text = (draw(counts) for _ in range(4))
    meters |= {"reasoning": reasoning, "output_audio": audio, "output_image": image}
    meters["output_total"] = reasoning + audio + image + text
    return {name: count for name, count in meters.items() if count or name in ("input_uncached", "output_total")}


@given(gemini_meters())
def test_lesson_20_conversion_keeps_semantics(meters):
    written = usage_out.write(meters)
    found = normalise("gemini", "gemini", json.dumps(written).encode())
    assert (found.meters, found.flags) == (meters, ())
    assert usage_out.write(found.meters) == written
    total = written["promptTokenCount"] + written["candidatesTokenCount"]
    total += written.get("thoughtsTokenCount", 0) + written.get("toolUsePromptTokenCount", 0)
    assert written["totalTokenCount"] == total
    types.GenerateContentResponseUsageMetadata.model_validate(written)


@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999))
def test_two_hops_over_anthropic_come_back_unchanged(prompt, cached, candidates, thoughts):
    """Gemini -> Anthropic -> Gemini (protocols.md, 9)."""
    first = {"promptTokenCount": prompt + cached, "candidatesTokenCount": candidates}
    first |= {"cachedContentTokenCount": cached} if cached else {}
    first |= {"thoughtsTokenCount": thoughts} if thoughts else {}
    first["totalTokenCount"] = prompt + cached + candidates + thoughts
    here = normalise("gemini", "gemini", json.dumps(first).encode()).meters
    there = normalise("anthropic-messages", "anthropic", json.dumps(messages_out.write(here)).encode()).meters
    assert usage_out.write(there) == first


def test_pitfall_14_inclusive_prompt_with_cache_writes():
    """Anthropic's exclusive counters: the prompt is the sum of the three; a write has no counter of its own here."""
    meters = {"input_uncached": 100, "cache_read": 40, "cache_write_5m": 7, "cache_write_1h": 3, "output_total": 5}
    assert usage_out.write(meters) == {
        "promptTokenCount": 150,
        "candidatesTokenCount": 5,
        "cachedContentTokenCount": 40,
        "totalTokenCount": 155,
    }


def test_a_side_that_is_not_known_is_left_out():
    assert usage_out.write({"output_total": 5, "web_searches": 1}) == {
        "candidatesTokenCount": 5,
        "totalTokenCount": 5,
    }
    assert usage_out.write({"input_uncached": 0}) == {"promptTokenCount": 0, "totalTokenCount": 0}
