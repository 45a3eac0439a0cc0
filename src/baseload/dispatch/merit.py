"""The merit order of one call: the eligible offers by expected cost, and why the others are not.

In:     candidates with rates in one comparable currency, the expected tokens of the call.
Out:    `pick` (the winner, one pass) and `order` (the whole list with reasons, for people).

Expected cost = input tokens x input rate + expected output tokens x output rate, in integer nano-units per million
tokens: no rounding can change an order. Equal cost: the lower offer id wins, so that a decision can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

import msgspec


class Candidate(Protocol):
    """One offer as dispatch sees it. Rates are nano-units of the comparison currency per million tokens."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    def rates(self, at_ns: int, input_tokens: int) -> tuple[int, int] | None:
        """(input, output) rate in force at an instant, None = no price."""

    def why_not(self, endpoint: str) -> str:
        """Why this offer cannot serve the endpoint now, "" if it can."""


C = TypeVar("C", bound=Candidate)


class Ranked(msgspec.Struct, frozen=True):
    """One line of the merit order. `expected` is nano-units x million of the comparison currency; -1 = no price."""

    offer: str
    expected: int
    why_not: str


UNPRICED = "no price is in force"


def expected_cost(rates: tuple[int, int], input_tokens: int, output_tokens: int) -> int:
    """Nano-units times one million."""
    return rates[0] * input_tokens + rates[1] * output_tokens


def pick(candidates: Iterable[C], endpoint: str, at_ns: int, input_tokens: int, output_tokens: int) -> C | None:
    """The cheapest eligible candidate, or None."""
    best: C | None = None
    best_cost = 0
    for candidate in candidates:
        if candidate.why_not(endpoint):
            continue
        rates = candidate.rates(at_ns, input_tokens)
        if rates is None:
            continue
        cost = expected_cost(rates, input_tokens, output_tokens)
        if best is None or cost < best_cost or (cost == best_cost and candidate.id < best.id):
            best, best_cost = candidate, cost
    return best


def order(
    candidates: Iterable[Candidate], endpoint: str, at_ns: int, input_tokens: int, output_tokens: int
) -> list[Ranked]:
    """Every candidate: the eligible ones first, by expected cost, then the others with the reason."""
    eligible: list[tuple[int, int, Ranked]] = []
    others: list[Ranked] = []
    for candidate in candidates:
        rates = candidate.rates(at_ns, input_tokens)
        why = candidate.why_not(endpoint) or ("" if rates else UNPRICED)
        cost = expected_cost(rates, input_tokens, output_tokens) if rates else -1
        line = Ranked(candidate.name, cost, why)
        if why:
            others.append(line)
        else:
            eligible.append((cost, candidate.id, line))
    return [line for _, _, line in sorted(eligible, key=lambda entry: entry[:2])] + others
