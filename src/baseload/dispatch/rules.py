"""Policies merged, and offers judged by them. Pure.

In:     policies from the outermost (the account at the top) to the innermost (the call); facts of an offer; what a
        request needs.
Out:    one `Policy`; `Bound`, the same made ready for many comparisons; the reason why an offer does not fit.

Limits only tighten: sets are intersected, ceilings take the lower and floors the higher value, requirements are united.
Preferences come from the innermost policy that says something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from baseload.dispatch.policy import ANY_WORK, CAPABILITIES, SUPPLIES, MaxPrice, Policy, Weights
from baseload.errors import Refusal
from baseload.money.amount import parse_decimal

BIG = 1 << 200  # no limit; beyond any amount
MILLION = 1_000_000
NANO = 1_000_000_000
Fx = Mapping[str, tuple[int, int]]  # currency -> (numerator, denominator) to the comparison currency

_SETS = ("regions", "residency", "vendors", "providers", "supplies", "consents")
_UNIONS = ("require", "not_vendors")
_CEILINGS = ("attempts_max", "deadline_s", "first_token_ms")
_FLOORS = ("quality_min", "tokens_per_s")


class BadPolicy(Refusal):
    """A policy says something that cannot be; `param` names the member."""

    code, status = "invalid_policy", 400


class OfferFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a policy may ask of an offer."""

    id: int
    name: str
    provider: str  # as the operator named it
    vendor: str  # dialect of the catalogue
    region: str = ""
    residency: str = ""
    supply: str = "contract"
    capabilities: frozenset[str] | None = None  # None = not said, all are presumed
    quality: dict[str, int] = {}  # kind of work -> rank, "" = any kind
    certificates: dict[str, str] = {}  # kind of work -> certificate id
    context_max: int = 0  # tokens, 0 = not known
    output_max: int = 0


def merge(policies: Sequence[Policy]) -> Policy:
    """One policy of several, outermost first; what it lets through, each of them lets through.

    Of ceilings in different currencies it shows the outer one; `Bound` holds to all of them.
    """
    if len(policies) == 1:
        return policies[0]
    found: dict[str, Any] = {}
    for policy in policies:
        for name in policy.__struct_fields__:
            value = getattr(policy, name)
            if value is None:
                continue
            before = found.get(name)
            found[name] = value if before is None else _JOIN.get(name, _later)(before, value)
    return Policy(**found)


def _later(before: Any, value: Any) -> Any:
    return value


def _both(before: tuple[str, ...], value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in before if one in value)


def _either(before: tuple[str, ...], value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, *value)))


def _lower_price(before: MaxPrice, value: MaxPrice) -> MaxPrice:
    if before.currency != value.currency:
        return before
    return MaxPrice(
        input=_lower_text(before.input, value.input),
        output=_lower_text(before.output, value.output),
        currency=before.currency,
    )


def _lower_text(a: str, b: str) -> str:
    if not a or not b:
        return a or b
    return a if _nano(a) <= _nano(b) else b


def _lower_cost(before: str, value: str) -> str:
    amount, _, currency = before.partition(" ")
    other, _, its = value.partition(" ")
    if (currency or "USD") != (its or "USD"):
        return before
    return before if _nano(amount) <= _nano(other) else value


_JOIN: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(_SETS, _both),
    **dict.fromkeys(_UNIONS, _either),
    **dict.fromkeys(_CEILINGS, min),
    **dict.fromkeys(_FLOORS, max),
    "max_price": _lower_price,
    "max_cost": _lower_cost,
}


def _nano(text: str) -> int:
    """A decimal text in nano-units, rounded down (a ceiling must not grow)."""
    digits, places = parse_decimal(text)
    whole: int = digits * NANO // 10**places
    return whole


class Bound:
    """A merged policy made ready. Compared by identity: keep one a policy (`Bounds`)."""

    __slots__ = (
        "_sets", "attempts_max", "consents", "deadline_ns", "fallbacks", "first_token_ns", "hedge", "max_cost",
        "max_in", "max_out", "objective", "pin", "policy", "priced", "quality_min", "require", "tokens_per_s_milli",
        "weights", "work",
    )  # fmt: skip

    def __init__(self, policies: Sequence[Policy], fx: Fx) -> None:
        """Outermost first. Raises BadPolicy for an amount that is none, or in a currency without an exchange rate."""
        policy = self.policy = merge(policies)
        self.objective = policy.objective or "cheapest"
        self.weights = policy.weights or Weights()
        self.work = policy.work or ANY_WORK
        self.quality_min = policy.quality_min or 0
        self.require = frozenset(policy.require or ())
        self.consents = frozenset(policy.consents or ())
        self.pin = policy.pin or ""
        self.fallbacks = policy.fallbacks or ()
        self.hedge = bool(policy.hedge)
        self.first_token_ns = (policy.first_token_ms or 0) * MILLION
        self.tokens_per_s_milli = (policy.tokens_per_s or 0) * 1000
        self.attempts_max = policy.attempts_max or 0
        self.deadline_ns = int((policy.deadline_s or 0) * NANO)
        # Of every policy, for they may speak of several currencies.
        prices = [price for each in policies if (price := each.max_price) is not None]
        self.max_in = min((_amount(one.input, one.currency, fx, "max_price.input") for one in prices), default=BIG)
        self.max_out = min((_amount(one.output, one.currency, fx, "max_price.output") for one in prices), default=BIG)
        costs = [each.max_cost.partition(" ") for each in policies if each.max_cost]
        found = min((_amount(one[0], one[2] or "USD", fx, "max_cost") for one in costs), default=BIG)
        self.max_cost = found * MILLION if found < BIG else BIG  # nano-units times a million, as costs are compared
        self.priced = min(self.max_in, self.max_out, self.max_cost) < BIG
        self._sets = tuple(
            (word, frozenset(allowed), attribute)
            for word, allowed, attribute in (
                ("regions", policy.regions, "region"),
                ("residency", policy.residency, "residency"),
                ("vendors", policy.vendors, "vendor"),
                ("providers", policy.providers, "provider"),
                ("supplies", policy.supplies, "supply"),
            )
            if allowed is not None
        )

    def unfit(self, facts: OfferFacts, needs: frozenset[str], consent: str = "") -> str:
        """Why the offer may not serve such a request, "" = it may. `consent`: what its price in force asks for."""
        if self.pin and self.pin not in (facts.name, facts.provider):
            return f"the policy pins {self.pin}"
        for word, allowed, attribute in self._sets:
            value = getattr(facts, attribute)
            if value not in allowed:
                names = ", ".join(sorted(allowed)) or "none"
                return f"its {attribute} is {value or 'not said'}, and {word} allows {names}"
        if self.policy.not_vendors and facts.vendor in self.policy.not_vendors:
            return f"the policy excludes the vendor {facts.vendor}"
        if self.quality_min:
            rank = facts.quality.get(self.work, facts.quality.get(ANY_WORK, 0))
            if rank < self.quality_min:
                kind = f" for {self.work}" if self.work else ""
                return f"its quality{kind} is {rank or 'not declared'}, the floor is {self.quality_min}"
        if facts.capabilities is not None:
            lacking = (needs | self.require) - facts.capabilities
            if lacking:
                return f"it lacks {', '.join(sorted(lacking))}"
        if consent and consent not in self.consents:
            return f"its price asks for the consent {consent!r}, which the account has not given"
        return ""


def _amount(text: str, currency: str, fx: Fx, param: str) -> int:
    """Nano-units of the comparison currency; BIG where nothing is said."""
    if not text:
        return BIG
    rate = fx.get(currency)
    if rate is None:
        raise BadPolicy(
            f"{param} is in {currency}, and no exchange rate for it is declared.",
            f"Use one of {', '.join(sorted(fx))}, or declare the rate under [fx].",
            param=param,
        )
    try:
        nano = _nano(text)
    except Refusal:
        raise BadPolicy(
            f"{param} is {text[:40]!r}, which is no amount.", 'Write a decimal, as in "0.05".', param=param
        ) from None
    return nano * rate[0] // rate[1]


def check_policy(policy: Policy) -> None:
    """Raises BadPolicy for what types do not tell: names that do not exist, numbers out of range."""
    for field, known in (("require", CAPABILITIES), ("supplies", SUPPLIES)):
        for name in getattr(policy, field) or ():
            if name not in known:
                close = get_close_matches(name, known, 1)
                fix = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
                raise BadPolicy(f"{name[:60]!r} is none of the words of {field}.", fix, param=field)
    for field, low, high in _RANGES:
        value = getattr(policy, field)
        if value is not None and not low <= value <= high:
            raise BadPolicy(f"{field} is {value}; it must be from {low} to {high}.", "Change it.", param=field)
    weights = policy.weights
    if weights is not None and not (
        min(weights.cost, weights.first_token, weights.speed) >= 0
        and 0 < weights.cost + weights.first_token + weights.speed <= 1_000_000
    ):
        raise BadPolicy("Weights are whole numbers from 0, and not all of them 0.", "As in cost = 2.", param="weights")
    if policy.resume:
        raise BadPolicy("A stream that breaks cannot go on at another offer yet.", "Leave out resume.", param="resume")


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("quality_min", 0, 1000),
    ("first_token_ms", 1, 3_600_000),
    ("tokens_per_s", 1, 1_000_000),
    ("attempts_max", 1, 50),
    ("deadline_s", 0.05, 3600),
)


class Bounds:
    """One `Bound` for the same policies, so that listings can be kept by it. Bounded."""

    __slots__ = ("_found", "_fx")
    _MAX = 4096

    def __init__(self, fx: Fx) -> None:
        self._fx = fx
        self._found: dict[tuple[Policy, ...], Bound] = {}

    def of(self, policies: tuple[Policy, ...]) -> Bound:
        """Outermost first. Raises BadPolicy."""
        bound = self._found.get(policies)
        if bound is None:
            if len(self._found) >= self._MAX:
                self._found.clear()
            bound = self._found[policies] = Bound(policies, self._fx)
        return bound
