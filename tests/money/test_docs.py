"""docs/prices.md is true: its files load, its amounts are computed, its Python runs, its tables are complete."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from tests.money.support import calendars, instant_ns

from baseload.money.book import load_book, rows_in_force
from baseload.money.book_fields import _WHEN
from baseload.money.price import METERS, PriceRow
from baseload.money.rate import Unpriced, rate

PAGE = (Path(__file__).parents[2] / "docs" / "prices.md").read_text()
TOML = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
AMOUNTS = re.findall(r"^\| ((?:[a-z]\w* [\d,]+(?:, )?)+) \| (\S+Z) \| (.*?) ?\| (.+?) \|$", PAGE, re.MULTILINE)


def acme() -> list[PriceRow]:
    (text,) = (text for text in TOML if 'name = "acme"' in text)
    return load_book(text, calendars())


def test_every_file_on_the_page_loads():
    assert len(TOML) == 3
    assert [len(load_book(text, calendars())) for text in TOML] == [1, 1, 2]


def test_the_example_is_found_in_the_page():
    assert len(AMOUNTS) == 11


@pytest.mark.parametrize(("usage", "at", "selector", "amount"), AMOUNTS)
def test_the_amounts_of_the_page(usage: str, at: str, selector: str, amount: str):
    meters = {
        meter: int(count.replace(",", "")) for meter, count in re.findall(r"([a-z]\w*) (\d[\d,]*\d|\d)(?=, |$)", usage)
    }
    name, _, value = selector.partition(" ")
    select: dict[str, str | bool] = {name: True if value == "true" else value} if name else {}
    (row,) = rows_in_force(acme(), "acme-1", "global", instant_ns(at))
    if amount == "refused":
        with pytest.raises(Unpriced):
            rate(row, meters, select, instant_ns(at))
        return
    number, currency = amount.split()
    rated = rate(row, meters, select, instant_ns(at))
    assert (rated.exact, rated.currency) == (Fraction(number) * 10**9, currency)


def test_the_python_on_the_page_runs():
    assert len(PYTHON) == 1
    exec(compile(PYTHON[0], "docs/prices.md", "exec"), {})


def test_every_meter_condition_and_field_is_on_the_page():
    words = set(re.findall(r"[a-z_0-9]+", PAGE))
    for meter in METERS:
        assert meter in words or f"_{meter.rsplit('_', 1)[-1]}" in words, meter
    assert set(_WHEN) <= words
    assert {"set", "multiply", "ratio", "max_input", "consent", "edge_doubt", "deprecated"} <= words
