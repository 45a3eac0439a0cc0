"""The server: HTTP/1.1 by hand on asyncio streams, in a thread of its own, so that it can also do everything wrong."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from types import TracebackType
from typing import Any

from tests.vendors import tls as certificates
from tests.vendors.answers import Answer, answer
from tests.vendors.dialects import Dialect, dump, stream, whole
from tests.vendors.failures import failure
from tests.vendors.faults import HEALTHY, Fault, named

FLOOD_TEXT = "x" * 65_536
LOOK_S = 0.005  # how often a silent reply looks whether its client has left
ENDPOINTS = {"/chat/completions": "chat", "/completions": "completions", "/embeddings": "embeddings"}


@dataclasses.dataclass
class Request:
    """One request as it came. The last three fields change while the reply goes out."""

    number: int  # from 1, over all connections
    connection: int  # from 1
    method: str
    path: str
    head: bytes  # request line and headers, as sent
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float  # time.monotonic() of the last byte
    left: bool = False  # the client closed before the reply was complete
    done: bool = False  # the server has finished with it
    sent_bytes: int = 0  # of the reply, head and framing included, handed to the kernel

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Left(Exception):
    """The client has gone."""


class _Closed(Exception):
    """The reply ends here, by closing the connection."""


class Simulator:
    """A vendor. `base_url` ends in /v1; any prefix is served. Thread-safe where tests need it."""

    def __init__(self, dialect: Dialect, *, tls: bool, key: str, keepalive_requests: int, always: Fault) -> None:
        self.dialect = dialect
        self.key = key
        self.keepalive_requests = keepalive_requests
        self.always = always
        self.requests: list[Request] = []
        self.connections = 0  # accepted so far
        self.open_connections = 0
        self._script: deque[Fault] = deque()
        self._changed = threading.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"vendor-{dialect.name}", daemon=True)
        self._thread.start()
        self.ca_file = str(certificates.authority()[0]) if tls else ""
        context = certificates.server_context() if tls else None
        serve = asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=context, limit=2**18, backlog=1024)
        self._server = asyncio.run_coroutine_threadsafe(serve, self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.base_url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/v1"

    # --- for tests

    def script(self, *faults: Fault | str | None) -> None:
        """The next requests, one each in order of arrival: a Fault, a name, or None for a healthy reply."""
        self._script.extend(
            HEALTHY if item is None else named(item) if isinstance(item, str) else item for item in faults
        )

    def wait(self, requests: int = 1, *, done: bool = False, timeout_s: float = 10.0) -> list[Request]:
        """Returns when so many requests have come (`done`: and are over). TimeoutError otherwise."""

        def there() -> bool:
            return len(self.requests) >= requests and (not done or all(r.done for r in self.requests[:requests]))

        with self._changed:
            if not self._changed.wait_for(there, timeout_s):
                raise TimeoutError(f"{len(self.requests)} of {requests} requests after {timeout_s} s")
        return self.requests

    def close(self) -> None:
        """Closes every connection and the port."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def drop_idle(self) -> None:
        """Closes all connections at once, as a vendor's restart does; the port stays open."""
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result(10)

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- connections

    async def _stop(self) -> None:
        self._server.close()
        await self._cancel_all()

    async def _cancel_all(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        try:
            await self._connection(reader, writer, self.connections)
        except (_Closed, _Left, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()
            with self._changed:
                self._changed.notify_all()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        served = 0
        while True:
            request = await self._read(reader, writer, connection)
            if request is None:
                return
            served += 1
            fault = self._fault(request)
            last = fault.last_close or request.headers.get("connection", "").lower() == "close"
            last = last or served == self.keepalive_requests
            try:
                await _Reply(self, request, fault, reader, writer, last).run()
            except (_Left, ConnectionError):
                request.left = True
                return
            finally:
                request.done = True
                with self._changed:
                    self._changed.notify_all()
            if last:
                return

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (item.partition(":") for item in rest) if name
        }
        method, path, _ = line.split(" ", 2)
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _read_chunks(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        with self._changed:
            number = len(self.requests) + 1
            request = Request(number, connection, method, path, head, headers, body, time.monotonic())
            self.requests.append(request)
            self._changed.notify_all()
        return request

    def _fault(self, request: Request) -> Fault:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return Fault(failure="bad_key")
        if "x-simulate" in request.headers:
            return named(request.headers["x-simulate"])
        with contextlib.suppress(ValueError, AttributeError):
            model = request.json.get("model", "")
            if str(model).startswith("fault-"):
                return named(model.removeprefix("fault-"))
        return self._script.popleft() if self._script else self.always


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()).strip():  # trailers
        pass
    return bytes(body)


class _Reply:
    """One reply, right or wrong as its fault says."""

    def __init__(
        self,
        vendor: Simulator,
        request: Request,
        fault: Fault,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        last: bool,
    ) -> None:
        self.dialect, self.request, self.fault = vendor.dialect, request, fault
        self.reader, self.writer, self.last = reader, writer, last
        self.sent = 0  # bytes of the body
        self.status, self.extra = fault.status, fault.headers

    async def run(self) -> None:
        fault = self.fault
        await self._silence(fault.delay_s)
        if fault.close == "before_head":
            self._end()
        if fault.stall == "before_head":
            await self._silence(fault.stall_s)
        if fault.raw is not None:
            await self._send(fault.raw)
            self._end()
        kind, parts = self._body()
        streamed = kind.startswith("text/event-stream")
        sized = fault.sized if fault.sized is not None else not streamed
        if self.dialect.blank_lines and not streamed and self.status == 200 and fault.sized is None:
            sized = False  # DeepSeek's blank lines come while the length is not known
        if fault.until_close:
            await self._send(self._head(kind, "connection: close"))
        elif sized:
            data = b"".join(parts)
            await self._send(self._head(kind, f"content-length: {len(data) + fault.length_off}"))
            parts = iter((data,))
        else:
            await self._send(self._head(kind, "transfer-encoding: chunked"))
        if fault.close == "after_head":
            self._end()
        if fault.stall == "after_head":
            await self._silence(fault.stall_s)
        await self._all(parts, chunked=not sized and not fault.until_close)
        if fault.until_close or fault.length_off:
            self._end()

    async def _all(self, parts: Iterator[bytes], *, chunked: bool) -> None:
        fault = self.fault
        first = True
        for part in parts:
            if not first and fault.interval_s:
                await self._silence(fault.interval_s)
            first = False
            async for piece in self._broken(part):
                await self._send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                self.sent += len(piece)
            if fault.cut_at is not None and self.sent >= fault.cut_at:
                self._end()
        if fault.cut_at is not None:  # the body was shorter: at least its end is missing
            self._end()
        if chunked:
            await self._send(b"0\r\n\r\n")

    async def _broken(self, part: bytes) -> AsyncIterator[bytes]:
        """`part`, cut where the fault cuts or goes silent."""
        fault = self.fault
        if fault.cut_at is not None:
            part = part[: max(fault.cut_at - self.sent, 0)]
        if fault.stall == "body" and self.sent <= fault.stall_at < self.sent + len(part):
            before = fault.stall_at - self.sent
            if before:
                yield part[:before]
            await self._silence(fault.stall_s)
            part = part[before:]
        if part:
            yield part

    def _head(self, kind: str, framing: str) -> bytes:
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = "Something"
        lines = [f"HTTP/1.1 {self.status} {reason}", framing, f"x-request-id: req-{self.request.number}"]
        given = {name.lower() for name, _ in self.extra}
        if "content-type" not in given:
            lines.append(f"content-type: {kind}")
        if self.last and not self.fault.until_close:
            lines.append("connection: close")
        lines += [f"{name}: {value}" for name, value in (*self.dialect.headers, *self.extra)]
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    def _body(self) -> tuple[str, Iterator[bytes]]:
        """Content type and parts of the body; sets the status."""
        fault, request = self.fault, self.request
        if fault.failure:
            self.status, data, headers = failure(self.dialect.name, fault.failure)
            self.extra = (*headers, *self.extra)
            return "application/json", iter((data,))
        if fault.body is not None:
            return "application/json", iter((fault.body,))
        path = request.path.partition("?")[0]
        if request.method == "GET" and path.endswith("/models"):
            data = dump({"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "sim"}]})
            return "application/json", iter((data,))
        endpoint = next((name for end, name in ENDPOINTS.items() if path.endswith(end)), "")
        try:
            body = request.json
            if not isinstance(body, dict) or not endpoint or request.method != "POST":
                raise ValueError
        except ValueError:
            self.status, data, _ = failure(self.dialect.name, "not_found" if not endpoint else "bad_request")
            return "application/json", iter((data,))
        said = answer(body, endpoint, fault.words)
        if fault.finish:
            said = dataclasses.replace(said, finish=fault.finish)
        if fault.word_bytes:
            said = dataclasses.replace(said, words=tuple(word.ljust(fault.word_bytes, "z") for word in said.words))
        if body.get("stream") and endpoint != "embeddings":
            return "text/event-stream; charset=utf-8", self._frames(body, endpoint, said)
        data = dump(whole(self.dialect, body, endpoint, said, request.number, fault.usage))
        if fault.garbage_json:
            data = data[: len(data) // 2]
        return "application/json", iter((b"\n",) * self.dialect.blank_lines + (data,))

    def _frames(self, body: dict[str, Any], endpoint: str, said: Answer) -> Iterator[bytes]:
        fault = self.fault
        pieces = None
        if fault.flood_bytes:
            pieces = (FLOOD_TEXT for _ in range(fault.flood_bytes // len(FLOOD_TEXT)))
        frames = stream(
            self.dialect,
            body,
            endpoint,
            said,
            self.request.number,
            report=fault.usage,
            pieces=pieces,
            error_after=fault.error_after,
            newline=b"\r\n" if fault.crlf else b"\n",
            done=not fault.no_done,
        )
        for number, item in enumerate(frames):
            if fault.garbage_json and number == self.dialect.comments + 2:
                yield item[: len(item) // 2] + b"\n\n"
            else:
                yield item

    # --- bytes and silence

    async def _send(self, data: bytes) -> None:
        step = self.fault.piece_bytes or len(data)
        for start in range(0, len(data), step or 1):
            if self._gone():
                raise _Left
            piece = data[start : start + step]
            self.writer.write(piece)
            await self.writer.drain()
            self.request.sent_bytes += len(piece)
            if self.fault.piece_bytes:
                await asyncio.sleep(0)

    async def _silence(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._gone():
                raise _Left
            await asyncio.sleep(min(left, LOOK_S))

    def _gone(self) -> bool:
        return self.writer.transport.is_closing() or self.reader.at_eof() or self.reader.exception() is not None

    def _end(self) -> None:
        """Closes here and now: with FIN after what was sent, or with RST."""
        if self.fault.reset:
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        raise _Closed


@contextlib.contextmanager
def refusing_url() -> Iterator[str]:
    """A base URL whose port refuses connections for as long as the block lasts (bound, not listening)."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
