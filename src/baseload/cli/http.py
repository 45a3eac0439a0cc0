"""One HTTP/1.1 exchange: over TCP, TLS, or the socket of a home. The standard library's client, and why:

httpx takes 0.35 s of a command that lasts 0.5 s (measured; it loads a terminal toolkit and an async stack with itself),
and a command makes one request. Environment proxies are not asked: a token goes only where it was told to go.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from baseload.errors import Refusal

CONNECT_S = 3.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("baseload", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextlib.contextmanager
def exchange(
    method: str,
    url: str,
    *,
    unix: Path | None = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    read_s: float | None = 60.0,
) -> Iterator[http.client.HTTPResponse]:
    """Sends a request and yields the reply, its body unread. `body` is sent as JSON; `read_s` None waits for ever.

    Raises OSError (TimeoutError among them) or http.client.HTTPException, as the standard library does.
    """
    parts = urlsplit(url)
    if unix is None and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise Refusal(f"{url!r} is not a URL.", "As in http://127.0.0.1:8401.", code="usage")
    target = (parts.path or "/") + (f"?{urlencode(params)}" if params else "")
    connection: http.client.HTTPConnection
    if unix is not None:
        connection = _UnixConnection(unix, CONNECT_S)
    elif parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=CONNECT_S, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CONNECT_S)
    try:
        connection.connect()
        if connection.sock:
            connection.sock.settimeout(read_s)
        content = None if body is None else json.dumps(body).encode()
        kind = {"content-type": "application/json"} if content is not None else {}
        connection.request(method, target, body=content, headers={**kind, **(headers or {})})
        yield connection.getresponse()
    finally:
        connection.close()


def pieces(reply: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body as it arrives."""
    while piece := reply.read1(65536):
        yield piece


def lines(reply: http.client.HTTPResponse) -> Iterator[str]:
    """The body's lines, each as soon as it is whole."""
    tail = b""
    for piece in pieces(reply):
        *whole, tail = (tail + piece).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if tail:
        yield tail.decode("utf-8", "replace")


def answers(url: str) -> int:
    """The status of a GET, 0 when nothing answers there."""
    try:
        with exchange("GET", url, read_s=3.0) as reply:
            return reply.status
    except (OSError, http.client.HTTPException):
        return 0
