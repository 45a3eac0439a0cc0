"""Stream events and whole replies of Messages, as msgspec structs: what they do not name is skipped, never built."""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from baseload.wire.chat.shapes import is_error
from baseload.wire.raw import ABSENT, FAILED


class Delta(msgspec.Struct, gc=False):
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class Event(msgspec.Struct, gc=False):
    """What every frame is read for."""

    type: str = ""
    delta: Delta | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    message: Raw = ABSENT
    content_block: Raw = ABSENT
    base_resp: Raw = ABSENT
    code: Raw = ABSENT


class LooseEvent(msgspec.Struct, gc=False):
    """A frame of a shape nobody wrote down."""

    type: Raw = ABSENT
    delta: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT
    message: Raw = ABSENT
    content_block: Raw = ABSENT
    base_resp: Raw = ABSENT
    code: Raw = ABSENT


class Message(msgspec.Struct, gc=False):
    """`message` of message_start."""

    id: Raw = ABSENT
    model: Raw = ABSENT
    usage: Raw = ABSENT


class Block(msgspec.Struct, gc=False):
    """`content_block` of content_block_start; `text` and `thinking` are empty there, but for a few dialects."""

    type: Raw = ABSENT
    id: Raw = ABSENT
    name: Raw = ABSENT
    text: Raw = ABSENT
    thinking: Raw = ABSENT
    signature: Raw = ABSENT
    data: Raw = ABSENT
    input: Raw = ABSENT
    citations: Raw = ABSENT


class Body(msgspec.Struct, gc=False):
    """A whole reply."""

    id: Raw = ABSENT
    type: Raw = ABSENT
    model: Raw = ABSENT
    content: Raw = ABSENT
    stop_reason: Raw = ABSENT
    stop_sequence: Raw = ABSENT
    stop_details: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT
    base_resp: Raw = ABSENT
    code: Raw = ABSENT
    message: Raw = ABSENT


class _Tier(msgspec.Struct, gc=False):
    service_tier: str | None = None


class _BaseResp(msgspec.Struct, gc=False):
    status_code: int = 0


decode_event = msgspec.json.Decoder(Event).decode
decode_loose = msgspec.json.Decoder(LooseEvent).decode
decode_message = msgspec.json.Decoder(Message).decode
decode_block = msgspec.json.Decoder(Block).decode
decode_body = msgspec.json.Decoder(Body).decode
_decode_tier = msgspec.json.Decoder(_Tier).decode
_decode_base_resp = msgspec.json.Decoder(_BaseResp).decode
_NO_CODE = (b"", b"null", b"0", b'""', b'"0"', b"200", b'"200"')
_NO_TEXT = (b"", b"null", b'""')


def tier_of(usage: Raw | bytes) -> str:
    """`service_tier` of a usage object; "" where it says none."""
    try:
        return _decode_tier(usage).service_tier or ""
    except FAILED:
        return ""


def error_in(found: Event | LooseEvent | Body, body: bytes) -> bytes:
    """The error that a reply with status 200, or a frame of it, carries; b"" = none (protocols.md, section 8).

    `error` if truthy, a `base_resp` with a code other than 0 (MiniMax), or else the whole flat object with `code` and
    `message` (SiliconFlow, DashScope).
    """
    if found.error is not ABSENT and is_error(found.error):
        return bytes(found.error)
    if found.base_resp is not ABSENT:
        try:
            if _decode_base_resp(found.base_resp).status_code != 0:
                return bytes(found.base_resp)
        except FAILED:
            pass
    if bytes(found.code) not in _NO_CODE and bytes(found.message) not in _NO_TEXT and bytes(found.message)[:1] == b'"':
        return body.strip()
    return b""


_LONE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def without_half_surrogates(payload: bytes) -> bytes:
    """The JSON with each half of a surrogate pair replaced by U+FFFD: one broken character must not lose a frame."""
    return _LONE.sub(rb"\\ufffd", payload)
