"""Facts of whole replies."""

from __future__ import annotations

import json

import pytest

from baseload.wire.gemini import read_reply
from tests.wire.gemini.recorded import STREAM, USAGE, as_array, piece


def test_a_reply():
    body = piece({"text": "hi"}, finish="STOP", usageMetadata=USAGE[1])
    facts = read_reply(json.dumps(body).encode())
    assert json.loads(facts.usage) == USAGE[1]
    assert facts.usages == [facts.usage]
    assert (facts.model, facts.id, facts.error) == ("gemini-3-pro-preview", "r_1", b"")
    assert facts.finish_reasons == ("STOP",)
    assert not facts.malformed


def test_text_is_counted_where_usage_is_missing():
    body = piece({"text": "h\u00e9", "thought": True}, {"functionCall": {"name": "f", "args": {"a": 1}}})
    assert read_reply(json.dumps(body, separators=(",", ":")).encode()).text_bytes == 3 + 1 + 7


def test_a_blocked_prompt_is_an_answer():
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE[0]}
    facts = read_reply(json.dumps(body).encode())
    assert (facts.finish_reasons, facts.error) == (("SAFETY",), b"")


def test_pitfall_21_200_with_an_error_body():
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
    for body in ({"error": error}, [{"error": error}]):
        assert json.loads(read_reply(json.dumps(body).encode()).error) == error


def test_the_pieces_of_a_stream_in_an_array():
    facts = read_reply(as_array(STREAM))
    assert json.loads(facts.usage) == USAGE[1]
    assert facts.finish_reasons == ("STOP",)


def test_vertex_traffic_type_is_the_tier():
    body = {"candidates": [], "usageMetadata": {"promptTokenCount": 1, "trafficType": "ON_DEMAND_FLEX"}}
    assert read_reply(json.dumps(body).encode()).service_tier == "flex"


@pytest.mark.parametrize("body", [b"", b"<html>", b"7", b"null", b'{"candidates":', b"\xff\xfe", b"[" * 100_000])
def test_garbage_is_a_fact_too(body):
    assert read_reply(body).malformed


def test_half_surrogates_break_nothing():
    body = b'{"candidates":[{"content":{"parts":[{"text":"\\ud83d"}]},"finishReason":"STOP"}]}'
    assert read_reply(body).finish_reasons == ("STOP",)
