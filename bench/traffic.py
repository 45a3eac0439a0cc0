"""The bytes that are sent: requests as an OpenAI SDK makes them, and what the mocks answer."""

from __future__ import annotations

import json
from collections.abc import Mapping

PATH = "/v1/chat/completions"
MODEL_WHOLE = "bench-whole"  # 20 offers at the mock that answers at once
MODEL_STREAM = "bench-stream"  # 20 offers at the mock that streams
UPSTREAM_MODEL = "vendor-chat-large-2026-01-01"

_WORDS = "The load curve of a token grid has a valley at night and a peak after lunch, as that of a power grid has. "

# What an SDK sends beside host, content-type and content-length: a proxy has to read past all of it.
_SDK_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "OpenAI/Python 2.0.0",
    "X-Stainless-Lang": "python",
    "X-Stainless-Package-Version": "2.0.0",
    "X-Stainless-OS": "Linux",
    "X-Stainless-Arch": "x64",
    "X-Stainless-Runtime": "CPython",
    "X-Stainless-Runtime-Version": "3.11.0",
    "X-Stainless-Async": "false",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
}


def headers(key: str) -> dict[str, str]:
    """Header lines of a request, without host and framing."""
    return {**_SDK_HEADERS, "Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def chat_body(model: str, size: int, **members: object) -> bytes:
    """A chat request of about `size` bytes: several messages, as a conversation has them."""
    body: dict[str, object] = {"model": model, "temperature": 0.2, "max_tokens": 256, **members}
    turns = 4 if size < 8192 else 24
    room = (size - len(json.dumps(body)) - 48 * turns) // turns
    text = (_WORDS * (room // len(_WORDS) + 1))[: max(room, 1)]
    body["messages"] = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn in range(turns)]
    return json.dumps(body).encode()


def request(key: str, body: bytes, host: str = "127.0.0.1", path: str = PATH) -> bytes:
    """The whole request of one call."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers(key).items())]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body


def whole_reply() -> bytes:
    """The mock's answer to a call that is not streamed: about 1 KB, with usage."""
    reply = {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1780000000,
        "model": UPSTREAM_MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _WORDS * 4, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
    return json.dumps(reply).encode()


_USAGE = {
    "prompt_tokens": 229,
    "completion_tokens": 96,
    "total_tokens": 325,
    "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def _event(members: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(members, separators=(",", ":")).encode() + b"\n\n"


def stream_frames(with_usage: bool) -> tuple[bytes, bytes]:
    """(a frame of text, what ends the stream). Asked for usage, every frame carries `"usage":null`, as OpenAI's do."""
    head: dict[str, object] = {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion.chunk",
        "created": 1780000000,
        "model": UPSTREAM_MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
    tail: dict[str, object] = {"usage": None} if with_usage else {}
    choice = {"index": 0, "delta": {"content": " token"}, "logprobs": None, "finish_reason": None}
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    end = _event({**head, "choices": [last], **tail})
    if with_usage:
        end += _event({**head, "choices": [], "usage": _USAGE})
    return _event({**head, "choices": [choice], **tail}), end + b"data: [DONE]\n\n"
