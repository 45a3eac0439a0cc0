"""A price row's rates as dispatch and holds need them: a few integers, found without work where nothing has changed.

In:     a `PriceRow`; an instant and lengths.
Out:    for holds (input, output) nano-units per million tokens, the dearest that settlement can apply
        (`money.rate.hold_rates`); for decisions the `Quote` that settlement will apply to a call of these lengths.
        None where the row does not price such a call.

Rates change at an input band's edge and at a window's border; windows begin and end on whole minutes, so a result holds
for the rest of its minute and its band.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from baseload.errors import Refusal
from baseload.money.price import PriceRow
from baseload.money.rate import Quote, hold_rates, hold_units, quote

MINUTE_NS = 60_000_000_000
Pair = tuple[int, int]


class RowRates:
    """One price row. Not thread-safe (its memory is one entry)."""

    __slots__ = (
        "_band", "_found", "_minute", "_quote_minute", "_quotes", "always", "consent", "currency", "edges", "from_ns",
        "id", "missing_side", "out_edges", "row", "steady", "thinks", "to_ns",
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
        when = [rule.when for rule in row.rules]
        self.out_edges = tuple(sorted({e for w in when for e in (w.output_over, w.output_upto) if e is not None}))
        self.steady = not any(one.window is not None for one in when)  # the clock does not change it while in force
        self.thinks = any(one.thinking is not None for one in when)
        self.consent = row.consent
        self._quotes: dict[tuple[int, int, bool, str], Quote | None] = {}
        self._quote_minute = -1
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

    def quote(self, at_ns: int, input_tokens: int, output_tokens: int, thinking: bool, write: str) -> Quote | None:
        """What settlement will charge such a call by; `write`: the meter of a cache write it asks for."""
        if not self.steady and at_ns // MINUTE_NS != self._quote_minute:
            self._quote_minute = at_ns // MINUTE_NS
            self._quotes.clear()
        thinking = thinking and self.thinks
        key = (bisect_left(self.edges, input_tokens), bisect_left(self.out_edges, output_tokens), thinking, write)
        try:
            return self._quotes[key]
        except KeyError:
            pass
        try:
            found = quote(self.row, at_ns, input_tokens, output_tokens, {"thinking": True} if thinking else {}, write)
        except Refusal:
            found = None
        self._quotes[key] = found
        return found

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
