"""A price that a person names for readings without one is taken where it can be their price, and nowhere else."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.amend import resettle
from baseload.ledger.prices import keep_price
from baseload.ledger.settle import Settler
from baseload.store import tables
from tests.ledger import support as s


@pytest.fixture
def settle(engine, tmp_path):
    """Settles readings, all without a price: the row they name has none for what they used."""
    s.configure(engine)

    def run(*readings):
        s.journal(tmp_path / "g1", *readings)
        done = Settler(engine).drain(tmp_path / "g1", "g1")
        assert done.unpriced == len(readings)

    return run


def kept(engine, book, model="small", **rate):
    with store.writing(engine) as connection:
        return keep_price(connection, replace(s.row(book, "USD", **rate), model=model)).id


def cached(call, **changes):
    """1,000,000 tokens read from a cache, which CNY_PRICE has no rate for."""
    changes = {"offer": s.CNY_OFFER, "cost_price": s.CNY_PRICE, **changes}
    return s.reading(call, meters={"cache_read": 1_000_000, "output_total": 0}, **changes)


def test_a_price_of_another_model_or_provider_is_nobody_s(engine, settle):
    settle(cached("c1"), cached("c2", offer=s.OWN_OFFER, cost_price=s.OWN_PRICE))
    for book, model in (("cost:vendor", "large"), ("cost:elsewhere", "small")):
        wrong = kept(engine, book, model, input="1", cache_read="7", output="1")
        done = resettle(engine, cost_price=wrong)
        assert (done.settled, len(done.open)) == ([], 2)
    right = kept(engine, "cost:vendor", input="1", cache_read="2", output="1")
    done = resettle(engine, cost_price=right)
    assert (len(done.settled), [each.call for each in done.open]) == (1, ["c2"])
    assert s.balances(engine)["receivable:1:USD"] == 2_200_000_000  # the standard tariff: cost plus 10 %


def test_a_price_that_the_offer_has_by_now_is_its_price(engine, settle):
    """Its first price was the vendor's list; the second one is of a contract, in another book."""
    settle(cached("c1"))
    new = kept(engine, "cost:contract", input="1", cache_read="3", output="1")
    assert resettle(engine, cost_price=new).settled == []
    with store.writing(engine) as connection:
        connection.execute(update(tables.offers).where(tables.offers.c.id == s.CNY_OFFER).values(prices=[new]))
    assert len(resettle(engine, cost_price=new).settled) == 1


def test_a_charge_price_is_of_the_reading_s_tariff_and_model(engine, settle):
    half = kept(engine, "tariff:standard", input="9")
    settle(s.reading("c1", output=1, charge_price=half), s.reading("c2", output=1, charge_price=half, tariff=s.PARTNER))
    for book, model in (("tariff:standard", "large"), ("tariff:other", "small"), ("cost:vendor", "small")):
        wrong = kept(engine, book, model, input="1", output="8")
        assert resettle(engine, charge_price=wrong).settled == []
    whole = kept(engine, "tariff:standard", input="9", output="4")
    done = resettle(engine, charge_price=whole)
    assert (len(done.settled), [each.call for each in done.open]) == (1, ["c2"])


def test_a_price_that_is_not_there_is_refused(engine, settle):
    settle(cached("c1"))
    with pytest.raises(Refusal) as refusal:
        resettle(engine, cost_price=999)
    assert (refusal.value.code, refusal.value.status) == ("price_not_found", 404)
