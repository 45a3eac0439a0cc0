"""The server: HTTP/1.1 by hand on asyncio streams, in a thread of its own, so that it can also do everything wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType

from tests.vendors import keys
from tests.vendors import tls as certificates
from tests.vendors.desk import asked_fault, find
from tests.vendors.dialects import DIALECTS, Dialect
from tests.vendors.faults import HEALTHY, Fault, named
from tests.vendors.reply import Closed, Left, Reply, Request, read_chunks
from tests.vendors.visit import State

METRICS = Request(0, 0, "GET", "/metrics", b"", {}, b"", 0.0)


class Simulator:
    """A vendor. Thread-safe where tests need it.

    url           scheme, host and port
    provider_url  the base URL that a provider row of this vendor has: with the vendor's own path
    base_url      the same for the vendors of other protocols; for those that speak chat it ends in /v1 (their chat
                  endpoints are served below any prefix, as their relays do)
    account       a service account's JSON for the token endpoint (Vertex)
    """

    def __init__(
        self, dialect: Dialect, *, tls: bool, key: str, keepalive_requests: int, always: Fault, state: State
    ) -> None:
        self.dialect = dialect
        self.state = state
        self.key = key
        self.keepalive_requests = keepalive_requests
        self.always = always
        self.requests: list[Request] = []
        self.metrics: bytes | None = None  # an engine's page of numbers; None = it has none
        self.polls = 0  # how often it was read
        self.connections = 0  # accepted so far
        self.open_connections = 0
        self.errors: list[Exception] = []  # of the simulator itself; the first is raised at the end of its block
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
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.provider_url = f"{self.url}{dialect.path}"
        self.base_url = f"{self.url}/v1" if dialect.name in DIALECTS else self.provider_url

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

    @property
    def account(self) -> dict[str, str]:
        return keys.service_account(f"{self.url}/token")

    def expire_tokens(self) -> None:
        """All bearer tokens issued so far are refused from now on."""
        self.state.tokens.clear()

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
        if kind is None and self.errors:
            raise self.errors[0]

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
        except (Closed, Left, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as error:  # the simulator itself is wrong: the test must hear of it
            self.errors.append(error)
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
            if request is METRICS:
                self.polls += 1
                page = self.metrics
                status = b"200 OK" if page is not None else b"404 Not Found"
                length = len(page or b"")
                writer.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, length, page or b""))
                await writer.drain()
                continue
            fault = self._fault(request)
            last = fault.last_close or request.headers.get("connection", "").lower() == "close"
            last = last or served == self.keepalive_requests
            try:
                await Reply(self.dialect, self.state, request, fault, reader, writer, last).run()
            except (Left, ConnectionError):
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
            body = await read_chunks(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        if path == "/metrics":  # a look at an engine is no request of a client
            return METRICS
        with self._changed:
            number = len(self.requests) + 1
            request = Request(number, connection, method, path, head, headers, body, time.monotonic())
            self.requests.append(request)
            self._changed.notify_all()
        return request

    def _fault(self, request: Request) -> Fault:
        asked = request.method, request.path, request.headers, request.body
        if not keys.allowed(self.dialect.name, self.key, self.state, *asked):
            return Fault(failure="bad_key")
        if "x-simulate" in request.headers:
            return named(request.headers["x-simulate"])
        if model := asked_fault(self.dialect, request.method, request.path, request.body):
            return named(model)
        found = find(self.dialect, request.method, request.path)
        if found and found[0] == "token":  # a script is for the calls
            return HEALTHY
        return self._script.popleft() if self._script else self.always


@contextlib.contextmanager
def refusing_url() -> Iterator[str]:
    """A base URL whose port refuses connections for as long as the block lasts (bound, not listening)."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
