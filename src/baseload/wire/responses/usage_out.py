"""Meters -> the usage object of Responses: input includes what was read and written, output includes reasoning.

In:     disjoint meters (`wire.usage`). Out: `usage`, and `tool_usage` where tools were used.
Read again by `usage.read` they are the same meters (lesson 20), but for what no member says: `tool_prompt` (inside
the input), provisioned tokens, and images read from a cache (counted as text read from it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_READS = ("cache_read", "cache_read_explicit", "cache_read_audio", "cache_read_image")
_FRESH = ("input_uncached", "input_audio", "input_image", "input_video")
_WRITES_OWN = {"cache_write_30m": "ttl_30m_tokens", "cache_write_12h": "ttl_12h_tokens"}
_WRITES_OTHER = {"cache_write_5m": "ephemeral_5m_input_tokens", "cache_write_1h": "ephemeral_1h_input_tokens"}


def write(meters: Mapping[str, int]) -> dict[str, Any]:
    """The `usage` member."""
    get = meters.get
    read = sum([get(name, 0) for name in _READS])
    own = {member: get(name, 0) for name, member in _WRITES_OWN.items()}
    other = {member: get(name, 0) for name, member in _WRITES_OTHER.items()}
    written = sum(own.values()) + sum(other.values())
    ins: dict[str, Any] = {"cached_tokens": read, "cache_write_tokens": written}
    if any(own.values()):
        ins["cache_write_tokens_details"] = own
    if any(other.values()):  # lifetimes that OpenAI does not have, as vendors of its protocol name them
        ins["cache_creation"] = other
    if get("cache_read_explicit", 0):
        ins["cache_type"] = "ephemeral"
    audio, audio_read = get("input_audio", 0), get("cache_read_audio", 0)
    if audio or audio_read:
        ins["audio_tokens"] = audio + audio_read
    if audio_read:
        ins["audio_cached_tokens"] = audio_read
    if get("input_image", 0):
        ins["image_tokens"] = get("input_image", 0)
    outs: dict[str, Any] = {"reasoning_tokens": get("reasoning", 0)}
    for name, member in (("output_audio", "audio_tokens"), ("output_image", "image_tokens")):
        if get(name, 0):
            outs[member] = get(name, 0)
    whole_in = read + written + sum([get(name, 0) for name in _FRESH])
    whole_out = get("output_total", 0)
    return {
        "input_tokens": whole_in,
        "input_tokens_details": ins,
        "output_tokens": whole_out,
        "output_tokens_details": outs,
        "total_tokens": whole_in + whole_out,
    }


def write_tools(meters: Mapping[str, int]) -> dict[str, Any] | None:
    """The `tool_usage` member of the reply; None where no tool was used."""
    searches = meters.get("web_searches", 0)
    if not searches:
        return None
    none = {"image_tokens": 0, "text_tokens": 0}
    images = {
        "input_tokens": 0,
        "input_tokens_details": none,
        "output_tokens": 0,
        "output_tokens_details": none,
        "total_tokens": 0,
    }
    return {"image_gen": images, "web_search": {"num_requests": searches}}
