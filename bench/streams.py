"""A client that reads many streams and only counts: uvloop protocols, nothing parsed.

In:     a port, the bytes of one request, what ends a frame, a number of streams.
Out:    frames counted, streams that have begun and ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from bench.system import Trouble

OPEN_AT_ONCE = 256  # a listener's queue has its limit
_LAST = b"0\r\n\r\n"


class Tally:
    """What all streams of one client have seen."""

    def __init__(self) -> None:
        self.frames = 0
        self.begun = 0
        self.ended = 0
        self.trouble = ""


class Reader(asyncio.Protocol):
    """One stream. The hot path is a count and two comparisons a piece."""

    __slots__ = ("_begun", "_end", "_ended", "_half", "_piece", "_request", "_tally", "frames", "tail", "transport")

    def __init__(self, request: bytes, tally: Tally, end: bytes) -> None:
        self._end = end
        self._request = request
        self._tally = tally
        self._begun = self._ended = False
        self._half = b""  # what the last piece had of a frame's end
        self._piece = b""
        self.frames = 0
        self.tail = b""  # the last two pieces of a stream that has ended
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        tally = self._tally
        end = self._end
        frames = data.count(end)
        if self._half and data.startswith(end[len(self._half) :]):
            frames += 1
        self._half = b""
        if data[-1:] in (b"\r", b"\n") and not data.endswith(end):
            self._half = next((end[:cut] for cut in range(len(end) - 1, 0, -1) if data.endswith(end[:cut])), b"")
        self.frames += frames
        tally.frames += frames
        if not self._begun:
            if not self._piece and not data.startswith(b"HTTP/1.1 200"):
                tally.trouble = tally.trouble or f"answered: {data[:400].decode('latin-1')}"
            if frames:
                self._begun = True
                tally.begun += 1
        if data.endswith(_LAST):
            self.tail = self._piece + data
            self._ended = True
            tally.ended += 1
        self._piece = data

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None and not self._ended:
            self._tally.trouble = self._tally.trouble or f"cut a stream ({error or 'closed'})"


class Streams:
    """A set of streams through one proxy."""

    def __init__(self, port: int, request: bytes, end: bytes = b"\n\n") -> None:
        self._port, self._request, self._end = port, request, end
        self.tally = Tally()
        self.readers: list[Reader] = []

    async def open(self, number: int, timeout_s: float = 60.0) -> None:
        """Opens `number` more and returns when each has its first frame."""
        until = time.monotonic() + timeout_s
        loop = asyncio.get_running_loop()
        wanted = len(self.readers) + number
        while len(self.readers) < wanted:
            size = min(OPEN_AT_ONCE, wanted - len(self.readers))
            made = [loop.create_connection(self._reader, "127.0.0.1", self._port) for _ in range(size)]
            self.readers.extend(reader for _, reader in await asyncio.gather(*made))
            while self.tally.begun < len(self.readers):
                self.check()
                if time.monotonic() > until:
                    raise Trouble(f"{self.tally.begun} of {wanted} streams began within {timeout_s:g} s")
                await asyncio.sleep(0.002)

    def _reader(self) -> Reader:
        return Reader(self._request, self.tally, self._end)

    async def ends(self, timeout_s: float) -> None:
        """Returns when every stream has ended."""
        until = time.monotonic() + timeout_s
        while self.tally.ended < len(self.readers):
            self.check()
            if time.monotonic() > until:
                raise Trouble(f"{self.tally.ended} of {len(self.readers)} streams ended within {timeout_s:g} s")
            await asyncio.sleep(0.01)

    def check(self) -> None:
        """Raises Trouble when a stream failed."""
        if self.tally.trouble:
            raise Trouble(f"port {self._port} {self.tally.trouble}")

    async def close(self) -> None:
        for reader in self.readers:
            transport, reader.transport = reader.transport, None
            if transport is not None:
                with contextlib.suppress(OSError, RuntimeError):
                    transport.abort()
        await asyncio.sleep(0.05)
