"""Whole ways: an OpenAI chat client at a Gemini provider, a Gemini client at a chat provider, and back again."""

from __future__ import annotations

import json

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
