"""A load and a screening answer as figures to print and to draw. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from baseload.errors import Refusal
from baseload.planner.load import YEAR_HOURS, Work, day_shape, duration, figures
from baseload.planner.screening import Supply, break_even, mix, utilisation

POINTS = 500  # of a curve
DAYS = 14  # of the load curve


class Node(NamedTuple):
    """An engine. year: money one costs a year; hour: tokens it serves an hour; run: money a million tokens."""

    name: str
    year: Fraction
    hour: int
    run: Fraction


class Rent(NamedTuple):
    name: str
    million: Fraction


def of_load(work: Sequence[Work]) -> dict[str, Any]:
    found = figures(work)
    curve = duration([one.tokens for one in work])
    return {
        "hours": found.hours, "tokens": found.total, "mean": round(found.mean, 1), "peak": found.peak,
        "p95": found.p95, "load_factor": round(found.factor, 4), "start_ns": work[0].start_ns,
        "peak_hour_ns": found.peak_hour_ns, "calls": sum(one.calls for one in work),
        "input": sum(one.input for one in work), "cached": sum(one.cached for one in work),
        "output": sum(one.output for one in work), "day": [round(one, 1) for one in day_shape(work)],
        "duration": curve[:: max(1, len(curve) // POINTS)], "curve": [one.tokens for one in work][-24 * DAYS :],
    }  # fmt: skip


def of_screening(work: Sequence[Work], nodes: Sequence[Node], rents: Sequence[Rent]) -> dict[str, Any]:
    """Costs a year: the time looked at is taken for a year of such times."""
    hours = len(work)
    span = Fraction(hours, YEAR_HOURS)
    supplies = [
        *(Supply(one.name, one.year * span / one.hour, one.run / 1_000_000) for one in nodes),
        *(Supply(one.name, 0, one.million / 1_000_000) for one in rents),
    ]
    found = mix([one.tokens for one in work], supplies)
    by_name = {one.name: one for one in nodes}
    dearest = min((one for one in supplies if not one.fixed), key=lambda one: one.run, default=None)
    rows = []
    for supply, share in zip(supplies, found.shares, strict=True):
        node = by_name.get(supply.name)
        edge = break_even(supply, dearest) if node is not None and dearest is not None else None
        rows.append({
            "supply": supply.name, "capacity": share.capacity, "work": share.work, "full": round(share.full, 4),
            "nodes": round(share.capacity / node.hour, 2) if node else None,
            "cost": float(share.cost / span),
            "break_even": round(utilisation(edge, hours), 4) if edge is not None else None,
        })  # fmt: skip
    return {
        "supplies": rows, "cost": float(found.cost / span),
        "all_rented": float(found.all_rented / span) if found.all_rented is not None else None,
    }  # fmt: skip


def node_of(text: str) -> Node:
    """ "h100:90000:90000000:0.006": name, money a year, tokens an hour, money a million tokens."""
    name, *rest = text.split(":")
    if len(rest) != 3:
        raise _wrong(text, "NAME:MONEY_A_YEAR:TOKENS_AN_HOUR:MONEY_A_MILLION")
    year, hour, run = (_number(part, text) for part in rest)
    if hour < 1:
        raise _wrong(text, "an engine that serves at least a token an hour")
    return Node(name, year, int(hour), run)


def rent_of(text: str) -> Rent:
    """ "vendor:0.28": name, money a million tokens."""
    name, colon, million = text.rpartition(":")
    if not colon or not name:
        raise _wrong(text, "NAME:MONEY_A_MILLION")
    return Rent(name, _number(million, text))


def _number(text: str, whole: str) -> Fraction:
    try:
        number = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise _wrong(whole, f"{text!r} is no number") from error
    if number < 0:
        raise _wrong(whole, "nothing below zero")
    return number


def _wrong(text: str, right: str) -> Refusal:
    return Refusal(f"{text!r} cannot be read: {right}.", 'As in "h100:90000:90000000:0.006" or "vendor:0.28".',
                   code="usage")  # fmt: skip
