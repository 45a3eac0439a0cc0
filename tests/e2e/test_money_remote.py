"""Gateways on other machines: joined by TLS, cut off, killed; their journals arrive, their leases come home."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.money import MoneyGrid, Process, config, money_grid
from tests.gateway.harness import Running, chat, exchange, free_port, post
from tests.vendors import Simulator, start

ACCOUNTS = '[[accounts]]\nname = "acme"\nfunding = "prepaid"\n'


class Wire:
    """A TCP proxy that can be cut: new connections are refused, those there are reset."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.cut = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.cut:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                self._open |= {near, far}
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for each in (one, other):
            self._open.discard(each)
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def sever(self) -> None:
        self.cut = True
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.cut = False

    def close(self) -> None:
        self._listener.close()
        self.sever()


class Away:
    """A gateway in a home of its own."""

    def __init__(self, grid: MoneyGrid, folder: Path, wire: Wire, name: str, join: str) -> None:
        self.grid, self.port = grid, free_port()
        folder.mkdir(mode=0o700)
        words = [sys.executable, "-m", "baseload.gateway", "--home", str(folder), "--id", name, "--remote"]
        words += [
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--limit",
            "out_max_s=0",
            "--limit",
            "lease_wait_s=2",
        ]
        words += ["--control", f"https://127.0.0.1:{wire.port}"]
        env = {key: value for key, value in os.environ.items() if not key.startswith("BASELOAD_")}
        self.process = Process(name, words, folder / "gateway.log", env | {"SIM_KEY": "sk-test", "BASELOAD_JOIN": join})
        self.folder = folder

    def start(self) -> None:
        self.process.start()
        self.grid.wait(self.ready)

    def ready(self) -> bool:
        assert self.process.process is not None
        assert self.process.process.poll() is None, self.process.log.read_text()
        with contextlib.suppress(OSError):
            return exchange(self.running, b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n").status == 200
        return False

    @property
    def running(self) -> Running:
        return Running(None, self.port, self.process.process)  # type: ignore[arg-type]

    def call(self, key: str) -> tuple[int, str]:
        reply = exchange(self.running, post("/v1/chat/completions", chat("m"), key=key))
        return reply.status, reply.headers.get("x-baseload-call-id", "")


@pytest.fixture(scope="module")
def vendor() -> Iterator[Simulator]:
    with start(models=("m",)) as simulator:
        yield simulator


@pytest.fixture
def grid(vendor: Simulator, tmp_path: Path) -> Iterator[MoneyGrid]:
    with money_grid(tmp_path / "home", config(vendor.base_url, ACCOUNTS), gateways=0, grid_port=free_port()) as grid:
        grid.client.post("/api/payments", {"account": "acme", "amount": "1", "kind": "topup", "key": "t"})
        yield grid


@pytest.fixture
def wire(grid: MoneyGrid) -> Iterator[Wire]:
    wire = Wire(grid.grid_port)
    yield wire
    wire.close()


def in_the_book(grid: MoneyGrid, calls: list[str]) -> bool:
    return all(grid.client.get(f"/api/calls/{call}")["call"]["state"] != "running" for call in calls)


def test_a_gateway_elsewhere_serves_and_its_journal_arrives(grid: MoneyGrid, wire: Wire, tmp_path: Path) -> None:
    join = grid.client.post("/api/gateways", {"name": "eu-1"})["join"]
    away = Away(grid, tmp_path / "away", wire, "eu-1", join)
    try:
        away.start()
        key = grid.key("acme")  # made after the start: the snapshot is pushed
        calls = [grid.wait(lambda: (found := away.call(key))[0] == 200 and found[1]) for _ in range(5)]
        grid.wait(lambda: in_the_book(grid, calls))
        # cut off: it goes on by its lease, and nothing is lost
        wire.sever()
        served = [away.call(key) for _ in range(10)]
        assert [status for status, _ in served] == [200] * 10
        wire.mend()
        grid.wait(lambda: in_the_book(grid, [call for _, call in served]))
        # killed: what it had written arrives with its next start, and its first lease comes home
        wire.sever()
        last = [away.call(key)[1] for _ in range(3)]
        away.process.kill()
        wire.mend()
        away.start()
        grid.wait(lambda: in_the_book(grid, last))
        grid.wait(lambda: away.call(key)[0] == 200)
        grid.wait(lambda: all(row["state"] == "open" for row in grid.client.get("/api/leases")["leases"]))
        # the control plane killed and started: it joins again by itself
        grid.control.kill()
        assert away.call(key)[0] == 200
        grid.control.start()
        after = grid.wait(lambda: (found := away.call(key))[0] == 200 and found[1])
        grid.wait(lambda: in_the_book(grid, [after]))
    finally:
        away.process.stop()
    grid.wait(lambda: not grid.client.get("/api/leases")["leases"])  # it said goodbye: all is home
    grid.settled()
    assert (found := grid.check()) == [], found
    assert [row["name"] for row in grid.client.get("/api/gateways")["gateways"]] == ["eu-1"]


def test_a_gateway_that_is_gone_for_good_is_retired(grid: MoneyGrid, wire: Wire, tmp_path: Path) -> None:
    join = grid.client.post("/api/gateways", {"name": "eu-2"})["join"]
    away = Away(grid, tmp_path / "away", wire, "eu-2", join)
    key = grid.key("acme")
    try:
        away.start()
        call = grid.wait(lambda: (found := away.call(key))[0] == 200 and found[1])
        grid.wait(lambda: in_the_book(grid, [call]))
    finally:
        away.process.kill()
    assert grid.client.get("/api/leases")["leases"]
    grid.client.delete("/api/gateways/eu-2")
    grid.wait(lambda: not grid.client.get("/api/leases")["leases"], within_s=40)
    assert (found := grid.check()) == [], found
    away.process.start()  # it comes back all the same: its token is worth nothing
    assert away.process.process is not None
    grid.wait(lambda: "is away" in away.process.log.read_text() or away.process.process.poll() is not None)
    away.process.stop()


def test_nobody_joins_who_cannot_prove_who_it_is(grid: MoneyGrid, wire: Wire, tmp_path: Path) -> None:
    join = grid.client.post("/api/gateways", {"name": "eu-3"})["join"]
    name, token, fingerprint = join.split(".")
    for number, wrong in enumerate((
        f"{name}.{token}x.{fingerprint}",  # a token nobody was given
        f"{name}.{token}.{fingerprint[:-4]}0000",  # another control plane than the one that was named
        f"{name}.{token}",
    )):  # fmt: skip
        away = Away(grid, tmp_path / f"away{number}", wire, "eu-3", wrong)
        done = subprocess.run(away.process.command, env=away.process.env, capture_output=True, timeout=60)
        assert done.returncode == 2, done.stderr
        assert not (away.folder / "secret.key").exists()
        assert token.encode() not in done.stderr
