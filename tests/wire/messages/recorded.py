"""Streams as the vendor sends them, by hand from its documentation (protocols.md, 4.3), and helpers to make more."""

from __future__ import annotations

import json
from typing import Any


def frame(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def start(usage: dict[str, Any] | None = None, **members: Any) -> bytes:
    usage = {"input_tokens": 25, "output_tokens": 1} if usage is None else usage
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-x-1",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
        **members,
    }
    return frame("message_start", message=message)


def block(index: int, content_block: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    return (
        frame("content_block_start", index=index, content_block=content_block)
        + b"".join(frame("content_block_delta", index=index, delta=delta) for delta in deltas)
        + frame("content_block_stop", index=index)
    )


def text(index: int, *pieces: str) -> bytes:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def end(reason: str, usage: dict[str, Any], **delta: Any) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None, **delta}
    return frame("message_delta", delta=delta, usage=usage) + frame("message_stop")


PING = frame("ping")
THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Let me "},
    {"type": "thinking_delta", "thinking": "see: π"},
    {"type": "signature_delta", "signature": "EqQBCgIYAhIM"},
)
TOOL = block(
    2,
    {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {}},
    {"type": "input_json_delta", "partial_json": ""},
    {"type": "input_json_delta", "partial_json": '{"city": "Z'},
    {"type": "input_json_delta", "partial_json": 'ürich", "id": 12345678901234567890}'},
)
WHOLE = (
    start(
        {
            "input_tokens": 25,
            "cache_creation_input_tokens": 40,
            "cache_read_input_tokens": 900,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 40},
            "output_tokens": 1,
            "service_tier": "standard",
        }
    )
    + PING
    + THINKING
    + text(1, "Hel", "lo 🌍")
    + TOOL
    + end("tool_use", {"output_tokens": 89})
)
