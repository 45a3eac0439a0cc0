"""The scoreboard: does the bet pay? Each figure from the ledger, with its definition, and the distance to a target."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console import charts
from baseload.console.view import allow, context_of, form, language, page
from baseload.console.words import translator
from baseload.control.people.roles import OWNER
from baseload.control.services import scoreboard


def show(request: Request) -> Response:
    who = allow(request, "money.read")
    word = translator(language(request))
    board = scoreboard.board(context_of(request), request.query_params.get("currency", "USD"))
    quarters = board["quarters"]
    chart = charts.stacked(
        word("Revenue by quarter"), [one["quarter"] for one in quarters],
        {
            word("Cloud revenue"): [one["cloud_nano"] / 1e9 for one in quarters],
            word("Resold revenue"): [(one["revenue_nano"] - one["cloud_nano"]) / 1e9 for one in quarters],
        },
        unit=board["currency"],
    )  # fmt: skip
    return page(
        request, "scoreboard.html", board=board, chart=chart, example=scoreboard.EXAMPLE, may_set=who.role == OWNER,
        figures=scoreboard.FIGURES,
    )  # fmt: skip


async def set_target(request: Request) -> Response:
    who, given = allow(request, "people"), await form(request)
    await run_in_threadpool(
        scoreboard.set_target, context_of(request), who.actor, figure=given.get("figure", ""),
        target=given.get("target", ""),
    )  # fmt: skip
    return RedirectResponse("/console/scoreboard", status_code=303)
