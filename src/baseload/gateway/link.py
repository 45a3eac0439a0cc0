"""The way to the control plane: HTTP/1.1 on a kept connection, through the socket in the home or TLS.

In:     a place (a Unix socket, or a host with a pinned certificate and this gateway's token). Out: status and body.
One request at a time on a link; a caller that needs two at once takes two links. Never on the path of a call that has
its money.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ssl

import httptools
import msgspec

from baseload.errors import Refusal

_ANSWER_MAX = 64 * 1024 * 1024
CONNECT_S = 3.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the control plane is. `fingerprint`: SHA-256 of its certificate (DER), hex; the only one we trust."""

    socket: str = ""
    host: str = ""
    port: int = 0
    token: str = ""
    fingerprint: str = ""


class LinkDown(Refusal):
    """The control plane did not answer in time, or is not who it should be."""

    code, status = "control_unavailable", 503


class _Answer:
    def __init__(self) -> None:
        self.body = bytearray()
        self.complete = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


class Link:
    """One connection, made when it is needed and made again when it broke."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()
        token = f"authorization: Bearer {place.token}\r\n" if place.token else ""
        self._headers = f"host: control\r\n{token}"

    async def ask(
        self, method: str, target: str, body: bytes = b"", *, limit_s: float = 5.0, headers: str = ""
    ) -> tuple[int, bytes]:
        """(status, body). A connection that was closed while it lay idle is made anew, once. Raises LinkDown."""
        async with self._lock:
            for fresh in (False, True):
                kept = self._streams is not None
                try:
                    async with asyncio.timeout(limit_s):
                        return await self._exchange(method, target, body, headers)
                except (OSError, TimeoutError, EOFError, httptools.HttpParserError, ssl.SSLError) as error:
                    self.close()
                    if fresh or not kept or isinstance(error, TimeoutError):
                        why = str(error) or type(error).__name__
                        raise LinkDown(f"The control plane does not answer ({why}).", retry_after_s=1) from error
                except asyncio.CancelledError:
                    self.close()
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            with contextlib.suppress(Exception):
                streams[1].close()

    async def _exchange(self, method: str, target: str, body: bytes, headers: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await self._connect()
        reader, writer = self._streams
        head = f"{method} {target} HTTP/1.1\r\n{self._headers}{headers}content-length: {len(body)}\r\n\r\n"
        writer.write(head.encode("latin-1") + body)
        await writer.drain()
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            piece = await reader.read(1 << 18)
            if not piece:
                raise EOFError("the connection was closed")
            parser.feed_data(piece)
            if len(answer.body) > _ANSWER_MAX:
                raise EOFError("the answer is too long")
        if not parser.should_keep_alive():
            self.close()
        return parser.get_status_code(), bytes(answer.body)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = self._place
        async with asyncio.timeout(CONNECT_S):
            if place.socket:
                return await asyncio.open_unix_connection(place.socket)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False  # it is known by its certificate itself, not by whom the certificate names
            context.verify_mode = ssl.CERT_NONE
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            reader, writer = await asyncio.open_connection(place.host, place.port, ssl=context)
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
        if not hmac.compare_digest(hashlib.sha256(found).hexdigest(), place.fingerprint):
            writer.close()
            raise ConnectionError("its certificate is not the one this gateway was told to trust")
        return reader, writer
