"""Reconciliation: what vendors bill beside what the book says, day by day, the gap by its cause; approval."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console import charts
from baseload.console.view import allow, context_of, form, language, page
from baseload.console.words import translator
from baseload.control.services import providers, reconcile
from baseload.ledger.reconcile import formats

FILE_MAX = 16 * 2**20


def show(request: Request) -> Response:
    who, context = allow(request, "money.read"), context_of(request)
    word = translator(language(request))
    known = reconcile.statements(context)
    asked = request.query_params.get("statement", "")
    number = int(asked) if asked.isdecimal() else (known[0]["id"] if known else 0)
    found = reconcile.show(context, number) if number else {"differences": [], "sums_nano": {}}
    return page(
        request, "reconcile.html", statements=known, number=number, found=found,
        chart=_chart(found["differences"], word("Gap by day and cause")), may_write=who.may("money.write"),
        providers=providers.list_providers(context), formats=sorted(formats.FORMATS),
    )  # fmt: skip


def _chart(differences: list[dict[str, Any]], title: str) -> charts.Chart:
    days = sorted({one["day"] for one in differences})
    kinds = sorted({one["kind"] for one in differences})
    series = {
        kind: [
            sum(float(one["amount"]) for one in differences if (one["day"], one["kind"]) == (day, kind)) for day in days
        ]
        for kind in kinds
    }
    currency = differences[0]["currency"] if differences else ""
    return charts.stacked(title, days, series, unit=currency)


async def keep(request: Request) -> Response:
    """The file as text of the form: statements are CSV or JSON."""
    who, given = allow(request, "money.write"), await form(request, FILE_MAX)
    made = await run_in_threadpool(
        lambda: reconcile.keep(
            context_of(request),
            who.actor,
            provider=given.get("provider", ""),
            format=given.get("format", ""),
            data=given.get("data", ""),
            mapping=given.get("mapping", ""),
        )
    )
    return RedirectResponse(f"/console/reconcile?statement={made['id']}", status_code=303)


async def approve(request: Request) -> Response:
    who, given = allow(request, "money.write"), await form(request)
    number = int(request.path_params["number"])
    kinds = [given["kind"]] if given.get("kind") else []
    await run_in_threadpool(
        lambda: reconcile.approve(context_of(request), who.actor, number=number, kinds=kinds, keys=[])
    )  # fmt: skip
    return RedirectResponse(f"/console/reconcile?statement={number}", status_code=303)
