"""Usage: spend over time by a chosen dimension, the same as a table, and as CSV. Every filter is in the address."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from baseload import store
from baseload.console import charts
from baseload.console.pages.overview import tokens_of
from baseload.console.view import allow, context_of, language, page
from baseload.console.words import translator
from baseload.control.context import Context
from baseload.control.people.roles import MEMBER, Principal
from baseload.control.permit import accounts_below
from baseload.control.services.times import period_ns
from baseload.errors import Refusal
from baseload.ledger.rollups import DAY_NS, month_of
from baseload.ledger.settled import account_id
from baseload.ledger.texts import decimal, instant
from baseload.ledger.usage import UsageReport, UsageRow, usage
from baseload.store import tables as t

BY = ("model", "account", "key", "offer", "provider", "outcome")
SPANS = {"24h": "24 h", "7d": "7 d", "30d": "30 d", "365d": "1 y"}
LONG_NS = 92 * DAY_NS
TOP = 8  # series of the picture; the rest is one


def show(request: Request) -> Response:
    context, who = context_of(request), allow(request, "own.read")
    word = translator(language(request))
    asked = _asked(request, context, who)
    table = _report(context, asked, (asked["by"],))
    fine = asked["end_ns"] - asked["start_ns"] <= 3 * DAY_NS
    if asked["end_ns"] - asked["start_ns"] > LONG_NS:
        over = _by_month(context, asked)
    else:
        over = _report(context, asked, ("hour" if fine else "day", asked["by"]))
    return page(
        request, "usage.html", asked=asked, spans=SPANS, dimensions=BY, accounts=asked["accounts"],
        rows=sorted(table.rows, key=lambda row: -sum(row.charge.values())), tokens_of=tokens_of, report=table,
        chart=_chart(over, asked["by"], word("Spend over time"), word("all")),
        whole=who.role != MEMBER,
    )  # fmt: skip


def export(request: Request) -> Response:
    """The table, amounts exact."""
    context, who = context_of(request), allow(request, "own.read")
    asked = _asked(request, context, who)
    out = io.StringIO()
    writer = csv.writer(out)
    whole = who.role != MEMBER
    counts = t.USAGE_COUNTS
    writer.writerow([asked["by"], *counts, "charge", "currency", *(("cost", "cost_currency") if whole else ())])
    for row in _report(context, asked, (asked["by"],)).rows:
        cost_currency, cost = next(iter(row.cost.items()), ("", 0))
        for currency, nano in (row.charge or {"": 0}).items():
            label = row.group[asked["by"]]
            line = [f"'{label}" if label[:1] in "=+-@" else label, *(getattr(row, name) for name in counts)]
            writer.writerow([*line, decimal(nano), currency, *((decimal(cost), cost_currency) if whole else ())])
    headers = {"content-disposition": f'attachment; filename="usage-{asked["by"]}.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def own_accounts(context: Context, who: Principal) -> list[str]:
    """What a reader may look at: a member its account and what is below it, the others all."""
    with store.reading(context.engine) as connection:
        if who.role == MEMBER:
            return accounts_below(connection, who.account)
        return list(connection.execute(select(t.accounts.c.name).order_by(t.accounts.c.name)).scalars())


def held_to(who: Principal, accounts: list[str], wanted: str) -> str:
    """The account that is looked at; a member's own where none is named. Raises Refusal."""
    account = wanted or (who.account if who.role == MEMBER else "")
    if account and account not in accounts:
        raise Refusal(f"There is no account {account!r} for you.", code="account_not_found", status=404)
    return account


def _asked(request: Request, context: Context, who: Principal) -> dict[str, Any]:
    query = request.query_params
    accounts = own_accounts(context, who)
    account = held_to(who, accounts, query.get("account", ""))
    by = query.get("by", "model")
    since = query.get("since", "7d")
    start, end = period_ns(since, query.get("until", ""), "", time.time_ns())
    return {
        "by": by if by in BY else "model", "since": since, "until": query.get("until", ""), "account": account,
        "start_ns": start, "end_ns": end, "accounts": accounts,
    }  # fmt: skip


def _report(context: Context, asked: dict[str, Any], by: tuple[str, ...]) -> UsageReport:
    number = None
    if asked["account"]:
        with store.reading(context.engine) as connection:
            number = account_id(connection, asked["account"])
    return usage(context.engine, asked["start_ns"], asked["end_ns"], by=by, account=number)


def _by_month(context: Context, asked: dict[str, Any]) -> UsageReport:
    """A long time by calendar months (UTC): a day each for every account would be too many to draw, and to read."""
    rows, begin = list[UsageRow](), asked["start_ns"]
    while begin < asked["end_ns"]:
        end = min(month_of(month_of(begin) + 32 * DAY_NS), asked["end_ns"])
        for row in _report(context, {**asked, "start_ns": begin, "end_ns": end}, (asked["by"],)).rows:
            row.group["month"] = instant(begin)[:7]
            rows.append(row)
        begin = end
    return UsageReport(
        start_ns=asked["start_ns"], end_ns=asked["end_ns"], start=instant(asked["start_ns"]),
        end=instant(asked["end_ns"]), by=("month", asked["by"]), rows=rows,
    )  # fmt: skip


def _chart(report: UsageReport, by: str, title: str, rest: str) -> charts.Chart:
    """In the currency that most was charged in."""
    totals: dict[str, int] = {}
    sums: dict[str, int] = {}
    for row in report.rows:
        for currency, nano in row.charge.items():
            totals[currency] = totals.get(currency, 0) + nano
    currency = max(totals, key=lambda name: totals[name], default="USD")
    for row in report.rows:
        sums[row.group[by]] = sums.get(row.group[by], 0) + row.charge.get(currency, 0)
    top = sorted(sums, key=lambda name: (-sums[name], name))[:TOP]
    time_name = report.by[0]
    places = sorted({row.group[time_name] for row in report.rows})
    series: dict[str, list[float]] = {name: [0.0] * len(places) for name in top}
    at = {place: number for number, place in enumerate(places)}
    for row in report.rows:
        name = row.group[by] if row.group[by] in series else f"… {rest}"
        line = series.setdefault(name, [0.0] * len(places))
        line[at[row.group[time_name]]] += row.charge.get(currency, 0) / 1e9  # a picture only: money stays in nano-units
    return charts.stacked(
        title, [place if len(place) < 10 else place[5:].replace("T", " ") for place in places], series, unit=currency
    )
