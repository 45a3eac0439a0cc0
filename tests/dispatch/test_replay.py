"""Recorded calls by other prices, offers and policies: decided like live ones, rated by money."""

from __future__ import annotations

import random

from baseload.dispatch.policy import Policy
from baseload.dispatch.rates import RowRates
from baseload.dispatch.replay import HOUR_NS, PastCall, Stand, replay
from baseload.dispatch.rules import OfferFacts
from baseload.money.price import PriceRow, Rule, When
from baseload.money.rate import rate_nano
from tests.dispatch.world import FX, NIGHT, START


def stand(id_: int, rate: dict[str, str], *rules: Rule, currency: str = "USD", **facts: object) -> Stand:
    row = RowRates(PriceRow(book="cost:t", model="m", currency=currency, rate=rate, rules=tuple(rules)))
    named = OfferFacts(id=id_, name=f"o{id_}", provider=f"p{id_}", vendor="v", **facts)  # type: ignore[arg-type]
    return Stand(named, frozenset({"chat"}), [row], FX[currency])


def call(rng: random.Random, **more: object) -> PastCall:
    cached = rng.choice((0, 0, 500))
    meters = {"input": rng.randint(1, 5000), "cache_read": cached, "output": rng.randint(1, 2000)}
    return PastCall(START + rng.randrange(10**14), "m", "chat", meters, {}, **more)  # type: ignore[arg-type]


def test_a_replay_costs_the_least_that_money_says_any_offer_costs() -> None:
    rng = random.Random(3)
    night = Rule(when=When(window=NIGHT), multiply={"tokens": "0.1"})
    offers = [
        stand(1, {"input": "1", "cache_read": "0.1", "output": "9"}),
        stand(2, {"input": "4", "cache_read": "2", "output": "4"}, night),
        stand(3, {"input": "20", "cache_read": "3", "output": "30"}, currency="CNY"),
    ]
    calls = [call(rng, paid=7) for _ in range(300)]
    found = replay(calls, {"m": offers}, [Policy()], FX)
    least = [min(cost for one in offers if (cost := one.cost(each)) is not None) for each in calls]
    assert (found.calls, found.served, found.paid) == (300, 300, 2100)
    assert abs(found.cost - sum(least)) <= 300, "a nano-unit a call for comparing unrounded"
    assert sum(line[1] for line in found.by_offer.values()) == found.cost == sum(found.by_hour.values())
    assert len(found.by_offer) == 3
    assert all(hour % HOUR_NS == 0 for hour in found.by_hour)


def test_policies_and_missing_offers_count_what_nobody_could_serve() -> None:
    rng = random.Random(4)
    offers = {"m": [stand(1, {"input": "1", "cache_read": "1", "output": "1"}, region="cn"),
                    stand(2, {"input": "5", "cache_read": "5", "output": "5"}, region="eu")]}  # fmt: skip
    calls = [call(rng) for _ in range(20)]
    eu = replay(calls, offers, [Policy(regions=("eu",))], FX)
    assert set(eu.by_offer) == {"o2"}
    nobody = replay(calls, offers, [Policy(regions=("us",))], FX)
    assert nobody.served == 0
    assert sum(nobody.unserved.values()) == 20
    assert all("regions" in why for why in nobody.unserved)
    assert replay(calls, {}, [Policy()], FX).unserved == {"no offer of model m": 20}


def test_cached_tokens_are_plain_input_where_nobody_prices_a_cache() -> None:
    one = stand(1, {"input": "2", "output": "1"})
    past = PastCall(START, "m", "chat", {"input": 100, "cache_read": 50, "output": 10}, {})
    assert one.cost(past) == rate_nano(one.rows[0].row, {"input": 150, "output": 10}, {}, START)
    free = stand(2, {"input": "0", "cache_read": "0", "output": "0"})
    assert free.cost(past) == 0
    assert stand(3, {"input": "1"}).cost(past) is None, "an unpriced output is not free"
