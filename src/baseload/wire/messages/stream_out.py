"""Canonical events -> a Messages stream for a client (protocols.md, 4.3 and 11).

In:     events, in any order of overlapping blocks. Out: SSE frames: `message_start`, blocks strictly one after another,
        one `message_delta` with the reason and the usage, `message_stop`. Or, after a failure, an `error` and no end.
A block begins when there is something in it: an empty text would be refused when the client sends it back. A thinking
block ends with its signature. `message_start` needs usage before anybody knows it: it says 0 unless the count came with
it, and `message_delta` corrects it (pitfall 12).
Holds:  what `Sequencer` holds, and of hidden thinking its text, at most HIDDEN_MAX characters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from baseload.errors import Refusal
from baseload.wire.canon import ids
from baseload.wire.canon.carry import View
from baseload.wire.canon.events import (
    AnyEvent,
    Beat,
    Cited,
    Closed,
    Counted,
    Delta,
    Ended,
    Finished,
    Opened,
    Signed,
    Started,
)
from baseload.wire.canon.sequence import Sequencer
from baseload.wire.envelope import stream_error
from baseload.wire.messages.ending import GenerationFailed, ending, sealed, usage_of

HIDDEN_MAX = 2**20

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_PIECE = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":%s}}\n\n'
)
_encode = msgspec.json.Encoder().encode


def _frame(kind: str, body: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + _encode({"type": kind, **body}) + b"\n\n"


class StreamOut:
    """See the module."""

    __slots__ = (
        "_block",
        "_finish",
        "_hidden",
        "_hidden_size",
        "_index",
        "_meters",
        "_out",
        "_over",
        "_refused",
        "_said",
        "_sequencer",
        "_signature",
        "_started",
        "_tier",
        "_tools",
        "_view",
        "_written",
    )

    def __init__(self, view: View) -> None:
        self._view = view
        self._sequencer = Sequencer()
        self._out: list[bytes] = []
        self._started = self._over = self._tools = self._refused = False
        self._index = 0  # of the block that is open, or opens next
        self._block: Opened | None = None
        self._written = False  # its content_block_start has gone out
        self._signature = ""
        self._hidden: list[str] = []
        self._hidden_size = 0
        self._said = ""
        self._finish: Finished | None = None
        self._meters: dict[str, int] | None = None
        self._tier = ""

    def write(self, events: list[AnyEvent]) -> bytes:
        for event in self._sequencer.put(events):
            if self._over:
                break
            writer = _WRITERS.get(type(event))
            if writer is not None and not getattr(event, "choice", 0):
                if not self._started and not isinstance(event, Beat | Counted):
                    self._begin(event, events)
                writer(self, event)
        out, self._out = b"".join(self._out), []
        return out

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        """The error event that ends the stream; nothing comes after it."""
        self._over = True
        return stream_error("messages", refusal, call_id)

    def _begin(self, event: AnyEvent, events: list[AnyEvent]) -> None:
        self._started = True
        counted = next((found for found in events if isinstance(found, Counted)), None)
        if counted is not None:
            self._count(counted)
        given = event.id if isinstance(event, Started) else ""
        message: dict[str, Any] = {
            "id": given or f"msg_{self._view.id}",
            "type": "message",
            "role": "assistant",
            "model": self._view.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(self._meters, self._tier),
        }
        if self._meters is None:
            del message["usage"]["cache_creation"]  # message_delta has no place for it: better none than a wrong one
        self._out.append(_frame("message_start", {"message": message}))

    def _start(self, event: Started) -> None:
        pass  # `_begin` has said it

    def _open(self, event: Opened) -> None:
        self._block, self._written, self._signature = event, False, ""
        self._hidden, self._hidden_size = [], 0
        if event.kind == "tool":
            self._tools = True
            self._first({"type": "tool_use", "id": ids.safe(event.id), "name": event.name, "input": {}})
            if event.custom:
                self._piece("input_json_delta", "partial_json", b'"{\\"input\\":\\""')
        elif event.kind == "refusal":
            self._refused = True
        elif event.kind == "media" and event.url:
            self._text(event.url)

    def _first(self, block: dict[str, Any]) -> None:
        self._written = True
        self._out.append(_frame("content_block_start", {"index": self._index, "content_block": block}))

    def _piece(self, kind: str, member: str, value: bytes) -> None:
        self._out.append(_PIECE % (self._index, kind.encode(), member.encode(), value))

    def _delta(self, event: Delta) -> None:
        block = self._block
        if block is None or not event.text:
            return
        if block.kind == "tool":
            text = event.text if not block.custom else _encode(event.text)[1:-1].decode()
            self._piece("input_json_delta", "partial_json", _encode(text))
        elif block.kind == "thinking":
            self._think(event.text)
        elif block.kind != "media":
            if block.kind == "refusal" and len(self._said) < HIDDEN_MAX:
                self._said += event.text
            self._text(event.text)

    def _text(self, text: str) -> None:
        if not self._written:
            self._first({"type": "text", "text": ""})
        self._piece("text_delta", "text", _encode(text))

    def _think(self, text: str) -> None:
        block = self._block
        if block is None or block.redacted:
            return
        if not self._view.show_thinking:
            self._hidden_size += len(text)
            if self._hidden_size <= HIDDEN_MAX:
                self._hidden.append(text)
            return
        if not self._written:
            self._first({"type": "thinking", "thinking": "", "signature": ""})
        self._piece("thinking_delta", "thinking", _encode(text))

    def _sign(self, event: Signed) -> None:
        self._signature = event.signature

    def _cite(self, event: Cited) -> None:
        if event.protocol == "messages" and self._block is not None and self._block.kind == "text":
            if not self._written:
                self._first({"type": "text", "text": ""})
            self._piece("citations_delta", "citation", bytes(event.raw))

    def _close(self, event: Closed) -> None:
        block = self._block
        if block is None:
            return
        if block.kind == "thinking":
            self._close_thinking(block)
        elif block.custom and self._written:
            self._piece("input_json_delta", "partial_json", b'"\\"}"')
        if self._written:
            self._out.append(_frame("content_block_stop", {"index": self._index}))
            self._index += 1
        self._block = None

    def _close_thinking(self, block: Opened) -> None:
        origin, signature = self._view.origin, self._signature
        if block.redacted:
            if signature:
                self._first({"type": "redacted_thinking", "data": sealed(origin, signature, redacted=True)})
            return
        text: str | None = None
        if not self._written:
            if not signature:
                return
            self._first({"type": "thinking", "thinking": "", "signature": ""})
            if 0 < self._hidden_size <= HIDDEN_MAX:
                text = "".join(self._hidden)
        signature = sealed(origin, signature, text=text)
        if signature:
            self._piece("signature_delta", "signature", _encode(signature))

    def _finished(self, event: Finished) -> None:
        self._finish = event

    def _count(self, event: Counted) -> None:
        self._meters = event.meters
        self._tier = event.tier or self._tier

    def _beat(self, event: Beat) -> None:
        self._out.append(_PING)

    def _end(self, event: Ended) -> None:
        finish = self._finish or Finished(reason="stop")
        if finish.reason == "error":
            self._out.append(self.fail(GenerationFailed(finish.native), self._view.id))
            return
        delta = ending(
            finish.reason,
            tools=self._tools,
            refused=self._refused,
            stop_sequence=finish.stop_sequence,
            word=finish.native,
            said=self._said,
            detail=finish.detail,
        )
        self._out.append(_frame("message_delta", {"delta": delta, "usage": usage_of(self._meters, "")}))
        self._out.append(_STOP)
        self._over = True


_WRITERS: dict[type, Callable[[StreamOut, Any], None]] = {
    Started: StreamOut._start,
    Opened: StreamOut._open,
    Delta: StreamOut._delta,
    Signed: StreamOut._sign,
    Cited: StreamOut._cite,
    Closed: StreamOut._close,
    Finished: StreamOut._finished,
    Counted: StreamOut._count,
    Beat: StreamOut._beat,
    Ended: StreamOut._end,
}
