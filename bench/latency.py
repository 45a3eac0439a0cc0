"""Two clients that time single calls: one call after the other, and calls at a constant rate whatever happens.

In:     a port, the bytes of one request. Out: microseconds of each call.

Both use bare sockets: the client's own cost is in every figure, so that only differences to the direct way count.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator

import msgspec

from bench.system import Trouble

TIMEOUT_S = 5.0
_CLOCK_MONOTONIC = 1
_READ = 1 << 17

_libc = ctypes.CDLL(None, use_errno=True)


class Latency(msgspec.Struct, frozen=True):
    """Calls of one window, microseconds."""

    calls: int
    wall_s: float
    p50_us: float
    p99_us: float


def percentile(values: list[float], share: float) -> float:
    """Nearest rank of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]


def _summary(times_us: list[float], wall_s: float) -> Latency:
    if not times_us:
        raise Trouble("no call was answered")
    times_us.sort()
    return Latency(len(times_us), wall_s, percentile(times_us, 0.5), percentile(times_us, 0.99))


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def reply_size(port: int, request: bytes) -> int:
    """Bytes of one whole reply, head and body. Raises Trouble unless it is a 200 of known length."""
    with _connect(port) as connection:
        connection.sendall(request)
        data = b""
        while True:
            head, found, body = data.partition(b"\r\n\r\n")
            if found:
                break
            data += _received(connection)
        low = head.lower()
        if not low.startswith(b"http/1.1 200") or b"\r\ncontent-length:" not in low:
            raise Trouble(f"port {port} answered: {data[:400].decode('latin-1')}")
        length = int(low.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += _received(connection)
        return len(head) + 4 + length


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(_READ)
    if not data:
        raise Trouble("the connection was closed before the reply was complete")
    return data


def one_by_one(port: int, request: bytes, seconds: float) -> Latency:
    """One connection, one call at a time."""
    size = reply_size(port, request)
    times: list[float] = []
    now = time.perf_counter_ns
    with _connect(port) as connection, no_collector():
        send, receive = connection.send, connection.recv
        for _ in range(50):
            _one(send, receive, request, size)
        begun = now()
        end = begun + int(seconds * 1e9)
        at = begun
        while at < end:
            at = now()
            _one(send, receive, request, size)
            times.append((now() - at) / 1000)
        return _summary(times, (now() - begun) / 1e9)


def _one(send, receive, request: bytes, size: int) -> None:  # type: ignore[no-untyped-def]
    if send(request) != len(request):
        raise Trouble("the request did not fit into the socket's buffer")
    got = 0
    while got < size:
        piece = len(receive(_READ))
        if not piece:
            raise Trouble("the connection was closed before the reply was complete")
        got += piece
    if got != size:
        raise Trouble(f"a reply had {got} bytes instead of {size}")


class ConstantRate:
    """Calls at fixed instants over `connections`; a call is timed from the instant it was due.

    So a call that had to wait for a free connection, or for a stalled proxy, counts with its waiting (no coordinated
    omission). The timer is the kernel's timerfd: asyncio's and epoll's own time-outs are whole milliseconds.
    """

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self._request = request
        self._size = reply_size(port, request)
        self._sockets = [_connect(port) for _ in range(connections)]
        for connection in self._sockets:
            connection.setblocking(False)

    def close(self) -> None:
        for connection in self._sockets:
            connection.close()

    def run(self, rate: float, seconds: float) -> Latency:
        """`rate` calls a second for `seconds`."""
        period_ns = int(1e9 / rate)
        total = int(seconds * rate)
        free = deque(self._sockets)
        by_number = {connection.fileno(): connection for connection in self._sockets}
        due_of: dict[int, int] = {}  # running calls: descriptor -> the instant it was due
        got_of: dict[int, int] = {}
        waiting: deque[int] = deque()
        times: list[float] = []
        request, size, now = self._request, self._size, time.monotonic_ns
        epoll = select.epoll()
        # the timer comes last: from its start on, calls are due
        with contextlib.closing(epoll), no_collector(), timer(period_ns) as clock:
            begun = now()
            epoll.register(clock, select.EPOLLIN)
            for number in by_number:
                epoll.register(number, select.EPOLLIN)
            due, asked = begun, 0
            give_up = begun + int((seconds + TIMEOUT_S) * 1e9)
            while len(times) < total:
                for number, _ in epoll.poll(TIMEOUT_S):
                    if number == clock:
                        (ticks,) = struct.unpack("=Q", os.read(clock, 8))
                        for _ in range(min(ticks, total - asked)):
                            due += period_ns
                            asked += 1
                            waiting.append(due)
                        continue
                    connection = by_number[number]
                    piece = len(connection.recv(_READ))
                    if not piece:
                        raise Trouble("a connection was closed under load")
                    got_of[number] += piece
                    if got_of[number] >= size:
                        times.append((now() - due_of.pop(number)) / 1000)
                        free.append(connection)
                while waiting and free:
                    connection = free.popleft()
                    number = connection.fileno()
                    due_of[number] = waiting.popleft()
                    got_of[number] = 0
                    if connection.send(request) != len(request):
                        raise Trouble("the request did not fit into the socket's buffer")
                if now() > give_up:
                    raise Trouble(f"{len(times)} of {total} calls were answered in time at {rate:,.0f} calls a second")
            return _summary(times, (now() - begun) / 1e9)


class _TimerSpec(ctypes.Structure):
    _fields_ = [("interval_s", ctypes.c_long), ("interval_ns", ctypes.c_long),
                ("first_s", ctypes.c_long), ("first_ns", ctypes.c_long)]  # fmt: skip


@contextlib.contextmanager
def timer(period_ns: int) -> Iterator[int]:
    """A descriptor that is readable each period; reading it gives how many periods have passed (timerfd)."""
    number = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if number < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    try:
        spec = _TimerSpec(*divmod(period_ns, 10**9), *divmod(period_ns, 10**9))
        if _libc.timerfd_settime(number, 0, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        yield number
    finally:
        os.close(number)


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """The client's own garbage collection must not show as a proxy's latency."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
