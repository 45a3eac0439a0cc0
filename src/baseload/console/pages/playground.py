"""The playground: one prompt to several models side by side, each reply with its time and its price."""

from __future__ import annotations

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from baseload.console.pages.usage import held_to, own_accounts
from baseload.console.view import FORM_MAX, allow, context_of, page
from baseload.control.door import problem
from baseload.control.people.roles import MEMBER
from baseload.control.services import own_calls, playground
from baseload.errors import Refusal

_decode = msgspec.json.Decoder(playground.Ask).decode


def show(request: Request) -> Response:
    who, context = allow(request, "call"), context_of(request)
    current = context.publisher.current()
    models = sorted({offer.model for offer in current.offers if "chat" in offer.endpoints}) if current else []
    groups = [group.name for group in current.groups] if current else []
    return page(
        request, "playground.html", models=[*groups, *models], accounts=own_accounts(context, who),
        account=who.account if who.role == MEMBER else "default",
    )  # fmt: skip


async def run(request: Request) -> Response:
    """JSON in, the reply's stream out. What is wrong is said as JSON, for the page's script reads it."""
    try:
        who, context = allow(request, "call"), context_of(request)
        body = await request.body()
        if len(body) > 2 * FORM_MAX:
            raise Refusal("The prompt is too long.", code="body_too_large", status=413)
        try:
            ask = _decode(body)
        except msgspec.DecodeError as error:
            raise Refusal(f"{error}.", code="request_wrong", status=422) from error
        ask.check()
        accounts = await run_in_threadpool(own_accounts, context, who)
        account = held_to(who, accounts, ask.account) or "default"
        secret, fresh = await run_in_threadpool(own_calls.key_for, context, who.actor, account)
    except Refusal as refusal:
        return problem(refusal)
    stream = playground.run(context, secret, fresh, ask)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
