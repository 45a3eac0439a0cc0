"""How long a call will be, from those before it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from baseload.dispatch.forecast import OUTPUT_UNKNOWN, Forecast, Lengths, moved_milli


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=200), st.integers(1, 1000))
def test_a_quantile_is_right_to_a_step(lengths: list[int], per_mille: int) -> None:
    found = Lengths()
    for one in lengths:
        found.add(one)
    exact = sorted(lengths)[max(0, -(-len(lengths) * per_mille // 1000) - 1)]
    assert exact <= found.quantile(per_mille) <= exact * 1.35 + 1


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=600))
def test_a_higher_quantile_is_never_less(lengths: list[int]) -> None:
    found = Lengths()
    for one in lengths:
        found.add(one)
    marks = [found.quantile(per_mille) for per_mille in (1, 250, 500, 600, 950, 1000)]
    assert marks == sorted(marks)


def test_habits_change() -> None:
    forecast = Forecast()
    for _ in range(1000):
        forecast.learn(1, "m", 40)
    assert 40 <= forecast.output_tokens(1, "m") <= 50
    for _ in range(6000):  # of what is well known a sample is looked at
        forecast.learn(1, "m", 4000)
    assert forecast.output_tokens(1, "m") >= 4000


def test_a_key_with_few_calls_leans_on_its_model() -> None:
    forecast = Forecast()
    assert forecast.output_tokens(1, "m") == OUTPUT_UNKNOWN
    for _ in range(50):
        forecast.learn(1, "m", 1000)
    forecast.learn(2, "m", 10)
    assert forecast.output_tokens(2, "m") >= 1000
    for _ in range(10):
        forecast.learn(2, "m", 10)
    assert forecast.output_tokens(2, "m") <= 13
    assert forecast.output_tokens(1, "m", limit=64) == 64


def test_lesson_54_what_is_remembered_is_bounded() -> None:
    forecast = Forecast(keys_max=100)
    for key in range(1000):
        forecast.learn(key, f"m{key}", 5)
    assert len(forecast._keys) <= 100
    assert len(forecast._models) <= 100


def test_bytes_a_token_follow_what_is_reported_and_no_outlier() -> None:
    milli = 4000
    for _ in range(200):
        milli = moved_milli(milli, 2500, 1000)
    assert 2450 <= milli <= 2550
    assert moved_milli(milli, 2_000_000, 1000) == milli, "an image is no text"
    assert moved_milli(milli, 100, 3) == milli
