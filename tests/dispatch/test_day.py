"""The worked example: its page is what it says today, and its sums are money's."""

from __future__ import annotations

from pathlib import Path

from examples import day


def test_the_page_is_what_the_example_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "dispatch" / "day.md"
    assert page.read_text() == day.page(), "python -m examples.day > docs/dispatch/day.md"


def test_no_single_offer_is_cheaper_than_the_merit_order_and_peaks_show() -> None:
    found = {name: [cost for cost, _ in each] for name, each in day.run().items()}
    best = found["cheapest of all"]
    for name, costs in found.items():
        if name.startswith("always"):
            assert all(mine <= theirs for mine, theirs in zip(best, costs, strict=True)), name
    deepseek, hours = found["always deepseek-v4-pro"], day.hours()
    peak, quiet = deepseek[10] / hours[10].requests, deepseek[12] / hours[12].requests
    assert peak > 1.8 * quiet, "peak hours cost twice as much"
