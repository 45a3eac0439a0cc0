"""`providers test`: one tiny real call to a provider's own endpoint, and what happened. The key is never shown.

Each vendor is asked in its own protocol (`ASK`), and its key is sent as it takes it: in a header, by AWS's signature,
or by a token that Google gives for a service account.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import or_, select

from baseload import store
from baseload.control.context import Context
from baseload.control.endpoints import default_endpoints
from baseload.control.services.providers import find
from baseload.errors import ProviderFault, Refusal
from baseload.providers import catalogue, google_auth, sigv4
from baseload.providers.faults import classify, failed
from baseload.providers.mask import mask
from baseload.providers.vendor import Auth, Vendor
from baseload.store import tables as t

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0
_SAY = {
    "bad_key": ("The provider does not accept the credential.", ""),
    "no_money": ("The account at the provider is empty or overdue.", "Top it up there."),
    "rate_limited": ("The provider says: slow down.", "Try again in a minute."),
    "overloaded": ("The provider has no capacity now.", "Try again in a minute."),
    "not_found": ("The provider has no such model or path.", ""),
    "plan_used": ("The prepaid plan is used up.", "Wait until it renews, or top it up."),
    "refused_connection": ("No connection to the provider.", "Check base_url, network, proxy and TLS (ca_file)."),
    "timeout": ("The provider did not answer in time.", "Try again; is the address right?"),
}  # fmt: skip


def _chat(model: str, vendor: Vendor) -> dict[str, Any]:
    return {"model": model, "messages": _HI, vendor.translate.max_tokens_name: 1}


_HI = [{"role": "user", "content": "Hi"}]
ASK: dict[str, Callable[[str, Vendor], dict[str, Any]]] = {
    "chat": _chat,
    "responses": lambda model, vendor: {"model": model, "input": "Hi", "max_output_tokens": 16},  # the least it takes
    "messages": lambda model, vendor: {"model": model, "max_tokens": 1, "messages": _HI},
    "gemini": lambda model, vendor: {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"maxOutputTokens": 1},
    },
    "converse": lambda model, vendor: {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {"maxTokens": 1},
    },
    "qwen": lambda model, vendor: {
        "model": model,
        "input": {"messages": _HI},
        "parameters": {"max_tokens": 1, "result_format": "message"},
    },
    "completions": lambda model, vendor: {"model": model, "prompt": "Hi", "max_tokens": 1},
    "embeddings": lambda model, vendor: {"model": model, "input": "Hi"},
    "gemini_embed": lambda model, vendor: {"content": {"parts": [{"text": "Hi"}]}},
    "rerank": lambda model, vendor: {"model": model, "query": "Hi", "documents": ["Hi"]},
}
"""Endpoint -> the smallest request. Images, speech and transcriptions are not tried: their smallest is not small."""

NO_LIST = ("converse",)
"""Protocols whose address lists no models (Bedrock lists them elsewhere, under other permissions)."""


class _Request(msgspec.Struct):
    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""


def try_out(context: Context, name: str, model: str = "") -> dict[str, Any]:
    """Lists the provider's models (free), or asks `model` for one token. Never raises for what the provider does."""
    import httpx  # a quarter second that a start need not wait for

    row = find(context, name)
    vendor = catalogue.vendor(row.dialect)
    key = context.vault.resolve(row.credential)
    endpoint = _endpoint(context, row.id, vendor, model)
    if model and endpoint not in ASK:
        raise Refusal(
            f"{model} serves {endpoint} here, and a test of that is no tiny call.",
            f"Test the provider without a model (baseload providers test {name}), or call the model itself.",
            code="probe_unsupported",
        )
    begun = time.monotonic()
    stored = row.credential.startswith("sealed:") or not row.credential
    new_key = f"Store another one: baseload providers key {name}" if stored else f"Set a valid key in {row.credential}."
    try:
        verify: Any = httpx.create_ssl_context(verify=row.extra["ca_file"]) if row.extra.get("ca_file") else True
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=verify, follow_redirects=False) as http:
            auth = vendor.auth_for.get(endpoint, vendor.auth)
            if auth.kind == "google" and key.startswith("{"):
                key = _google_token(http, key)
                if not model:  # Vertex lists no models at its address; that a token was given is known now
                    return _result(
                        name, "", begun,
                        detail="Google gave a token for the service account. Models are not listed here: add --model "
                        "MODEL to ask one (costs a token).",
                    )  # fmt: skip
            if not model and (endpoint in NO_LIST or auth.kind == "google"):
                return _unlisted(name, begun)
            request = _request(vendor, auth, row.base_url, endpoint, model, key)
            reply = http.request(request.method, request.url, headers=request.headers, content=request.body)
    except httpx.TimeoutException:
        return _result(name, "timeout", begun)
    except ProviderFault as fault:  # Google refuses a token
        fix = new_key if fault.fault == "bad_key" else None
        return _result(name, fault.fault, begun, detail=mask(fault.say), fix=fix)
    except (httpx.TransportError, OSError) as error:
        return _result(name, "refused_connection", begun, detail=mask(str(error)))
    status = reply.status_code
    if status < 300 and not (model and failed(vendor, reply.content)):
        return _result(name, "", begun, status=status, detail=_models(reply) if not model else f"{model} answered.")
    asked = f"{request.method} {request.url.partition('?')[0]} was asked"
    if status in (404, 405) and not model:
        return _unlisted(name, begun, status, f" Or is base_url wrong? {asked}.")
    fault_found = classify(vendor, status, reply.content, reply.headers)
    fixes = {"bad_key": new_key, "not_found": f"Check the model's name and base_url (with its version): {asked}."}
    return _result(
        name, fault_found.kind, begun, status=status, detail=mask(fault_found.message), fix=fixes.get(fault_found.kind)
    )


def _endpoint(context: Context, provider: int, vendor: Vendor, model: str) -> str:
    """Which door is tried: the first of the model's offer here, else the vendor's default."""
    if model:
        named = select(t.offers.c.endpoints).where(
            t.offers.c.provider_id == provider, or_(t.offers.c.upstream_model == model, t.offers.c.model == model)
        )
        with store.reading(context.engine) as connection:
            served: list[str] = [endpoint for row in connection.execute(named) for endpoint in row.endpoints]
        doors = [endpoint for endpoint in served if endpoint in vendor.paths]
        if doors:
            return next((endpoint for endpoint in doors if endpoint in ASK), doors[0])
    return default_endpoints(vendor)[0]


def _request(vendor: Vendor, auth: Auth, base: str, endpoint: str, model: str, key: str) -> _Request:
    sent = vendor.send.get(endpoint, {})
    if not model:
        request = _Request("GET", f"{base}/models", dict(sent))
    else:
        body = msgspec.json.encode(ASK[endpoint](model, vendor))
        headers = {"content-type": "application/json", **sent}
        request = _Request("POST", url_of(base, vendor.paths[endpoint], model), headers, body)
    if key:
        request.headers.update(_signed(vendor, auth, request, key))
    return request


def url_of(base: str, path: str, model: str) -> str:
    """The URL of an endpoint: `path` is below the base, or below its host where it begins with //."""
    parts = urlsplit(base)
    root = f"{parts.scheme}://{parts.netloc}" if path.startswith("//") else base
    return root + path.removeprefix("/" if path.startswith("//") else "").replace("{model}", sigv4.segment(model))


def _signed(vendor: Vendor, auth: Auth, request: _Request, key: str) -> Mapping[str, str]:
    """The headers that carry the credential. Of a sigv4 vendor a key that is no key pair is taken for a Bearer key."""
    credential = sigv4.read_credential(key) if auth.kind == "sigv4" else None
    if credential is None:
        return {auth.header: auth.value(key)}
    parts = urlsplit(request.url)
    default = vendor.host()
    return dict(
        sigv4.sign(
            request.method,
            parts.path,
            parts.query,
            {"host": parts.netloc, **request.headers},
            hashlib.sha256(request.body).hexdigest(),
            credential,
            region=sigv4.region_of(parts.netloc) or (default.region if default else ""),
            service=auth.service,
            at_s=time.time(),
        )
    )


def _google_token(http: httpx.Client, key: str) -> str:
    account = google_auth.read_account(key)
    url, form = google_auth.token_request(account, google_auth.assertion(account, time.time()))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return google_auth.read_token(http.post(url, content=form, headers=headers).content)[0]


def _models(reply: httpx.Response) -> str:
    try:
        found = reply.json()
        found = found["data"] if "data" in found else found["models"]  # Gemini's list
        return f"{len(found)} models listed."
    except (ValueError, KeyError, TypeError):
        return "It answered, but not with a list of models."


def _unlisted(name: str, begun: float, status: int = 0, more: str = "") -> dict[str, Any]:
    fix = f"Ask a model instead (costs a token): baseload providers test {name} --model MODEL.{more}"
    return {**_result(name, "not_found", begun, status=status, fix=fix), "say": "The provider lists no models here."}


def _result(
    name: str, fault: str, begun: float, *, status: int = 0, detail: str = "", fix: str | None = None
) -> dict[str, Any]:
    say, usual = (
        ("It works.", "") if not fault else _SAY.get(fault, (f"The provider failed: {fault}.", "See the detail."))
    )
    return {
        "provider": name,
        "ok": not fault,
        "fault": fault,
        "status": status,
        "say": say,
        "detail": detail,
        "fix": usual if fix is None else fix,
        "took_ms": round((time.monotonic() - begun) * 1000),
    }
