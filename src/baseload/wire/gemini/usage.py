"""Gemini's usageMetadata -> meters.

In:     one raw report. Out: `Found`.
`promptTokenCount` includes what was read from a cache; `toolUsePromptTokenCount` is extra input; `thoughtsTokenCount`
is outside `candidatesTokenCount` (protocols.md, 7). Lists by modality may leave TEXT out: text is the remainder.
Google's JSON leaves a zero out: beside a prompt and a total, absent candidates are zero.
"""

from __future__ import annotations

import msgspec

from baseload.wire.found import COUNT_MAX, Found
from baseload.wire.gemini.shapes import tier_of
from baseload.wire.raw import FAILED

_INVALID = Found({}, input_known=False, output_known=False, flags=("invalid",))


class _Modality(msgspec.Struct, gc=False, rename="camel"):
    modality: str | None = None
    token_count: int | None = None


class _Report(msgspec.Struct, gc=False, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_Modality] | None = None
    cache_tokens_details: list[_Modality] | None = None
    candidates_tokens_details: list[_Modality] | None = None
    traffic_type: str | None = None


_decode = msgspec.json.Decoder(_Report).decode
_COUNTS = tuple(name for name in _Report.__struct_fields__ if name.endswith("_count"))


def read(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """One report. A count that is no count voids the report, flagged."""
    del vendor, request_ttl  # one vendor's shape; a cache is written and billed elsewhere (storage per token-hour)
    try:
        report = _decode(raw)
    except FAILED:
        return _INVALID
    lists = (report.prompt_tokens_details, report.cache_tokens_details, report.candidates_tokens_details)
    counts = [getattr(report, name) for name in _COUNTS]
    counts += [each.token_count for details in lists for each in details or ()]
    if any(count is not None and not 0 <= count <= COUNT_MAX for count in counts):
        return _INVALID
    flags: list[str] = []
    prompt, total = report.prompt_token_count, report.total_token_count
    candidates, thoughts = report.candidates_token_count, report.thoughts_token_count or 0
    tool = report.tool_use_prompt_token_count or 0
    if prompt is None and total is not None:
        prompt = max(total - (candidates or 0) - thoughts - tool, 0) if candidates is not None else None
    known = candidates is not None or thoughts > 0 or embeddings
    if candidates is None and (known or (prompt is not None and total is not None)):
        candidates = 0
    if prompt is not None and candidates is not None and total is not None:
        hidden = total - prompt - candidates - tool - thoughts
        if hidden:
            flags.append("total_mismatch")
            if hidden > 0 and not embeddings:  # thoughts that were not itemised; they are output all the same
                thoughts += hidden
    meters: dict[str, int] = {}
    if prompt is not None:
        _input(meters, report, prompt, tool, flags)
    if candidates is not None:
        _output(meters, report, candidates, thoughts, flags)
    tier = tier_of(report.traffic_type or "")
    return Found(meters, prompt is not None, candidates is not None, tuple(flags), tier=tier)


def _input(meters: dict[str, int], report: _Report, prompt: int, tool: int, flags: list[str]) -> None:
    cached = _cut(report.cached_content_token_count or 0, prompt, "cache_exceeds_prompt", flags)
    rest = prompt - cached
    text_cached = cached
    text = rest
    for kind, modality in (("audio", "AUDIO"), ("image", "IMAGE")):
        whole = _of(report.prompt_tokens_details, modality)
        read = _cut(_of(report.cache_tokens_details, modality), text_cached, "modality_overlap", flags)
        text_cached -= read
        fresh = _cut(max(whole - read, 0), text, "modality_overlap", flags)
        text -= fresh
        if read:
            meters[f"cache_read_{kind}"] = read
        if fresh:
            meters[f"input_{kind}"] = fresh
    meters["input_uncached"] = text + tool
    if text_cached:
        meters["cache_read"] = text_cached
    if tool:
        meters["tool_prompt"] = tool


def _output(meters: dict[str, int], report: _Report, candidates: int, thoughts: int, flags: list[str]) -> None:
    meters["output_total"] = candidates + thoughts
    if thoughts:
        meters["reasoning"] = thoughts
    rest = candidates
    for kind, modality in (("audio", "AUDIO"), ("image", "IMAGE")):
        own = _cut(_of(report.candidates_tokens_details, modality), rest, "modality_overlap", flags)
        rest -= own
        if own:
            meters[f"output_{kind}"] = own


def _of(details: list[_Modality] | None, modality: str) -> int:
    return sum([each.token_count or 0 for each in details or () if each.modality == modality])


def _cut(part: int, whole: int, flag: str, flags: list[str]) -> int:
    if part <= whole:
        return part
    if flag not in flags:
        flags.append(flag)
    return whole
