"""Clients' connections: HTTP/1.1 requests in, replies out.

In:     bytes cut anywhere, pipelined or not; sized and chunked bodies; `Expect: 100-continue`.
Out:    `Service.decide` at the end of a head, `Service.serve` at the end of a body, in order, one call at a time.
Holds:  one head (HEAD_MAX), one body (Limits.body_max), PIPELINE_MAX bytes of what follows; then it stops reading.

A slow reader pauses the call that feeds it (`Served.pause`), so memory does not grow. A client that leaves is noticed
at once, because reading only stops for a flood. A reply that ends a connection is followed by a lingering close
(RFC 9112, 9.6), or the client might lose the reply to a reset.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import httptools

from baseload.errors import Refusal
from baseload.gateway.head import CHUNKED, HEAD_MAX, BadHead, Head, read_head, same_but_length
from baseload.gateway.http_text import CONTINUE, plain_refusal, reply_bytes
from baseload.gateway.limits import Limits
from baseload.gateway.wheel import FOREVER, GONE, Wheel
from baseload.wire import refusals

if TYPE_CHECKING:
    from baseload.gateway.content import Recorder

PIPELINE_MAX = 256 * 1024
PIECE_MIN = 4096
LINGER_S = 2.0
LINGER_BYTES = 4 * 1024 * 1024  # what is read and thrown away after a refusal, so that the client can read it


class Served(Protocol):
    """What serves one request, as its connection sees it."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def client_left(self) -> None: ...


class Service(Protocol):
    """What connections ask of the gateway."""

    wheel: Wheel
    limits: Limits
    draining: bool

    def clock_ns(self) -> int: ...
    def opened(self, connection: Downstream) -> bool: ...
    def closed(self, connection: Downstream) -> None: ...
    def decide(self, connection: Downstream, head: Head) -> Refusal | None:
        """Whether the body is worth reading: a refusal, or None. Sets `connection.key`."""

    def serve(self, connection: Downstream, head: Head, body: bytes) -> None:
        """Answers by the connection's `reply` / `begin`, `chunk`, `end`, now or later."""

    def refuse(self, connection: Downstream, head: Head | None, refusal: Refusal) -> None: ...


_HEAD, _SIZED, _CHUNKED, _BUSY, _LINGER = range(5)


class Downstream(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_body",
        "_chunks",
        "_chunks_done",
        "_chunks_extra",
        "_end_at",
        "_ended",
        "_full",
        "_keep",
        "_known",
        "_left",
        "_paused_reading",
        "_pending",
        "_service",
        "_size",
        "_stalled_at",
        "_state",
        "_streaming",
        "accepted_ns",
        "deadline",
        "head",
        "key",
        "recorder",
        "served",
        "transport",
    )

    def __init__(self, service: Service) -> None:
        self._service = service
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self.deadline = FOREVER
        self.served: Served | None = None
        self.head: Head | None = None
        self._known: Head | None = None  # the last head of this connection
        self.key: object = None  # what `decide` recognised the caller as
        self.accepted_ns = 0
        self.recorder: Recorder | None = None  # of accounts whose content is kept
        self._state = _HEAD
        self._pending = b""  # bytes of an unfinished head, or what came while a call was being served
        self._body: list[bytes | bytearray] = []  # its pieces, joined once
        self._size = 0  # of the pieces of a chunked body
        self._left = 0
        self._chunks: httptools.HttpRequestParser | None = None
        self._chunks_done = self._chunks_extra = False
        self._keep = True
        self._streaming = False
        self._paused_reading = False
        self._end_at = 0.0
        self._full = False  # the write buffer is
        self._ended = False  # a reply is written, but the client has not read enough of it for what comes next
        self._stalled_at = 0.0  # until then a reader of buffered bytes is given time

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        service = self._service
        self.deadline = service.wheel.now + service.limits.head_timeout_s
        if not service.opened(self):
            self.transport.write(plain_refusal(503, "This gateway has reached its limit of open connections."))
            self.deadline = GONE
            self.transport.close()
            return
        service.wheel.add(self)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == _HEAD:
            self._on_head_bytes(data)
        elif state == _SIZED:
            self._on_sized_bytes(data)
        elif state == _BUSY:
            self._pending += data
            if len(self._pending) > PIPELINE_MAX and not self._paused_reading:
                self._paused_reading = True
                self.transport.pause_reading()
        elif state == _CHUNKED:
            self._on_chunked_bytes(data)
        else:
            self._left -= len(data)
            if self._left < 0:
                self.close()

    def eof_received(self) -> bool:
        # A client that closes its sending side early has left: no client library half-closes and then reads.
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.deadline = GONE
        self._service.closed(self)
        served, self.served = self.served, None
        if served is not None:
            served.client_left()
        if self.recorder is not None:
            self.transport, self.recorder = self.recorder.end(), None

    def pause_writing(self) -> None:
        """The client reads slower than it is written to: what feeds it stops, and nothing new begins."""
        self._full = True
        self.deadline = self._service.wheel.now + self._service.limits.write_stall_s
        if self.served is not None:
            self.served.pause()

    def resume_writing(self) -> None:
        self._full = False
        if self.served is not None:
            self.deadline = FOREVER
            self.served.resume()
        elif self._ended:
            self._next()

    def on_deadline(self, now: float) -> None:
        state = self._state
        if not self._full and self.transport.get_write_buffer_size() and now < self._stalled_at:
            # a reply is still on its way to a slow reader: neither idle nor done
            self.deadline = now + LINGER_S
        elif state in (_SIZED, _CHUNKED) or (state == _HEAD and self._pending):
            limits = self._service.limits
            seconds = limits.head_timeout_s if state == _HEAD else limits.body_timeout_s
            self._keep = False
            self._refuse(refusals.RequestTimeout(seconds))
        else:
            self.close()

    @property
    def busy(self) -> bool:
        """Something of a request or a reply is still under way."""
        return self._state not in (_HEAD, _LINGER) or bool(self.transport.get_write_buffer_size())

    # -- requests in

    def _on_head_bytes(self, data: bytes) -> None:
        service = self._service
        if self._pending:
            searched = max(len(self._pending) - 3, 0)
            data = self._pending + data
            self._pending = b""
        else:
            searched = 0
            if data[:1] == b"\r":  # RFC 9112, 2.2: an empty line before the request line is ignored
                data = data.lstrip(b"\r\n")
                if not data:
                    return
            self.accepted_ns = service.clock_ns()
            self.deadline = service.wheel.now + service.limits.head_timeout_s
        end = data.find(b"\r\n\r\n", searched)
        if end < 0 or end > HEAD_MAX:
            if len(data) > HEAD_MAX:
                self._keep = False
                self._refuse(refusals.HeadTooLarge(HEAD_MAX))
            else:
                self._pending = data
            return
        end += 4
        raw = data if end == len(data) else data[:end]
        head = self._known
        length = same_but_length(raw, head) if head is not None else -1
        if head is None or length < 0:
            try:
                head = self._known = read_head(raw)
            except BadHead as error:
                self._bad(error)
                return
            length = head.length
        self.head = head
        self._keep = head.keep_alive and not service.draining
        if length > service.limits.body_max:
            self._keep = False
            self._refuse(refusals.BodyTooLarge(service.limits.body_max))
            return
        refusal = service.decide(self, head)
        if refusal is not None:
            if length == CHUNKED or end + length > len(data):
                self._keep = False  # the body still to come is not worth waiting for
            else:
                self._pending = data[end + length :]
            self._refuse(refusal)
            return
        if length == 0:
            self._state = _BUSY
            self.deadline = FOREVER
            self._pending = data[end:]
            service.serve(self, head, b"")
        elif length == CHUNKED:
            self._begin_chunked(head, data[end:])
        elif end + length <= len(data):
            self._state = _BUSY
            self.deadline = FOREVER
            self._pending = data[end + length :]
            service.serve(self, head, data[end : end + length])
        else:
            self._state = _SIZED
            self._left = length
            self._begin_body(head)
            self._on_sized_bytes(data[end:])

    def _begin_body(self, head: Head) -> None:
        service = self._service
        self._end_at = service.wheel.now + service.limits.body_total_s
        self.deadline = service.wheel.now + service.limits.body_timeout_s
        if head.expect:
            self.transport.write(CONTINUE)

    def _on_sized_bytes(self, data: bytes) -> None:
        left = self._left
        if len(data) < left:
            self._collect(data)
            self._left = left - len(data)
            self.deadline = min(self._service.wheel.now + self._service.limits.body_timeout_s, self._end_at)
            return
        self._collect(data if len(data) == left else data[:left])
        self._pending = data[left:]
        self._serve_body()

    def _collect(self, data: bytes) -> None:
        """Large pieces are kept as they came and joined once; small ones are gathered: objects outweigh their bytes."""
        body = self._body
        if len(data) >= PIECE_MIN:
            body.append(data)
        elif body and body[-1].__class__ is bytearray:
            body[-1] += data
        else:
            body.append(bytearray(data))

    def _begin_chunked(self, head: Head, data: bytes) -> None:
        self._state = _CHUNKED
        self._chunks_done = self._chunks_extra = False
        self._chunks = httptools.HttpRequestParser(self)
        # llhttp decodes the chunks; it is shown a head of our own, for the caller's has been judged already
        self._chunks.feed_data(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        self._begin_body(head)
        if data:
            self._on_chunked_bytes(data)

    def _on_chunked_bytes(self, data: bytes) -> None:
        service = self._service
        assert self._chunks is not None
        try:
            self._chunks.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._chunks_done:
                self._bad(BadHead(400, f"The chunked body is not valid: {error}."))
                return
            self._chunks_extra = True
        if self._size > service.limits.body_max:
            self._keep = False
            self._refuse(refusals.BodyTooLarge(service.limits.body_max))
            return
        if not self._chunks_done:
            self.deadline = min(service.wheel.now + service.limits.body_timeout_s, self._end_at)
            return
        if self._chunks_extra:
            # Where a chunked body ends inside a piece only the parser knows. A request pipelined behind one is not
            # served: the connection closes after the reply and the client repeats it (RFC 9112, 9.3.2).
            self._keep = False
        self._serve_body()

    def on_message_begin(self) -> None:
        if self._chunks_done:
            self._chunks_extra = True

    def on_body(self, body: bytes) -> None:
        if not self._chunks_done and self._size <= self._service.limits.body_max:
            self._size += len(body)
            self._collect(body)

    def on_message_complete(self) -> None:
        self._chunks_done = True

    def _serve_body(self) -> None:
        body = b"".join(self._body)
        self._body.clear()
        self._size = 0
        self._chunks = None
        self._state = _BUSY
        self.deadline = FOREVER
        assert self.head is not None
        self._service.serve(self, self.head, body)

    def _bad(self, error: BadHead) -> None:
        self._keep = False
        self.head = None
        self._refuse(Refusal(error.say, "Send a valid HTTP/1.1 request.", code="bad_http", status=error.status))

    def _refuse(self, refusal: Refusal) -> None:
        self._state = _BUSY  # what comes meanwhile waits behind the refusal
        self.deadline = FOREVER
        self._service.refuse(self, self.head, refusal)

    # -- replies out

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """A whole reply. `headers`: complete lines, each ended by CRLF, without framing."""
        if self.transport.is_closing():
            return
        head = self.head
        if head is not None and head.method == b"HEAD":
            self.transport.write(reply_bytes(status, headers, body, keep=self._keep, http10=head.http10, bare=True))
        else:
            self.transport.write(
                reply_bytes(status, headers, body, keep=self._keep, http10=head is not None and head.http10)
            )
        self._next()

    def begin(self, status: int, headers: bytes) -> None:
        """Begins a streamed reply; `chunk` and `end` follow."""
        head = self.head
        if head is not None and head.http10:
            self._keep = False
            self._streaming = False
            self.transport.write(b"HTTP/1.1 %d OK\r\n%bconnection: close\r\n\r\n" % (status, headers))
            return
        self._streaming = True
        close = b"" if self._keep else b"connection: close\r\n"
        self.transport.write(b"HTTP/1.1 %d OK\r\n%b%btransfer-encoding: chunked\r\n\r\n" % (status, headers, close))

    def chunk(self, data: bytes) -> None:
        if data:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._streaming else data)

    def beat(self, data: bytes) -> None:
        """A keep-alive inside a streamed reply; not for a reader that has not even taken what was written before."""
        if not self._full and not self.transport.is_closing():
            self.chunk(data)

    def end(self, data: bytes = b"") -> None:
        """The last bytes of a streamed reply."""
        if self.transport.is_closing():
            return
        if not self._streaming:
            self.transport.write(data)
        elif data:
            self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        else:
            self.transport.write(b"0\r\n\r\n")
        self._next()

    def close(self) -> None:
        self.deadline = GONE
        self.transport.abort()

    def drain(self) -> None:
        """The gateway stops: an idle connection closes now, a busy one after its reply."""
        self._keep = False
        if self._state == _HEAD and not self._pending:
            self.deadline = GONE
            self.transport.close()

    def _next(self) -> None:
        """The reply is written: the next request, or the end. Not before the client has read most of it."""
        self.served = None
        if self.recorder is not None:
            self.transport, self.recorder = self.recorder.end(), None
        self.key = None
        service = self._service
        self._stalled_at = service.wheel.now + service.limits.write_stall_s
        self._ended = self._full
        if self._full:
            self._state = _BUSY
            self.deadline = self._stalled_at
            return
        if not self._keep or service.draining:
            self._linger()
            return
        self._state = _HEAD
        self.head = None
        self.deadline = service.wheel.now + service.limits.idle_timeout_s
        if self._paused_reading:
            self._paused_reading = False
            self.transport.resume_reading()
        if self._pending:
            # not from here: a flood of pipelined requests would nest as deep as it is long
            self._state = _BUSY
            asyncio.get_running_loop().call_soon(self._serve_pending)

    def _serve_pending(self) -> None:
        if self.transport.is_closing():
            return
        self._state = _HEAD
        pending, self._pending = self._pending, b""
        self._on_head_bytes(pending)

    def _linger(self) -> None:
        self._state = _LINGER
        self._pending = b""
        self._body.clear()
        self._left = LINGER_BYTES
        self.deadline = self._service.wheel.now + LINGER_S
        if self._paused_reading:
            self._paused_reading = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
