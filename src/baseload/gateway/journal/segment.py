"""The bytes of a segment. Pure: bytes in, frames out; no file is opened here.

    MAGIC (8 bytes, the last one is the format's version)
    frame: the header, msgpack of `Header`
    frame: a `Carry`, then entries in the order they were appended
    CLOSE (8 bytes), where the segment was closed

A frame is u32 payload length, u32 CRC-32 of the payload (both little-endian), payload. A segment is preallocated, so
that calls in flight have room for their readings; what is not written yet reads as zeros, hence length 0 means "the end
so far".

A frame whose checksum is wrong, but whose length leads to a frame that is right, is damage in the middle: it alone is
lost. Any other bad frame ends what can be read of the segment.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import msgspec

from baseload.gateway.journal.entries import AnyEntry

MAGIC = b"\x89BLJ\r\n\x1a\x01"
FRAME_HEAD = 8
FRAME_MAX = 2**28  # 256 MiB: far above any entry, and a Carry of a million holds; a longer length is damage
_CLOSE_LENGTH = 0xFFFFFFFF
CLOSE = struct.pack("<II", _CLOSE_LENGTH, 0x45534F4C)
DATA_AT = len(MAGIC)  # the header's frame begins here

_HEAD = struct.Struct("<II")
pack_head: Callable[[int, int], bytes] = _HEAD.pack
unpack_head: Callable[[bytes | bytearray | memoryview, int], tuple[int, int]] = _HEAD.unpack_from

encode: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
decode_entry: Callable[[bytes | memoryview], AnyEntry] = msgspec.msgpack.Decoder(AnyEntry).decode


class Header(msgspec.Struct, array_like=True, frozen=True):
    """First frame of a segment. `created_ns` is wall-clock nanoseconds (UTC)."""

    gateway: str
    sequence: int
    created_ns: int


_decode_header = msgspec.msgpack.Decoder(Header).decode


class Position(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """A place in a journal: the frame that begins at byte `offset` of segment number `segment`. Ordered as written."""

    segment: int
    offset: int


class Torn(msgspec.Struct, frozen=True):
    """Bytes of a segment that could not be read. `lost` counts bytes (-1: not known); `why` is for people."""

    segment: int
    offset: int
    lost: int
    why: str


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What lies at an offset. `state` is one of the constants below; `end` is where the next frame would begin."""

    state: int
    end: int
    entry: AnyEntry | Header | None = None


ENTRY, HEADER, END, CLOSED, SHORT, DAMAGED = range(6)
# END: nothing written yet. SHORT: the frame goes on beyond the bytes given. DAMAGED: checksum, length or payload wrong.


def file_name(sequence: int) -> str:
    """Segment 7 lives in `0000000007.seg`."""
    return f"{sequence:010d}.seg"


def frame(value: object) -> bytes:
    """One frame around a header or an entry."""
    payload = encode(value)
    return pack_head(len(payload), zlib.crc32(payload)) + payload


def opening(gateway: str, sequence: int, created_ns: int, carry: object) -> bytes:
    """The first bytes of a segment: magic, header, carry."""
    return MAGIC + frame(Header(gateway, sequence, created_ns)) + frame(carry)


def frame_at(block: bytes | memoryview, at: int, base: int = 0) -> Frame:
    """Reads the frame at index `at` of `block`, whose first byte is byte `base` of the segment. Never raises."""
    if len(block) - at < FRAME_HEAD:
        return Frame(SHORT if len(block) > at else END, at)
    length, checksum = unpack_head(block, at)
    if length == 0:
        return Frame(END if checksum == 0 else DAMAGED, at)
    if length == _CLOSE_LENGTH:
        return Frame(CLOSED if block[at : at + FRAME_HEAD] == CLOSE else DAMAGED, at)
    if length > FRAME_MAX:
        return Frame(DAMAGED, at)
    end = at + FRAME_HEAD + length
    if end > len(block):
        return Frame(SHORT, end)
    payload = block[at + FRAME_HEAD : end]
    if zlib.crc32(payload) != checksum:
        return Frame(DAMAGED, end)
    try:
        if base + at == DATA_AT:
            return Frame(HEADER, end, _decode_header(payload))
        return Frame(ENTRY, end, decode_entry(payload))
    except Exception:  # a right checksum around bytes we never wrote: whatever the decoder says, it is damage
        return Frame(DAMAGED, end)


def written_length(block: bytes | memoryview) -> int:
    """Bytes up to the last one that is not zero: what was written of a preallocated piece."""
    return len(bytes(block).rstrip(b"\0"))
