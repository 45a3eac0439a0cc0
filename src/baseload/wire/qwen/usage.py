"""DashScope's native usage -> meters: the counts of the OpenAI shape under other names (vectors u028 to u031).

In:     `{input_tokens, output_tokens, total_tokens, image_tokens?, audio_tokens?, prompt_tokens_details{cached_tokens,
        cache_creation_input_tokens, cache_type}, input_tokens_details{}, output_tokens_details{reasoning_tokens}}`.
Out:    `Found`, by the rules of `chat/usage.py`: images, audio and cached tokens sit inside `input_tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.chat import usage as chat_usage
from baseload.wire.found import Found
from baseload.wire.raw import FAILED, NULL

_NAMES = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens", "total_tokens": "total_tokens"}
_DETAILS = {
    "prompt_tokens_details": ("input_tokens_details", "prompt_tokens_details"),  # the later name counts
    "completion_tokens_details": ("output_tokens_details", "completion_tokens_details"),
}
_BESIDE = ("image_tokens", "audio_tokens", "cached_tokens")
"""Details of the input that stand beside it, not in an object of their own."""

_INVALID = Found({}, input_known=False, output_known=False, flags=("invalid",))
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def read(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    try:
        members = _decode_members(raw)
    except FAILED:
        return _INVALID
    report: dict[str, Raw | dict[str, Raw]] = {
        theirs: members[ours] for ours, theirs in _NAMES.items() if ours in members
    }
    for theirs, names in _DETAILS.items():
        details = {name: members[name] for name in _BESIDE if name in members} if theirs[0] == "p" else {}
        for name in names:
            if members.get(name, NULL) == NULL:
                continue
            inner = _object(members[name])
            if inner is None:  # not an object: chat's reader flags it
                report[theirs] = members[name]
                break
            details.update({key: value for key, value in inner.items() if value != NULL})
        else:
            if details:
                report[theirs] = details
    return chat_usage.read(_encode(report), vendor, embeddings, request_ttl)


def _object(raw: Raw) -> Mapping[str, Raw] | None:
    try:
        return _decode_members(raw)
    except FAILED:
        return None
