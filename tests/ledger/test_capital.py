"""Capital: the plan is what its postings add up to, spending is posted once, and the book stays in balance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from baseload import store
from baseload.control.services.capital import amount_of, sentence, short
from baseload.errors import Refusal
from baseload.ledger import capital
from baseload.ledger.capital import Entry, Quarter
from baseload.ledger.check import check, trial_balance
from baseload.store import tables

BN = 10**18  # nano-units
AT = 1_795_000_000_000_000_000


def planned(engine: Engine, quarter: str, nano: int, key: str, project: str = "halls") -> Entry | None:
    with store.writing(engine) as connection:
        return capital.plan(
            connection, nano, "CNY", quarter=quarter, project=project, key=key, actor="test", at_ns=AT
        )  # fmt: skip


def spent(engine: Engine, nano: int, key: str, quarter: str = "2026-Q4") -> Entry:
    with store.writing(engine) as connection:
        return capital.spend(
            connection, nano, "CNY", quarter=quarter, project="halls", key=key, actor="test", at_ns=AT
        )  # fmt: skip


def test_a_plan_is_changed_by_its_difference_and_the_past_stays(engine: Engine) -> None:
    assert planned(engine, "2026-Q4", 30 * BN, "a") is not None
    changed = planned(engine, "2026-Q4", 317 * BN // 10, "b")
    assert changed is not None
    assert changed.nano == 17 * BN // 10
    assert planned(engine, "2026-Q4", 317 * BN // 10, "c") is None  # it is that already
    shrunk = planned(engine, "2027-Q1", 5 * BN, "d")
    assert shrunk is not None
    assert planned(engine, "2027-Q1", 2 * BN, "e").nano == -3 * BN  # type: ignore[union-attr]
    found = capital.by_quarter(engine, "CNY")
    assert [(one.quarter, one.planned_nano, one.spent_nano) for one in found] == [
        ("2026-Q4", 317 * BN // 10, 0), ("2027-Q1", 2 * BN, 0),
    ]  # fmt: skip
    with store.reading(engine) as connection:
        assert len(capital.entries(connection)) == 4
        assert [one.nano for one in capital.entries(connection, quarter="2027-Q1")] == [5 * BN, -3 * BN]
    assert [one for one in check(engine) if one.severity == "error"] == []
    cash = [row for row in trial_balance(engine) if row["code"].startswith("cash")]
    assert cash == []  # a plan moves no money


def test_spending_is_posted_once_by_its_key_and_may_come_back(engine: Engine) -> None:
    made = spent(engine, 318 * BN // 10, "invoice-77")
    assert made.made
    again = spent(engine, 318 * BN // 10, "invoice-77")
    assert (again.made, again.id) == (False, made.id)
    with pytest.raises(Refusal, match="other amounts"):
        spent(engine, 1 * BN, "invoice-77")
    with pytest.raises(Refusal, match="another entry"):
        spent(engine, 318 * BN // 10, "invoice-77", "2026-Q3")
    spent(engine, -BN, "back")
    with pytest.raises(Refusal):
        spent(engine, 0, "nothing")
    assert capital.by_quarter(engine, "CNY")[0].spent_nano == 308 * BN // 10
    assert capital.by_quarter(engine, "USD") == []
    with store.reading(engine) as connection:
        lines = connection.execute(tables.postings.select()).all()
    assert len(lines) > 7  # 31.8 bn is beyond what one posting holds
    assert [one for one in check(engine) if one.severity == "error"] == []


@given(st.integers(1, 10**24))
def test_an_amount_in_parts_is_the_amount(nano: int) -> None:
    parts = capital.parts_of(nano)
    assert sum(parts) == nano
    assert all(0 < part <= tables.NANO_MAX for part in parts)


def test_amounts_as_people_write_them() -> None:
    for text, nano in (("31.8bn", 318 * BN // 10), ("380 bn", 380 * BN), ("250m", BN // 4),
                       ("1,200,000.50", 12 * 10**14 + 5 * 10**8),
                       ("7", 7 * 10**9), ("1.23456k", 1_234_560_000_000)):  # fmt: skip
        assert amount_of(text) == nano
    for wrong in ("", "bn", "-3", "3 apples", "1e9", "1.0000000001"):
        with pytest.raises(Refusal):
            amount_of(wrong)
    assert [short(nano) for nano in (380 * BN, 31_666_666_666_666_666_667, 5 * BN // 1000, 1_500_000_000)] == [
        "380 bn", "31.7 bn", "5 m", "1.50",
    ]  # fmt: skip


def test_the_pace_in_a_sentence() -> None:
    """The plan that gave the idea: 380 bn over 12 quarters; 31.8 bn in one."""
    names = [f"{year}-Q{n}" for year in (2025, 2026, 2027) for n in (1, 2, 3, 4)]
    plan = [Quarter(quarter=name, planned_nano=380 * BN // 12) for name in names]
    plan[0].spent_nano = 318 * BN // 10
    pace = capital.pace(plan, "2025-Q1")
    assert pace.state == "on pace"
    assert sentence(pace, "CNY") == (
        "380 bn CNY over 12 quarters is 31.7 bn a quarter; 2025-Q1 has spent 31.8 bn, 31.8 bn of 31.7 bn until now: "
        "spending is on pace"
    )
    assert capital.pace(plan, "2025-Q2").state == "behind"
    plan[1].spent_nano = 60 * BN
    assert capital.pace(plan, "2025-Q2").state == "ahead"
    assert capital.pace([], "2025-Q2").state == ""
    assert sentence(capital.pace([], "2025-Q2"), "CNY") == ""
    assert capital.quarter_of(AT) == "2026-Q4"
