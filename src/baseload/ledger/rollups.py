"""The roll-ups of usage: what settlement keeps added up, so that no question scans readings.

In:     readings with their meters and ratings.
Out:    rows of the five tables of `store.tables.USAGE_LEVELS`: by hour, by day and by month (UTC), and by hour and day
of all accounts together. Each reading is in all five, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table

from baseload.gateway.journal.entries import Reading
from baseload.ledger.book import insert_rows
from baseload.ledger.rating import SETTLED, UNPRICED, Rating
from baseload.ledger.rows import clean
from baseload.money.price import METERS
from baseload.store import tables
from baseload.store.tables import USAGE_KEY, USAGE_SUMS

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS

_WHO = slice(1, 3)  # account and key in USAGE_KEY
_WIDTH = len(USAGE_KEY)

_AT = {name: number for number, name in enumerate(USAGE_SUMS)}
_CALLS, _ATTEMPTS, _NOT_REPORTED, _REASONING = (
    _AT[name] for name in ("calls", "attempts", "not_reported", "reasoning")
)
_COST, _CHARGE = _AT["cost_nano"], _AT["charge_nano"]


def usage_meter(meter: str) -> str:
    """The column of `usage_hours` a meter is added to."""
    if meter in ("input", "cache_read", "output"):
        return meter
    if meter.startswith("cache_write"):
        return "cache_write"
    if meter.endswith("_call"):
        return "tools"
    if meter.startswith("cache_read"):
        return "cache_read"
    if meter.endswith(("_audio", "_image", "_video")) or meter in ("images", "characters", "audio_ms"):
        return "media"
    return "tools"


_METER_AT = {meter: _AT[usage_meter(meter)] for meter in METERS}


class Usage:
    """Adds readings up by hour, account, key, offer, model, outcome and currencies: what `usage_hours` moves by."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, int, int, int, str, str, str, str], list[int]] = {}

    def add(self, entry: Reading, used: Mapping[str, int], rating: Rating) -> None:
        """A new reading; `used` are its meters as they are priced."""
        sums = self._group(entry, rating)
        sums[_ATTEMPTS] += 1
        if entry.attempt == 1:
            sums[_CALLS] += 1
        if entry.input_provenance != "reported" or entry.output_provenance != "reported":
            sums[_NOT_REPORTED] += 1
        for meter, count in used.items():
            sums[_METER_AT.get(meter) or _AT[usage_meter(meter)]] += count
        sums[_REASONING] += entry.meters.get("reasoning", 0)
        if rating.state == SETTLED:
            sums[_COST] += rating.cost_nano or 0
            sums[_CHARGE] += rating.charge_nano or 0
        else:
            sums[_AT[rating.state]] += 1

    def settle_late(self, entry: Reading, used: Mapping[str, int], rating: Rating) -> None:
        """An unpriced reading got its amounts after all: it moves from the group without money to that with it."""
        was, now = self._group(entry, Rating(UNPRICED, "")), Usage()
        now.add(entry, used, rating)
        for (key, sums), other in zip(now._groups.items(), (was,), strict=True):
            target = self._groups.setdefault(key, [0] * len(USAGE_SUMS))
            for number, amount in enumerate(sums):
                target[number] += amount
                if number not in (_COST, _CHARGE):
                    other[number] -= amount
        was[_AT[UNPRICED]] -= 1

    def _group(self, entry: Reading, rating: Rating) -> list[int]:
        at_ns = entry.accepted_ns
        key = (at_ns - at_ns % HOUR_NS, entry.account, entry.key, entry.offer, entry.model,
               entry.outcome, rating.cost_currency or "", rating.charge_currency or "")  # fmt: skip
        sums = self._groups.get(key)
        if sums is None:
            sums = self._groups[key] = [0] * len(USAGE_SUMS)
        return sums

    def rows(self) -> list[tuple[Any, ...]]:
        """Rows of `usage_hours` in the order of its key, which is the order its pages are in."""
        return [
            (hour, account, key, offer, clean(model), *rest, *sums)
            for (hour, account, key, offer, model, *rest), sums in sorted(self._groups.items())
            if any(sums)
        ]


Rows = list[tuple[Any, ...]]


def levels(hours: Iterable[tuple[Any, ...]]) -> dict[Table, Rows]:
    """What rows of `usage_hours` add to each table, in the order of its key, which is the order its pages are in."""
    hours = list(hours)
    sums: dict[Table, dict[tuple[Any, ...], list[int]]] = {table: {} for table in tables.USAGE_LEVELS[1:]}
    for row in hours:
        key, amounts = row[:_WIDTH], row[_WIDTH:]
        hour, who, what = key[0], key[_WHO], key[_WHO.stop :]
        day = hour - hour % DAY_NS
        places = ((day, *who, *what), (month_of(day), *who, *what), (hour, *what), (day, *what))
        for groups, place in zip(sums.values(), places, strict=True):
            group = groups.get(place)
            if group is None:
                groups[place] = list(amounts)
                continue
            for number, amount in enumerate(amounts):
                if amount:
                    group[number] += amount
    rolled = {
        table: [(*place, *group) for place, group in sorted(groups.items()) if any(group)]
        for table, groups in sums.items()
    }
    return {tables.usage_hours: hours, **rolled}


def write_usage(connection: Connection, usage: Usage) -> None:
    """Adds to every level; part of the transaction that writes the readings."""
    for table, rows in levels(usage.rows()).items():
        insert_rows(connection, table, rows, UPSERT[table])


@lru_cache(maxsize=4096)
def month_of(day_ns: int) -> int:
    """The begin of the calendar month (UTC) that an instant lies in, nanoseconds."""
    day = datetime.fromtimestamp(day_ns // 10**9, UTC)
    return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 10**9


UPSERT = {
    table: f" ON CONFLICT ({', '.join(column.name for column in table.primary_key)}) DO UPDATE SET "
    + ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in USAGE_SUMS)
    for table in tables.USAGE_LEVELS
}
