"""Log probabilities: Google's `logprobsResult` and OpenAI's `content` array, which is the canonical form."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.raw import ABSENT, FAILED, NULL


class _Token(msgspec.Struct, gc=False, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Top(msgspec.Struct, gc=False):
    candidates: list[_Token] = []


class _Result(msgspec.Struct, gc=False, rename="camel"):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_Top] = []


class _Alternative(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0


class _Piece(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_Alternative] | None = None


_decode = msgspec.json.Decoder(_Result).decode
_decode_pieces = msgspec.json.Decoder(list[_Piece]).decode
_encode = msgspec.json.Encoder().encode


def to_content(result: Raw) -> Raw:
    """The `content` array; ABSENT where nothing can be read."""
    if result is ABSENT or result == NULL:
        return ABSENT
    try:
        found = _decode(result)
    except FAILED:
        return ABSENT
    tops = found.top_candidates
    content = []
    for place, chosen in enumerate(found.chosen_candidates):
        top = tops[place].candidates if place < len(tops) else []
        content.append({**_openai(chosen), "top_logprobs": [_openai(each) for each in top]})
    return Raw(_encode(content)) if content else ABSENT


def to_result(contents: list[Raw]) -> dict[str, Any] | None:
    """A `logprobsResult` of the pieces' `content` arrays; None where there is none."""
    chosen: list[Any] = []
    tops: list[Any] = []
    for content in contents:
        try:
            pieces = _decode_pieces(content)
        except FAILED:
            continue
        for piece in pieces:
            chosen.append(_google(piece))
            tops.append({"candidates": [_google(each) for each in piece.top_logprobs or ()]})
    if not chosen:
        return None
    return {"chosenCandidates": chosen, "topCandidates": tops}


def _openai(token: _Token) -> dict[str, Any]:
    data = list(token.token.encode("utf-8", "replace"))
    return {"token": token.token, "logprob": token.log_probability, "bytes": data}


def _google(token: _Piece | _Alternative) -> dict[str, Any]:
    return {"token": token.token, "logProbability": token.logprob}
