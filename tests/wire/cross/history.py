"""The next request of a client that keeps its history as its protocol's documents say."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]


def sent_back(client: str, reply: Body) -> Body:
    """The reply as history, the results of its calls after it."""
    return _WRITERS[client](reply)


def _chat(reply: Body) -> Body:
    message = reply["choices"][0]["message"]
    tools = [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in message.get("tool_calls", ())]
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, message, *tools]}


def _responses(reply: Body) -> Body:
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}
        for item in reply["output"]
        if item["type"] == "function_call"
    ]
    return {"model": "m", "store": False, "input": [{"role": "user", "content": "hi"}, *reply["output"], *outputs]}


def _messages(reply: Body) -> Body:
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in reply["content"]
        if block["type"] == "tool_use"
    ]
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": reply["content"]}]
    return {"model": "m", "max_tokens": 99, "messages": [*turns, {"role": "user", "content": results or "go on"}]}


def _gemini(reply: Body) -> Body:
    content = reply["candidates"][0]["content"]
    answers = [
        {"functionResponse": {"id": part["functionCall"]["id"], "name": part["functionCall"]["name"], "response": {}}}
        for part in content["parts"]
        if "functionCall" in part
    ]
    asked = {"role": "user", "parts": [{"text": "hi"}]}
    return {"contents": [asked, content, {"role": "user", "parts": answers or [{"text": "go on"}]}]}


_WRITERS = {"chat": _chat, "responses": _responses, "messages": _messages, "gemini": _gemini}
