"""When a second attempt is begun because the first is late (Dean and Barroso, "The Tail at Scale", CACM 2013). Pure.

A second attempt starts at the 95th percentile of the first offer's time to first token, so about one call in twenty
has one; a purse keeps it at that whatever happens. Both attempts are metered and billed by their providers' rules: the
loser is closed where that stops its bill, else read to its end.
"""

from __future__ import annotations

from baseload.dispatch.latency import Spread

_LEAST_NS = 50_000_000  # earlier than this nobody notices


def delay_ns(spread: Spread) -> int:
    """How long to wait for the first offer before a second is asked; 0 = too little is known of it."""
    found = spread.p95()
    return max(found, _LEAST_NS) if found else 0


class HedgePurse:
    """One hedge for every TWENTY calls that may have one, with a little in hand."""

    __slots__ = ("_parts",)
    TWENTY = 20
    IN_HAND = 10

    def __init__(self) -> None:
        self._parts = self.TWENTY * self.IN_HAND

    def call(self) -> None:
        if self._parts < self.TWENTY * self.IN_HAND:
            self._parts += 1

    def take(self) -> bool:
        if self._parts < self.TWENTY:
            return False
        self._parts -= self.TWENTY
        return True
