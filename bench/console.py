"""The console over ten million readings, and what it costs the data plane: `python -m bench.console`.

Targets: every page under 300 ms; at most 5 % of a gateway's throughput.

    python -m bench.console pages [--readings 10000000]    pages of a real control plane, over HTTP; SQLite
    python -m bench.console cost                           calls with nobody looking, and with open pages

Pages: 200 accounts, a year of roll-ups (bench.usage) and the readings themselves, written by one statement. Median of
the rounds after one that is not counted. Cost: a gateway has a core to itself; control plane, clients and provider
share the other one. Looking: three live streams, and a page opened every half second.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from sqlalchemy import Engine

from baseload import store
from baseload.cli.client import Client
from baseload.control.home import Home
from bench import traffic, usage
from bench.leases import CONNECTIONS, SECONDS, behind_mock, first_call, ready
from bench.system import Children, Watch, find_program, free_port, share_cores
from bench.wrk import Wrk

PAGES = ("/console/", "/console/scoreboard", "/console/merit", "/console/explore", "/console/usage?since=30d",
         "/console/usage?since=365d&by=account", "/console/usage?since=7d&by=model&account=team-0", "/console/calls",
         "/console/calls?account=team-7", "/console/accounts", "/console/accounts/team-0", "/console/providers",
         "/console/prices", "/console/invoices", "/console/ledger", "/console/reconcile", "/console/capital",
         "/console/people", "/console/audit", "/console/settings")  # fmt: skip
TARGET_S = 0.3
LOOKED = ("/console/", "/console/usage", "/console/calls", "/console/merit", "/console/providers")
READINGS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO readings (
  id, gateway, segment, byte_offset, call, attempt, account, "key", offer, cost_price, charge_price, tariff, model,
  endpoint, stream, outcome, status, fault, meters, input_provenance, output_provenance, flags, selectors,
  reported_cost, raw_usage, delivered_output, accepted_ns, sent_ns, first_ns, end_ns, request_bytes, reply_bytes,
  upstream_id, upstream_model, hold_currency, hold_nano, snapshot, state, detail, cost_nano, cost_currency,
  charge_nano, charge_currency, margin_ppm, settled_ns)
SELECT i, 'g1', 1, i * 400, printf('call_%022x', i), 1, i % 200 + 1, i % 400 + 1, i % 60 + 1, 1, 0, 1,
  'model-' || (i % 20), 'chat', 1, CASE WHEN i % 40 THEN 'ok' ELSE 'upstream_error' END, 200, '',
  '{{"input_uncached": 876, "cache_read": 1024, "output_total": 400}}', 'reported', 'reported', '[]', '{{}}', '',
  x'7b7d', 400, {end} - ({count} - i) * {step}, 0, 0, {end} - ({count} - i) * {step} + 900000000, 3000, 9000, '', 'm',
  'USD', 2000000, 1, 'settled', '', 1234567, 'USD', 1296295, 'USD', 50000, {end}
FROM n
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("pages", "cost"))
    parser.add_argument("--readings", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    children = Children()
    with tempfile.TemporaryDirectory(prefix="baseload-bench-") as name:
        try:
            if options.part == "pages":
                pages(children, Path(name), options.readings, options.rounds)
            else:
                cost(children, Path(name), options.rounds)
        finally:
            children.stop_all()


def pages(children: Children, folder: Path, readings: int, rounds: int) -> None:
    home = Home(folder / "home")
    home.make()
    engine = store.open(home.database_url)
    store.upgrade(engine)
    begin = time.perf_counter()
    usage.configure(engine)
    usage.fill(engine, readings)
    fill(engine, readings)
    store.dispose(engine)
    print(f"{readings:,} readings made in {time.perf_counter() - begin:,.0f} s, "
          f"{(home.path / 'baseload.db').stat().st_size / 1e9:.1f} GB", flush=True)  # fmt: skip
    url = console(children, home, folder, share_cores().client, {**os.environ})
    client = Client.local(home)
    token = client.post("/api/tokens", {"name": "bench", "role": "owner"})["token"]["token"]
    slow = 0
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=120) as browser:
        for path in PAGES:
            took = []
            for _ in range(rounds + 1):
                start = time.perf_counter()
                reply = browser.get(path)
                took.append(time.perf_counter() - start)
                assert reply.status_code == 200, f"{path}: {reply.status_code}"
            found = statistics.median(took[1:])
            slow += found > TARGET_S
            print(f"{path:50} {found * 1e3:8,.0f} ms ({min(took[1:]) * 1e3:,.0f} to {max(took[1:]) * 1e3:,.0f})"
                  f"{'   above 300' if found > TARGET_S else ''}", flush=True)  # fmt: skip
    print(f"{len(PAGES) - slow} of {len(PAGES)} pages under 300 ms")


def fill(engine: Engine, count: int) -> None:
    """The readings, up to now: a year of them."""
    step = 365 * 86_400 * 10**9 // count
    with store.writing(engine) as connection:
        connection.exec_driver_sql(READINGS.format(count=count, end=time.time_ns(), step=step))


def console(children: Children, home: Home, folder: Path, cores: set[int], env: dict[str, str]) -> str:
    port = free_port()
    words = [sys.executable, "-m", "baseload.console", "--home", str(home.path), "--port", str(port), "--no-engine"]
    children.start("the console", words, cores, folder / "control.log", env)
    client = Client.local(home)
    ready(lambda: client.get("/api/status"))
    return f"http://127.0.0.1:{port}"


def cost(children: Children, folder: Path, rounds: int) -> None:
    cores, port = share_cores(), free_port()
    home, env = behind_mock(children, folder, cores)
    plane = console(children, home, folder, cores.client, env)
    client = Client.local(home)
    token = client.post("/api/tokens", {"name": "bench", "role": "owner"})["token"]["token"]
    words = [sys.executable, "-m", "baseload.gateway", "--home", str(home.path), "--id", "g1", "--port", str(port)]
    gateway = children.start("the gateway", words, cores.proxy, folder / "gateway.log", env)
    gateway.await_port(port)
    key, body = (
        client.post("/api/keys", {"account": "free"})["key"]["secret"],
        traffic.chat_body(traffic.MODEL_WHOLE, 1_000),
    )
    first_call(port, key, body)
    load = Wrk(children, find_program("wrk", "wrk"), cores.client, folder, "free", key, body)
    spent: dict[bool, list[float]] = {False: [], True: []}
    rates: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(rounds + 1):
        for looked in (False, True) if turn % 2 else (True, False):
            with looking(plane, token) if looked else contextlib.nullcontext():
                watch = Watch(gateway.pids(), cores.proxy)
                done = load.run(port, CONNECTIONS, SECONDS)
                cpu_us = watch.stop().cpu_s / done.calls * 1e6
            if turn:
                spent[looked].append(cpu_us)
                rates[looked].append(done.rate)
    for looked, name in ((False, "nobody looks"), (True, "an operator looks")):
        cpu = spent[looked]
        print(f"{name:18} {statistics.median(cpu):6.1f} us CPU a call ({min(cpu):.1f} to {max(cpu):.1f}), "
              f"{statistics.median(rates[looked]):,.0f} calls/s")  # fmt: skip
    shares = [alone / seen for alone, seen in zip(spent[False], spent[True], strict=True)]
    print(
        f"a gateway's core does {statistics.median(shares):.2f} of the calls ({min(shares):.2f} to {max(shares):.2f})"
    )


@contextlib.contextmanager
def looking(plane: str, token: str) -> Iterator[None]:
    """Three open live streams, and somebody who walks from page to page."""
    stop = threading.Event()
    headers = {"authorization": f"Bearer {token}"}

    def stream() -> None:
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.Client(base_url=plane, headers=headers, timeout=10) as browser,
            browser.stream("GET", "/console/live") as reply,
        ):
            for _ in reply.iter_raw():
                if stop.is_set():
                    return

    def walk() -> None:
        with httpx.Client(base_url=plane, headers=headers, timeout=10) as browser:
            number = 0
            while not stop.wait(0.5):
                browser.get(LOOKED[number % len(LOOKED)])
                number += 1

    threads = [threading.Thread(target=act, daemon=True) for act in (stream, stream, stream, walk)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


if __name__ == "__main__":
    main()
