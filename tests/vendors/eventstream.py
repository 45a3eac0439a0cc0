"""The binary framing of Bedrock's streams, `application/vnd.amazon.eventstream` (vendors.md, 3.13). Pure, own code.

A message: total length u32, header length u32, CRC32 of these 8 bytes, headers, payload, CRC32 of all before it.
A header: name length u8, name, type u8 (7 = string), value length u16, value.
"""

from __future__ import annotations

import json
import struct
import zlib

from tests.vendors.failures_shapes import dump


def message(headers: dict[str, str], payload: bytes) -> bytes:
    packed = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return head + struct.pack(">I", zlib.crc32(head))


def event(name: str, value: object) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, dump(value))


def exception(name: str, text: str) -> bytes:
    """A modelled failure inside a 200."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, json.dumps({"message": text}).encode())


def error(code: str, text: str) -> bytes:
    """The framing's own failure: no payload."""
    return message({":error-code": code, ":error-message": text, ":message-type": "error"}, b"")
