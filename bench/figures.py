"""A figure and its rounds: medians, spreads, ratios of the same round, and whether the target is met. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """Median, least and greatest of the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


class Target(msgspec.Struct, frozen=True):
    """`at_most`: the judged figure may not exceed it; else it may not fall below."""

    value: float
    at_most: bool = True
    stretch: float | None = None

    def met(self, judged: float) -> bool:
        return judged <= self.value if self.at_most else judged >= self.value


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. `judged` is what the target is held against."""

    measure: str  # name of the measure it belongs to
    title: str
    unit: str
    base: Spread | None  # what ours is held against
    ours: Spread
    judged: Spread
    judged_unit: str  # "x" = ratio to `base` of the same round, else a unit
    target: Target | None = None
    doubt: str = ""  # why the figure decides nothing, "" = it does
    beside: str = "nginx"  # whose figure `base` is

    @property
    def met(self) -> bool | None:
        """None: there is no target, or the figure is in doubt."""
        return None if self.target is None or self.doubt else self.target.met(self.judged.median)


def ratio_row(
    measure: str,
    title: str,
    unit: str,
    base: Sequence[float],
    ours: Sequence[float],
    target: Target | None = None,
    doubt: str = "",
    beside: str = "nginx",
) -> Row:
    """Judged by the ratio to the other, round by round: what slows the machine down in a round slows both."""
    ratios = [mine / theirs for mine, theirs in zip(ours, base, strict=True)]
    return Row(
        measure=measure, title=title, unit=unit, base=Spread.of(base), ours=Spread.of(ours),
        judged=Spread.of(ratios), judged_unit="x", target=target, doubt=doubt, beside=beside,
    )  # fmt: skip


def value_row(
    measure: str, title: str, unit: str, nginx: Sequence[float] | None, ours: Sequence[float],
    target: Target | None = None,
) -> Row:  # fmt: skip
    """Judged by Baseload's own value; nginx's stands beside it."""
    own = Spread.of(ours)
    return Row(
        measure=measure, title=title, unit=unit, base=Spread.of(nginx) if nginx else None, ours=own, judged=own,
        judged_unit=unit, target=target,
    )  # fmt: skip
