"""Reads a native DashScope stream along for the meter. Sans-IO.

In:     body bytes in pieces cut anywhere, then `close()`. Frames are SSE with `id:`, `event:` and a comment
        `:HTTP_STATUS/200` before their data.
Out:    whole frames, to translate; the facts as attributes.
Usage stands in every frame and is cumulative: the last one counts, never the sum (vector u028). There is no terminator:
the reply has ended when every choice has its finish reason.
Holds:  one unfinished frame, two usage reports, one error. Never the reply.
"""

from __future__ import annotations

from baseload.wire.chat.shapes import utf8_len
from baseload.wire.metering import ERROR_MAX, Metered
from baseload.wire.qwen.shapes import Choice, cut, decode_frame, finish_of, is_object, json_text, payload_of
from baseload.wire.raw import FAILED
from baseload.wire.sse import FRAME_MAX, FrameCutter

CHOICES_MAX = 64
"""Choices told apart; the API takes n up to 4."""


class StreamMeter(Metered):
    """See the module. `feed` pieces, `close` at the end of the body; then read the attributes.

    done            every choice that began has ended
    finished        a finish reason came
    error           the failure inside this 200 stream: the whole flat object
    upstream_model  native replies do not name it
    """

    __slots__ = (
        "_cap",
        "_cutter",
        "_first",
        "_running",
    )

    def __init__(self, strip: bool = False, cap: int = FRAME_MAX) -> None:
        """`strip` is there for the shape all meters have: this protocol has no frame that nobody asked for."""
        super().__init__()
        self._cap = cap
        self._cutter = FrameCutter(cap)
        self._first = b""
        self._running: dict[int, bool] = {}  # choice -> it goes on

    @property
    def usages(self) -> list[bytes]:
        """Reports for `usage.normalise`, oldest first: the first one and the last."""
        return list(dict.fromkeys(report for report in (self._first, self.usage) if report))

    def feed(self, piece: bytes) -> bytes:
        """What is whole now. Raises `ProviderFault("garbage")` when a frame exceeds the cap."""
        frames = cut(self._cutter, piece, self._cap)
        for frame in frames:
            self._read(frame)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def close(self) -> bytes:
        """The end of the body: the unfinished rest. A last frame without its blank line still counts."""
        rest = self._cutter.close()
        if rest:
            self._read(rest)
        return rest

    def _read(self, frame: bytes) -> None:
        payload = payload_of(frame)
        if payload is None:
            return
        try:
            found = decode_frame(payload)
            size = sum([self._take(choice) for choice in found.output.answers()]) if found.output is not None else 0
        except FAILED:
            self.malformed += 1
            return
        if size:
            self.text_bytes += size
            self.frames += 1
            self.first_token = True
        if is_object(found.usage):
            self.usage = bytes(found.usage)
            self._first = self._first or self.usage
        if found.fails():
            self.error = self.error or payload[:ERROR_MAX]  # the first is the cause
        self.done = self.finished and not any(self._running.values())

    def _take(self, choice: Choice) -> int:
        """UTF-8 bytes of generated text in one choice of a frame."""
        reason = finish_of(choice)
        if reason:
            self.finished, self.finish = True, reason
        number = choice.index or 0
        if number in self._running or len(self._running) < CHOICES_MAX:
            self._running[number] = not reason and self._running.get(number, True)
        message = choice.message
        if message is None:
            return 0
        size = utf8_len(message.text()) + utf8_len(message.reasoning_content or "")
        for call in message.tool_calls or ():
            if call.function is not None:
                size += utf8_len(call.function.name or "") + utf8_len(json_text(call.function.arguments))
        return size
