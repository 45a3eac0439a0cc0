"""Bedrock Converse's usage -> meters.

In:     `{inputTokens, outputTokens, totalTokens, cacheReadInputTokens, cacheWriteInputTokens, cacheDetails[{ttl,
        inputTokens}]}`. Out: `Found`.
`inputTokens` leaves out what was read from and written to a cache; `totalTokens` counts all four (protocols.md 7).
Reasoning is inside `outputTokens` and not itemised.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.found import COUNT_MAX, Found
from baseload.wire.raw import FAILED, NULL

_TTLS = ("5m", "1h")
_TTL_ASSUMED = "5m"  # of a cachePoint that names none
_INVALID = Found({}, input_known=False, output_known=False, flags=("invalid",))
_NAMES = ("inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens")


class _Detail(msgspec.Struct, gc=False):
    ttl: str = ""
    inputTokens: int = 0


_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_details = msgspec.json.Decoder(list[_Detail], strict=False).decode
_decode_count = msgspec.json.Decoder(int, strict=False).decode


def read(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """One report. A count that is none voids it (input, output) or its own field (all others), flagged."""
    try:
        members = _decode_members(raw)
    except FAILED:
        return _INVALID
    flags: list[str] = []
    counts = {name: _count(members, name, flags) for name in _NAMES}
    if flags and (_broken(members, counts, "inputTokens") or _broken(members, counts, "outputTokens")):
        return _INVALID
    fresh, output, total = counts["inputTokens"], counts["outputTokens"], counts["totalTokens"]
    cached = counts["cacheReadInputTokens"] or 0
    split = _details(members, flags)
    written = counts["cacheWriteInputTokens"]
    whole = sum(split.values()) if written is None else written
    if output is None and fresh is not None and total is not None and total >= fresh + cached + whole:
        output = total - fresh - cached - whole
    elif fresh is None and output is not None and total is not None and total >= output + cached + whole:
        fresh = total - output - cached - whole
    meters: dict[str, int] = {}
    if output is not None:
        meters["output_total"] = output
    if fresh is not None:
        meters["input_uncached"] = fresh
        if cached:
            meters["cache_read"] = cached
        for ttl, count in _written(whole, split, request_ttl, flags).items():
            meters["cache_write_" + ttl] = count
    if fresh is not None and output is not None and total is not None:
        hidden = total - sum(meters.values())
        if hidden:
            flags.append("total_mismatch")
        if hidden > 0:  # thinking that was not itemised; it is output all the same (lesson 8)
            meters["output_total"] += hidden
            meters["reasoning"] = hidden
    return Found(meters, fresh is not None, output is not None, tuple(dict.fromkeys(flags)))


def _written(whole: int, split: dict[str, int], request_ttl: str, flags: list[str]) -> dict[str, int]:
    """What was written, by lifetime; together `whole`. A rest without a lifetime has the request's, else the usual."""
    kept: dict[str, int] = {}
    left = whole
    for ttl, count in split.items():
        kept[ttl] = min(count, left)
        left -= kept[ttl]
    if split and sum(split.values()) != whole:
        flags.append("cache_split_mismatch")
    if left:
        ttl = _TTL_ASSUMED
        if not split and request_ttl in _TTLS:
            ttl = request_ttl
            if ttl != _TTL_ASSUMED:
                flags.append("ttl_from_request")
        elif not split:
            flags.append("ttl_assumed")
        kept[ttl] = kept.get(ttl, 0) + left
    return {ttl: count for ttl, count in kept.items() if count}


def _details(members: Mapping[str, Raw], flags: list[str]) -> dict[str, int]:
    raw = members.get("cacheDetails", NULL)
    if raw == NULL:
        return {}
    split: dict[str, int] = {}
    try:
        details = _decode_details(raw)
    except FAILED:
        flags.append("invalid")
        return {}
    for detail in details:
        if detail.ttl not in _TTLS or not 0 <= detail.inputTokens <= COUNT_MAX:
            flags.append("invalid")  # an unknown lifetime has no price; its tokens stay in the whole
        elif detail.inputTokens:
            split[detail.ttl] = split.get(detail.ttl, 0) + detail.inputTokens
    return split


def _count(members: Mapping[str, Raw], name: str, flags: list[str]) -> int | None:
    """The count, None where it is absent, null, or (flagged) none."""
    raw = members.get(name, NULL)
    if raw == NULL:
        return None
    try:
        count = _decode_count(raw)
    except FAILED:
        count = -1
    if 0 <= count <= COUNT_MAX:
        return count
    flags.append("invalid")
    return None


def _broken(members: Mapping[str, Raw], counts: Mapping[str, int | None], name: str) -> bool:
    return counts[name] is None and members.get(name, NULL) != NULL
