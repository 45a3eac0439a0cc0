"""`providers test`: one tiny real call to a provider's own endpoint, and what happened. The key is never shown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from baseload.control.context import Context
from baseload.control.services.providers import find
from baseload.providers import catalogue
from baseload.providers.faults import classify
from baseload.providers.mask import mask
from baseload.providers.vendor import Vendor

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0
_SAY = {
    "bad_key": ("The provider does not accept the credential.", "Set a valid key where it comes from."),
    "no_money": ("The account at the provider is empty or overdue.", "Top it up there."),
    "rate_limited": ("The provider says: slow down.", "Try again in a minute."),
    "overloaded": ("The provider has no capacity now.", "Try again in a minute."),
    "not_found": ("The provider has no such model or path.", "Check base_url and the model's name."),
    "plan_used": ("The prepaid plan is used up.", "Wait until it renews, or top it up."),
    "refused_connection": ("No connection to the provider.", "Check base_url, network, proxy and TLS (ca_file)."),
    "timeout": ("The provider did not answer in time.", "Try again; is the address right?"),
}  # fmt: skip


def try_out(context: Context, name: str, model: str = "") -> dict[str, Any]:
    """Lists the provider's models (free), or asks `model` for one token. Never raises for what the provider does."""
    import httpx  # a quarter second that a start need not wait for

    row = find(context, name)
    vendor = catalogue.vendor(row.dialect)
    key = context.vault.resolve(row.credential)
    headers = {vendor.auth.header: vendor.auth.value(key)} if key else {}
    begun = time.monotonic()
    try:
        verify: Any = httpx.create_ssl_context(verify=row.extra["ca_file"]) if row.extra.get("ca_file") else True
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=verify, follow_redirects=False) as http:
            reply = _ask(http, vendor, row.base_url, headers, model)
    except httpx.TimeoutException:
        return _result(name, "timeout", begun)
    except (httpx.TransportError, OSError) as error:
        return _result(name, "refused_connection", begun, detail=mask(str(error)))
    status = reply.status_code
    if status < 300:
        return _result(name, "", begun, status=status, detail=_models(reply) if not model else f"{model} answered.")
    if status in (404, 405) and not model:
        result = _result(name, "not_found", begun, status=status)
        fix = f"Ask a model instead (costs a token): baseload providers test {name} --model MODEL"
        return {**result, "say": "The provider lists no models here.", "fix": fix}
    fault = classify(vendor, status, reply.content, reply.headers)
    return _result(name, fault.kind, begun, status=status, detail=mask(fault.message))


def _ask(http: httpx.Client, vendor: Vendor, base: str, headers: dict[str, str], model: str) -> httpx.Response:
    if not model:
        return http.get(f"{base}/models", headers=headers)
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    return http.post(f"{base}{vendor.paths.get('chat', '/chat/completions')}", headers=headers, json=body)


def _models(reply: httpx.Response) -> str:
    try:
        found = reply.json()["data"]
        return f"{len(found)} models listed."
    except (ValueError, KeyError, TypeError):
        return "It answered, but not with a list of models."


def _result(name: str, fault: str, begun: float, *, status: int = 0, detail: str = "") -> dict[str, Any]:
    say, fix = (
        ("It works.", "") if not fault else _SAY.get(fault, (f"The provider failed: {fault}.", "See the detail."))
    )
    return {
        "provider": name,
        "ok": not fault,
        "fault": fault,
        "status": status,
        "say": say,
        "detail": detail,
        "fix": fix,
        "took_ms": round((time.monotonic() - begun) * 1000),
    }
