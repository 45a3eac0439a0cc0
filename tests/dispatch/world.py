"""Random worlds of offers, and what a plain reading of the rules says about them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from baseload.dispatch.capacity import Capacity, Share
from baseload.dispatch.health import CredentialHealth, OfferHealth
from baseload.dispatch.market import Wanted
from baseload.dispatch.policy import CAPABILITIES, Limits, MaxPrice, Policy, Weights
from baseload.dispatch.rates import RowRates
from baseload.dispatch.rules import Bound, OfferFacts
from baseload.money.price import PriceRow, Rule, When, Window

NIGHT = Window(name="night", tz="Asia/Shanghai", days=("mon", "tue", "wed", "thu", "fri"), spans=(("22:00", "24:00"),))
START = 1_795_000_000_000_000_000
FX = {"USD": (1, 1), "CNY": (14, 100), "EUR": (117, 100)}
REGIONS = ("cn", "eu", "us", "")


@dataclass
class Stand:
    id: int
    rows: list[RowRates]
    facts: OfferFacts
    credential: int = 0
    health: OfferHealth = field(default_factory=OfferHealth)
    access: CredentialHealth = field(default_factory=CredentialHealth)
    capacity: Capacity = field(default_factory=lambda: Capacity(Share(Limits()), Share(Limits())))
    trouble: str = ""

    def __post_init__(self) -> None:
        self.access.covers([self.health])

    @property
    def exchange(self) -> tuple[int, int]:
        return FX[self.rows[0].currency] if self.rows else (1, 1)

    @property
    def changes(self) -> tuple[int, ...]:
        return tuple(at for row in self.rows for at in (row.from_ns, row.to_ns))

    def why_not(self, endpoint: str) -> str:
        return self.trouble

    def price_at(self, at_ns: int) -> RowRates | None:
        return next((row for row in self.rows if row.in_force(at_ns)), None)

    def expected_units(self, at_ns: int, units: dict[str, int], input_tokens: int) -> int | None:
        price = self.price_at(at_ns)
        return price.units(at_ns, units, input_tokens) if price is not None else None


def price(rng: random.Random, currency: str, **more: int) -> RowRates:
    rules = []
    if rng.random() < 0.4:
        when = When(input_over=rng.choice((100, 128, 1000)))
        rules.append(Rule(when=when, multiply={"tokens": rng.choice(("2", "0.5"))}))
    if rng.random() < 0.3:
        rules.append(Rule(when=When(output_over=50), multiply={"output": "1.5"}))
    if rng.random() < 0.4:
        rules.append(Rule(when=When(window=NIGHT), multiply={"tokens": "0.1"}))
    if rng.random() < 0.2:
        rules.append(Rule(when=When(thinking=True), set={"output": "9.25"}))
    rate = {"input": f"{rng.randint(0, 900) / 100}", "output": f"{rng.randint(0, 900) / 100}"}
    if rng.random() < 0.6:
        rate["cache_read"] = f"{rng.randint(0, 90) / 100}"
    if rng.random() < 0.3:
        rate["cache_write_5m"] = f"{rng.randint(100, 1200) / 100}"
    if rng.random() < 0.2:
        more["max_input"] = 800
    consent = "contributor" if rng.random() < 0.1 else ""
    row = PriceRow(
        book="cost:t", model="m", currency=currency, rate=rate, rules=tuple(rules), consent=consent, **more,
    )  # fmt: skip
    return RowRates(row)


def stand(rng: random.Random, id_: int) -> Stand:
    currency = rng.choice(("USD", "CNY", "EUR"))
    cut = START + rng.randrange(10**15)
    rows = [price(rng, currency, to_ns=cut), price(rng, currency, from_ns=cut)] if rng.random() < 0.3 else []
    some = frozenset(rng.sample(CAPABILITIES, rng.randint(0, len(CAPABILITIES))))
    facts = OfferFacts(
        id=id_, name=f"o{id_}", provider=f"p{id_ % 3}", vendor=rng.choice(("deepseek", "openai", "vllm")),
        region=rng.choice(REGIONS), residency=rng.choice(REGIONS), supply=rng.choice(("base", "contract", "spot")),
        capabilities=some if rng.random() < 0.5 else None,
        quality={"": rng.randint(0, 1000)} if rng.random() < 0.7 else {},
        context_max=rng.choice((0, 0, 500, 100_000)), output_max=rng.choice((0, 0, 40)),
    )  # fmt: skip
    found = Stand(id_, rows or [price(rng, currency)], facts)
    found.health.milli = rng.choice((2500, 4000, 5200))
    if rng.random() < 0.1:
        found.rows = []
    if rng.random() < 0.1:
        found.trouble = "no address"
    if rng.random() < 0.2:
        found.health.in_flight = 1
        found.health.end(START, rng.choice(("overloaded", "rate_limited")), retry_after_s=rng.choice((None, 50.0)))
    if rng.random() < 0.1:
        found.access.end(START, "no_money", by="vendor")
    if rng.random() < 0.3:
        found.capacity = Capacity(Share(Limits(concurrent=2, tokens_per_minute=3000)), Share(Limits()))
        for _ in range(rng.randint(0, 3)):
            found.capacity.begin(START, 200)
    if rng.random() < 0.5:
        found.health.first_token_ns = rng.randint(1, 2_000_000_000)
        found.health.tokens_per_s_milli = rng.randint(1000, 200_000)
    return found


def policy(rng: random.Random, objective: str | None = None) -> Policy:
    def maybe(value: object, share: float = 0.2) -> object:
        return value if rng.random() < share else None

    return Policy(
        objective=objective or rng.choice(("cheapest", "fastest", "balanced", None)),  # type: ignore[arg-type]
        weights=maybe(Weights(cost=rng.randint(1, 3))),  # type: ignore[arg-type]
        max_price=maybe(MaxPrice(input=f"{rng.randint(1, 9)}", currency="CNY")),  # type: ignore[arg-type]
        max_cost=maybe(f"0.00{rng.randint(1, 9)} USD"),  # type: ignore[arg-type]
        quality_min=maybe(rng.randint(0, 900)),  # type: ignore[arg-type]
        regions=maybe(tuple(rng.sample(REGIONS, 2))),  # type: ignore[arg-type]
        residency=maybe(tuple(rng.sample(REGIONS, 3)), 0.1),  # type: ignore[arg-type]
        vendors=maybe(("deepseek", "vllm"), 0.1),  # type: ignore[arg-type]
        not_vendors=maybe(("openai",), 0.1),  # type: ignore[arg-type]
        require=maybe((rng.choice(CAPABILITIES),), 0.1),  # type: ignore[arg-type]
        consents=maybe(("contributor",), 0.5),  # type: ignore[arg-type]
        first_token_ms=maybe(500, 0.1),  # type: ignore[arg-type]
        pin=maybe(f"p{rng.randrange(3)}", 0.05),  # type: ignore[arg-type]
    )


def wanted(rng: random.Random, bound: Bound, stands: list[Stand]) -> Wanted:
    changes = [change for each in stands for change in each.changes if START < change < START + 10**16]
    at_ns = START + rng.randrange(10**12)
    if changes and rng.random() < 0.3:
        at_ns = rng.choice(changes) + rng.choice((-1, 0, 1))
    write = "cache_write_5m" if rng.random() < 0.1 else ""
    found = Wanted(
        at_ns, bound, rng.choice((40, 400, 511, 512, 4000)), rng.choice((0, 10, 50, 51, 300)),
        needs=frozenset(rng.sample(CAPABILITIES, rng.choice((0, 0, 1, 2)))),
        least_output=rng.choice((0, 0, 30, 50)), thinking=rng.random() < 0.2, write=write,
    )  # fmt: skip
    found.now_ns = START + rng.randrange(10**11)
    if rng.random() < 0.5:
        found.cached = {(each.id, 0): rng.randint(0, 600) for each in stands if rng.random() < 0.5}
    found.tried = {(each.id, 0) for each in stands if rng.random() < 0.1}
    return found
