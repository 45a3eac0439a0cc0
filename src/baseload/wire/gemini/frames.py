"""A generateContent stream in any of its forms -> SSE frames.

In:     pieces cut anywhere, then `close()`: SSE (which leaves byte for byte), a JSON array (a provider that does not
        know `alt=sse`), or bare JSON. The first byte that is no space decides.
Out:    whole frames; each element of an array, and each bare object, as a frame of one `data:` line.
"""

from __future__ import annotations

from baseload.wire.gemini.array import ArrayIn
from baseload.wire.sse import FRAME_MAX, FrameCutter

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_END = b"\r\n\r\n"
_HEAD_MAX = 4096
"""Bytes of mere space that are waited through; a stream that keeps alive with blank lines goes on after them."""


class Cutter:
    __slots__ = ("_array", "_cap", "_frames", "_head", "_undecided", "broken")

    def __init__(self, cap: int = FRAME_MAX) -> None:
        self._cap = cap
        self._frames = FrameCutter(cap)
        self._array: ArrayIn | None = None
        self._undecided = True
        self._head = b""
        self.broken = False  # the body ended inside an element

    def feed(self, piece: bytes) -> list[bytes]:
        """The frames that this piece completes. Raises `ProviderFault("garbage")` when one exceeds the cap."""
        if self._undecided:
            piece = self._decide(piece)
            if not piece:
                return []
        if self._array is None:
            if piece[-4:] == _END and piece[:5] == b"data:" and not self._frames.pending and piece.count(b"\n") == 2:
                return [piece]  # one whole frame as Google sends it
            return self._frames.feed(piece)
        return [b"data: " + element + b"\n\n" for element in self._array.feed(piece)]

    def close(self) -> bytes:
        """The unfinished rest of a stream; nothing of half an element of an array."""
        if self._array is not None:
            self.broken = self._array.close() != b""
            return b""
        rest = self._head + self._frames.close()
        self._head = b""
        return rest

    def _decide(self, piece: bytes) -> bytes:
        head = self._head + piece
        text = head.removeprefix(_BOM).lstrip(_SPACE)
        if (not text or _BOM.startswith(text)) and len(head) < _HEAD_MAX:
            self._head = head
            return b""
        self._head, self._undecided = b"", False
        if text[:1] not in (b"[", b"{"):
            return head
        self._array = ArrayIn(self._cap)
        return text
