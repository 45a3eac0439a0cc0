"""What a reading costs and charges: the rules, one by one, with prices a person can multiply."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.ledger.rating import NO_USAGE, SETTLED, UNMETERED, UNPRICED, Basis, Rating, rate_reading
from baseload.money.price import PriceRow
from baseload.wire.usage import price_meters
from tests.ledger.support import ROWS, T0, ZENITH_PRICE, reading, unknown_usage

USD, _, FREE, OWN = ROWS


def rated(entry, cost_row=USD, charge_row=None, margin_ppm=100_000):
    return rate_reading(entry, Basis(cost_row, charge_row, margin_ppm), price_meters(entry.meters))


def test_lesson_30_cost_and_charge_are_both_on_the_line():
    assert rated(reading("c", input=100, output=10)) == Rating(SETTLED, "", 130_000, "USD", 143_000, "USD", 100_000)


def test_a_tariff_price_replaces_cost_plus_margin_and_has_its_own_currency():
    entry = reading("c", input=100, output=10, charge_price=ZENITH_PRICE)
    assert rated(entry, charge_row=OWN) == Rating(SETTLED, "", 130_000, "USD", 260_000, "EUR", None)


def test_a_rate_of_zero_is_a_price():
    assert rated(reading("c", input=100, output=10), FREE) == Rating(SETTLED, "", 0, "USD", 0, "USD", 100_000)


def test_lesson_06_a_reported_zero_is_settled_not_unmetered():
    assert rated(reading("c", input=0, output=0))[:3] == (SETTLED, "", 0)


def test_client_that_left_pays_for_what_it_was_given_while_we_pay_the_whole():
    entry = reading("c", input=100, output=50, outcome="client_left", delivered_output=10)
    assert rated(entry)[2:6] == (250_000, "USD", 143_000, "USD")
    entry = reading("c", input=100, output=50, outcome="client_left", delivered_output=10, charge_price=ZENITH_PRICE)
    assert rated(entry, charge_row=OWN)[2:6] == (250_000, "USD", 260_000, "EUR")


@pytest.mark.parametrize("delivered", [-1, 50, 51])
def test_all_delivered_is_all_charged(delivered):
    assert rated(reading("c", input=100, output=50, delivered_output=delivered)).charge_nano == 275_000


def test_nothing_delivered_still_charges_the_input():
    entry = reading("c", input=100, output=50, outcome="client_left", delivered_output=0)
    assert rated(entry).charge_nano == 110_000


def test_an_error_of_the_provider_without_usage_moves_no_money():
    assert rated(unknown_usage("c", outcome="upstream_error", status=502)).state == NO_USAGE


def test_an_error_of_the_provider_that_reports_usage_costs_us_and_not_the_account():
    assert rated(reading("c", input=100, outcome="upstream_error"))[2:6] == (100_000, "USD", 0, "USD")


@pytest.mark.parametrize("outcome", ["upstream_cut", "timeout"])
def test_an_account_pays_for_a_broken_reply_only_if_it_got_some_of_it(outcome):
    assert rated(reading("c", input=100, outcome=outcome, status=502))[2:6] == (100_000, "USD", 0, "USD")
    assert rated(reading("c", input=100, outcome=outcome, status=200))[4] > 0


def test_what_was_never_sent_used_nothing():
    assert rated(unknown_usage("c", outcome="client_left", sent_ns=0)).state == NO_USAGE


@pytest.mark.parametrize("outcome", ["ok", "client_left", "upstream_cut", "timeout", "lost"])
def test_usage_nobody_knows_is_never_charged_and_never_called_nothing(outcome):
    rating = rated(unknown_usage("c", outcome=outcome))
    assert (rating.state, rating.cost_nano, rating.charge_nano) == (UNMETERED, None, None)


@pytest.mark.parametrize("side", ["input_provenance", "output_provenance"])
def test_one_side_missing_is_unmetered(side):
    assert rated(reading("c", input=5, output=5, **{side: "missing"})).state == UNMETERED


def test_embeddings_have_no_output_to_miss():
    entry = reading("c", endpoint="embeddings", meters={"input_uncached": 7}, output_provenance="missing")
    assert rated(entry)[:3] == (SETTLED, "", 7_000)


def test_a_count_without_a_rate_is_unpriced_and_says_which():
    entry = reading("c", meters={"input_uncached": 5, "cache_read": 5, "output_total": 1})
    rating = rated(entry, PriceRow(book="b", model="m", currency="USD", rate={"input": "1", "output": "1"}))
    assert rating.state == UNPRICED
    assert rating.cost_nano is None
    assert "cache_read" in rating.detail


@pytest.mark.parametrize(
    ("basis", "changes", "says"),
    [
        (Basis(None, None, 0), {}, "Price row 1 is not"),
        (Basis(USD, None, 0), {"charge_price": 77}, "Price row 77 is not"),
        (Basis(USD, None, None), {"tariff": 9}, "Tariff 9 is not"),
        (Basis(USD, None, -1_000_001), {}, "Defect"),
        (Basis(USD, None, 0), {"meters": {"input_uncached": -1}}, "Defect"),
        (Basis(USD, None, 0), {"meters": {"input_uncached": 2**62}}, "beyond what the book holds"),
        (Basis(USD, None, 0), {"select": {"tier": "flex"}}, "flex"),
    ],
)
def test_what_cannot_be_priced_is_kept_with_the_reason_and_never_raises(basis, changes, says):
    entry = reading("c", input=1, output=1, **changes)
    rating = rate_reading(entry, basis, price_meters(entry.meters))
    assert (rating.state, rating.cost_nano, rating.charge_nano) == (UNPRICED, None, None)
    assert says in rating.detail


def test_money_the_provider_names_is_the_cost_where_we_hold_no_price():
    entry = reading("c", input=100, output=10, cost_price=0, reported_cost="0.00095 USD")
    assert rated(entry, None)[2:6] == (950_000, "USD", 1_045_000, "USD")
    assert rated(unknown_usage("c", cost_price=0, reported_cost="0.00095 USD"), None).cost_nano == 950_000
    wrong = reading("c", input=1, cost_price=0, reported_cost="about a cent")
    assert rated(wrong, None).state == UNPRICED


def test_the_price_row_decides_where_there_is_one():
    assert rated(reading("c", input=100, output=10, reported_cost="9 USD")).cost_nano == 130_000


def test_lesson_12_the_instant_of_arrival_decides_whatever_came_later():
    old = PriceRow(book="b", model="m", currency="USD", to_ns=T0 + 1, rate={"input": "1", "output": "1"})
    entry = reading("c", input=10, accepted_ns=T0, first_ns=T0 + 5, end_ns=T0 + 9)
    assert rated(entry, old).cost_nano == 10_000
    assert rated(reading("c", input=10, accepted_ns=T0 + 1), old).state == UNPRICED


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(-1, 10**7), st.integers(0, 10**7))
def test_lesson_29_amounts_are_integers_rounded_once_half_even(input, output, delivered, margin):
    price = PriceRow(book="b", model="m", currency="USD", rate={"input": "0.0123", "output": "0.456789"})
    entry = reading("c", input=input, output=output, delivered_output=delivered)
    rating = rated(entry, price, margin_ppm=margin)
    given = output if delivered < 0 else min(output, delivered)
    exact, charged = (Fraction("12.3") * input + Fraction("456.789") * tokens for tokens in (output, given))
    assert rating.cost_nano == round(exact)  # Fraction rounds half to even
    assert rating.charge_nano == round(Fraction(round(charged)) * (1_000_000 + margin) / 1_000_000)
    assert type(rating.cost_nano) is type(rating.charge_nano) is int
