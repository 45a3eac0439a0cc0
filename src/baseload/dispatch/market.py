"""The offers of one model at one endpoint, kept so that a call's decision is one pass over integers.

In:     candidates (`merit.Candidate`), an instant, the expected tokens.
Out:    the same winner as `merit.pick`, faster: the eligible offers with their rates are listed once and the list is
        used while nothing in it can change, that is until the next minute or price change, within one input band.

Offers that another one beats at any length of input and output are left out of the list beforehand.

Whoever changes what `why_not` answers (health, configuration) calls `refresh` or makes a new market.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from baseload.dispatch.merit import Candidate
from baseload.dispatch.rates import MINUTE_NS


class Placed(Candidate, Protocol):
    """A candidate that says when its rates change."""

    @property
    def edges(self) -> tuple[int, ...]:
        """Input lengths at which a band ends (inclusive)."""

    @property
    def changes(self) -> tuple[int, ...]:
        """Instants at which a price begins or ends."""


P = TypeVar("P", bound=Placed)


class Market(Generic[P]):
    __slots__ = ("_changes", "_edges", "_endpoint", "_from_ns", "_high", "_low", "_rows", "_until_ns", "offers")

    def __init__(self, offers: Sequence[P], endpoint: str) -> None:
        self.offers = sorted(offers, key=lambda offer: offer.id)
        self._endpoint = endpoint
        self._edges = sorted({edge for offer in offers for edge in offer.edges})
        self._changes = sorted({change for offer in offers for change in offer.changes})
        self._rows: list[tuple[int, int, P]] = []
        self.refresh()

    def refresh(self) -> None:
        """The next decision looks at every candidate again."""
        self._from_ns = self._until_ns = 0
        self._low = self._high = 0

    def pick(self, at_ns: int, input_tokens: int, output_tokens: int) -> P | None:
        """The cheapest eligible offer; equal cost: the lower id. None = none is eligible."""
        if not (self._from_ns <= at_ns < self._until_ns and self._low < input_tokens <= self._high):
            self._list(at_ns, input_tokens)
        best: P | None = None
        best_cost = -1
        for input_rate, output_rate, offer in self._rows:
            cost = input_rate * input_tokens + output_rate * output_tokens
            if cost < best_cost or best is None:
                best, best_cost = offer, cost
        return best

    def _list(self, at_ns: int, input_tokens: int) -> None:
        rows: list[tuple[int, int, P]] = []
        for offer in self.offers:
            if offer.why_not(self._endpoint):
                continue
            pair = offer.rates(at_ns, input_tokens)
            if pair is not None:
                rows.append((*pair, offer))
        self._rows = _undominated(rows)
        minute = at_ns - at_ns % MINUTE_NS
        later = bisect_left(self._changes, at_ns + 1)
        self._from_ns = max(minute, self._changes[later - 1] if later else 0)
        next_change = self._changes[later] if later < len(self._changes) else 1 << 63
        self._until_ns = min(minute + MINUTE_NS, next_change)
        band = bisect_left(self._edges, input_tokens)
        self._low = self._edges[band - 1] if band else -1
        self._high = self._edges[band] if band < len(self._edges) else 1 << 63


def _undominated(rows: list[tuple[int, int, P]]) -> list[tuple[int, int, P]]:
    """Without the offers that another one beats at any length: those can never win while these rates hold.

    Rows come in the order of their ids; an earlier one wins a tie.
    """
    kept: list[tuple[int, int, P]] = []
    for row in rows:
        if any(other[0] <= row[0] and other[1] <= row[1] for other in kept):
            continue
        kept = [other for other in kept if not (row[0] <= other[0] and row[1] <= other[1] and row[:2] != other[:2])]
        kept.append(row)
    return kept
