"""The load of this grid by the hour, for the planner: from the roll-ups that settlement keeps."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from baseload.control.context import Context
from baseload.control.services.times import period_ns
from baseload.ledger.usage import usage
from baseload.planner import summary
from baseload.planner.load import Work, filled


def look(context: Context, *, since: str, model: str, engines: list[str], rents: list[str]) -> dict[str, Any]:
    """{work, load, screening}: the load with its figures, and own or rent where something is to choose from."""
    nodes, prices = [summary.node_of(one) for one in engines], [summary.rent_of(one) for one in rents]
    work = [Work(**row) for row in hours(context, since=since, until="", model=model)]
    screening = summary.of_screening(work, nodes, prices) if nodes or prices else None
    return {"work": work, "load": summary.of_load(work), "screening": screening}


def hours(context: Context, *, since: str, until: str, model: str) -> list[dict[str, Any]]:
    """One an hour, gaps filled. Raises Refusal `no_load`."""
    start, end = period_ns(since, until, "", time.time_ns())
    rows = usage(context.engine, start, end, by=("hour",), model=model or None).rows
    work = filled([
        Work(_ns(row.group["hour"]), row.calls, row.input + row.cache_write, row.cache_read, row.output) for row in rows
    ])  # fmt: skip
    return [one._asdict() for one in work]


def _ns(hour: str) -> int:
    return int(datetime.fromisoformat(hour).replace(tzinfo=UTC).timestamp()) * 10**9
