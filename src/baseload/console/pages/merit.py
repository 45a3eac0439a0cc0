"""The merit order: for each model what it would cost now at which offer, as power markets draw supply."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from baseload.console import charts
from baseload.console.pages.overview import tokens_of
from baseload.console.view import allow, context_of, language, page
from baseload.console.words import translator
from baseload.control.context import Context
from baseload.control.services.supply import Place, order
from baseload.ledger.rollups import HOUR_NS
from baseload.ledger.usage import usage

UNKNOWN = 60_000  # tokens a minute that stand for a capacity nobody declared, in the picture only


def show(request: Request) -> Response:
    allow(request, "grid.read")
    context, word = context_of(request), translator(language(request))
    current = context.publisher.current()
    models = sorted({offer.model for offer in current.offers}) if current else []
    model = request.query_params.get("model", models[0] if models else "")
    places = order(current, model, time.time_ns()) if current else []
    priced = [place for place in places if place.nano is not None]
    steps = [
        charts.Step(place.offer, place.minute or UNKNOWN, float(Fraction(place.nano or 0, 10**9))) for place in priced
    ]
    load = _load(context, model)
    names = (word("capacity, tokens a minute"), word("price of a million tokens"), word("load"))
    chart = charts.merit_order(
        f"{word('Supply of')} {model}", steps, load, currency=priced[0].currency if priced else "USD", words=names
    )
    return page(
        request, "merit.html", models=models, model=model, places=places, chart=chart, load=load,
        marginal=_marginal(priced, load),
    )  # fmt: skip


def _load(context: Context, model: str) -> float:
    """Tokens a minute in the hour that is running and the one before."""
    now_ns = time.time_ns()
    begin = now_ns // HOUR_NS * HOUR_NS - HOUR_NS
    rows = usage(context.engine, begin, now_ns, by=("model",), model=model).rows
    minutes = (now_ns - begin) / 60e9
    return round(sum(tokens_of(row) for row in rows) / minutes, 1)


def _marginal(priced: list[Place], load: float) -> dict[str, Any] | None:
    """The offer that serves the last token of the load, and what the next step costs."""
    at = 0.0
    for number, place in enumerate(priced):
        at += place.minute or UNKNOWN
        if at >= load:
            return {"place": place, "next": priced[number + 1] if number + 1 < len(priced) else None}
    return None
