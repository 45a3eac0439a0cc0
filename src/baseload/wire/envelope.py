"""Refusals in the client's own protocol (OpenAI's envelope; the others come with their protocols).

In:     a `Refusal`. Out: body bytes, headers, or a frame for a stream that has begun.
The message is what is wrong and what to change; the call id is added so that a person can ask about it.
"""

from __future__ import annotations

import math

import msgspec

from baseload.errors import Refusal

_encode = msgspec.json.Encoder().encode

# OpenAI's `error.type` by status (protocols.md, section 8); its libraries choose the exception by the status itself.
_TYPES = {
    401: "invalid_request_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_TYPES_BY_CODE = {"insufficient_quota": "insufficient_quota", "rate_limit_exceeded": "rate_limit_exceeded"}


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Envelope(msgspec.Struct):
    error: _Error


def error_type(code: str, status: int) -> str:
    """OpenAI's `error.type`: by code where it has one of its own, else by status; all of 5xx is `server_error`."""
    return (
        _TYPES_BY_CODE.get(code) or _TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")
    )


def openai_error(refusal: Refusal, call_id: str) -> bytes:
    """The body of an error reply: `{"error":{"message","type","param","code"}}`."""
    message = str(refusal)
    if call_id:
        message = f"{message} (call {call_id})"
    return _encode(_Envelope(_Error(message, error_type(refusal.code, refusal.status), refusal.param, refusal.code)))


def headers(refusal: Refusal) -> list[tuple[str, str]]:
    """What tells a client library whether and when to repeat: `retry-after` in whole seconds, `x-should-retry`."""
    found = []
    if refusal.retry_after_s is not None:
        found.append(("retry-after", str(max(0, math.ceil(refusal.retry_after_s)))))
    if refusal.should_retry is not None:
        found.append(("x-should-retry", "true" if refusal.should_retry else "false"))
    return found


def openai_stream_error(say: str, code: str) -> bytes:
    """A frame that ends a stream which has begun: OpenAI's libraries raise on any frame with an `error`."""
    return b"data: " + _encode(_Envelope(_Error(say, "server_error", None, code))) + b"\n\n"
