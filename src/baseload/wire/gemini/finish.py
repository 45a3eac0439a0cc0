"""Why a candidate ended: Google's words and the canonical ones (protocols.md, 9), one table each way."""

from __future__ import annotations

_FILTER = (
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT "
    "IMAGE_RECITATION MODEL_ARMOR ESCALATION"
)
_READ = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"} | dict.fromkeys(_FILTER.split(), "filter")

_WRITE = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "context": "MAX_TOKENS",
    "filter": "SAFETY",
    "error": "OTHER",
}


def reason_of(finish_reason: str, *, called: bool) -> str:
    """The canonical reason. Google says STOP for tool calls too; a word that is not known is a failure."""
    reason = _READ.get(finish_reason, "error")
    return "tool" if called and reason == "stop" else reason


def word_of(reason: str) -> str:
    """Google's word for a canonical reason."""
    return _WRITE.get(reason, "OTHER")
