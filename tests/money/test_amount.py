from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import Defect
from baseload.money.amount import Amount, BadAmount, format_decimal, margin, parse_decimal, round_half_even

NANO = st.integers(-(10**20), 10**20)


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0.00 USD"),
        (1_234_567, "0.001234567 USD"),
        (1_500_000_000, "1.50 USD"),
        (12_000_000_000, "12.00 USD"),
        (-1, "-0.000000001 USD"),
        (-2_250_000_000, "-2.25 USD"),
        (25_000_000_000_000_004, "25000000.000000004 USD"),
    ],
)
def test_text(nano: int, text: str):
    assert Amount(nano, "USD").text() == text
    assert Amount.parse(text) == Amount(nano, "USD")


@given(NANO)
def test_text_is_exact(nano: int):
    amount = Amount(nano, "CNY")
    assert Amount.parse(amount.text()) == amount
    assert Fraction(amount.text().split()[0]) * 10**9 == nano
    assert len(amount.text().split()[0].split(".")[1]) >= 2


@given(NANO, NANO)
def test_lesson_29_sums_are_exact(a: int, b: int):
    assert (Amount(a, "USD") + Amount(b, "USD")).nano == a + b
    assert (Amount(a, "USD") - Amount(b, "USD")).nano == a - b
    assert Amount.from_decimal("0.1", "USD") + Amount.from_decimal("0.2", "USD") == Amount.from_decimal("0.3", "USD")


def test_two_currencies_are_never_added():
    with pytest.raises(Defect, match="different currencies"):
        Amount(1, "USD") + Amount(1, "CNY")


@pytest.mark.parametrize(
    "text", ["", "-", "1e3", ".5", "5.", "+1", "1,5", "٣", "NaN", "inf", "0x1", " 1", "1_000", "1\n"]
)
def test_what_is_no_amount(text: str):
    with pytest.raises(BadAmount):
        Amount.from_decimal(text, "USD")


def test_more_than_nine_decimals_is_refused_not_rounded():
    with pytest.raises(BadAmount, match="10 decimals"):
        Amount.from_decimal("0.1234567891", "USD")
    assert Amount.from_decimal("0.1234567890", "USD").nano == 123_456_789


@pytest.mark.parametrize("code", ["usd", "US", "USDT", "U$D", "", "ÜSD", "USD\n"])
def test_currency_codes(code: str):
    with pytest.raises(BadAmount):
        Amount(1, code)


@given(NANO, st.integers(1, 10**12))
def test_round_half_even_is_the_rounding_of_fractions(numerator: int, denominator: int):
    exact = Fraction(numerator, denominator)
    assert round_half_even(numerator, denominator) == round(exact)
    assert round_half_even(exact) == round(exact)


def test_halves_go_to_the_even_one():
    assert [round_half_even(n, 2) for n in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]


@given(st.integers(0, 10**18), st.integers(-1_000_000, 10_000_000))
def test_margin(nano: int, ppm: int):
    assert margin(nano, ppm) == round(Fraction(nano) * (1_000_000 + ppm) / 1_000_000)


def test_margin_in_figures():
    assert margin(1_000_000_000, 50_000) == 1_050_000_000
    assert margin(1, 500_000) == 2  # 1.5 -> the even one
    assert margin(3, 500_000) == 4  # 4.5 -> the even one
    with pytest.raises(Defect):
        margin(1, -1_000_001)


@given(st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=9))
def test_decimals_are_read_exactly(number: Decimal):
    digits, places = parse_decimal(f"{number:f}")
    assert Fraction(digits, 10**places) == Fraction(number)
    assert Fraction(format_decimal(digits, places)) == Fraction(number)


def test_an_amount_travels():
    amount = Amount(123, "USD")
    assert msgspec.json.decode(msgspec.json.encode(amount), type=Amount) == amount
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"nano":1.5,"currency":"USD"}', type=Amount)
