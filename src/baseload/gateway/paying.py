"""What one attempt may cost its account, in the currency that is charged, and what it did cost. Pure but for `Taken`.

In:     an attempt's offer and price, what is asked, the key's history; then what it has relayed; at last its reading.
Out:    the size of its hold, an estimate while it streams, and the most that settlement may charge.

A hold is the input as it is asked for and as much output as 95 of 100 of the key's calls with the model stay within, by
the price row and band that settlement uses. What a hard account is charged never exceeds its hold: `charge_max` of the
reading says so to settlement, which computes the same charge and takes the lesser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from baseload.errors import Refusal
from baseload.gateway.catalog import MILLION
from baseload.gateway.journal.charged import delivered, is_charged
from baseload.money.amount import PPM, margin
from baseload.money.rate import rate_nano
from baseload.money.tariff import at_least, converted
from baseload.wire.usage import price_meters

if TYPE_CHECKING:
    from baseload.dispatch.rates import RowRates
    from baseload.gateway.catalog import Key
    from baseload.gateway.funds import Taken
    from baseload.gateway.journal.entries import Reading

PER_MILLE = 950
# Tokens: a call begins when its account can pay for so many, and holds what there is up to the usual. Only the last
# call before zero is so thin: it has taken all that was left, so no second one can begin beside it.
LEAST_OUTPUT = 16
HEADROOM = 64  # tokens ahead of what was relayed: more is taken before it is needed
GROW = 256  # tokens a hold grows by at least


class Purchase:
    """The money of one attempt under a hard limit."""

    __slots__ = ("fx", "input_nano", "out_rate", "taken")

    def __init__(self, taken: Taken, input_nano: int, out_rate: int, fx: str) -> None:
        self.taken = taken
        self.input_nano = input_nano
        self.out_rate = out_rate  # nano-units of the charge's currency for 1,000,000 tokens of output
        self.fx = fx

    def estimate(self, tokens: int) -> int:
        """What the attempt costs with so much output."""
        return self.input_nano + self.out_rate * tokens // MILLION + 1

    def affords(self, tokens: int) -> bool:
        """Whether so much output is within the hold, which grows from the lease where it must."""
        ahead = self.estimate(tokens + HEADROOM)
        if ahead > self.taken.hold:
            step = max(self.taken.hold // 2, self.out_rate * GROW // MILLION, ahead - self.taken.hold)
            self.taken.grow(step, least=1)
        return self.estimate(tokens) <= self.taken.hold


def charged_rate(nano: int, key: Key, charge: RowRates | None, fx: str) -> int:
    """A rate of a price row, or a hold by it, as the account pays it."""
    if charge is None:
        nano += nano * key.tariff.margin_ppm // PPM
    return converted(nano, fx) + 1 if fx else nano


def charge_of(reading: Reading, cost: RowRates, charge: RowRates | None, key: Key) -> int | None:
    """The list charge that settlement will compute, in the reading's currency; None where no price fits the usage."""
    if not is_charged(reading) or not reading.meters:
        return 0
    given = delivered(reading, price_meters(reading.meters))
    row = cost.row if charge is None else charge.row
    try:
        nano = rate_nano(row, given, reading.select, reading.accepted_ns)
    except Refusal:
        return None
    if charge is None:
        nano = margin(nano, key.tariff.margin_ppm)
    return at_least(converted(nano, reading.fx), key.tariff.rules.minimum_nano)


def billed(reading: Reading, purchase: Purchase, cost: RowRates, charge: RowRates | None, key: Key) -> Reading:
    """The reading with the most it may be charged; what it did not use is free again."""
    taken = purchase.taken
    nano = charge_of(reading, cost, charge, key)
    if nano is not None and nano > taken.hold:
        taken.grow(nano - taken.hold, least=1)
    held = taken.hold
    return replace(
        reading, leases=taken.ids, hold_nano=held, charge_max=taken.settle(held if nano is None else nano),
    )  # fmt: skip
