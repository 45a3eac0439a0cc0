"""Whole Messages replies: facts, errors with status 200, garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.wire.messages import read_reply

BODY = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hi"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens": 3,"output_tokens":1,'
    b'"service_tier":"priority"}}'
)


def test_a_reply():
    facts = read_reply(BODY)
    assert facts.usage == b'{"input_tokens": 3,"output_tokens":1,"service_tier":"priority"}'
    assert facts.usages == [facts.usage]
    assert (facts.id, facts.model, facts.service_tier) == ("msg_1", "claude-x", "priority")
    assert (facts.finish_reasons, facts.error, facts.malformed) == (("end_turn",), b"", False)


def test_text_is_measured_only_where_usage_is_missing():
    assert read_reply(BODY).text_bytes == 0
    assert read_reply(BODY.replace(b'"usage"', b'"other"')).text_bytes > 10


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"type":"error","error":{"type":"api_error","message":"x"}}', b'{"type":"api_error","message":"x"}'),
        (b'{"type":"error"}', b'{"type":"error"}'),
        (b'{"base_resp":{"status_code":1008,"status_msg":"x"}}', b'{"status_code":1008,"status_msg":"x"}'),
        (b'{"code":"Arrearage","message":"x"}', b'{"code":"Arrearage","message":"x"}'),
    ],
)
def test_pitfall_21_200_with_an_error_body(body: bytes, error: bytes):
    assert read_reply(body).error == error


def test_a_good_base_resp_is_no_error():
    assert read_reply(BODY[:-1] + b',"base_resp":{"status_code":0,"status_msg":""}}').error == b""


def test_counting_has_no_usage_and_is_no_error():
    facts = read_reply(b'{"input_tokens":12}')
    assert (facts.usage, facts.error, facts.malformed) == (b"", b"", False)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"7"])
def test_garbage_is_a_fact(body: bytes):
    assert read_reply(body).malformed


@given(st.binary(max_size=200))
def test_nothing_escapes(body: bytes):
    read_reply(body)
