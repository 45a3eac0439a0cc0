"""When a provider says to come back: headers and details in the forms vendors use. Pure, never raises.

There is no clock here: a date is compared with the `date` header of the same reply.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

DEFAULT_HEADERS = ("retry-after-ms", "retry-after")
WAIT_MAX_S = 86_400.0  # a longer wait is no retry hint
_EPOCH_S = 1_000_000_000  # a "seconds" value above this is an instant, not a wait
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d))+")
_PART = re.compile(r"([0-9.]+)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")


def retry_after(names: tuple[str, ...], headers: Mapping[str, str], delay: str = "") -> float | None:
    """Seconds until a repeat may succeed, from the first header of `names` that says, else from `delay`; or None."""
    lower = {str(name).lower(): value for name, value in headers.items() if isinstance(value, str)}
    now = _date(lower.get("date", ""))
    for name in names or DEFAULT_HEADERS:
        wait = _wait(lower[name].strip(), now, name.endswith("-ms")) if name in lower else None
        if wait is not None:
            return wait
    return _wait(delay.strip(), now, False)


def _wait(text: str, now: datetime | None, is_ms: bool) -> float | None:
    if _NUMBER.fullmatch(text):
        seconds = float(text) / 1000 if is_ms else float(text)
        if seconds > _EPOCH_S and not is_ms:
            since_epoch = seconds / 1000 if seconds > _EPOCH_S * 1000 else seconds
            return _bounded(since_epoch - now.timestamp()) if now else None
        return _bounded(seconds)
    if _DURATION.fullmatch(text):  # "6m0s", "20ms", "37s"
        return _bounded(sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text)))
    instant = _date(text)
    return _bounded((instant - now).total_seconds()) if instant and now else None


def _date(text: str) -> datetime | None:
    if len(text) < 10:
        return None
    from email.utils import parsedate_to_datetime  # slow to import, seldom needed

    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _bounded(seconds: float) -> float | None:
    if not math.isfinite(seconds) or seconds > WAIT_MAX_S:
        return None
    return max(0.0, seconds)
