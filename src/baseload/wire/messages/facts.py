"""Reads a whole (not streamed) Messages reply. Never raises: garbage is a fact too.

In:     the body bytes. Out: `Facts`. HTTP 200 does not mean success: see `Facts.error`.
"""

from __future__ import annotations

from baseload.wire.body import half_surrogates_masked
from baseload.wire.chat.shapes import text_or_empty
from baseload.wire.messages.shapes import decode_body, error_in, tier_of
from baseload.wire.metering import Facts
from baseload.wire.raw import FAILED


def read_reply(body: bytes) -> Facts:
    """Facts of a reply body; for count_tokens, which has no usage, only whether it is an error or garbage."""
    try:
        found = decode_body(body)
    except FAILED:
        body = half_surrogates_masked(body)
        try:
            found = decode_body(body)
        except FAILED:
            return Facts(malformed=True)
    usage = bytes(found.usage)
    if usage[:1] != b"{":
        usage = b""
    reason = text_or_empty(found.stop_reason)
    error = error_in(found, body)
    if not error and text_or_empty(found.type) == "error":
        error = body.strip()
    return Facts(
        usage=usage,
        usages=[usage] if usage else [],
        model=text_or_empty(found.model),
        service_tier=tier_of(usage) if usage else "",
        id=text_or_empty(found.id),
        error=error,
        finish_reasons=(reason,) if reason else (),
        text_bytes=max(0, len(found.content) - 2) if not usage else 0,
    )
