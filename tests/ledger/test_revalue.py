"""Gains and losses of exchange: whatever moved, on whichever day and in whatever order, the sum is exact."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from baseload import store
from baseload.errors import Refusal
from baseload.ledger import fx
from baseload.ledger.book import post
from baseload.ledger.check import check
from baseload.ledger.revalue import revalue
from tests.ledger import support as s

DAY = 86_400 * s.SECOND


def at(month: int, day: int = 1) -> int:
    return int(datetime(2026, month, day, tzinfo=UTC).timestamp()) * s.SECOND


@pytest.fixture
def book(engine):
    s.configure(engine)
    with store.writing(engine) as connection:
        fx.keep(connection, "CNY", "0.14", at(1), source="t")
        fx.keep(connection, "CNY", "0.15", at(2, 10), source="t")
        fx.keep(connection, "CNY", "0.1", at(3, 15), source="t")
    return engine


def move(engine, key, at_ns, debit, credit, nano):
    with store.writing(engine) as connection:
        post(connection, key=key, at_ns=at_ns, memo="", moves=[(debit, credit, nano)])


PAYABLE, COST, CASH = ("payable", 1, "CNY"), ("cost", 1, "CNY"), ("cash", 0, "CNY")


def test_a_debt_that_grew_dearer_is_a_loss_and_one_that_fell_a_gain(book):
    move(book, "a", at(2, 3), COST, PAYABLE, 1_000)  # 1,000 owed, booked at 0.14
    (february,) = revalue(book, at(3), "2026-02")
    assert (february.held_nano, february.carried_nano, february.worth_nano) == (-1_000, -140, -150)
    assert (february.gain_nano, february.made) == (-10, True)
    assert s.balances(book)["fx:0:USD"] == 10
    (again,) = revalue(book, at(3), "2026-02")
    assert (again.gain_nano, again.made, again.transaction) == (-10, False, february.transaction)
    (march,) = revalue(book, at(4), "2026-03")
    assert march.gain_nano == 50  # worth -100 now, carried at -150
    assert s.balances(book)["fx:0:USD"] == 10 - 50
    (april,) = revalue(book, at(5), "2026-04")
    assert (april.gain_nano, april.transaction) == (0, 0)
    assert [finding.check for finding in check(book) if finding.severity == "error"] == []


def test_between_our_own_pockets_nothing_moves_and_income_is_not_money(book):
    move(book, "a", at(2, 3), CASH, ("prepaid", 1, "CNY"), 500)  # we have it and owe it
    move(book, "b", at(2, 4), COST, ("revenue", 1, "CNY"), 900)
    (found,) = revalue(book, at(3), "2026-02")
    assert (found.held_nano, found.gain_nano) == (0, 0)


def test_what_comes_late_for_a_month_is_in_the_next(book):
    move(book, "a", at(2, 3), CASH, ("revenue", 1, "CNY"), 1_000)
    revalue(book, at(3), "2026-02")
    move(book, "late", at(2, 4), CASH, ("revenue", 1, "CNY"), 1_000)
    assert [one.made for one in revalue(book, at(3), "2026-02")] == [False]
    (march,) = revalue(book, at(4), "2026-03")
    assert march.gain_nano == 200 - (140 + 140) - 10
    assert s.balances(book)["fx:0:USD"] == -(200 - 280)  # in all: worth less what it was booked at


def test_random_books_add_up_to_worth_less_what_was_booked(book):
    dice, booked, held = random.Random(4), Fraction(0), 0
    for number in range(60):
        day, nano = dice.randrange(1, 28), dice.randrange(1, 10**6) * 10**3
        month = dice.choice([1, 2, 3])
        sides = (CASH, ("revenue", 1, "CNY")) if dice.random() < 0.5 else (COST, PAYABLE)
        move(book, f"m{number}", at(month, day) + dice.randrange(DAY), *sides, nano)
        sign = 1 if sides[0] is CASH else -1
        held += sign * nano
        end_of_day = at(month, day) + DAY - 1
        rate = "0.14" if end_of_day < at(2, 10) else "0.15" if end_of_day < at(3, 15) else "0.1"
        booked += sign * nano * Fraction(rate)
    gains = [revalue(book, at(month + 1), f"2026-0{month}")[0].gain_nano for month in (1, 2, 3)]
    assert sum(gains) == held * Fraction("0.1") - booked


def test_without_a_rate_nothing_is_posted_and_the_day_is_named(book):
    move(book, "a", at(2, 3), CASH, ("revenue", 1, "CNY"), 1_000)
    move(book, "e", at(2, 5), ("cash", 0, "EUR"), ("revenue", 1, "EUR"), 1_000)
    with pytest.raises(Refusal, match="EUR in USD for 2026-02-05") as caught:
        revalue(book, at(3), "2026-02")
    assert caught.value.code == "rate_missing"
    assert "fx:0:USD" not in s.balances(book)
