"""The proper end of a forwarded stream that stops before its provider ends it, in the client's protocol.

In:     the frames that were forwarded; how much output they carried. Out: the last bytes of the reply.
Holds:  a few names; of a Responses stream its frames (at most KEPT_MAX), because its last event repeats the reply.

The reason is always the protocol's word for "the limit of tokens was reached": clients know it and keep what they have.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.fold import Folder
from baseload.wire.canon.stop import OpenBlocks
from baseload.wire.protocols import CLIENTS, PROVIDERS

KEPT_MAX = 16 * 2**20
_encode = msgspec.json.encode
_DATA = re.compile(rb"(?:^|\n)data: ?(\{[^\n]*)")
_BLOCK = re.compile(rb'"type"\s*:\s*"content_block_(start|stop)"')
_INDEX = re.compile(rb'"index"\s*:\s*(\d{1,6})')


class Closing:
    """One forwarded stream. `endpoint` is the client's; its provider speaks the same protocol."""

    def __init__(self, endpoint: str, choices: int, target: Target, view: View) -> None:
        self._endpoint = endpoint
        self._choices = choices
        self._target = target
        self._view = view
        self._first: dict[str, Any] | None = None  # members of the first frame
        self._block = -1  # the open content block
        self._kept: list[bytes] = []
        self._size = 0

    def see(self, frames: bytes) -> None:
        """Whole frames went out."""
        if self._endpoint == "messages":
            self._see_blocks(frames)
        elif self._endpoint == "responses":
            self._size += len(frames)
            if self._size <= KEPT_MAX:
                self._kept.append(frames)
        elif self._first is None:
            found = _DATA.search(frames)
            if found is not None:
                self._first = _members(found[1])

    def _see_blocks(self, frames: bytes) -> None:
        seen = list(_BLOCK.finditer(frames))
        if not seen:
            return
        found = seen[-1]
        line = frames[frames.rfind(b"\n", 0, found.start()) + 1 : frames.find(b"\n", found.end())]
        index = _INDEX.search(line)
        self._block = int(index[1]) if index is not None and found[1] == b"start" else -1

    def end(self, input_tokens: int, output_tokens: int) -> bytes:
        """The last bytes."""
        if self._endpoint == "messages":
            return self._messages(output_tokens)
        if self._endpoint == "gemini":
            return self._gemini(input_tokens, output_tokens)
        if self._endpoint == "responses":
            return self._responses()
        return self._chat(input_tokens, output_tokens)

    def _chat(self, input_tokens: int, output_tokens: int) -> bytes:
        """Also completions."""
        first = self._first or {}
        text = self._endpoint == "completions"
        kind = "text_completion" if text else "chat.completion.chunk"
        view = self._view
        head: dict[str, Any] = {"id": view.id, "object": kind, "created": view.created_s, "model": view.model}
        head = {name: first.get(name, value) for name, value in head.items()}
        said: dict[str, Any] = {"text": ""} if text else {"delta": {}}
        out = [
            _data({**head, "choices": [{"index": number, **said, "logprobs": None, "finish_reason": "length"}]})
            for number in range(self._choices)
        ]
        if self._view.wants_usage:
            usage = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens,
                     "total_tokens": input_tokens + output_tokens}  # fmt: skip
            out.append(_data({**head, "choices": [], "usage": usage}))
        return b"".join(out) + b"data: [DONE]\n\n"

    def _messages(self, output_tokens: int) -> bytes:
        out = b""
        if self._block >= 0:
            out = _event("content_block_stop", {"type": "content_block_stop", "index": self._block})
        delta = {"stop_reason": "max_tokens", "stop_sequence": None}
        out += _event(
            "message_delta", {"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}}
        )
        return out + _event("message_stop", {"type": "message_stop"})

    def _gemini(self, input_tokens: int, output_tokens: int) -> bytes:
        candidate = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "MAX_TOKENS", "index": 0}
        usage = {"promptTokenCount": input_tokens, "candidatesTokenCount": output_tokens,
                 "totalTokenCount": input_tokens + output_tokens}  # fmt: skip
        return _data({"candidates": [candidate], "usageMetadata": usage})

    def _responses(self) -> bytes:
        """The reply so far, as a whole one that is incomplete, in the last event."""
        blocks, folder = OpenBlocks(), Folder()
        frames = b"".join(self._kept)
        try:
            events = PROVIDERS["responses"].stream_in(self._target).feed(frames)
            blocks.see(events)
            folder.put([*events, *blocks.closing({})])
            response = _members(CLIENTS["responses"].reply_out(folder.reply(), self._view)) or {}
        except ProviderFault:
            response = {}
        found = _DATA.search(frames)
        created = (_members(found[1]) or {}).get("response", {}) if found is not None else {}
        if not isinstance(created, dict):
            created = {}
        response = {
            **created, "output": response.get("output", []), "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
        }  # fmt: skip
        numbers = re.findall(rb'"sequence_number"\s*:\s*(\d{1,15})', frames)
        number = int(numbers[-1]) + 1 if numbers else 0
        body = {"type": "response.incomplete", "sequence_number": number, "response": response}
        return _event("response.incomplete", body)


def _members(text: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def _data(value: Any) -> bytes:
    return b"data: %b\n\n" % _encode(value)


def _event(name: str, value: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(value))
