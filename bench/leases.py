"""What limits cost a gateway, and how often it asks for money: `python -m bench.leases`.

Targets: 90 % of the throughput without limits, and fewer questions for leases than 1 % of the calls.

A control plane with SQLite and one gateway as real processes, nginx as the provider (as in the other benchmarks). Two
accounts in turn: one that pays later and has no limit, one with a prepaid balance and a monthly budget, both hard.
Calls of 1 KB on 32 connections. The gateway has a core to itself, and its CPU time a call is what counts: clients,
provider and settlement share the other core and decide the calls a second. Median of the rounds; loopback, a minute.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from baseload.cli.client import Client
from baseload.control.home import Home
from bench import nginx, traffic
from bench.system import Children, Cores, Trouble, Watch, find_program, free_port, raise_file_limit, share_cores
from bench.wrk import Wrk

CONNECTIONS, SECONDS, READY_S = 32, 4, 30.0
CONFIG = """
[engine]
enabled = false

[[providers]]
name = "mock"
from = "openai"
base_url = "{url}"
credential = "env:MOCK_KEY"

[[offers]]
model = "{model}"
provider = "mock"
upstream_model = "{upstream}"
price = {{ currency = "USD", rate = {{ input = "0.5", cache_read = "0.05", output = "2" }} }}

[[accounts]]
name = "free"

[[accounts]]
name = "bound"
funding = "prepaid"
budgets = [{{ period = "month", amount = "100000" }}]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    children = Children()
    with tempfile.TemporaryDirectory(prefix="baseload-bench-") as name:
        try:
            measure(children, Path(name), options.rounds)
        finally:
            children.stop_all()


def measure(children: Children, folder: Path, rounds: int) -> None:
    cores, port = share_cores(), free_port()
    home, env = behind_mock(children, folder, cores)
    words = [sys.executable, "-m", "baseload.control", "--home", str(home.path), "--port", str(free_port())]
    children.start("the control plane", [*words, "--no-engine"], cores.client, folder / "control.log", env)
    client = Client.local(home)
    ready(lambda: client.get("/api/status"))
    client.post("/api/payments", {"account": "bound", "amount": "50000", "kind": "topup", "key": "t"})
    words = [sys.executable, "-m", "baseload.gateway", "--home", str(home.path), "--id", "g1", "--port", str(port)]
    gateway = children.start("the gateway", words, cores.proxy, folder / "gateway.log", env)
    gateway.await_port(port)
    wrk = find_program("wrk", "wrk")
    loads, body = {}, traffic.chat_body(traffic.MODEL_WHOLE, 1_000)
    for account in ("free", "bound"):
        key = client.post("/api/keys", {"account": account})["key"]["secret"]
        first_call(port, key, body)  # so that there is a lease: 32 clients at once would wait for the first one
        loads[account] = Wrk(children, wrk, cores.client, folder, account, key, body)
    found: dict[str, list[float]] = {"free": [], "bound": []}
    rates: dict[str, list[float]] = {"free": [], "bound": []}
    asked, calls = 0, 0
    for turn in range(rounds + 1):
        for account in ("free", "bound") if turn % 2 else ("bound", "free"):
            before = asks(port)
            watch = Watch(gateway.pids(), cores.proxy)
            load = loads[account].run(port, CONNECTIONS, SECONDS)
            cpu_us = watch.stop().cpu_s / load.calls * 1e6
            if turn:  # the first is a warm-up
                found[account].append(cpu_us)
                rates[account].append(load.rate)
                if account == "bound":
                    asked, calls = asked + asks(port) - before, calls + load.calls
    shares = [free / bound for free, bound in zip(found["free"], found["bound"], strict=True)]
    for account, cpu in found.items():
        seen = f"{statistics.median(rates[account]):,.0f} calls/s beside settlement"
        print(f"{account:6} {statistics.median(cpu):6.1f} us CPU a call ({min(cpu):.1f} to {max(cpu):.1f}), {seen}")
    print(
        f"a gateway's core does {statistics.median(shares):.2f} of the calls ({min(shares):.2f} to {max(shares):.2f})"
    )
    print(f"questions for leases: {asked:,} for {calls:,} calls, {asked / calls:.4%}")


def behind_mock(children: Children, folder: Path, cores: Cores) -> tuple[Home, dict[str, str]]:
    """A home whose provider is nginx, which runs now; and the environment that it needs."""
    provider, files = free_port(), raise_file_limit(65_536)
    conf = nginx.write_mock(folder / "mock", files, provider)
    program = find_program("nginx", "nginx-light")
    children.start("the mock", nginx.command(program, conf), cores.mock, folder / "mock.log").await_port(provider)
    home = Home(folder / "home")
    home.make()
    url = f"http://127.0.0.1:{provider}/v1"
    home.config.write_text(CONFIG.format(url=url, model=traffic.MODEL_WHOLE, upstream=traffic.UPSTREAM_MODEL))
    return home, {**os.environ, "MOCK_KEY": "sk-mock"}


def ready(there: object) -> None:
    until = time.monotonic() + READY_S
    while True:
        try:
            there()  # type: ignore[operator]
        except Exception as error:
            if time.monotonic() > until:
                raise Trouble(f"The control plane did not start: {error}") from error
            time.sleep(0.1)
        else:
            return


def first_call(port: int, key: str, body: bytes) -> None:
    """Once the gateway knows the key and has a lease."""
    url = f"http://127.0.0.1:{port}{traffic.PATH}"
    request = urllib.request.Request(url, body, traffic.headers(key))
    ready(lambda: urllib.request.urlopen(request, timeout=5).read())


def asks(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
        for line in reply.read().decode().splitlines():
            if line.startswith("baseload_lease_asks_total "):
                return int(float(line.rpartition(" ")[2]))
    raise Trouble("The gateway tells nothing of leases.")


if __name__ == "__main__":
    main()
