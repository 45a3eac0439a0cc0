"""Native DashScope streams as the service sends them: an id, an event, a comment with the status, then the data."""

from __future__ import annotations

import json
from typing import Any


def frame(number: int, data: dict[str, Any], status: int = 200) -> bytes:
    kind = "result" if status == 200 else "error"
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"id:{number}\nevent:{kind}\n:HTTP_STATUS/{status}\ndata:{text}\n\n".encode()


def usage(output: int, **more: Any) -> dict[str, Any]:
    return {"total_tokens": 20 + output, "output_tokens": output, "input_tokens": 20, **more}


def reply(message: dict[str, Any], output: int, finish: str = "null", index: int | None = 0) -> dict[str, Any]:
    choice: dict[str, Any] = {"message": {"role": "assistant", **message}, "finish_reason": finish}
    if index is not None:
        choice["index"] = index
    counted = usage(output, output_tokens_details={"reasoning_tokens": min(output, 2)})
    return {"output": {"choices": [choice]}, "usage": counted, "request_id": "req-1"}


def call(index: int, id_: str, name: str | None, arguments: str) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"index": index, "id": id_, "type": "function", "function": function}


MESSAGES: list[dict[str, Any]] = [
    {"content": "", "reasoning_content": "嗯，"},
    {"content": "", "reasoning_content": "two cities."},
    {"content": "Let me ", "reasoning_content": ""},
    {"content": "see: 🌍", "reasoning_content": ""},
    {"content": "", "tool_calls": [call(0, "call_a", "weather", "")]},
    {"content": "", "tool_calls": [call(0, "", "", '{"city": "Par')]},
    {"content": "", "tool_calls": [call(0, "", None, 'is", "n": 12345678901234567890}')]},
    {"content": "", "tool_calls": [call(1, "call_b", "now", "")]},
    {"content": "", "tool_calls": [call(1, "call_b", "now", "{}")]},
]
STREAM = b"".join(frame(at + 1, reply(message, at + 1)) for at, message in enumerate(MESSAGES)) + frame(
    10, reply({"content": ""}, 10, "tool_calls")
)
WHOLE = {
    "content": "Let me see: 🌍",
    "reasoning_content": "嗯，two cities.",
    "tool_calls": [
        call(0, "call_a", "weather", '{"city": "Paris", "n": 12345678901234567890}'),
        call(1, "call_b", "now", "{}"),
    ],
}
