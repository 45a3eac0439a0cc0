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


class FrameCutter:
    __slots__ = ("_bare", "_cap", "_line", "_rest", "_scan")

    def __init__(self, cap: int = FRAME_MAX) -> None:
        self._cap = cap
        self._rest = bytearray()  # the unfinished frame
        self._line = 0  # where its last line begins
        self._scan = 0  # bytes before it are searched
        self._bare = False  # the line before ended in CR alone

    def feed(self, piece: bytes) -> list[bytes]:
        """The frames that this piece completes. Raises `ProviderFault("garbage")` when one exceeds the cap."""
        data: bytes | bytearray
        if not self._rest:
            size = len(piece)
            # One whole frame of one LF line, which is how nearly every piece arrives.
            if piece.find(b"\n") == size - 2 > 0 and piece.endswith(b"\n") and b"\r" not in piece and size <= self._cap:
                return [piece]
            data = piece
        else:
            data = self._rest
            data += piece
        return self._cut(data)

    def close(self) -> bytes:
        """What came after the last whole frame; the cutter is empty then."""
        rest = bytes(self._rest)
        self._rest = bytearray()
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
        if data is not self._rest:
            if start < end:
                self._rest += memoryview(data)[start:]
        elif start:
            del self._rest[:start]
        self._line, self._scan, self._bare = line - start, scan - start, bare
        return frames

    def _too_long(self) -> ProviderFault:
        return ProviderFault("garbage", f"a frame of the reply exceeds {self._cap} bytes", sent=True)


def data_of(frame: bytes) -> bytes | None:
    """The data of one frame, its `data:` lines joined with LF; None where it has none (a comment, a blank line)."""
    if frame.startswith(b"data: ") and frame.find(b"\n") == len(frame) - 2 and b"\r" not in frame:
        return frame[6:-2] if frame.endswith(b"\n") else _data_lines(frame)
    return _data_lines(frame)


def _data_lines(frame: bytes) -> bytes | None:
    found: list[bytes] = []
    for line in frame.removeprefix(_BOM).splitlines():
        if line.startswith(b"data:"):
            found.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line == b"data":
            found.append(b"")
    return b"\n".join(found) if found else None
