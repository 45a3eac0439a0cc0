"""A book of many readings: what one costs in bytes, and how long pages of calls, bills and the archive take.

    python -m bench.book [--readings 1000000] [--sizes 100000] [--rounds 5]

First `--sizes` readings twice, with and without the columns that no amount depends on (`raw_usage`, `seen`): bytes a
reading in SQLite. Then `--readings` of 200 accounts over a year, settled from a journal as ever, and the median of the
rounds: a page of calls, a month's and a year's bill of the greatest and of a small account, a day to Parquet.
SQLite, in one process. A million readings take some four minutes to settle.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Engine

from baseload import store
from baseload.dispatch import seen
from baseload.gateway.journal.entries import Hold, Reading
from baseload.gateway.journal.writer import JournalWriter
from baseload.ledger import archive, archive_check, bills, calls
from baseload.ledger.rollups import DAY_NS
from baseload.ledger.settle import Settler
from baseload.store import tables
from bench.settlement import configure, ended

START_NS = 20_089 * DAY_NS  # 2025-01-01
ACCOUNTS, MONTH = 200, 30
SEEN = seen.encode(
    seen.Seen("cheapest", "USD", 1_210, 1_024, 311, "", 0, [[number, 0] for number in range(1, 7)],
              [311_000_000_000 + number for number in range(6)], {}, [[7, 0, "region"], [8, 0, "context"]])
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--sizes", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.sizes:
        sizes(options.sizes)
    if options.readings:
        with tempfile.TemporaryDirectory(prefix="baseload-bench-") as name:
            big(Path(name), options.readings, options.rounds)


def sizes(count: int) -> None:
    found = {}
    for word, changes in (
        ("whole", {}),
        ("without seen", {"seen": b""}),
        ("without raw_usage", {"raw_usage": b""}),
        ("without both", {"seen": b"", "raw_usage": b""}),
    ):
        with tempfile.TemporaryDirectory(prefix="baseload-bench-") as name:
            engine = fill(Path(name), count, changes)
            tables_of = by_table(engine) if word == "whole" else {}
            folder = Path(name) / "archive"
            made = archive.archive(engine, START_NS, START_NS + MONTH * DAY_NS, folder, "bench")
            parquet = sum(day.bytes for day in made) / sum(day.readings for day in made)
            store.dispose(engine)
            found[word] = (Path(name) / "book.db").stat().st_size / count, parquet
        print(
            f"{word:20}{found[word][0]:8,.0f} bytes a reading in the database,{found[word][1]:6,.0f} in Parquet",
            flush=True,
        )
        for table, size in tables_of.items():
            print(f"    {table:40}{size / count:8,.0f}")


def by_table(engine: Engine) -> dict[str, int]:
    """Bytes of tables and indexes, the greatest first; {} where SQLite was built without `dbstat`."""
    query = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 9"
    try:
        with store.reading(engine) as connection:
            return {name: int(size) for name, size in connection.exec_driver_sql(query)}
    except store.DatabaseAway:
        return {}


def big(folder: Path, count: int, rounds: int) -> None:
    begin = time.perf_counter()
    engine = fill(folder, count, {})
    print(f"\n{count:,} readings settled in {time.perf_counter() - begin:,.0f} s (journal written too)", flush=True)
    end_ns = START_NS + 365 * DAY_NS
    for account in (1, 100):
        with store.reading(engine) as connection:
            query = "SELECT count(*) FROM readings WHERE account = ?"
            own = connection.exec_driver_sql(query, (account,)).scalar_one()
        for word, act in (
            ("page of its calls", lambda account=account: calls.recent(engine, account=account)),
            ("bill of a month", lambda account=account: bills.bill(engine, account, end_ns - MONTH * DAY_NS, end_ns)),
            ("bill of the year", lambda account=account: bills.bill(engine, account, START_NS, end_ns)),
        ):
            print(
                f"account {account:3} of {own:7,} readings: {word:20}{median(act, rounds) * 1e3:9,.1f} ms", flush=True
            )
    print(f"{'page of all calls':48}{median(lambda: calls.recent(engine), rounds) * 1e3:9,.1f} ms", flush=True)
    files = folder / "archive"
    begin, days = time.perf_counter(), 30
    made = archive.archive(engine, START_NS, START_NS + days * DAY_NS, files, "bench")
    took, readings = time.perf_counter() - begin, sum(day.readings for day in made)
    print(f"archive of {days} days, {readings:,} readings: {took:.1f} s, {readings / took:,.0f} readings/s")
    begin = time.perf_counter()
    assert archive_check.verify(engine, files) == []
    took = time.perf_counter() - begin
    print(f"its proof: {took:.1f} s, {readings / took:,.0f} readings/s")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    store.dispose(engine)


def median(act: Callable[[], Any], rounds: int) -> float:
    took = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        act()
        took.append(time.perf_counter() - begin)
    return statistics.median(took[1:])


def fill(folder: Path, count: int, changes: dict[str, Any]) -> Engine:
    """A book of `count` readings over a year; account 1 has a sixth of them."""
    engine = store.open(f"sqlite:///{folder}/book.db")
    store.upgrade(engine)
    price = configure(engine)
    with store.writing(engine) as connection:
        money = {"currency": "USD", "tariff_id": 1, "created_ns": 0}
        connection.execute(tables.accounts.insert(), [{"name": f"team-{n}", **money} for n in range(ACCOUNTS)])
    writer = JournalWriter(folder / "journal", "g1", segment_bytes=64 * 2**20)
    dice, step = random.Random(1), 365 * DAY_NS // count
    weights = [1 / (rank + 2) for rank in range(ACCOUNTS)]
    accounts = dice.choices(range(1, ACCOUNTS + 1), weights, k=count)
    for number, account in enumerate(accounts):
        writer.append(replace(_reading(number, account, START_NS + number * step, price, dice), **changes))
        if number % 200 == 0:
            writer.flush()
    writer.close()
    Settler(engine).drain(folder / "journal", "g1")
    return engine


def _reading(number: int, account: int, at_ns: int, price: int, dice: random.Random) -> Reading:
    hold = Hold(
        call=f"call_{at_ns:016x}{dice.getrandbits(40):010x}", attempt=1, account=account, key=account * 2 + number % 2,
        offer=number % 8 + 1, cost_price=price, charge_price=0, tariff=1, model=f"m{number % 4}", endpoint="chat",
        stream=bool(number % 2), hold_nano=5_000_000, currency="USD", request_bytes=4_000, accepted_ns=at_ns,
        expires_ns=at_ns + 600 * 10**9, snapshot=7,
    )  # fmt: skip
    return replace(ended(hold, dice), seen=SEEN)


if __name__ == "__main__":
    main()
