"""Instants as people write and read them: spans back from now, dates, months. UTC throughout. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from baseload.errors import Refusal

_SPAN = re.compile(r"^(\d{1,5})([mhdw])$")
_UNIT = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(ns: int) -> str:
    """1764028800000000000 -> "2025-11-25T00:00:00Z"; "" for 0. Whole seconds."""
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if ns else ""


def to_ns(moment: datetime) -> int:
    """Exact nanoseconds since the epoch (a float would be off by hundreds of them)."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def instant_ns(text: str, now_ns: int) -> int:
    """ "7d" (that long before now), "2026-11-24" or "2026-11-24T08:00:00Z" -> nanoseconds. Raises Refusal."""
    if span := _SPAN.match(text):
        return now_ns - int(timedelta(**{_UNIT[span[2]]: int(span[1])}).total_seconds()) * 10**9
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(
            f"{text!r} is not an instant.",
            "Write a span back from now (90m, 12h, 7d, 4w), a date (2026-11-24) or 2026-11-24T08:00:00Z.",
            code="instant_wrong",
        ) from error
    return to_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def period_ns(since: str, until: str, month: str, now_ns: int, *, default: str = "month") -> tuple[int, int]:
    """The half-open period [since, until). Without `since`: from the start of this month, or everything ("all")."""
    if month:
        if since or until:
            raise Refusal("A month is a whole period.", "Give month, or since and until.", code="period_wrong")
        return month_ns(month)
    end = instant_ns(until, now_ns) if until else now_ns
    if since:
        start = instant_ns(since, now_ns)
    elif default == "month":
        start = month_ns(datetime.fromtimestamp(now_ns // 10**9, UTC).strftime("%Y-%m"))[0]
    else:
        start = 0
    if start >= end:
        raise Refusal(
            f"The period ends ({iso(end)}) before it begins ({iso(start)}).", "Swap them.", code="period_wrong"
        )
    return start, end


def month_ns(text: str) -> tuple[int, int]:
    """ "2026-11" -> [1 November, 1 December)."""
    match = re.match(r"^(\d{4})-(\d{2})$", text)
    if not match or not 1 <= int(match[2]) <= 12 or int(match[1]) < 1970:
        raise Refusal(f"{text!r} is not a month.", "As in 2026-11.", code="period_wrong")
    year, number = int(match[1]), int(match[2])
    first = datetime(year, number, 1, tzinfo=UTC)
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return to_ns(first), to_ns(after)
