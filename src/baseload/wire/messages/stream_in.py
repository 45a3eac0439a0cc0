"""A provider's Messages stream -> canonical events.

In:     bytes in pieces cut anywhere, then `close()`. Out: events in the order `canon.events` names.
Usage is counted anew from all reports whenever one comes (cumulative, per field the last). The stop reason is held
until `message_stop`, because more than one `message_delta` may come. Blocks only this protocol knows are left out, for
no client of another protocol can have asked for their tools.
Holds:  one unfinished frame, the signatures of open blocks, at most four usage reports.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
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
from baseload.wire.chat.shapes import text_or_empty
from baseload.wire.messages.finish import canonical
from baseload.wire.messages.frames import Frames, payload_of
from baseload.wire.messages.reports import Reports
from baseload.wire.messages.shapes import (
    decode_block,
    decode_message,
    tier_of,
    without_half_surrogates,
)
from baseload.wire.raw import ABSENT, FAILED, NULL
from baseload.wire.usage import normalise

OPEN_MAX = 1024
"""Blocks that may be open at once: the protocol has one."""
_BRACE = 0x7B


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = ABSENT
    citation: Raw = ABSENT


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: Raw = ABSENT
    message: Raw = ABSENT
    usage: Raw = ABSENT


class _Open(msgspec.Struct, gc=False):
    number: int  # ours; -1 = left out
    signature: str = ""


_decode = msgspec.json.Decoder(_Frame).decode
_KINDS = {"text": "text", "thinking": "thinking", "redacted_thinking": "thinking", "tool_use": "tool"}


class StreamIn:
    """See the module."""

    __slots__ = ("_dialect", "_ended", "_finish", "_frames", "_next", "_open", "_reports", "_started", "_tier")

    def __init__(self, target: Target) -> None:
        self._dialect = target.dialect
        self._frames = Frames()
        self._open: dict[int, _Open] = {}
        self._next = 0
        self._reports = Reports()
        self._tier = ""
        self._finish: Finished | None = None
        self._started = self._ended = False

    def feed(self, piece: bytes) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        for frame in self._frames.cut(piece)[1]:
            self._read(frame, out)
        return out

    def close(self) -> list[AnyEvent]:
        """The end of the body. A stream that broke off ends in no event: whoever holds the connection says so."""
        out: list[AnyEvent] = []
        for frame in self._frames.rest()[1]:
            self._read(frame, out)
        if self._finish is not None:
            self._end(out)
        return out

    def _read(self, frame: bytes, out: list[AnyEvent]) -> None:
        payload = payload_of(frame)
        if payload is None:
            out.append(Beat())
            return
        try:
            found = _decode(payload)
        except FAILED:
            try:
                found = _decode(without_half_surrogates(payload))
            except FAILED:
                return  # the meter counts it
        reader = _READERS.get(found.type)
        if reader is not None and not self._ended:
            reader(self, found, out)

    def _begin(self, frame: _Frame, out: list[AnyEvent]) -> None:
        try:
            message = decode_message(frame.message)
        except FAILED:
            return
        if not self._started:
            self._started = True
            out.append(Started(id=text_or_empty(message.id), model=text_or_empty(message.model)))
        if message.usage is not ABSENT and memoryview(message.usage)[0] == _BRACE:
            self._reports.start(bytes(message.usage))
            self._count(message.usage, out)

    def _block(self, frame: _Frame, out: list[AnyEvent]) -> None:
        try:
            block = decode_block(frame.content_block)
        except FAILED:
            return
        self._start(out)
        if frame.index in self._open:
            self._stop(frame, out)
        if len(self._open) >= OPEN_MAX:
            raise ProviderFault("garbage", f"more than {OPEN_MAX} blocks of the reply are open", sent=True)
        word = text_or_empty(block.type)
        kind = _KINDS.get(word)
        if kind is None:
            self._open[frame.index] = _Open(-1)
            return
        number = self._number()
        self._open[frame.index] = _Open(number, text_or_empty(block.data) or text_or_empty(block.signature))
        opened = Opened(block=number, kind=kind, redacted=word == "redacted_thinking")
        if kind == "tool":
            opened.id, opened.name = text_or_empty(block.id) or ids.invent(), text_or_empty(block.name)
        out.append(opened)
        text = text_or_empty(block.text if kind == "text" else block.thinking)
        if kind == "tool" and bytes(block.input).translate(None, b" \t\r\n") not in (b"", b"{}", b"null", b'""'):
            text = bytes(block.input).decode(errors="replace")  # a dialect that sends the whole input at once
        if text:
            out.append(Delta(block=number, text=text))

    def _delta(self, frame: _Frame, out: list[AnyEvent]) -> None:
        delta = frame.delta
        if delta is None:
            return
        block = self._open.get(frame.index)
        if block is None:
            block = self._unannounced(frame.index, delta, out)
        if block is None or block.number < 0:
            return
        text = delta.text or delta.partial_json or delta.thinking
        if text:
            out.append(Delta(block=block.number, text=text))
        if delta.signature:
            block.signature += delta.signature
        if delta.citation is not ABSENT and delta.citation != NULL:
            out.append(Cited(block=block.number, protocol="messages", raw=delta.citation))

    def _unannounced(self, index: int, delta: _Delta, out: list[AnyEvent]) -> _Open | None:
        """A block whose start did not come; a tool without a name is none."""
        kind = "text" if delta.text else "thinking" if delta.thinking or delta.signature else ""
        if not kind or len(self._open) >= OPEN_MAX:
            return None
        self._start(out)
        self._open[index] = block = _Open(self._number())
        out.append(Opened(block=block.number, kind=kind))
        return block

    def _stop(self, frame: _Frame, out: list[AnyEvent]) -> None:
        block = self._open.pop(frame.index, None)
        if block is None or block.number < 0:
            return
        if block.signature:
            out.append(Signed(block=block.number, signature=block.signature))
        out.append(Closed(block=block.number))

    def _change(self, frame: _Frame, out: list[AnyEvent]) -> None:
        delta = frame.delta
        if delta is not None and delta.stop_reason:
            self._finish = Finished(
                reason=canonical(delta.stop_reason),
                stop_sequence=delta.stop_sequence or "",
                native=delta.stop_reason,
                detail=ABSENT if delta.stop_details == NULL else delta.stop_details,
            )
        if frame.usage is not ABSENT and memoryview(frame.usage)[0] == _BRACE:
            self._reports.add(bytes(frame.usage))
            self._count(frame.usage, out)

    def _stopped(self, frame: _Frame, out: list[AnyEvent]) -> None:
        self._end(out)

    def _ping(self, frame: _Frame, out: list[AnyEvent]) -> None:
        out.append(Beat())

    def _end(self, out: list[AnyEvent]) -> None:
        if self._ended:
            return
        self._start(out)
        for index in list(self._open):
            self._stop(_Frame(index=index), out)
        if self._finish is not None:
            out.append(self._finish)
        out.append(Ended())
        self._ended = True

    def _start(self, out: list[AnyEvent]) -> None:
        if not self._started:
            self._started = True
            out.append(Started())

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _count(self, raw: Raw, out: list[AnyEvent]) -> None:
        self._tier = tier_of(raw) or self._tier
        usage = normalise("anthropic-messages", self._dialect, self._reports.all)
        if usage.meters:
            out.append(Counted(meters=usage.meters, tier=self._tier))


_READERS: dict[str, Callable[[StreamIn, _Frame, list[AnyEvent]], None]] = {
    "message_start": StreamIn._begin,
    "content_block_start": StreamIn._block,
    "content_block_delta": StreamIn._delta,
    "content_block_stop": StreamIn._stop,
    "message_delta": StreamIn._change,
    "message_stop": StreamIn._stopped,
    "ping": StreamIn._ping,
}
