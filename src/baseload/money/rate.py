"""What a usage costs at an instant, by one price row. Exact integers; rounded once, half-even.

In:     a `PriceRow`, disjoint meters, selectors found in the reply, the deciding instant.
Out:    nano-units of the row's currency, with an explanation where asked; or `Unpriced`, which names what has no price.
Knows no clock and no other row: a surcharge is rated by itself and added by the caller. A row is compiled once
(`compiled.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from baseload.money.amount import format_decimal, margin, round_half_even
from baseload.money.compiled import NEUTRAL, OUTPUT, PROMPT, Compiled, Select, Table, Unpriced
from baseload.money.price import PriceRow

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["Line", "Quote", "Rated", "Unpriced", "hold_rates", "hold_units", "margin", "quote", "rate", "rate_nano"]

PER_RATE = 1_000_000  # tokens

# Text writes that vendors make without being asked to; longer lifetimes are billed only when the request says so.
_HOLD_INPUT = ("input", "cache_write_5m", "cache_write_30m")
_COMPILED_MAX = 8192


class Line(NamedTuple):
    """One meter of a rating."""

    meter: str
    units: int  # tokens, calls, own units, or tokens x hours
    rate: str  # decimal string after all rules, in the unit of `price.py`
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
    tables = _possible(_compiled(row), at_ns, input_tokens, select or {})
    extra = tuple(extra)
    names_in = [*_HOLD_INPUT, *(meter for meter in extra if meter in PROMPT)]
    # a model that only makes sound or images has no rate for text
    names_out = ["output", *(meter for meter in (extra if "output" in row.rate else OUTPUT) if meter in OUTPUT)]
    return _dearest(tables, names_in), _dearest(tables, names_out)


class Quote(NamedTuple):
    """What a call of known lengths is charged by: nano-units per 1,000,000 tokens (finer prices: half-even)."""

    input: int
    cache_read: int  # -1 = tokens read from a cache are not priced
    cache_write: int  # of a write for the asked lifetime; the input rate where writing costs nothing more
    output: int  # -1 = output is not priced (embeddings)


def quote(row: PriceRow, at_ns: int, input_tokens: int, output_tokens: int, select: Select, write: str = "") -> Quote:
    """The rates that settlement applies to a call of these lengths, selectors and instant: its table, not the dearest.

    `write`: the meter of a cache write the request asks for ("cache_write_5m"), "" = none. Raises Unpriced where the
    row does not price such a call.
    """
    entry = _compiled(row)
    table = entry.find({"input": input_tokens, "output": output_tokens}, select, at_ns)
    if "input" not in table.rates:
        raise entry.no_rate("input", input_tokens)

    def rate_of(meter: str) -> int:
        return round_half_even(table.by_meter[meter] * PER_RATE, table.den) if meter in table.rates else -1

    plain = rate_of("input")
    written = rate_of(write) if write else -1
    read = rate_of("cache_read_explicit" if write else "cache_read")  # the first falls back on the second
    return Quote(plain, read, written if written >= 0 else plain, rate_of("output"))


def hold_units(
    row: PriceRow, at_ns: int, units: Mapping[str, int], *, input_tokens: int = 0, select: Select | None = None
) -> int:
    """What own units (UNIT_METERS) may cost: nano-units, rounded up, at the dearest that settlement can apply.

    A unit without a rate adds nothing where the row prices tokens: then the call is billed by tokens (`hold_rates`). A
    row that prices neither raises Unpriced, so that the call is refused before it costs anything.
    """
    entry = _compiled(row)
    best = 0
    for table in _possible(entry, at_ns, input_tokens, select or {}):
        priced = {meter: count for meter, count in units.items() if meter in table.rates}
        if not priced and not ("input" in table.rates or "output" in table.rates):
            for meter, count in units.items():
                raise entry.no_rate(meter, count)
        best = max(best, -(-sum(count * table.by_meter[meter] for meter, count in priced.items()) // table.den))
    return best


def _possible(entry: Compiled, at_ns: int, input_tokens: int, select: Select) -> list[Table]:
    """The tables that a call of this input may end in: every output band, and both moods unless one is told."""
    entry.find({}, select, at_ns)  # in force, and every selector priced
    chosen = entry.choose(select) if select else NEUTRAL
    moods = [chosen]
    if entry.thinks() and "thinking" not in select:
        moods = [(*chosen[:4], False), (*chosen[:4], True)]
    return [
        entry.table(entry.band(input_tokens), out_band, entry.moment(at_ns), mood)
        for out_band in range(entry.output_bands())
        for mood in moods
    ]


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
