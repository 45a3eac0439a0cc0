"""One request, and the bytes of one reply over a connection, right or wrong as its fault says."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any

from tests.vendors.desk import answer
from tests.vendors.dialects import Dialect
from tests.vendors.faults import Fault
from tests.vendors.visit import State

LOOK_S = 0.005  # how often a silent reply looks whether its client has left


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


class Left(Exception):
    """The client has gone."""


class Closed(Exception):
    """The reply ends here, by closing the connection."""


class Reply:
    """One reply, right or wrong as its fault says."""

    def __init__(
        self,
        dialect: Dialect,
        state: State,
        request: Request,
        fault: Fault,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        last: bool,
    ) -> None:
        self.dialect, self.state, self.request, self.fault = dialect, state, request, fault
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
        streamed = kind.startswith("text/event-stream") or "eventstream" in kind
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
        """Content type and parts of the body; sets status and headers."""
        request, fault = self.request, self.fault
        made = answer(
            self.dialect, self.state, fault, request.number, request.method, request.path, request.headers, request.body
        )
        self.status = fault.status if made.status == 200 else made.status
        self.extra = (*made.headers, *fault.headers)
        return made.kind, made.parts

    # --- bytes and silence

    async def _send(self, data: bytes) -> None:
        step = self.fault.piece_bytes or len(data)
        for start in range(0, len(data), step or 1):
            if self._gone():
                raise Left
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
                raise Left
            await asyncio.sleep(min(left, LOOK_S))

    def _gone(self) -> bool:
        return self.writer.transport.is_closing() or self.reader.at_eof() or self.reader.exception() is not None

    def _end(self) -> None:
        """Closes here and now: with FIN after what was sent, or with RST."""
        if self.fault.reset:
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        raise Closed


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()).strip():  # trailers
        pass
    return bytes(body)
