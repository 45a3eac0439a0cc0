"""Replies read along: streams of events (images, speech, transcriptions), and sound as it comes.

In:     body bytes in pieces cut anywhere, then `close()`. Out: the bytes to forward, unchanged, and facts as attributes
        (`metering.Meter`); `units` counts what the provider may not report.
Holds:  one unfinished frame, three usage reports, one error. Never the reply.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.media.shapes import string
from baseload.wire.metering import Metered
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.sse import FRAME_MAX, FrameCutter, data_of

# What carries generated content, and what ends a stream: by the beginning and by the end of an event's type.
_PARTS = ("image_generation.partial", "image_edit.partial", "speech.audio.delta", "transcript.text.delta")
_ENDS = ("image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done")
_PICTURES = ("image_generation.completed", "image_edit.completed")
_WHOLE = (*_PICTURES, "image_generation.partial_succeeded")  # Ark: one picture of a series; its `completed` has none
_FALSY = (b"", b"null", b"false", b'""', b"{}", b"[]", b"0")


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    usage: Raw = ABSENT
    error: Raw = ABSENT
    delta: Raw = ABSENT
    model: Raw = ABSENT
    url: Raw = ABSENT
    b64_json: Raw = ABSENT


_decode = msgspec.json.Decoder(_Event).decode


class _Reading(Metered):
    """What the meters of this room have in common."""

    def __init__(self, spoken: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self._spoken = dict(spoken or {})
        self._reports: list[bytes] = []

    @property
    def usages(self) -> list[bytes]:
        return list(self._reports)

    @property
    def units(self) -> dict[str, int]:
        """Own units that the reply shows, for where it reports no usage: speech that has begun is billed whole."""
        return dict(self._spoken) if self.first_token else {}


class StreamMeter(_Reading):
    """A stream of events. `strip` is taken as by other meters; nothing here comes without being asked for."""

    def __init__(
        self, endpoint: str, strip: bool = False, cap: int = FRAME_MAX, spoken: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(spoken)
        self._endpoint = endpoint
        self._cutter = FrameCutter(cap)
        self._whole = 0  # pictures that came whole

    @property
    def units(self) -> dict[str, int]:
        """Pictures that came whole; one that was begun is paid for as well."""
        if self._endpoint != "images":
            return super().units
        return {"images": max(1, self._whole)} if self.frames else {}

    def feed(self, piece: bytes) -> bytes:
        """What to forward now: whole frames. Raises `ProviderFault("garbage")` when one exceeds the cap."""
        frames = self._cutter.feed(piece)
        for frame in frames:
            self._read(frame)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def close(self) -> bytes:
        rest = self._cutter.close()
        if rest:
            self._read(rest)
        return rest

    def _read(self, frame: bytes) -> None:
        payload = data_of(frame)
        if payload is None or not (payload := payload.strip()):
            return
        if payload == b"[DONE]":
            self.done = True
            return
        try:
            event = _decode(payload)
        except FAILED:
            self.malformed += 1
            return
        kind = event.type
        if kind.endswith(".partial_failed"):  # Ark: one picture of a series; the others go on
            return
        if bytes(event.error) not in _FALSY:
            self._fail(bytes(event.error))
        elif kind == "error":
            self._fail(payload)
        if event.model is not ABSENT:
            self.upstream_model = self.upstream_model or string(event.model)
        if event.usage is not ABSENT and memoryview(event.usage)[0] == 0x7B:
            self._report(bytes(event.usage))
        if kind in _ENDS:
            self.finished, self.finish = True, "stop"  # [DONE] may follow
        if kind.startswith(_PARTS):
            self._part(max(0, len(event.delta) - 2))
        elif kind in _PICTURES and not self.frames:
            self._part(0)
        if kind in _WHOLE and (event.url is not ABSENT or event.b64_json is not ABSENT):
            self._whole += 1

    def _part(self, size: int) -> None:
        self.frames += 1
        self.first_token = True
        if self._endpoint == "transcriptions":
            self.text_bytes += size

    def _report(self, usage: bytes) -> None:
        if usage != self.usage:
            self.usage = usage
            self._reports = [*self._reports[-2:], usage]


class BinaryMeter(_Reading):
    """Sound: every piece goes on as it came. The end of the body is its end."""

    def feed(self, piece: bytes) -> bytes:
        if piece:
            self.frames += 1
            self.first_token = True
        return piece

    def close(self) -> bytes:
        self.done = self.finished = True
        self.finish = "stop"
        return b""
