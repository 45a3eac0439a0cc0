"""Amounts of money: integers of nano-units (1e-9) of a named currency. Never a float.

In:     decimal strings, integers, exact ratios. Out: `Amount`, or a refusal of what is not an exact amount.
Knows no price, file or clock. One rounding exists in the house, `round_half_even`, and each reading uses it once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from baseload.errors import Defect, Refusal

if TYPE_CHECKING:
    from fractions import Fraction  # imported only for types: the gateway never needs it

NANO = 1_000_000_000
PPM = 1_000_000

_DECIMAL = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class BadAmount(Refusal):
    """Text that is not an exact amount."""

    code = "bad_amount"
    status = 400


def parse_decimal(text: str) -> tuple[int, int]:
    """A decimal string without sign or exponent -> (digits, places): "0.150" -> (15, 2). Raises BadAmount."""
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BadAmount(
            f"{text!r} is not a decimal number.",
            'Write digits with an optional point, in quotes: "0.15" (no sign, no exponent, at most 15 decimals).',
        )
    whole, part = match.group(1), (match.group(2) or "").rstrip("0")
    return int(whole + part), len(part)


def format_decimal(digits: int, places: int, least: int = 0) -> str:
    """(digits, places) -> text without trailing zeros, but with at least `least` decimals: (150, 3, 2) -> "0.15"."""
    sign, body = ("-", -digits) if digits < 0 else ("", digits)
    whole, part = divmod(body, 10**places)
    decimals = (str(part).rjust(places, "0") if places else "").rstrip("0").ljust(least, "0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def check_currency(code: str) -> str:
    """Returns the code, three capital letters; raises BadAmount otherwise. Whether it circulates is not checked."""
    if not isinstance(code, str) or _CURRENCY.fullmatch(code) is None:
        raise BadAmount(f"{code!r} is not a currency code.", "Use three capital letters, such as USD, CNY or EUR.")
    return code


def round_half_even(numerator: int | Fraction, denominator: int = 1) -> int:
    """The one rounding: an exact ratio -> the nearest integer, halves to the even one. Takes a Fraction or two ints."""
    if not isinstance(numerator, int):
        numerator, denominator = numerator.numerator, numerator.denominator * denominator
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def margin(nano: int, margin_ppm: int) -> int:
    """What an account is charged for a cost of `nano`: cost x (1e6 + margin_ppm) / 1e6, half-even. 50_000 ppm = 5 %."""
    if margin_ppm < -PPM:
        raise Defect(f"A margin of {margin_ppm} ppm would pay the account for calling.")
    return round_half_even(nano * (PPM + margin_ppm), PPM)


class Amount(msgspec.Struct, frozen=True, order=False):
    """An exact amount: `nano` units of 1e-9 of `currency`. May be negative (a refund, a debit)."""

    nano: int
    currency: str

    def __post_init__(self) -> None:
        check_currency(self.currency)

    def __add__(self, other: Amount) -> Amount:
        if self.currency != other.currency:
            raise Defect(f"{self.text()} and {other.text()} are different currencies and were about to be added.")
        return Amount(self.nano + other.nano, self.currency)

    def __sub__(self, other: Amount) -> Amount:
        return self + Amount(-other.nano, other.currency)

    def __neg__(self) -> Amount:
        return Amount(-self.nano, self.currency)

    @classmethod
    def from_decimal(cls, text: str, currency: str) -> Amount:
        """Reads "12.5" or "-12.5" exactly. More than 9 significant decimals is a BadAmount, never a rounding."""
        negative = isinstance(text, str) and text.startswith("-")
        digits, places = parse_decimal(text[1:] if negative else text)
        if places > 9:
            raise BadAmount(f"{text!r} has {places} decimals; amounts have at most 9.", "Round it to 9 decimals.")
        nano = digits * 10 ** (9 - places)
        return cls(-nano if negative else nano, currency)

    @classmethod
    def parse(cls, text: str) -> Amount:
        """Reads what `text()` writes: "0.00095 USD"."""
        number, space, currency = text.strip().partition(" ")
        if not space:
            raise BadAmount(f"{text!r} names no currency.", 'Write the amount and its currency: "12.50 USD".')
        return cls.from_decimal(number, currency.strip())

    def text(self) -> str:
        """ "0.001234567 USD": exact, trailing zeros trimmed, at least two decimals."""
        return f"{format_decimal(self.nano, 9, 2)} {self.currency}"

    def __str__(self) -> str:
        return self.text()
