"""Every vector of price_vectors.json, run against the price files that ship with the product."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.money.support import instant_ns, shipped

from baseload.money.book import rows_in_force
from baseload.money.rate import Unpriced, rate, rate_nano

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("price_vectors.json").read_text())["vectors"]


def test_all_the_vectors_are_here():
    assert len(VECTORS) == 144
    assert len({vector["id"] for vector in VECTORS}) == 144
    assert sum(vector.get("expect") == "refuse" for vector in VECTORS) == 10


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vector(vector: dict[str, Any]):
    at_ns = instant_ns(vector["instant"])
    select = vector.get("select", {})
    rows = rows_in_force(shipped(vector["vendor"]), vector["model"], vector["scope"], at_ns)
    if vector.get("expect") == "refuse":
        if rows:  # no row at all is a refusal too: the caller has nothing to rate with
            with pytest.raises(Unpriced):
                rate(rows[0], vector["usage"], select, at_ns)
            with pytest.raises(Unpriced):
                rate_nano(rows[0], vector["usage"], select, at_ns)
        return
    assert len(rows) == 1
    rated = rate(rows[0], vector["usage"], select, at_ns)
    assert rated.currency == vector["currency"]
    assert rated.exact == Fraction(vector["amount"]) * 10**9, vector["why"]
    assert rated.nano == round(rated.exact)  # Fraction rounds half to even
    assert rate_nano(rows[0], vector["usage"], select, at_ns) == rated.nano
    assert rows[0].confidence == vector.get("confidence", "high")
