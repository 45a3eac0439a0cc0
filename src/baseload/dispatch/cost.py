"""What a call is expected to cost at an offer, by part, exactly as settlement would rate it. Pure.

In:     expected tokens, the quote in force, the exchange to the comparison currency.
Out:    integers in nano-units times one million ("rate x tokens"), so that no rounding can change an order.

Cached tokens are read at the cache's rate where the row has one, else at the input's: an unpriced meter is never free.
What is not cached is written to the cache where the request asks for that, and charged so.
"""

from __future__ import annotations

import msgspec

from baseload.money.amount import round_half_even
from baseload.money.rate import Quote

MILLION = 1_000_000
Exchange = tuple[int, int]  # numerator, denominator


class Parts(msgspec.Struct, frozen=True, gc=False):
    """One expected cost, by part: nano-units x 1,000,000 of the price row's currency."""

    input: int
    cache_read: int
    cache_write: int
    output: int

    @property
    def total(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.output

    @property
    def nano(self) -> int:
        """Nano-units, rounded once, half-even: what settlement would post."""
        return round_half_even(self.total, MILLION)


def parts(quote: Quote, input_tokens: int, cached_tokens: int, output_tokens: int, *, writes: bool = False) -> Parts:
    """`cached_tokens` are among the input's. `writes`: the rest of the input is written to the cache."""
    cached = min(cached_tokens, input_tokens) if quote.cache_read >= 0 else 0
    rest = input_tokens - cached
    return Parts(
        input=0 if writes else quote.input * rest,
        cache_read=quote.cache_read * cached if cached else 0,
        cache_write=quote.cache_write * rest if writes else 0,
        output=quote.output * output_tokens if quote.output > 0 else 0,
    )


def compared(total: int, exchange: Exchange) -> int:
    """In the comparison currency, rounded down; the order of two offers in one currency is kept."""
    return total * exchange[0] // exchange[1]
