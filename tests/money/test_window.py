"""Hours, weekdays, holidays and clocks that change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.money.support import inside, instant_ns

from baseload.money.book import BadPriceFile, load_book
from baseload.money.price import WEEKDAYS, Window
from baseload.money.rate import rate_nano
from baseload.money.window import clock, minutes

WEEK = tuple(WEEKDAYS)
TIME = st.integers(0, 1440).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}")
ZONES = ["UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu",
         "America/St_Johns", "Africa/Casablanca", "Pacific/Apia"]  # fmt: skip
SOME_TIME = st.integers(instant_ns("1990-01-01T00:00:00Z"), instant_ns("2040-01-01T00:00:00Z"))
# the hours around changes of the clocks: New York and Berlin 2026, Lord Howe (30 minutes), Apia (a skipped day)
CHANGES = [
    instant_ns(text)
    for text in (
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-04-04T15:00:00Z",
        "2011-12-30T10:00:00Z",
    )
]
NEAR_A_CHANGE = st.builds(
    lambda change, offset: change + offset, st.sampled_from(CHANGES), st.integers(-(10**13), 10**13)
)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    spans = []
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted([draw(TIME), draw(TIME)])
        spans.append((start, end))
    return Window(
        name="w",
        tz=draw(st.sampled_from(ZONES)),
        days=tuple(draw(st.sets(st.sampled_from(WEEK), min_size=1))),
        spans=tuple(spans),
        except_dates=tuple(draw(st.sets(st.sampled_from(["2026-03-08", "2026-11-01", "2026-10-25"])))),
    )


@settings(max_examples=400, deadline=None)
@given(windows(), SOME_TIME | NEAR_A_CHANGE)
def test_a_window_contains_what_the_wall_clock_says(window: Window, at_ns: int):
    found = clock(window).contains(at_ns)
    assert found == inside(window, at_ns)
    assert clock(window).contains(at_ns) == found  # from memory


def night(tz: str) -> Window:
    """Ten in the evening to six in the morning, every day."""
    return Window(name="night", tz=tz, days=WEEK, spans=(("22:00", "24:00"), ("00:00", "06:00")))


@pytest.mark.parametrize(
    ("text", "is_night"),
    [
        ("2026-06-01T21:59:59.999999+02:00", False),
        ("2026-06-01T22:00:00+02:00", True),
        ("2026-06-01T23:59:59.999999+02:00", True),
        ("2026-06-02T00:00:00+02:00", True),
        ("2026-06-02T05:59:59.999999+02:00", True),
        ("2026-06-02T06:00:00+02:00", False),
    ],
)
def test_over_midnight(text: str, is_night: bool):
    assert clock(night("Europe/Berlin")).contains(instant_ns(text)) is is_night


def test_the_night_is_an_hour_longer_when_the_clock_goes_back_and_shorter_when_it_goes_on():
    def hours(first: str, last: str) -> int:
        step = 60 * 10**9
        berlin = clock(night("Europe/Berlin"))
        return sum(berlin.contains(at) for at in range(instant_ns(first), instant_ns(last), step)) // 60

    assert hours("2026-06-01T12:00:00Z", "2026-06-02T12:00:00Z") == 8
    assert hours("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z") == 9
    assert hours("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z") == 7


def test_an_hour_that_the_clock_skips_never_comes_and_one_it_repeats_comes_twice():
    early = Window(name="w", tz="America/New_York", days=WEEK, spans=(("01:30", "02:30"),))
    step = 60 * 10**9

    def seen(first: str) -> int:
        start = instant_ns(first)
        return sum(clock(early).contains(at) for at in range(start, start + 12 * 60 * step, step))

    assert seen("2026-06-01T03:00:00Z") == 60
    assert seen("2026-03-08T03:00:00Z") == 30  # 02:00 to 03:00 does not exist
    assert seen("2026-11-01T03:00:00Z") == 90  # 01:00 to 02:00 is there twice


def test_a_weekday_is_the_local_one():
    monday = Window(name="w", tz="Asia/Shanghai", days=("mon",), spans=(("00:00", "24:00"),))
    assert clock(monday).contains(instant_ns("2026-11-22T16:00:00Z"))  # Sunday in UTC
    assert not clock(monday).contains(instant_ns("2026-11-23T16:00:00Z"))


@pytest.mark.parametrize("text", ["24:01", "25:00", "9:00", "09:60", "0900", "", "-1:00", "٠٩:٠٠"])
def test_what_is_no_time_of_day(text: str):
    with pytest.raises(ValueError, match=r".*"):
        minutes(text)


def test_a_span_over_midnight_is_refused_with_the_two_that_are_meant():
    text = """
[vendor]
name = "x"
currency = "USD"
[window.night]
tz = "UTC"
days = ["fri"]
spans = [["22:00", "06:00"]]
"""
    with pytest.raises(BadPriceFile) as caught:
        load_book(text)
    assert '["22:00", "24:00"] and ["00:00", "06:00"]' in caught.value.fix
    assert caught.value.line == 8


def test_a_price_with_two_windows():
    text = """
[vendor]
name = "x"
currency = "USD"
[window.night]
tz = "Asia/Shanghai"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
spans = [["22:00", "24:00"], ["00:00", "06:00"]]
except = "feast"
[window.sunday]
tz = "Asia/Shanghai"
days = ["sun"]
spans = [["00:00", "24:00"]]
[calendar.feast]
dates = [2026-10-01]
[[price]]
model = "m"
rate = { input = "8" }
  [[price.rule]]
  when = { window = "sunday" }
  multiply = { tokens = "0.5" }
  [[price.rule]]
  when = { window = "night" }
  multiply = { tokens = "0.25" }
"""
    (row,) = load_book(text)

    def price(at: str) -> int:
        return rate_nano(row, {"input": 1_000_000}, {}, instant_ns(at)) // 10**9

    assert price("2026-11-20T12:00:00+08:00") == 8
    assert price("2026-11-20T23:00:00+08:00") == 2
    assert price("2026-11-22T12:00:00+08:00") == 4
    assert price("2026-11-22T23:00:00+08:00") == 1
    assert price("2026-09-30T23:00:00+08:00") == 2
    assert price("2026-10-01T01:00:00+08:00") == 8  # the feast is outside the window all day
    assert price("2026-10-01T23:00:00+08:00") == 8
    assert price("2026-10-02T01:00:00+08:00") == 2
