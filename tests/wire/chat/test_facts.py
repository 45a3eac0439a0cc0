"""Whole replies: usage, names, and the errors that hide behind a 200. Nothing raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.wire.chat import read_reply
from baseload.wire.usage import normalise
from tests.wire.recorded import STREAMS


def test_a_recorded_chat_reply():
    body = (STREAMS / "llamacpp_chat.json").read_bytes()
    reply = read_reply("chat", body)
    assert reply.usage == (
        b'{"completion_tokens":12,"prompt_tokens":34,"total_tokens":46,"prompt_tokens_details":{"cached_tokens":0}}'
    )
    assert (reply.model, reply.finish_reasons, reply.error, reply.malformed) == ("smollm2", ("length",), b"", False)
    assert reply.id.startswith("chatcmpl-")
    found = normalise("openai-chat", "llama.cpp", reply.usages)
    assert (found.meters, found.flags, found.raw) == ({"input_uncached": 34, "output_total": 12}, (), reply.usage)


def test_timings_beside_the_usage_are_read_and_the_raw_usage_stays():
    body = b'{"usage":{"prompt_tokens":30,"completion_tokens":12},"timings":{"cache_n":20,"prompt_n":10},"choices":[]}'
    found = normalise("openai-chat", "llama.cpp", read_reply("chat", body).usages)
    assert found.meters == {"input_uncached": 10, "cache_read": 20, "output_total": 12}
    assert found.raw == b'{"prompt_tokens":30,"completion_tokens":12}'


def test_usage_is_read_from_the_top_level_only_and_keeps_its_bytes():
    body = (
        b'{"choices":[{"message":{"content":"{\\"usage\\":{\\"prompt_tokens\\":7}}","usage":{"prompt_tokens":8}},'
        b'"finish_reason":"stop"}],"x":{"usage":{"prompt_tokens":9}},"usage":{ "prompt_tokens" : 1, "cost":4.75e-05 },'
        b'"service_tier":"flex"}'
    )
    reply = read_reply("chat", body)
    assert reply.usage == b'{ "prompt_tokens" : 1, "cost":4.75e-05 }'
    assert reply.service_tier == "flex"


def test_moonshot_usage_inside_a_choice():
    body = b'{"choices":[{"finish_reason":"stop","usage":{"prompt_tokens":1,"completion_tokens":2}}]}'
    assert read_reply("chat", body).usage == b'{"prompt_tokens":1,"completion_tokens":2}'


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error":{"message":"m","type":"t"}}', b'{"message":"m","type":"t"}'),
        (b'{"error":"text"}', b'"text"'),
        (
            b'{"code":"InvalidApiKey","message":"no","request_id":"r"}',
            b'{"code":"InvalidApiKey","message":"no","request_id":"r"}',
        ),
        (b'{"code":20012,"message":"no","data":null}', b'{"code":20012,"message":"no","data":null}'),
        (
            b'{"object":"error","message":"queue is full","code":503}',
            b'{"object":"error","message":"queue is full","code":503}',
        ),
        (
            b'{"choices":null,"usage":{"total_tokens":0},"base_resp":{"status_code":1008,"status_msg":"x"}}',
            b'{"status_code":1008,"status_msg":"x"}',
        ),
        (b'{"choices":[{"finish_reason":"stop"}],"base_resp":{"status_code":0}}', b""),
        (b'{"choices":[{"finish_reason":"stop"}],"error":null}', b""),
        (b'{"choices":[{"finish_reason":"stop"}],"code":"x","message":"y"}', b""),
        (b'{"data":[{"index":0}],"code":"x","message":"y"}', b""),
        (b'{"code":0,"message":"ok"}', b""),
    ],
)
def test_200_with_an_error(body: bytes, error: bytes):
    reply = read_reply("chat", body)
    assert (reply.error, reply.malformed) == (error, False)


def test_text_is_measured_only_where_usage_is_missing():
    choice = b'{"message":{"content":"abcdef","reasoning_content":"xyz","refusal":null},"finish_reason":"stop"}'
    assert read_reply("chat", b'{"choices":[' + choice + b"]}").text_bytes == 9
    assert read_reply("completions", b'{"choices":[{"text":"abc"},{"text":"de"}]}').text_bytes == 5
    assert read_reply("chat", b'{"choices":[' + choice + b'],"usage":{"prompt_tokens":1}}').text_bytes == 0


def test_embeddings():
    body = b'{"data":[{"embedding":[0.1],"index":0}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}'
    reply = read_reply("embeddings", body)
    assert (reply.usage, reply.model, reply.error) == (b'{"prompt_tokens":3,"total_tokens":3}', "e", b"")
    found = normalise("openai-embeddings", "openai", reply.usages, endpoint="embeddings")
    assert found.meters == {"input_uncached": 3, "output_total": 0}


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"401"', b"<html>", b'{"usage":', b"\xff", b"[" * 100_000, b'{"a":' * 100_000]
)
def test_garbage_is_malformed_and_raises_nothing(body: bytes):
    assert read_reply("chat", body).malformed


def test_half_a_surrogate_pair_costs_no_usage():
    body = b'{"choices":[{"message":{"content":"\\ud83d"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    assert read_reply("chat", body).usage == b'{"prompt_tokens":1,"completion_tokens":1}'


def test_surprising_types_cost_no_usage():
    body = b'{"id":5,"model":[],"choices":[{"finish_reason":7}],"usage":{"prompt_tokens":1}}'
    reply = read_reply("chat", body)
    assert (reply.usage, reply.id, reply.finish_reasons, reply.malformed) == (b'{"prompt_tokens":1}', "", (), False)
    assert read_reply("chat", b'{"choices":"x","usage":{"prompt_tokens":1}}').usage == b'{"prompt_tokens":1}'


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet='{}[]":,1ausgecod\\', max_size=60).map(str.encode)))
def test_nothing_raises(body: bytes):
    for endpoint in ("chat", "completions", "embeddings"):
        read_reply(endpoint, body)
