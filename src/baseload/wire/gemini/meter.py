"""Reads a generateContent stream along for the meter.

In:     body bytes in pieces cut anywhere, then `close()`. Out: whole frames to forward now, and facts as attributes.
        SSE frames leave byte for byte. A body that is a JSON array (a provider that does not know `alt=sse`) or bare
        JSON leaves as SSE frames, one an element, so that what follows the meter knows one form only.
Holds:  one unfinished frame, four usage reports at most, one error. Never the reply.

A stream has no end of its own (protocols.md, 5): `done` stays False. It is `finished` when every candidate that was
seen has a finishReason, or the prompt was blocked.
"""

from __future__ import annotations

from baseload.wire.gemini.frames import Cutter
from baseload.wire.gemini.shapes import (
    Chunk,
    Part,
    decode_chunk,
    is_error,
    objects_in,
    payload_of,
    traffic_tier,
    utf8_len,
)
from baseload.wire.metering import ERROR_MAX, Metered
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.sse import FRAME_MAX

CANDIDATES_MAX = 128
"""Candidates whose end is watched. Google gives 8 at most."""


class StreamMeter(Metered):
    """See the module. `feed` pieces, `close` at the end of the body; then read the attributes.

    done            this protocol has no terminator
    finish          the last finishReason, or the blockReason
    malformed       frames with data that is no JSON object
    """

    __slots__ = (
        "_cutter",
        "_first",
        "_latest",
        "_open",
        "_seen",
        "response_id",
        "strip",
    )

    def __init__(self, strip: bool = False, cap: int = FRAME_MAX) -> None:
        super().__init__()
        self._cutter = Cutter(cap)
        self._first = b""
        self._latest: list[bytes] = []  # the last three reports
        self._seen: set[int] = set()  # candidates that have come
        self._open: set[int] = set()  # those of them without a finishReason
        self.strip = strip  # there is nothing to strip: usage is on every object
        self.response_id = ""

    @property
    def usages(self) -> list[bytes]:
        """Reports for `usage.normalise`, oldest first: the first and the last three."""
        return [self._first, *self._latest] if self._first else []

    def feed(self, piece: bytes) -> bytes:
        """What to forward now. Raises `ProviderFault("garbage")` when a frame exceeds the cap."""
        frames = self._cutter.feed(piece)
        for frame in frames:
            self._read(frame)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def close(self) -> bytes:
        """The end of the body: the unfinished rest. A last frame without its blank line still counts."""
        rest = self._cutter.close()
        if rest:
            self._read(rest)
        elif self._cutter.broken:
            self.malformed += 1  # half an object: nobody can read it
        return rest

    def _read(self, frame: bytes) -> None:
        payload = payload_of(frame)
        if payload is None:
            return
        try:
            objects = objects_in(payload)
        except FAILED:
            self.malformed += 1
            return
        for each in objects:
            self._take(each)

    def _take(self, payload: bytes) -> None:
        try:
            chunk = decode_chunk(payload)
        except FAILED:
            self.malformed += 1
            return
        self._take_candidates(chunk)
        if chunk.usage_metadata is not ABSENT:
            self._report(bytes(chunk.usage_metadata))
        if chunk.model_version and not self.upstream_model:
            self.upstream_model = chunk.model_version
        if chunk.response_id and not self.response_id:
            self.response_id = chunk.response_id
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and not chunk.candidates:
            self.finish, self.finished = feedback.block_reason, True
        if chunk.error is not ABSENT and not self.error and is_error(chunk.error):
            self.error = bytes(chunk.error)[:ERROR_MAX]

    def _take_candidates(self, chunk: Chunk) -> None:
        size = -1
        for place, candidate in enumerate(chunk.candidates or ()):
            index = place if candidate.index is None else candidate.index
            if index not in self._seen and len(self._seen) < CANDIDATES_MAX:
                self._seen.add(index)
                self._open.add(index)
            if candidate.finish_reason:
                self.finish = candidate.finish_reason
                self._open.discard(index)
            content = candidate.content
            for part in (content.parts if content is not None else None) or ():
                more = text_bytes(part)
                if more >= 0:
                    size = max(size, 0) + more
        if self._seen:
            self.finished = not self._open
        if size >= 0:
            self.frames += 1
            self.text_bytes += size
            self.first_token = True

    def _report(self, usage: bytes) -> None:
        if usage[:1] != b"{" or usage == self.usage:
            return
        self.usage = usage
        self.tier = traffic_tier(usage) or self.tier
        if not self._first:
            self._first = usage
        else:
            self._latest.append(usage)
            del self._latest[:-3]


def text_bytes(part: Part) -> int:
    """UTF-8 bytes that a model generated for a part; -1 = none (an empty text, a bare signature)."""
    if part.text:
        return utf8_len(part.text)
    call = part.function_call
    if call is not None:
        size = utf8_len(call.name or "")
        return size + sum([len(raw) for raw in (call.args, call.partial_args) if raw is not ABSENT])
    if part.inline_data is not None or part.file_data is not None:
        return 0  # an image: it came, but is no text
    raws = (part.executable_code, part.code_execution_result, part.tool_call, part.tool_response)
    size = sum([len(raw) for raw in raws if raw is not ABSENT])
    return size or -1
