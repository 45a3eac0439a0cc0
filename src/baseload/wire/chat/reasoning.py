"""Thinking of a whole chat message: side fields in, parts out, and back.

Chat has no place of its own for thinking (protocols.md, pitfall 1). Vendors add `reasoning_content` or `reasoning`;
OpenRouter `reasoning_details`: objects {type: reasoning.text | reasoning.summary | reasoning.encrypted, text |
summary | data, signature, id, format, index}. We speak the same form to clients, with two members of our own that say
where thinking stood in a turn, because the message lists it apart: `offset`, the characters of content before it, and
`before`, the id of the tool call it precedes (OpenRouter puts that id in `id`). Signatures to clients are sealed.

A signature that a vendor sends with an `id` or `format` is kept with them as one JSON text: both must come back.
Pieces of one `index`, as a stream sends them, are put together again: clients keep them as they came.
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.wire.canon.request import AnyPart, Text, Thinking, ToolCall
from baseload.wire.canon.signature import seal, unseal
from baseload.wire.chat.pieces import Detail

TEXT, SUMMARY, ENCRYPTED = "reasoning.text", "reasoning.summary", "reasoning.encrypted"
_JOINED = ("text", "summary", "data", "signature")


class Packed(msgspec.Struct, omit_defaults=True):
    """A vendor's signature with what must come back beside it."""

    signature: str = ""
    id: str = ""
    format: str = ""


_pack = msgspec.json.Encoder().encode
_unpack = msgspec.json.Decoder(Packed).decode


def pack(signature: str, id_: str, format_: str) -> str:
    return _pack(Packed(signature, id_, format_)).decode() if signature and (id_ or format_) else signature


def unpack(signature: str) -> Packed:
    if signature.startswith("{"):
        try:
            found = _unpack(signature)
        except msgspec.DecodeError:
            return Packed(signature)
        if found.signature:
            return found
    return Packed(signature)


def type_of(redacted: bool, summary: bool) -> str:
    return ENCRYPTED if redacted else SUMMARY if summary else TEXT


def merged(details: list[Detail]) -> list[Detail]:
    """Pieces of one thought (same type and index) put together; a signature ends a thought that has no index."""
    found: list[Detail] = []
    for piece in details:
        last = found[-1] if found else None
        if (
            last is None
            or last.type != piece.type
            or last.index != piece.index
            or (piece.index is None and (last.signature or last.data))
        ):
            found.append(msgspec.structs.replace(piece))
            continue
        for name in _JOINED:
            if value := getattr(piece, name):
                setattr(last, name, (getattr(last, name) or "") + value)
        for name in ("id", "format", "offset", "before"):
            if getattr(last, name) is None:
                setattr(last, name, getattr(piece, name))
    return found


def thinking_of(found: Detail, calls: tuple[str, ...], ours: bool) -> Thinking:
    """A thought. `calls` are the ids of the message's tool calls; `ours`: a seal on its signature is our own."""
    text = found.text or found.summary or ""
    signature = found.data or found.signature or ""
    id_ = "" if found.id in calls else found.id or ""
    redacted = found.type == ENCRYPTED or (not text and bool(found.data))
    sealed = unseal(signature) if ours else None
    if sealed is None:
        signature = pack(signature, id_, found.format or "")
        return Thinking(
            text=text,
            signature=signature,
            redacted=redacted,
            summary=found.type == SUMMARY or bool(found.summary),
            id=id_,
        )
    # A signature alone (Gemini) is written as encrypted too, for want of a text; the seal knows what it was.
    return Thinking(
        text=text if sealed.text is None else sealed.text,
        signature=sealed.signature,
        redacted=sealed.redacted,
        summary=found.type == SUMMARY,
        origin=sealed.origin,
        id=id_,
    )


def place(
    plain: str, details: list[Detail], said: list[AnyPart], calls: list[ToolCall], *, ours: bool
) -> list[AnyPart]:
    """The parts of an assistant turn in order: thoughts where their side field says, else before everything.

    `ours`: the turn comes from a client, so that its seals are ours. A provider's may be sealed by a gateway of its
    own, which wants them back as they are.
    """
    thoughts = merged(details)
    ids = tuple(call.id for call in calls)
    told = any(thought.text or thought.summary for thought in thoughts)
    parts: list[AnyPart] = [Thinking(text=plain)] if plain and not told else []
    before: dict[str, list[AnyPart]] = {}
    within: list[tuple[int, Thinking]] = []
    for thought in thoughts:
        made = thinking_of(thought, ids, ours)
        anchor = thought.before if thought.before in ids else thought.id if thought.id in ids else None
        if not (made.text or made.signature):
            continue
        if anchor:
            before.setdefault(anchor, []).append(made)
        elif thought.offset and thought.offset > 0:
            within.append((thought.offset, made))
        else:
            parts.append(made)
    parts += _interleaved(said, within)
    for call in calls:
        parts += before.pop(call.id, [])
        parts.append(call)
    return parts


def _interleaved(said: list[AnyPart], within: list[tuple[int, Thinking]]) -> list[AnyPart]:
    """What was said with the thoughts between: texts are cut at the offsets."""
    parts: list[AnyPart] = []
    waiting = sorted(within, key=lambda pair: pair[0])
    at = 0
    for part in said:
        if not isinstance(part, Text):
            parts.append(part)
            continue
        text = part.text
        while waiting and waiting[0][0] <= at + len(text):
            offset, thought = waiting.pop(0)
            if head := text[: offset - at]:
                parts.append(msgspec.structs.replace(part, text=head))
            text, at = text[len(head) :], at + len(head)
            parts.append(thought)
        if text:
            parts.append(msgspec.structs.replace(part, text=text))
            at += len(text)
        elif not part.text:
            parts.append(part)
    return parts + [thought for _, thought in waiting]


def written(parts: list[AnyPart], origin: str, ids: dict[int, str]) -> list[dict[str, Any]]:
    """`reasoning_details` of a whole reply for a client; `ids`: place of a tool call in `parts` -> its id there."""
    found: list[dict[str, Any]] = []
    chars, called = 0, False
    for at, part in enumerate(parts):
        if isinstance(part, Text):
            chars += len(part.text)
        elif isinstance(part, ToolCall):
            called = True
        elif isinstance(part, Thinking):
            entry = opening(part.redacted or not part.text, part.summary, part.id, chars, called, len(found))
            add_text(entry, part.text)
            if part.signature:
                add_signature(entry, seal(origin, part.signature, redacted=part.redacted))
            if called and (follower := _next_call(parts, at)) is not None:
                entry["before"] = ids[follower]
            found.append(entry)
    return found


def _next_call(parts: list[AnyPart], at: int) -> int | None:
    for after in range(at + 1, len(parts)):
        if isinstance(parts[after], ToolCall):
            return after
        if not isinstance(parts[after], Thinking):
            return None
    return None


def opening(redacted: bool, summary: bool, id_: str, chars: int, called: bool, index: int) -> dict[str, Any]:
    """The members of a thought that do not change while it streams; where it stood, unless it stood first."""
    entry: dict[str, Any] = {"type": type_of(redacted, summary), "index": index}
    if id_:
        entry["id"] = id_
    if chars and not called:
        entry["offset"] = chars
    return entry


def add_text(entry: dict[str, Any], text: str) -> None:
    if text:
        entry["summary" if entry["type"] == SUMMARY else "text"] = text


def add_signature(entry: dict[str, Any], sealed: str) -> None:
    entry["data" if entry["type"] == ENCRYPTED else "signature"] = sealed
