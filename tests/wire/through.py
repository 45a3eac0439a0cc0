"""A tool loop as a client of each protocol writes it, and its way through a provider that speaks another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
from msgspec import Raw

from baseload.wire.canon.carry import Target, View, Written
from baseload.wire.canon.events import AnyEvent, Reply
from baseload.wire.canon.fold import unfold
from baseload.wire.canon.request import Request
from baseload.wire.chat import reply_out as chat_reply_out
from baseload.wire.chat import request_in as chat_request_in
from baseload.wire.chat import stream_out as chat_stream_out
from baseload.wire.gemini import reply_out as gemini_reply_out
from baseload.wire.gemini import request_in as gemini_request_in
from baseload.wire.gemini import stream_out as gemini_stream_out
from baseload.wire.messages import reply_out as messages_reply_out
from baseload.wire.messages import request_in as messages_request_in
from baseload.wire.messages import stream_out as messages_stream_out
from baseload.wire.responses import reply_out as responses_reply_out
from baseload.wire.responses import request_in as responses_request_in
from baseload.wire.responses import stream_out as responses_stream_out

SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}, "big": {"type": "integer"}}}
NOTHING = {"type": "object", "properties": {}}
ASK = "use look and wait"
RESULTS = ("sun", "noon")
Body = dict[str, Any]


def chat_first() -> Body:
    tools = [("look", SCHEMA), ("wait", NOTHING)]
    return {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": ASK}],
        "tools": [{"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in tools],
        "reasoning_effort": "low",
    }


def chat_next(body: Body, reply: Body) -> Body:
    message = reply["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": text}
        for call, text in zip(message["tool_calls"], RESULTS, strict=True)
    ]
    return {**body, "messages": [*body["messages"], message, *results]}


def chat_text(reply: Body) -> str:
    return str(reply["choices"][0]["message"]["content"])


def responses_first() -> Body:
    tools = [("look", SCHEMA), ("wait", NOTHING)]
    return {
        "model": "m",
        "instructions": "be brief",
        "input": [{"role": "user", "content": ASK}],
        "tools": [{"type": "function", "name": name, "parameters": schema} for name, schema in tools],
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


def responses_next(body: Body, reply: Body) -> Body:
    calls = [item for item in reply["output"] if item["type"] == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": text}
        for call, text in zip(calls, RESULTS, strict=True)
    ]
    return {**body, "input": [*body["input"], *reply["output"], *results]}


def responses_text(reply: Body) -> str:
    return str(reply["output"][-1]["content"][0]["text"])


def messages_first() -> Body:
    tools = [("look", SCHEMA), ("wait", NOTHING)]
    return {
        "model": "m",
        "max_tokens": 5000,
        "system": "be brief",
        "messages": [{"role": "user", "content": ASK}],
        "tools": [{"name": name, "input_schema": schema} for name, schema in tools],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    }


def messages_next(body: Body, reply: Body) -> Body:
    calls = [block for block in reply["content"] if block["type"] == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call["id"], "content": text}
        for call, text in zip(calls, RESULTS, strict=True)
    ]
    turns = [{"role": "assistant", "content": reply["content"]}, {"role": "user", "content": results}]
    return {**body, "messages": [*body["messages"], *turns]}


def messages_text(reply: Body) -> str:
    return str(reply["content"][-1]["text"])


def gemini_first() -> Body:
    tools = [("look", SCHEMA), ("wait", NOTHING)]
    return {
        "contents": [{"role": "user", "parts": [{"text": ASK}]}],
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "tools": [{"functionDeclarations": [{"name": name, "parametersJsonSchema": schema} for name, schema in tools]}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True}},
    }


def gemini_next(body: Body, reply: Body) -> Body:
    content = reply["candidates"][0]["content"]
    calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    results = [
        {"functionResponse": {"name": call["name"], "id": call.get("id"), "response": {"output": text}}}
        for call, text in zip(calls, RESULTS, strict=True)
    ]
    return {**body, "contents": [*body["contents"], content, {"role": "user", "parts": results}]}


def gemini_text(reply: Body) -> str:
    return str(reply["candidates"][0]["content"]["parts"][-1]["text"])


class Client(msgspec.Struct):
    first: Callable[[], Body]
    next: Callable[[Body, Body], Body]
    text: Callable[[Body], str]
    read: Callable[[dict[str, Raw]], Request]
    write: Callable[[Reply, View], bytes]
    stream: Callable[[View], Any]


CLIENTS = {
    "chat": Client(
        chat_first, chat_next, chat_text, chat_request_in.read, chat_reply_out.write, chat_stream_out.StreamOut
    ),
    "responses": Client(
        responses_first,
        responses_next,
        responses_text,
        responses_request_in.read,
        responses_reply_out.write,
        responses_stream_out.StreamOut,
    ),
    "messages": Client(
        messages_first,
        messages_next,
        messages_text,
        messages_request_in.read,
        messages_reply_out.write,
        messages_stream_out.StreamOut,
    ),
    "gemini": Client(
        gemini_first,
        gemini_next,
        gemini_text,
        gemini_request_in.read,
        gemini_reply_out.write,
        gemini_stream_out.StreamOut,
    ),
}


def canonical(client: Client, body: Body, *, stream: bool) -> Request:
    request = client.read(msgspec.json.decode(json.dumps(body).encode(), type=dict[str, Raw]))
    request.stream = stream
    return request


class Provider(msgspec.Struct):
    target: Target
    write: Callable[[Request, Target], Written]
    reply_in: Callable[[bytes, Target], Reply]
    stream_in: Callable[[Target], Any]
    meter: Callable[[], Any]


def ask(provider: Provider, url: str, headers: dict[str, str], body: bytes, *, stream: bool) -> list[AnyEvent]:
    """The events of the provider's reply; a stream goes through the meter in small pieces."""
    found = httpx.post(url, content=body, headers=headers)
    assert found.status_code == 200, found.text
    if not stream:
        return unfold(provider.reply_in(found.content, provider.target))
    meter, reader = provider.meter(), provider.stream_in(provider.target)
    events: list[AnyEvent] = []
    for at in range(0, len(found.content), 50):
        events += reader.feed(meter.feed(found.content[at : at + 50]))
    events += reader.feed(meter.close()) + reader.close()
    assert (meter.done, meter.error, meter.malformed) == (True, b"", 0)
    return events
