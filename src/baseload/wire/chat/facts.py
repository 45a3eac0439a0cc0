"""Reads a whole (not streamed) reply of `chat`, `completions` or `embeddings`. Never raises: garbage is a fact too.

In:     the body bytes. Out: `Facts`. HTTP 200 does not mean success: see `Facts.error`.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.chat.shapes import choices_or_none, decode_loose, text_or_empty, timings_report
from baseload.wire.metering import Facts
from baseload.wire.raw import ABSENT, FAILED


class _Choice(msgspec.Struct, gc=False):
    message: Raw = ABSENT
    finish_reason: str | None = None
    text: Raw = ABSENT
    usage: Raw = ABSENT


class _Body(msgspec.Struct, gc=False):
    """What nearly every reply fits; the others are read by `Loose`."""

    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    timings: Raw = ABSENT
    base_resp: Raw = ABSENT
    message: Raw = ABSENT


class _Message(msgspec.Struct, gc=False):
    content: Raw = ABSENT
    reasoning_content: Raw = ABSENT
    reasoning: Raw = ABSENT
    refusal: Raw = ABSENT
    tool_calls: Raw = ABSENT


_decode = msgspec.json.Decoder(_Body).decode
_decode_message = msgspec.json.Decoder(_Message).decode


def read_reply(endpoint: str, body: bytes) -> Facts:
    """Facts of a reply body to a call of `endpoint`."""
    try:
        found = _decode(body)
    except FAILED:
        body = half_surrogates_masked(body)
        try:
            found = _decode_loosely(body)
        except FAILED:
            return Facts(malformed=True)
    choices = found.choices if found.choices and endpoint != "embeddings" else []
    reasons: tuple[str, ...] = ()
    usage = bytes(found.usage)
    if usage[:1] != b"{":
        usage = b""
    for choice in choices:
        if choice.finish_reason:
            reasons = (*reasons, choice.finish_reason)
        if not usage and choice.usage is not ABSENT and memoryview(choice.usage)[0] == _BRACE:
            usage = bytes(choice.usage)  # Moonshot
    reply = Facts(
        usage, [usage] if usage else [], found.model or "", found.service_tier or "", found.id or "", b"", reasons
    )
    if found.error is not ABSENT or found.message is not ABSENT or found.base_resp is not ABSENT:
        reply.error = decode_loose(body).error_in(body)
    if not usage:
        reply.text_bytes = sum(map(_text_bytes, choices))
    elif found.timings is not ABSENT and (timings := timings_report(usage, found.timings)):
        reply.usages.append(timings)
    return reply


_BRACE = 0x7B


def _decode_loosely(body: bytes) -> _Body:
    loose = decode_loose(body)
    return _Body(
        text_or_empty(loose.id),
        text_or_empty(loose.model),
        text_or_empty(loose.service_tier),
        [
            _Choice(choice.message, text_or_empty(choice.finish_reason), choice.text, choice.usage)
            for choice in choices_or_none(loose.choices)
        ],
        loose.usage,
        loose.error,
        loose.timings,
        loose.base_resp,
        loose.message,
    )


def _text_bytes(choice: _Choice) -> int:
    parts = [choice.text]
    try:
        message = _decode_message(choice.message)
    except FAILED:
        pass
    else:
        reasoning = message.reasoning_content if len(message.reasoning_content) > 2 else message.reasoning
        parts += [message.content, reasoning, message.refusal, message.tool_calls]
    return sum([len(part) - 2 for part in parts if len(part) > 2 and bytes(part) != b"null"])
