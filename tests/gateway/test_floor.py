"""A tariff's floor: what would sell below cost is left out, or marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baseload.money.tariff import Rules
from tests.gateway.harness import Home, chat, exchange, gateway, post, price
from tests.vendors import start


@pytest.mark.parametrize(
    ("floor", "margin_ppm", "floor_ppm", "status", "flags"),
    [
        ("refuse", -100_000, 0, 400, None),
        ("refuse", 100_000, 200_000, 400, None),
        ("refuse", 200_000, 200_000, 200, ()),
        ("warn", -100_000, 0, 200, ("below_cost",)),
        ("", -100_000, 0, 200, ()),
    ],
)
def test_a_floor_refuses_or_marks(
    tmp_path: Path, floor: Any, margin_ppm: int, floor_ppm: int, status: int, flags: Any
) -> None:
    home = Home(tmp_path / "home", margin_ppm=margin_ppm, rules=Rules(floor=floor, floor_ppm=floor_ppm))
    with start() as vendor:
        home.offer(vendor.base_url)
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", chat()))
            assert reply.status == status, reply.body
            if status == 400:
                assert "above what the account pays" in reply.json()["error"]["message"]
            else:
                assert home.wait_readings(1)[0].flags == flags


def test_the_dearer_of_two_offers_is_left_out_where_only_the_cheaper_one_pays(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", margin_ppm=0, rules=Rules(floor="refuse"))
    home.prices = [price(1), price(2, input_="0.5", output="0.5")]
    with start() as dear, start() as cheap:
        home.offer(dear.base_url)
        home.offer(cheap.base_url, prices=(2,))
        with gateway(home) as running:
            assert exchange(running, post("/v1/chat/completions", chat())).headers["x-baseload-offer"] == "m@p2"
