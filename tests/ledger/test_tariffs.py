"""Tariffs beyond price and margin, at settlement: each step is kept, and the bill can be computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.ledger import bills, fx
from baseload.ledger.charging import keep_rules
from baseload.ledger.check import check
from baseload.ledger.settle import Settler
from baseload.money.period import window
from baseload.money.tariff import Discount, Rules, converted, net, steps
from baseload.store import tables
from tests.ledger.support import ACME, HOUR, STANDARD, T0, configure, journal, reading

LIST = 1_100_000  # 1,000 tokens in at 1,000 nano and a tenth more


def rules(engine: Engine, at_ns: int = T0 - HOUR, **said: Any) -> None:
    with store.writing(engine) as connection:
        keep_rules(connection, STANDARD, {"currency": "USD", **said}, at_ns)


def settle(engine: Engine, tmp_path: Path, *entries: Any) -> list[int]:
    journal(tmp_path / "g1", *entries)
    Settler(engine).drain(tmp_path / "g1", "g1")
    assert bills.recompute(engine, ACME, 0, 2**62) == []
    assert [one for one in check(engine, {"g1": tmp_path / "g1"}) if one.severity == "error"] == []
    with store.reading(engine) as connection:
        table = tables.readings.c
        return list(connection.execute(select(table.charge_nano).order_by(table.id)).scalars())


def test_a_discount_counts_from_the_volume_before_the_call(engine: Engine, tmp_path: Path) -> None:
    configure(engine)
    rules(engine, discounts=[{"from_nano": 2_000_000, "ppm": 100_000}, {"from_nano": 3_000_000, "ppm": 500_000}])
    calls = [reading(f"c{n}", input=1000) for n in range(5)]
    assert settle(engine, tmp_path, *calls) == [LIST, LIST, 990_000, 550_000, 550_000]


def test_an_allowance_pays_first_and_begins_anew_each_month(engine: Engine, tmp_path: Path) -> None:
    configure(engine)
    rules(engine, allowance_nano=1_500_000)
    later = window("month", "UTC", T0)[1] + HOUR
    calls = [reading(f"c{n}", input=1000) for n in range(3)] + [reading("d", input=1000, accepted_ns=later)]
    assert settle(engine, tmp_path, *calls) == [0, 700_000, LIST, 0]
    with store.reading(engine) as connection:
        found = connection.execute(select(tables.charges.c.list_nano, tables.charges.c.allowance_nano)).all()
    assert [tuple(row) for row in found] == [(LIST, LIST), (LIST, 400_000), (LIST, 0), (LIST, LIST)]


def test_a_least_amount_is_charged_only_for_what_costs_something(engine: Engine, tmp_path: Path) -> None:
    configure(engine)
    rules(engine, minimum_nano=5_000_000)
    free = reading("free", input=1000, outcome="upstream_error", status=502)
    assert settle(engine, tmp_path, reading("c", input=1000), free) == [5_000_000, 0]


def test_no_more_is_charged_than_was_held_and_the_rest_is_kept(engine: Engine, tmp_path: Path) -> None:
    configure(engine)
    assert settle(engine, tmp_path, reading("c", input=1000, charge_max=300_000)) == [300_000]
    with store.reading(engine) as connection:
        assert connection.execute(select(tables.charges.c.absorbed_nano)).scalar_one() == LIST - 300_000


def test_a_charge_in_another_currency_keeps_its_rate(engine: Engine, tmp_path: Path) -> None:
    configure(engine)
    assert settle(engine, tmp_path, reading("c", input=1000, fx="139/1000", currency="EUR")) == [152_900]
    with store.reading(engine) as connection:
        assert connection.execute(select(tables.readings.c.charge_currency)).scalar_one() == "EUR"


def test_rules_of_a_later_instant_leave_earlier_calls_alone(engine: Engine, tmp_path: Path) -> None:
    configure(engine)
    rules(engine, at_ns=T0 + HOUR, minimum_nano=9_000_000)
    calls = [reading("before", input=1000), reading("after", input=1000, accepted_ns=T0 + 2 * HOUR)]
    assert settle(engine, tmp_path, *calls) == [LIST, 9_000_000]


def test_a_rate_of_exchange_is_never_changed(engine: Engine) -> None:
    with store.writing(engine) as connection:
        assert fx.keep(connection, "CNY", "0.139", T0, source="t")
        assert not fx.keep(connection, "CNY", "0.139", T0 + 1, source="t")
        with pytest.raises(Refusal, match="another rate"):
            fx.keep(connection, "CNY", "0.14", T0, source="t")
        assert fx.latest(connection, T0 - 1) == {}


@given(
    st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 1_000_000),
    st.integers(0, 10**15),
)  # fmt: skip
def test_a_charge_is_never_negative_and_an_allowance_never_overdrawn(
    nano: int, volume: int, used: int, ppm: int, allowance: int
) -> None:
    said = Rules(currency="USD", discounts=(Discount(from_nano=0, ppm=ppm),), allowance_nano=allowance)
    found = steps(said, nano, volume, used)
    assert 0 <= net(found.list_nano, found.discount_ppm, found.allowance_nano) <= nano
    assert used + found.allowance_nano <= max(allowance, used)


@given(st.integers(0, 10**18), st.integers(1, 10**6), st.integers(1, 10**6))
def test_an_exchange_is_within_half_a_unit(nano: int, up: int, down: int) -> None:
    assert abs(converted(nano, f"{up}/{down}") * down - nano * up) * 2 <= down
