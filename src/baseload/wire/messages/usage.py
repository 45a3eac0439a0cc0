"""Anthropic's shape of usage -> meters. Exclusive: the prompt is the sum of input, cache read and cache written.

In:     one raw usage object (of a stream: its reports merged). Out: `Found`.
`cache_creation` splits the written tokens by lifetime; `output_tokens` includes thinking. Where split and total
contradict each other the total stays and the contradiction is flagged (usage_vectors.json, u044 to u055).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.found import COUNT_MAX, Found
from baseload.wire.raw import FAILED


class _Split(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Out(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _Tools(msgspec.Struct, gc=False):
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None


class _Report(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Split | None = None
    output_tokens_details: _Out | None = None
    server_tool_use: _Tools | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None


_decode = msgspec.json.Decoder(_Report).decode
_INVALID = Found({}, input_known=False, output_known=False, flags=("invalid",))
_TTLS = frozenset(("5m", "30m", "1h", "12h"))
_TTL_ASSUMED = "5m"  # what the vendor writes for where nothing is asked
_NO_GEO = frozenset(("", "global", "not_available"))


def read(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """One report. A count that is no count voids it (input, output) or its own field (all others), flagged."""
    flags: list[str] = []
    try:
        report = _decode(raw)
    except FAILED:
        cleaned = _clean(raw, flags)
        if cleaned is None:
            return _INVALID
        report = cleaned
    for name in ("input_tokens", "output_tokens"):
        count = getattr(report, name)
        if count is not None and not 0 <= count <= COUNT_MAX:
            return _INVALID
    _check(report, flags)
    meters: dict[str, int] = {}
    if report.input_tokens is not None:
        meters["input_uncached"] = report.input_tokens
    # Cache counters without an input counter are no report of the input: a part of it is not the whole.
    if report.input_tokens is not None:
        if report.cache_read_input_tokens:
            meters["cache_read"] = report.cache_read_input_tokens
        for name, count in _written(report, request_ttl, flags):
            meters[name] = meters.get(name, 0) + count
    if report.output_tokens is not None:
        meters["output_total"] = report.output_tokens
        thinking = (report.output_tokens_details.thinking_tokens if report.output_tokens_details else None) or 0
        if thinking > report.output_tokens:
            flags.append("reasoning_exceeds_output")
            thinking = report.output_tokens
        if thinking:
            meters["reasoning"] = thinking
    if report.server_tool_use is not None:
        if report.server_tool_use.web_search_requests:
            meters["web_searches"] = report.server_tool_use.web_search_requests
        if report.server_tool_use.web_fetch_requests:
            meters["web_fetches"] = report.server_tool_use.web_fetch_requests
    return Found(
        meters,
        report.input_tokens is not None,
        report.output_tokens is not None,
        tuple(dict.fromkeys(flags)),
        _select(report),
    )


def _written(report: _Report, request_ttl: str, flags: list[str]) -> list[tuple[str, int]]:
    split = report.cache_creation or _Split()
    short, long = split.ephemeral_5m_input_tokens or 0, split.ephemeral_1h_input_tokens or 0
    total = report.cache_creation_input_tokens
    if total is None:
        total = short + long
    elif not short and not long:
        if not total:
            return []
        if request_ttl in _TTLS:
            flags.append("ttl_from_request")
        else:
            flags.append("ttl_assumed")
            request_ttl = _TTL_ASSUMED
        return [(f"cache_write_{request_ttl}", total)]
    elif short + long != total:
        flags.append("cache_split_mismatch")
        long = min(long, total)
        short = total - long
    return [(name, count) for name, count in (("cache_write_5m", short), ("cache_write_1h", long)) if count]


def _select(report: _Report) -> dict[str, str | bool]:
    """Price selectors. A tier that is reported as the usual one is said, too: it is not unknown."""
    select: dict[str, str | bool] = {}
    tier = report.service_tier or ""
    if tier == "batch":
        select["batch"] = True
    elif tier:
        select["tier"] = "default" if tier == "standard" else tier
    if report.speed not in (None, "", "standard"):
        select["speed"] = str(report.speed)
    if (report.inference_geo or "") not in _NO_GEO:
        select["geo"] = str(report.inference_geo)
    return select


_PARTS: dict[str, type[msgspec.Struct]] = {
    "cache_creation": _Split,
    "output_tokens_details": _Out,
    "server_tool_use": _Tools,
}


def _check(report: _Report, flags: list[str]) -> None:
    """Impossible counts beside input and output are taken out, flagged."""
    parts: list[tuple[msgspec.Struct, tuple[str, ...]]] = [
        (report, ("cache_read_input_tokens", "cache_creation_input_tokens"))
    ]
    parts += [(part, kind.__struct_fields__) for name, kind in _PARTS.items() if (part := getattr(report, name))]
    for part, names in parts:
        for name in names:
            count = getattr(part, name)
            if count is not None and not 0 <= count <= COUNT_MAX:
                setattr(part, name, None)
                flags.append("invalid")


def _clean(raw: bytes, flags: list[str]) -> _Report | None:
    """The report with integers written as strings or integral floats taken for what they are; None = void."""
    members = _members(raw)
    if members is None:
        return None
    report = _Report()
    for name in _Report.__struct_fields__:
        if name not in members:
            continue
        if name in _PARTS:
            part = _PARTS[name]()
            within = _members(bytes(members[name]))
            if within is None:
                if bytes(members[name]) != b"null":
                    flags.append("invalid")
                continue
            for field in part.__struct_fields__:
                if field in within:
                    _set(part, field, within[field], int, flags)
            setattr(report, name, part)
        elif name.endswith("_tokens"):
            if not _set(report, name, members[name], int, flags) and name in ("input_tokens", "output_tokens"):
                return None
        else:
            _set(report, name, members[name], str, flags)
    return report


def _members(raw: bytes) -> dict[str, Raw] | None:
    try:
        return msgspec.json.decode(raw, type=dict[str, Raw])
    except FAILED:
        return None


def _set(part: msgspec.Struct, name: str, raw: Raw, kind: type, flags: list[str]) -> bool:
    try:
        setattr(part, name, msgspec.json.decode(raw, type=kind | None, strict=False))
    except FAILED:
        flags.append("invalid")
        return False
    return True
