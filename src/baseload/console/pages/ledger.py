"""The books: whether they are sound, payments and invoices; and who changed what."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from baseload.console.view import allow, context_of, page
from baseload.control import audit
from baseload.control.services import health, invoices, money, reports


def show(request: Request) -> Response:
    allow(request, "money.read")
    context = context_of(request)
    findings = reports.check(context) if request.query_params.get("check") else None
    return page(
        request, "ledger.html", findings=findings, payments=money.list_payments(context, "", 30),
        invoices=invoices.list_invoices(context, account="", since="", until="", month="")[-30:][::-1],
        status=200, state=health.status(context), leases=money.leases(context),
    )  # fmt: skip


def audit_log(request: Request) -> Response:
    allow(request, "audit.read")
    return page(request, "audit.html", rows=audit.latest(context_of(request).engine, 200))
