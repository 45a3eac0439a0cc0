"""Western list prices against the `genai-prices` package, amount by amount. Every difference is named and explained."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

import pytest
from genai_prices import Usage, calc_price
from tests.money.support import instant_ns, shipped

from baseload.money.book import rows_in_force
from baseload.money.price import PriceRow
from baseload.money.rate import Unpriced, rate

AT = "2026-11-20T03:00:00+00:00"  # a Friday, in the morning peak of Beijing
LISTS = {  # ours -> (scope, theirs)
    "openai": ("global", "openai"),
    "anthropic": ("global", "anthropic"),
    "gemini": ("global", "google"),
    "deepseek": ("global", "deepseek"),
    "moonshot": ("intl", "moonshotai"),
    "minimax": ("intl", "minimax"),
    "meta": ("global", "meta"),
    "zhipu": ("intl", "zai"),
}
USAGES: dict[str, dict[str, int]] = {
    "plain": {"input": 1_000, "output": 100},
    "cached": {"input": 600, "cache_read": 400, "output": 77},
    "long": {"input": 150_001, "cache_read": 150_000, "output": 1_001},
    "at 100,000": {"input": 100_000, "output": 1},
    "at 200,000": {"input": 200_000, "output": 1},
    "at 272,000": {"input": 272_000, "output": 1},
    "over 272,000": {"input": 272_001, "output": 1},
    "one token": {"input": 1, "output": 0},
}
CONTEXTS: dict[str, tuple[dict[str, str | bool], dict[str, str]]] = {  # our selectors, theirs
    "standard": ({}, {}),
    "flex": ({"tier": "flex"}, {"service_tier": "flex"}),
    "priority": ({"tier": "priority"}, {"service_tier": "priority"}),
    "batch": ({"batch": True}, {"processing": "batch"}),
}


def theirs(model: str, provider: str, usage: dict[str, int], context: dict[str, str]) -> Fraction:
    asked = Usage(
        input_tokens=sum(count for meter, count in usage.items() if meter != "output"),  # theirs includes the cache
        cache_read_tokens=usage.get("cache_read"),
        output_tokens=usage["output"],
    )
    at = datetime.fromisoformat(AT)
    found = calc_price(asked, model, provider_id=provider, genai_request_timestamp=at, price_context=context or None)
    return Fraction(found.total_price)


def rows(vendor: str) -> Iterator[tuple[str, PriceRow]]:
    scope, _ = LISTS[vendor]
    for name in sorted({name for row in shipped(vendor) for name in row.names()}):
        for row in rows_in_force(shipped(vendor), name, scope, instant_ns(AT)):
            yield name, row


def compare(vendor: str) -> Iterator[tuple[str, str, str, Fraction | str, Fraction | str]]:
    for name, row in rows(vendor):
        for context, (select, their_context) in CONTEXTS.items():
            for title, usage in USAGES.items():
                ours: Fraction | str
                other: Fraction | str
                try:
                    ours = rate(row, usage, select, instant_ns(AT)).exact / 10**9
                except Unpriced as refusal:
                    ours = f"no price: {refusal.what}"
                try:
                    other = theirs(name, LISTS[vendor][1], usage, their_context)
                except LookupError:
                    other = "no model"
                yield name, context, title, ours, other


NO_VARIANT = "the package has no such variant for this model and answers with the standard price"
NOT_LISTED = "the package does not list the model"
EXPLAINED: dict[tuple[str, str, str], str] = {
    ("gemini", "*", "flex"): NO_VARIANT,
    ("gemini", "*", "priority"): NO_VARIANT,
    ("gemini", "gemini-3.5-flash", "batch"): NO_VARIANT,
    ("gemini", "gemini-3.7-flash", "batch"): NO_VARIANT,
    ("zhipu", "glm-4.7-flash", "standard"): NOT_LISTED,
}


@pytest.mark.parametrize("vendor", LISTS)
def test_amounts_are_equal_or_the_difference_is_known(vendor: str):
    equal = 0
    used = set()
    for name, context, title, ours, other in compare(vendor):
        if isinstance(ours, str):
            continue  # looked at below
        if ours == other:
            equal += 1
            continue
        keys = [(vendor, model, context) for model in (name, "*")]
        key = next((key for key in keys if key in EXPLAINED), None)
        assert key, f"{vendor} {name} {context} {title}: {ours} here, {other} there"
        used.add(key)
        if EXPLAINED[key] == NOT_LISTED:
            assert other == "no model"
        else:
            assert other == theirs(name, LISTS[vendor][1], USAGES[title], {})
    assert equal >= 30, "nothing was compared"
    assert used == {key for key in EXPLAINED if key[0] == vendor}, "an explanation no longer explains anything"


@pytest.mark.parametrize("vendor", LISTS)
def test_where_we_refuse_the_row_truly_has_no_price(vendor: str):
    """The package answers a tier it does not know with the standard price; here that is refused."""
    by_name = dict(rows(vendor))
    for name, context, _, ours, _ in compare(vendor):
        if not isinstance(ours, str):
            continue
        row = by_name[name]
        what = ours.removeprefix("no price: ")
        if what in ("input", "output", "cache_read"):
            assert what not in row.rate
        else:
            assert what == {"batch": "batch=true"}.get(context, f"tier={context}")
            if context == "batch":
                assert not any(rule.when.batch for rule in row.rules)
            else:
                assert not any(context in rule.when.tier for rule in row.rules)
