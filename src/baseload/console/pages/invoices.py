"""Invoices: what would be asked, what was asked, and each document as it reads, as PDF and as CSV."""

from __future__ import annotations

import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console.pages.usage import held_to, own_accounts
from baseload.console.view import allow, context_of, form, page
from baseload.control.people.roles import MEMBER, Principal
from baseload.control.services import invoices
from baseload.errors import Refusal
from baseload.ledger.texts import instant

MEDIA = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}


def index(request: Request) -> Response:
    who, context = allow(request, "own.read"), context_of(request)
    accounts, query = own_accounts(context, who), request.query_params
    account = held_to(who, accounts, query.get("account", ""))
    month = query.get("month", "") or instant(time.time_ns())[:7]
    rows = invoices.list_invoices(context, account=account, since="", until="", month="")
    drafts = None
    if account and query.get("month"):
        drafts = invoices.preview(context, account=account, since="", until="", month=month, currency="")
    return page(
        request, "invoices.html", rows=[row for row in rows if row["account"] in set(accounts)][::-1][:200],
        accounts=accounts, account=account, month=month, drafts=drafts, may_write=who.may("money.write"),
    )  # fmt: skip


def show(request: Request) -> Response:
    found = _own(request, allow(request, "own.read"))
    return page(request, "invoice.html", found=found, one=found["invoice"], account=found["invoice"]["account_name"])


def file(request: Request) -> Response:
    who = allow(request, "own.read")
    _own(request, who)
    number, kind = request.path_params["number"], request.path_params["kind"]
    if kind not in MEDIA:
        raise Refusal("As PDF or CSV.", code="format_wrong", status=404)
    body = invoices.file(context_of(request), number, kind)
    headers = {"content-disposition": f'inline; filename="{number}.{kind}"', "content-security-policy": "sandbox"}
    return Response(body, media_type=MEDIA[kind], headers=headers)


async def issue(request: Request) -> Response:
    who, given = allow(request, "money.write"), await form(request)
    made = await run_in_threadpool(
        lambda: invoices.issue(
            context_of(request),
            who.actor,
            account=given.get("account", ""),
            all=not given.get("account"),
            since="",
            until="",
            month=given.get("month", ""),
            currency="",
            series=None,
            key="",
            early=False,
        )
    )
    if len(made["invoices"]) == 1:
        return RedirectResponse(f"/console/invoices/{made['invoices'][0]['number']}", status_code=303)
    return RedirectResponse("/console/invoices", status_code=303)


def _own(request: Request, who: Principal) -> dict[str, dict[str, str]]:
    found = invoices.show(context_of(request), request.path_params["number"])
    if who.role == MEMBER and found["invoice"]["account_name"] not in own_accounts(context_of(request), who):
        raise Refusal("There is no such invoice for you.", code="invoice_not_found", status=404)
    return found
