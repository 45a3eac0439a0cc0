"""Load by the hour, and sorted: the load curve and the load-duration curve. Pure.

In:     work of hours in order, without gaps. Out: figures of it. Units: tokens an hour, calls an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from baseload.errors import Refusal

HOUR_NS = 3_600 * 10**9
YEAR_HOURS = 8_760


class Work(NamedTuple):
    """One hour. input: tokens that were read anew; cached: read from a cache."""

    start_ns: int
    calls: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0

    @property
    def tokens(self) -> int:
        return self.input + self.cached + self.output


class Figures(NamedTuple):
    """What a load looks like, in one unit."""

    hours: int
    total: int
    mean: float
    peak: int
    p95: int  # exceeded in a twentieth of the hours
    factor: float  # mean / peak: how full capacity for the peak would be
    peak_hour_ns: int


def filled(hours: Sequence[Work]) -> list[Work]:
    """In order, one an hour; hours of which nothing is known had no load. Several of one hour are added up."""
    found: dict[int, Work] = {}
    for one in hours:
        start = one.start_ns - one.start_ns % HOUR_NS
        before = found.get(start, Work(start))
        found[start] = Work(start, *(a + b for a, b in zip(before[1:], one[1:], strict=True)))
    if not found:
        raise Refusal(
            "There is no load in this time.", "Take a longer one, or import a trace.", code="no_load", status=404
        )
    return [found.get(at, Work(at)) for at in range(min(found), max(found) + HOUR_NS, HOUR_NS)]


def duration(values: Sequence[int]) -> list[int]:
    """The load-duration curve: the greatest first."""
    return sorted(values, reverse=True)


def figures(hours: Sequence[Work], unit: str = "tokens") -> Figures:
    """unit: tokens, calls, input, cached or output."""
    values = [int(getattr(one, unit)) for one in hours]
    ordered = duration(values)
    total, peak = sum(values), ordered[0]
    mean = total / len(values)
    return Figures(
        len(values), total, mean, peak, ordered[len(ordered) // 20], mean / peak if peak else 0.0,
        hours[values.index(peak)].start_ns,
    )  # fmt: skip


def day_shape(hours: Sequence[Work], unit: str = "tokens") -> list[float]:
    """The mean of each hour of the day (UTC), of what is there."""
    sums, counts = [0] * 24, [0] * 24
    for one in hours:
        hour = one.start_ns // HOUR_NS % 24
        sums[hour] += getattr(one, unit)
        counts[hour] += 1
    return [total / count if count else 0.0 for total, count in zip(sums, counts, strict=True)]
