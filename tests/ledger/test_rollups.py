"""Usage from its levels: whatever the time and the grouping, what the readings themselves add up to."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from msgspec.structs import replace
from sqlalchemy import func, insert, select, text

from baseload import store
from baseload.ledger.check import check
from baseload.ledger.rollups import DAY_NS, HOUR_NS, levels, month_of
from baseload.ledger.settle import Settler
from baseload.ledger.usage import cover, usage
from baseload.store import tables
from tests import databases
from tests.ledger import model
from tests.ledger import support as s

MONTHS = 100 * DAY_NS  # the readings lie in three months and more


@pytest.fixture
def spread(engine, tmp_path):
    """240 readings over a hundred days, many at the very begin or end of an hour, a day or a month."""
    s.configure(engine)
    dice = random.Random(5)
    entries, moved = [], {}
    for entry in model.traffic(dice, 240):
        at = s.T0 + dice.randrange(MONTHS)
        at = dice.choice(
            [at, at - at % HOUR_NS, at - at % DAY_NS, at - at % DAY_NS - 1, month_of(at), month_of(at) - 1]
        )
        at = moved.setdefault(entry.call, at)  # what is said twice is said alike
        entries.append(replace(entry, accepted_ns=at))
    s.journal(tmp_path / "g1", *entries)
    Settler(engine).drain(tmp_path / "g1", "g1")
    return engine


def test_any_time_and_any_grouping_is_the_sum_of_the_readings(spread):
    dice = random.Random(9)
    groupings = [("model",), ("account",), ("key", "model"), ("day",), ("hour",), ("outcome", "day"), ("provider",), ()]
    for turn in range(120):
        first = s.T0 - DAY_NS + dice.randrange(MONTHS)
        last = first + dice.choice([HOUR_NS, DAY_NS, 3 * DAY_NS, 40 * DAY_NS, MONTHS])
        by, account = groupings[turn % len(groupings)], dice.choice([None, s.ACME])
        report = usage(spread, first, last, by=by, account=account)
        attempts, cost = _readings(spread, report.start_ns, report.end_ns, account)
        assert sum(row.attempts for row in report.rows) == attempts
        found: dict[str, int] = {}
        for row in report.rows:
            for currency, nano in row.cost.items():
                found[currency] = found.get(currency, 0) + nano
        assert found == cost


def _readings(engine, start_ns, end_ns, account):
    table = tables.readings.c
    conditions = [table.accepted_ns >= start_ns, table.accepted_ns < end_ns]
    conditions += [table.account == account] if account is not None else []
    with store.reading(engine) as connection:
        attempts = connection.execute(select(func.count()).where(*conditions)).scalar_one()
        query = select(table.cost_currency, table.cost_nano).where(*conditions, table.cost_nano.is_not(None))
        cost: dict[str, int] = {}
        for currency, nano in connection.execute(query):
            cost[currency] = cost.get(currency, 0) + nano
    return attempts, cost


def test_the_parts_of_a_cover_join_without_gap_or_overlap():
    dice = random.Random(3)
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    for _ in range(500):
        start = begin + dice.randrange(9_000) * HOUR_NS
        end = start + dice.choice([1, 5, 24, 49, 800, 9_000]) * HOUR_NS
        for by in (("model",), ("day",), ("hour",)):
            parts = cover(start, end, by, whose=dice.random() < 0.5)
            assert parts[0][1] == start
            assert parts[-1][2] == end
            assert all(one[2] == two[1] for one, two in pairwise(parts))
            for table, first, last in parts:
                step = {"hour_ns": HOUR_NS, "day_ns": DAY_NS}.get(next(iter(table.c)).name)
                assert (first % step, last % step) == (0, 0) if step else month_of(first) == first
    year = cover(begin, begin + 365 * DAY_NS, ("model",), whose=True)
    assert [table.name for table, _, _ in year] == ["usage_months"]


def test_every_level_is_checked(spread):
    assert "usage" not in _errors(spread)
    for table in tables.USAGE_LEVELS:
        with store.writing(spread) as connection:
            connection.execute(text(f"UPDATE {table.name} SET attempts = attempts + 1"))
        assert "usage" in _errors(spread)
        with store.writing(spread) as connection:
            connection.execute(text(f"UPDATE {table.name} SET attempts = attempts - 1"))


def _errors(engine):
    return {finding.check for finding in check(engine) if finding.severity == "error"}


def test_a_database_of_before_gets_its_levels_by_the_migration(spread, backend, tmp_path):
    with store.reading(spread) as connection:
        hours = [tuple(row) for row in connection.execute(select(tables.usage_hours))]
    old = store.open(databases.empty_url(backend, tmp_path))
    store.upgrade(old, "0003")
    with store.writing(old) as connection:
        names = [column.name for column in tables.usage_hours.columns]
        connection.execute(insert(tables.usage_hours), [dict(zip(names, row, strict=True)) for row in hours])
    store.upgrade(old)
    with store.reading(old) as connection:
        for table, rows in levels(hours).items():
            assert sorted(tuple(row) for row in connection.execute(select(table))) == sorted(rows), table.name
    old.dispose()
