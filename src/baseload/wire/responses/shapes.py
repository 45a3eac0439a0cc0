"""The shapes of Responses replies and stream events, as msgspec structs: what they do not name is skipped, never built.

The text-bearing members are typed; a vendor's surprise there is read again by `LooseEvent`, which trusts nothing.
"""

from __future__ import annotations

import contextlib

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.raw import ABSENT, FAILED, NULL

TERMINAL = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))
"""Events after which nothing more comes (protocols.md, 3.3)."""


class Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """The response object: whole replies, and inside the events that open and end a stream."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    usage: Raw = ABSENT
    tool_usage: Raw = ABSENT
    error: Raw = ABSENT
    incomplete_details: Incomplete | None = None
    output: Raw = ABSENT

    @property
    def finish(self) -> str:
        """How it ended, in the provider's words; "" while it runs."""
        if self.incomplete_details is not None and self.incomplete_details.reason:
            return self.incomplete_details.reason
        return self.status or "" if self.status not in ("in_progress", "queued") else ""

    def report(self) -> bytes:
        """Usage for `usage.normalise`: with `tool_usage`, which has its own price, beside the provider's members."""
        usage = object_or_empty(self.usage)
        tools = object_or_empty(self.tool_usage)
        if not tools or not tools.translate(None, _NOT_COUNTS):  # without a digit but 0 nothing was used
            return usage
        inner = usage[1:-1].strip()
        return b"{" + inner + (b"," if inner else b"") + b'"tool_usage":' + tools + b"}"


_NOT_COUNTS = bytes(set(range(256)) - set(b"123456789"))


class Event(msgspec.Struct, gc=False):
    """A stream event, as every frame is read for the meter."""

    type: str = ""
    delta: str | None = None
    response: Raw = ABSENT


class LooseEvent(msgspec.Struct, gc=False):
    type: Raw = ABSENT
    delta: Raw = ABSENT
    response: Raw = ABSENT


class Part(msgspec.Struct, gc=False):
    """A content part of an output message, a summary part or a reasoning text."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = ABSENT


class Item(msgspec.Struct, gc=False):
    """An output item."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of what the model wrote in it."""
        texts = [self.arguments, self.input]
        for part in (*(self.content or ()), *(self.summary or ())):
            texts += (part.text, part.refusal)
        return sum([utf8_len(text) for text in texts if text])


class Holder(msgspec.Struct, gc=False):
    item: Raw = ABSENT


decode_event = msgspec.json.Decoder(Event).decode
decode_holder = msgspec.json.Decoder(Holder).decode
decode_loose = msgspec.json.Decoder(LooseEvent).decode
decode_response = msgspec.json.Decoder(Response).decode
decode_item = msgspec.json.Decoder(Item).decode
decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_incomplete = msgspec.json.Decoder(Incomplete | None).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode


def payload_of(frame: bytes) -> bytes:
    """The data of a frame as nearly all come: `event: <type>`, then one data line, or the data line alone.

    b"" where there may be more to it: then `sse.data_of` knows. Line ends may be left at its end.
    """
    if frame[:6] == b"event:":
        at = frame.find(b"\ndata:")
        return frame[at + 6 :] if at >= 0 else b""
    if frame[:5] == b"data:" and frame.find(b"\n", 0, -2) < 0:
        return frame[5:]
    return b""


def response_of(raw: Raw | bytes) -> Response:
    """A response object; members of a surprising type count as absent. Raises one of FAILED where it is no object."""
    text = bytes(raw)
    try:
        return decode_response(text)
    except FAILED:
        members = _decode_members(half_surrogates_masked(text))
    found = Response()
    for name in ("id", "model", "status", "service_tier"):
        setattr(found, name, text_or_empty(members.get(name, ABSENT)))
    for name in ("usage", "tool_usage", "error", "output"):
        setattr(found, name, members.get(name, ABSENT))
    with contextlib.suppress(*FAILED):
        found.incomplete_details = _decode_incomplete(members.get("incomplete_details", NULL))
    return found


def items_of(raw: Raw) -> list[Raw]:
    """The items of `output`; none where it is no list."""
    try:
        return decode_items(raw)
    except FAILED:
        return []


def item_of(raw: Raw) -> Item:
    """An output item; one of a surprising shape has no type, so that nobody takes it for one of ours."""
    try:
        return decode_item(raw)
    except FAILED:
        try:
            return decode_item(half_surrogates_masked(bytes(raw)))
        except FAILED:
            return Item()


def object_or_empty(raw: Raw) -> bytes:
    """The bytes of a JSON object; b"" for anything else."""
    text = bytes(raw)
    return text if text[:1] == b"{" else b""


def text_or_empty(raw: Raw) -> str:
    if raw is ABSENT:
        return ""
    try:
        return _decode_str(raw)
    except FAILED:
        return ""


def utf8_len(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
