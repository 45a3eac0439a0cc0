"""Whole Converse replies: into the canonical form, and their facts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target
from baseload.wire.canon.fold import fold
from baseload.wire.canon.request import Media, Opaque, Text, Thinking, ToolCall
from baseload.wire.converse import read_reply
from baseload.wire.converse.reply_in import read
from baseload.wire.converse.stream_in import StreamIn
from tests.wire.converse.recorded import TOOLS, USAGE

TARGET = Target(protocol="converse", dialect="bedrock", model="m")

CONTENT: list[dict[str, Any]] = [
    {"reasoningContent": {"reasoningText": {"text": "The user wants two cities.", "signature": "EqoBCkgI=="}}},
    {"text": "Let me see: 你好 🌍"},
    {"toolUse": {"toolUseId": "tooluse_a", "name": "weather", "input": "@ARGUMENTS@"}},
    {"toolUse": {"toolUseId": "tooluse_b", "name": "now", "input": {}}},
]
ARGUMENTS = '{"city": "Paris", "n": 12345678901234567890}'


def body(content: list[dict[str, Any]], reason: str = "end_turn", **more: Any) -> bytes:
    reply = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        "usage": USAGE,
        "metrics": {"latencyMs": 551},
        **more,
    }
    return json.dumps(reply).replace('"@ARGUMENTS@"', ARGUMENTS).encode()


def test_parallel_tool_calls_survive_with_their_arguments_byte_for_byte():
    answer = read(body(CONTENT, "tool_use"), TARGET).answers[0]
    assert answer.parts == [
        Thinking(text="The user wants two cities.", signature="EqoBCkgI=="),
        Text(text="Let me see: 你好 🌍"),
        ToolCall(id="tooluse_a", name="weather", arguments=ARGUMENTS),
        ToolCall(id="tooluse_b", name="now", arguments="{}"),
    ]
    assert (answer.reason, answer.native) == ("tool", "tool_use")


def test_a_stream_and_a_whole_reply_say_the_same():
    content = [*CONTENT[:3], {"toolUse": {"toolUseId": "tooluse_b", "name": "now"}}]
    stream = StreamIn(TARGET)
    events = stream.feed(TOOLS) + stream.close()
    assert fold(events) == read(body(content, "tool_use", serviceTier={"type": "flex"}), TARGET)


def test_pitfall_14_usage_is_exclusive():
    reply = read(body([{"text": "x"}]), TARGET)
    assert reply.meters == {
        "input_uncached": 12,
        "output_total": 40,
        "cache_read": 2000,
        "cache_write_5m": 1000,
        "cache_write_1h": 2000,
    }


def test_other_blocks():
    content = [
        {"reasoningContent": {"redactedContent": "AAEC"}},
        {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [{"title": "T"}]}},
        {"image": {"format": "png", "source": {"bytes": "QUJD"}}},
        {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {"guardContent": {"text": {"text": "x"}}},
        {"text": ""},
    ]
    parts = read(body(content), TARGET).answers[0].parts
    assert parts[0] == Thinking(signature="AAEC", redacted=True)
    assert isinstance(parts[1], Text)
    assert (parts[1].text, parts[1].citations_of, len(parts[1].citations)) == ("ab", "converse", 1)
    assert parts[2] == Media(kind="image", mime="image/png", data="QUJD")
    assert [part.what for part in parts[3:] if isinstance(part, Opaque)] == ["toolUse", "guardContent"]
    assert len(parts) == 5


def test_pitfall_11_the_stop_sequence_that_matched_is_named():
    reply = read(body([{"text": "x"}], "stop_sequence", additionalModelResponseFields={"stop_sequence": "END"}), TARGET)
    assert (reply.answers[0].reason, reply.answers[0].stop_sequence) == ("stop_sequence", "END")


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"output":{}}', b'{"output":{"message":{"content":[1]}}}', b"\xff"]
)
def test_what_is_no_reply_is_garbage(raw: bytes):
    with pytest.raises(ProviderFault) as caught:
        read(raw, TARGET)
    assert caught.value.fault == "garbage"


def test_facts_of_a_reply():
    facts = read_reply(body([{"text": "x"}], serviceTier={"type": "priority"}))
    assert json.loads(facts.usage) == USAGE
    assert facts.usages == [facts.usage]
    assert (facts.finish_reasons, facts.service_tier, facts.error) == (("end_turn",), "priority", b"")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"message":"Too many requests"}', "UnknownException"),
        (b'{"__type":"com.amazon.coral#ThrottlingException","message":"Too many requests"}', "ThrottlingException"),
        (b'{"__type":"ThrottlingException:http://x/","Message":"Too many requests"}', "ThrottlingException"),
    ],
)
def test_pitfall_21_a_failure_in_a_200_body(raw: bytes, code: str):
    error = json.loads(read_reply(raw).error)
    assert (error["code"], error["message"]) == (code, "Too many requests")


def test_facts_of_garbage():
    assert read_reply(b"<html>").malformed
    assert read_reply(b'{"output":{"message":{"content":"text"}},"usage":3}').text_bytes > 0


@given(
    st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda x: json.dumps(x).encode(),
            st.recursive(
                st.one_of(st.none(), st.integers(), st.text(max_size=4)),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=3),
                    st.dictionaries(
                        st.sampled_from(
                            [
                                "output",
                                "message",
                                "content",
                                "text",
                                "usage",
                                "stopReason",
                                "toolUse",
                                "input",
                                "__type",
                                "image",
                            ]
                        ),
                        inner,
                        max_size=4,
                    ),
                ),
                max_leaves=12,
            ),
        ),
    )
)
def test_fuzz_any_body(raw: bytes):
    read_reply(raw)
    fault = "garbage"
    try:
        read(raw, TARGET)
    except ProviderFault as why:
        fault = why.fault
    assert fault == "garbage"
