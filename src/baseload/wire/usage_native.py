"""Usage of two doors whose shapes are their own: Tencent's native API and Ollama's.

In:     Tencent: `{PromptTokens, CompletionTokens, TotalTokens, PromptTokensDetails{CachedTokens: "128"}}`, numbers
        perhaps as strings (vendors.md 3.6). Ollama: the last line, `{done: true, prompt_eval_count?, eval_count}`.
Out:    `Found`.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from baseload.wire.chat import usage as chat_usage
from baseload.wire.found import COUNT_MAX, Found
from baseload.wire.raw import FAILED, NULL

_INVALID = Found({}, input_known=False, output_known=False, flags=("invalid",))
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_count = msgspec.json.Decoder(int, strict=False).decode
_encode = msgspec.json.Encoder().encode
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def read_tencent(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """The OpenAI shape in PascalCase, objects inside it too; `chat/usage.py` takes numbers in strings for numbers."""
    try:
        members = _snake_case(_decode_members(raw))
    except FAILED:
        return _INVALID
    report: dict[str, Raw | dict[str, Raw]] = dict(members)
    for name, value in members.items():
        if name.endswith("_details") and value != NULL:
            try:
                report[name] = _snake_case(_decode_members(value))
            except FAILED:
                continue  # it stays as it came, and is flagged there
    return chat_usage.read(_encode(report), vendor, embeddings, request_ttl)


def read_ollama(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """`prompt_eval_count` is absent where the whole prompt was cached: then the input is not known, not zero."""
    try:
        members = _decode_members(raw)
    except FAILED:
        return _INVALID
    meters: dict[str, int] = {}
    for name, meter in (("prompt_eval_count", "input_uncached"), ("eval_count", "output_total")):
        value = members.get(name, NULL)
        if value == NULL:
            continue
        try:
            count = _decode_count(value)
        except FAILED:
            return _INVALID
        if not 0 <= count <= COUNT_MAX:
            return _INVALID
        meters[meter] = count
    if embeddings and "input_uncached" in meters:
        meters.setdefault("output_total", 0)
    return Found(meters, "input_uncached" in meters, "output_total" in meters)


def _snake_case(members: dict[str, Raw]) -> dict[str, Raw]:
    return {_WORDS.sub("_", name).lower(): value for name, value in members.items()}
