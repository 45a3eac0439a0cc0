"""What went wrong at a provider, and what a client of ours may know of it.

In:     a vendor's facts, a failed reply's status, body and headers.
Out:    `Fault` (class, the provider's code and words, when to come back); for the client a `Refusal`.
How:    the vendor's own codes first, then words that all compatible servers share, then the status. "429" is four
        things and "no money" lives on 400, 402, 403, 429 and 200, so a status alone is asked last (`Fault.by` says so).
Never raises on a reply, whatever its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from baseload.errors import Refusal
from baseload.providers.catalogue import common_errors
from baseload.providers.mask import mask
from baseload.providers.reply import Said, read_error
from baseload.providers.retry import retry_after
from baseload.providers.vendor import ErrorRule, Vendor
from baseload.wire.refusals import ProviderRefused

__all__ = ["FAULTS", "Fault", "classify", "classify_finish", "client_view", "failed", "mask"]

FAULTS = (
    "bad_key",  # the provider does not accept our credential
    "no_money",  # our account there is empty or overdue
    "rate_limited",  # slow down
    "overloaded",  # the provider has no capacity now, whoever asks
    "filtered",  # content was refused
    "too_long",  # longer than the model's context, or the body too large
    "bad_request",  # the request itself is wrong
    "not_found",  # no such model or path at the provider
    "plan_used",  # a prepaid plan or quota is used up until it renews
    "unavailable",  # the provider fails for another reason
    "garbage",  # the reply is not one
    "timeout",  # no byte within the limit
    "cut",  # the reply ended before it was complete
    "refused_connection",  # no connection: name, route, TLS or port
    "unknown",  # it says it failed, in words nobody here knows
)

_BY_STATUS = {
    400: "bad_request",
    401: "bad_key",
    402: "no_money",
    403: "bad_key",
    404: "not_found",
    405: "not_found",
    408: "timeout",
    409: "bad_request",
    413: "too_long",
    415: "bad_request",
    422: "bad_request",
    429: "rate_limited",
    451: "filtered",
    500: "unavailable",
    502: "unavailable",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One failure. `message` is the provider's own text, for the record only: clients get `client_view`."""

    kind: str  # of FAULTS
    code: str = ""  # the provider's code, or its type word where it has none
    type: str = ""  # the provider's type word
    message: str = ""
    param: str = ""  # the request member the provider blames
    retry_after_s: float | None = None  # as the provider asked; None = it did not say
    status: int = 0  # HTTP status; 0 = no reply
    by: str = "gateway"  # what decided: "vendor" | "common" | "status" | "body" | "gateway" (no reply to judge)


def classify(vendor: Vendor, status: int, body: bytes, headers: Mapping[str, str]) -> Fault:
    """The class of a failed reply. Call it for every status of 400 and above, and for a 200 that `failed`.

    `headers` must hold those of `retry_headers` and `error_headers` of the vendor that came, and `date`.
    """
    said = read_error(body, _named(vendor.error_headers, headers))
    # OpenRouter, Google and old relays put the true status into the body of a 200.
    inner = int(said.code) if status < 400 and said.code.isdecimal() and len(said.code) == 3 else 0
    effective = inner if 400 <= inner <= 599 else status
    kind, by = _decide(vendor, effective, said)
    return Fault(
        kind=kind,
        code=said.type if said.type and said.code.isdecimal() else said.code or said.type,
        type=said.type,
        message=said.message,
        param=said.param,
        retry_after_s=retry_after(vendor.retry_headers, headers, said.retry_delay),
        status=status,
        by=by,
    )


def _named(names: tuple[str, ...], headers: Mapping[str, str]) -> str:
    """The first of some headers that came; names in any case."""
    if not names:
        return ""
    lower = {str(name).lower(): value for name, value in headers.items()}
    return next((lower[name] for name in names if isinstance(lower.get(name), str) and lower[name]), "")


def classify_finish(vendor: Vendor, finish_reason: str) -> str:
    """The class of a `finish_reason` that is a failure at this vendor although the status is 200; "" = it is none."""
    return vendor.finish.get(finish_reason, "")


_WHOLE = (b'"choices"', b'"data"', b'"candidates"', b'"content"', b'"output"', b'"embedding', b'"results"')


def failed(vendor: Vendor, body: bytes) -> bool:
    """Is the body of an HTTP 200 (not streamed) a failure in truth? Cheap for the usual reply."""
    if b'"error"' not in body and b"base_resp" not in body and b'"Error"' not in body:
        looks_whole = any(member in body for member in _WHOLE)
        if looks_whole and not any(reason.encode() in body for reason in vendor.finish):
            return False
    said = read_error(body)
    if said.is_error or not said.is_json:
        return True
    # A filtered or too long answer is one the client may read for itself; the rest is worth another provider.
    return any(vendor.finish.get(reason, "filtered") not in ("filtered", "too_long") for reason in said.finish)


def _decide(vendor: Vendor, status: int, said: Said) -> tuple[str, str]:
    for by, rules in (("vendor", vendor.errors), ("common", common_errors())):
        for rule in rules:
            if _matches(rule, status, said):
                return rule.kind, by
        if by == "vendor":
            for reason in said.finish:
                if reason in vendor.finish and not said.is_error:
                    return vendor.finish[reason], by
    if status in _BY_STATUS:
        return _BY_STATUS[status], "status"
    if 400 <= status <= 499:
        return "bad_request", "status"
    if status >= 500:
        return "unavailable", "status"
    return ("unknown" if said.is_error else "garbage"), "body"


def _matches(rule: ErrorRule, status: int, said: Said) -> bool:
    if rule.status and status not in rule.status:
        return False
    if rule.code:
        words = (said.code, said.type, *said.words)
        if not any(_word(pattern, word) for pattern in rule.code for word in words):
            return False
    if rule.type and not any(_word(pattern, said.type) for pattern in rule.type):
        return False
    if not rule.text:
        return True
    message = said.message.lower()
    return any(part.lower() in message for part in rule.text)


def _word(pattern: str, word: str) -> bool:
    if not pattern.endswith("*"):
        return word == pattern
    return pattern[1:-1] in word if pattern.startswith("*") else word.startswith(pattern[:-1])


# --- what a client of ours sees

OURS = ("bad_key", "no_money", "plan_used", "not_found")  # the operator must act; no retry of the client helps
_RATE_WAIT_S = 1.0
_LOAD_WAIT_S = 5.0


def client_view(fault: Fault) -> Refusal:
    """The refusal a client gets for a provider's failure. Only the client's own mistakes keep the provider's words.

    They come first and alone, masked and otherwise as they were: coding agents match the wording ("prompt is too long:
    210000 tokens > 200000 maximum"). A provider's bad key or empty balance is our failure: the client learns that no
    provider is available, never the provider's text.
    """
    kind = fault.kind
    if kind in OURS:
        return Refusal(
            "No provider is available for this model.",
            "Use another model, or tell whoever runs this gateway.",
            code="no_provider_available",
            status=503,
            retry_after_s=30.0,
            should_retry=False,
        )
    if kind == "rate_limited":
        wait = _RATE_WAIT_S if fault.retry_after_s is None else fault.retry_after_s
        return Refusal(
            "The provider of this model takes no more requests at this rate.",
            "Send again after the time in retry-after.",
            code="rate_limit_exceeded",
            status=429,
            retry_after_s=wait,
        )
    if kind in _TOLD:
        return _told(fault, *_TOLD[kind])
    if kind == "timeout":
        return _late(fault, "The provider did not answer in time.", "provider_timeout", 504)
    if kind in ("garbage", "cut", "unknown"):
        return _late(fault, "The provider's reply could not be used.", "provider_error", 502)
    if kind == "overloaded":
        return _late(fault, "The provider of this model is overloaded.", "overloaded", 503)
    return _late(fault, "The provider of this model cannot be reached.", "provider_unavailable", 503)


_TOLD = {  # the client's own mistakes: (code, what is said where the provider said nothing, what to change)
    "filtered": ("content_filter", "The provider refused the content of the request.", "Change the request."),
    "too_long": (
        "context_length_exceeded",
        "The request is longer than the model's context.",
        "Shorten the messages or lower max_tokens.",
    ),
    "bad_request": ("invalid_request", "The provider refused the request.", "Correct the request."),
}
_SAFE_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}")


def _told(fault: Fault, code: str, plain: str, fix: str) -> Refusal:
    return ProviderRefused(
        mask(fault.message),
        plain=plain,
        fix=fix,
        code=code,
        status=413 if fault.status == 413 else 400,  # Anthropic's clients know a body too large by its status
        param=mask(fault.param) or None,
        provider_type=_safe(fault.type),
        provider_code=_safe(fault.code) if fault.code != fault.type else "",
    )


def _safe(word: str) -> str:
    """The provider's own word for a failure, where it is a word and nothing that must not be seen."""
    return word if _SAFE_WORD.fullmatch(word) and mask(word) == word else ""


def _late(fault: Fault, say: str, code: str, status: int) -> Refusal:
    wait = _LOAD_WAIT_S if fault.retry_after_s is None else fault.retry_after_s
    return Refusal(say, "Send again after the time in retry-after.", code=code, status=status, retry_after_s=wait)
