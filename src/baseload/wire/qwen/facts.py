"""Reads a whole native DashScope reply. Never raises: garbage is a fact too.

In:     the body bytes. Out: `Facts`. HTTP 200 does not mean success: `code` and `message` in the body are a failure
        (vendors.md 3.1, protocols.md pitfall 21).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.metering import Facts
from baseload.wire.qwen.shapes import Frame, decode_frame, finish_of, is_object
from baseload.wire.raw import ABSENT, FAILED

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def read_reply(body: bytes) -> Facts:
    """Facts of a reply body."""
    try:
        found = decode_frame(body)
    except FAILED:
        return _loose(body)
    facts = _facts(found)
    if found.output is not None:
        answers = found.output.answers()
        facts.finish_reasons = tuple([reason for choice in answers if (reason := finish_of(choice))])
        if not facts.usage:
            for choice in answers:
                if choice.message is not None:
                    message = choice.message
                    facts.text_bytes += len(message.text().encode()) + len((message.reasoning_content or "").encode())
                    facts.text_bytes += sum(
                        len(call.function.arguments) for call in message.tool_calls or () if call.function
                    )
    if found.fails():
        facts.error = body.strip()
    return facts


def _facts(found: Frame) -> Facts:
    usage = bytes(found.usage) if is_object(found.usage) else b""
    return Facts(usage, [usage] if usage else [], id=found.request_id or "")


def _loose(body: bytes) -> Facts:
    """What a body of surprising types still says: its usage, a failure, or that it is no JSON object."""
    try:
        members = _decode_members(body)
    except FAILED:
        return Facts(malformed=True)
    flat = Frame(
        usage=members.get("usage", ABSENT), code=members.get("code", ABSENT), message=members.get("message", ABSENT)
    )
    facts = _facts(flat)
    output = members.get("output", ABSENT)
    if flat.fails() and bytes(output) in (b"", b"null", b"{}"):
        facts.error = body.strip()
    elif not facts.usage:
        facts.text_bytes = len(output)
    return facts
