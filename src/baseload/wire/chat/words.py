"""Words of chat and what they are called in the canonical form, as tables (protocols.md, section 9).

In:     a vendor's word. Out: ours, and the other way round.
"""

from __future__ import annotations

FINISH_IN: dict[str, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "filter",
    # Vendors' own: DeepSeek (3.2), Zhipu (3.7), Tencent (3.6), OpenRouter (3.16).
    "insufficient_system_resource": "error",
    "aborted": "error",
    "network_error": "error",
    "error": "error",
    "sensitive": "filter",
    "model_context_window_exceeded": "context",
    # Other protocols' words, which relays let through.
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "tool_use": "tool",
    "refusal": "filter",
    "pause_turn": "pause",
}
"""`finish_reason` of any vendor -> one of `events.FINISHES`; an unknown word counts as stop."""

FINISH_OUT: dict[str, str] = {
    "stop": "stop",
    "length": "length",
    "tool": "tool_calls",
    "filter": "content_filter",
    "stop_sequence": "stop",
    "context": "length",
    "pause": "stop",  # no counterpart: what there is, is given
}
"""One of `events.FINISHES` -> `finish_reason`. "error" is missing: chat has no word for it (see `reply_out`)."""

TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast"))
TIER_OUT: dict[str, str] = {"standard": "default", "on_demand": "default", "standard_only": "default"}
"""Other protocols' names of a tier -> `service_tier`."""


def finish_of(native: str, tools: bool) -> str:
    """The reason behind a vendor's word. Forced calls and some vendors say `stop` where tool results are awaited."""
    reason = FINISH_IN.get(native, "stop")
    return "tool" if tools and reason == "stop" else reason


def tier_of(tier: str) -> str:
    """The tier as chat names it; "" where chat has no such word."""
    tier = TIER_OUT.get(tier, tier)
    return tier if tier in TIERS else ""
