"""Reads a whole (not streamed) Responses reply. Never raises: garbage is a fact too.

In:     the body bytes. Out: `Facts`. HTTP 200 does not mean success: see `Facts.error`; a reply whose status is
        "failed" is a failure with whatever error it names.
"""

from __future__ import annotations

from msgspec import Raw

from baseload.wire.chat.shapes import decode_loose, is_error
from baseload.wire.metering import Facts
from baseload.wire.raw import FAILED
from baseload.wire.responses.shapes import Response, item_of, items_of, object_or_empty, response_of

FAILED_UNNAMED = b'{"status":"failed"}'
"""The error of a reply that failed and names none."""


def read_reply(body: bytes) -> Facts:
    """Facts of a reply body."""
    try:
        found = response_of(body)
    except FAILED:
        return Facts(malformed=True)
    report = found.report()
    reply = Facts(
        usage=object_or_empty(found.usage),
        usages=[report] if report else [],
        model=found.model or "",
        service_tier=found.service_tier or "",
        id=found.id or "",
        error=error_of(found),
        finish_reasons=(found.finish,) if found.finish else (),
    )
    if not reply.error and not found.status:
        reply.error = _flat_error(body)
    if not reply.usage:
        reply.text_bytes = sum([item_of(item).text_bytes for item in items_of(found.output)])
    return reply


def error_of(response: Response) -> bytes:
    """The error that a response object carries; b"" = none."""
    error: Raw = response.error
    if is_error(error):
        return bytes(error)
    return FAILED_UNNAMED if response.status == "failed" else b""


def _flat_error(body: bytes) -> bytes:
    """What is no response object may be an error in a vendor's own words (protocols.md, section 8)."""
    try:
        return decode_loose(body).error_in(body)
    except FAILED:
        return b""
