"""What an account pays beyond a price and a margin: exchange, a least amount, discounts by volume, an allowance. Pure.

In:     what a price row or cost plus margin gives, a tariff's `Rules`, what the month has seen so far.
Out:    the charge, and each step of it, so that it can be computed again years later.

The order, each step in whole nano-units (1e-9), half-even where it divides:
1. price row, or cost x (1 + margin);  2. exchange into the account's currency;  3. the least amount of a call;
4. the discount of the volume reached *before* this call;  5. what is left of the month's allowance pays first.
Months are those of the calendar in UTC. Steps 1 to 3 are known before settlement and bound the charge from above: a
gateway holds by them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from baseload.errors import Defect
from baseload.money.amount import PPM, round_half_even


class Discount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """From a month's volume on, in nano-units of the charge's currency, so many parts per million less."""

    from_nano: int
    ppm: int


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """0 and "" say nothing. Amounts are in the currency of the charge: `currency`, or the price's own."""

    currency: str = ""  # charges are made in it, by the dated rate of exchange; "" = as the price is quoted
    minimum_nano: int = 0  # of a call that is charged at all
    discounts: tuple[Discount, ...] = ()  # ascending
    allowance_nano: int = 0  # included in a month
    floor: Literal["", "warn", "refuse"] = ""  # where an offer would cost more than the account pays for it
    floor_ppm: int = 0  # the margin below which that is so; 0 = below cost


NONE = Rules()


class Steps(msgspec.Struct, frozen=True, gc=False):
    """How a charge came about: `net(list_nano, ...)` is the charge before a limit of what was set aside."""

    list_nano: int
    discount_ppm: int
    allowance_nano: int


def converted(nano: int, fx: str) -> int:
    """`nano` by an exact rate "numerator/denominator"; "" changes nothing."""
    if not fx:
        return nano
    numerator, _, denominator = fx.partition("/")
    if not (numerator.isdecimal() and denominator.isdecimal() and int(denominator)):
        raise Defect(f"{fx!r} is no rate of exchange.")
    return round_half_even(nano * int(numerator), int(denominator))


def at_least(nano: int, minimum_nano: int) -> int:
    """The least amount, for a call that costs something."""
    return max(nano, minimum_nano) if nano > 0 else nano


def steps(rules: Rules, list_nano: int, volume_nano: int, allowance_used: int) -> Steps:
    """What the rules make of a charge, after a month in which `volume_nano` were charged and allowances have paid
    `allowance_used`."""
    discount = 0
    for tier in rules.discounts:
        if volume_nano >= tier.from_nano:
            discount = tier.ppm
    left = max(rules.allowance_nano - allowance_used, 0)
    return Steps(list_nano, discount, min(left, net(list_nano, discount, 0)))


def net(list_nano: int, discount_ppm: int, allowance_nano: int) -> int:
    """The charge."""
    return round_half_even(list_nano * (PPM - discount_ppm), PPM) - allowance_nano
