"""A grid of real processes for tests of money: a control plane, gateways, and vendors' simulators behind them.

No engine and no supervisor: each process can be killed and started again by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baseload.cli.client import Client
from baseload.control.home import Home
from tests.gateway.harness import Reply, Running, chat, exchange, free_port, post

READY_S = 30.0


def config(base_url: str, accounts: str, more: str = "", rate: str = 'input = "1", output = "10"') -> str:
    """One provider that serves `m` at the given rates (US dollars for 1,000,000 tokens) to the accounts declared."""
    return f"""
[engine]
enabled = false

[[providers]]
name = "sim"
from = "openai"
base_url = "{base_url}"
credential = "env:SIM_KEY"

[[offers]]
model = "m"
provider = "sim"
price = {{ currency = "USD", rate = {{ {rate}, cache_read = "1" }} }}
{more}
{accounts}
"""


@dataclass
class Process:
    name: str
    command: list[str]
    log: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.command, stdout=out, stderr=out, env=self.env)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, within_s: float = 40.0) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class MoneyGrid:
    home: Home
    control: Process
    gateways: list[Process] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    grid_port: int = 0
    unanswered: list[str] = field(default_factory=list)  # payments that a dying control plane did not answer

    @property
    def client(self) -> Client:
        return Client.local(self.home)

    def key(self, account: str) -> str:
        return str(self.client.post("/api/keys", {"account": account})["key"]["secret"])

    def running(self, number: int = 0) -> Running:
        return Running(None, self.ports[number], self.gateways[number].process)  # type: ignore[arg-type]

    def call(self, key: str, number: int = 0, **more: Any) -> Reply:
        return exchange(self.running(number), post("/v1/chat/completions", chat("m", **more), key=key))

    def touch(self) -> None:
        """A change of configuration, so that there is a new snapshot."""
        with contextlib.suppress(Exception):  # the control plane may die of it: that is what it is for
            self.key("acme")

    def purse(self, account: str, name: str = "funding") -> dict[str, Any]:
        rows = self.client.get("/api/balances", account=account)["balances"]
        return next(row for row in rows if row["account"] == account and row["name"] == name)

    def check(self) -> list[dict[str, Any]]:
        """What `ledger check` finds when all is settled."""
        return [one for one in self.client.get("/api/ledger/check")["findings"] if one["severity"] != "info"]

    def wait(self, there: Callable[[], Any], within_s: float = 20.0) -> Any:
        until = time.monotonic() + within_s
        while True:
            try:
                found = there()
            except Exception as error:
                found, last = None, error
            else:
                last = None
            if found:
                return found
            assert time.monotonic() < until, f"it did not come within its time: {last}\n{self.words()}"
            time.sleep(0.05)

    def settled(self) -> None:
        """Waits until every journal is settled to its end."""
        self.wait(lambda: all(one["check"] != "unsettled" for one in self.client.get("/api/ledger/check")["findings"]))

    def words(self) -> str:
        return "\n".join(each.log.read_text()[-1500:] for each in (self.control, *self.gateways) if each.log.exists())

    def ready(self, number: int) -> bool:
        with contextlib.suppress(OSError):
            return exchange(self.running(number), b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n").status == 200
        return False

    def start_gateway(self, number: int) -> None:
        self.gateways[number].start()
        self.wait(lambda: self.ready(number))


@contextlib.contextmanager
def money_grid(
    path: Path,
    text: str,
    *,
    gateways: int = 1,
    limits: tuple[str, ...] = (),
    database: str = "",
    grid_port: int = 0,
) -> Iterator[MoneyGrid]:
    """Started, with every gateway ready. `limits`: NAME=NUMBER of the gateways."""
    home = Home(path)
    home.make()
    home.config.write_text(text)
    env = {name: value for name, value in os.environ.items() if not name.startswith("BASELOAD_")}
    env |= {"SIM_KEY": "sk-test", "PYTHONUNBUFFERED": "1"}
    if database:
        env["BASELOAD_DATABASE"] = database
    words = [sys.executable, "-m", "baseload.control", "--home", str(path), "--port", str(free_port()), "--no-engine"]
    if grid_port:
        words += ["--grid-port", str(grid_port)]
    grid = MoneyGrid(home, Process("control", words, path / "logs" / "control.log", env), grid_port=grid_port)
    try:
        grid.control.start()
        grid.wait(lambda: home.socket.exists() and home.snapshot.exists() and grid.client.get("/api/status"))
        for number in range(gateways):
            port = free_port()
            words = [sys.executable, "-m", "baseload.gateway", "--home", str(path), "--id", f"g{number}"]
            words += ["--host", "127.0.0.1", "--port", str(port), "--limit", "out_max_s=0"]
            for limit in limits:
                words += ["--limit", limit]
            grid.gateways.append(Process(f"g{number}", words, path / "logs" / f"g{number}.log", env))
            grid.ports.append(port)
            grid.start_gateway(number)
        yield grid
    finally:
        for each in (*grid.gateways, grid.control):
            each.stop()


def usage_of(reply: Reply) -> tuple[int, int]:
    """(input, output) tokens as a whole reply reports them."""
    usage = json.loads(reply.body)["usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]
