"""What replies of chat consist of, whole or streamed, with the variants of all vendors: read for translation.

In:     JSON of a chunk or of a whole reply. Out: `Chunk`, whose choices carry a `Piece` (a delta or a message).
Nearly every chunk fits the structs. One that does not (content as a list of parts, arguments as an object, halves of
surrogate pairs) is read member by member, and what is of a wrong kind counts as absent.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.chat import loose
from baseload.wire.raw import ABSENT, FAILED


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class Custom(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None


class Detail(msgspec.Struct, gc=False):
    """One of `reasoning_details`: OpenRouter's form, and ours (see `reasoning.py`)."""

    type: str | None = None
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    id: str | None = None
    format: str | None = None
    index: int | None = None
    offset: int | None = None
    before: str | None = None


class Piece(msgspec.Struct, gc=False):
    """A delta or a message: the members that a reply is made of."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    reasoning_details: list[Detail] | None = None
    annotations: list[Raw] | None = None
    images: Raw = ABSENT
    audio: Raw = ABSENT


class Logprobs(msgspec.Struct, gc=False):
    content: Raw = ABSENT


class Choice(msgspec.Struct, gc=False):
    index: int | None = None
    delta: Piece | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    message: Piece | None = None
    usage: Raw = ABSENT
    stop_reason: Raw = ABSENT  # vLLM: the stop sequence that matched, or a token's number
    matched_stop: Raw = ABSENT  # SGLang: the same


class Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Raw = ABSENT
    service_tier: str | None = None
    error: Raw = ABSENT
    timings: Raw = ABSENT
    rough: bool = False  # texts may hold marked halves (`loose.joined`)


_decode = msgspec.json.Decoder(Chunk).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def read(data: bytes) -> Chunk:
    """One chunk or whole reply. Raises `ProviderFault("garbage")` for what is no JSON object."""
    try:
        chunk = _decode(data)
    except FAILED:
        return _read_loosely(data)
    chunk.rough = False  # a member of the provider's that happens to have this name
    return chunk


def _read_loosely(data: bytes) -> Chunk:
    try:
        whole = loose.marked(data)
        found = _decode_members(whole)
    except FAILED as why:
        raise ProviderFault("garbage", f"the reply holds a frame that is no JSON object: {why}", sent=True) from None
    choices = [_choice(loose.members(raw)) for raw in loose.items(found.get("choices"))]
    return Chunk(
        id=loose.text(found.get("id")),
        model=loose.text(found.get("model")),
        choices=choices,
        usage=found.get("usage", ABSENT),
        service_tier=loose.text(found.get("service_tier")),
        error=found.get("error", ABSENT),
        timings=found.get("timings", ABSENT),
        rough=whole is not data,
    )


def _choice(found: dict[str, Raw]) -> Choice:
    logprobs = loose.members(found.get("logprobs"))
    return Choice(
        index=loose.number(found.get("index")),
        delta=_piece(loose.members(found["delta"])) if "delta" in found else None,
        finish_reason=loose.text(found.get("finish_reason")),
        logprobs=Logprobs(logprobs["content"]) if "content" in logprobs else None,
        message=_piece(loose.members(found["message"])) if "message" in found else None,
        usage=found.get("usage", ABSENT),
        stop_reason=found.get("stop_reason", ABSENT),
        matched_stop=found.get("matched_stop", ABSENT),
    )


def _piece(found: dict[str, Raw]) -> Piece:
    content, thinking = _content(found.get("content"))
    function = loose.members(found.get("function_call"))
    return Piece(
        content=content,
        reasoning_content=loose.text(found.get("reasoning_content")) or thinking,
        reasoning=loose.text(found.get("reasoning")),
        refusal=loose.text(found.get("refusal")),
        tool_calls=[_call(loose.members(raw)) for raw in loose.items(found.get("tool_calls"))],
        function_call=_function(function) if function else None,
        reasoning_details=[detail(loose.members(raw)) for raw in loose.items(found.get("reasoning_details"))],
        annotations=loose.items(found.get("annotations")),
        images=found.get("images", ABSENT),
        audio=found.get("audio", ABSENT),
    )


def _content(raw: Raw | None) -> tuple[str, str]:
    """Text and thinking of a content that is a string or a list of parts (Mistral's form)."""
    text, thinking = loose.text(raw), ""
    for part in loose.items(raw):
        found = loose.members(part)
        text += loose.text(found.get("text"))
        inner = found.get("thinking")
        thinking += loose.text(inner) + "".join(
            loose.text(loose.members(piece).get("text")) for piece in loose.items(inner)
        )
    return text, thinking


def _call(found: dict[str, Raw]) -> Call:
    custom = loose.members(found.get("custom"))
    return Call(
        index=loose.number(found.get("index")),
        id=loose.text(found.get("id")),
        function=_function(loose.members(found.get("function"))),
        custom=Custom(loose.text(custom.get("name")), loose.text(custom.get("input"))) if custom else None,
    )


def _function(found: dict[str, Raw]) -> Function:
    return Function(loose.text(found.get("name")), loose.text_or_json(found.get("arguments")))


_DETAIL_INTS = ("index", "offset")


def detail(found: dict[str, Raw]) -> Detail:
    """One of `reasoning_details` from its members."""
    made = Detail()
    for name in Detail.__struct_fields__:
        if name in found:
            read_one = loose.number if name in _DETAIL_INTS else loose.text
            setattr(made, name, read_one(found[name]))
    return made
