"""What is left of a limit, as vendors say it in headers (vendors.md, 3.5, 3.10, 3.11)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.providers.catalogue import vendor
from baseload.providers.limits import Left, names, read

DATE = {"date": "Wed, 25 Nov 2026 06:00:00 GMT"}
SAID = [
    (
        "openai",
        {"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "1s",
         "x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "6m0s"},
        [Left("requests", 59, 1.0), Left("tokens", 149_984, 360.0)],
    ),
    (
        "anthropic",
        {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2026-11-25T06:00:30Z"},
        [Left("requests", 0, 30.0)],
    ),
    ("moonshot", {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "2"}, [Left("requests", 3, 2.0)]),
    ("azure", {"x-ratelimit-remaining-tokens": "7"}, [Left("tokens", 7, None)]),
    ("openai", {"x-ratelimit-remaining-requests": "many", "x-ratelimit-remaining-tokens": "-1"}, []),
    ("deepseek", {"x-ratelimit-remaining-requests": "5"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "headers", "left"), SAID)
def test_what_is_left(name: str, headers: dict[str, str], left: list[Left]) -> None:
    found = vendor(name)
    assert set(headers) <= set(names(found)) or not left
    assert read(found, {**headers, **DATE}) == left


@given(st.dictionaries(st.sampled_from(names(vendor("openai"))), st.text(max_size=40)))
def test_hostile_headers_raise_nothing(headers: dict[str, str]) -> None:
    for left in read(vendor("openai"), headers):
        assert left.remaining >= 0
