"""Hard limits over real processes: never overdrawn, never refused while money is there, streams ended cleanly."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.money import MoneyGrid, config, money_grid, usage_of
from tests.vendors import Simulator, start

ACCOUNTS = """
[[accounts]]
name = "acme"
funding = "prepaid"

[[accounts]]
name = "team"
parent = "acme"
budgets = [{ period = "month", amount = "0.002" }]

[[accounts]]
name = "open"
"""


@pytest.fixture(scope="module")
def vendor() -> Iterator[Simulator]:
    with start(models=("m",)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def grid(vendor: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoneyGrid]:
    with money_grid(
        tmp_path_factory.mktemp("money"), config(vendor.base_url, ACCOUNTS), gateways=2, limits=("lease_wait_s=2",)
    ) as grid:
        yield grid


def topup(grid: MoneyGrid, account: str, amount: str, key: str = "") -> None:
    body = {"account": account, "amount": amount, "key": key, "kind": "topup"}
    grid.client.post("/api/payments", body)


def test_an_account_that_pays_in_advance_spends_what_it_has_paid(grid: MoneyGrid) -> None:
    key = grid.key("acme")
    refused = grid.call(key)
    assert refused.status == 429
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert "balance of account acme" in refused.json()["error"]["message"]
    topup(grid, "acme", "1", "first")
    topup(grid, "acme", "1", "first")  # said twice
    reply = grid.wait(lambda: (found := grid.call(key)).status == 200 and found)
    tokens = usage_of(reply)
    grid.settled()
    purse = grid.wait(lambda: (found := grid.purse("acme"))["spent"] != "0.00" and found)
    assert purse["funds"] == "1.00"
    spent = round((tokens[0] * 1 + tokens[1] * 10) * 1000)  # nano-units
    assert round(float(purse["spent"]) * 1e9) == spent
    assert (found := grid.check()) == [], found


def test_a_budget_of_a_team_stops_the_team_and_not_its_parent(grid: MoneyGrid) -> None:
    team, parent = grid.key("team"), grid.key("acme")
    topup(grid, "acme", "5", "for-the-team")
    statuses = Counter(grid.call(team, number % 2).status for number in range(200))
    assert statuses[200] > 10
    assert set(statuses) <= {200, 429}
    assert statuses[429] > 0
    assert grid.call(parent).status == 200
    grid.settled()
    budget = grid.purse("team", "month")
    assert float(budget["spent"]) <= 0.002
    # what is left would not have paid for one more call
    assert float(budget["available"]) + float(budget["at_gateways"]) < 0.0005
    assert (found := grid.check()) == [], found


def test_nothing_limits_an_account_without_funding(grid: MoneyGrid) -> None:
    key = grid.key("open")
    assert [grid.call(key, number % 2).status for number in range(4)] == [200] * 4


def test_lesson_31_parallel_calls_over_two_gateways_do_not_pass_a_budget(grid: MoneyGrid) -> None:
    account = "burst"
    grid.client.post("/api/accounts", {"name": account})
    grid.client.put(f"/api/accounts/{account}/funding", {"funding": "prepaid"})
    topup(grid, account, "0.004", "burst")
    key = grid.key(account)
    statuses: list[int] = []
    time.sleep(0.5)

    def many(number: int) -> None:
        for _ in range(10):
            statuses.append(grid.call(key, number % 2).status)

    threads = [threading.Thread(target=many, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 200
    assert set(statuses) <= {200, 429}
    grid.settled()
    purse = grid.purse(account)
    assert float(purse["spent"]) <= 0.004
    assert statuses.count(200) > 3
    assert (found := grid.check()) == [], found


def test_lesson_39_a_killed_gateway_frees_what_it_had(grid: MoneyGrid) -> None:
    account = "killed"
    grid.client.post("/api/accounts", {"name": account})
    grid.client.put(f"/api/accounts/{account}/funding", {"funding": "prepaid"})
    topup(grid, account, "1", "killed")
    key = grid.key(account)
    grid.wait(lambda: grid.call(key, 1).status == 200)
    assert float(grid.purse(account)["at_gateways"]) > 0
    grid.gateways[1].kill()
    grid.start_gateway(1)
    grid.wait(lambda: grid.call(key, 1).status == 200)
    grid.settled()

    def home() -> bool:
        rows = [row for row in grid.client.get("/api/leases")["leases"] if row["account"] == account]
        return len(rows) == 1 and rows[0]["state"] == "open"

    grid.wait(home)
    assert (found := grid.check()) == [], found


def test_lesson_38_without_the_control_plane_a_lease_is_spent_and_then_nothing_is_guessed(
    vendor: Simulator, tmp_path: Path
) -> None:
    accounts = '[[accounts]]\nname = "acme"\nfunding = "prepaid"\n'
    with money_grid(tmp_path / "home", config(vendor.base_url, accounts), limits=("lease_wait_s=0.05",)) as grid:
        key = grid.key("acme")
        topup(grid, "acme", "0.0008")
        grid.wait(lambda: grid.call(key).status == 200)
        grid.control.kill()
        statuses = [grid.call(key).status for _ in range(100)]
        assert statuses[0] == 200
        assert set(statuses) <= {200, 503}
        first = statuses.index(503)
        assert set(statuses[first:]) == {503}  # what is over is over
        grid.control.start()
        grid.wait(lambda: grid.call(key).status in (200, 429), within_s=30)
        grid.settled()
        assert float(grid.purse("acme")["spent"]) <= 0.0008
        assert (found := grid.check()) == [], found
