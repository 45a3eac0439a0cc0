"""A whole Converse reply -> canonical. `read(body, target) -> Reply`; raises `ProviderFault("garbage")`."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.body import half_surrogates_masked
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import AnyPart, Media, Opaque, Text, Thinking, ToolCall
from baseload.wire.converse.shapes import (
    FINISHES,
    Body,
    Cited,
    Content,
    Reasoning,
    decode_body,
    decode_content,
    stop_sequence,
    string,
)
from baseload.wire.raw import ABSENT, FAILED, NULL
from baseload.wire.usage import normalise

USAGE = "bedrock-converse"
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def read(body: bytes, target: Target) -> Reply:
    try:
        found = decode_body(body)
    except FAILED:
        found = _masked(body)
    message = found.output.message if found.output is not None else None
    if message is None:
        raise ProviderFault("garbage", "the reply has no message", sent=True)
    answer = Answer(parts=[], reason=FINISHES.get(found.stopReason or "", "stop"), native=found.stopReason or "")
    if answer.reason == "stop_sequence":
        answer.stop_sequence = stop_sequence(found.additionalModelResponseFields)
    try:
        for raw in message.content or ():
            answer.parts += _parts(raw)
    except FAILED as why:
        raise ProviderFault("garbage", f"a block of the reply cannot be read: {why}", sent=True) from None
    reply = Reply(answers=[answer], tier=(found.serviceTier.type or "") if found.serviceTier is not None else "")
    if found.trace is not None and found.trace.promptRouter is not None:
        reply.model = found.trace.promptRouter.invokedModelId or ""
    if found.usage is not ABSENT and found.usage != NULL:
        reply.meters = normalise(USAGE, target.dialect, bytes(found.usage)).meters or None
    return reply


def _masked(body: bytes) -> Body:
    try:
        return decode_body(half_surrogates_masked(body))
    except FAILED as why:
        raise ProviderFault("garbage", f"the reply is no Converse reply: {why}", sent=True) from None


def _parts(raw: Raw) -> list[AnyPart]:
    block = decode_content(raw)
    if block.text is not None:
        return [Text(text=block.text)] if block.text else []
    if block.toolUse is not None and block.toolUse.type is None:
        use = block.toolUse
        arguments = "" if use.input is ABSENT or use.input == NULL else bytes(use.input).decode()
        return [ToolCall(id=use.toolUseId or ids.invent(), name=use.name, arguments=arguments)]
    if block.reasoningContent is not None:
        return _thinking(block.reasoningContent)
    if block.citationsContent is not None:
        return [_cited(block.citationsContent)]
    return [_image(block) or Opaque(protocol="converse", what=next(iter(_decode_members(raw)), ""), raw=raw)]


def _thinking(reasoning: Reasoning) -> list[AnyPart]:
    if reasoning.redactedContent:
        return [Thinking(signature=reasoning.redactedContent, redacted=True)]
    said = reasoning.reasoningText
    if said is None or not (said.text or said.signature):
        return []
    return [Thinking(text=said.text or "", signature=said.signature or "")]


def _cited(block: Cited) -> Text:
    text = "".join([string(piece.get("text", ABSENT)) for piece in block.content or ()])
    citations = tuple(block.citations or ())
    return Text(text=text, citations=citations, citations_of="converse" if citations else "")


def _image(block: Content) -> Media | None:
    image = block.image
    if image is None or image.source is None or not image.source.bytes:
        return None
    return Media(kind="image", mime=f"image/{image.format}", data=image.source.bytes)
