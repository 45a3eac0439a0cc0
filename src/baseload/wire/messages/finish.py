"""Why a reply ended, in Anthropic's words and in canonical ones (protocols.md, section 9)."""

from __future__ import annotations

CANONICAL = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool",
    "pause_turn": "pause",
    "refusal": "filter",
    "model_context_window_exceeded": "context",
}

NATIVE = {canonical: native for native, canonical in CANONICAL.items()}
"""All but "error": a reply that failed in generating has no stop reason here, it is an error."""


def canonical(reason: str) -> str:
    """A stop reason nobody wrote down yet ends a reply like any other."""
    return CANONICAL.get(reason, "stop")


def native(reason: str) -> str:
    return NATIVE.get(reason, "end_turn")
