"""How each vendor writes a failure: code and words -> status, body, headers. Pure."""

from __future__ import annotations

import json
from typing import Any

Failure = tuple[int, bytes, tuple[tuple[str, str], ...]]

RETRY = ("retry-after", "2")


def dump(value: object) -> bytes:
    """JSON in UTF-8; as escapes where a text has half a surrogate pair, which UTF-8 cannot carry."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def openai(status: int, code: Any, kind: Any = None, message: str = "It failed.", *headers: tuple[str, str]) -> Failure:
    return status, dump({"error": {"message": message, "type": kind, "param": None, "code": code}}), headers


def dashscope(status: int, code: str, message: str = "It failed.") -> Failure:
    body = {"error": {"message": message, "type": code, "param": None, "code": code}, "request_id": "r-1"}
    return status, dump(body), ()


def native(code: str) -> Failure:
    return 200, dump({"Response": {"Error": {"Code": code, "Message": "It failed."}, "RequestId": "r-1"}}), ()


def qianfan(status: int, code: str) -> Failure:
    return status, dump({"error": {"code": code, "message": "It failed.", "type": code}, "id": "as-1"}), ()


def zhipu(status: int, code: int) -> Failure:
    return status, dump({"error": {"code": str(code), "message": "It failed."}}), ()


def minimax(code: int, status: int = 200) -> Failure:
    return status, dump({"base_resp": {"status_code": code, "status_msg": "It failed."}}), ()


def flat(status: int, code: int, message: str = "It failed.") -> Failure:
    return status, dump({"code": code, "message": message, "data": None}), ()


def sglang(status: int, message: str) -> Failure:
    body = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": status}
    return status, dump(body), ()


ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def anthropic(status: int, message: str = "It failed.", code: str = "", *headers: tuple[str, str]) -> Failure:
    """`code`: details.error_code."""
    error: dict[str, Any] = {"type": ANTHROPIC_TYPES.get(status, "api_error"), "message": message}
    if code:
        error["details"] = {"error_code": code}
    return status, dump({"type": "error", "error": error, "request_id": "req_sim"}), headers


def google(status: int, message: str = "It failed.", *details: dict[str, Any], array: bool = False) -> Failure:
    """`array`: wrapped as the JSON-array form of a stream does."""
    error: dict[str, Any] = {"code": status, "message": message, "status": GOOGLE_STATUSES[status]}
    if details:
        error["details"] = [*details]
    return status, dump([{"error": error}] if array else {"error": error}), ()


def bedrock(status: int, name: str, message: str = "It failed.") -> Failure:
    return status, dump({"message": message}), (("x-amzn-errortype", f"{name}:http://internal.amazon.com/"),)


def qwen(status: int, code: str, message: str = "It failed.") -> Failure:
    """DashScope's native door."""
    return status, dump({"code": code, "message": message, "request_id": "r-1"}), ()
