"""Connections to providers: HTTP/1.1 replies in, facts to the call; a keep-alive pool per provider.

In:     request bytes of a `Call`, reply bytes of a provider.
Out:    `on_reply_head`, `on_piece`, `on_end`, `on_cut` on the call that owns the connection.
Holds:  the reply's head (at most HEAD_MAX) and nothing of the body. A connection belongs to one call at a time and is
        only reused after a complete reply that allows it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import httptools

from baseload.errors import ProviderFault
from baseload.gateway.head import HEAD_MAX
from baseload.gateway.wheel import FOREVER, GONE, Wheel

if TYPE_CHECKING:
    from baseload.gateway.snapshot import ProviderRow

COPY_MAX = 16 * 1024  # a copy of so many bytes costs less than a second buffer
WAITING_MAX = 4096  # calls waiting for a connection of one provider


class Owner(Protocol):
    """What a connection tells the call it serves."""

    def on_connected(self, connection: Upstream) -> None: ...
    def on_connect_failed(self, fault: ProviderFault) -> None: ...
    def on_reply_head(self, status: int, head: bytes, low: bytes) -> None: ...
    def on_piece(self, piece: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_cut(self, fault: ProviderFault) -> None: ...


class Upstream(asyncio.Protocol):
    """One connection to a provider."""

    __slots__ = (
        "_complete",
        "_head",
        "_idle_s",
        "_in_body",
        "_keep",
        "_parser",
        "_paused",
        "_pieces",
        "_until_close",
        "_wheel",
        "deadline",
        "fresh",
        "owner",
        "pool",
        "received",
        "transport",
    )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._wheel = pool.wheel
        self._idle_s = pool.row.idle_timeout_s
        self.owner: Owner | None = None
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self.deadline = FOREVER
        self.fresh = True  # has not served a call yet
        self.received = False  # a byte of the current reply has come
        self._parser: httptools.HttpResponseParser | None = None
        self._head = b""
        self._in_body = False
        self._keep = False
        self._complete = False
        self._until_close = False
        self._paused = False
        self._pieces: list[bytes] = []

    # -- the pool's side

    def send(self, owner: Owner, head: bytes, body: bytes, deadline: float) -> None:
        self.owner = owner
        self.deadline = deadline
        self.received = False
        self._head = b""
        self._in_body = self._complete = self._until_close = False
        self._parser = None
        if len(body) < COPY_MAX:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))

    def detach(self) -> None:
        """The owner is done before the reply is: the connection cannot be used again."""
        self.owner = None
        self.close()

    def close(self) -> None:
        self.deadline = GONE
        self.transport.abort()

    def pause(self) -> None:
        """The client does not read: the provider is not to blame for what does not come meanwhile."""
        if not self._paused:
            self._paused = True
            self.deadline = FOREVER
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self.deadline = self._wheel.now + self._idle_s
            self.transport.resume_reading()

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        owner = self.owner
        if owner is None:  # bytes nobody asked for: the provider is confused or hostile (response splitting)
            self.close()
            return
        self.received = True
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        if not self._in_body:
            self._head = self._head + data if self._head else data
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                if self._pieces:
                    self._flush(owner)
                if self.owner is not owner:  # the piece before the garbage has ended the call
                    return
                self._fail(owner, "garbage", f"the reply is not valid HTTP: {error}")
                return
            self._keep = False  # bytes after a complete reply: take the reply, drop the connection
        if self._pieces:
            self._flush(owner)
        if self.owner is not owner:
            return
        if self._complete:
            self._finish(owner)
        elif not self._in_body and len(self._head) > HEAD_MAX:  # interim replies included
            self._fail(owner, "garbage", "the reply's head is longer than 64 KB")

    def connection_lost(self, error: Exception | None) -> None:
        self.deadline = GONE
        self.pool.lost(self)
        owner, self.owner = self.owner, None
        if owner is None:
            return
        if self._until_close and error is None:
            owner.on_end()
        else:
            why = f" ({error})" if error else ""
            owner.on_cut(ProviderFault("cut", f"the provider closed the connection{why}", sent=True))

    def on_deadline(self, now: float) -> None:
        owner = self.owner
        if owner is None:
            self.close()
            return
        what = "sent nothing more" if self.received else "sent no reply"
        self._fail(owner, "timeout", f"the provider {what} within its time limit")

    # -- the parser's side

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        if self._complete:  # a second reply in the same bytes: nobody asked for it
            self._keep = False
            return
        status = parser.get_status_code()
        if 100 <= status < 200:
            return
        whole = self._head
        start = 0
        while whole.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1"), start):  # interim replies (100, 103) before it
            start = whole.find(b"\r\n\r\n", start) + 4
        head = whole[start : whole.find(b"\r\n\r\n", start) + 2]
        low = head.lower()
        self._in_body = True
        self._head = b""
        self._until_close = (
            b"\r\ncontent-length:" not in low and b"\r\ntransfer-encoding:" not in low and status not in (204, 304)
        )
        self.deadline = self._wheel.now + self._idle_s
        if self.owner is not None:
            self.owner.on_reply_head(status, head, low)

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        if self._complete:
            self._keep = False
        elif self._in_body:
            self._complete = True
            self._keep = parser.should_keep_alive()  # asked here: after the callback the answer is always False

    # -- inside

    def _flush(self, owner: Owner) -> None:
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self.owner is owner:
            self.deadline = self._wheel.now + self._idle_s
            owner.on_piece(piece)

    def _finish(self, owner: Owner) -> None:
        self.owner = None
        self._parser = None
        self.resume()
        if self._keep and not self.transport.get_write_buffer_size():  # else part of the request is still to be sent
            self.pool.give_back(self)
        else:
            self.close()
        owner.on_end()

    def _fail(self, owner: Owner, fault: str, say: str) -> None:
        self.owner = None
        self.close()
        owner.on_cut(ProviderFault(fault, say, sent=True))


class _Waiter:
    """A call that waits for a connection to become free; its patience is the provider's connect limit."""

    __slots__ = ("deadline", "owner", "pool")

    def __init__(self, pool: Pool, owner: Owner, deadline: float) -> None:
        self.pool = pool
        self.owner = owner
        self.deadline = deadline

    def on_deadline(self, now: float) -> None:
        self.pool.expire(self)


class Pool:
    """The connections of one provider. `want` answers by `on_connected` or `on_connect_failed`, now or later."""

    def __init__(
        self,
        row: ProviderRow,
        wheel: Wheel,
        loop: asyncio.AbstractEventLoop,
        tls: ssl.SSLContext | None,
        keepalive_s: float,
    ) -> None:
        self.row = row
        self.wheel = wheel
        self._loop = loop
        self._keepalive_s = keepalive_s
        self._idle: list[Upstream] = []
        self._waiting: deque[_Waiter] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.open = 0  # connected or connecting
        self.closed = False
        parts = urlsplit(row.base_url)
        self._host = parts.hostname or ""
        self._tls = tls
        self._port = parts.port or (443 if self._tls else 80)

    def want(self, owner: Owner, *, fresh: bool = False) -> None:
        """`fresh`: only a new connection will do (a kept one has just turned out to be stale)."""
        while self._idle and not fresh:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                owner.on_connected(connection)
                return
        if self.open < self.row.connections_max:
            self._connect(owner)
        elif len(self._waiting) < WAITING_MAX:
            waiter = _Waiter(self, owner, self.wheel.now + self.row.connect_timeout_s)
            self._waiting.append(waiter)
            self.wheel.add(waiter)
        else:
            owner.on_connect_failed(self._all_busy())

    def forget(self, owner: Owner) -> None:
        """`owner` no longer wants a connection."""
        for waiter in self._waiting:
            if waiter.owner is owner:
                self.drop(waiter)
                return

    def drop(self, waiter: _Waiter) -> None:
        waiter.deadline = GONE
        self._waiting.remove(waiter)

    def expire(self, waiter: _Waiter) -> None:
        self.drop(waiter)
        waiter.owner.on_connect_failed(self._all_busy())

    def give_back(self, connection: Upstream) -> None:
        """The connection is free: for who waits longest, else for who comes next."""
        connection.fresh = False
        if self._waiting:
            self._next_waiter().on_connected(connection)
        elif self.closed:
            connection.close()
        else:
            connection.deadline = self.wheel.now + self._keepalive_s
            self._idle.append(connection)

    def lost(self, connection: Upstream) -> None:
        self.open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._connect_waiting()

    def close(self) -> None:
        """Keeps nothing idle from now on; who waits or is served still is."""
        self.closed = True
        for connection in list(self._idle):
            connection.close()

    def _all_busy(self) -> ProviderFault:
        return ProviderFault("overloaded", f"{self.row.connections_max} connections to {self.row.name} are all busy")

    def _next_waiter(self) -> Owner:
        waiter = self._waiting.popleft()
        waiter.deadline = GONE
        return waiter.owner

    def _connect_waiting(self) -> None:
        while self._waiting and self.open < self.row.connections_max:
            self._connect(self._next_waiter())

    def _connect(self, owner: Owner) -> None:
        self.open += 1
        task = self._loop.create_task(self._open(owner))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, owner: Owner) -> None:
        row = self.row
        try:
            async with asyncio.timeout(row.connect_timeout_s):
                _, connection = await self._loop.create_connection(
                    lambda: Upstream(self),
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except TimeoutError:
            self._failed(owner, "timeout", f"no connection to {row.name} within {row.connect_timeout_s:g} s")
            return
        except ssl.SSLError as error:
            self._failed(owner, "refused_connection", f"TLS with {row.name} failed: {error.reason or error}")
            return
        except OSError as error:
            self._failed(owner, "refused_connection", f"{row.name} is not reachable: {error.strerror or error}")
            return
        except Exception as error:  # UnicodeError of a host no resolver takes, ...: the call must end whatever it is
            self._failed(owner, "refused_connection", f"{row.name} is not reachable: {error}")
            return
        connection.deadline = self.wheel.now + self._keepalive_s
        self.wheel.add(connection)
        owner.on_connected(connection)

    def _failed(self, owner: Owner, fault: str, say: str) -> None:
        self.open -= 1
        owner.on_connect_failed(ProviderFault(fault, say))
        self._connect_waiting()
