"""Reads one HTTP/1.1 request head. llhttp (httptools) judges it; this file only picks out what a gateway needs.

In:     the bytes from the request line to the blank line.
Out:    `Head`, or `BadHead` with the status to close the connection with.
Holds:  nothing. Header values are found by a search in the lower-cased head, which llhttp has already validated
        (strict: no bare LF, no folding, no space before the colon, no Content-Length with Transfer-Encoding).
"""

from __future__ import annotations

from urllib.parse import unquote

import httptools

HEAD_MAX = 64 * 1024  # Claude Code's largest head seen is 3 KB; proxies commonly stop at 8 to 64 KB
CHUNKED = -1  # Head.length of a body whose length is not known beforehand


class BadHead(Exception):
    def __init__(self, status: int, say: str) -> None:
        super().__init__(say)
        self.status = status
        self.say = say


class Head:
    """`length`: body bytes, 0 = none, CHUNKED. `key`: the caller's credential, b"" = none."""

    __slots__ = ("accept", "content_type", "expect", "http10", "keep_alive", "key", "length", "method", "path", "query")

    method: bytes
    path: bytes
    query: bytes
    key: bytes
    content_type: bytes
    accept: bytes
    length: int
    expect: bool
    keep_alive: bool
    http10: bool


class _Sink:
    """Parser callbacks. One for the process: parsing a head is synchronous."""

    __slots__ = ("complete", "keep_alive", "parser", "url")

    complete: bool
    keep_alive: bool
    parser: httptools.HttpRequestParser
    url: bytes

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_headers_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()


_sink = _Sink()


def read_head(head: bytes) -> Head:
    """Raises BadHead: 400 malformed, 405/501 what we do not speak, 505 wrong version."""
    sink = _sink
    sink.url = b""
    sink.complete = False
    parser = sink.parser = httptools.HttpRequestParser(sink)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade as error:
        raise BadHead(501, "This server does not switch protocols (Upgrade, CONNECT).") from error
    except httptools.HttpParserError as error:
        raise BadHead(400, f"The request head is not valid HTTP/1.1: {error}.") from error
    if not sink.complete:
        raise BadHead(400, "The request head is not complete.")
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise BadHead(505, f"HTTP/{version} is not served here; use HTTP/1.1.")
    low = head.lower()
    found = Head()
    found.method = parser.get_method()
    found.path, _, found.query = sink.url.partition(b"?")
    found.http10 = version == "1.0"
    found.keep_alive = sink.keep_alive
    at = low.find(b"\r\ncontent-length:")
    if at >= 0:
        digits = low[at + 17 : low.find(b"\r\n", at + 17)].strip()
        # llhttp has refused all but digits; longer numbers than this are no body that anybody sends
        found.length = int(digits) if len(digits) < 16 else 1 << 62
    elif low.find(b"\r\ntransfer-encoding:") >= 0:
        if value_of(head, low, b"transfer-encoding").lower() != b"chunked" or found.http10:
            raise BadHead(501, "Only Transfer-Encoding: chunked is understood.")
        found.length = CHUNKED
    else:
        found.length = 0
    if found.http10 is False and low.count(b"\r\nhost:") != 1:
        raise BadHead(400, "A request needs exactly one Host header (RFC 9112, 3.2).")
    at = low.find(b"\r\nauthorization:")
    if at >= 0:
        value = head[at + 16 : head.find(b"\r\n", at + 16)].strip()
        found.key = value[7:].strip() if value[:7].lower() == b"bearer " else value
    else:
        found.key = value_of(head, low, b"x-api-key") or value_of(head, low, b"api-key")
    found.content_type = value_of(head, low, b"content-type")
    found.accept = b""
    found.expect = False
    if low.find(b"\r\nexpect:") >= 0:
        if value_of(head, low, b"expect").lower() != b"100-continue":
            raise BadHead(417, "Only Expect: 100-continue is understood.")
        found.expect = not found.http10
    return found


def value_of(head: bytes, low: bytes, name: bytes) -> bytes:
    """The first value of header `name` (lower case), b"" if absent. `low` is `head.lower()`."""
    at = low.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    start = at + len(name) + 3
    return head[start : head.find(b"\r\n", start)].strip()


def text_of(path: bytes) -> str:
    """A path's text with percent-escapes resolved, for looking up names."""
    return unquote(path.decode("latin-1"))
