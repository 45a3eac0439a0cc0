"""The dispatch explorer: what would serve a request, in which order and at which cost; and what dispatch has saved."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from baseload.console.pages.usage import own_accounts
from baseload.console.view import allow, context_of, form, page
from baseload.control.services import dispatch, own_calls
from baseload.errors import Refusal

NOTHING = dict.fromkeys(("model", "account", "max_tokens", "text", "policy"), "")
SPANS = ("24h", "7d", "30d")


def show(request: Request, found: dict[str, Any] | None = None, given: dict[str, str] | None = None) -> Response:
    who, context = allow(request, "grid.read"), context_of(request)
    current = context.publisher.current()
    models = sorted({offer.model for offer in current.offers}) if current else []
    groups = [group.name for group in current.groups] if current else []
    since = request.query_params.get("since", "")
    return page(
        request, "explore.html", models=[*groups, *models], accounts=own_accounts(context, who), found=found,
        given={**NOTHING, **(given or {})}, spans=SPANS, since=since,
        may_call=who.may("call"),
        # every call of the time is priced anew: only where somebody asks for it
        report=dispatch.report(context, since=since) if since in SPANS else None,
    )  # fmt: skip


async def explain(request: Request) -> Response:
    """Asked of a gateway, for it alone knows health and load; nothing is called."""
    who, given = allow(request, "call"), await form(request)
    context, account = context_of(request), given.get("account") or "default"
    allow(request, "grid.read")
    body: dict[str, Any] = {
        "model": given.get("model", ""), "messages": [{"role": "user", "content": given.get("text") or "Hello"}]
    }  # fmt: skip
    if tokens := given.get("max_tokens", ""):
        body["max_tokens"] = int(tokens) if tokens.isdecimal() and len(tokens) < 8 else 256
    if policy := given.get("policy", "").strip():
        try:
            body["baseload"] = msgspec.json.decode(policy)
        except msgspec.DecodeError as error:
            raise Refusal(f"The policy is not JSON ({error}).", code="request_wrong", status=422) from error
    secret, fresh = await run_in_threadpool(own_calls.key_for, context, who.actor, account)
    async with own_calls.opened(context, secret, fresh, body, path="/v1/dispatch/explain") as reply:
        raw = await reply.aread()
        if reply.status_code != 200:
            said = own_calls.said(raw)
            raise Refusal(said["message"], code=said.get("code") or "explain_failed", status=reply.status_code)
    return await run_in_threadpool(show, request, msgspec.json.decode(raw), given)
