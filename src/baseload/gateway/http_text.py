"""HTTP/1.1 reply heads as bytes. Pure."""

from __future__ import annotations

import time
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


class _Date:
    """The `date` header, made anew once a second (RFC 9110, 6.6.1)."""

    __slots__ = ("line", "second")

    def __init__(self) -> None:
        self.second = 0
        self.line = b""

    def at(self, now_ns: int) -> bytes:
        second = now_ns // 1_000_000_000
        if second != self.second:
            self.second = second
            self.line = time.strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(second)).encode()
        return self.line


date_line = _Date().at


def status_line(status: int) -> bytes:
    return _STATUS.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status


def reply_bytes(
    status: int, headers: bytes, body: bytes, *, keep: bool = True, http10: bool = False, bare: bool = False
) -> bytes:
    """A whole reply. `bare`: the head only, as HEAD wants it. `http10`: keep-alive has to be said."""
    close = (b"connection: keep-alive\r\n" if http10 else b"") if keep else b"connection: close\r\n"
    return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (
        status_line(status),
        headers,
        close,
        len(body),
        b"" if bare else body,
    )


def plain_refusal(status: int, say: str) -> bytes:
    """For a connection on which no protocol is known yet."""
    return reply_bytes(status, b"content-type: text/plain; charset=utf-8\r\n", say.encode() + b"\n", keep=False)
