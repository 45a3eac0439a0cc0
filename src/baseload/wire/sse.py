"""Cuts a server-sent event stream into frames. Sans-IO; keeps every byte.

In:     pieces cut anywhere. Lines end in LF, CRLF or CR, also mixed; a blank line ends a frame.
Out:    whole frames with their terminating blank line: joined (with the rest from `close`) they are the input again.
        A blank line with nothing before it is a frame of its own (vendors send them to keep a connection open).
Holds:  one unfinished frame, at most `cap` bytes. Each byte is searched once, however small the pieces are.

A blank line that ends in CR is whole only when the next byte is known not to be LF, so it waits for that byte; not so
when the line before ended in a bare CR: that stream does not use CRLF, and its frames go out at once.
"""

from __future__ import annotations

from baseload.errors import ProviderFault

FRAME_MAX = 64 * 2**20
"""Bytes. Frames of 20 MB occur (images, encrypted reasoning); one that never ends must not fill the memory."""

_BOM = b"\xef\xbb\xbf"
_LF, _CR = 10, 13  # `in` with an int is one memchr; with bytes it is five times dearer


class FrameCutter:
    __slots__ = ("_bare", "_cap", "_line", "_scan", "pending")

    def __init__(self, cap: int = FRAME_MAX) -> None:
        self._cap = cap
        self.pending = bytearray()  # the unfinished frame; the same object for life
        self._line = 0  # where its last line begins
        self._scan = 0  # bytes before it are searched
        self._bare = False  # the line before ended in CR alone

    def feed(self, piece: bytes) -> list[bytes]:
        """The frames that this piece completes. Raises `ProviderFault("garbage")` when one exceeds the cap."""
        if self.pending:
            self.pending += piece
            return self._cut(self.pending)
        if _CR in piece:
            return self._cut(piece)
        # Only LF: how nearly every stream arrives. Split at each, frames of one line alternate with blank ones.
        lines = piece.split(b"\n")
        rest = lines.pop()
        texts = lines[::2]
        if len(lines) % 2 or any(lines[1::2]) or not all(texts):
            return self._cut(piece)
        if len(piece) > self._cap and max(map(len, (*texts, rest))) + 2 > self._cap:
            raise self._too_long()
        if rest:
            self.pending += rest
            self._scan = len(rest)
        return [text + b"\n\n" for text in texts]

    def close(self) -> bytes:
        """What came after the last whole frame; the cutter is empty then."""
        rest = bytes(self.pending)
        self.pending.clear()
        self._line = self._scan = 0
        self._bare = False
        return rest

    def _cut(self, data: bytes | bytearray) -> list[bytes]:
        frames: list[bytes] = []
        end, start, line, bare = len(data), 0, self._line, self._bare
        # Each search remembers its hit: a stream without CR is searched for CR once a piece, not once a line.
        lf, cr = data.find(b"\n", self._scan), data.find(b"\r", self._scan)
        while True:
            if cr >= 0 and (lf < 0 or cr < lf):
                stop, after = cr, cr + 1
                if after == lf:
                    after, ended_bare = lf + 1, False
                elif after == end and not (bare and stop == line):
                    scan = cr  # an LF may follow
                    break
                else:
                    ended_bare = True
            elif lf >= 0:
                stop, after, ended_bare = lf, lf + 1, False
            else:
                scan = end
                break
            if stop == line:
                if after - start > self._cap:
                    raise self._too_long()
                frames.append(bytes(memoryview(data)[start:after]))
                start, bare = after, False
            else:
                bare = ended_bare
            line = after
            if lf < after and lf >= 0:
                lf = data.find(b"\n", after)
            if cr < after and cr >= 0:
                cr = data.find(b"\r", after)
        if end - start > self._cap:
            raise self._too_long()
        if data is not self.pending:
            if start < end:
                self.pending += memoryview(data)[start:]
        elif start:
            del self.pending[:start]
        self._line, self._scan, self._bare = line - start, scan - start, bare
        return frames

    def _too_long(self) -> ProviderFault:
        return ProviderFault("garbage", f"a frame of the reply exceeds {self._cap} bytes", sent=True)


def data_of(frame: bytes) -> bytes | None:
    """The data of one frame, its `data:` lines joined with LF; None where it has none (a comment, a blank line)."""
    if frame[:6] == b"data: " and frame[-2:] == b"\n\n":
        data = frame[6:-2]
        if _LF not in data and _CR not in data:
            return data
    return _data_lines(frame)


def _data_lines(frame: bytes) -> bytes | None:
    found: list[bytes] = []
    for line in frame.removeprefix(_BOM).splitlines():
        if line.startswith(b"data:"):
            found.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line == b"data":
            found.append(b"")
    return b"\n".join(found) if found else None
