"""The shapes of generateContent replies, as msgspec structs: what they do not name is skipped, never built."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.sse import data_of

_SPACE = b" \t\r\n"
_LF, _CR = 10, 13  # `in` with an int is one memchr
T = TypeVar("T")


class Call(msgspec.Struct, gc=False, rename="camel"):
    id: str | None = None
    name: str | None = None
    args: Raw = ABSENT
    partial_args: Raw = ABSENT
    will_continue: bool | None = None


class Blob(msgspec.Struct, gc=False, rename="camel"):
    mime_type: str | None = None
    data: str | None = None


class FileRef(msgspec.Struct, gc=False, rename="camel"):
    mime_type: str | None = None
    file_uri: str | None = None


class Part(msgspec.Struct, gc=False, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: Call | None = None
    inline_data: Blob | None = None
    file_data: FileRef | None = None
    executable_code: Raw = ABSENT
    code_execution_result: Raw = ABSENT
    tool_call: Raw = ABSENT
    tool_response: Raw = ABSENT


class Content(msgspec.Struct, gc=False):
    parts: list[Part] | None = None


class Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    citation_metadata: Raw = ABSENT
    grounding_metadata: Raw = ABSENT
    logprobs_result: Raw = ABSENT


class Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class Chunk(msgspec.Struct, gc=False, rename="camel"):
    """One object of a stream, or a whole reply."""

    candidates: list[Candidate] | None = None
    usage_metadata: Raw = ABSENT
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: Feedback | None = None
    error: Raw = ABSENT


class LooseCandidate(msgspec.Struct, gc=False, rename="camel"):
    content: Raw = ABSENT
    finish_reason: Raw = ABSENT
    index: Raw = ABSENT


class Loose(msgspec.Struct, gc=False, rename="camel"):
    """The same where a member is not of the type written down."""

    candidates: Raw = ABSENT
    usage_metadata: Raw = ABSENT
    model_version: Raw = ABSENT
    response_id: Raw = ABSENT
    prompt_feedback: Raw = ABSENT
    error: Raw = ABSENT


class _Traffic(msgspec.Struct, gc=False, rename="camel"):
    traffic_type: str | None = None


_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_loose = msgspec.json.Decoder(Loose).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_candidates = msgspec.json.Decoder(list[LooseCandidate]).decode
_decode_traffic = msgspec.json.Decoder(_Traffic).decode
_FALSY = (b"", b"null", b"false", b'""', b"{}", b"[]", b"0")


def payload_of(frame: bytes) -> bytes | None:
    """The JSON of a frame: its data, or the frame itself where it is bare JSON (an error in a stream of Google's)."""
    if frame[:5] == b"data:":
        data: bytes | None = frame[5:].strip(_SPACE)
        if data and _LF not in data and _CR not in data:  # one line: nearly every frame
            return data
    data = data_of(frame)
    if data is None:
        data = frame.strip(_SPACE)
        if data[:1] not in (b"{", b"["):
            return None
    else:
        data = data.strip(_SPACE)
    return data or None


def objects_in(payload: bytes) -> list[bytes]:
    """The objects of a payload: itself, or those of an array (an error may be wrapped in one). May raise FAILED."""
    if payload[:1] != b"[":
        return [payload]
    return [bytes(item) for item in _decode_list(payload)]


def decode_chunk(payload: bytes) -> Chunk:
    """One object; half surrogates are masked, members of surprising types left out. Raises FAILED for garbage."""
    try:
        return _decode_chunk(payload)
    except FAILED:
        payload = half_surrogates_masked(payload)
        try:
            return _decode_chunk(payload)
        except msgspec.ValidationError:
            return _loosely(payload)


def is_error(raw: Raw) -> bool:
    """Whether the value of a top-level `error` is one."""
    return bytes(raw) not in _FALSY


def traffic_tier(usage: bytes) -> str:
    """Vertex's traffic type as a tier: ON_DEMAND_FLEX -> "flex"; the usual one, and none, are "" """
    if b'"trafficType"' not in usage:
        return ""
    try:
        word = _decode_traffic(usage).traffic_type or ""
    except FAILED:
        return ""
    return tier_of(word)


def tier_of(traffic_type: str) -> str:
    return _TIERS.get(traffic_type, traffic_type.lower().removeprefix("on_demand_"))


_TIERS = {
    "": "",
    "TRAFFIC_TYPE_UNSPECIFIED": "",
    "ON_DEMAND": "",
    "PROVISIONED_THROUGHPUT": "provisioned",
}


def _loosely(payload: bytes) -> Chunk:
    loose = _decode_loose(payload)
    candidates: list[Candidate] = []
    try:
        found = _decode_candidates(loose.candidates) if loose.candidates is not ABSENT else []
    except FAILED:
        found = []
    for place, each in enumerate(found):
        candidates.append(
            Candidate(
                _as(each.content, _decode_content),
                _as(each.finish_reason, _decode_str),
                _as(each.index, _decode_int) or place,
            )
        )
    return Chunk(
        candidates,
        loose.usage_metadata,
        _as(loose.model_version, _decode_str),
        _as(loose.response_id, _decode_str),
        _as(loose.prompt_feedback, _decode_feedback),
        loose.error,
    )


_decode_content = msgspec.json.Decoder(Content).decode
_decode_feedback = msgspec.json.Decoder(Feedback).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode


def _as(raw: Raw, decode: Callable[[Raw], T]) -> T | None:
    if raw is ABSENT:
        return None
    try:
        return decode(raw)
    except FAILED:
        return None


def utf8_len(text: str) -> int:
    """Length in UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode())


class _Citations(msgspec.Struct, gc=False):
    citations: list[Raw] | None = None


_decode_citations = msgspec.json.Decoder(_Citations).decode


def citations_of(metadata: Raw) -> list[Raw]:
    """The citations of a `citationMetadata`; none where it cannot be read."""
    try:
        return [Raw(bytes(raw)) for raw in _decode_citations(metadata).citations or ()]
    except FAILED:
        return []
