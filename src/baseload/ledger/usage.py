"""Usage by model, key, offer, provider, account, outcome, day or hour, from the roll-ups: no scan of readings.

In:     a time, what to group by, filters. Out: one row a group. The roll-ups move in the same transaction as the
readings, so they are never behind them; `ledger check` adds them up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Engine, Select, Table, cast, func, select, text

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.rollups import DAY_NS, HOUR_NS, month_of
from baseload.ledger.settled import names
from baseload.ledger.texts import instant
from baseload.store import tables

BY = ("account", "key", "model", "offer", "provider", "outcome", "day", "hour")
_NAMED = {
    "account": tables.accounts,
    "key": tables.keys,
    "offer": tables.offers,
    "provider": tables.providers,
}


class UsageRow(msgspec.Struct, kw_only=True):
    """`group`: by -> value (names where there are; day and hour as their start, UTC); `ids`: the numbers behind names.

    cost and charge: nano-units by currency. Counts and meters as in `store.tables.usage_hours`.
    """

    group: dict[str, str]
    ids: dict[str, int]
    calls: int = 0
    attempts: int = 0
    not_reported: int = 0
    no_usage: int = 0
    unmetered: int = 0
    unpriced: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    media: int = 0
    tools: int = 0
    cost: dict[str, int]
    charge: dict[str, int]

    def margin(self) -> dict[str, int]:
        """Charge less cost, where both are in one currency; amounts of different currencies are not subtracted."""
        both = sorted(self.cost.keys() & self.charge.keys())
        return {currency: self.charge[currency] - self.cost[currency] for currency in both}


class UsageReport(msgspec.Struct, kw_only=True):
    """start, end: the time really covered, which is the one asked for rounded outward to whole hours (UTC)."""

    start_ns: int
    end_ns: int
    start: str
    end: str
    by: tuple[str, ...]
    rows: list[UsageRow]


def usage(
    engine: Engine,
    start_ns: int,
    end_ns: int,
    *,
    by: Sequence[str] = ("model",),
    account: int | None = None,
    key: int | None = None,
    offer: int | None = None,
    provider: int | None = None,
    model: str | None = None,
) -> UsageReport:
    """Usage of calls that arrived in [start, end), grouped by any of BY, filtered by ids and model. Sorted by group."""
    wrong = [name for name in by if name not in BY]
    if wrong:
        raise Refusal(f"Usage cannot be grouped by {wrong[0]!r}.", f"Choose of: {', '.join(BY)}.", code="usage_by")
    start_ns -= start_ns % HOUR_NS
    end_ns += -end_ns % HOUR_NS
    whose = account is not None or key is not None or bool({"account", "key"} & set(by))
    filters = {"account": account, "key": key, "offer": offer, "model": model}
    rows: dict[tuple[Any, ...], UsageRow] = {}
    with store.reading(engine) as connection:
        known = {name: names(connection, _NAMED[name]) for name in by if name in _NAMED}
        for level, first_ns, last_ns in cover(start_ns, end_ns, by, whose=whose):
            for found in connection.execute(_query(level, first_ns, last_ns, by, filters, provider)):
                _add(rows, by, found, known)
    return UsageReport(start_ns=start_ns, end_ns=end_ns, start=instant(start_ns), end=instant(end_ns), by=tuple(by),
                       rows=[rows[values] for values in sorted(rows)])  # fmt: skip


def cover(start_ns: int, end_ns: int, by: Sequence[str], *, whose: bool) -> list[tuple[Table, int, int]]:
    """Which level answers for which part of [start, end): months where whole months lie inside, then days, then hours.

    `whose`: accounts or keys matter. The parts do not overlap and are the whole. start, end: whole hours.
    """
    hours = tables.usage_hours if whose else tables.load_hours
    days = tables.usage_days if whose else tables.load_days
    if "hour" in by:
        return [(hours, start_ns, end_ns)]
    parts: list[tuple[Table, int, int]] = []
    first, last = start_ns + -start_ns % DAY_NS, end_ns - end_ns % DAY_NS
    if first >= last:
        return [(hours, start_ns, end_ns)]
    months = [] if "day" in by else _whole_months(first, last)
    inner = [(tables.usage_months, months[0], months[1])] if months else []
    edges = [(days, first, months[0]), *inner, (days, months[1], last)] if months else [(days, first, last)]
    parts = [(hours, start_ns, first), *edges, (hours, last, end_ns)]
    return [part for part in parts if part[1] < part[2]]


def _whole_months(first_ns: int, last_ns: int) -> list[int]:
    """[begin of the first whole calendar month (UTC), end of the last one] within whole days; empty = there is none."""
    begin = month_of(first_ns)
    if begin < first_ns:
        begin = month_of(begin + 32 * DAY_NS)
    end = month_of(last_ns)
    return [begin, end] if begin < end else []


def _query(
    level: Table,
    start_ns: int,
    end_ns: int,
    by: Sequence[str],
    filters: dict[str, int | str | None],
    provider: int | None,
) -> Select[Any]:
    table, at = level.c, next(iter(level.c))
    conditions: list[ColumnElement[bool]] = [at >= start_ns, at < end_ns]
    conditions += [table[name] == value for name, value in filters.items() if value is not None]
    groups = [_group(level, name) for name in by]
    counts = [cast(func.sum(table[name]), BigInteger).label(name) for name in tables.USAGE_COUNTS]
    money = [half for name in ("cost_nano", "charge_nano") for half in tables.sum_nano(table[name])]
    source: Any = level
    if provider is not None:
        conditions.append(tables.offers.c.provider_id == provider)
    if provider is not None or "provider" in by:  # a look-up a row: only where it says something
        source = source.outerjoin(tables.offers, tables.offers.c.id == table.offer)
    query = select(*groups, table.cost_currency, table.charge_currency, *counts, *money).select_from(source)
    return query.where(*conditions).group_by(*groups, table.cost_currency, table.charge_currency)


def _group(level: Table, name: str) -> ColumnElement[Any]:
    at = next(iter(level.c))
    if name == "day":
        return (at - at.op("%")(text(str(DAY_NS)))).label("day")
    if name == "hour":
        return at.label("hour")
    if name == "provider":
        return func.coalesce(tables.offers.c.provider_id, 0).label("provider")
    return level.c[name].label(name)


def _add(
    rows: dict[tuple[Any, ...], UsageRow], by: Sequence[str], found: Any, known: dict[str, dict[int, str]]
) -> None:
    width = len(by)
    values = tuple(found[:width])
    cost_currency, charge_currency = found[width], found[width + 1]
    cost_high, cost_low, charge_high, charge_low = (int(half) for half in found[-4:])
    row = rows.get(values)
    if row is None:
        grouped = dict(zip(by, values, strict=True))
        row = rows[values] = UsageRow(
            group={name: _text(name, value, known) for name, value in grouped.items()},
            ids={name: value for name, value in grouped.items() if name in _NAMED},
            cost={},
            charge={},
        )
    for name, count in zip(tables.USAGE_COUNTS, found[width + 2 : -4], strict=True):
        setattr(row, name, getattr(row, name) + int(count))
    if cost_currency:
        row.cost[cost_currency] = row.cost.get(cost_currency, 0) + cost_high * tables.GIGA + cost_low
        row.charge[charge_currency] = row.charge.get(charge_currency, 0) + charge_high * tables.GIGA + charge_low


def _text(name: str, value: Any, known: dict[str, dict[int, str]]) -> str:
    if name in known:
        return known[name].get(value, f"#{value}")
    if name in ("day", "hour"):
        return instant(value)[: 10 if name == "day" else 13]
    return str(value)
