"""How figures look, which words there are in Chinese, and what pictures are made of."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from baseload import console
from baseload.console import assets, charts
from baseload.console.pages.accounts import as_tree, bar
from baseload.console.pages.overview import FIGURES
from baseload.console.pages.usage import BY
from baseload.console.view import NAV, count, money, when, with_query
from baseload.console.words import CHINESE
from baseload.control.services.scoreboard import distance, quarters_to

ROOM = Path(console.__file__).parent


def text(markup: object) -> str:
    return re.sub(r"<[^>]+>", "", str(markup))


@pytest.mark.parametrize(
    ("nano", "shown"),
    [(0, "0.00"), (31_800_000_000_000_000_000, "31.80 bn"), (10**18, "1.00 bn"), (-(10**21), "-1.00 tn"),
     (1, "0.000000001"), (3_312, "0.00000331"), (1_234_567, "0.00123"), (999_999_999, "1.000"),
     (12_345_678_901_234, "12,345.68"), (-1_500_000_000, "-1.50"), ("12.5", "12.50"), ("", "0.00")],
)  # fmt: skip
def test_money_shows_what_matters_and_keeps_the_exact_amount(nano: int | str, shown: str) -> None:
    assert text(money(nano)) == shown
    assert 'title="12345.678901234 USD"' in money(12_345_678_901_234, "USD")


def test_counts_and_instants() -> None:
    found = [text(count(number)) for number in (0, 9_999, 10_000, 2_500_000, 31_700_000_000)]
    assert found == ["0", "9,999", "10.0 k", "2.5 M", "31.7 G"]
    assert when("") == "–"
    assert when("2026-11-25T10:00:00.123456789Z") == (
        '<time datetime="2026-11-25T10:00:00Z">2026-11-25 10:00:00 UTC</time>'
    )
    assert with_query("/x", {"a": "1", "b": "2"}, b=None, c="d e") == "/x?a=1&c=d+e"


def test_what_people_type_stays_text() -> None:
    assert "<script" not in money(1, "<script>")


def test_every_word_of_the_pages_is_there_in_chinese() -> None:
    """A template's `_("...")`, a page's `word("...")`, and the words that tables hold."""
    used = (
        {word for _, word, _, _ in NAV}
        | {group for group, _, _, _ in NAV if group}
        | set(FIGURES)
        | {name.capitalize() for name in BY}
    )
    for path in sorted(ROOM.rglob("*.html")):
        source = path.read_text()
        used |= set(re.findall(r"""_\(["']([^"']+)["']\)""", source))
        for listed in re.findall(r"{% for word in \(([^)]*)\) %}", source):
            used |= set(re.findall(r'"([^"]+)"', listed))
    for path in sorted(ROOM.rglob("*.py")):
        used |= set(re.findall(r'\bword\("([^"]+)"\)', path.read_text()))
    assert sorted(used - set(CHINESE)) == []


def test_no_template_has_a_script_or_a_style_inside() -> None:
    for path in sorted(ROOM.rglob("*.html")):
        source = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|javascript:", source), path.name


def test_the_package_of_echarts_is_there() -> None:
    assert assets.url("echarts/index.js").endswith("/echarts/index.js")
    assert assets.files()["app.js"].media == "text/javascript"
    assert assets.url("nothing.js") == ""


def test_a_merit_order_is_as_wide_as_its_capacity() -> None:
    steps = [charts.Step("a", 100, 1), charts.Step("b", 50, 2)]
    chart = charts.merit_order("m", steps, 120, currency="USD", words=("capacity", "price", "load"))
    assert [one["data"] for one in chart.option["series"]] == [[[0.0, 1], [100.0, 1]], [[100.0, 2], [150.0, 2]]]
    assert chart.option["series"][0]["markLine"]["data"] == [{"xAxis": 120}]
    assert charts.merit_order("m", [], 0, currency="USD", words=("c", "p", "l")).rows == []


def test_accounts_are_a_tree_whatever_is_missing() -> None:
    rows = [{"name": "b", "parent": "a"}, {"name": "a", "parent": "gone"}, {"name": "c", "parent": "b"}]
    assert [(depth, row["name"]) for depth, row in as_tree(rows)] == [(0, "a"), (1, "b"), (2, "c")]
    purse = {"funds": "100", "spent": "30", "held": "10", "at_gateways": "80"}
    assert bar(purse) == {"spent_pc": 30, "held_pc": 70}
    assert bar({**purse, "funds": "0"}) == {"spent_pc": 100, "held_pc": 0}


def test_quarters_and_targets() -> None:
    now = 1_795_600_000 * 10**9  # 2026-11-25
    found = quarters_to(now, 5)
    assert [name for _, _, name in found] == ["2025 Q4", "2026 Q1", "2026 Q2", "2026 Q3", "2026 Q4"]
    assert all(one[1] == two[0] for one, two in pairwise(found))
    assert found[-1][0] <= now < found[-1][1]
    assert distance(120.5, "100", "revenue_growth") == -20.5
    assert distance(1_500_000_000, "2", "cloud_revenue") == 0.5
    assert distance(None, "2", "app_users") is None
