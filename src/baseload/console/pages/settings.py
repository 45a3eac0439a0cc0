"""Settings: what runs here and from which file; invoices' seller and taxes; rates of exchange; tokens of programs."""

from __future__ import annotations

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console.view import allow, context_of, form, page
from baseload.control.people.roles import ROLES
from baseload.control.services import config, health, invoices, money, people
from baseload.errors import Refusal


def show(request: Request, token: str = "") -> Response:
    who, context = allow(request, "grid.read"), context_of(request)
    try:
        changes: list[dict[str, str]] = config.diff(context)
    except Refusal as refusal:
        changes = [{"action": "refused", "kind": "file", "name": refusal.say}]
    return page(
        request, "settings.html", state=health.status(context), checks=health.doctor(context), changes=changes,
        file=str(context.home.config), invoicing=json.dumps(invoices.settings(context), indent=2, ensure_ascii=False),
        rates=money.rates(context), may_write=who.may("grid.write"), may_pay=who.may("money.write"), roles=ROLES,
        tokens=people.list_tokens(context) if who.may("people") else [], may_people=who.may("people"), token=token,
    )  # fmt: skip


async def apply_file(request: Request) -> Response:
    who = allow(request, "grid.write")
    await run_in_threadpool(config.apply, context_of(request), who.actor)
    return _again()


async def set_invoicing(request: Request) -> Response:
    who, given = allow(request, "money.write"), await form(request)
    try:
        value: Any = json.loads(given.get("invoicing", ""))
    except ValueError as error:
        raise Refusal(f"This is not JSON ({error}).", code="request_wrong", status=422) from error
    await run_in_threadpool(invoices.set_settings, context_of(request), who.actor, value)
    return _again()


async def set_rate(request: Request) -> Response:
    who, given = allow(request, "money.write"), await form(request)
    await run_in_threadpool(
        lambda: money.set_rate(
            context_of(request),
            who.actor,
            currency=given.get("currency", "").strip().upper(),
            rate=given.get("rate", "").strip(),
            since=given.get("since", "").strip(),
        )
    )
    return _again()


async def make_token(request: Request) -> Response:
    """The page shows the token once."""
    who, given = allow(request, "people"), await form(request)
    days = given.get("days", "0")
    made = await run_in_threadpool(
        lambda: people.make_token(
            context_of(request),
            who.actor,
            name=given.get("name", "")[:100],
            role=given.get("role", ""),
            account=given.get("account", ""),
            expires_days=int(days) if days.isdecimal() and len(days) < 6 else 0,
        )
    )
    return await run_in_threadpool(show, request, made["token"])


async def revoke_token(request: Request) -> Response:
    who = allow(request, "people")
    await run_in_threadpool(people.revoke_token, context_of(request), who.actor, int(request.path_params["number"]))
    return _again()


def _again() -> Response:
    return RedirectResponse("/console/settings", status_code=303)
