"""Errors in Google's envelope: `{"error":{"code","message","status","details"}}` (protocols.md, 8).

In:     a `Refusal`. Out: the body of an error reply, or the frame that ends a stream which has begun.
Google's libraries choose the exception by the HTTP status, and in a stream by the `code` of an object whose first
member is `error`; they wait as long as `RetryInfo` says.
"""

from __future__ import annotations

import math

import msgspec

from baseload.errors import Refusal

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_INFO = "type.googleapis.com/google.rpc."
_encode = msgspec.json.Encoder().encode


def error_object(refusal: Refusal, call_id: str) -> dict[str, object]:
    """The whole object. Our own code and the member at fault stand in its details, where Google's own do."""
    message = str(refusal)
    if call_id:
        message = f"{message} (call {call_id})"
    details: list[dict[str, object]] = [
        {"@type": _INFO + "ErrorInfo", "reason": refusal.code.upper(), "domain": "baseload"}
    ]
    if refusal.param:
        violation = {"field": refusal.param, "description": refusal.say}
        details.append({"@type": _INFO + "BadRequest", "fieldViolations": [violation]})
    if refusal.retry_after_s is not None:
        seconds = max(0, math.ceil(refusal.retry_after_s))
        details.append({"@type": _INFO + "RetryInfo", "retryDelay": f"{seconds}s"})
    status = _STATUS.get(refusal.status) or ("INTERNAL" if refusal.status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": refusal.status, "message": message, "status": status, "details": details}}


def error_body(refusal: Refusal, call_id: str) -> bytes:
    """The body of an error reply."""
    return _encode(error_object(refusal, call_id))


def error_frame(refusal: Refusal, call_id: str) -> bytes:
    """A frame that ends a stream which has begun."""
    return b"data: " + error_body(refusal, call_id) + b"\n\n"
