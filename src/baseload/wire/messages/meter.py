"""Reads a Messages reply stream along for the meter. Every byte is forwarded; nothing is hidden from the client.

In:     body bytes in pieces cut anywhere, then `close()`. Out: whole frames to forward, and the facts as attributes.
Usage comes in `message_start` (where its `output_tokens` is a placeholder, no report) and, cumulative, in every
`message_delta`; the parts of message_start that a delta does not repeat stay (protocols.md, 4.3).
Holds:  one unfinished frame, the first usage report and at most three more, one error. Never the reply.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.chat.shapes import text_or_empty, utf8_len
from baseload.wire.messages.frames import Frames, payload_of
from baseload.wire.messages.reports import Reports
from baseload.wire.messages.shapes import (
    Event,
    LooseEvent,
    decode_block,
    decode_event,
    decode_loose,
    decode_message,
    error_in,
    tier_of,
)
from baseload.wire.metering import Metered
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.sse import FRAME_MAX

_BRACE = 0x7B
_LF, _CR = 10, 13  # `in` with an int is one memchr; with bytes it is five times dearer


class StreamMeter(Metered):
    """See the module. `feed` pieces, `close` at the end of the body; then read the attributes.

    done            message_stop came
    finished        a stop reason came
    finish          the last one
    error           the error inside this 200 stream, as raw JSON
    first_token     generated text has come; pings, comments and message_start are none
    malformed       frames with data that is no JSON object
    """

    __slots__ = (
        "_cap",
        "_frames",
        "_pending",
        "_reports",
    )

    def __init__(self, strip: bool = False, cap: int = FRAME_MAX) -> None:
        """`strip` is there for the shape all meters have: this protocol has no frame that nobody asked for."""
        super().__init__()
        self._cap = cap
        self._frames = Frames(cap)
        self._pending = self._frames.pending
        self._reports = Reports()

    @property
    def usages(self) -> list[bytes]:
        """Reports for `usage.normalise`, oldest first. That of message_start is without its placeholder of output."""
        return self._reports.all

    def feed(self, piece: bytes) -> bytes:
        """What to forward now: whole frames only. Raises `ProviderFault("garbage")` when one exceeds the cap."""
        if piece[-2:] == b"\n\n" and piece[:6] == b"event:" and not self._pending and len(piece) <= self._cap:
            at = piece.find(b"\ndata:")
            payload = piece[at + 6 : -2]
            if at > 0 and _LF not in payload and _CR not in piece:  # one whole frame: nearly every piece
                self._take(payload)
                return piece
        whole, frames = self._frames.cut(piece)
        for frame in frames:
            self._read(frame)
        return whole

    def close(self) -> bytes:
        """The end of the body: the unfinished rest, to forward. A last frame without its blank line still counts."""
        rest, frames = self._frames.rest()
        for frame in frames:
            self._read(frame)
        return rest

    def _read(self, frame: bytes) -> None:
        """Takes the facts of one frame, without its blank line."""
        payload = payload_of(frame)
        if payload is not None:
            self._take(payload)

    def _take(self, payload: bytes) -> None:
        try:
            event = decode_event(payload)
        except FAILED:
            self._take_slowly(payload)
            return
        delta = event.delta
        if delta is not None:
            text = delta.text or delta.partial_json or delta.thinking
            if text:
                self.text_bytes += len(text) if text.isascii() else len(text.encode())
                self.frames += 1
                self.first_token = True
            if delta.stop_reason:
                self.finished, self.finish = True, delta.stop_reason
            if event.type == "content_block_delta" and event.error is ABSENT:
                return
        self._take_rest(event, event.type, payload)

    def _take_rest(self, event: Event | LooseEvent, kind: str, payload: bytes) -> None:
        """What frames without text say."""
        if kind == "message_stop":
            self.done = True
        elif kind == "message_start":
            self._begin(event.message)
        elif kind == "content_block_start":
            self._open(event.content_block)
        if event.usage is not ABSENT:
            self._report(event.usage)
        error = error_in(event, payload)
        if error or kind == "error":
            self._fail(error or payload)

    def _begin(self, raw: Raw) -> None:
        try:
            message = decode_message(raw)
        except FAILED:
            return
        self.upstream_model = self.upstream_model or text_or_empty(message.model)
        if message.usage is not ABSENT and memoryview(message.usage)[0] == _BRACE:
            self.usage = bytes(message.usage)
            self._reports.start(self.usage)
            self.tier = tier_of(message.usage) or self.tier

    def _open(self, raw: Raw) -> None:
        """A tool's name is generated text; a few dialects put the first text of a block into its start."""
        try:
            block = decode_block(raw)
        except FAILED:
            return
        size = sum(utf8_len(text_or_empty(text)) for text in (block.name, block.text, block.thinking))
        if size:
            self.text_bytes += size
            self.frames += 1
            self.first_token = True

    def _report(self, usage: Raw) -> None:
        raw = bytes(usage)
        if raw[:1] != b"{":
            return
        self.usage = raw
        self.tier = tier_of(usage) or self.tier
        self._reports.add(raw)

    def _take_slowly(self, payload: bytes) -> None:
        """For what the quick way does not take: half surrogates, surprising types, garbage."""
        try:
            masked = half_surrogates_masked(payload)
            try:
                event: Event | LooseEvent = decode_event(masked)
            except msgspec.ValidationError:
                event = decode_loose(masked)
        except FAILED:
            self.malformed += 1
            return
        if isinstance(event, Event):
            self._take(masked)
            return
        kind = text_or_empty(event.type)
        if kind == "content_block_delta" and len(event.delta) > 2:
            self.text_bytes += len(event.delta)  # near enough for a shape nobody wrote down
            self.frames += 1
            self.first_token = True
        self._take_rest(event, kind, masked)
