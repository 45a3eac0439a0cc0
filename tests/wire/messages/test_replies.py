"""Whole replies: a provider's as canonical, a canonical one for a client; the official library reads what we write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import Media, Opaque, Refused, Text, Thinking, ToolCall
from baseload.wire.canon.signature import seal, unseal
from baseload.wire.messages import reply_in, reply_out
from tests.wire.messages import sdk

TARGET = Target(protocol="messages", dialect="anthropic", model="claude-x")
VIEW = View(model="asked", id="c1", created_s=1, origin="gemini/g1")
USAGE = {"input_tokens": 3, "output_tokens": 5}


def body(content: Any, reason: str = "end_turn", usage: Any = USAGE, **members: Any) -> bytes:
    return json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x-1",
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": usage,
            **members,
        }
    ).encode()


def read(*blocks: Any, **members: Any) -> Answer:
    return reply_in.read(body(list(blocks), **members), TARGET).answers[0]


def write(*parts: Any, view: View = VIEW, meters: dict[str, int] | None = None, **answer: Any) -> dict[str, Any]:
    out = reply_out.write(Reply(answers=[Answer(parts=list(parts), **answer)], meters=meters), view)
    message = sdk.whole(out)
    assert message.to_dict()["content"] == json.loads(out)["content"]
    return json.loads(out)


def test_a_reply_is_read():
    reply = reply_in.read(
        body(
            [{"type": "text", "text": "hi"}], usage={**USAGE, "cache_read_input_tokens": 9, "service_tier": "priority"}
        ),
        TARGET,
    )
    assert (reply.id, reply.model, reply.tier) == ("msg_1", "claude-x-1", "priority")
    assert reply.meters == {"input_uncached": 3, "cache_read": 9, "output_total": 5}
    assert reply.answers == [Answer(parts=[Text(text="hi")], reason="stop", native="end_turn")]


def test_blocks_are_read():
    assert read(
        {"type": "thinking", "thinking": "t", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "text", "text": ""},
        {"type": "text", "text": "x", "citations": [{"type": "char_location"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 12345678901234567890}},
    ).parts == [
        Thinking(text="t", signature="S"),
        Thinking(signature="D", redacted=True),
        Text(text="x", citations=(Raw(b'{"type": "char_location"}'),), citations_of="messages"),
        ToolCall(id="toolu_1", name="f", arguments='{"b": 1, "a": 12345678901234567890}'),
    ]


def test_a_server_tools_blocks_stay_themselves():
    (part,) = read({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}).parts
    assert isinstance(part, Opaque)
    assert part.what == "server_tool_use"


def test_a_call_without_an_id_gets_one():
    (part,) = read({"type": "tool_use", "name": "f", "input": {}}).parts
    assert part.id


@pytest.mark.parametrize(
    ("native", "canonical"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool"),
        ("pause_turn", "pause"),
        ("refusal", "filter"),
        ("model_context_window_exceeded", "context"),
    ],
)
def test_pitfall_10_finish_reasons_survive_both_ways(native: str, canonical: str):
    answer = read({"type": "text", "text": "x"}, reason=native, stop_sequence="END")
    assert (answer.reason, answer.native, answer.stop_sequence) == (canonical, native, "END")
    out = write(Text(text="x"), reason=canonical, stop_sequence="END")
    assert out["stop_reason"] == native
    assert out["stop_sequence"] == ("END" if native == "stop_sequence" else None)


def test_stop_details_survive():
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    answer = read(reason="refusal", stop_details=details)
    assert json.loads(bytes(answer.detail)) == details
    out = write(reason="filter", detail=answer.detail)
    assert (out["stop_reason"], out["stop_details"], out["content"]) == ("refusal", details, [])


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"id":"x"}',
        b'{"content":"x"}',
        b'{"content":[7]}',
        b'{"type":"error","error":{"type":"api_error","message":"x"},"content":[]}',
        b'{"content":[{"type":"text","text":"\xff"}]}',
    ],
)
def test_garbage_is_the_providers_fault(reply: bytes):
    with pytest.raises(ProviderFault) as info:
        reply_in.read(reply, TARGET)
    assert info.value.fault == "garbage"


def test_pitfall_28_half_a_character_loses_no_reply():
    raw = body([{"type": "text", "text": "aXb"}]).replace(b"aXb", b"a\\ud83db\\ud83d\\ude00")
    assert reply_in.read(raw, TARGET).answers[0].parts == [Text(text="a\ufffdb😀")]


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "text", "content", "usage", "input", "citations", "id", "error"]),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_nothing_but_garbage_escapes(reply: Any):
    for raw in (json.dumps(reply), json.dumps({"content": reply, "usage": reply}), json.dumps({"content": [reply]})):
        try:
            reply_in.read(raw.encode(), TARGET)
        except ProviderFault as why:
            fault = why.fault
        else:
            fault = "garbage"
        assert fault == "garbage"


def test_a_reply_is_written():
    out = write(Text(text="hi"), meters={"input_uncached": 3, "cache_write_1h": 2, "output_total": 5})
    assert out == {
        "id": "msg_c1",
        "type": "message",
        "role": "assistant",
        "model": "asked",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2},
            "output_tokens": 5,
        },
    }


def test_parallel_tool_calls_survive():
    out = write(
        ToolCall(id="functions.f:0", name="f", arguments='{"b":1,"a":36893488147419103233}'),
        ToolCall(id="call_2", name="g", arguments=""),
        ToolCall(id="call_3", name="h", arguments='{"a"'),
        reason="stop",
    )
    assert out["content"] == [
        {
            "type": "tool_use",
            "id": ids.safe("functions.f:0"),
            "name": "f",
            "input": {"b": 1, "a": 36893488147419103233},
        },
        {"type": "tool_use", "id": "call_2", "name": "g", "input": {}},
        {"type": "tool_use", "id": "call_3", "name": "h", "input": {"INVALID_JSON": '{"a"'}},
    ]
    assert ids.native(out["content"][0]["id"]) == "functions.f:0"
    assert out["stop_reason"] == "tool_use"


def test_thinking_signatures_are_sealed_for_the_way_back():
    out = write(
        Thinking(text="t", signature="S"),
        Thinking(text="u"),
        Thinking(signature="D", redacted=True),
        Thinking(text="", signature="next"),
        ToolCall(id="t1", name="f"),
    )
    first, second, third, fourth, _ = out["content"]
    assert first == {"type": "thinking", "thinking": "t", "signature": seal("gemini/g1", "S")}
    assert second == {"type": "thinking", "thinking": "u", "signature": seal("gemini/g1", "")}
    assert third == {"type": "redacted_thinking", "data": seal("gemini/g1", "D", redacted=True)}
    assert fourth == {"type": "thinking", "thinking": "", "signature": seal("gemini/g1", "next")}


def test_hidden_thinking_goes_in_the_seal():
    view = View(model="m", id="c", created_s=1, origin="v/m", show_thinking=False)
    out = write(Thinking(text="secret", signature="S"), Thinking(text="u"), Text(text="a"), view=view)
    assert [block["type"] for block in out["content"]] == ["thinking", "text"]
    assert out["content"][0]["thinking"] == ""
    sealed = unseal(out["content"][0]["signature"])
    assert sealed is not None
    assert (sealed.text, sealed.signature) == ("secret", "S")


def test_refusals_survive():
    out = write(Refused(text="I cannot help."), reason="stop")
    assert out["content"] == [{"type": "text", "text": "I cannot help."}]
    assert out["stop_reason"] == "refusal"
    assert out["stop_details"] == {"type": "refusal", "category": None, "explanation": "I cannot help."}


def test_pitfall_23_a_blocked_prompt_is_a_refusal():
    out = write(reason="filter", native="PROHIBITED_CONTENT")
    assert (out["stop_reason"], out["stop_details"]["explanation"]) == ("refusal", "PROHIBITED_CONTENT")


def test_a_reply_that_failed_in_generating_is_the_providers_fault():
    with pytest.raises(ProviderFault):
        write(reason="error", native="MALFORMED_FUNCTION_CALL")


def test_citations_survive_in_their_own_protocol_only():
    own = {"type": "char_location", "cited_text": "x", "document_index": 0, "start_char_index": 0, "end_char_index": 1}
    raw = Raw(json.dumps(own).encode())
    out = write(
        Text(text="a", citations=(raw,), citations_of="messages"),
        Text(text="b", citations=(Raw(b"{}"),), citations_of="chat"),
        Media(kind="image", data="x"),
        Opaque(protocol="gemini", what="x", raw=Raw(b"{}")),
    )
    assert out["content"] == [{"type": "text", "text": "a", "citations": [own]}, {"type": "text", "text": "b"}]


def test_a_reply_without_usage_and_answers_is_still_a_message():
    out = json.loads(reply_out.write(Reply(id="chatcmpl-1"), VIEW))
    assert (out["id"], out["stop_reason"], out["usage"]["input_tokens"]) == ("chatcmpl-1", "refusal", 0)
