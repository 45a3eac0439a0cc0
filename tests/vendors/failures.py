"""Documented failures: (dialect, class) -> status, body, headers. Where a vendor has no own words, OpenAI's shape.

Classes: bad_key, no_money, rate_limited, filtered, too_long, overloaded, bad_request, not_found; where a vendor has two
faces of one class, the second is named `class/2`.
"""

from __future__ import annotations

from typing import Any

from tests.vendors.dialects import dump

Failure = tuple[int, bytes, tuple[tuple[str, str], ...]]


def _openai(
    status: int, code: Any, kind: Any = None, message: str = "It failed.", *headers: tuple[str, str]
) -> Failure:
    return status, dump({"error": {"message": message, "type": kind, "param": None, "code": code}}), headers


def _dashscope(status: int, code: str, message: str = "It failed.") -> Failure:
    body = {"error": {"message": message, "type": code, "param": None, "code": code}, "request_id": "r-1"}
    return status, dump(body), ()


def _native(code: str) -> Failure:
    return 200, dump({"Response": {"Error": {"Code": code, "Message": "It failed."}, "RequestId": "r-1"}}), ()


def _qianfan(status: int, code: str) -> Failure:
    return status, dump({"error": {"code": code, "message": "It failed.", "type": code}, "id": "as-1"}), ()


def _zhipu(status: int, code: int) -> Failure:
    return status, dump({"error": {"code": str(code), "message": "It failed."}}), ()


def _minimax(code: int, status: int = 200) -> Failure:
    return status, dump({"base_resp": {"status_code": code, "status_msg": "It failed."}}), ()


def _flat(status: int, code: int, message: str = "It failed.") -> Failure:
    return status, dump({"code": code, "message": message, "data": None}), ()


def _sglang(status: int, message: str) -> Failure:
    body = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": status}
    return status, dump(body), ()


RETRY = ("retry-after", "2")
_EMPTY = b""

COMMON: dict[str, Failure] = {
    "bad_key": _openai(401, "invalid_api_key", "invalid_request_error", "Incorrect API key provided."),
    "no_money": _openai(402, "insufficient_balance", None, "Insufficient balance"),
    "rate_limited": _openai(429, "rate_limit_exceeded", "requests", "Rate limit reached."),
    "filtered": _openai(400, "content_filter", None, "The prompt was filtered."),
    "too_long": _openai(
        400, "context_length_exceeded", "invalid_request_error", "maximum context length is 4096 tokens"
    ),
    "overloaded": _openai(503, None, "server_error", "Overloaded."),
    "bad_request": _openai(400, "invalid_request_error", "invalid_request_error", "Wrong temperature."),
    "not_found": _openai(404, "model_not_found", "invalid_request_error", "The model does not exist."),
}

OWN: dict[str, dict[str, Failure]] = {
    "openai": {
        "no_money": _openai(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
        "rate_limited": _openai(429, "rate_limit_exceeded", "tokens", "Slow down.", RETRY, ("retry-after-ms", "1500")),
        "filtered": _openai(400, "content_policy_violation"),
        "overloaded": _openai(500, None, "server_error"),
        "overloaded/2": (503, _EMPTY, ()),
    },
    "azure": {
        "no_money": _openai(403, "insufficient_quota"),
        "rate_limited": _openai(429, "429", None, "Slow down.", ("retry-after-ms", "900"), RETRY),
        "filtered": (
            400,
            dump(
                {
                    "error": {
                        "message": "The response was filtered.",
                        "type": None,
                        "param": "prompt",
                        "code": "content_filter",
                        "status": 400,
                        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
                    }
                }
            ),
            (),
        ),
    },
    "dashscope": {
        "bad_key": _dashscope(401, "invalid_api_key"),
        "no_money": _dashscope(400, "Arrearage", "Access denied, your account is in arrears."),
        "no_money/2": (200, dump({"code": "Arrearage", "message": "Overdue.", "request_id": "r-1"}), ()),
        "rate_limited": _dashscope(429, "limit_requests"),
        "rate_limited/2": _dashscope(429, "insufficient_quota"),  # the trap: tokens per minute, not money
        "rate_limited/3": (200, dump({"code": "Throttling.RateQuota", "message": "x", "request_id": "r-1"}), ()),
        "filtered": _dashscope(400, "data_inspection_failed"),
        "too_long": _dashscope(400, "InvalidParameter", "Range of input length should be [1, 129024]"),
        "overloaded": _dashscope(503, "ServiceUnavailable"),
    },
    "deepseek": {
        "bad_key": _openai(401, "invalid_request_error", "authentication_error", "Authentication Fails"),
        "no_money": _openai(402, "invalid_request_error", "unknown_error", "Insufficient Balance"),
        "rate_limited": _openai(429, None, None, "Too many concurrent requests"),
        "overloaded": (503, b"Service is too busy.", ()),
        "overloaded/2": (
            200,
            dump(
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "model": "m",
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": "insufficient_system_resource",
                            "message": {"role": "assistant", "content": ""},
                        }
                    ],
                }
            ),
            (),
        ),
    },
    "volcengine": {
        "bad_key": _openai(401, "AuthenticationError", "Unauthorized"),
        "no_money": _openai(403, "AccountOverdueError", "Forbidden"),
        "rate_limited": _openai(429, "RateLimitExceeded.EndpointRPMExceeded", "TooManyRequests"),
        "filtered": _openai(400, "SensitiveContentDetected", "BadRequest"),
        "overloaded": _openai(429, "ServerOverloaded", "TooManyRequests"),
        "overloaded/2": _openai(503, "ServerOverloaded"),
        "not_found": _openai(404, "InvalidEndpointOrModel.ModelIDAccessDisabled", "NotFound"),
    },
    "qianfan": {
        "bad_key": _qianfan(401, "invalid_iam_token"),
        "no_money": _openai(403, "insufficient_balance"),
        "rate_limited": _qianfan(429, "rpm_rate_limit_exceeded"),
        "rate_limited/2": (200, dump({"error_code": 18, "error_msg": "Open api qps request limit reached"}), ()),
        "too_long": _qianfan(400, "tokens_too_long"),
        "bad_request": _qianfan(400, "malformed_json"),
        "not_found": _qianfan(400, "invalid_model"),
    },
    "moonshot": {
        "bad_key": _openai(401, None, "invalid_authentication_error", "Invalid Authentication"),
        "no_money": _openai(429, None, "exceeded_current_quota_error", "Your account is suspended."),
        "rate_limited": _openai(429, None, "rate_limit_reached_error", "Slow down.", ("x-ratelimit-reset", "3")),
        "overloaded": _openai(429, None, "engine_overloaded_error", "The engine is overloaded."),
        "filtered": _openai(400, None, "content_filter", "The request was rejected."),
        "too_long": _openai(400, None, "invalid_request_error", "Your request exceeded model token limit: 8192"),
    },
    "tencent": {
        "bad_key": _native("AuthFailure.SignatureFailure"),
        "no_money": _native("ResourceUnavailable.InArrears"),
        "rate_limited": _native("LimitExceeded"),
        "filtered": _native("OperationDenied.TextIllegalDetected"),
        "overloaded": _native("FailedOperation.EngineServerError"),
    },
    "zhipu": {
        "bad_key": _zhipu(401, 1000),
        "no_money": _zhipu(429, 1113),
        "rate_limited": _zhipu(429, 1302),
        "filtered": _zhipu(400, 1301),
        "too_long": _zhipu(400, 1261),
        "overloaded": _zhipu(429, 1305),
    },
    "minimax": {
        "bad_key": _minimax(1004),
        "no_money": _minimax(1008),
        "rate_limited": _minimax(1002),
        "filtered": _minimax(1026),
        "too_long": _minimax(1039),
        "overloaded": _minimax(1033),
        "rate_limited/2": _minimax(1002, 429),
    },
    "siliconflow": {
        "bad_key": (401, b'"Invalid token"', ()),
        "no_money": _flat(403, 30001, "Sorry, your account balance is insufficient"),
        "rate_limited": _flat(429, 50000, "Request was rejected due to rate limiting"),
        "filtered": _flat(451, 50001),
        "too_long": (413, _EMPTY, ()),
        "overloaded": (504, _EMPTY, ()),
        "not_found": _flat(400, 20012, "Model does not exist"),
    },
    "openrouter": {
        "bad_key": _openai(401, 401, None, "No auth credentials found"),
        "no_money": _openai(402, 402, None, "Insufficient credits"),
        "no_money/2": _openai(200, 402, None, "Insufficient credits"),
        "rate_limited": _openai(429, 429, None, "Rate limited", RETRY),
        "rate_limited/2": _openai(200, 429, None, "Rate limited upstream"),
        "filtered": _openai(403, 403, None, "Flagged"),
        "too_long": _openai(400, 400, None, "This endpoint's maximum context length is 4096 tokens."),
        "overloaded": _openai(502, 502, None, "Provider returned error"),
    },
    "vllm": {
        "bad_key": (401, b'{"error":"Unauthorized"}', ()),
        "too_long": _openai(400, 400, "BadRequestError", "This model's maximum context length is 2048 tokens."),
        "overloaded": (503, _EMPTY, ()),
        "not_found": _openai(404, 404, "NotFoundError", "The model `m` does not exist."),
    },
    "sglang": {
        "too_long": _sglang(400, "The input (9000 tokens) exceeds the model's context length (2048 tokens)."),
        "overloaded": _sglang(503, "The request queue is full."),
        "bad_request": _sglang(400, "temperature must be non-negative"),
    },
    "llamacpp": {
        "bad_key": _openai(401, 401, "authentication_error", "Invalid API Key"),
        "too_long": _openai(400, 400, "exceed_context_size_error", "the request exceeds the available context size"),
        "overloaded": _openai(503, 503, "unavailable_error", "no slot"),
    },
    "ollama": {
        "overloaded": (503, b'{"error":"server busy"}', ()),
        "not_found": (404, b'{"error":"model \\"m\\" not found, try pulling it first"}', ()),
    },
}


def failure(dialect: str, kind: str) -> Failure:
    """KeyError where neither the vendor nor OpenAI's shape has such a failure."""
    own = OWN.get(dialect, {})
    return own[kind] if kind in own else COMMON[kind]


def kinds(dialect: str) -> list[str]:
    """Every class this dialect can fail with."""
    return sorted({*COMMON, *OWN.get(dialect, {})})
