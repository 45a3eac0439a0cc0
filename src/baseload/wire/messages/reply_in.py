"""A provider's whole Messages reply -> canonical.

In:     the body of a reply with status 200, and the target. Out: `Reply` of one answer; `ProviderFault("garbage")` for
        what is no such reply. Blocks only this protocol knows stay as `Opaque` parts.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import AnyPart, Opaque, Text, Thinking, ToolCall
from baseload.wire.chat.shapes import text_or_empty
from baseload.wire.messages.finish import canonical
from baseload.wire.messages.shapes import (
    Block,
    Body,
    decode_block,
    decode_body,
    error_in,
    tier_of,
    without_half_surrogates,
)
from baseload.wire.raw import ABSENT, FAILED, NULL
from baseload.wire.usage import normalise

_list = msgspec.json.Decoder(list[Raw]).decode


def read(body: bytes, target: Target) -> Reply:
    try:
        return _read(body, target)
    except FAILED:
        pass
    try:
        return _read(without_half_surrogates(body), target)
    except FAILED as why:
        raise ProviderFault("garbage", f"the reply is no message: {why}", sent=True) from None


def _read(body: bytes, target: Target) -> Reply:
    if not body.isascii():
        body.decode()
    found = decode_body(body)
    if found.content is ABSENT or error_in(found, body):
        raise msgspec.ValidationError("it has no content, or says an error")
    parts = [part for raw in _list(found.content) if (part := _part(decode_block(raw), raw)) is not None]
    reason = text_or_empty(found.stop_reason)
    reply = Reply(
        id=text_or_empty(found.id),
        model=text_or_empty(found.model),
        answers=[
            Answer(
                parts=parts,
                reason=canonical(reason),
                stop_sequence=text_or_empty(found.stop_sequence),
                native=reason,
                detail=ABSENT if found.stop_details == NULL else found.stop_details,
            )
        ],
    )
    _count(reply, found, target)
    return reply


def _count(reply: Reply, found: Body, target: Target) -> None:
    usage = bytes(found.usage)
    if usage[:1] == b"{":
        reply.meters = normalise("anthropic-messages", target.dialect, usage).meters
        reply.tier = tier_of(usage)


def _part(block: Block, raw: Raw) -> AnyPart | None:
    kind = text_or_empty(block.type)
    reader = _READERS.get(kind)
    return reader(block) if reader is not None else Opaque(protocol="messages", what=kind or "?", raw=raw)


def _text(block: Block) -> AnyPart | None:
    text = text_or_empty(block.text)
    citations = () if block.citations in (ABSENT, NULL) else tuple(_list(block.citations))
    return Text(text=text, citations=citations, citations_of="messages" if citations else "") if text else None


def _thinking(block: Block) -> AnyPart:
    return Thinking(text=text_or_empty(block.thinking), signature=text_or_empty(block.signature))


def _redacted(block: Block) -> AnyPart:
    return Thinking(signature=text_or_empty(block.data), redacted=True)


def _tool_use(block: Block) -> AnyPart:
    arguments = "" if block.input in (ABSENT, NULL) else bytes(block.input).decode()
    return ToolCall(id=text_or_empty(block.id) or ids.invent(), name=text_or_empty(block.name), arguments=arguments)


_READERS: dict[str, Callable[[Block], AnyPart | None]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
}
