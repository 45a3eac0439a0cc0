"""The scoreboard: does the bet pay? Each figure from the ledger, with its definition, and the distance to a target."""

from __future__ import annotations

import secrets
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console import charts
from baseload.console.view import allow, context_of, form, language, page
from baseload.console.words import translator
from baseload.control.people.roles import OWNER
from baseload.control.services import capital, scoreboard


def show(request: Request) -> Response:
    who = allow(request, "money.read")
    word = translator(language(request))
    board = scoreboard.board(context_of(request), request.query_params.get("currency", "USD"))
    quarters = board["quarters"]
    size, unit = _scale(max(one[name] for one in quarters for name in ("revenue_nano", "spent_nano", "planned_nano")))
    unit = f"{board['currency']}{unit}"
    chart = charts.stacked(
        word("Revenue by quarter"), [one["quarter"] for one in quarters],
        {
            word("Cloud revenue"): [one["cloud_nano"] / size for one in quarters],
            word("Resold revenue"): [(one["revenue_nano"] - one["cloud_nano"]) / size for one in quarters],
        },
        unit=unit,
    )  # fmt: skip
    built = charts.stacked(
        word("Capital by quarter"), [one["quarter"] for one in quarters],
        {word("Spent"): [one["spent_nano"] / size for one in quarters]}, unit=unit,
        over=[one["planned_nano"] / size or None for one in quarters], over_name=word("Planned"), same_axis=True,
    )  # fmt: skip
    return page(
        request, "scoreboard.html", board=board, chart=chart, built=built, example=scoreboard.EXAMPLE,
        may_set=who.role == OWNER, figures=scoreboard.FIGURES,
    )  # fmt: skip


def _scale(most: int) -> tuple[float, str]:
    """What nano-units are divided by for a picture, and its name."""
    for power, name in ((9, " bn"), (6, " m")):
        if most >= 10 ** (power + 9):
            return 10.0 ** (power + 9), name
    return 1e9, ""


def capital_page(request: Request) -> Response:
    """Each entry of a quarter, with the transaction that holds its postings."""
    who, query = allow(request, "money.read"), request.query_params
    found = capital.show(context_of(request), query.get("currency", "USD"), query.get("quarter", ""))
    return page(request, "capital.html", found=found, quarter=query.get("quarter", ""), once=secrets.token_hex(8),
                may_write=who.may("money.write"))  # fmt: skip


async def add_capital(request: Request) -> Response:
    who, given = allow(request, "money.write"), await form(request)
    context, currency = context_of(request), given.get("currency", "USD").strip().upper()
    what = {"amount": given.get("amount", ""), "currency": currency, "project": given.get("project", "capacity"),
            "quarter": given.get("quarter", ""), "memo": given.get("memo", "")}  # fmt: skip

    def post() -> None:
        if given.get("kind") == "planned":
            capital.plan(context, who.actor, **what)
        else:
            capital.spend(context, who.actor, key=given.get("once", ""), back=False, **what)

    await run_in_threadpool(post)
    return RedirectResponse(f"/console/capital?{urlencode({'currency': currency})}", status_code=303)


async def set_target(request: Request) -> Response:
    who, given = allow(request, "people"), await form(request)
    await run_in_threadpool(
        scoreboard.set_target, context_of(request), who.actor, figure=given.get("figure", ""),
        target=given.get("target", ""),
    )  # fmt: skip
    return RedirectResponse("/console/scoreboard", status_code=303)
