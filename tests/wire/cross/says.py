"""Replies, generated; and what of a reply must survive any two protocols.

`meaning` is what is compared. Forgiven is what the protocols have no word for: where one text ends and the next
begins; a refusal is a text where there are no refusals; reasons that only some protocols know (`REASONS`); who signed
what, once the seals are off; written caches for Gemini, whose prompt includes them.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from baseload.wire.canon import ids
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import AnyPart, Refused, Text, Thinking, ToolCall
from baseload.wire.canon.signature import unseal
from baseload.wire.chat.reasoning import unpack

CLIENTS = ("chat", "responses", "messages", "gemini")
PROVIDERS = (*CLIENTS, "converse", "qwen")
PAIRS = [(client, provider) for provider in PROVIDERS for client in CLIENTS if client != provider]
BOTH_WAYS = [pair for pair in PAIRS if pair[1] in CLIENTS]

REFUSES = ("chat", "responses")
"""Protocols with a part for the model's own refusal."""
SIGNS = ("chat", "responses", "messages", "gemini", "converse")
REASONS = {
    "chat": ("stop", "length", "tool", "filter"),
    "responses": ("stop", "length", "tool", "filter"),
    "messages": ("stop", "length", "tool", "filter", "stop_sequence", "context", "pause"),
    "gemini": ("stop", "length", "tool", "filter"),
    "converse": ("stop", "length", "tool", "filter", "stop_sequence", "context"),
    "qwen": ("stop", "length", "tool", "filter", "stop_sequence"),
}
_NEAREST = {"stop_sequence": "stop", "context": "length", "pause": "stop"}

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
NAMES = st.sampled_from(["f", "look", "get_weather", "a-b_9", "x" * 60])
IDS = st.sampled_from(["call_1", "toolu_01", "a-b_C9", "functions.f:0", "é", "x" * 90, "call_2", "blid_x"])
PROOFS = st.sampled_from(["c2ln", "EqoBCkgIBA==", "AbCd+/==", "b" * 300])
ARGUMENTS = st.sampled_from(
    [
        "{}",
        '{"city": "Zürich", "n": 12345678901234567890}',
        '{"b":[1.50,null,true],"a":{"x":"}{\\"[\\\\"}}',
        '{"deep":{"er":{"est":[[[{}]]]}}}',
        '{"emoji":"\\ud83d\\ude00 🌍\\n"}',
    ]
)


@st.composite
def answers(draw: st.DrawFn, door: str) -> Answer:
    """One that a provider of this protocol can give: thinking first, then text, then calls or a refusal."""
    parts: list[AnyPart] = []
    if draw(st.booleans()):
        signature = draw(st.just("") | PROOFS) if door in SIGNS else ""
        parts.append(Thinking(text=draw(WORDS), signature=signature))
    parts += [Text(text=text) for text in draw(st.lists(WORDS, max_size=2))]
    if door in REFUSES and draw(st.integers(0, 5)) == 0:
        parts.append(Refused(text=draw(WORDS)))
    else:
        for id_ in draw(st.lists(IDS, max_size=3, unique=True)):
            parts.append(ToolCall(id=id_, name=draw(NAMES), arguments=draw(ARGUMENTS)))
    called = any(isinstance(part, ToolCall) for part in parts)
    reason = draw(st.sampled_from(REASONS[door]))
    if (reason == "tool") != called and reason in ("tool", "stop"):
        reason = "tool" if called else "stop"
    if any(isinstance(part, Refused) for part in parts):
        reason = "stop"  # the part says it
    stopped = draw(WORDS) if reason == "stop_sequence" and door != "qwen" else ""
    return Answer(parts=parts or [Text(text="ok")], reason=reason, stop_sequence=stopped)


@st.composite
def readings(draw: st.DrawFn, door: str) -> dict[str, int]:
    """Meters that this protocol can report."""
    counts = st.integers(0, 2**31)
    meters = {"input_uncached": draw(counts), "output_total": draw(counts)}
    if draw(st.booleans()):
        meters["cache_read"] = draw(st.integers(1, 2**31))
    if door != "gemini" and draw(st.booleans()):
        meters["cache_write_5m"] = draw(st.integers(1, 2**31))
    if door not in ("converse", "qwen", "gemini") and draw(st.booleans()):
        meters["cache_write_1h"] = draw(st.integers(1, 2**31))
    if meters["output_total"] and door != "converse" and draw(st.booleans()):
        meters["reasoning"] = draw(st.integers(1, meters["output_total"]))
    return meters


def replies(door: str) -> st.SearchStrategy[Reply]:
    most = 2 if door in ("chat", "gemini") else 1
    return st.builds(
        Reply,
        id=st.just("id_1"),
        model=st.just("up"),
        answers=st.lists(answers(door), min_size=1, max_size=most),
        meters=readings(door),
    )


def meaning(reply: Reply, *through: str) -> dict[str, Any]:
    """What is compared of a reply that went through these protocols; see the module."""
    many = all(name in ("chat", "gemini") for name in through)
    return {
        "answers": [_answer(answer, through) for answer in reply.answers[: None if many else 1]],
        "meters": counted(reply.meters or {}, *through),
    }


def counted(meters: dict[str, int], *through: str) -> dict[str, int]:
    """Zero is absent; Gemini has no counter for what was written to a cache."""
    assert all(count >= 0 for count in meters.values()), meters
    found = {name: count for name, count in meters.items() if count}
    if "gemini" in through:
        written = sum(found.pop(name) for name in list(found) if name.startswith("cache_write"))
        if written:
            found["input_uncached"] = found.get("input_uncached", 0) + written
    return found


def said(parts: list[AnyPart], *through: str) -> list[Any]:
    """What the parts say, in their order."""
    found: list[Any] = []
    refuses = all(name in REFUSES for name in through)
    for part in parts:
        if isinstance(part, Thinking):
            _think(found, part)
        elif isinstance(part, ToolCall):
            found.append(("call", native(part.id), part.name, part.kind, arguments(part.arguments)))
        elif isinstance(part, Text | Refused):
            kind = "refusal" if refuses and isinstance(part, Refused) else "text"
            if found and found[-1][0] == kind:
                found[-1] = (kind, found[-1][1] + part.text)
            elif part.text:
                found.append((kind, part.text))
        else:
            found.append(part)
    return found


def _answer(answer: Answer, through: tuple[str, ...]) -> dict[str, Any]:
    found = said(answer.parts, *through)
    reason = answer.reason
    if any(reason not in REASONS[name] for name in through):
        reason = _NEAREST[reason]
    if reason == "stop" and "call" in [one[0] for one in found]:
        reason = "tool"
    if any(isinstance(part, Refused) for part in answer.parts) and "messages" in through:
        reason = "filter"
    return {"said": found, "reason": reason}


def _think(found: list[Any], part: Thinking) -> None:
    """A thought under its innermost seal. Thoughts that the seal after them tells again are one with it (Gemini)."""
    text, signature = part.text, unpack(part.signature).signature
    while (sealed := unseal(signature)) is not None:
        text, signature = sealed.text or text, unpack(sealed.signature).signature
    last = found[-1] if found else None
    if last is not None and last[0] == "thinking" and not last[2] and text in ("", last[1]):
        text = found.pop()[1]
    if text or signature:
        found.append(("thinking", text, signature))


def native(id_: str) -> str:
    while (inner := ids.native(id_)) != id_:
        id_ = inner
    return id_


def arguments(text: str) -> Any:
    """Arguments as JSON, whole numbers by their digits."""
    try:
        return json.loads(text or "{}", parse_int=lambda digits: ("n", digits))
    except ValueError:
        return text


def plain(value: Any) -> Any:
    """A canonical value for comparing: raw JSON by its bytes."""
    return msgspec.to_builtins(value, enc_hook=bytes)
