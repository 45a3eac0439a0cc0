"""Readers of JSON values that may be of any kind, for replies of a shape nobody wrote down. They never raise.

In:     raw values. Out: what is usable in them, else "", [] or {}.
Half of a surrogate pair (a code point cut over two deltas, protocols.md pitfall 28) is no valid JSON for our decoder:
`marked` writes it as a character of the last private plane before decoding, `joined` puts the halves together again.
"""

from __future__ import annotations

import json
import re

import msgspec
from msgspec import Raw

from baseload.wire.raw import ABSENT, FAILED, NULL

_MARK = 0x10F000  # + (half - 0xD800): 2,048 characters of plane 16, which no text uses
_MARKS = re.compile("[\U0010f000-\U0010f7ff]")
_HIGH_LAST = 0x10F3FF
_ESCAPES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})"
)
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode
_QUOTE = 0x22


def members(raw: Raw | bytes | None) -> dict[str, Raw]:
    """The members of an object; none where it is no object."""
    if not raw:
        return {}
    try:
        return _decode_members(raw)
    except FAILED:
        return {}


def items(raw: Raw | bytes | None) -> list[Raw]:
    """The elements of an array; none where it is no array."""
    if not raw:
        return []
    try:
        return _decode_items(raw)
    except FAILED:
        return []


def text(raw: Raw | None) -> str:
    """The string; "" where it is none. Bytes that are no UTF-8 become U+FFFD."""
    if not raw or memoryview(raw)[0] != _QUOTE:
        return ""
    try:
        return _decode_str(raw)
    except FAILED:
        pass
    try:
        found = json.loads(bytes(raw).decode("utf-8", "replace"), strict=False)
    except ValueError:
        return ""
    return whole(found)


def text_or_json(raw: Raw | None) -> str:
    """The string, or any other value as the JSON that came (vendors that send arguments as an object); "" for null."""
    if raw is None or raw is ABSENT or raw == NULL:
        return ""
    return text(raw) if memoryview(raw)[0] == _QUOTE else bytes(raw).decode("utf-8", "replace")


def number(raw: Raw | None) -> int | None:
    """The integer; None where it is none."""
    if not raw:
        return None
    try:
        return _decode_int(raw)
    except FAILED:
        return None


def marked(data: bytes) -> bytes:
    """JSON in which no half of a surrogate pair stands alone; the same object where none did."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return data
    if not any(found.group(1) for found in _ESCAPES.finditer(data)):
        return data
    return _ESCAPES.sub(_mark, data)


def _mark(found: re.Match[bytes]) -> bytes:
    half = found.group(1)
    if half is None:
        return found.group()
    return chr(_MARK + int(half, 16) - 0xD800).encode()


def joined(found: str) -> tuple[str, str]:
    """Marked halves put together; and the first half of a pair at the very end, which waits for what comes next.

    A half that never finds its other becomes U+FFFD.
    """
    if not found or not _MARKS.search(found):
        return found, ""
    last, rest = found[-1], ""
    if _MARK <= ord(last) <= _HIGH_LAST:
        found, rest = found[:-1], last
    return whole(_MARKS.sub(lambda mark: chr(ord(mark.group()) - _MARK + 0xD800), found)), rest


def whole(found: str) -> str:
    """A string without half pairs."""
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def complete(found: str) -> str:
    """`joined` where nothing comes after."""
    made, rest = joined(found)
    return made + "\ufffd" if rest else made
