"""Canonical reply -> a whole Messages reply for a client.

In:     `Reply`, `View`. Out: the body. A reply that failed in generating is `ProviderFault("garbage")`: no stop reason
        says so. Left out: a second choice, generated images and sounds, blocks of other protocols.
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import View
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import AnyPart, Media, Opaque, Refused, Text, Thinking, ToolCall
from baseload.wire.messages.blocks_out import input_of
from baseload.wire.messages.ending import ending, sealed, usage_of

_encode = msgspec.json.Encoder().encode


def write(reply: Reply, view: View) -> bytes:
    answer = reply.answers[0] if reply.answers else Answer(parts=[], reason="filter")
    if answer.reason == "error":
        raise ProviderFault("garbage", f"the provider failed in generating ({answer.native[:60]})", sent=True)
    parts = answer.parts
    said = "".join([part.text for part in parts if isinstance(part, Refused)])
    message: dict[str, Any] = {
        "id": reply.id or f"msg_{view.id}",
        "type": "message",
        "role": "assistant",
        "model": view.model,
        "content": [block for part in parts for block in _blocks(part, view)],
    }
    message |= ending(
        answer.reason,
        tools=any(isinstance(part, ToolCall) for part in parts),
        refused=any(isinstance(part, Refused) for part in parts),
        stop_sequence=answer.stop_sequence,
        word=answer.native,
        said=said,
        detail=answer.detail,
    )
    message["usage"] = usage_of(reply.meters, reply.tier)
    return _encode(message)


def _blocks(part: AnyPart, view: View) -> list[Any]:
    if isinstance(part, Text | Refused):
        return [_text(part)] if part.text else []
    if isinstance(part, Thinking):
        return _thinking(part, view)
    if isinstance(part, ToolCall):
        arguments = input_of(part.arguments, custom=part.kind == "custom")
        return [{"type": "tool_use", "id": ids.safe(part.id), "name": part.name, "input": arguments}]
    if isinstance(part, Media):
        return [{"type": "text", "text": part.url}] if part.url else []
    return [part.raw] if isinstance(part, Opaque) and part.protocol == "messages" else []


def _text(part: Text | Refused) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": part.text}
    if isinstance(part, Text) and part.citations_of == "messages" and part.citations:
        block["citations"] = list(part.citations)
    return block


def _thinking(part: Thinking, view: View) -> list[Any]:
    if part.redacted:
        data = sealed(view.origin, part.signature, redacted=True)
        return [{"type": "redacted_thinking", "data": data}] if part.signature else []
    if not (part.text or part.signature):
        return []
    if view.show_thinking:
        return [{"type": "thinking", "thinking": part.text, "signature": sealed(view.origin, part.signature)}]
    if not part.signature:
        return []
    return [{"type": "thinking", "thinking": "", "signature": sealed(view.origin, part.signature, text=part.text)}]
