"""How fast an offer answers: a moving average and a quantile, both in constant memory. Pure; time is an argument.

The average moves by an eighth of the difference at each observation, which halves an old value's weight in five calls.
The quantile comes from a histogram whose steps grow by a quarter (so it is exact to 25 %) and whose counts are halved
when they have grown old, so that yesterday's answers do not decide today's.
"""

from __future__ import annotations

from bisect import bisect_left

_FIRST_NS = 1_000_000  # the first step ends at one millisecond
_STEPS = 64  # 1 ms x 1.25^63 = 21 minutes
_EDGES = [round(_FIRST_NS * 1.25**step) for step in range(_STEPS)]
_HALVE_AT = 512  # observations
SAMPLES_MIN = 10  # before a quantile is worth anything


def moved(average: int, seen: int) -> int:
    """The moving average after one more observation; 0 = there was none."""
    return seen if average == 0 else average + (seen - average) // 8


class Spread:
    """A decayed histogram of durations."""

    __slots__ = ("_counts", "_p95", "_seen", "total")

    def __init__(self) -> None:
        self._counts = [0] * _STEPS
        self.total = 0
        self._p95 = 0
        self._seen = 0

    def add(self, ns: int) -> None:
        self._counts[min(bisect_left(_EDGES, ns), _STEPS - 1)] += 1
        self.total += 1
        self._p95 = 0
        if self.total >= _HALVE_AT:
            self._counts = [count >> 1 for count in self._counts]
            self.total = sum(self._counts)

    def quantile(self, per_mille: int) -> int:
        """Nanoseconds that so many of a thousand stay within; 0 = too few were seen."""
        if self.total < SAMPLES_MIN:
            return 0
        wanted, found = self.total * per_mille, 0
        for step, count in enumerate(self._counts):
            found += count * 1000
            if found >= wanted:
                return _EDGES[step]
        return _EDGES[-1]

    def p95(self) -> int:
        """`quantile(950)`, remembered until the next observation."""
        if self._p95 == 0:
            self._p95 = self.quantile(950)
        return self._p95
