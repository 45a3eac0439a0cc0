"""Frames of an SSE stream with `event:` lines, cut the quick way where they come whole, as nearly every piece does.

In:     pieces cut anywhere. Out: what to forward (whole frames), and each frame without its blank line; its data.
Holds:  one unfinished frame (`wire.sse.FrameCutter`).
"""

from __future__ import annotations

from baseload.wire.sse import FRAME_MAX, FrameCutter, data_of

_LF, _CR = 10, 13  # `in` with an int is one memchr; with bytes it is five times dearer


class Frames:
    __slots__ = ("_cap", "_cutter", "pending")

    def __init__(self, cap: int = FRAME_MAX) -> None:
        self._cap = cap
        self._cutter = FrameCutter(cap)
        self.pending = self._cutter.pending  # the unfinished frame; the same object for life

    def cut(self, piece: bytes) -> tuple[bytes, list[bytes]]:
        """Raises `ProviderFault("garbage")` when a frame exceeds the cap."""
        if (
            piece[-2:] == b"\n\n"
            and not self.pending
            and len(piece) <= self._cap
            and _CR not in piece
            and piece[0] != _LF
            and b"\n\n\n" not in piece
        ):
            return piece, piece[:-2].split(b"\n\n")
        frames = self._cutter.feed(piece)
        whole = frames[0] if len(frames) == 1 else b"".join(frames)
        return whole, [frame.rstrip(b"\r\n") for frame in frames]

    def rest(self) -> tuple[bytes, list[bytes]]:
        """At the end of the body: a last frame without its blank line still counts."""
        rest = self._cutter.close()
        return rest, [rest.rstrip(b"\r\n")] if rest else []


def payload_of(frame: bytes) -> bytes | None:
    """The data of a frame without its blank line; None where it has none (a comment, a blank line)."""
    if frame[:6] == b"event:":
        at = frame.find(b"\ndata:")
        payload = frame[at + 6 :] if at > 0 else b"\n"
    elif frame[:5] == b"data:":
        payload = frame[5:]  # JSON allows the space before it
    else:
        payload = b"\n"
    if _LF not in payload and _CR not in payload:
        return payload
    found = data_of(frame + b"\n\n")  # comments, several data lines, other orders and line ends
    return found if found is not None and found.strip() else None
