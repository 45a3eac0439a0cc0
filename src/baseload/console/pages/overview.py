"""The overview: today's figures, the load of a day by provider with the price it cleared at, what needs attention."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console import charts
from baseload.console.view import context_of, count, language, moneys, page, principal_of
from baseload.console.words import translator
from baseload.control.context import Context
from baseload.control.services import health, money, providers
from baseload.ledger.rollups import DAY_NS, HOUR_NS
from baseload.ledger.texts import instant
from baseload.ledger.usage import UsageRow, usage

Words = Callable[[str], str]
FIGURES = ("Calls today", "Tokens today", "Cost today", "Revenue today", "Margin today")


def show(request: Request) -> Response:
    if not principal_of(request).may("grid.read"):
        return RedirectResponse("/console/usage", status_code=303)  # a member's own first page
    context, word = context_of(request), translator(language(request))
    return page(
        request, "overview.html", figures=figures(context), chart=load_chart(context, word),
        attention=attention(context),
    )  # fmt: skip


def news(context: Context, code: str) -> dict[str, Any]:
    """What the stream tells: figures as HTML of ours, the whole option of the chart."""
    shown = [str(value) for value in figures(context).values()]
    chart = load_chart(context, translator(code))
    return {"figures": shown, "option": chart.option}


def figures(context: Context) -> dict[str, Any]:
    """Since midnight (UTC)."""
    now_ns = time.time_ns()
    rows = usage(context.engine, now_ns - now_ns % DAY_NS, now_ns, by=()).rows
    row = rows[0] if rows else UsageRow(group={}, ids={}, cost={}, charge={})
    values = (
        count(row.calls), count(tokens_of(row)), moneys(row.cost), moneys(row.charge), moneys(row.margin())
    )  # fmt: skip
    return dict(zip(FIGURES, values, strict=True))


def tokens_of(row: UsageRow) -> int:
    return row.input + row.cache_read + row.cache_write + row.output


def load_chart(context: Context, word: Words) -> charts.Chart:
    """Tokens by hour and provider, the owned ones at the bottom; over it what a million of them cost on average."""
    end_ns = time.time_ns() // HOUR_NS * HOUR_NS + HOUR_NS
    begin_ns = end_ns - 24 * HOUR_NS
    found = usage(context.engine, begin_ns, end_ns, by=("hour", "provider")).rows
    hours = [instant(begin_ns + n * HOUR_NS)[:13] for n in range(24)]
    owned = {row["name"]: row["kind"] == "engine" for row in providers.list_providers(context)}
    names = sorted({row.group["provider"] for row in found}, key=lambda name: (not owned.get(name, False), name))
    series: dict[str, list[float]] = {name: [0.0] * 24 for name in names}
    cost, sold = [0] * 24, [0] * 24
    for row in found:
        place = hours.index(row.group["hour"])
        series[row.group["provider"]][place] += tokens_of(row)
        cost[place] += row.cost.get("USD", 0)
        sold[place] += tokens_of(row)
    price = [round(nano / tokens / 1000, 4) if tokens else None for nano, tokens in zip(cost, sold, strict=True)]
    return charts.stacked(
        word("Load of the last 24 hours by provider"), [f"{hour[11:]}:00" for hour in hours], series,
        unit=word("tokens"), over=price, over_name=f"{word('price')}, USD/M", over_unit="USD/M",
    )  # fmt: skip


def attention(context: Context) -> list[dict[str, str]]:
    """What a person should look at: checks that failed, purses that are nearly empty, gateways out of reach."""
    found = [check for check in health.doctor(context) if check["state"] != "ok"]
    for row in money.balances(context, ""):
        funds, left = float(row["funds"]), float(row["available"])
        if funds > 0 and left < funds / 10:
            say = f"{row['account']}: {row['name']} has {row['available']} {row['currency']} left."
            found.append({"check": "balance", "say": say, "fix": "", "href": f"/console/accounts/{row['account']}"})
    return [{"href": "", **one} for one in found]
