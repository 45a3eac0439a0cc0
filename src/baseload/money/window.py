"""Is an instant inside a window of hours, weekdays and dates? Pure: the instant is an argument.

A local time that the clock shows twice (end of summer time) is inside both times; one that it skips never comes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from baseload.money.price import WEEKDAYS, Window

_MINUTE_NS = 60 * 1_000_000_000
_REMEMBERED = 4096  # minutes; settlement reads in time order, so a few would do


def minutes(text: str) -> int:
    """ "HH:MM" -> minutes since midnight, 0 to 1440 ("24:00"). Raises ValueError."""
    if len(text) != 5 or text[2] != ":" or not (text[:2] + text[3:]).isascii() or not (text[:2] + text[3:]).isdigit():
        raise ValueError(text)
    hour, minute = int(text[:2]), int(text[3:])
    if minute > 59 or hour > 24 or (hour == 24 and minute):
        raise ValueError(text)
    return hour * 60 + minute


class WindowClock:
    """Answers for one window. Edges and zone offsets are whole minutes, so a minute has one answer."""

    def __init__(self, window: Window) -> None:
        from zoneinfo import ZoneInfo  # loaded only where a row has a window

        self._zone = ZoneInfo(window.tz)
        self._utc = ZoneInfo("UTC")
        self._epoch = datetime(1970, 1, 1, tzinfo=self._utc)
        self._days = frozenset(WEEKDAYS.index(day) for day in window.days)
        self._spans = tuple((minutes(start), minutes(end)) for start, end in window.spans)
        self._except = frozenset(window.except_dates)
        self._known: dict[int, bool] = {}

    def contains(self, at_ns: int) -> bool:
        """`at_ns` is nanoseconds since the epoch (UTC)."""
        minute = at_ns // _MINUTE_NS
        known = self._known.get(minute)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[minute] = self._look(minute)
        return known

    def _look(self, minute: int) -> bool:
        local = (self._epoch + timedelta(minutes=minute)).astimezone(self._zone)
        if local.weekday() not in self._days or local.date().isoformat() in self._except:
            return False
        of_day = local.hour * 60 + local.minute
        return any(start <= of_day < end for start, end in self._spans)


@lru_cache(maxsize=1024)
def clock(window: Window) -> WindowClock:
    """The clock of a window, shared by the rows that use it."""
    return WindowClock(window)
