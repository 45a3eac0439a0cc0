"""Documented failures of Anthropic, Gemini, Vertex, Bedrock and DashScope's native door (vendors.md, section 3)."""

from __future__ import annotations

from tests.vendors.failures_shapes import Failure, anthropic, bedrock, google, qwen

_LIMITS = tuple(
    (f"anthropic-ratelimit-{what}-{name}", value)
    for what in ("requests", "tokens", "input-tokens", "output-tokens")
    for name, value in (("limit", "50"), ("remaining", "0"), ("reset", "2026-11-24T12:00:00Z"))
)
_TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
_GOOGLE_COMMON: dict[str, Failure] = {
    "no_money": google(402, "Your prepayment credits are depleted."),
    "rate_limited": google(
        429,
        "Resource has been exhausted (e.g. check quota).",
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaMetric": "requests"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"},
    ),
    "too_long": google(400, _TOO_LONG),
    "overloaded": google(503, "The model is overloaded. Please try again later."),
    "overloaded/2": google(503, "The model is overloaded. Please try again later.", array=True),
    "bad_request": google(400, "Invalid value at 'generation_config.temperature'."),
    "not_found": google(404, "models/m is not found for API version v1beta."),
}

OWN: dict[str, dict[str, Failure]] = {
    "anthropic": {
        "bad_key": anthropic(401, "invalid x-api-key"),
        "no_money": anthropic(402, "Spend limit reached.", "linked_organization_spend_limit_reached"),
        "no_money/2": anthropic(429, "Spend limit reached.", "contract_spend_limit_reached"),
        "no_money/3": anthropic(429, "Spend limit reached.", "enforced_spend_limit_reached"),
        "rate_limited": anthropic(
            429, "This request would exceed your rate limit.", "", ("retry-after", "12"), *_LIMITS
        ),
        "rate_limited/2": anthropic(429, "Growing too fast.", "ramp_limit_exceeded", ("retry-after", "20")),
        "too_long": anthropic(400, "prompt is too long: 210000 tokens > 200000 maximum"),
        "overloaded": anthropic(529, "Overloaded"),
        "bad_request": anthropic(400, "temperature: Input should be less than or equal to 1"),
        "not_found": anthropic(404, "model: m"),
    },
    "gemini": {
        "bad_key": google(
            400,
            "API key not valid. Please pass a valid API key.",
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
            },
        ),
        "bad_key/2": google(401, "Request had invalid authentication credentials."),
        "bad_key/3": google(403, "Method doesn't allow unregistered callers."),
        **_GOOGLE_COMMON,
    },
    "vertex": {
        "bad_key": google(401, "Request had invalid authentication credentials."),
        "bad_key/2": google(403, "Permission 'aiplatform.endpoints.predict' denied."),
        **_GOOGLE_COMMON,
    },
    "bedrock": {
        "bad_key": bedrock(
            403, "UnrecognizedClientException", "The security token included in the request is invalid."
        ),
        "bad_key/2": bedrock(403, "AccessDeniedException", "You don't have access to the model."),
        "rate_limited": bedrock(429, "ThrottlingException", "Too many requests, please wait before trying again."),
        "rate_limited/2": bedrock(400, "ServiceQuotaExceededException", "Your account has reached a quota."),
        "too_long": bedrock(400, "ValidationException", "Input is too long for requested model."),
        "overloaded": bedrock(503, "ServiceUnavailableException", "The service is unavailable."),
        "overloaded/2": bedrock(429, "ModelNotReadyException", "The model is not ready for inference."),
        "overloaded/3": bedrock(408, "ModelTimeoutException", "The model took too long."),
        "overloaded/4": bedrock(424, "ModelErrorException", "The model failed."),
        "bad_request": bedrock(400, "ValidationException", "The temperature is out of range."),
        "not_found": bedrock(404, "ResourceNotFoundException", "Could not resolve the foundation model."),
    },
}

QWEN: dict[str, Failure] = {
    "bad_key": qwen(401, "InvalidApiKey", "Invalid API-key provided."),
    "no_money": qwen(400, "Arrearage", "Access denied, your account is in arrears."),
    "no_money/2": qwen(200, "Arrearage", "Access denied, your account is in arrears."),
    "no_money/3": qwen(403, "AllocationQuota.FreeTierOnly"),
    "rate_limited": qwen(429, "Throttling.RateQuota", "Requests rate limit exceeded."),
    "rate_limited/2": qwen(200, "Throttling.RateQuota", "Requests rate limit exceeded."),
    "filtered": qwen(400, "DataInspectionFailed", "Input data may contain inappropriate content."),
    "too_long": qwen(400, "InvalidParameter", "Range of input length should be [1, 129024]"),
    "overloaded": qwen(503, "ServiceUnavailable"),
    "bad_request": qwen(400, "InvalidParameter", "temperature is out of range"),
    "not_found": qwen(404, "ModelNotFound", "Model not exist."),
}
