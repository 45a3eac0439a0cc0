"""Reads one HTTP/1.1 request head. llhttp (httptools) judges it; this file only picks out what a gateway needs.

In:     the bytes from the request line to the blank line.
Out:    `Head`, or `BadHead` with the status to close the connection with.
Holds:  nothing. Header values are found by a search in the lower-cased head, which llhttp has already validated
        (strict: no bare LF, no folding, no space before the colon, no Content-Length with Transfer-Encoding).
"""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

import httptools

from baseload.gateway.routing import Route, route_of

HEAD_MAX = 64 * 1024  # Claude Code's largest head seen is 3 KB; proxies commonly stop at 8 to 64 KB
DIGITS_MAX = 16
_KEY_HEADERS = (b"x-api-key", b"x-goog-api-key", b"api-key")  # Anthropic's, Google's and Azure's clients
CHUNKED = -1  # Head.length of a body whose length is not known beforehand


class BadHead(Exception):
    def __init__(self, status: int, say: str) -> None:
        super().__init__(say)
        self.status = status
        self.say = say


class Head:
    """`length`: body bytes, 0 = none, CHUNKED. `key`: the caller's credential, b"" = none.

    `route`: what `gateway.core` found it to mean. `before` and `after`: the head around the digits of its length; all
    of it is in `before` where it has none. `judged` belongs to whoever judges heads; it stays with a head that is used
    again. A head stays for as long as its connection, so its bytes are kept once.
    """

    __slots__ = (
        "after",
        "before",
        "content_type",
        "expect",
        "http10",
        "judged",
        "keep_alive",
        "key",
        "length",
        "method",
        "path",
        "query",
        "route",
    )

    method: bytes
    path: bytes
    query: bytes
    key: bytes
    content_type: bytes
    before: bytes
    after: bytes
    judged: object
    route: Route | None
    length: int
    expect: bool
    keep_alive: bool
    http10: bool

    @property
    def raw(self) -> bytes:
        """The head as it came, for headers that are rarely asked for."""
        return b"%b%d%b" % (self.before, self.length, self.after) if self.after else self.before

    @property
    def low(self) -> bytes:
        """The same in lower case."""
        return self.raw.lower()


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
        # A server may ignore Upgrade (RFC 9110, 7.8); Java's client sends h2c with every first request.
        if parser.get_method() == b"CONNECT":
            raise BadHead(501, "This server makes no tunnels (CONNECT).") from error
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
    url = sink.url
    if url[:1] != b"/" and b"://" in url:  # absolute form (RFC 9112, 3.2.2): the authority is not looked at
        rest = url.partition(b"://")[2]
        url = b"/" + rest.partition(b"/")[2]
    found.path, _, found.query = url.partition(b"?")
    found.http10 = version == "1.0"
    found.before, found.after = head, b""
    found.judged = None
    found.route = route_of(found.path, found.query) if found.method == b"POST" else None
    found.keep_alive = sink.keep_alive
    at = low.find(b"\r\ncontent-length:")
    if at >= 0:
        line = low[at + 17 : low.find(b"\r\n", at + 17)]
        digits = line.strip()
        # llhttp has refused all but digits; longer numbers than this are no body that anybody sends
        found.length = int(digits) if len(digits) < DIGITS_MAX else 1 << 62
        start = at + 17 + line.find(digits)
        found.before = head[:start]
        found.after = head[start + len(digits) :]
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
        found.key = b""
        for name in _KEY_HEADERS:
            found.key = found.key or value_of(head, low, name)
        if not found.key and b"key=" in found.query:  # Gemini's clients may put it there
            found.key = parse_qs(found.query.decode("latin-1")).get("key", [""])[-1].encode("latin-1", "replace")
    found.content_type = value_of(head, low, b"content-type")
    found.expect = False
    if low.find(b"\r\nexpect:") >= 0:
        if value_of(head, low, b"expect").lower() != b"100-continue":
            raise BadHead(417, "Only Expect: 100-continue is understood.")
        found.expect = not found.http10
    return found


def same_but_length(head: bytes, known: Head) -> int:
    """The body's length if `head` differs from a known one in the digits of its length only, else -1.

    Client libraries send the same head for every call of a connection but for this number. What llhttp said of the
    known head holds for any other digits, so it need not be asked again.
    """
    before, after = known.before, known.after
    if not after or not head.startswith(before) or not head.endswith(after):
        return -1
    digits = head[len(before) : len(head) - len(after)]
    return int(digits) if digits.isdigit() and len(digits) < DIGITS_MAX else -1


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
