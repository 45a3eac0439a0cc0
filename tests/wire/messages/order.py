"""Checks the order of events of a Messages stream (protocols.md, 4.3), independently of what writes them.

In:     the bytes of a whole stream. Out: its events; an AssertionError names the first one that is out of order.
"""

from __future__ import annotations

import json
from typing import Any

Event = dict[str, Any]

_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set(),
    "tool_use": {"input_json_delta"},
}


def events_of(stream: bytes) -> list[Event]:
    """Each frame must be an `event:` line and a `data:` line that agree."""
    events = []
    assert stream == b"" or stream.endswith(b"\n\n")
    for frame in stream.decode().split("\n\n")[:-1]:
        head, _, data = frame.partition("\n")
        assert head.startswith("event: "), frame
        assert data.startswith("data: "), frame
        event = json.loads(data[6:])
        assert event["type"] == head[7:]
        events.append(event)
    return events


def check(stream: bytes) -> list[Event]:
    """The events of a stream, whole or ended by an error."""
    events = events_of(stream)
    open_block: str | None = None
    signed = False
    index = 0
    begun = reason = over = False
    for number, event in enumerate(events):
        kind = event["type"]
        where = f"event {number}: {event}"
        assert not over, f"after the end, {where}"
        if kind == "ping":
            continue
        if kind == "error":
            assert event["error"]["type"], where
            assert event["error"]["message"], where
            over = True
        elif kind == "message_start":
            assert not begun, where
            begun = True
            message = event["message"]
            assert message["content"] == [], where
            assert message["stop_reason"] is None, where
            assert message["role"] == "assistant", where
            assert isinstance(message["usage"]["input_tokens"], int), where
            assert isinstance(message["usage"]["output_tokens"], int), where
        elif kind == "content_block_start":
            assert begun, where
            assert not reason, where
            assert open_block is None, where
            assert event["index"] == index, where
            open_block, signed = event["content_block"]["type"], False
        elif kind == "content_block_delta":
            assert open_block is not None, where
            assert event["index"] == index, where
            assert event["delta"]["type"] in _DELTAS[open_block], where
            assert not signed, f"after the signature, {where}"
            signed = event["delta"]["type"] == "signature_delta"
        elif kind == "content_block_stop":
            assert open_block is not None, where
            assert event["index"] == index, where
            open_block = None
            index += 1
        elif kind == "message_delta":
            assert begun, where
            assert open_block is None, where
            assert event["delta"]["stop_reason"], where
            assert isinstance(event["usage"]["output_tokens"], int), where
            reason = True
        else:
            assert kind == "message_stop", where
            assert reason, where
            over = True
    assert over, "the stream has no end"
    return events
