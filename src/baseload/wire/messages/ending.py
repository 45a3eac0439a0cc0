"""How a message ends for a client: stop reason, stop sequence, details, and the usage beside them. Whole and streamed.

In:     what the canonical reply says of its end. Out: members of a message (or of `message_delta`).
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.canon.signature import seal
from baseload.wire.messages import usage_out
from baseload.wire.messages.finish import native
from baseload.wire.raw import ABSENT

_TIERS = {"standard": "standard", "default": "standard", "priority": "priority", "batch": "batch"}


class GenerationFailed(Refusal):
    """The provider ended the reply with a failure of its own making: there is no stop reason for that here."""

    code, status = "generation_failed", 500

    def __init__(self, word: str) -> None:
        super().__init__(f"The provider failed in generating{f' ({word[:60]})' if word else ''}.", "Repeat the call.")


def ending(
    reason: str, *, tools: bool, refused: bool, stop_sequence: str = "", word: str = "", said: str = "", detail: Raw
) -> dict[str, Any]:
    """`tools`, `refused`: whether such a block came; `word`: the provider's reason; `said`: the refusal's text."""
    if reason == "stop" and tools:
        reason = "tool"
    elif refused and reason in ("stop", "filter"):
        reason = "filter"
    found: dict[str, Any] = {
        "stop_reason": native(reason),
        "stop_sequence": stop_sequence if reason == "stop_sequence" and stop_sequence else None,
    }
    if detail is not ABSENT:
        found["stop_details"] = detail
    elif reason == "filter":
        found["stop_details"] = {"type": "refusal", "category": None, "explanation": said or word or None}
    return found


def usage_of(meters: dict[str, int] | None, tier: str) -> dict[str, object]:
    usage = usage_out.write(meters or {})
    if tier in _TIERS:
        usage["service_tier"] = _TIERS[tier]
    return usage


def sealed(origin: str, signature: str, *, text: str | None = None, redacted: bool = False) -> str:
    """The signature for a client. Thinking without one is sealed as well: so it never goes to another provider."""
    return seal(origin, signature, text=text, redacted=redacted) if origin else signature
