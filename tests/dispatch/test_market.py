"""The merit order: the cheapest eligible offer wins, no constraint is broken, and the explanation is the decision."""

from __future__ import annotations

import random

import pytest

from baseload.dispatch.capacity import Capacity, Share
from baseload.dispatch.market import TRIED, Market, Wanted, tokens_of
from baseload.dispatch.merit import order, seen
from baseload.dispatch.policy import Limits, Policy
from baseload.dispatch.rules import Bound
from baseload.dispatch.seen import LINES_MAX, decode, encode
from baseload.dispatch.seen import order as told_order
from baseload.money.rate import Unpriced, rate_nano
from tests.dispatch.world import FX, START, Stand, policy, price, stand, wanted

MILLION = 1_000_000
SEEDS = range(400)


def world(seed: int, objective: str | None = None) -> tuple[random.Random, list[Stand], Market[Stand], Wanted]:
    rng = random.Random(seed)
    stands = [stand(rng, id_) for id_ in range(1, rng.randint(2, 9))]
    bound = Bound((policy(rng, objective), policy(rng, objective)), FX)
    return rng, stands, Market(stands, "chat"), wanted(rng, bound, stands)


def settled(one: Stand, asked: Wanted) -> int | None:
    """Nano-units that settlement would post if all comes as expected, by `money.rate` itself; None = not priced."""
    row = one.price_at(asked.at_ns)
    if row is None:
        return None
    tokens = tokens_of(asked, one)
    cached = min((asked.cached or {}).get((one.id, 0), 0), tokens)
    rates = row.row.rate
    if "cache_read" not in rates:
        cached = 0  # tokens from a cache that nobody prices are not expected
    read = "cache_read"
    write = asked.write if asked.write in rates else "input"
    meters: dict[str, int] = {"output": asked.output_tokens}
    for meter, count in ((read, cached), (write, tokens - cached)):
        if count:
            meters[meter] = meters.get(meter, 0) + count
    thinks = any(rule.when.thinking is not None for rule in row.row.rules)
    try:
        return rate_nano(row.row, meters, {"thinking": True} if asked.thinking and thinks else {}, asked.at_ns)
    except Unpriced:
        return None


@pytest.mark.parametrize("part", range(4))
def test_expected_cost_is_what_settlement_would_post(part: int) -> None:
    seen_any = 0
    for seed in SEEDS[part::4]:
        _, stands, market, asked = world(seed)
        for line in order(market, asked):
            one = stands[line.offer - 1]
            if line.parts is None:
                continue
            assert line.parts.nano == settled(one, asked), (seed, line)
            top, bottom = one.exchange
            assert line.expected == line.parts.total * top // bottom
            seen_any += 1
    assert seen_any > 100


@pytest.mark.parametrize("objective", ["cheapest", "fastest", "balanced", None])
def test_the_explanation_is_the_decision(objective: str | None) -> None:
    winners = 0
    for seed in SEEDS:
        _, _, market, asked = world(seed, objective)
        decision, lines = market.decide(asked), order(market, asked)
        ranked = [line for line in lines if line.rank]
        assert [line.rank for line in ranked] == list(range(1, len(ranked) + 1))
        if decision.offer is None:
            assert not ranked, seed
            continue
        winners += 1
        assert (ranked[0].offer, ranked[0].expected) == (decision.offer.id, decision.cost), seed
        assert {line.offer for line in lines} == {each.id for each in market.offers}
        kept = decode(encode(seen(decision, "USD", "")))
        assert kept is not None
        told = told_order(kept)
        assert told[0].offer == decision.offer.id
        assert {line.offer for line in told if line.why_not} >= {line.offer for line in lines if line.why_not}, seed
        assert len(told) == len(lines)
    assert winners > 50


def test_the_winner_is_never_beaten_by_an_eligible_cheaper_one() -> None:
    for seed in SEEDS:
        _, stands, market, asked = world(seed, "cheapest")
        if asked.bound.first_token_ns:
            continue
        decision = market.decide(asked)
        lines = [line for line in order(market, asked) if line.rank and not line.reservation]
        if decision.offer is None or not lines:
            continue
        idle_base = {one.id for one in stands if one.facts.supply == "base"}
        rivals = [line for line in lines if line.offer not in idle_base]
        if decision.offer.id in idle_base:
            continue
        assert decision.cost == min(line.expected for line in rivals), seed
        assert not any(line.offer in idle_base for line in lines), "owned base load that is idle comes first"


def test_constraints_are_never_violated() -> None:
    for seed in SEEDS:
        _, _, market, asked = world(seed)
        decision = market.decide(asked)
        if decision.offer is None:
            continue
        one, bound, facts = decision.offer, asked.bound, decision.offer.facts
        row = one.price_at(asked.at_ns)
        assert row is not None
        said = bound.policy
        assert said.regions is None or facts.region in said.regions
        assert said.residency is None or facts.residency in said.residency
        assert said.vendors is None or facts.vendor in said.vendors
        assert facts.vendor not in (said.not_vendors or ())
        assert (facts.quality.get("", 0)) >= (said.quality_min or 0)
        assert facts.capabilities is None or (asked.needs | bound.require) <= facts.capabilities
        assert not row.row.consent or row.row.consent in (said.consents or ())
        assert (one.id, 0) not in asked.tried
        assert decision.cost <= bound.max_cost
        assert not one.trouble
        assert not facts.context_max or tokens_of(asked, one) < facts.context_max
        crowded = facts.supply == "base" and one.capacity.crowded()  # its own queue takes the call
        assert crowded or not one.capacity.full_until(asked.now_ns, tokens_of(asked, one) + asked.output_tokens)


def test_a_decision_can_be_repeated_and_a_market_that_was_used_decides_like_a_new_one() -> None:
    for seed in SEEDS[:100]:
        rng, stands, market, _ = world(seed)
        bounds = [Bound((policy(rng),), FX) for _ in range(3)]
        for _ in range(12):
            asked = wanted(rng, rng.choice(bounds), stands)
            used, fresh = market.decide(asked), Market(stands, "chat").decide(asked)
            assert (used.offer, used.costs, used.whys) == (fresh.offer, fresh.costs, fresh.whys), seed


def plain(id_: int, input_: str = "1", output: str = "1", **facts: object) -> Stand:
    from baseload.dispatch.rates import RowRates
    from baseload.dispatch.rules import OfferFacts
    from baseload.money.price import PriceRow

    rate = {"input": input_, "output": output}
    if "cache_read" in facts:
        rate["cache_read"] = str(facts.pop("cache_read"))
    row = RowRates(PriceRow(book="cost:t", model="m", currency="USD", rate=rate))
    return Stand(id_, [row], OfferFacts(id=id_, name=f"o{id_}", provider="p", vendor="v", **facts))  # type: ignore[arg-type]


def ask(size: int = 4000, output: int = 100, **more: object) -> Wanted:
    return Wanted(START, Bound((Policy(),), FX), size, output, **more)  # type: ignore[arg-type]


def test_the_cheapest_for_this_call_wins_not_the_cheapest_input() -> None:
    market = Market([plain(1, "1", "100"), plain(2, "10", "10")], "chat")
    assert market.decide(ask(40_000, 1)).offer.id == 1  # type: ignore[union-attr]
    assert market.decide(ask(40, 1000)).offer.id == 2  # type: ignore[union-attr]


def test_equal_costs_go_to_the_lower_id_and_to_the_credential_with_less_to_do() -> None:
    one, again, other = plain(1), plain(1), plain(2)
    again.credential = 1
    market = Market([other, again, one], "chat")
    assert market.decide(ask()).offer is one
    one.health.in_flight = 3
    assert market.decide(ask()).offer is again


def test_lesson_60_a_prefix_stays_where_it_is_cached_only_while_that_is_cheaper() -> None:
    """Load balancing destroys prompt caches: what is cached counts in the price, and nothing else holds a call."""
    here, there = plain(1, "2", "2", cache_read="0.2"), plain(2, "1", "1", cache_read="0.1")
    market = Market([here, there], "chat")
    asked = ask(40_000, 10)
    assert market.decide(asked).offer is there
    asked.cached = {(1, 0): 9_000}
    assert market.decide(asked).offer is here, "10,000 tokens of which 9,000 are cached cost less there"
    asked.cached = {(1, 0): 3_000}
    assert market.decide(asked).offer is there


def test_lesson_61_a_cached_prefix_blocks_no_retry() -> None:
    here, there = plain(1, "2", "2", cache_read="0.2"), plain(2, "1", "1")
    asked = ask(40_000, 10)
    asked.cached, asked.tried = {(1, 0): 10_000}, {(1, 0)}
    decision = Market([here, there], "chat").decide(asked)
    assert decision.offer is there
    assert list(decision.whys.values()) == [TRIED]


def test_owned_base_load_comes_first_until_it_queues() -> None:
    engine, rented = plain(1, "5", "5", supply="base"), plain(2, "1", "1")
    engine.capacity = Capacity(Share(Limits(concurrent=2)), Share(Limits()))
    market = Market([engine, rented], "chat")
    assert market.decide(ask()).offer is engine
    engine.capacity.heard_load(START, 2, 3)
    assert market.decide(ask()).offer is rented, "work waits there"
    engine.capacity.heard_load(START, 1, 0)
    engine.capacity.begin(START, 1)
    assert market.decide(ask()).offer is engine
    engine.capacity.begin(START, 1)
    assert market.decide(ask()).offer is rented, "its slots are taken"


def test_what_is_out_by_our_own_judgement_is_asked_when_nothing_else_can_serve() -> None:
    one = plain(1)
    for _ in range(5):
        one.health.begin(START)
        one.health.end(START, "unavailable", by="vendor")
    assert one.health.why_not(START)
    market = Market([one], "chat")
    assert market.decide(ask()).offer is one
    other = plain(2, "9", "9")
    assert Market([one, other], "chat").decide(ask()).offer is other
    one.health.begin(START)
    one.health.end(START, "rate_limited", retry_after_s=20.0)
    assert market.decide(ask()).offer is None, "the provider itself said when to come back"


def test_an_offer_without_a_price_never_wins() -> None:
    none = Stand(1, [], plain(1).facts)
    decision = Market([none, plain(2, "900", "900")], "chat").decide(ask())
    assert decision.offer is not None
    assert decision.offer.id == 2
    assert price(random.Random(1), "USD") is not None


def test_of_very_many_candidates_the_cheapest_are_kept() -> None:
    market = Market([plain(id_, str(300 - id_)) for id_ in range(1, 201)], "chat")
    kept = decode(encode(seen(market.decide(ask()), "USD", "")))
    assert kept is not None
    told = told_order(kept)
    assert [line.offer for line in told] == list(range(200, 200 - LINES_MAX, -1))
    assert [line.rank for line in told] == list(range(1, LINES_MAX + 1))
