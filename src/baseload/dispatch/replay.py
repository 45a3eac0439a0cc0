"""What recorded calls would have cost by other prices, offers or policies. Pure: tokens and times in, money out.

In:     past calls (no content), offers with their price rows, policies.
Out:    a `Replay`: money by offer and hour, calls that no offer could serve, in the comparison currency.

Decided by the same market as live calls, with what is known afterwards: the tokens that really came. Health, limits and
speed of offers are not replayed, so `fastest` and `balanced` decide by cost alone; cached tokens stay what they were.
Rated by `money`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from baseload.dispatch.capacity import Capacity, Share
from baseload.dispatch.health import CredentialHealth, OfferHealth
from baseload.dispatch.market import Market, Wanted
from baseload.dispatch.policy import Limits, Policy
from baseload.dispatch.rates import RowRates
from baseload.dispatch.rules import Bound, Fx, OfferFacts
from baseload.errors import Refusal
from baseload.money.rate import rate_nano

HOUR_NS = 3_600_000_000_000
PROMPT = ("input", "cache_read", "cache_read_explicit", "cache_write_5m", "cache_write_30m", "cache_write_1h",
          "cache_write_12h")  # fmt: skip


class PastCall(msgspec.Struct, frozen=True, gc=False):
    """One settled attempt. `meters`: as they are priced; `select`: as its reply said."""

    at_ns: int
    model: str
    endpoint: str
    meters: dict[str, int]
    select: dict[str, Any]
    paid: int = 0  # nano-units of the comparison currency, what it did cost
    offer: int = 0


class Stand:
    """An offer as a replay sees it: always healthy, never full."""

    def __init__(
        self, facts: OfferFacts, endpoints: frozenset[str], rows: Sequence[RowRates], exchange: tuple[int, int]
    ) -> None:
        self.id = facts.id
        self.credential = 0
        self.facts = msgspec.structs.replace(facts, supply="contract" if facts.supply == "base" else facts.supply)
        self.endpoints = endpoints
        self.rows = rows
        self.exchange = exchange
        self.health = OfferHealth(milli=1000)  # a byte a token: the tokens are known
        self.access = CredentialHealth()
        self.capacity = Capacity(Share(Limits()), Share(Limits()))
        self.changes = tuple(at for row in rows for at in (row.from_ns, row.to_ns))

    def why_not(self, endpoint: str) -> str:
        return "" if endpoint in self.endpoints else f"it does not serve {endpoint}"

    def price_at(self, at_ns: int) -> RowRates | None:
        return next((row for row in self.rows if row.in_force(at_ns)), None)

    def expected_units(self, at_ns: int, units: dict[str, int], input_tokens: int) -> int | None:
        price = self.price_at(at_ns)
        nano = price.units(at_ns, units, input_tokens) if price is not None else None
        return nano * self.exchange[0] // self.exchange[1] if nano is not None else None

    def cost(self, call: PastCall) -> int | None:
        """Nano-units of the comparison currency by money's own rule; None where it prices no such call."""
        price = self.price_at(call.at_ns)
        if price is None or call.endpoint not in self.endpoints:
            return None
        try:
            nano = rate_nano(price.row, self._known(price, call.meters), call.select, call.at_ns)
        except Refusal:
            return None
        return nano * self.exchange[0] // self.exchange[1]

    @staticmethod
    def _known(price: RowRates, meters: Mapping[str, int]) -> dict[str, int]:
        """Tokens of a cache that this offer does not price are plain input there."""
        found: dict[str, int] = {}
        priced = {*price.row.rate, *(meter for rule in price.row.rules for meter in (*rule.set, *rule.ratio))}
        for meter, count in meters.items():
            base = "cache_read" if meter == "cache_read_explicit" else meter
            name = meter if meter in priced or base in priced or meter not in PROMPT else "input"
            found[name] = found.get(name, 0) + count
        return found


class Replay(msgspec.Struct):
    """Money: nano-units of the comparison currency."""

    calls: int = 0
    served: int = 0
    cost: int = 0
    paid: int = 0  # what the served calls did cost
    by_offer: dict[str, list[int]] = {}  # name -> [calls, cost]
    by_hour: dict[int, int] = {}  # start of the hour, ns -> cost
    unserved: dict[str, int] = {}  # reason -> calls


def replay(
    calls: Iterable[PastCall], offers: Mapping[str, Sequence[Stand]], policies: Sequence[Policy], fx: Fx
) -> Replay:
    """`offers` by model. Raises BadPolicy."""
    bound = Bound((*policies, Policy(objective="cheapest")), fx)
    markets: dict[tuple[str, str], Market[Stand]] = {}
    found = Replay()
    for call in calls:
        found.calls += 1
        market = markets.get((call.model, call.endpoint))
        if market is None:
            market = markets[call.model, call.endpoint] = Market(offers.get(call.model, ()), call.endpoint)
        stand, why = _winner(market, call, bound)
        cost = stand.cost(call) if stand is not None else None
        if stand is None or cost is None:
            reason = why or "no price for such a call"
            found.unserved[reason] = found.unserved.get(reason, 0) + 1
            continue
        found.served += 1
        found.cost += cost
        found.paid += call.paid
        line = found.by_offer.setdefault(stand.facts.name, [0, 0])
        line[0] += 1
        line[1] += cost
        hour = call.at_ns - call.at_ns % HOUR_NS
        found.by_hour[hour] = found.by_hour.get(hour, 0) + cost
    return found


def _winner(market: Market[Stand], call: PastCall, bound: Bound) -> tuple[Stand | None, str]:
    prompt = sum(call.meters.get(meter, 0) for meter in PROMPT)
    cached = call.meters.get("cache_read", 0) + call.meters.get("cache_read_explicit", 0)
    wanted = Wanted(
        call.at_ns, bound, max(prompt - 1, 0), call.meters.get("output", 0), thinking=bool(call.select.get("thinking"))
    )
    if cached:
        wanted.cached = {(stand.id, 0): cached for stand in market.offers}
    decision = market.decide(wanted)
    if decision.offer is not None:
        return decision.offer, ""
    reasons = [why for _, why in decision.listing.excluded] + list(decision.whys.values())
    return None, reasons[0] if reasons else f"no offer of model {call.model}"
