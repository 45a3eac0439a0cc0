"""Reads a Responses stream along for the meter.

In:     body bytes in pieces cut anywhere, then `close()`. Out: whole frames, to forward or translate, every byte as it
        came; and the facts as attributes.
Usage, tier, finish and failure come with the terminal event, whichever it is (lesson 9); events of types nobody wrote
down pass. Nothing is ever left out, so `strip` is only there to be called as every meter is.
Holds:  one unfinished frame, the last report, one error. Never the reply.
"""

from __future__ import annotations

from baseload.wire.body import half_surrogates_masked
from baseload.wire.chat.shapes import decode_loose as decode_flat
from baseload.wire.chat.shapes import is_error
from baseload.wire.metering import Metered
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.responses.facts import error_of
from baseload.wire.responses.shapes import (
    TERMINAL,
    Response,
    decode_event,
    decode_holder,
    decode_loose,
    item_of,
    object_or_empty,
    payload_of,
    response_of,
    text_or_empty,
    utf8_len,
)
from baseload.wire.sse import FRAME_MAX, FrameCutter, data_of

_UNSPOKEN = frozenset(("response.audio.delta",))  # base64: a frame of generated output, but no text
_NOT_GENERATED = frozenset(("response.shell_call_output_content.delta",))  # what a tool printed
_CR = 13


class StreamMeter(Metered):
    """See the module. `feed` pieces, `close` at the end of the body; then read the attributes.

    done            a terminal event came
    finished        the same: here the reason comes with the end
    finish          the status, or the reason why it is incomplete
    error           an `error` event, or the error of a failed response
    malformed       frames with data that is no JSON object
    """

    __slots__ = (
        "_cap",
        "_cutter",
        "_fresh",
        "_pending",
        "_report",
        "strip",
    )

    def __init__(self, strip: bool = False, cap: int = FRAME_MAX) -> None:
        super().__init__()
        self._cap = cap
        self._cutter = FrameCutter(cap)
        self._pending = self._cutter.pending
        self._report = b""
        self._fresh = False  # an item has begun and no delta of it came
        self.strip = strip

    @property
    def usages(self) -> list[bytes]:
        """Reports for `usage.normalise`: one, with `tool_usage` where tools were used."""
        return [self._report] if self._report else []

    def feed(self, piece: bytes) -> bytes:
        """What to forward now. Raises `ProviderFault("garbage")` when a frame exceeds the cap."""
        if piece[-2:] == b"\n\n" and not self._pending and _CR not in piece and len(piece) <= self._cap:
            for frame in piece[:-2].split(b"\n\n"):
                self._read(frame)
            return piece
        frames = self._cutter.feed(piece)
        for frame in frames:
            self._read(frame)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def close(self) -> bytes:
        """The end of the body: the unfinished rest, to forward. A last frame without its blank line still counts."""
        rest = self._cutter.close()
        if rest:
            self._read(rest)
        return rest

    def _read(self, frame: bytes) -> None:
        payload = payload_of(frame)
        try:
            event = decode_event(payload)
        except FAILED:
            self._read_slowly(frame)
            return
        kind = event.type
        if kind[-6:] == ".delta":
            if event.delta and kind not in _NOT_GENERATED:
                self._text(0 if kind in _UNSPOKEN else utf8_len(event.delta))
        elif event.response is not ABSENT:
            self._take_response(kind, event.response)
        else:
            self._take_other(kind, payload)

    def _text(self, size: int) -> None:
        self.frames += 1
        self.text_bytes += size
        self.first_token = True
        self._fresh = False

    def _take_response(self, kind: str, raw: bytes | memoryview) -> None:
        try:
            response = response_of(bytes(raw))
        except FAILED:
            response = Response()
        self.upstream_model = response.model or self.upstream_model
        self.tier = response.service_tier or self.tier
        usage = object_or_empty(response.usage)
        if usage:
            self.usage = usage
        self._report = response.report() or self._report
        if kind in TERMINAL:
            self.done = self.finished = True
            self.finish = response.finish or kind.rpartition(".")[2]
            if kind == "response.failed" and not response.status:
                response.status = "failed"
        error = error_of(response)
        if error:
            self._fail(error)

    def _take_other(self, kind: str, payload: bytes) -> None:
        """Events without text and without a response object: item borders, errors, and all that is new."""
        if kind == "response.output_item.added":
            self._fresh = True
        elif kind == "response.output_item.done":
            if self._fresh:  # a vendor that sends whole items
                self._take_item(payload)
            self._fresh = False
        elif kind == "error" or not kind.startswith("response."):
            flat = decode_flat(payload)
            if is_error(flat.error):
                self._fail(bytes(flat.error))
            elif kind == "error":
                self._fail(payload.strip())
            else:
                error = flat.error_in(payload)
                if error:
                    self._fail(error)

    def _take_item(self, payload: bytes) -> None:
        size = item_of(decode_holder(payload).item).text_bytes
        if size:
            self._text(size)

    def _read_slowly(self, frame: bytes) -> None:
        """For what the quick way does not take: [DONE], several data lines, half surrogates, surprising types."""
        payload = data_of(frame)
        if payload is None or not (payload := payload.strip()) or payload == b"[DONE]":
            return
        payload = half_surrogates_masked(payload)
        try:
            event = decode_loose(payload)
        except FAILED:
            self.malformed += 1
            return
        kind = text_or_empty(event.type)
        if kind[-6:] == ".delta":
            text = bytes(event.delta)
            if len(text) > 2 and text != b"null" and kind not in _NOT_GENERATED:
                self._text(0 if kind in _UNSPOKEN else _size(event.delta))
        elif event.response is not ABSENT and bytes(event.response) != b"null":
            self._take_response(kind, event.response)
        else:
            self._take_other(kind, payload)


def _size(raw: bytes) -> int:
    """Bytes of a delta; of one that is no string (a vendor's object), its own length is near enough."""
    text = text_or_empty(raw)  # type: ignore[arg-type]
    return utf8_len(text) if text else len(raw)
