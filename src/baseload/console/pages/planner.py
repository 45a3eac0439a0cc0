"""The planner's first page: the load, sorted and by the hour; and what to own and what to rent for it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from baseload.console import charts
from baseload.console.view import allow, context_of, language, page
from baseload.console.words import translator
from baseload.control.services import planning
from baseload.errors import Refusal
from baseload.ledger.texts import instant
from baseload.planner import summary
from baseload.planner.load import Work

SPANS = ("7d", "30d", "90d", "365d")


def show(request: Request) -> Response:
    allow(request, "grid.read")
    context, query, word = context_of(request), request.query_params, translator(language(request))
    since = query.get("since", "30d")
    given: dict[str, Any] = {
        "since": since if since in SPANS else "30d", "model": query.get("model", ""),
        "engines": query.get("engines", ""), "rents": query.get("rents", ""),
    }  # fmt: skip
    current = context.publisher.current()
    values: dict[str, Any] = {"found": None, "screening": None, "refusal": None, "pictures": []}
    try:
        seen = planning.look(
            context, since=given["since"], model=given["model"], engines=given["engines"].split(),
            rents=given["rents"].split(),
        )  # fmt: skip
        values |= {"found": seen["load"], "screening": seen["screening"], "pictures": [
            _by_hour(word("Load by the hour"), seen["work"], word("tokens")),
            _sorted(word("The same, sorted"), seen["load"]["duration"], word("tokens")),
        ]}  # fmt: skip
    except Refusal as refusal:
        values["refusal"] = refusal
    models = sorted({offer.model for offer in current.offers}) if current else []
    return page(request, "planner.html", given=given, spans=SPANS, models=models, instant=instant, **values)


def _by_hour(title: str, work: list[Work], unit: str) -> charts.Chart:
    last = work[-24 * summary.DAYS :]
    places = [instant(one.start_ns)[5:13].replace("T", " ") for one in last]
    series = {"input": [one.input for one in last], "cache_read": [one.cached for one in last],
              "output": [one.output for one in last]}  # fmt: skip
    return charts.stacked(title, places, series, unit=unit)


def _sorted(title: str, curve: list[int], unit: str) -> charts.Chart:
    places = [f"{100 * n // max(1, len(curve))} %" for n in range(len(curve))]
    return charts.stacked(title, places, {unit: curve}, unit=unit, kind="line")
