"""One small exchange with a provider beside the calls: counting, stored replies, tokens. Nothing is billed for it.

In:     a whole request; a pool. Out: `done(status, head, low, body)` or `failed(fault)`, exactly one of them, once,
        unless the client has left. Holds: the reply, at most REPLY_MAX bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from baseload.errors import ProviderFault
from baseload.gateway.upstream import Pool, Upstream
from baseload.gateway.wheel import Wheel

REPLY_MAX = 64 * 1024 * 1024  # a stored reply may hold images


class Errand:
    """Serves a client's connection (`pause`, `resume`, `client_left`) or nobody's."""

    def __init__(
        self,
        pool: Pool,
        wheel: Wheel,
        head: bytes,
        body: bytes,
        done: Callable[[int, bytes, bytes, bytes], None],
        failed: Callable[[ProviderFault], None],
    ) -> None:
        self._pool = pool
        self._wheel = wheel
        self._head = head
        self._body = body
        self._done = done
        self._failed = failed
        self._upstream: Upstream | None = None
        self._status = 0
        self._reply_head = self._low = b""
        self._parts: list[bytes] = []
        self._size = 0
        self._over = False

    def start(self) -> None:
        self._pool.want(self)

    # -- what the provider's connection says

    def on_connected(self, connection: Upstream) -> None:
        if self._over:
            connection.pool.give_back(connection)
            return
        self._upstream = connection
        connection.send(self, self._head, self._body, self._wheel.now + self._pool.row.first_byte_timeout_s)

    def on_connect_failed(self, fault: ProviderFault) -> None:
        self._end(fault)

    def on_reply_head(self, status: int, head: bytes, low: bytes) -> None:
        self._status, self._reply_head, self._low = status, head, low

    def on_piece(self, piece: bytes) -> None:
        self._parts.append(piece)
        self._size += len(piece)
        if self._size > REPLY_MAX:
            self._drop()
            self._end(ProviderFault("garbage", f"the reply is longer than {REPLY_MAX} bytes", sent=True))

    def on_end(self) -> None:
        self._upstream = None
        self._end(None)

    def on_cut(self, fault: ProviderFault) -> None:
        stale = self._upstream is not None and not self._upstream.fresh and not self._upstream.received
        self._upstream = None
        if stale and not self._over and fault.fault == "cut":  # the server had closed a kept connection: once more
            self._pool.want(self, fresh=True)
            return
        self._end(fault)

    # -- what the client's connection says

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def client_left(self) -> None:
        if not self._over:
            self._over = True
            self._pool.forget(self)
            self._drop()

    def _drop(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.detach()

    def _end(self, fault: ProviderFault | None) -> None:
        if self._over:
            return
        self._over = True
        if fault is not None:
            self._failed(fault)
        else:
            self._done(self._status, self._reply_head, self._low, b"".join(self._parts))
