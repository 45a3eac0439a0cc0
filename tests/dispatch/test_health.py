"""Which failures take what out of service, and for how long (DESIGN, rule 9)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.dispatch.failover import RULES, RetryBudget, may_bill_twice, rule_of, wait_until
from baseload.dispatch.health import NO_FAULT, PROBE_NS, WAITS, CredentialHealth, OfferHealth, S
from baseload.dispatch.hedge import HedgePurse, delay_ns
from baseload.dispatch.latency import SAMPLES_MIN, Spread
from baseload.providers.faults import FAULTS

T = 1_795_000_000 * S
OUTAGES = ("unavailable", "timeout", "cut", "garbage", "refused_connection", "unknown")


def failed(health: OfferHealth, fault: str, now_ns: int = T, **more: object) -> None:
    health.begin(now_ns)
    health.end(now_ns, fault, **{"by": "vendor", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", ["bad_key", "no_money", "plan_used"])
def test_money_and_keys_take_only_the_credential_out(fault: str) -> None:
    offer, access = OfferHealth(), CredentialHealth()
    failed(offer, fault)
    access.end(T, fault, by="vendor")
    assert not offer.why_not(T + 1)
    assert access.why_not(T + 1)
    assert access.out_until_ns <= T + 2 * WAITS[fault][0]


def test_a_class_told_by_the_status_alone_takes_no_credential_out() -> None:
    access, offer = CredentialHealth(), OfferHealth()
    access.end(T, "bad_key", by="status")
    failed(offer, "bad_key", by="status")
    assert not access.why_not(T)
    assert not offer.why_not(T)


@pytest.mark.parametrize("fault", ["filtered", "too_long", "bad_request"])
def test_what_is_the_requests_own_affair_counts_against_nobody(fault: str) -> None:
    offer = OfferHealth()
    for _ in range(50):
        failed(offer, fault)
    assert not offer.why_not(T)


@pytest.mark.parametrize("fault", ["rate_limited", "overloaded"])
def test_the_providers_word_is_kept(fault: str) -> None:
    offer = OfferHealth()
    failed(offer, fault, retry_after_s=7.0)
    assert offer.why_not(T + 6 * S)
    assert not offer.why_not(T + 8 * S)
    assert not offer.last_resort(T + 6 * S), "nobody comes before the provider said"


@pytest.mark.parametrize("fault", OUTAGES)
def test_lesson_62_an_outage_opens_the_breaker_and_one_probe_closes_it(fault: str) -> None:
    offer = OfferHealth()
    for _ in range(2):
        failed(offer, fault)
    assert not offer.why_not(T), "two failures are no outage"
    failed(offer, fault)
    assert offer.why_not(T + 1)
    assert offer.last_resort(T + 1)
    later = offer.out_until_ns
    assert not offer.why_not(later)
    offer.begin(later)  # the probe
    assert "one call is trying it" in offer.why_not(later + 1)
    offer.end(later + S, "")
    assert not offer.why_not(later + S)
    failed(offer, fault, later + 2 * S)
    assert not offer.why_not(later + 2 * S), "it begins anew"


def test_a_probe_that_fails_waits_longer_and_one_that_finds_out_nothing_changes_nothing() -> None:
    offer = OfferHealth()
    for _ in range(3):
        failed(offer, "unavailable")
    first = offer.out_until_ns - T
    offer.begin(T + first)
    offer.end(T + first, "", told=False)  # its client left
    assert not offer.why_not(T + first + 1), "the next call is the probe"
    offer.begin(T + first)
    offer.end(T + first, "timeout")
    assert offer.out_until_ns - T - first >= 2 * first


def test_half_of_the_calls_failing_is_an_outage_although_some_succeed() -> None:
    offer = OfferHealth()
    for at in range(12):
        failed(offer, "cut" if at % 2 else "", T + at)
    assert offer.why_not(T + 12)


def test_a_clock_that_is_set_back_blocks_nothing_for_ever() -> None:
    offer = OfferHealth()
    failed(offer, "overloaded")
    assert offer.why_not(T - 86_400 * S)
    assert offer.out_until_ns < T - 86_000 * S


def test_no_failure_takes_anything_out_where_the_longest_wait_is_none() -> None:
    offer, access = OfferHealth(0), CredentialHealth(0)
    for _ in range(9):
        failed(offer, "unavailable")
        failed(offer, "rate_limited", retry_after_s=60.0)
        access.end(T, "no_money", by="vendor")
    assert not offer.why_not(T)
    assert not access.why_not(T)


STEP = st.tuples(
    st.integers(0, 40 * S), st.sampled_from([*FAULTS, ""]), st.one_of(st.none(), st.floats(0, 100)), st.booleans()
)


@given(st.lists(STEP, max_size=60))
def test_whatever_happens_it_recovers(steps: list[tuple[int, str, float | None, bool]]) -> None:
    offer, access, now = OfferHealth(), CredentialHealth(), T
    for wait, fault, after, told in steps:
        now += wait
        offer.begin(now)
        offer.end(now, fault, by="vendor", retry_after_s=after, jitter=0.5, told=told)
        access.end(now, fault, by="vendor", retry_after_s=after)
        assert offer.in_flight == 0
    now += 3 * 3600 * S
    assert not offer.why_not(now)
    assert not access.why_not(now)
    offer.begin(now)
    if offer.why:
        assert offer.out_until_ns <= now + PROBE_NS
    offer.end(now, "")
    access.end(now, "", by="")
    assert not offer.why_not(now)
    assert not access.why_not(now)


# -- what comes after a failure


def test_every_class_has_a_rule_and_the_module_tells_it_in_its_table() -> None:
    assert set(RULES) == set(FAULTS)
    import baseload.dispatch.failover as module

    text = Path(module.__file__).read_text().split('"""')[1]
    told = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and re.match(r"^[a-z_, ]+$", cells[0]) and cells[0] != "class":
            for name in cells[0].split(", "):
                told[name] = (cells[1], cells[2], cells[3])
    assert set(told) == set(RULES)
    for name, (other, again, twice) in told.items():
        rule = RULES[name]
        assert other.startswith("no") is not rule.elsewhere, name
        assert ("larger" in other) is rule.larger, name
        assert (again == "yes") is rule.again, name
        assert twice.startswith("no") is not rule.twice, name
    assert {"filtered", "bad_request"} <= NO_FAULT


def test_only_what_was_sent_can_be_billed_twice() -> None:
    assert may_bill_twice("timeout", True)
    assert not may_bill_twice("timeout", False)
    assert not may_bill_twice("rate_limited", True)
    assert not rule_of("nobody knows this one").elsewhere


@given(st.integers(0, 40), st.one_of(st.none(), st.floats(0, 50)), st.floats(0, 1))
def test_a_wait_is_never_shorter_than_asked_and_never_beyond_the_deadline(
    waits: int, after: float | None, jitter: float
) -> None:
    until = wait_until(T, waits, T + 20 * S, after, jitter)
    assert until == 0 or T < until < T + 20 * S
    if until and after is not None:
        assert until >= T + round(after * S)
    assert wait_until(T, waits, 0, after, jitter) == 0, "without a deadline nothing waits"


def test_retries_cannot_multiply_a_storm() -> None:
    budget, retried = RetryBudget(), 0
    for _ in range(10_000):
        budget.call()
        retried += sum(budget.retry() for _ in range(7))
    assert retried <= 10_000 // 2 + RetryBudget.PURSE_MAX


def test_lesson_65_hedges_are_few_and_wait_for_what_is_usual() -> None:
    purse, spread = HedgePurse(), Spread()
    assert delay_ns(spread) == 0, "nothing is known of the offer"
    for _ in range(SAMPLES_MIN):
        spread.add(400_000_000)
    assert 400_000_000 <= delay_ns(spread) <= 500_000_000
    taken = 0
    for _ in range(1000):
        purse.call()
        taken += purse.take()
    assert taken <= 1000 // HedgePurse.TWENTY + HedgePurse.IN_HAND
