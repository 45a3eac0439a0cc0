"""Streams as one JSON array: what streamGenerateContent sends to a client that did not ask for `alt=sse`.

`ArrayOut`  SSE frames -> the array, one element a frame: `[{...}\\n,{...}\\n]`.
`ArrayIn`   the bytes of such an array, cut anywhere -> its elements. Takes bare objects one after another as well,
            which is how an error arrives where a stream was expected. Holds one unfinished element, at most `cap`
            bytes; each byte is looked at once.
"""

from __future__ import annotations

import re

from baseload.errors import ProviderFault
from baseload.wire.gemini.shapes import objects_in, payload_of
from baseload.wire.raw import FAILED
from baseload.wire.sse import FRAME_MAX

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_LINES = re.compile(rb"[\r\n]+")
_BETWEEN = b" \t\r\n,\xef\xbb\xbf"


class ArrayOut:
    """Frames in, the pieces of one JSON array out. `end` closes it once; a stream without frames is `[]`."""

    __slots__ = ("_begun", "_ended")

    def __init__(self) -> None:
        self._begun = self._ended = False

    def frame(self, frame: bytes) -> bytes:
        """The elements of one SSE frame; a frame without JSON (a comment, a blank line) becomes a line end."""
        payload = payload_of(frame)
        if payload is None:
            return b"\n" if self._begun else b""
        try:
            objects = objects_in(payload)
        except FAILED:
            objects = []
        return b"".join([self.element(each) for each in objects])

    def element(self, payload: bytes) -> bytes:
        """One object as the next element."""
        if self._ended:
            return b""
        head = b"," if self._begun else b"["
        self._begun = True
        return head + payload + b"\n"

    def beat(self) -> bytes:
        """Space between elements, where there is room for it."""
        return b"\n" if self._begun and not self._ended else b""

    def end(self) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return b"]" if self._begun else b"[]"


class ArrayIn:
    """Elements of an array (or bare objects in a row) out of bytes cut anywhere."""

    __slots__ = ("_cap", "_depth", "_escaped", "_held", "_string", "closed")

    def __init__(self, cap: int = FRAME_MAX) -> None:
        self._cap = cap
        self._held = bytearray()  # the unfinished element
        self._depth = 0  # of braces and brackets inside it
        self._string = False
        self._escaped = False  # a backslash ended the last piece
        self.closed = False  # the array's own bracket came

    def feed(self, piece: bytes) -> list[bytes]:
        """The elements that this piece completes, each on one line. Raises `ProviderFault("garbage")`."""
        found: list[bytes] = []
        at, end = 0, len(piece)
        if self._escaped and end:
            self._escaped, at = False, 1
            self._held += piece[:1]
        begin = at
        while at < end:
            if not self._depth:
                begin = at
                byte = piece[at : at + 1]
                at += 1
                if byte == b"{":
                    self._depth = 1
                    begin = at - 1
                elif byte == b"]":
                    self.closed = True
                    begin = at
                elif byte in (b"[",) or byte in _BETWEEN:
                    begin = at
                else:
                    raise ProviderFault("garbage", "the reply is neither a stream nor a JSON array", sent=True)
                continue
            match = (_INSIDE if self._string else _OUTSIDE).search(piece, at)
            if match is None:
                at = end
                break
            at = match.end()
            byte = match[0]
            if self._string:
                if byte == b'"':
                    self._string = False
                elif at < end:
                    at += 1
                else:
                    self._escaped = True
            elif byte == b'"':
                self._string = True
            elif byte in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if not self._depth:
                    self._held += piece[begin:at]
                    found.append(self._take())
                    begin = at
        if self._depth:
            self._held += piece[begin:]
            self._check()
        return found

    def close(self) -> bytes:
        """What was left unfinished; the cutter is empty then."""
        rest = bytes(self._held)
        self._held.clear()
        self._depth = 0
        self._string = self._escaped = False
        return rest

    def _take(self) -> bytes:
        self._check()
        element = bytes(self._held)
        self._held.clear()
        # A line end stands only between members: inside a string it is escaped.
        return _LINES.sub(b" ", element) if b"\n" in element or b"\r" in element else element

    def _check(self) -> None:
        if len(self._held) > self._cap:
            raise ProviderFault("garbage", f"an element of the reply exceeds {self._cap} bytes", sent=True)
