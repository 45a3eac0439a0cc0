"""What a usage costs at an instant, by one price row. Exact integers; rounded once, half-even.

In:     a `PriceRow`, disjoint meters, selectors found in the reply, the deciding instant.
Out:    nano-units of the row's currency, with an explanation where asked; or `Unpriced`, which names what has no price.
Knows no clock and no other row: a surcharge is rated by itself and added by the caller. A row is compiled once
(`compiled.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from baseload.money.amount import format_decimal, margin
from baseload.money.compiled import NEUTRAL, OUTPUT, PROMPT, Compiled, Select, Table, Unpriced
from baseload.money.price import PriceRow

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["Line", "Rated", "Unpriced", "hold_rates", "margin", "rate", "rate_nano"]

# Text writes that vendors make without being asked to; longer lifetimes are billed only when the request says so.
_HOLD_INPUT = ("input", "cache_write_5m", "cache_write_30m")
_COMPILED_MAX = 8192


class Line(NamedTuple):
    """One meter of a rating."""

    meter: str
    units: int  # tokens, calls, or tokens x hours
    rate: str  # decimal string after all rules; per 1,000,000 tokens, or per 1,000 calls for *_call meters
    nano: Fraction  # exact


class Rated(NamedTuple):
    """A rating with its explanation."""

    nano: int  # rounded once, half-even
    currency: str
    exact: Fraction  # nano-units before rounding
    lines: tuple[Line, ...]


def rate(row: PriceRow, meters: Mapping[str, int], select: Select, at_ns: int) -> Rated:
    """The amount with its explanation. `at_ns` is the deciding instant, ns since the epoch. Raises Unpriced."""
    from fractions import Fraction

    entry = _compiled(row)
    nano = entry.nano(meters, select, at_ns)
    table = entry.find(meters, select, at_ns)
    lines = tuple(
        Line(meter, count, format_decimal(*table.rates[meter]), Fraction(count * table.by_meter[meter], table.den))
        for meter, count in meters.items()
        if count and meter in table.rates
    )
    return Rated(nano, row.currency, sum((line.nano for line in lines), Fraction(0)), lines)


def rate_nano(row: PriceRow, meters: Mapping[str, int], select: Select, at_ns: int) -> int:
    """The amount in nano-units only: what settlement and dispatch call. Same result as `rate(...).nano`."""
    entry = _cache.get(id(row))
    if entry is None:
        entry = _compiled(row)
    return entry.nano(meters, select, at_ns)


def hold_rates(
    row: PriceRow,
    at_ns: int,
    input_tokens: int,
    *,
    select: Select | None = None,
    extra: Iterable[str] = (),
) -> tuple[int, int]:
    """Rates to size a hold with: (input, output) nano-units per 1,000,000 tokens, rounded up.

    Same band, window and rules as settlement will use for a prompt of `input_tokens`. What is known only at the end is
    taken at its dearest: the output band, and the thinking mode unless `select` tells it. Input is the dearest of plain
    input and the cache writes a vendor makes unasked (5 and 30 minutes); `extra` names further meters that the request
    is known to use (`cache_write_1h`, `input_audio`, `output_audio`). Raises Unpriced, so that it is refused before the
    call.
    """
    entry = _compiled(row)
    entry.find({}, select or {}, at_ns)  # in force, and every selector priced
    chosen = entry.choose(select) if select else NEUTRAL
    moods = [chosen]
    if entry.thinks() and "thinking" not in (select or {}):
        moods = [(*chosen[:4], False), (*chosen[:4], True)]
    tables = [
        entry.table(entry.band(input_tokens), out_band, entry.moment(at_ns), mood)
        for out_band in range(entry.output_bands())
        for mood in moods
    ]
    extra = tuple(extra)
    names_in = [*_HOLD_INPUT, *(meter for meter in extra if meter in PROMPT)]
    names_out = ["output", *(meter for meter in extra if meter in OUTPUT)]
    return _dearest(tables, names_in), _dearest(tables, names_out)


def _dearest(tables: list[Table], meters: list[str]) -> int:
    best = 0  # embeddings have no output rate; a meter that is used without a rate is refused at the end
    for table in tables:
        for meter in meters:
            if meter in table.rates:
                digits, places = table.rates[meter]
                best = max(best, -(-digits * 1_000_000_000 // 10**places))
    return best


_cache: dict[int, Compiled] = {}


def _compiled(row: PriceRow) -> Compiled:
    """The compiled form of this very object. It holds the row, so no other row has its id. Bounded."""
    entry = _cache.get(id(row))
    if entry is None:
        if len(_cache) >= _COMPILED_MAX:
            _cache.clear()
        entry = _cache[id(row)] = Compiled(row)
    return entry
