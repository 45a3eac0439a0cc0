"""A ConverseStream reply -> canonical events.

In:     bytes cut anywhere, then `close()`. Out: events in the order of `canon/events.py`.
Blocks come one after another under `contentBlockIndex`; text and reasoning have no start event, so their first delta
opens them (vendors.md 3.13). The reply ends with `metadata`, which carries the usage, after `messageStop`.
Holds:  one unfinished message, and the signature of one thinking block.
Raises `ProviderFault("garbage")` on a damaged stream, on a payload that is no JSON, and on a tool's input without a
tool. Exceptions inside the stream are the meter's to find: here nothing follows them.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import (
    AnyEvent,
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
from baseload.wire.converse import shapes
from baseload.wire.converse.reply_in import USAGE
from baseload.wire.converse.shapes import FINISHES, Event, decode_event, failure, stop_sequence, string
from baseload.wire.eventstream import EventCutter, Message
from baseload.wire.raw import ABSENT, FAILED, NULL
from baseload.wire.sse import FRAME_MAX
from baseload.wire.usage import normalise

_SKIPPED = "skipped"  # a block of the provider's own tools: no other protocol has a place for it


class StreamIn:
    def __init__(self, target: Target, cap: int = FRAME_MAX) -> None:
        self._target = target
        self._cap = cap
        self._cutter = EventCutter(cap)
        self._started = False
        self._finished = False
        self._ended = False  # nothing is told after the end, or after an exception
        self._index = -1  # contentBlockIndex of the open block
        self._kind = ""  # of the open block; "" = none is open
        self._block = -1  # canonical number of the block opened last
        self._signature: list[str] = []
        self._signature_size = 0

    def feed(self, data: bytes) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for message in self._cutter.feed(data):
            if not self._ended:
                self._take(message, events)
        return events

    def close(self) -> list[AnyEvent]:
        """The end of the body. A reply that was stopped is whole even where its metadata did not come."""
        self._cutter.close()
        if self._ended or not self._finished:
            return []
        self._ended = True
        return [Ended()]

    def _take(self, message: Message, events: list[AnyEvent]) -> None:
        if failure(message):
            self._ended = True
            return
        kind = message.headers.get(":event-type")
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None or (self._finished and kind != "metadata"):
            return  # new kinds of events come every year; and nothing but metadata belongs behind messageStop
        try:
            event = decode_event(message.payload)
        except FAILED as why:
            raise ProviderFault("garbage", f"an event of the reply cannot be read: {why}", sent=True) from None
        if not self._started:
            self._started = True
            events.append(Started())
        handler(self, event, events)

    def _on_start(self, event: Event, events: list[AnyEvent]) -> None:
        """messageStart carries the role only; `_take` has said that the reply has begun."""

    def _on_block_start(self, event: Event, events: list[AnyEvent]) -> None:
        start = event.start
        if start is None:
            return
        self._close_block(events)
        self._index = event.contentBlockIndex
        if start.toolUse is not None and start.toolUse.type is None:
            use = start.toolUse
            self._open("tool", events, Opened(block=0, kind="tool", id=use.toolUseId or ids.invent(), name=use.name))
        elif start.image is not None:
            self._open("media", events, Opened(block=0, kind="media", name=f"image/{start.image.format or 'png'}"))
        else:
            self._kind = _SKIPPED

    def _on_delta(self, event: Event, events: list[AnyEvent]) -> None:
        delta = event.delta
        if delta is None:
            return
        if self._kind and event.contentBlockIndex != self._index:
            self._close_block(events)
        self._index = event.contentBlockIndex
        if self._kind == _SKIPPED:
            return
        if delta.text:
            self._enter("text", events)
            events.append(Delta(block=self._block, text=delta.text))
        if delta.reasoningContent is not None:
            self._reason(delta.reasoningContent, events)
        if delta.toolUse is not None:
            if self._kind != "tool":
                raise ProviderFault("garbage", "the input of a tool comes without its start", sent=True)
            text = string(delta.toolUse.input)
            if text:
                events.append(Delta(block=self._block, text=text))
        if delta.citation is not ABSENT and delta.citation != NULL:
            self._enter("text", events)
            # A copy: the raw value is a view that would keep the whole message alive.
            raw = msgspec.Raw(bytes(delta.citation))
            events.append(Cited(block=self._block, protocol="converse", raw=raw))
        if delta.image is not None and self._kind == "media":
            source = delta.image.source
            if source is not None and source.bytes:
                events.append(Delta(block=self._block, text=source.bytes))

    def _reason(self, reasoning: shapes.Reasoning, events: list[AnyEvent]) -> None:
        if reasoning.redactedContent:
            self._enter("redacted", events)
            self._sign(reasoning.redactedContent)
            return
        if reasoning.text or reasoning.signature:
            self._enter("thinking", events)
        if reasoning.text:
            events.append(Delta(block=self._block, text=reasoning.text))
        if reasoning.signature:
            self._sign(reasoning.signature)

    def _sign(self, piece: str) -> None:
        self._signature_size += len(piece)
        if self._signature_size > self._cap:
            raise ProviderFault("garbage", f"a signature of the reply exceeds {self._cap} bytes", sent=True)
        self._signature.append(piece)

    def _on_block_stop(self, event: Event, events: list[AnyEvent]) -> None:
        if event.contentBlockIndex == self._index:
            self._close_block(events)

    def _on_stop(self, event: Event, events: list[AnyEvent]) -> None:
        self._close_block(events)
        self._finished = True
        native = event.stopReason or ""
        reason = FINISHES.get(native, "stop")
        matched = stop_sequence(event.additionalModelResponseFields) if reason == "stop_sequence" else ""
        events.append(Finished(reason=reason, stop_sequence=matched, native=native))

    def _on_metadata(self, event: Event, events: list[AnyEvent]) -> None:
        if event.usage is not ABSENT and event.usage != NULL:
            meters = normalise(USAGE, self._target.dialect, bytes(event.usage)).meters
            tier = (event.serviceTier.type or "") if event.serviceTier is not None else ""
            if meters:
                events.append(Counted(meters=meters, tier=tier))
        if self._finished:
            self._ended = True
            events.append(Ended())

    def _enter(self, kind: str, events: list[AnyEvent]) -> None:
        """The open block is of this kind from here on."""
        if self._kind == kind:
            return
        self._close_block(events)
        redacted = kind == "redacted"
        self._open(kind, events, Opened(block=0, kind="thinking" if redacted else kind, redacted=redacted))

    def _open(self, kind: str, events: list[AnyEvent], opened: Opened) -> None:
        self._block += 1
        self._kind = kind
        opened.block = self._block
        events.append(opened)

    def _close_block(self, events: list[AnyEvent]) -> None:
        if self._kind and self._kind != _SKIPPED:
            if self._signature:
                whole = _joined(self._signature) if self._kind == "redacted" else "".join(self._signature)
                events.append(Signed(block=self._block, signature=whole))
                self._signature, self._signature_size = [], 0
            events.append(Closed(block=self._block))
        self._kind = ""


_HANDLERS = {
    "messageStart": StreamIn._on_start,
    "contentBlockStart": StreamIn._on_block_start,
    "contentBlockDelta": StreamIn._on_delta,
    "contentBlockStop": StreamIn._on_block_stop,
    "messageStop": StreamIn._on_stop,
    "metadata": StreamIn._on_metadata,
}


def _joined(pieces: list[str]) -> str:
    """Base64 of the bytes that several base64 pieces are: each may end in padding of its own."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join([base64.b64decode(piece) for piece in pieces])).decode()
    except (binascii.Error, ValueError):
        return "".join(pieces)
