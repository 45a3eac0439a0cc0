"""Meters -> Anthropic's usage object: exclusive counters, written tokens split by lifetime.

In:     disjoint meters of `wire.usage`. Out: the object, as a dict in the order Anthropic writes it.
What has no counter of its own here is put where it is billed nearest, so that the sum stays: audio and images of the
input into `input_tokens`, of the cache into `cache_read_input_tokens`; writes for 30 minutes and 12 hours into the next
longer of the two lifetimes there are. Over two hops (`usage.read`) the numbers come back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping

_INPUT = ("input_uncached", "input_audio", "input_image", "input_video")
_READ = ("cache_read", "cache_read_explicit", "cache_read_audio", "cache_read_image")
_SHORT = ("cache_write_5m",)
_LONG = ("cache_write_30m", "cache_write_1h", "cache_write_12h")


def write(meters: Mapping[str, int]) -> dict[str, object]:
    """The usage object of a whole reply, or of `message_delta`."""
    short, long = _sum(meters, _SHORT), _sum(meters, _LONG)
    usage: dict[str, object] = {
        "input_tokens": _sum(meters, _INPUT),
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": _sum(meters, _READ),
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": meters.get("output_total", 0),
    }
    if meters.get("reasoning"):
        usage["output_tokens_details"] = {"thinking_tokens": meters["reasoning"]}
    searches, fetches = meters.get("web_searches", 0), meters.get("web_fetches", 0)
    if searches or fetches:
        usage["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": fetches}
    return usage


def _sum(meters: Mapping[str, int], names: tuple[str, ...]) -> int:
    return sum(meters.get(name, 0) for name in names)
