"""The holds open at a point of the journal: what a segment carries over from the one before. No I/O.

Bounded by the calls that live: a hold enters when it is appended and leaves with its reading.
"""

from __future__ import annotations

from collections.abc import Iterator

from baseload.gateway.journal.entries import AnyEntry, Carry, Hold, Progress, Reading


class Live:
    """`holds` and the latest `progress` of each, by (call, attempt)."""

    __slots__ = ("holds", "progress")

    def __init__(self, carry: Carry | None = None) -> None:
        self.holds: dict[tuple[str, int], Hold] = {}
        self.progress: dict[tuple[str, int], Progress] = {}
        if carry is not None:
            self.apply(carry)

    def apply(self, entry: AnyEntry) -> None:
        """Follows one entry, in the order of the journal. A `Carry` replaces all: the state at that point."""
        kind = type(entry)
        if kind is Hold:
            self.holds[entry.call, entry.attempt] = entry  # type: ignore[union-attr, assignment]
        elif kind is Reading:
            key = (entry.call, entry.attempt)  # type: ignore[union-attr]
            self.holds.pop(key, None)
            self.progress.pop(key, None)
        elif kind is Progress:
            key = (entry.call, entry.attempt)  # type: ignore[union-attr]
            if key in self.holds:  # progress of an ended call must not live on
                self.progress[key] = entry  # type: ignore[assignment]
        elif kind is Carry:
            self.holds = {(hold.call, hold.attempt): hold for hold in entry.holds}  # type: ignore[union-attr]
            self.progress = {(p.call, p.attempt): p for p in entry.progress}  # type: ignore[union-attr]

    def carry(self) -> Carry:
        """The entry a new segment begins with."""
        return Carry(list(self.holds.values()), list(self.progress.values()))

    def open(self) -> Iterator[tuple[Hold, Progress | None]]:
        """Each open hold, oldest first, with its latest progress."""
        for key, hold in self.holds.items():
            yield hold, self.progress.get(key)
