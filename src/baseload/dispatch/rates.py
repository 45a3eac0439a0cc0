"""A price row's rates as dispatch and holds need them: two integers, found without work where nothing has changed.

In:     a `PriceRow`; an instant and an input length.
Out:    (input, output) nano-units per million tokens, the dearest that settlement can apply (`money.rate.hold_rates`);
        None where the row does not price such a call.

Rates change at an input band's edge and at a window's border; windows begin and end on whole minutes, so a result holds
for the rest of its minute and its band.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from baseload.errors import Refusal
from baseload.money.price import PriceRow
from baseload.money.rate import hold_rates, hold_units

MINUTE_NS = 60_000_000_000
Pair = tuple[int, int]


class RowRates:
    """One price row. Not thread-safe (its memory is one entry)."""

    __slots__ = (
        "_band", "_found", "_minute", "always", "currency", "edges", "from_ns", "id", "missing_side", "row", "to_ns",
    )  # fmt: skip

    def __init__(self, row: PriceRow) -> None:
        self.row = row
        self.id = row.id
        self.currency = row.currency
        self.from_ns = row.from_ns
        self.to_ns = row.to_ns or 1 << 63
        self.missing_side = row.missing_side()  # of a call that generates: such a call could not be settled
        found = {row.max_input} if row.max_input else set()
        for rule in row.rules:
            found.update(edge for edge in (rule.when.input_over, rule.when.input_upto) if edge is not None)
        self.edges = tuple(sorted(found))
        self._minute = self._band = -1
        self._found: Pair | None = None
        # without rules and limits the pair never changes while the row is in force
        self.always = None if row.rules or row.max_input else self._look(row.from_ns, 0)

    def in_force(self, at_ns: int) -> bool:
        return self.from_ns <= at_ns < self.to_ns

    def at(self, at_ns: int, input_tokens: int) -> Pair | None:
        """The rates at an instant in which the row is in force."""
        if self.always is not None:
            return self.always
        minute, band = at_ns // MINUTE_NS, bisect_left(self.edges, input_tokens)
        if minute != self._minute or band != self._band:
            self._minute, self._band = minute, band
            self._found = self._look(at_ns, input_tokens)
        return self._found

    def units(self, at_ns: int, units: Mapping[str, int], input_tokens: int = 0) -> int | None:
        """What own units (images, characters, ...) may cost, in nano-units; None where the row prices no such call."""
        try:
            return hold_units(self.row, at_ns, units, input_tokens=input_tokens)
        except Refusal:
            return None

    def _look(self, at_ns: int, input_tokens: int) -> Pair | None:
        try:
            return hold_rates(self.row, at_ns, input_tokens)
        except Refusal:
            return None
