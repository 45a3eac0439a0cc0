"""ConverseStream replies as the service sends them, in its binary framing."""

from __future__ import annotations

import json
from typing import Any

from baseload.wire import eventstream


def event(kind: str, payload: dict[str, Any]) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return eventstream.write(headers, json.dumps(payload, ensure_ascii=False).encode())


def exception(kind: str, message: str, **more: Any) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return eventstream.write(headers, json.dumps({"message": message, **more}).encode())


def delta(index: int, **delta: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abcdefgh"})


def stop(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index, "p": "ab"})


def tool(index: int, id_: str, name: str) -> bytes:
    start = {"toolUse": {"toolUseId": id_, "name": name}}
    return event("contentBlockStart", {"contentBlockIndex": index, "start": start})


START = event("messageStart", {"role": "assistant", "p": "abc"})
USAGE = {
    "inputTokens": 12,
    "outputTokens": 40,
    "totalTokens": 5052,
    "cacheReadInputTokens": 2000,
    "cacheWriteInputTokens": 3000,
    "cacheDetails": [{"ttl": "5m", "inputTokens": 1000}, {"ttl": "1h", "inputTokens": 2000}],
}


def end(reason: str, usage: dict[str, Any] = USAGE, **more: Any) -> bytes:
    last = {"usage": usage, "metrics": {"latencyMs": 300}, "serviceTier": {"type": "flex"}}
    return event("messageStop", {"stopReason": reason, **more}) + event("metadata", last)


TOOLS = b"".join(
    [
        START,
        delta(0, reasoningContent={"text": "The user wants "}),
        delta(0, reasoningContent={"text": "two cities."}),
        delta(0, reasoningContent={"signature": "EqoBCkgI=="}),
        stop(0),
        delta(1, text="Let me "),
        delta(1, text="see: 你好 🌍"),
        stop(1),
        tool(2, "tooluse_a", "weather"),
        delta(2, toolUse={"input": ""}),
        delta(2, toolUse={"input": '{"city": "Par'}),
        delta(2, toolUse={"input": 'is", "n": 12345678901234567890}'}),
        stop(2),
        tool(3, "tooluse_b", "now"),
        delta(3, toolUse={"input": ""}),
        stop(3),
        end("tool_use"),
    ]
)
