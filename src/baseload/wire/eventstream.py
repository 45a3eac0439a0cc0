"""Cuts AWS's `application/vnd.amazon.eventstream` into messages, and writes them. Sans-IO (vendors.md 3.13).

In:     pieces cut anywhere. A message is a prelude of 12 bytes (total length, header length, CRC32 of these eight), its
        headers, a payload, and the CRC32 of everything before it. All numbers are big-endian.
Out:    whole messages: headers, payload, and the bytes they came in.
Holds:  one unfinished message, at most `cap` bytes. Each byte is copied once, however small the pieces are.

A damaged stream cannot be read on, for nothing marks where the next message begins: `ProviderFault("garbage")`. What
came whole before the damage is given out first; so where the network cuts does not change what is read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from baseload.errors import ProviderFault
from baseload.wire.sse import FRAME_MAX

HEADERS_MAX = 128 * 1024
"""Bytes of headers in one message; the limit of AWS's own libraries."""

Value = bool | int | bytes | str

PRELUDE, TRAILER = 12, 4
_prelude = struct.Struct("!III").unpack_from
_u32 = struct.Struct("!I")


class Message(NamedTuple):
    headers: Mapping[str, Value]  # shared by messages of the same kind
    payload: bytes
    raw: bytes


class EventCutter:
    __slots__ = ("_cap", "_fault", "_need", "_pending")

    def __init__(self, cap: int = FRAME_MAX) -> None:
        self._cap = cap
        self._pending = bytearray()
        self._need = 0  # bytes of the message that has begun; 0 = its prelude is not here yet
        self._fault: ProviderFault | None = None

    @property
    def damaged(self) -> bool:
        """Whether a damage was found, raised or not yet."""
        return self._fault is not None

    def feed(self, piece: bytes) -> list[Message]:
        """The messages that this piece completes. Raises `ProviderFault("garbage")` on damage, and ever after."""
        if self._fault is not None:
            raise self._fault
        if self._pending:
            self._pending += piece
            if len(self._pending) < (self._need or PRELUDE):
                return []
            piece = bytes(self._pending)
            self._pending.clear()
        messages: list[Message] = []
        at, end = 0, len(piece)
        try:
            while end - at >= PRELUDE:
                need, size, crc = _prelude(piece, at)
                # Its own checksum first: a wrong length would wait for ever.
                fits = need <= self._cap and size <= HEADERS_MAX and PRELUDE + size + TRAILER <= need
                if not fits or crc32(piece[at : at + 8]) != crc:
                    raise _bad_prelude(piece[at : at + PRELUDE], self._cap)
                if end - at < need:
                    self._need = need
                    break
                messages.append(_read(piece if need == end else piece[at : at + need], PRELUDE + size))
                at += need
                self._need = 0
        except ProviderFault as fault:
            self._fault = fault
            if not messages:
                raise
            return messages
        if at < end:
            self._pending += memoryview(piece)[at:]
        return messages

    def close(self) -> bytes:
        """What came after the last whole message; the cutter is empty then."""
        rest = bytes(self._pending)
        self._pending.clear()
        self._need = 0
        return rest


def write(headers: Mapping[str, Value], payload: bytes = b"") -> bytes:
    """One message, for simulators and tests. `int` values are written as 32 bits where they fit, else as 64."""
    block = b"".join(_write_header(name, value) for name, value in headers.items())
    total = PRELUDE + len(block) + len(payload) + TRAILER
    prelude = struct.pack("!II", total, len(block))
    message = prelude + _u32.pack(crc32(prelude)) + block + payload
    return message + _u32.pack(crc32(message))


def _bad_prelude(raw: bytes, cap: int) -> ProviderFault:
    total, headers, crc = _prelude(raw, 0)
    if crc32(raw[:8]) != crc:
        return _garbage("its prelude is damaged (CRC)")
    if total > cap:
        return _garbage(f"it exceeds {cap} bytes")
    return _garbage(f"it claims {headers} bytes of headers in {total}")


def _read(raw: bytes, end: int) -> Message:
    """A whole message whose headers go up to `end`."""
    if crc32(raw[:-TRAILER]) != _u32.unpack_from(raw, len(raw) - TRAILER)[0]:
        raise _garbage("it is damaged (CRC)")
    block = raw[PRELUDE:end]
    try:
        headers = _usual_headers(block) if len(block) <= USUAL_MAX else _read_headers(block)
    except (struct.error, IndexError, UnicodeDecodeError, KeyError):
        raise _garbage("its headers cannot be read") from None
    return Message(headers, raw[end:-TRAILER], raw)


USUAL_MAX = 256
"""Bytes of headers that are remembered: a stream has the same few again and again."""


@lru_cache(maxsize=64)
def _usual_headers(block: bytes) -> Mapping[str, Value]:
    return _read_headers(block)


def _read_headers(raw: bytes) -> dict[str, Value]:
    headers: dict[str, Value] = {}
    at, end = 0, len(raw)
    while at < end:
        size = raw[at]
        name = raw[at + 1 : at + 1 + size].decode()
        kind = raw[at + 1 + size]
        value, at = _VALUES[kind](raw, at + 2 + size)
        if at > end or name in headers:
            raise KeyError(name)
        headers[name] = value
    return headers


_Reader = Callable[[bytes, int], tuple[Value, int]]


def _constant(value: bool) -> _Reader:
    return lambda raw, at: (value, at)


def _number(form: str) -> _Reader:
    number = struct.Struct(form)
    return lambda raw, at: (int(number.unpack_from(raw, at)[0]), at + number.size)


def _bytes(raw: bytes, at: int) -> tuple[bytes, int]:
    begin = at + 2
    end = begin + int(struct.unpack_from("!H", raw, at)[0])
    return raw[begin:end], end


def _text(raw: bytes, at: int) -> tuple[str, int]:
    value, end = _bytes(raw, at)
    return value.decode(), end


def _uuid(raw: bytes, at: int) -> tuple[bytes, int]:
    return raw[at : at + 16], at + 16


_VALUES: dict[int, _Reader] = {
    0: _constant(True),
    1: _constant(False),
    2: _number("!b"),
    3: _number("!h"),
    4: _number("!i"),
    5: _number("!q"),
    6: _bytes,
    7: _text,
    8: _number("!q"),  # milliseconds since 1970
    9: _uuid,
}
"""Type of a header's value -> its reader."""


def _write_header(name: str, value: Value) -> bytes:
    raw = name.encode()
    head = bytes((len(raw),)) + raw
    if isinstance(value, bool):
        return head + (b"\0" if value else b"\1")
    if isinstance(value, int):
        return head + (struct.pack("!Bi", 4, value) if -(2**31) <= value < 2**31 else struct.pack("!Bq", 5, value))
    kind, data = (6, value) if isinstance(value, bytes) else (7, value.encode())
    return head + struct.pack("!BH", kind, len(data)) + data


def _garbage(why: str) -> ProviderFault:
    return ProviderFault("garbage", f"a message of the reply's event stream cannot be used: {why}", sent=True)
