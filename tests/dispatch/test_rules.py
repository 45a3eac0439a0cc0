"""Policies merged: limits only tighten, preferences come from the innermost."""

from __future__ import annotations

import random

import pytest

from baseload.dispatch.policy import MaxPrice, Policy
from baseload.dispatch.rules import BIG, BadPolicy, Bound, check_policy, merge
from tests.dispatch.world import CAPABILITIES, FX, START, policy, stand


def test_what_a_merged_policy_lets_through_each_of_them_lets_through() -> None:
    fit = 0
    for seed in range(600):
        rng = random.Random(seed)
        parts = [policy(rng) for _ in range(rng.randint(1, 4))]
        parts = [one for one in parts if one.pin is None]  # a preference, not a limit
        if not parts:
            continue
        whole = Bound(parts, FX)
        needs = frozenset(rng.sample(CAPABILITIES, rng.choice((0, 1))))
        for id_ in range(4):
            facts = stand(rng, id_).facts
            consent = rng.choice(("", "contributor"))
            if whole.unfit(facts, needs, consent):
                continue
            fit += 1
            for part in parts:
                if part.consents is None:
                    consent = ""
                assert not Bound([part], FX).unfit(facts, needs, consent), (seed, part)
        assert whole.max_in <= min(Bound([part], FX).max_in for part in parts)
        assert whole.max_cost <= min(Bound([part], FX).max_cost for part in parts)
    assert fit > 100


def test_merging_is_associative() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        a, b, c = policy(rng), policy(rng), policy(rng)
        assert merge([merge([a, b]), c]) == merge([a, merge([b, c])]) == merge([a, b, c])


def test_preferences_come_from_the_innermost_that_says_something() -> None:
    outer, inner = Policy(objective="fastest", fallbacks=("a",), hedge=True), Policy(objective="cheapest")
    found = merge([outer, inner])
    assert (found.objective, found.fallbacks, found.hedge) == ("cheapest", ("a",), True)


def test_ceilings_in_several_currencies_all_hold() -> None:
    bound = Bound([Policy(max_cost="1 USD"), Policy(max_cost="1 CNY")], FX)
    assert bound.max_cost == 140_000_000 * 1_000_000
    assert Bound([Policy(max_price=MaxPrice(input="2"))], FX).max_in == 2_000_000_000
    assert Bound([Policy()], FX).max_cost == BIG


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        (Policy(max_cost="1 GBP"), "max_cost"),
        (Policy(max_cost="cheap"), "max_cost"),
        (Policy(max_price=MaxPrice(input="-1")), "max_price.input"),
    ],
)
def test_amounts_that_cannot_be_are_refused_by_name(wrong: Policy, param: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        Bound([wrong], FX)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        (Policy(require=("visoin",)), "require"),
        (Policy(supplies=("owned",)), "supplies"),
        (Policy(quality_min=1001), "quality_min"),
        (Policy(attempts_max=0), "attempts_max"),
        (Policy(deadline_s=0.0), "deadline_s"),
        (Policy(resume=True), "resume"),
    ],
)
def test_values_out_of_range_are_refused_by_name(wrong: Policy, param: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        check_policy(wrong)
    assert caught.value.param == param


def test_a_misspelt_capability_is_told_the_right_one() -> None:
    with pytest.raises(BadPolicy, match="visoin") as caught:
        check_policy(Policy(require=("visoin",)))
    assert "vision" in caught.value.fix
    assert START
