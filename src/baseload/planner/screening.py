"""Own or rent, closed form: screening curves over the load-duration curve, as power systems are planned. Pure.

In:     load of hours, supplies with a fixed cost a unit of capacity and a cost a unit of work.
Out:    how much capacity of each, what each serves, what it costs: the least cost of the convex case (no whole nodes,
        no limits, no deferral, prices flat over the time). An instant answer, and the bound of every finer one.

A level of load that is exceeded in n hours costs F + v n by a supply of fixed cost F and running cost v; each level
is served by the cheapest. Two supplies cost the same at n* = (F1 - F2) / (v2 - v1) hours: above it the one that costs
more to have and less to run. Exact: costs are fractions.
Source: screening curves, e.g. Stoft, Power System Economics (2002), part 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from baseload.errors import Refusal
from baseload.planner.load import YEAR_HOURS, duration

Number = Fraction | int


class Supply(NamedTuple):
    """fixed: money a unit of capacity (tokens an hour) over the time; 0 = rented by use. run: money a token."""

    name: str
    fixed: Number
    run: Number


class Share(NamedTuple):
    """Of one supply. capacity: units; work: tokens; cost: money. full: how full its capacity is, 0 to 1."""

    name: str
    capacity: int
    work: int
    cost: Fraction
    full: float


class Mix(NamedTuple):
    shares: list[Share]
    cost: Fraction
    all_rented: Fraction | None  # what the cheapest supply without fixed cost would cost alone; None = there is none


def mix(load: Sequence[int], supplies: Sequence[Supply]) -> Mix:
    """The cheapest way to serve every hour. Raises Refusal where nothing is offered."""
    if not supplies:
        raise Refusal("There is nothing to choose from.", "Give an engine or a price.", code="no_supply")
    ordered = [*duration(load), 0]
    capacity, work = [0] * len(supplies), [0] * len(supplies)
    for hours in range(1, len(ordered)):
        height = ordered[hours - 1] - ordered[hours]
        if height:
            best = min(range(len(supplies)), key=lambda n: (supplies[n].fixed + supplies[n].run * hours, n))
            capacity[best] += height
            work[best] += height * hours
    shares = [
        Share(one.name, capacity[n], work[n], Fraction(one.fixed) * capacity[n] + Fraction(one.run) * work[n],
              work[n] / (capacity[n] * len(load)) if capacity[n] else 0.0)
        for n, one in enumerate(supplies)
    ]  # fmt: skip
    rented = [Fraction(one.run) * sum(load) for one in supplies if not one.fixed]
    return Mix(shares, sum((share.cost for share in shares), Fraction(0)), min(rented, default=None))


def break_even(own: Supply, rent: Supply) -> Fraction | None:
    """Hours a level must be exceeded for owning to pay; None = it never does."""
    if rent.run <= own.run:
        return None
    return Fraction(own.fixed - rent.fixed) / Fraction(rent.run - own.run)


def utilisation(hours: Fraction, span: int = YEAR_HOURS) -> float:
    """Hours of break-even as a share of the time: how full an owned engine must be."""
    return float(hours / span)
