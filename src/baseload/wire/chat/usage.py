"""The OpenAI shapes of usage (chat, embeddings, batch items) and every vendor's additions to them.

In:     one raw usage object. Out: `Found`: disjoint meters and what was odd about the report.
`prompt_tokens` includes what was read from and written to a cache, and audio and images; `completion_tokens` includes
reasoning, audio and images. Meters come out disjoint; where parts do not fit their whole, the whole stays.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec
from msgspec import Raw

from baseload.wire.found import COUNT_MAX, Found
from baseload.wire.raw import ABSENT, FAILED

_COST_CURRENCY = {"openrouter": "USD"}  # protocols.md 7; other vendors' `cost` has no known unit
_WRITE_TTL = {"openai": "30m", "azure": "30m", "dashscope": "5m"}  # the only lifetime these vendors have in chat
_TTL_ASSUMED = "5m"
_TTLS = frozenset(("5m", "30m", "1h", "12h"))


class _WriteSplit(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None
    ttl_30m_tokens: int | None = None
    ttl_12h_tokens: int | None = None


class _In(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _WriteSplit | None = None
    cache_write_tokens_details: _WriteSplit | None = None
    cache_type: str | None = None
    audio_cached_tokens: int | None = None
    image_cached_tokens: int | None = None  # ours (`usage_out.py`), by the pattern of the one above
    provisioned_tokens: int | None = None

    def has_more(self) -> bool:
        """Whether it says more than how many tokens were read from an implicit cache."""
        return bool(
            self.audio_tokens
            or self.image_tokens
            or self.cache_write_tokens
            or self.cache_creation_input_tokens
            or self.cache_creation
            or self.cache_write_tokens_details
            or self.cache_type
            or self.audio_cached_tokens
            or self.image_cached_tokens
            or self.provisioned_tokens
        )


class _Out(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    provisioned_tokens: int | None = None


class _Timings(msgspec.Struct, gc=False):
    cache_n: int | None = None
    prompt_n: int | None = None


class _Tools(msgspec.Struct, gc=False):
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None


class _Report(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _In | None = None
    completion_tokens_details: _Out | None = None
    cached_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    prompt_cache_miss_tokens: int | None = None
    reasoning_tokens: int | None = None
    timings: _Timings | None = None
    service_tier: str | None = None
    cost: Raw = ABSENT
    is_byok: bool | None = None
    server_tool_use: _Tools | None = None


_decode = msgspec.json.Decoder(_Report).decode
_INVALID = Found({}, input_known=False, output_known=False, flags=("invalid",))


def read(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """One report. A count that is no count voids it (prompt, completion) or its own field (all others), flagged."""
    try:
        report = _decode(raw)
    except FAILED:
        cleaned = _clean(raw)
        if cleaned is None:
            return _INVALID
        report, flags = cleaned
    else:
        flags = []
    prompt, completion, total = report.prompt_tokens, report.completion_tokens, report.total_tokens
    if completion is None and embeddings:
        completion = 0
    # What most replies are: at most a cache read and reasoning, each within its whole, and a total that is the sum.
    if (
        prompt is not None
        and completion is not None
        and 0 <= prompt <= COUNT_MAX
        and 0 <= completion <= COUNT_MAX
        and (total is None or total == prompt + completion)
        and not flags
        and report.prompt_cache_hit_tokens is None
        and report.cached_tokens is None
        and report.cost is ABSENT
        and report.service_tier is None
        and report.is_byok is None
        and report.server_tool_use is None
    ):
        ins, outs = report.prompt_tokens_details, report.completion_tokens_details
        cached = (0 if report.timings is None else -1) if ins is None else ins.cached_tokens
        if cached is None:
            cached = 0 if report.timings is None else -1  # llama.cpp says it there
        reasoning = (outs.reasoning_tokens if outs is not None else None) or report.reasoning_tokens or 0
        if (
            0 <= cached <= prompt
            and 0 <= reasoning <= completion
            and (ins is None or not ins.has_more())
            and (outs is None or not (outs.audio_tokens or outs.image_tokens or outs.provisioned_tokens))
        ):
            meters = {"input_uncached": prompt - cached, "output_total": completion}
            if cached:
                meters["cache_read"] = cached
            if reasoning:
                meters["reasoning"] = reasoning
            return Found(meters)
    return _read_all(report, vendor, embeddings, request_ttl, flags)


_NO_IN, _NO_OUT = _In(), _Out()


def _read_all(report: _Report, vendor: str, embeddings: bool, request_ttl: str, flags: list[str]) -> Found:
    if not _in_range(report, flags):
        return _INVALID
    prompt, completion, total = report.prompt_tokens, report.completion_tokens, report.total_tokens
    if completion is None and embeddings and prompt is not None:
        completion = 0
    elif completion is None and prompt is not None and total is not None and total >= prompt:
        completion = total - prompt
    elif prompt is None and completion is not None and total is not None and total >= completion:
        prompt = total - completion
    ins = report.prompt_tokens_details or _NO_IN
    outs = report.completion_tokens_details or _NO_OUT
    meters: dict[str, int] = {}
    cached, written = _cached(report, ins, flags), _written(ins, flags)
    reasoning = outs.reasoning_tokens or report.reasoning_tokens or 0
    exclusive = False
    if prompt is not None and completion is not None and total is not None and total != prompt + completion:
        extra = cached + sum(written.values())
        exclusive = extra > 0 and total == prompt + completion + extra
        if exclusive:  # a relay before us has taken the cached ones out already
            flags.append("exclusive_detected")
            prompt += extra
        else:
            flags.append("total_mismatch")
            hidden = total - prompt - completion
            if hidden > 0 and not embeddings:  # thinking that was not itemised; it is output all the same
                completion += hidden
                reasoning = reasoning or hidden
    if prompt is not None:
        _input_meters(meters, prompt, cached, written, ins, vendor, request_ttl, flags)
    if completion is not None:
        _output_meters(meters, completion, reasoning, outs, flags)
    if report.server_tool_use is not None:
        if report.server_tool_use.web_search_requests:
            meters["web_searches"] = report.server_tool_use.web_search_requests
        if report.server_tool_use.web_fetch_requests:
            meters["web_fetches"] = report.server_tool_use.web_fetch_requests
    select: dict[str, str | bool] = {"byok": True} if report.is_byok else {}
    return Found(
        meters,
        prompt is not None,
        completion is not None,
        tuple(dict.fromkeys(flags)),
        select,
        report.service_tier or "",
        _cost(report.cost, vendor, flags),
    )


def _cached(report: _Report, ins: _In, flags: list[str]) -> int:
    """Tokens read from a cache, from whichever of the four places a vendor uses; said twice, they count once."""
    places = [n for n in (ins.cached_tokens, report.prompt_cache_hit_tokens, report.cached_tokens) if n is not None]
    timings, prompt = report.timings, report.prompt_tokens
    if not places and timings is not None and timings.cache_n is not None:  # llama.cpp
        places = [timings.cache_n]
        if timings.prompt_n is not None and prompt is not None and timings.cache_n + timings.prompt_n != prompt:
            flags.append("cache_split_mismatch")
    hit, miss = report.prompt_cache_hit_tokens, report.prompt_cache_miss_tokens
    if (hit is not None and miss is not None and prompt is not None and hit + miss != prompt) or len(set(places)) > 1:
        flags.append("cache_split_mismatch")  # the prompt and the hit are kept
    return max(places, default=0)


def _written(ins: _In, flags: list[str]) -> dict[str, int]:
    """Tokens written to a cache by lifetime; under "" those whose lifetime is not reported."""
    split = {}
    for part in (ins.cache_creation, ins.cache_write_tokens_details):
        if part is not None:
            named = (
                ("5m", part.ephemeral_5m_input_tokens),
                ("1h", part.ephemeral_1h_input_tokens),
                ("30m", part.ttl_30m_tokens),
                ("12h", part.ttl_12h_tokens),
            )
            split.update({ttl: count for ttl, count in named if count})
    whole = max(ins.cache_write_tokens or 0, ins.cache_creation_input_tokens or 0)
    labelled = sum(split.values())
    if whole > labelled:
        if labelled:
            flags.append("cache_split_mismatch")
        split[""] = whole - labelled
    elif labelled > whole and (ins.cache_write_tokens is not None or ins.cache_creation_input_tokens is not None):
        flags.append("cache_split_mismatch")
    return split


def _input_meters(
    meters: dict[str, int],
    prompt: int,
    cached: int,
    written: dict[str, int],
    ins: _In,
    vendor: str,
    request_ttl: str,
    flags: list[str],
) -> None:
    left = prompt
    read = min(cached, left)
    left -= read
    if read < cached:
        flags.append("cache_exceeds_prompt")
    for ttl, count in written.items():
        kept = min(count, left)
        left -= kept
        if kept < count:
            flags.append("cache_exceeds_prompt")
        if kept:
            name = "cache_write_" + (ttl or _ttl(vendor, request_ttl, flags))
            meters[name] = meters.get(name, 0) + kept
    audio = min(ins.audio_tokens or 0, prompt)
    image = min(ins.image_tokens or 0, prompt)
    if audio < (ins.audio_tokens or 0) or image < (ins.image_tokens or 0):
        flags.append("modality_overlap")
    read_audio = min(ins.audio_cached_tokens or 0, audio, read)
    if read_audio < (ins.audio_cached_tokens or 0):
        flags.append("modality_overlap")
    read_image = min(ins.image_cached_tokens or 0, image, read - read_audio)
    if read_image < (ins.image_cached_tokens or 0):
        flags.append("modality_overlap")
    over = audio - read_audio + image - read_image - left
    if over > 0:  # cached and modality overlap; at least so many tokens are both
        flags.append("modality_overlap")
        more = min(over, image - read_image, read - read_audio - read_image)
        read_image += more
        over -= more
        both = min(over, audio - read_audio, read - read_audio - read_image)
        read_audio += both
        over -= both
        cut = min(over, image - read_image)  # what overlaps with written tokens is billed as written
        image -= cut
        audio -= over - cut
    fresh_audio, fresh_image = audio - read_audio, image - read_image
    read -= read_audio + read_image
    meters["input_uncached"] = left - fresh_audio - fresh_image
    explicit = "cache_read_explicit" if ins.cache_type == "ephemeral" else "cache_read"
    for name, count in (
        (explicit, read),
        ("cache_read_audio", read_audio),
        ("cache_read_image", read_image),
        ("input_audio", fresh_audio),
        ("input_image", fresh_image),
        ("provisioned_input", min(ins.provisioned_tokens or 0, prompt)),
    ):
        if count:
            meters[name] = count


def _output_meters(meters: dict[str, int], completion: int, reasoning: int, outs: _Out, flags: list[str]) -> None:
    meters["output_total"] = completion
    if reasoning > completion:
        flags.append("reasoning_exceeds_output")
        reasoning = completion
    audio = min(outs.audio_tokens or 0, completion)
    image = min(outs.image_tokens or 0, completion - audio)
    if audio + image < (outs.audio_tokens or 0) + (outs.image_tokens or 0):
        flags.append("modality_overlap")
    for name, count in (
        ("reasoning", reasoning),
        ("output_audio", audio),
        ("output_image", image),
        ("provisioned_output", min(outs.provisioned_tokens or 0, completion)),
    ):
        if count:
            meters[name] = count


def _ttl(vendor: str, request_ttl: str, flags: list[str]) -> str:
    own = _WRITE_TTL.get(vendor)
    if request_ttl in _TTLS:
        if request_ttl != own:
            flags.append("ttl_from_request")
        return request_ttl
    if own is None:
        flags.append("ttl_assumed")
    return own or _TTL_ASSUMED


def _cost(raw: Raw, vendor: str, flags: list[str]) -> str:
    """Money the report names, its digits as they came, without an exponent; "" where there is none or no known unit."""
    currency = _COST_CURRENCY.get(vendor)
    if currency is None or raw is ABSENT:
        return ""
    text = bytes(raw).strip(b'"').decode("ascii", "replace")
    if text == "null" or len(text) > 64:
        return ""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return ""
    if not amount.is_finite() or abs(amount.adjusted()) > 30:
        return ""
    return f"{amount:f} {currency}"


_COUNTS_IN = tuple(name for name in _In.__struct_fields__ if name.endswith("_tokens"))
_COUNTS_OUT = _Out.__struct_fields__
_COUNTS_SPLIT = _WriteSplit.__struct_fields__
_COUNTS_TOP = tuple(name for name in _Report.__struct_fields__ if name.endswith("_tokens"))


def _in_range(report: _Report, flags: list[str]) -> bool:
    """False where prompt or completion is no count; other impossible counts are dropped from the report and flagged."""
    for name in ("prompt_tokens", "completion_tokens"):
        count = getattr(report, name)
        if count is not None and not 0 <= count <= COUNT_MAX:
            return False
    ins = report.prompt_tokens_details
    parts: list[tuple[msgspec.Struct | None, tuple[str, ...]]] = [
        (report, _COUNTS_TOP),
        (ins, _COUNTS_IN),
        (report.completion_tokens_details, _COUNTS_OUT),
        (report.timings, ("cache_n", "prompt_n")),
        (report.server_tool_use, ("web_search_requests", "web_fetch_requests")),
    ]
    if ins is not None:
        parts += [(ins.cache_creation, _COUNTS_SPLIT), (ins.cache_write_tokens_details, _COUNTS_SPLIT)]
    for part, names in parts:
        if part is None:
            continue
        for name in names:
            count = getattr(part, name)
            if count is not None and not 0 <= count <= COUNT_MAX:
                setattr(part, name, None)
                flags.append("invalid")
    return True


def _clean(raw: bytes) -> tuple[_Report, list[str]] | None:
    """The report with integers written as strings or as integral floats taken for what they are; None = void.

    What is not a count at all voids the report where it is the prompt's or the completion's; elsewhere it is left out.
    """
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw])
    except FAILED:
        return None
    flags: list[str] = []
    report = _Report()
    for name in _COUNTS_TOP:
        if name in members:
            count = _count(members[name])
            if count is None and name in ("prompt_tokens", "completion_tokens"):
                return None
            _set(report, name, count, flags)
    for name, kind in (
        ("prompt_tokens_details", _In),
        ("completion_tokens_details", _Out),
        ("timings", _Timings),
        ("server_tool_use", _Tools),
    ):
        if name in members:
            setattr(report, name, _clean_part(members[name], kind, flags))
    if "cost" in members:
        report.cost = members["cost"]
    for name, of in (("is_byok", bool), ("service_tier", str)):
        if name in members:
            try:
                setattr(report, name, msgspec.json.decode(members[name], type=of | None))
            except FAILED:
                flags.append("invalid")
    return report, flags


def _clean_part(raw: Raw, kind: type[msgspec.Struct], flags: list[str]) -> msgspec.Struct | None:
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw] | None)
    except FAILED:
        flags.append("invalid")
        return None
    if members is None:
        return None
    part = kind()
    for name in kind.__struct_fields__:
        if name not in members:
            continue
        if name in ("cache_creation", "cache_write_tokens_details"):
            setattr(part, name, _clean_part(members[name], _WriteSplit, flags))
        elif name == "cache_type":
            try:
                part.cache_type = msgspec.json.decode(members[name], type=str | None)  # type: ignore[attr-defined]
            except FAILED:
                flags.append("invalid")
        else:
            _set(part, name, _count(members[name]), flags)
    return part


def _set(part: msgspec.Struct, name: str, count: int | None, flags: list[str]) -> None:
    if count is None:
        flags.append("invalid")
    elif count != _NULL_COUNT:
        setattr(part, name, count)


_NULL_COUNT = -1


def _count(raw: Raw) -> int | None:
    """The count in a JSON value, `_NULL_COUNT` for null, None for what is no count. Read from its digits."""
    text = bytes(raw).strip(b'"').decode("ascii", "replace")
    if text == "null":
        return _NULL_COUNT
    if len(text) > 64 or "_" in text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or number < 0 or number > COUNT_MAX or number != number.to_integral_value():
        return None
    return int(number)
