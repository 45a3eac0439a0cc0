"""Reads a chat or completions reply stream along for the meter, and hides the usage frame nobody asked for.

In:     body bytes in pieces cut anywhere, then `close()`. Out: the bytes to forward now, and the facts as attributes.
Frames go on the moment they are whole, so that whatever ends a stream early ends it between two of them. With `strip`
the frame that holds only the usage is left out (recognised by its own content: nothing waits for the frame after it),
and so are top-level `"usage":null` members. Every other byte stays.
Holds:  one unfinished frame, four usage reports at most, one error. Never the reply.

A null usage member stays where it cannot be cut out with certainty: in data over several `data:` lines, or before more
than eight nested members of that name. Clients ignore a null.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.chat.shapes import (
    LooseChoice,
    choices_or_none,
    decode_chunk,
    decode_loose,
    is_error,
    text_or_empty,
    timings_report,
)
from baseload.wire.chat.strip import without_null_usage
from baseload.wire.metering import Metered
from baseload.wire.raw import ABSENT, FAILED, NULL
from baseload.wire.sse import FRAME_MAX, FrameCutter, data_of

_KEEP, _DROP, _NULL_USAGE = 0, 1, 2
_LF, _CR = 10, 13  # `in` with an int is one memchr; with bytes it is five times dearer


class StreamMeter(Metered):
    """See the module. `feed` pieces, `close` at the end of the body; then read the attributes.

    done            [DONE] came
    finished        a finish reason came
    finish          the last one; some name a failure: insufficient_system_resource, network_error, error
    error           the error of a frame inside this 200 stream, as raw JSON
    first_token     generated text has come; comments, pings, role chunks and blank lines are none
    malformed       frames with data that is no JSON object
    """

    __slots__ = (
        "_cutter",
        "_first",
        "_latest",
        "_pending",
        "_timings",
        "strip",
    )

    def __init__(self, strip: bool = False, cap: int = FRAME_MAX) -> None:
        super().__init__()
        self._cutter = FrameCutter(cap)
        self._pending = self._cutter.pending
        self._first = b""
        self._latest: list[bytes] = []  # the last three reports
        self._timings = b""
        self.strip = strip

    @property
    def usages(self) -> list[bytes]:
        """Reports for `usage.normalise`, oldest first: the first, the last three, llama.cpp's timings. Later wins."""
        reports = [self._first] if self._first else []
        reports += self._latest
        if self._timings:
            reports.append(self._timings)
        return reports

    def feed(self, piece: bytes) -> bytes:
        """What to forward now. Raises `ProviderFault("garbage")` when a frame exceeds the cap."""
        if piece[-2:] == b"\n\n" and piece[:5] == b"data:" and not self._pending:
            payload = piece[5:-2]
            if _LF not in payload and _CR not in payload:  # one whole frame of one line: nearly every piece
                verdict = self._take(payload, piece)
                if verdict == _KEEP or not self.strip:
                    return piece
                return b"" if verdict == _DROP else without_null_usage(piece)
        frames = self._cutter.feed(piece)
        if self.strip:
            return b"".join([self._stripped(frame) for frame in frames])
        for frame in frames:
            self._read(frame)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def close(self) -> bytes:
        """The end of the body: the unfinished rest, to forward. A last frame without its blank line still counts."""
        rest = self._cutter.close()
        if not rest:
            return b""
        if self.strip:
            return self._stripped(rest)
        self._read(rest)
        return rest

    def _stripped(self, frame: bytes) -> bytes:
        verdict = self._read(frame)
        if verdict == _KEEP:
            return frame
        return b"" if verdict == _DROP else without_null_usage(frame)

    def _read(self, frame: bytes) -> int:
        """Takes the facts of one frame; says what `strip` does with it."""
        if frame[:5] == b"data:":
            return self._take(frame[5:], frame)  # JSON allows the space before and the line ends after
        payload = data_of(frame)
        return _KEEP if payload is None else self._take(payload, frame)

    def _take(self, payload: bytes, frame: bytes) -> int:
        try:
            chunk = decode_chunk(payload)
        except FAILED:
            return self._take_slowly(frame)
        choices = chunk.choices
        size = -1
        if choices:
            for choice in choices:
                if choice.finish_reason:
                    self.finished, self.finish = True, choice.finish_reason
                delta = choice.delta
                if delta is None:
                    text = choice.text
                else:
                    text = delta.content
                    if (
                        delta.reasoning_content
                        or delta.tool_calls
                        or delta.reasoning
                        or delta.refusal
                        or delta.reasoning_details
                        or delta.function_call
                        or delta.audio
                    ):
                        more = delta.other_text()
                        if more >= 0:
                            size = max(size, 0) + more
                if text:
                    size = (size if size > 0 else 0) + (len(text) if text.isascii() else len(text.encode()))
        if size >= 0:
            self.text_bytes += size
            self.frames += 1
            if not self.first_token:
                self.first_token = True
                self._take_rest(payload)
            elif chunk.error is not ABSENT and is_error(chunk.error):
                self._fail(bytes(chunk.error))
        else:
            self._take_rest(payload)
        usage = chunk.usage
        if usage is ABSENT:
            return _KEEP
        if usage == NULL or not self._report(usage):
            return _NULL_USAGE
        return _KEEP if choices or self.error else _DROP

    def _take_rest(self, payload: bytes) -> list[LooseChoice]:
        """What is not looked for in every frame: frames without text, and the first with text, carry it all."""
        loose = decode_loose(payload)
        self.upstream_model = self.upstream_model or text_or_empty(loose.model)
        self.tier = text_or_empty(loose.service_tier) or self.tier
        choices = choices_or_none(loose.choices)
        for choice in choices:
            if choice.usage is not ABSENT:  # Moonshot: on the finish chunk
                self._report(choice.usage)
        if loose.error is not ABSENT or loose.message is not ABSENT or loose.base_resp is not ABSENT:
            error = loose.error_in(payload)
            if error:
                self._fail(error)
        if loose.timings is not ABSENT:
            self._timings = timings_report(bytes(loose.usage), loose.timings)
        return choices

    def _report(self, usage: Raw) -> bool:
        """Keeps a usage report; False where it is none (null, mostly)."""
        raw = bytes(usage)
        if raw[:1] != b"{":
            return False
        if raw != self.usage:
            self.usage = raw
            if not self._first:
                self._first = raw
            else:
                self._latest.append(raw)
                del self._latest[:-3]
        return True

    def _take_slowly(self, frame: bytes) -> int:
        """For what the quick way does not take: [DONE], several data lines, half surrogates, surprising types."""
        payload = data_of(frame)
        if payload is None or not (payload := payload.strip()):
            return _KEEP
        if payload == b"[DONE]":
            self.done = True
            return _KEEP
        try:
            payload = half_surrogates_masked(payload)
            try:
                decode_chunk(payload)
            except msgspec.ValidationError:
                return self._take_loosely(payload)
            return self._take(payload, payload)
        except FAILED:
            self.malformed += 1
            return _KEEP

    def _take_loosely(self, payload: bytes) -> int:
        loose = decode_loose(payload)
        choices = self._take_rest(payload)
        size = 0
        for choice in choices:
            # Text of a shape nobody wrote down (a list of parts, say): the delta's own length is near enough.
            size += sum([len(part) for part in (choice.delta, choice.text) if len(part) > 2 and bytes(part) != b"null"])
            reason = text_or_empty(choice.finish_reason)
            if reason:
                self.finished, self.finish = True, reason
        if size:
            self.frames += 1
            self.text_bytes += size
            self.first_token = True
        if loose.usage is ABSENT:
            return _KEEP
        if loose.usage == NULL or not self._report(loose.usage):
            return _NULL_USAGE
        return _KEEP if choices or self.error else _DROP
