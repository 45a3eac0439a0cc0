"""Who may sign in: roles, one-time links."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from baseload.console.view import allow, context_of, form, page
from baseload.control.people.roles import ROLES
from baseload.control.services import accounts, people
from baseload.errors import Refusal


def index(request: Request, link: str = "", refusal: Refusal | None = None) -> Response:
    allow(request, "people")
    context = context_of(request)
    url = f"{request.base_url}console/link#{link}" if link else ""
    return page(
        request, "people.html", status=refusal.status if refusal else 200, people=people.list_people(context),
        roles=ROLES, accounts=accounts.list_accounts(context), link=url, refusal=refusal,
        tokens=people.list_tokens(context),
    )  # fmt: skip


async def add(request: Request) -> Response:
    who, given = allow(request, "people"), await form(request)
    try:
        made = await run_in_threadpool(
            people.add, context_of(request), who.actor, name=given.get("name", "").strip().lower(),
            role=given.get("role", ""), account=given.get("account", "") if given.get("role") == "member" else "",
        )  # fmt: skip
    except Refusal as refusal:
        return await run_in_threadpool(index, request, "", refusal)
    return await run_in_threadpool(index, request, made["link"])


async def link(request: Request) -> Response:
    who = allow(request, "people")
    made = await run_in_threadpool(people.link_for, context_of(request), who.actor, request.path_params["name"])
    return await run_in_threadpool(index, request, made)
