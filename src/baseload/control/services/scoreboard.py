"""The scoreboard: AI revenue and its growth, cloud revenue, gross margin, capital spent; from the ledger's own figures.

In:     the roll-ups of usage (which `ledger check` holds against the postings), targets.
Out:    figures by calendar quarter (UTC), with definitions. Amounts of other currencies than the one asked for are not
        added in.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import func, select

from baseload import store
from baseload.control import audit
from baseload.control.apply import set_setting, setting
from baseload.control.context import Context
from baseload.control.services.capital import sentence
from baseload.errors import Refusal
from baseload.ledger import capital
from baseload.ledger.rollups import DAY_NS
from baseload.ledger.texts import instant
from baseload.ledger.usage import usage
from baseload.money.amount import parse_decimal
from baseload.store import tables as t

SETTING = "targets"
QUARTERS = 8
FIGURES = {
    "revenue_growth": "AI revenue: charges of calls that arrived in the quarter, against the one before, in per cent.",
    "app_users": "App users: people who asked the assistant something in the last 30 days (UTC), and today.",
    "cloud_revenue": "Cloud revenue: charges of calls that own engines served, in the quarter.",
    "capital_spent": "Capital spent: money that became capacity in the quarter, from its postings.",
    "gross_margin": "Gross margin: charges less what providers bill for the same calls, as a share of the charges.",
}
EXAMPLE = (  # amounts as they were said; nothing here was looked up anew
    ("Capital spent in one quarter", "31.8 bn CNY", "380 bn over 12 quarters are 31.7 bn a quarter: on pace"),
    ("Capital planned for three years", "380 bn CNY", "made public in 2025 with the plan that gave the idea"),
    ("Peers' budgets for 2025", "100, 80, 75, 65 bn USD", "as they were set beside that plan"),
)
Json = dict[str, Any]


def board(context: Context, currency: str) -> Json:
    """Eight quarters to now, and the figures of this one."""
    now_ns = time.time_ns()
    owned, users = _engines(context), app_users(context, now_ns)
    quarters: list[Json] = []
    for begin, end, name in quarters_to(now_ns, QUARTERS):
        rows = usage(context.engine, begin, min(end, now_ns), by=("provider",)).rows
        revenue = sum(row.charge.get(currency, 0) for row in rows)
        cost = sum(row.cost.get(currency, 0) for row in rows)
        cloud = sum(row.charge.get(currency, 0) for row in rows if row.ids.get("provider") in owned)
        calls = sum(row.calls for row in rows)
        quarters.append({"quarter": name, "since": instant(begin)[:10], "until": instant(end)[:10],
                         "revenue_nano": revenue, "cost_nano": cost, "cloud_nano": cloud,
                         "calls": calls})  # fmt: skip
    capital_of = {one.quarter: one for one in capital.by_quarter(context.engine, currency)}
    for quarter in quarters:
        entry = capital_of.get(quarter["quarter"].replace(" ", "-"))
        quarter["planned_nano"], quarter["spent_nano"] = (entry.planned_nano, entry.spent_nano) if entry else (0, 0)
    now, before, year = quarters[-1], quarters[-2], quarters[-5]
    pace = capital.pace(list(capital_of.values()), now["quarter"].replace(" ", "-"))
    with store.reading(context.engine) as connection:
        targets: dict[str, str] = setting(connection, SETTING, {})
    figures: dict[str, Any] = {
        "revenue_growth": _growth(now["revenue_nano"], before["revenue_nano"]),
        "revenue_growth_year": _growth(now["revenue_nano"], year["revenue_nano"]),
        "app_users": users["month"],
        "app_users_day": users["day"],
        "cloud_revenue": now["cloud_nano"],
        "capital_spent": now["spent_nano"],
        "gross_margin": _share(now["revenue_nano"] - now["cost_nano"], now["revenue_nano"]),
    }
    away = {name: distance(figures[name], target, name) for name, target in targets.items() if name in figures}
    return {
        "currency": currency, "quarters": quarters, "figures": figures, "targets": targets, "away": away,
        "capital_sentence": sentence(pace, currency), "pace": pace.state, "as_of": instant(now_ns),
    }  # fmt: skip


def distance(value: float | None, target: str, figure: str) -> float | None:
    """What is missing to a target, in its own unit (per cent, or units of the currency); below 0 = it is passed."""
    if value is None:
        return None
    now = Fraction(int(value), 10**9) if figure in ("cloud_revenue", "capital_spent") else Fraction(str(value))
    return float(round(Fraction(target) - now, 6))


def app_users(context: Context, now_ns: int) -> dict[str, int]:
    """Different people: today, and in the last 30 days."""
    table = t.app_days.c
    today, since = instant(now_ns)[:10], instant(now_ns - 29 * DAY_NS)[:10]
    people = func.count(table.person_id.distinct())
    with store.reading(context.engine) as connection:
        day = connection.execute(select(people).where(table.day == today)).scalar_one()
        month = connection.execute(select(people).where(table.day >= since, table.day <= today)).scalar_one()
    return {"day": int(day), "month": int(month)}


def set_target(context: Context, actor: str, *, figure: str, target: str) -> None:
    """What the owner aims at: a decimal, "" takes it away."""
    if figure not in FIGURES:
        raise Refusal(f"{figure!r} is no figure.", f"One of: {', '.join(FIGURES)}.", code="figure_wrong")
    if target:
        parse_decimal(target)
    with store.writing(context.engine) as connection:
        known = setting(connection, SETTING, {})
        changed = {**known, figure: target} if target else {name: one for name, one in known.items() if name != figure}
        set_setting(connection, SETTING, changed)
        audit.record(connection, actor, "target.set", figure, {"target": target})


def quarters_to(now_ns: int, count: int) -> list[tuple[int, int, str]]:
    """(begin, end, "2026 Q4") of the last `count` calendar quarters, the one that runs last."""
    now = datetime.fromtimestamp(now_ns // 10**9, UTC)
    last = now.year * 4 + (now.month - 1) // 3
    return [(_begin(number), _begin(number + 1), f"{number // 4} Q{number % 4 + 1}")
            for number in range(last - count + 1, last + 1)]  # fmt: skip


def _begin(quarter: int) -> int:
    return int(datetime(quarter // 4, quarter % 4 * 3 + 1, 1, tzinfo=UTC).timestamp()) * 10**9


def _growth(now: int, before: int) -> float | None:
    """Per cent; None = there is nothing to compare with."""
    return round(100 * (now - before) / before, 1) if before > 0 else None


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole > 0 else None


def _engines(context: Context) -> set[int]:
    with store.reading(context.engine) as connection:
        query = select(t.providers.c.id).where(t.providers.c.kind == "engine")
        return set(connection.execute(query).scalars())
