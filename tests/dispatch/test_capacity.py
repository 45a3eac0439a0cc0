"""Limits of a provider are kept: never more than it allows in any minute, and never less for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from baseload.dispatch.capacity import DAY_NS, MINUTE_NS, Capacity, Heard, S, Share
from baseload.dispatch.policy import Limits

T = 1_795_000_000 * S


@given(st.lists(st.tuples(st.integers(0, 5 * S), st.integers(1, 400)), max_size=120))
def test_no_more_than_a_minutes_worth_beyond_what_refills(steps: list[tuple[int, int]]) -> None:
    share, now, taken = Share(Limits(requests_per_minute=10, tokens_per_minute=1000)), T, []
    for wait, tokens in steps:
        now += wait
        until = share.full_until(now, tokens)
        if until:
            assert until > now
            assert not share.full_until(until, tokens) or until <= now + 2 * MINUTE_NS
            continue
        share.begin(now, tokens)
        taken.append((now, tokens))
        share.end(now, tokens, tokens)
    for start, _ in taken:
        window = [tokens for at, tokens in taken if start <= at < start + MINUTE_NS]
        assert len(window) <= 2 * 10
        assert sum(window) <= 2 * 1000 + 400 + len(window)  # a token each for rounding


def test_a_call_larger_than_the_whole_limit_waits_for_a_full_bucket_and_passes() -> None:
    share = Share(Limits(tokens_per_minute=100))
    share.begin(T, 50)
    assert share.full_until(T, 5000) > T
    assert not share.full_until(T + MINUTE_NS, 5000)


def test_what_was_reserved_and_not_used_comes_back() -> None:
    share = Share(Limits(tokens_per_minute=1000))
    share.begin(T, 1000)
    assert share.full_until(T, 500)
    share.end(T, 1000, 100)
    assert not share.full_until(T, 500)


def test_places_and_days() -> None:
    share = Share(Limits(concurrent=2, requests_per_day=3))
    for _ in range(2):
        share.begin(T, 1)
    assert share.full_until(T, 1)
    share.end(T, 1, 1)
    assert not share.full_until(T, 1)
    share.begin(T, 1)
    share.end(T, 1, 1)
    until = share.full_until(T, 1)
    assert until == (T // DAY_NS + 1) * DAY_NS
    assert not share.full_until(until, 1)


def test_lesson_41_a_credentials_limit_is_shared_by_its_offers() -> None:
    credential = Share(Limits(concurrent=1))
    one, other = Capacity(Share(Limits()), credential), Capacity(Share(Limits()), credential)
    one.begin(T, 10)
    assert "1 places are taken" in other.why_not(T, 10)
    one.end(T, 10, 10)
    assert not other.why_not(T, 10)


def test_what_the_provider_says_is_left_counts_until_its_reset() -> None:
    share = Share(Limits())
    assert not share.limited
    share.heard(T, [Heard("requests", 1, T + 30 * S)])
    assert not share.full_until(T, 10)
    share.begin(T, 10)
    assert share.full_until(T, 10) == T + 30 * S
    assert not share.full_until(T + 31 * S, 10)


def test_an_engines_queue_is_believed_for_a_while() -> None:
    capacity = Capacity(Share(Limits(concurrent=4)), Share(Limits()))
    assert capacity.free_slots() == 4
    capacity.heard_load(T, 4, 2)
    assert capacity.busy(T + S)
    assert not capacity.busy(T + 60 * S), "old news"
    assert not capacity.busy(T - 60 * S), "the clock was set back"
