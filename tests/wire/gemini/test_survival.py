"""Whole ways: an OpenAI chat client at a Gemini provider, a Gemini client at a chat provider, and back again."""

from __future__ import annotations

import json

import pytest

from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.request import Request, Text, Thinking, ToolCall, ToolResult
from baseload.wire.chat import request_in as chat_in
from baseload.wire.chat import request_out as chat_out
from baseload.wire.chat.stream_in import StreamIn as ChatStreamIn
from baseload.wire.chat.stream_out import StreamOut as ChatStreamOut
from baseload.wire.gemini import GUARDED, request_in, request_out
from baseload.wire.gemini.stream_in import StreamIn
from baseload.wire.gemini.stream_out import StreamOut
from baseload.wire.messages import request_out as messages_out
from baseload.wire.messages.stream_in import StreamIn as MessagesStreamIn
from baseload.wire.responses import request_out as responses_out
from baseload.wire.responses.stream_in import StreamIn as ResponsesStreamIn
from tests.wire.gemini.order import check_sse, parts, texts
from tests.wire.gemini.recorded import LAST, SIGNATURE, STREAM, TOOLS, gemini_cli

GOOGLE = Target(protocol="gemini", dialect="gemini", model="gemini-3-pro-preview", thought="effort")
CHAT = Target(protocol="chat", dialect="openai", model="gpt")


def read_gemini(body: bytes) -> Request:
    return request_in.read(open_body(body, GUARDED), "m", True)


def test_the_cli_at_a_chat_provider_keeps_its_meaning():
    request = read_gemini(gemini_cli())
    written = chat_out.write(request, CHAT)
    body = json.loads(written.body)
    assert [tool["function"]["name"] for tool in body["tools"]] == TOOLS
    source = json.loads(gemini_cli())
    schema = source["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    assert body["tools"][0]["function"]["parameters"] == schema
    assert body["messages"][0]["role"] in ("system", "developer")
    calls = [call for message in body["messages"] for call in message.get("tool_calls", ())]
    assert [json.loads(call["function"]["arguments"])["absolute_path"] for call in calls] == [
        f"/repo/src/{number}.py" for number in range(6)
    ]
    assert all("12345678901234567890" in call["function"]["arguments"] for call in calls)
    results = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    assert results == [call["id"] for call in calls]
    assert b"Ab+/" not in written.body, "Google's signatures do not go to another vendor"


def test_gemini_chat_gemini_keeps_the_conversation():
    first = read_gemini(gemini_cli())
    middle = chat_out.write(first, CHAT).body
    second = request_out.write(chat_in.read(open_body(middle)), GOOGLE)
    there, here = json.loads(second.body), json.loads(gemini_cli())
    assert there["systemInstruction"]["parts"] == here["systemInstruction"]["parts"]
    assert there["tools"] == here["tools"]

    def plain(contents: list) -> list:
        found = []
        for content in contents:
            for part in content["parts"]:
                part = {name: value for name, value in part.items() if name != "thoughtSignature"}
                for call in part.values():
                    if isinstance(call, dict):
                        call.pop("id", None)
                found.append((content["role"], part))
        return found

    assert plain(there["contents"]) == plain(here["contents"])


def test_thinking_signatures_survive_an_openai_client():
    """Google's stream goes to a chat client; its next request brings both signatures back to their parts."""
    view = View(model="m", id="c", created_s=1, origin=GOOGLE.origin, wants_usage=True)
    stream, out = StreamIn(GOOGLE), ChatStreamOut(view)
    chunks = [
        json.loads(frame[6:])
        for frame in (out.write(stream.feed(STREAM)) + out.write(stream.close())).split(b"\n\n")
        if frame.startswith(b"data: {")
    ]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    calls: dict[int, dict] = {}
    details: list[dict] = []
    for delta in deltas:
        details += delta.get("reasoning_details", ())
        for call in delta.get("tool_calls", ()):
            kept = calls.setdefault(call["index"], {"type": "function", "function": {"name": "", "arguments": ""}})
            kept["id"] = call.get("id") or kept["id"]
            kept["function"]["name"] += call["function"].get("name") or ""
            kept["function"]["arguments"] += call["function"].get("arguments") or ""
    message = {
        "role": "assistant",
        "content": "".join(delta.get("content") or "" for delta in deltas),
        "reasoning_details": details,
        "tool_calls": list(calls.values()),
    }
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in calls.values()]
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}, message, *results]}
    request = chat_in.read(open_body(json.dumps(body).encode()))
    contents = json.loads(request_out.write(request, GOOGLE).body)["contents"]
    found = contents[1]["parts"]
    signed = [part for part in found if "functionCall" in part]
    assert [part.get("thoughtSignature") for part in signed] == [SIGNATURE, None]
    assert signed[0]["functionCall"]["args"] == {"b": 12345678901234567890, "a": "}{"}
    assert LAST in [part.get("thoughtSignature") for part in found]
    assert [part["functionResponse"]["name"] for part in contents[2]["parts"]] == ["look", "look"]
    usage = next(chunk["usage"] for chunk in chunks if chunk.get("usage"))
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (40, 51)
    moved = Target(protocol="gemini", dialect="vertex", model="gemini-2.5-pro")
    elsewhere = request_out.write(request, moved)
    assert SIGNATURE.encode() not in elsewhere.body
    assert any("messages" in name for name in elsewhere.dropped)


def test_a_gemini_client_at_a_chat_provider():
    chunks = [
        {"id": "x", "choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": "hm"}}]},
        {"choices": [{"index": 0, "delta": {"content": "caf\u00e9"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
        {
            "choices": [],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 13,
                "prompt_tokens_details": {"cached_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
        },
    ]
    raw = "".join(f"data: {json.dumps(one)}\n\n" for one in chunks).encode() + b"data: [DONE]\n\n"
    out = StreamOut(View(model="m", id="c", created_s=1, origin="openai/gpt"))
    stream = ChatStreamIn(CHAT)
    objects = check_sse(
        b"".join(out.write(stream.feed(raw[i : i + 1])) for i in range(len(raw))) + out.write(stream.close())
    )
    assert texts(objects) == "caf\u00e9"
    assert texts(objects, thought=True) == "hm"
    assert objects[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert objects[-1]["usageMetadata"] == {
        "promptTokenCount": 9,
        "candidatesTokenCount": 1,
        "cachedContentTokenCount": 5,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 13,
    }
    assert parts(objects)


def test_gemini_to_canonical_and_back_is_the_same_conversation():
    """What our own writer makes of a request reads as the same request."""
    first = read_gemini(gemini_cli())
    second = read_gemini(request_out.write(first, GOOGLE).body)
    assert [turn.role for turn in second.turns] == [turn.role for turn in first.turns]
    for turn, other in zip(first.turns, second.turns, strict=True):
        for part, wanted in zip(turn.parts, other.parts, strict=True):
            assert type(part) is type(wanted)
            if isinstance(part, ToolCall):
                assert (part.id, part.name, part.arguments) == (wanted.id, wanted.name, wanted.arguments)
            elif isinstance(part, ToolResult):
                assert (part.id, part.name, part.content) == (wanted.id, wanted.name, wanted.content)
            elif isinstance(part, Text | Thinking):
                assert part == wanted


def _named(*events: dict) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in events)


def _next_request(stream: object, target: Target, raw: bytes, *, thoughts: bool) -> Request:
    """What a Gemini client sends after a provider's reply: its history keeps a content a piece.

    `thoughts`: whether it keeps thought parts; gemini-cli does not.
    """
    out = StreamOut(View(model="m", id="c", created_s=1, origin=target.origin))
    objects = check_sse(out.write(stream.feed(raw)) + out.write(stream.close()))  # type: ignore[attr-defined]
    said = [part for part in parts(objects) if thoughts or not part.get("thought")]
    answer = {"functionResponse": {"name": "f", "response": {"output": "r"}}}
    contents = [
        {"role": "user", "parts": [{"text": "q"}]},
        *({"role": "model", "parts": [part]} for part in said),
        {"role": "user", "parts": [answer]},
    ]
    return read_gemini(json.dumps({"contents": contents}).encode())


@pytest.mark.parametrize("thoughts", [True, False])
def test_pitfall_01_anthropics_thinking_comes_back_exactly_from_a_gemini_client(thoughts):
    target = Target(protocol="messages", dialect="anthropic", model="claude")
    deltas = [
        {"type": "thinking_delta", "thinking": "Hm, "},
        {"type": "thinking_delta", "thinking": "caf\u00e9"},
        {"type": "signature_delta", "signature": "Sig=="},
    ]
    usage = {"input_tokens": 5, "output_tokens": 1}
    message = {"id": "msg_1", "role": "assistant", "model": "claude", "content": [], "usage": usage}
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    raw = _named(
        {"type": "message_start", "message": message},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "BLOB"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": call},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    request = _next_request(MessagesStreamIn(target), target, raw, thoughts=thoughts)
    written = messages_out.write(request, target)
    messages = json.loads(written.body)["messages"]
    assert messages[1]["content"] == [
        {"type": "thinking", "thinking": "Hm, caf\u00e9", "signature": "Sig=="},
        {"type": "redacted_thinking", "data": "BLOB"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]
    assert messages[2]["content"][0]["tool_use_id"] == "toolu_1"
    assert written.dropped == ()
    elsewhere = messages_out.write(request, Target(protocol="messages", dialect="anthropic", model="other"))
    assert b"Sig==" not in elsewhere.body, "pitfall 2: it belongs to its model"


@pytest.mark.parametrize("thoughts", [True, False])
def test_pitfall_01_encrypted_reasoning_comes_back_from_a_gemini_client(thoughts):
    target = Target(protocol="responses", dialect="openai", model="gpt")
    summary = [{"type": "summary_text", "text": "Sum"}]
    thought = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "ENC"}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_9", "name": "f", "arguments": '{"a":1}'}
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    done = {"id": "resp_1", "model": "gpt", "status": "completed", "output": [thought, call], "usage": usage}
    at = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    raw = _named(
        {"type": "response.created", "response": {**done, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**thought, "summary": []}},
        {"type": "response.reasoning_summary_part.added", **at, "part": {"type": "summary_text", "text": ""}},
        {"type": "response.reasoning_summary_text.delta", **at, "delta": "Sum"},
        {"type": "response.reasoning_summary_text.done", **at, "text": "Sum"},
        {"type": "response.output_item.done", "output_index": 0, "item": thought},
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 1, "delta": '{"a":1}'},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {"type": "response.completed", "response": done},
    )
    request = _next_request(ResponsesStreamIn(target), target, raw, thoughts=thoughts)
    items = json.loads(responses_out.write(request, target).body)["input"]
    assert items[1] == {"type": "reasoning", "summary": summary, "encrypted_content": "ENC"}
    assert (items[2]["call_id"], json.loads(items[2]["arguments"])) == ("call_9", {"a": 1})
    assert (items[3]["call_id"], items[3]["output"]) == ("call_9", "r")
