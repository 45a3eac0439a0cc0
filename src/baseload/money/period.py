"""The day, week or month that an instant lies in, as the people of a time zone count them. Pure.

In:     a period, an IANA zone, an instant (ns since the epoch). Out: (begin, end) of the window, half-open, in ns.
A day begins at local midnight, also where a change of clocks makes it 23 or 25 hours long; a week begins on Monday (ISO
8601). "total" is one window for ever: (0, 2^62).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from baseload.errors import Refusal

PERIODS = ("total", "day", "week", "month")
FOREVER_NS = 1 << 62
_S = 1_000_000_000


class BadZone(Refusal):
    """A time zone that is not in the IANA database."""

    code, status = "zone_unknown", 422


def check_zone(name: str) -> str:
    """The name; raises BadZone where there is no such zone."""
    _zone(name)
    return name


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadZone(f"There is no time zone {name!r}.", 'As in "UTC" or "Asia/Shanghai".', param="zone") from error


@lru_cache(maxsize=4096)
def _of_day(period: str, zone: str, day: date) -> tuple[int, int]:
    if period == "day":
        first, last = day, day + timedelta(days=1)
    elif period == "week":
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        last = (first + timedelta(days=32)).replace(day=1)
    return _midnight(first, zone), _midnight(last, zone)


def _midnight(day: date, zone: str) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=_zone(zone)).timestamp()) * _S


def window(period: str, zone: str, at_ns: int) -> tuple[int, int]:
    """(begin, end) of the window around `at_ns`."""
    if period == "total":
        return 0, FOREVER_NS
    local = datetime.fromtimestamp(at_ns // _S, UTC).astimezone(_zone(zone))
    return _of_day(period, zone, local.date())
