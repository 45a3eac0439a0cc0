"""Price changes: which row came before, meter by meter, and what the same tokens would have cost."""

from __future__ import annotations

from baseload.control.services.price_changes import differences, effect, pairs
from baseload.ledger.usage import UsageRow
from baseload.money.price import PriceRow

NOW = 1_795_000_000_000_000_000
DAY = 86_400 * 10**9


def row(number: int, begin: int = 0, book: str = "offer:a", **rate: str) -> PriceRow:
    return PriceRow(id=number, book=book, model="m", currency="USD", rate=rate, from_ns=begin)


def test_rows_that_follow_and_rows_that_were_replaced() -> None:
    now, later = row(5, NOW - DAY, input="1", output="2"), row(6, NOW + DAY, input="1", output="3")
    every = [
        row(2, 0, input="4"),
        row(4, NOW - 2 * DAY, input="2", output="2"),
        row(3, 0, "offer:b", input="9"),
        now,
        later,
    ]
    found = [(before.id, after.id, at_ns, state) for before, after, at_ns, state in pairs([later, now], every, NOW)]
    assert found == [(5, 6, NOW + DAY, "coming"), (4, 5, NOW - DAY, "changed")]
    assert list(pairs([row(1, input="1")], [row(1, input="1")], NOW)) == []


def test_meter_by_meter() -> None:
    found = list(
        differences(row(1, input="0.50", output="2", cache_read="0"), row(2, input="0.40", output="2", images="3"))
    )
    assert found == [
        {"meter": "cache_read", "before": "0", "after": "", "percent": None},
        {"meter": "images", "before": "", "after": "3", "percent": None},
        {"meter": "input", "before": "0.50", "after": "0.40", "percent": -20.0},
    ]


def test_the_effect_is_exact() -> None:
    used = UsageRow(group={}, ids={}, cost={}, charge={}, input=3_000_001, cache_read=10, output=500_000)
    before, after = row(1, input="0.5", output="2"), row(2, input="0.4", output="2.0000001")
    assert effect(before, after, used) == round(-0.1 * 3_000_001 * 1000 + 0.0000001 * 500_000 * 1000)
    assert effect(before, after, None) is None
