"""Settlement throughput on SQLite, one core: a journal of whole calls (hold and reading each) into the book.

    python bench/settlement.py [--calls 60000] [--limit 4000]

Prints readings a second, all in: reading and decoding the journal, rating, rows, triggers, commits with fsync. Beside it
a baseline that knows nothing: the very same rows put into the same tables without triggers and foreign keys, by bare
`sqlite3` executemany, in as many transactions. Runs in under 20 seconds.
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
BOOK = ("readings", "postings", "transactions", "balances", "usage_hours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=60_000)
    parser.add_argument("--limit", type=int, default=LIMIT, help="journal entries a transaction")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="baseload-bench-") as name:
        folder = Path(name)
        engine = store.open(f"sqlite:///{folder}/book.db")
        store.upgrade(engine)
        prices = configure(engine)
        write_journal(folder / "journal", options.calls, prices)
        wall, cpu = time.perf_counter(), time.process_time()
        done = Settler(engine).drain(folder / "journal", "g1", options.limit)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if done.readings != options.calls or done.settled != options.calls:
            sys.exit(f"settled {done.settled} of {done.readings} readings, {options.calls} were written")
        engine.dispose()
        bare = baseline(folder / "book.db", folder / "bare.db", options.limit // 2)
        size = (folder / "book.db").stat().st_size
    calls = options.calls
    print(f"{calls} readings, {options.limit} entries a transaction, SQLite {sqlite3.sqlite_version}, one core")
    print(
        f"settlement          {calls / wall:10,.0f} readings/s   {wall / calls * 1e6:6.1f} us each (CPU {cpu / calls * 1e6:.1f})"
    )
    print(
        f"bare sqlite3 insert {calls / bare:10,.0f} readings/s   {bare / calls * 1e6:6.1f} us each, same rows, no rules"
    )
    print(f"database            {size / calls:10,.0f} bytes a reading")


def configure(engine: store.Engine) -> tuple[int, int]:
    """One account, five keys, ten offers at three providers; a cost price with a length band, a margin."""
    row = PriceRow(book="cost:acme", vendor="acme", model="m", currency="USD",
                   rate={"input": "0.15", "cache_read": "0.075", "output": "0.6"})  # fmt: skip
    with store.writing(engine) as connection:
        cost = keep_price(connection, row).id
        connection.execute(tables.tariffs.insert().values(id=1, name="standard", margin_ppm=50_000))
        for number in range(1, 4):
            connection.execute(tables.providers.insert().values(id=number, name=f"p{number}", kind="vendor",
                                                                dialect="openai", base_url="http://127.0.0.1"))  # fmt: skip
        for number in range(1, 11):
            connection.execute(tables.offers.insert().values(id=number, name=f"o{number}", model=f"m{number % 4}",
                                                             provider_id=number % 3 + 1, upstream_model="m"))  # fmt: skip
    return cost, 0


def write_journal(directory: Path, calls: int, prices: tuple[int, int]) -> None:
    """Hold and reading of each call, `IN_FLIGHT` calls running at any time."""
    dice = random.Random(1)
    writer = JournalWriter(directory, "g1", segment_bytes=256 * 2**20)
    running: list[Hold] = []
    for number in range(calls):
        at = START_NS + number * 50_000
        key = dice.randint(1, 100)
        hold = Hold(f"call_{at:016x}{dice.getrandbits(40):010x}", 1, key // 5 + 1, key, number % 4 + 4 * dice.randint(0, 1) + 1,
                    prices[0], prices[1], 1, f"m{number % 4}", "chat", bool(number % 2), 5_000_000, "USD", 4_000, at,
                    at + 600 * 10**9, 7)  # fmt: skip
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
    meters = {
        "input_uncached": dice.randint(1, 4000),
        "cache_read": 1024,
        "output_total": dice.randint(1, 900),
        "reasoning": 17,
    }
    return Reading(
        call=hold.call, attempt=1, account=hold.account, key=hold.key, offer=hold.offer, cost_price=hold.cost_price,
        charge_price=hold.charge_price, tariff=hold.tariff, model=hold.model, endpoint=hold.endpoint, stream=hold.stream,
        outcome="ok", status=200, fault="", meters=meters, input_provenance="reported", output_provenance="reported", flags=(),
        select={"tier": "default"}, reported_cost="", raw_usage=RAW, delivered_output=-1, accepted_ns=hold.accepted_ns,
        sent_ns=hold.accepted_ns + 100_000, first_ns=hold.accepted_ns + 200_000_000, end_ns=hold.accepted_ns + 900_000_000,
        request_bytes=4_000, reply_bytes=1_500, upstream_id=f"chatcmpl-{dice.getrandbits(64):x}",
        upstream_model="m-2026-01-01", currency="USD", hold_nano=hold.hold_nano, snapshot=7,
    )  # fmt: skip


def baseline(book: Path, bare: Path, batch: int) -> float:
    """Seconds to insert the rows of the book's tables into a copy of them that checks nothing."""
    source, target = sqlite3.connect(book), sqlite3.connect(bare, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536", "wal_autocheckpoint = 4000"):
        target.execute(f"PRAGMA {pragma}")
    rows = {}
    for name in BOOK:
        for (statement,) in source.execute("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('table', 'index')"
                                           " AND sql IS NOT NULL ORDER BY type DESC", (name,)):  # fmt: skip
            target.execute(statement)
        rows[name] = source.execute(f"SELECT * FROM {name}").fetchall()
    per = {name: max(1, -(-len(rows[name]) * batch // max(1, len(rows["readings"])))) for name in BOOK}
    started = time.perf_counter()
    for start in range(0, -(-len(rows["readings"]) // batch)):
        target.execute("BEGIN IMMEDIATE")
        for name in BOOK:
            part = rows[name][start * per[name] : (start + 1) * per[name]]
            if part:
                target.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(part[0]))})", part)
        target.execute("COMMIT")
    took = time.perf_counter() - started
    source.close()
    target.close()
    return took


if __name__ == "__main__":
    main()
