"""Settlement throughput on SQLite, one core: a journal of whole calls (hold and reading each) into the book.

    python -m bench.settlement [--calls 60000] [--rounds 3] [--limit 8000]

A round settles its share of the calls into a new database. All in: reading and decoding the journal, rating, rows,
triggers, foreign keys, commits with fsync. Beside it a baseline that knows nothing: the very same rows put into the
same tables and indexes, without triggers and foreign keys, by bare `sqlite3` executemany, in as many transactions.
The best round counts (a busy machine only ever makes one slower); every round is printed. Runs in under 20 seconds.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from baseload import store
from baseload.gateway.journal.entries import Hold, Reading
from baseload.gateway.journal.writer import JournalWriter
from baseload.ledger.prices import keep_price
from baseload.ledger.settle import LIMIT, Settler
from baseload.money.price import PriceRow
from baseload.store import tables

IN_FLIGHT = 40  # calls between a hold and its reading
START_NS = 1_780_000_000_000_000_000
RAW = (
    b'{"prompt_tokens":1210,"completion_tokens":311,"total_tokens":1521,"prompt_tokens_details":{"cached_tokens":1024}}'
)
BOOK = ("readings", "postings", "transactions", "balances", *(level.name for level in tables.USAGE_LEVELS))


class Round(NamedTuple):
    """Microseconds a reading: wall clock and CPU of settlement, wall clock of the baseline; bytes a reading on disk."""

    wall_us: float
    cpu_us: float
    bare_us: float
    size: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=60_000, help="of all rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=LIMIT, help="journal entries a transaction")
    parser.add_argument("--postgresql", action="store_true", help="into PostgreSQL, without the baseline")
    options = parser.parse_args()
    if options.postgresql:
        postgresql(options.calls // options.rounds, options.rounds, options.limit)
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    calls = options.calls // options.rounds
    print(f"{calls} readings a round, {options.limit} entries a transaction, SQLite {sqlite3.sqlite_version}, one core")
    rounds = [measure(calls, options.limit) for _ in range(options.rounds)]
    for one in rounds:
        print(f"  settlement {one.wall_us:6.1f} us a reading (CPU {one.cpu_us:.1f}), bare inserts {one.bare_us:.1f} us")
    wall, bare = min(one.wall_us for one in rounds), min(one.bare_us for one in rounds)
    print(f"settlement    {1e6 / wall:9,.0f} readings/s")
    print(f"bare inserts  {1e6 / bare:9,.0f} readings/s, the same rows without rules: {wall / bare:.2f} x the time")
    print(f"database      {rounds[0].size:9,.0f} bytes a reading")


def measure(calls: int, limit: int) -> Round:
    """One round in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="baseload-bench-") as name:
        folder = Path(name)
        engine = store.open(f"sqlite:///{folder}/book.db")
        store.upgrade(engine)
        write_journal(folder / "journal", calls, configure(engine))
        wall, cpu = time.perf_counter(), time.process_time()
        done = Settler(engine).drain(folder / "journal", "g1", limit)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if done.readings != calls or done.settled != calls:
            sys.exit(f"settled {done.settled} of {done.readings} readings, {calls} were written")
        store.dispose(engine)
        bare = baseline(folder / "book.db", folder / "bare.db", limit // 2)
        size = (folder / "book.db").stat().st_size
    return Round(wall / calls * 1e6, cpu / calls * 1e6, bare / calls * 1e6, size / calls)


def postgresql(calls: int, rounds: int, limit: int) -> None:
    """Rounds into a PostgreSQL server of its own (18, from the developers' tools): it shares both cores."""
    from bench.usage import database  # the server is a developers' tool

    rates = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="baseload-bench-") as name, database("postgresql") as engine:
            write_journal(Path(name) / "journal", calls, configure(engine))
            wall = time.perf_counter()
            done = Settler(engine).drain(Path(name) / "journal", "g1", limit)
            rates.append(calls / (time.perf_counter() - wall))
            if done.settled != calls:
                sys.exit(f"settled {done.settled} of {calls}")
    print(f"settlement into PostgreSQL: {max(rates):,.0f} readings/s ({', '.join(f'{rate:,.0f}' for rate in rates)})")


def configure(engine: Any) -> int:
    """A tariff with a margin, three providers, eight offers, one cost price; returns the price's id."""
    rate = {"input": "0.15", "cache_read": "0.075", "output": "0.6"}
    with store.writing(engine) as connection:
        cost = keep_price(connection, PriceRow(book="cost:p", vendor="p", model="m", currency="USD", rate=rate)).id
        connection.execute(tables.tariffs.insert().values(id=1, name="standard", margin_ppm=50_000))
        for number in range(1, 4):
            values = {"kind": "vendor", "dialect": "openai", "base_url": "http://127.0.0.1"}
            connection.execute(tables.providers.insert().values(id=number, name=f"p{number}", **values))
        for number in range(1, 9):
            values = {"model": f"m{number % 4}", "upstream_model": "m", "provider_id": number % 3 + 1}
            connection.execute(tables.offers.insert().values(id=number, name=f"o{number}", **values))
    return cost


def write_journal(directory: Path, calls: int, price: int) -> None:
    """Hold and reading of each call, `IN_FLIGHT` calls running at any time; 100 keys of 21 accounts, 4 models."""
    dice = random.Random(1)
    writer = JournalWriter(directory, "g1", segment_bytes=256 * 2**20)
    running: list[Hold] = []
    for number in range(calls):
        at_ns, key = START_NS + number * 50_000, dice.randint(1, 100)
        hold = Hold(
            call=f"call_{at_ns:016x}{dice.getrandbits(40):010x}", attempt=1, account=key // 5 + 1, key=key,
            offer=number % 4 + 4 * dice.randint(0, 1) + 1, cost_price=price, charge_price=0, tariff=1,
            model=f"m{number % 4}", endpoint="chat", stream=bool(number % 2), hold_nano=5_000_000, currency="USD",
            request_bytes=4_000, accepted_ns=at_ns, expires_ns=at_ns + 600 * 10**9, snapshot=7,
        )  # fmt: skip
        writer.append(hold)
        running.append(hold)
        if len(running) > IN_FLIGHT:
            writer.append(ended(running.pop(dice.randrange(IN_FLIGHT)), dice))
        if number % 100 == 0:
            writer.flush()
    for hold in running:
        writer.append(ended(hold, dice))
    writer.close()


def ended(hold: Hold, dice: random.Random) -> Reading:
    """A streamed or whole reply with reported usage, part of it from the provider's cache."""
    meters = {"input_uncached": dice.randint(1, 4000), "cache_read": 1024, "output_total": dice.randint(1, 900)}
    return Reading(
        call=hold.call, attempt=1, account=hold.account, key=hold.key, offer=hold.offer, cost_price=hold.cost_price,
        charge_price=hold.charge_price, tariff=hold.tariff, model=hold.model, endpoint=hold.endpoint,
        stream=hold.stream, outcome="ok", status=200, fault="", meters={**meters, "reasoning": 17},
        input_provenance="reported", output_provenance="reported", flags=(), select={"tier": "default"},
        reported_cost="", raw_usage=RAW, delivered_output=-1, accepted_ns=hold.accepted_ns,
        sent_ns=hold.accepted_ns + 100_000, first_ns=hold.accepted_ns + 200_000_000,
        end_ns=hold.accepted_ns + 900_000_000, request_bytes=4_000, reply_bytes=1_500,
        upstream_id=f"chatcmpl-{dice.getrandbits(64):x}", upstream_model="m-2026-01-01", currency="USD",
        hold_nano=hold.hold_nano, snapshot=7,
    )  # fmt: skip


def baseline(book: Path, bare: Path, batch: int) -> float:
    """Seconds to insert the rows of the book's tables into a copy of them that checks nothing."""
    source, target = sqlite3.connect(book), sqlite3.connect(bare, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536", "wal_autocheckpoint = 4000"):
        target.execute(f"PRAGMA {pragma}")
    schema = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('table', 'index') AND sql IS NOT NULL"
    rows = {}
    for name in BOOK:
        for (statement,) in source.execute(f"{schema} ORDER BY type DESC", (name,)):
            target.execute(statement)
        rows[name] = source.execute(f"SELECT * FROM {name}").fetchall()
    steps = -(-len(rows["readings"]) // batch)
    started = time.perf_counter()
    for step in range(steps):
        target.execute("BEGIN IMMEDIATE")
        for name in BOOK:
            size = -(-len(rows[name]) // steps)
            part = rows[name][step * size : (step + 1) * size]
            if part:
                target.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(part[0]))})", part)
        target.execute("COMMIT")
    took = time.perf_counter() - started
    source.close()
    target.close()
    return took


if __name__ == "__main__":
    main()
