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
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
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
            self._head = head = self._head + data if self._head else data
            if len(head) > HEAD_MAX and b"\r\n\r\n" not in head[: HEAD_MAX + 4]:
                self._fail(owner, "garbage", "the reply's head is longer than 64 KB")
                return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                if self._pieces:
                    self._flush(owner)
                self._fail(owner, "garbage", f"the reply is not valid HTTP: {error}")
                return
            self._keep = False  # bytes after a complete reply: take the reply, drop the connection
        if self._pieces:
            self._flush(owner)
        if self._complete and self.owner is owner:
            self._finish(owner)

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
        status = parser.get_status_code()
        if 100 <= status < 200:
            return
        head = self._head
        end = head.find(b"\r\n\r\n") + 2
        while head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):  # interim replies (100, 103) that came before it
            head = head[end + 2 :]
            end = head.find(b"\r\n\r\n") + 2
        head = head[:end]
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
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        if self._in_body:
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
        if self._keep:
            self.fresh = False
            self.pool.give_back(self)
        else:
            self.close()
        owner.on_end()

    def _fail(self, owner: Owner, fault: str, say: str) -> None:
        self.owner = None
        self.close()
        owner.on_cut(ProviderFault(fault, say, sent=True))


class Pool:
    """The connections of one provider. `want` answers by `on_connected` or `on_connect_failed`, now or later."""

    def __init__(self, row: ProviderRow, wheel: Wheel, loop: asyncio.AbstractEventLoop, keepalive_s: float) -> None:
        self.row = row
        self.wheel = wheel
        self._loop = loop
        self._keepalive_s = keepalive_s
        self._idle: list[Upstream] = []
        self._waiting: deque[Owner] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.open = 0  # connected or connecting
        self.closed = False
        parts = urlsplit(row.base_url)
        self._host = parts.hostname or ""
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context()
            if row.ca_file:
                self._tls.load_verify_locations(row.ca_file)
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
            self._waiting.append(owner)
        else:
            owner.on_connect_failed(
                ProviderFault("overloaded", f"{self.row.connections_max} connections to {self.row.name} are all busy")
            )

    def forget(self, owner: Owner) -> None:
        """`owner` no longer wants a connection."""
        if owner in self._waiting:
            self._waiting.remove(owner)

    def give_back(self, connection: Upstream) -> None:
        if self.closed:
            connection.close()
            return
        if self._waiting:
            self._waiting.popleft().on_connected(connection)
            return
        connection.deadline = self.wheel.now + self._keepalive_s
        self._idle.append(connection)

    def lost(self, connection: Upstream) -> None:
        self.open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._connect_waiting()

    def close(self) -> None:
        """No new calls: idle connections go now, busy ones when their call ends."""
        self.closed = True
        for connection in list(self._idle):
            connection.close()

    def _connect_waiting(self) -> None:
        while self._waiting and self.open < self.row.connections_max and not self.closed:
            self._connect(self._waiting.popleft())

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
        connection.deadline = self.wheel.now + self._keepalive_s
        self.wheel.add(connection)
        owner.on_connected(connection)

    def _failed(self, owner: Owner, fault: str, say: str) -> None:
        self.open -= 1
        owner.on_connect_failed(ProviderFault(fault, say))
        self._connect_waiting()
