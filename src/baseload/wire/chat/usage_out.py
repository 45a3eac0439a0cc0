"""Meters -> a chat usage object.

In:     disjoint meters (`wire.usage`). Out: the object. `prompt_tokens` includes what was read from and written to a
        cache, `completion_tokens` includes reasoning (protocols.md, section 7).
Read by `wire.usage.normalise("openai-chat", ...)` it gives the same meters again: written tokens carry their lifetime
in the two splits that exist (Anthropic's 5m and 1h, OpenAI's 30m and 12h), beside OpenAI's own sum. Two things have no
place in this shape: that input came from a provider's tool (`tool_prompt`), and which of the cache reads were marked,
when marked and unmarked ones meet in one call.
A side that nobody reported or counted is left out: absent is not zero.
"""

from __future__ import annotations

from typing import Any

_READS = ("cache_read", "cache_read_explicit", "cache_read_audio", "cache_read_image")
_WRITES = ("cache_write_5m", "cache_write_1h", "cache_write_30m", "cache_write_12h")
_FRESH = ("input_uncached", "input_audio", "input_image")
_INPUT = (*_FRESH, *_READS, *_WRITES)
_SPLITS = {
    "cache_creation": {
        "ephemeral_5m_input_tokens": "cache_write_5m",
        "ephemeral_1h_input_tokens": "cache_write_1h",
    },
    "cache_write_tokens_details": {"ttl_30m_tokens": "cache_write_30m", "ttl_12h_tokens": "cache_write_12h"},
}
_SEARCHES = {"web_search_requests": "web_searches", "web_fetch_requests": "web_fetches"}


def write(meters: dict[str, int]) -> dict[str, Any]:
    """The usage object of a reply, or of a stream's usage chunk."""
    usage: dict[str, Any] = {}
    prompt = _sum(meters, _INPUT) if any(name in meters for name in _INPUT) else None
    completion = meters.get("output_total")
    if prompt is not None:
        usage["prompt_tokens"] = prompt
    if completion is not None:
        usage["completion_tokens"] = completion
    if prompt is not None and completion is not None:
        usage["total_tokens"] = prompt + completion
    if prompt is not None:
        usage["prompt_tokens_details"] = _prompt(meters)
    if completion is not None:
        details = {"reasoning_tokens": meters.get("reasoning", 0)}
        _some(details, "audio_tokens", meters.get("output_audio", 0))
        _some(details, "image_tokens", meters.get("output_image", 0))
        _some(details, "provisioned_tokens", meters.get("provisioned_output", 0))
        usage["completion_tokens_details"] = details
    searches = {member: meters[name] for member, name in _SEARCHES.items() if meters.get(name)}
    if searches:
        usage["server_tool_use"] = searches
    return usage


def _prompt(meters: dict[str, int]) -> dict[str, Any]:
    get = meters.get
    details: dict[str, Any] = {"cached_tokens": _sum(meters, _READS)}
    _some(details, "audio_tokens", get("input_audio", 0) + get("cache_read_audio", 0))
    _some(details, "audio_cached_tokens", get("cache_read_audio", 0))
    _some(details, "image_tokens", get("input_image", 0) + get("cache_read_image", 0))
    _some(details, "image_cached_tokens", get("cache_read_image", 0))
    _some(details, "provisioned_tokens", get("provisioned_input", 0))
    if get("cache_read_explicit") and not get("cache_read"):
        details["cache_type"] = "ephemeral"
    written = _sum(meters, _WRITES)
    if written:
        details["cache_write_tokens"] = written
        for split, names in _SPLITS.items():
            parts = {member: meters[name] for member, name in names.items() if get(name)}
            if parts:
                details[split] = parts
    return details


def _sum(meters: dict[str, int], names: tuple[str, ...]) -> int:
    return sum([meters.get(name, 0) for name in names])


def _some(details: dict[str, Any], member: str, count: int) -> None:
    if count:
        details[member] = count
