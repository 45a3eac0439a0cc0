"""Refusals in the client's own protocol: status, headers, body, and the frame that ends a stream which has begun.

In:     a protocol's (or endpoint's) name, a `Refusal`, the call's id.
Out:    bytes and headers. One table a protocol family (protocols.md, section 8, "What a client must see"); a protocol
        that is not in `_FAMILY` (rerank, images, speech, ...) is answered as OpenAI's.
The message is what is wrong and what to change, then the call's id, so that a person can ask about it. A provider's own
words (`ProviderRefused`) stand alone and unchanged: coding agents match them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from baseload.errors import Refusal
from baseload.wire.refusals import ProviderRefused

__all__ = [
    "error_body",
    "error_headers",
    "error_type",
    "headers",
    "openai_error",
    "openai_stream_error",
    "status_of",
    "stream_error",
]

_encode = msgspec.json.Encoder().encode

_FAMILY = {
    "messages": "anthropic",
    "messages_count": "anthropic",
    "gemini": "gemini",
    "gemini_count": "gemini",
    "gemini_embed": "gemini",
    "gemini_embed_batch": "gemini",
}

# OpenAI's `error.type`; its libraries choose the exception by the status itself.
_OPENAI_TYPES = {
    401: "invalid_request_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_OPENAI_TYPES_BY_CODE = {"insufficient_quota": "insufficient_quota", "rate_limit_exceeded": "rate_limit_exceeded"}

# Anthropic: our status -> (the status it has there, `error.type`). The library chooses the exception by the status.
_ANTHROPIC = {
    400: (400, "invalid_request_error"),
    401: (401, "authentication_error"),
    402: (402, "billing_error"),
    403: (403, "permission_error"),
    404: (404, "not_found_error"),
    408: (408, "timeout_error"),
    409: (409, "conflict_error"),
    413: (413, "request_too_large"),
    429: (429, "rate_limit_error"),
    500: (500, "api_error"),
    503: (529, "overloaded_error"),  # no provider, overloaded, draining: what its clients know as "come back later"
    504: (504, "timeout_error"),
    529: (529, "overloaded_error"),
}
_ANTHROPIC_BY_CODE = {"insufficient_quota": (402, "billing_error")}

# Gemini: our status -> (the status it has there, `error.status`).
_GEMINI = {
    400: (400, "INVALID_ARGUMENT"),
    401: (401, "UNAUTHENTICATED"),
    402: (429, "RESOURCE_EXHAUSTED"),
    403: (403, "PERMISSION_DENIED"),
    404: (404, "NOT_FOUND"),
    408: (408, "DEADLINE_EXCEEDED"),
    409: (409, "ABORTED"),
    429: (429, "RESOURCE_EXHAUSTED"),
    500: (500, "INTERNAL"),
    502: (502, "UNAVAILABLE"),
    503: (503, "UNAVAILABLE"),
    504: (504, "DEADLINE_EXCEEDED"),
    529: (503, "UNAVAILABLE"),
}
_GEMINI_REASONS = {"invalid_api_key": "API_KEY_INVALID"}  # Google's own word where there is one
_RPC = "type.googleapis.com/google.rpc."


def status_of(protocol: str, refusal: Refusal) -> int:
    """The HTTP status of a refusal in a protocol: it decides the exception class of the official libraries."""
    family = _FAMILY.get(protocol)
    if family == "anthropic":
        return _anthropic_kind(refusal)[0]
    if family == "gemini":
        return _gemini_kind(refusal)[0]
    return refusal.status


def error_body(protocol: str, refusal: Refusal, call_id: str) -> bytes:
    """The body of an error reply that is no stream."""
    return _encode(_BODIES[_FAMILY.get(protocol, "openai")](refusal, call_id))


def error_headers(protocol: str, refusal: Refusal, call_id: str = "") -> list[tuple[str, str]]:
    """Whether and when to repeat: `retry-after` in whole seconds, `x-should-retry`; Anthropic's `request-id`."""
    found = []
    if refusal.retry_after_s is not None:
        found.append(("retry-after", str(max(0, math.ceil(refusal.retry_after_s)))))
    if refusal.should_retry is not None:
        found.append(("x-should-retry", "true" if refusal.should_retry else "false"))
    if call_id and _FAMILY.get(protocol) == "anthropic":
        found.append(("request-id", call_id))
    return found


def stream_error(protocol: str, refusal: Refusal, call_id: str, sequence: int = 0) -> bytes:
    """The SSE frame that ends a stream which has begun. `sequence` is Responses' next `sequence_number`."""
    family = _FAMILY.get(protocol, "openai")
    body = _BODIES[family](refusal, call_id)
    if family == "anthropic":
        return b"event: error\ndata: " + _encode(body) + b"\n\n"
    if protocol == "responses":
        # The reference has code and message at the top; newer clients read `error`, and OpenAI's Python library
        # raises only on a frame that has one. Both are there.
        error = body["error"]
        flat = {"type": "error", "code": error["code"], "message": error["message"], "param": error["param"]}
        flat |= {"sequence_number": sequence, "error": error}
        return b"event: error\ndata: " + _encode(flat) + b"\n\n"
    return b"data: " + _encode(body) + b"\n\n"


def error_type(code: str, status: int) -> str:
    """OpenAI's `error.type`: by code where it has one of its own, else by status; all of 5xx is `server_error`."""
    return (
        _OPENAI_TYPES_BY_CODE.get(code)
        or _OPENAI_TYPES.get(status)
        or ("server_error" if status >= 500 else "invalid_request_error")
    )


def _message(refusal: Refusal, call_id: str) -> str:
    """The words first: what a program matches at the start of a message must be there."""
    if not call_id or (isinstance(refusal, ProviderRefused) and refusal.verbatim):
        return str(refusal)
    return f"{refusal} (call {call_id})"


def _openai(refusal: Refusal, call_id: str) -> dict[str, Any]:
    error: dict[str, Any] = {
        "message": _message(refusal, call_id),
        "type": error_type(refusal.code, refusal.status),
        "param": refusal.param,
        "code": refusal.code,
    }
    if isinstance(refusal, ProviderRefused) and (refusal.provider_type or refusal.provider_code):
        if refusal.provider_code and refusal.code == "invalid_request":  # a more exact word than ours
            error["code"] = refusal.provider_code
        error["provider_error"] = {"type": refusal.provider_type or None, "code": refusal.provider_code or None}
    return {"error": error}


def _anthropic_kind(refusal: Refusal) -> tuple[int, str]:
    status = refusal.status
    return (
        _ANTHROPIC_BY_CODE.get(refusal.code)
        or _ANTHROPIC.get(status)
        or (status, "api_error" if status >= 500 else "invalid_request_error")
    )


def _anthropic(refusal: Refusal, call_id: str) -> dict[str, Any]:
    code = refusal.code
    if isinstance(refusal, ProviderRefused) and refusal.provider_code:
        code = refusal.provider_code  # the library has a class for many of Anthropic's own
    error = {
        "type": _anthropic_kind(refusal)[1],
        "message": _message(refusal, call_id),
        "details": {"error_code": code},
    }
    return {"type": "error", "error": error, "request_id": call_id or None}


def _gemini_kind(refusal: Refusal) -> tuple[int, str]:
    status = refusal.status
    return _GEMINI.get(status) or (status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")


def _gemini(refusal: Refusal, call_id: str) -> dict[str, Any]:
    status, word = _gemini_kind(refusal)
    reason = _GEMINI_REASONS.get(refusal.code, refusal.code.upper())
    metadata = {"call": call_id} if call_id else {}
    if isinstance(refusal, ProviderRefused) and refusal.provider_code:
        metadata["providerCode"] = refusal.provider_code
    details: list[dict[str, Any]] = [
        {"@type": _RPC + "ErrorInfo", "reason": reason, "domain": "baseload", "metadata": metadata}
    ]
    if refusal.param:
        violation = {"field": refusal.param, "description": refusal.say}
        details.append({"@type": _RPC + "BadRequest", "fieldViolations": [violation]})
    if refusal.retry_after_s is not None and refusal.should_retry is not False:
        delay = f"{max(0, math.ceil(refusal.retry_after_s))}s"
        details.append({"@type": _RPC + "RetryInfo", "retryDelay": delay})
    return {"error": {"code": status, "message": _message(refusal, call_id), "status": word, "details": details}}


_BODIES: dict[str, Callable[[Refusal, str], dict[str, Any]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
}


# OpenAI's shape under its first names.


def openai_error(refusal: Refusal, call_id: str) -> bytes:
    """The body of an error reply: `{"error":{"message","type","param","code"}}`."""
    return error_body("chat", refusal, call_id)


def headers(refusal: Refusal) -> list[tuple[str, str]]:
    """What tells OpenAI's libraries whether and when to repeat."""
    return error_headers("chat", refusal)


def openai_stream_error(say: str, code: str) -> bytes:
    """A frame that ends a stream which has begun: OpenAI's libraries raise on any frame with an `error`."""
    return stream_error("chat", Refusal(say, code=code, status=502), "")
