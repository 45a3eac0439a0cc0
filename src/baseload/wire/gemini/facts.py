"""Reads a whole (not streamed) generateContent reply. Never raises: garbage is a fact too.

In:     the body bytes. Out: `Facts`. HTTP 200 does not mean success: see `Facts.error`. A blocked prompt is an answer:
        its blockReason stands among the finish reasons.
"""

from __future__ import annotations

from baseload.wire.gemini.meter import text_bytes
from baseload.wire.gemini.shapes import decode_chunk, is_error, objects_in, traffic_tier
from baseload.wire.metering import Facts
from baseload.wire.raw import ABSENT, FAILED

_SPACE = b" \t\r\n"


def read_reply(body: bytes) -> Facts:
    """Facts of a reply body. An array (of one error, or of the pieces of a stream) is read as its members in turn."""
    facts = Facts()
    try:
        chunks = [decode_chunk(each) for each in objects_in(body.strip(_SPACE))]
    except FAILED:
        return Facts(malformed=True)
    size = 0
    for chunk in chunks:
        usage = bytes(chunk.usage_metadata)
        if usage[:1] == b"{":
            facts.usage, facts.usages = usage, [usage]
            facts.service_tier = traffic_tier(usage) or facts.service_tier
        facts.model = facts.model or chunk.model_version or ""
        facts.id = facts.id or chunk.response_id or ""
        for candidate in chunk.candidates or ():
            if candidate.finish_reason:
                facts.finish_reasons = (*facts.finish_reasons, candidate.finish_reason)
            for part in (candidate.content.parts if candidate.content is not None else None) or ():
                size += max(text_bytes(part), 0)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and not chunk.candidates:
            facts.finish_reasons = (*facts.finish_reasons, feedback.block_reason)
        if chunk.error is not ABSENT and not facts.error and is_error(chunk.error):
            facts.error = bytes(chunk.error)
    if not facts.usage:
        facts.text_bytes = size
    return facts
