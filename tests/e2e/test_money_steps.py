"""Every named step at which a process may die, while money ends: SIGKILL at that moment, then all must be right."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from baseload import failpoints
from baseload.errors import Refusal
from tests import databases
from tests.e2e.money import MoneyGrid, Process, config, money_grid
from tests.e2e.test_money_crash import ACCOUNTS, hammer
from tests.vendors import start

pytestmark = pytest.mark.long
CALLS = 2_000  # of clients, served or refused
AMOUNT = "0.0006"  # some twenty-five calls
RARE = ("return-answered", "run-begun")
DUE_S = 20.0  # within which traffic comes to every step


def die_at(grid: MoneyGrid, process: Process, step: str) -> int:
    """Starts a process anew, armed; waits until it has died there; starts it unarmed. Returns how often it was paid."""
    process.kill()
    process.env = {**process.env, "BASELOAD_FAILPOINT": f"{step}@{1 if step in RARE else 3}"}
    process.start()
    assert process.process is not None
    until = time.monotonic() + DUE_S
    paid = 0
    while process.process.poll() is None:
        paid += pay(grid, f"{step}-{paid}")  # a little at a time: it ends again and again
        assert time.monotonic() < until, f"nothing came to the step {step}"
        if step == "snapshot-published":
            grid.touch()
        elif step == "run-begun" and grid.ready(0):
            restart(grid, 0)
        time.sleep(0.25)
    assert process.process.returncode == -9
    process.env = {name: value for name, value in process.env.items() if name != "BASELOAD_FAILPOINT"}
    process.start()
    return paid


def restart(grid: MoneyGrid, number: int) -> None:
    grid.gateways[number].kill()
    grid.gateways[number].start()


@pytest.mark.parametrize("backend", databases.BACKENDS)
def test_a_kill_at_every_named_step_overdraws_nothing_and_loses_nothing(backend: str, tmp_path: Path) -> None:
    database = databases.fresh_url(backend, tmp_path) if backend == "postgresql" else ""
    with (
        start(models=("m",), delay_s=0.005) as vendor,
        money_grid(
            tmp_path / "home", config(vendor.base_url, ACCOUNTS), gateways=3, limits=("lease_wait_s=2",),
            database=database,
        ) as grid,
    ):  # fmt: skip
        key = grid.key("acme")
        paid = pay(grid, "first")
        grid.wait(lambda: grid.call(key, max_tokens=50).status == 200)
        seen: list[tuple[int, str, str]] = []
        stop = threading.Event()
        clients = [threading.Thread(target=hammer, args=(grid, key, n, seen, stop, CALLS * 9, 0.03)) for n in range(8)]
        for client in clients:
            client.start()
        try:
            for turn, step in enumerate(failpoints.GATEWAY):
                paid += die_at(grid, grid.gateways[turn % 3], step)
            for step in failpoints.CONTROL:
                paid += die_at(grid, grid.control, step)
                grid.wait(lambda: grid.client.get("/api/status"), within_s=40)
            until = time.monotonic() + 60
            while len(seen) < CALLS and time.monotonic() < until:
                time.sleep(0.2)
        finally:
            stop.set()
            for client in clients:
                client.join()
        statuses = Counter((status, code) for status, _, code in seen)
        served = [call for status, call, _ in seen if status == 200]
        assert len(served) > 100, statuses
        assert {status for status, _ in statuses} <= {200, 429, 503}, statuses
        for number in range(3):
            grid.wait(lambda number=number: grid.ready(number))
        paid += sum(pay(grid, name) for name in grid.unanswered)
        # the money is spent to the last call that it can pay for, and what dead runs had has come home
        grid.wait(lambda: {grid.call(key, n % 3, max_tokens=50).status for n in range(6)} == {429}, within_s=90)
        grid.settled()
        grid.wait(lambda: all(row["state"] == "open" for row in grid.client.get("/api/leases")["leases"]))
        purse = grid.purse("acme")
        assert Decimal(purse["funds"]) == paid * Decimal(AMOUNT)  # what was said twice, or into a dying process: once
        assert Decimal(purse["spent"]) <= Decimal(purse["funds"])
        assert float(purse["available"]) < 0.0004, purse
        assert [one for one in grid.check() if one["severity"] == "error"] == []
        lost = [call for call in served if not grid.client.get(f"/api/calls/{call}")["call"]["attempts"]]
        assert lost == []
        # and nobody is refused when there is money again
        pay(grid, "last", "1")
        for number in range(3):
            grid.wait(lambda number=number: grid.call(key, number, max_tokens=50).status == 200)


def pay(grid: MoneyGrid, name: str, amount: str = AMOUNT) -> int:
    """Tops up, by name, until it is answered: the control plane may be dying, and a repeat is a no-op."""
    body = {"account": "acme", "amount": amount, "kind": "topup", "key": name}
    until = time.monotonic() + DUE_S
    while time.monotonic() < until and (grid.control.process is None or grid.control.process.poll() is None):
        with contextlib.suppress(Refusal):
            grid.client.post("/api/payments", body)
            return 1
        time.sleep(0.05)
    grid.unanswered.append(name)
    return 0
