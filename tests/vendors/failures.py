"""Documented failures: (dialect, class, endpoint) -> status, body, headers. Without own words: OpenAI's shape.

Classes: bad_key, no_money, rate_limited, filtered, too_long, overloaded, bad_request, not_found; where a vendor has two
faces of one class, the second is named `class/2`. The other protocols' are in `failures_more.py`. A refusal that comes
as a healthy reply (Anthropic, Gemini and Bedrock filter so) is none of these: `Fault(failure="filtered")` makes the
reply there.
"""

from __future__ import annotations

import json

from tests.vendors import failures_more as more
from tests.vendors.dialects import VENDORS
from tests.vendors.failures_shapes import (
    RETRY,
    Failure,
    anthropic,
    dashscope,
    dump,
    flat,
    minimax,
    native,
    openai,
    qianfan,
    sglang,
    zhipu,
)

_EMPTY = b""

COMMON: dict[str, Failure] = {
    "bad_key": openai(401, "invalid_api_key", "invalid_request_error", "Incorrect API key provided."),
    "no_money": openai(402, "insufficient_balance", None, "Insufficient balance"),
    "rate_limited": openai(429, "rate_limit_exceeded", "requests", "Rate limit reached."),
    "filtered": openai(400, "content_filter", None, "The prompt was filtered."),
    "too_long": openai(
        400, "context_length_exceeded", "invalid_request_error", "maximum context length is 4096 tokens"
    ),
    "overloaded": openai(503, None, "server_error", "Overloaded."),
    "bad_request": openai(400, "invalid_request_error", "invalid_request_error", "Wrong temperature."),
    "not_found": openai(404, "model_not_found", "invalid_request_error", "The model does not exist."),
}

OWN: dict[str, dict[str, Failure]] = {
    "openai": {
        "no_money": openai(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
        "rate_limited": openai(429, "rate_limit_exceeded", "tokens", "Slow down.", RETRY, ("retry-after-ms", "1500")),
        "filtered": openai(400, "content_policy_violation"),
        "overloaded": openai(500, None, "server_error"),
        "overloaded/2": (503, _EMPTY, ()),
    },
    "azure": {
        "no_money": openai(403, "insufficient_quota"),
        "rate_limited": openai(429, "429", None, "Slow down.", ("retry-after-ms", "900"), RETRY),
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
        "bad_key": dashscope(401, "invalid_api_key"),
        "no_money": dashscope(400, "Arrearage", "Access denied, your account is in arrears."),
        "no_money/2": (200, dump({"code": "Arrearage", "message": "Overdue.", "request_id": "r-1"}), ()),
        "rate_limited": dashscope(429, "limit_requests"),
        "rate_limited/2": dashscope(429, "insufficient_quota"),  # the trap: tokens per minute, not money
        "rate_limited/3": (200, dump({"code": "Throttling.RateQuota", "message": "x", "request_id": "r-1"}), ()),
        "filtered": dashscope(400, "data_inspection_failed"),
        "too_long": dashscope(400, "InvalidParameter", "Range of input length should be [1, 129024]"),
        "overloaded": dashscope(503, "ServiceUnavailable"),
    },
    "deepseek": {
        "bad_key": openai(401, "invalid_request_error", "authentication_error", "Authentication Fails"),
        "no_money": openai(402, "invalid_request_error", "unknown_error", "Insufficient Balance"),
        "rate_limited": openai(429, None, None, "Too many concurrent requests"),
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
        "bad_key": openai(401, "AuthenticationError", "Unauthorized"),
        "no_money": openai(403, "AccountOverdueError", "Forbidden"),
        "rate_limited": openai(429, "RateLimitExceeded.EndpointRPMExceeded", "TooManyRequests"),
        "filtered": openai(400, "SensitiveContentDetected", "BadRequest"),
        "overloaded": openai(429, "ServerOverloaded", "TooManyRequests"),
        "overloaded/2": openai(503, "ServerOverloaded"),
        "not_found": openai(404, "InvalidEndpointOrModel.ModelIDAccessDisabled", "NotFound"),
    },
    "qianfan": {
        "bad_key": qianfan(401, "invalid_iam_token"),
        "no_money": openai(403, "insufficient_balance"),
        "rate_limited": qianfan(429, "rpm_rate_limit_exceeded"),
        "rate_limited/2": (200, dump({"error_code": 18, "error_msg": "Open api qps request limit reached"}), ()),
        "too_long": qianfan(400, "tokens_too_long"),
        "bad_request": qianfan(400, "malformed_json"),
        "not_found": qianfan(400, "invalid_model"),
    },
    "moonshot": {
        "bad_key": openai(401, None, "invalid_authentication_error", "Invalid Authentication"),
        "no_money": openai(429, None, "exceeded_current_quota_error", "Your account is suspended."),
        "rate_limited": openai(429, None, "rate_limit_reached_error", "Slow down.", ("x-ratelimit-reset", "3")),
        "overloaded": openai(429, None, "engine_overloaded_error", "The engine is overloaded."),
        "filtered": openai(400, None, "content_filter", "The request was rejected."),
        "too_long": openai(400, None, "invalid_request_error", "Your request exceeded model token limit: 8192"),
    },
    "tencent": {
        "bad_key": native("AuthFailure.SignatureFailure"),
        "no_money": native("ResourceUnavailable.InArrears"),
        "rate_limited": native("LimitExceeded"),
        "filtered": native("OperationDenied.TextIllegalDetected"),
        "overloaded": native("FailedOperation.EngineServerError"),
    },
    "zhipu": {
        "bad_key": zhipu(401, 1000),
        "no_money": zhipu(429, 1113),
        "rate_limited": zhipu(429, 1302),
        "filtered": zhipu(400, 1301),
        "too_long": zhipu(400, 1261),
        "overloaded": zhipu(429, 1305),
    },
    "minimax": {
        "bad_key": minimax(1004),
        "no_money": minimax(1008),
        "rate_limited": minimax(1002),
        "filtered": minimax(1026),
        "too_long": minimax(1039),
        "overloaded": minimax(1033),
        "rate_limited/2": minimax(1002, 429),
    },
    "siliconflow": {
        "bad_key": (401, b'"Invalid token"', ()),
        "no_money": flat(403, 30001, "Sorry, your account balance is insufficient"),
        "rate_limited": flat(429, 50000, "Request was rejected due to rate limiting"),
        "filtered": flat(451, 50001),
        "too_long": (413, _EMPTY, ()),
        "overloaded": (504, _EMPTY, ()),
        "not_found": flat(400, 20012, "Model does not exist"),
    },
    "openrouter": {
        "bad_key": openai(401, 401, None, "No auth credentials found"),
        "no_money": openai(402, 402, None, "Insufficient credits"),
        "no_money/2": openai(200, 402, None, "Insufficient credits"),
        "rate_limited": openai(429, 429, None, "Rate limited", RETRY),
        "rate_limited/2": openai(200, 429, None, "Rate limited upstream"),
        "filtered": openai(403, 403, None, "Flagged"),
        "too_long": openai(400, 400, None, "This endpoint's maximum context length is 4096 tokens."),
        "overloaded": openai(502, 502, None, "Provider returned error"),
    },
    "vllm": {
        "bad_key": (401, b'{"error":"Unauthorized"}', ()),
        "too_long": openai(400, 400, "BadRequestError", "This model's maximum context length is 2048 tokens."),
        "overloaded": (503, _EMPTY, ()),
        "not_found": openai(404, 404, "NotFoundError", "The model `m` does not exist."),
    },
    "sglang": {
        "too_long": sglang(400, "The input (9000 tokens) exceeds the model's context length (2048 tokens)."),
        "overloaded": sglang(503, "The request queue is full."),
        "bad_request": sglang(400, "temperature must be non-negative"),
    },
    "llamacpp": {
        "bad_key": openai(401, 401, "authentication_error", "Invalid API Key"),
        "too_long": openai(400, 400, "exceed_context_size_error", "the request exceeds the available context size"),
        "overloaded": openai(503, 503, "unavailable_error", "no slot"),
    },
    "ollama": {
        "overloaded": (503, b'{"error":"server busy"}', ()),
        "not_found": (404, b'{"error":"model \\"m\\" not found, try pulling it first"}', ()),
    },
}

SAME = {"azure_deployments": "azure"}
ENDPOINTS: dict[str, dict[str, Failure]] = {"qwen": more.QWEN}


def failure(dialect: str, kind: str, endpoint: str = "") -> Failure:
    """Said by `endpoint` ("" = the one the vendor is known for). KeyError where there is no such failure."""
    endpoint = endpoint or VENDORS[dialect].main
    dialect = SAME.get(dialect, dialect)
    if dialect in more.OWN:
        return more.OWN[dialect][kind]
    if endpoint in ENDPOINTS:
        return ENDPOINTS[endpoint][kind]
    own = OWN.get(dialect, {})
    said = own[kind] if kind in own else COMMON[kind]
    return _as_anthropic(said) if endpoint.startswith("messages") else said


def kinds(dialect: str) -> list[str]:
    """Every class this dialect can fail with."""
    dialect = SAME.get(dialect, dialect)
    return sorted(more.OWN[dialect] if dialect in more.OWN else {*COMMON, *OWN.get(dialect, {})})


def _as_anthropic(said: Failure) -> Failure:
    """A compatible vendor's failure at its Anthropic door: the same status, its words in Anthropic's envelope. What is
    no `error` object stays as it is (MiniMax's base_resp, bodies without JSON)."""
    status, data, headers = said
    try:
        error = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        return said
    if status == 200 or not isinstance(error, dict):
        return said
    code = str(error.get("code") or error.get("type") or "")
    _, body, _ = anthropic(status, f"{error['message']} ({code})" if code else error["message"])
    return status, body, headers
