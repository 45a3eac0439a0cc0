"""The last hour, provider by provider and minute by minute: attempts and how many failed. From the newest readings."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import func, select

from baseload import store
from baseload.control.context import Context
from baseload.ledger.calls import SOUND
from baseload.store import tables as t

MINUTE_NS = 60 * 10**9
MINUTES = 60
NEWEST = 50_000  # readings looked at: a grid with more in an hour sees its last part


def last_hour(context: Context, now_ns: int = 0) -> dict[str, Any]:
    """{minutes, providers: [{name, cells: [(attempts, failed)], attempts, failed}], whole}. A cell a minute."""
    now_ns = now_ns or time.time_ns()
    begin = now_ns // MINUTE_NS * MINUTE_NS - (MINUTES - 1) * MINUTE_NS
    reading = t.readings.c
    newest = select(reading.accepted_ns, reading.offer, reading.outcome).order_by(reading.id.desc()).limit(NEWEST)
    some = newest.subquery().c
    minute = (some.accepted_ns - begin).op("/", precedence=8)(MINUTE_NS)  # whole minutes on both databases
    grouped = select(minute.label("minute"), some.offer, some.outcome, func.count().label("count")).where(
        some.accepted_ns >= begin, some.accepted_ns < begin + MINUTES * MINUTE_NS
    ).group_by(minute, some.offer, some.outcome)  # fmt: skip
    with store.reading(context.engine) as connection:
        rows = connection.execute(grouped).all()
        edge = select(func.count(), func.min(some.accepted_ns))
        seen, oldest = connection.execute(edge).one()
        query = select(t.offers.c.id, t.providers.c.name).join(t.providers, t.providers.c.id == t.offers.c.provider_id)
        provider_of = {row.id: row.name for row in connection.execute(query)}
        names = list(connection.execute(select(t.providers.c.name).order_by(t.providers.c.name)).scalars())
    cells = {name: [[0, 0] for _ in range(MINUTES)] for name in names}
    for row in rows:
        if row.offer in provider_of:
            cell = cells[provider_of[row.offer]][row.minute]
            cell[0] += row.count
            cell[1] += 0 if row.outcome in SOUND else row.count
    shown = [
        {"name": name, "cells": [tuple(cell) for cell in line], "attempts": sum(cell[0] for cell in line),
         "failed": sum(cell[1] for cell in line)}
        for name, line in cells.items()
    ]  # fmt: skip
    whole = seen < NEWEST or oldest < begin
    return {"begin_ns": begin, "minutes": MINUTES, "providers": shown, "whole": whole}
