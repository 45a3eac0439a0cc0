"""Reads a whole Converse reply. Never raises: garbage is a fact too.

In:     the body bytes. Out: `Facts`.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.converse.shapes import coded, decode_body, string
from baseload.wire.metering import Facts
from baseload.wire.raw import ABSENT, FAILED

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def read_reply(body: bytes) -> Facts:
    """Facts of a reply body. A body without `output` that has a message is a failure, whatever its status said."""
    try:
        found = decode_body(body)
    except FAILED:
        body = half_surrogates_masked(body)
        try:
            found = decode_body(body)
        except FAILED:
            return _loose(body)
    usage = bytes(found.usage)
    if usage[:1] != b"{":
        usage = b""
    facts = Facts(usage, [usage] if usage else [])
    if found.stopReason:
        facts.finish_reasons = (found.stopReason,)
    if found.serviceTier is not None:
        facts.service_tier = found.serviceTier.type or ""
    if found.trace is not None and found.trace.promptRouter is not None:
        facts.model = found.trace.promptRouter.invokedModelId or ""
    if found.output is None and (found.message is not ABSENT or found.type is not ABSENT):
        facts.error = coded(body, string(found.type))
    if not usage and found.output is not None and found.output.message is not None:
        facts.text_bytes = sum(map(len, found.output.message.content or ()))
    return facts


def _loose(body: bytes) -> Facts:
    """What a body of surprising types still says: its usage, or that it is no JSON object."""
    try:
        members = _decode_members(body)
    except FAILED:
        return Facts(malformed=True)
    usage = bytes(members.get("usage", b""))
    if usage[:1] != b"{":
        usage = b""
    facts = Facts(usage, [usage] if usage else [])
    reason = string(members.get("stopReason", ABSENT))
    facts.finish_reasons = (reason,) if reason else ()
    if "output" not in members and "message" in members:
        facts.error = coded(body, string(members.get("__type", ABSENT)))
    elif not usage and "output" in members:
        facts.text_bytes = len(members["output"])
    return facts
