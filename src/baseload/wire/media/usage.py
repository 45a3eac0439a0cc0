"""Usage reports of these endpoints -> meters. Tokens by the arithmetic of `chat/usage.py`, units by their own names.

In:     one raw report. Out: `Found`. A report in units has no tokens that are billed, and the reverse.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec
from msgspec import Raw

from baseload.wire.chat import usage as chat_usage
from baseload.wire.found import COUNT_MAX, Found
from baseload.wire.raw import FAILED, NULL

_NAMES = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
    "input_token_details": "prompt_tokens_details",
    "output_token_details": "completion_tokens_details",
}
_INVALID = Found({}, input_known=False, output_known=False, flags=("invalid",))
_MS_MAX = 366 * 86_400_000  # no recording lasts a year

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def read_images(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """OpenAI: tokens, all output being pictures where no details say otherwise.

    Ark and DashScope: a number of pictures; the tokens beside it are not what they bill.
    """
    members = _members(raw)
    if members is None:
        return _INVALID
    for name in ("generated_images", "image_count"):
        if members.get(name, NULL) != NULL:
            return _units("images", members[name])
    found = _tokens(members, vendor)
    whole = found.meters.get("output_total", 0)
    if whole and members.get("output_tokens_details", NULL) == NULL:
        found.meters["output_image"] = whole
    return found


def read_transcription(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """`{type: duration, seconds}`, `{duration}` (a verbose reply's own), or `{type: tokens, ...}`."""
    members = _members(raw)
    if members is None:
        return _INVALID
    for name in ("seconds", "duration"):
        if members.get(name, NULL) != NULL:
            return _units("audio_ms", members[name], scale=1000)
    return _tokens(members, vendor)


def read_speech(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """Tokens, all output being sound; or a number of characters."""
    members = _members(raw)
    if members is None:
        return _INVALID
    for name in ("characters", "input_characters"):
        if members.get(name, NULL) != NULL:
            return _units("characters", members[name])
    found = _tokens(members, vendor)
    whole = found.meters.get("output_total", 0)
    if whole and members.get("output_tokens_details", NULL) == NULL:
        found.meters["output_audio"] = whole
    return found


def read_rerank(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """`usage{total_tokens}`, or `meta{billed_units{search_units, input_tokens}, tokens{input_tokens}}`.

    What `billed_units` names is billed, and nothing beside it. Without it the tokens are: all of them are input.
    """
    members = _members(raw)
    if members is None:
        return _INVALID
    billed = _members(members.get("billed_units", NULL))
    if billed is None and (tokens := _members(members.get("tokens", NULL))) is not None:
        members = tokens
    meters: dict[str, int] = {}
    if billed is not None:
        for name, meter in (("search_units", "search_units"), ("input_tokens", "input_uncached")):
            count = _count(billed.get(name, NULL))
            if count is not None and (count or meter == "input_uncached"):
                meters[meter] = count
        if not meters:
            return _INVALID
    else:
        found = [_count(members.get(name, NULL)) for name in ("total_tokens", "prompt_tokens", "input_tokens")]
        count = next((count for count in found if count is not None), None)
        if count is None:
            return _INVALID
        meters["input_uncached"] = count
    meters["output_total"] = 0
    return Found(meters)


def _units(meter: str, raw: Raw, scale: int = 1) -> Found:
    count = _count(raw, scale)
    return _INVALID if count is None else Found({meter: count})


def _tokens(members: dict[str, Raw], vendor: str) -> Found:
    renamed = {_NAMES.get(name, name): value for name, value in members.items()}
    return chat_usage.read(_encode(renamed), vendor, False, "")


def _members(raw: bytes | Raw) -> dict[str, Raw] | None:
    try:
        return _decode_members(raw)
    except FAILED:
        return None


def _count(raw: Raw, scale: int = 1) -> int | None:
    """A count, from its digits (never a float); None where it is none. Seconds become milliseconds, half up."""
    text = bytes(raw).strip(b'"').decode("ascii", "replace")
    if len(text) > 64 or "_" in text:
        return None
    try:
        number = Decimal(text) * scale
    except InvalidOperation:
        return None
    most = COUNT_MAX if scale == 1 else _MS_MAX
    if not number.is_finite() or not 0 <= number <= most:
        return None
    if scale == 1 and number != number.to_integral_value():
        return None
    return int(number + Decimal("0.5")) if scale > 1 else int(number)
