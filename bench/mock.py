"""A provider that streams: `python -m bench.mock --port P`. uvloop, no framework, bytes made beforehand.

In:     POST of any of the four protocols, told apart by its path; with `frames` (a whole number), `interval_ms` (whole;
        0 = one frame, then silence), as members or as words in a message, and `stream_options`.
Out:    server-sent events at that interval, a closing chunk with usage if asked, `[DONE]`; then the connection waits
        for the next request.

Each stream has its own phase in the interval, so that frames of many streams do not arrive together: a proxy that is
woken once for 64 frames would look cheaper than it is.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import re

import msgspec
import uvloop

from bench import speech, traffic

STEP_S = 0.001
_GOLDEN = 0.6180339887  # successive phases fill the interval evenly, whatever the number of streams

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_0123456789abcdef\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_LAST = b"0\r\n\r\n"


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_FRAMES = {}  # protocol, whether usage is asked for -> what begins a stream, one frame of it, what ends it
for _asked in (False, True):
    _frame, _end = traffic.stream_frames(_asked)
    _FRAMES["chat", _asked] = (b"", _chunked(_frame), _chunked(_end) + _LAST)
for _protocol in speech.OTHERS:
    _begin, _frame, _end = speech.stream(_protocol)
    _FRAMES[_protocol, False] = (_chunked(_begin) if _begin else b"", _chunked(_frame), _chunked(_end) + _LAST)


class _Options(msgspec.Struct, frozen=True):
    include_usage: bool = False


class _Wish(msgspec.Struct, frozen=True):
    frames: int = 1
    interval_ms: int = 0
    stream_options: _Options = _Options()


_WORDS = re.compile(rb"frames=(\d+) interval_ms=(\d+)")  # a member of the request would not survive a translation


_decode = msgspec.json.Decoder(_Wish).decode


class Clock:
    """One timer for all streams, in steps of a millisecond."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[int, list[Stream]] = {}
        self._done = 0  # the last millisecond served
        self._running = False
        self._streams = 0

    def now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def phase(self, interval_ms: int) -> int:
        self._streams += 1
        return int(self._streams * _GOLDEN % 1 * interval_ms)

    def add(self, at_ms: int, stream: Stream) -> None:
        if not self._running:
            self._running = True
            self._done = self.now_ms()
            self._loop.call_later(STEP_S, self._step)
        at_ms = max(at_ms, self._done + 1)
        due = self._due.get(at_ms)
        if due is None:
            self._due[at_ms] = [stream]
        else:
            due.append(stream)

    def _step(self) -> None:
        now = self.now_ms()
        for at in range(self._done + 1, now + 1):
            self._done = at
            for stream in self._due.pop(at, ()):
                stream.emit(at)
        if self._due:
            self._loop.call_later(STEP_S, self._step)
        else:
            self._running = False


class Stream(asyncio.Protocol):
    """One connection; one stream at a time."""

    __slots__ = ("_clock", "_frame", "_interval_ms", "_last", "_left", "_pending", "_transport")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._pending = data = self._pending + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        low = data[:end].lower()
        at = low.index(b"content-length:") + 15
        length = int(low[at : low.index(b"\r\n", at)])
        if len(data) < end + length:
            return
        self._pending = data[end + length :]
        self._begin(speech.protocol_at(low[: low.index(b"\r\n")]), data[end : end + length])

    def _begin(self, protocol: str, body: bytes) -> None:
        wish = _decode(body)
        words = _WORDS.search(body)
        if words:
            wish = _Wish(int(words[1]), int(words[2]), wish.stream_options)
        begin, self._frame, self._last = _FRAMES[protocol, protocol == "chat" and wish.stream_options.include_usage]
        self._left = wish.frames
        self._interval_ms = wish.interval_ms
        assert self._transport is not None
        if wish.interval_ms == 0:
            self._transport.write(_HEAD + begin + self._frame)
            return
        self._transport.write(_HEAD + begin)
        self._clock.add(self._clock.now_ms() + 1 + self._clock.phase(wish.interval_ms), self)

    def emit(self, at_ms: int) -> None:
        if self._transport is None:
            return
        if self._left:
            self._left -= 1
            self._transport.write(self._frame)
            self._clock.add(at_ms + self._interval_ms, self)
        else:
            self._transport.write(self._last)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    await loop.create_server(lambda: Stream(clock), "127.0.0.1", port, backlog=4096)
    gc.freeze()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mock", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
