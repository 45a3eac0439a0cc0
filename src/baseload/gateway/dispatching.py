"""Which offer serves a call: policies, forecasts and the state of offers brought to the merit order, and its answer.

In:     an understood request (`Asked`), the catalog, what ended attempts have shown.
Out:    `Merit`, one a call: `take` gives the next `Choice`, or the refusal that says why nothing is eligible.

The state of offers (health, capacity, bytes a token) and the forecasts belong to this process and outlive snapshots;
an offer whose credential changed begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from baseload.dispatch import merit
from baseload.dispatch.capacity import Capacity, Heard, Share
from baseload.dispatch.cost import MILLION
from baseload.dispatch.failover import RetryBudget
from baseload.dispatch.forecast import Forecast, moved_milli
from baseload.dispatch.health import OF_CREDENTIAL, CredentialHealth, OfferHealth
from baseload.dispatch.hedge import HedgePurse
from baseload.dispatch.market import BELOW_COST, LAST_RESORT, UNPRICED, Decision, Market, Wanted
from baseload.dispatch.policy import Limits, Policy
from baseload.dispatch.prefixes import Pieces, Prefixes
from baseload.dispatch.rules import Bound, Bounds
from baseload.dispatch.seen import encode
from baseload.errors import Refusal
from baseload.gateway.asked import Asked
from baseload.gateway.catalog import Catalog, Key, Offer
from baseload.gateway.passage import Passage, passage_of
from baseload.money.amount import PPM, round_half_even
from baseload.providers import limits
from baseload.wire import refusals
from baseload.wire.canon.carry import Uncarried
from baseload.wire.needs import needs_of
from baseload.wire.pieces import pieces_of

if TYPE_CHECKING:
    from baseload.dispatch.rates import RowRates
    from baseload.gateway.core import Gateway
    from baseload.gateway.journal.entries import Reading

Tried = dict[tuple[int, int], str]  # (offer, credential) -> why it is not asked (again)
_PROMPT = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_30m", "cache_write_1h", "cache_write_12h")
_NONE: frozenset[str] = frozenset()
_TTL_S = {"5m": 300, "30m": 1800, "1h": 3600, "12h": 43_200}
ASKING = "it is being asked"
CACHE_BYTES = 2_000  # a shorter request is below every cache's least length, or not worth the look
_NO_OUTPUT = frozenset(("embeddings", "gemini_embed", "rerank"))


class Choice:
    """One attempt's offer, with what was expected of it."""

    __slots__ = ("below_cost", "charge", "cost", "decision", "expected_tokens", "offer", "passage", "why")

    def __init__(
        self,
        offer: Offer,
        cost: RowRates,
        charge: RowRates | None,
        passage: Passage,
        decision: Decision[Offer],
        why: str,
    ) -> None:
        self.offer = offer
        self.cost = cost
        self.charge = charge  # None = cost plus the tariff's margin
        self.passage = passage
        self.decision = decision
        self.why = why  # there was an attempt before it: why that was not enough
        self.below_cost = False  # the account is expected to pay less than it costs
        self.expected_tokens = decision.tokens + decision.wanted.output_tokens

    @property
    def limited(self) -> bool:
        """Others may be waiting for a place there: who comes later goes behind them."""
        return bool(self.offer.capacity.offer.concurrent or self.offer.capacity.credential.concurrent)

    def expected(self) -> tuple[int, tuple[int, ...]]:
        """(nano-units in the cost price's currency, (input, cached, output) tokens); -1 where it cannot be said."""
        decision, wanted = self.decision, self.decision.wanted
        tokens = (decision.tokens, decision.cached, wanted.output_tokens)
        if wanted.units:
            nano = self.cost.units(wanted.at_ns, wanted.units, decision.tokens)
            return (-1 if nano is None else nano), tokens
        return round_half_even(decision.expected, MILLION), tokens

    def seen(self, currency: str) -> bytes:
        """The merit order as this decision saw it, for the reading."""
        return encode(merit.seen(self.decision, currency, self.why))


class Dispatcher:
    """What decisions are made from, beyond the snapshot. One a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gw = gateway
        self.forecast = Forecast()
        self.prefixes = Prefixes()
        self.retries = RetryBudget()
        self.hedges = HedgePurse()
        self._health: dict[tuple[int, str], OfferHealth] = {}
        self._access: dict[tuple[int, str], CredentialHealth] = {}
        self._shares: dict[tuple[str, int, str, Limits], Share] = {}
        self._bounds = Bounds({})
        self._plain: dict[tuple[int, str], Bound] = {}  # (key, model) -> what binds a call that says nothing itself

    def attach(self, catalog: Catalog) -> None:
        """Gives a catalog's offers the state that earlier ones had; forgets what is gone."""
        health, access, shares = self._health, self._access, self._shares
        self._health, self._access, self._shares = {}, {}, {}
        covered: dict[tuple[int, str], list[OfferHealth]] = {}
        longest = round(self._gw.limits.out_max_s * 1e9)
        for offer in all_offers(catalog):
            name, whose = (offer.id, offer.reference), (offer.provider.id, offer.reference)
            start = round(offer.bytes_per_token * 1000)
            offer.health = self._health.setdefault(name, health.get(name) or OfferHealth(longest, start))
            offer.access = self._access.setdefault(whose, access.get(whose) or CredentialHealth(longest))
            own = ("offer", offer.id, offer.reference, offer.row.limits)
            common = ("provider", offer.provider.id, offer.reference, offer.provider.limits)
            offer.capacity = Capacity(
                self._shares.setdefault(own, shares.get(own) or Share(own[3])),
                self._shares.setdefault(common, shares.get(common) or Share(common[3])),
            )
            covered.setdefault(whose, []).append(offer.health)
        for whose, offers in covered.items():
            self._access[whose].covers(offers)
        self._bounds = Bounds(catalog.fx)
        self._plain = {}

    def bound(self, key: Key, model: str, own: tuple[Policy, ...]) -> Bound:
        """What binds a call. Raises BadPolicy for a call's own policy that cannot be."""
        if not own:
            found = self._plain.get((key.id, model))
            if found is not None:
                return found
        named = self._gw.catalog.name_policies.get(model)
        policies = (*key.policies, *((named,) if named is not None else ()), *own)
        bound = self._bounds.of(policies or (Policy(),))
        if not own:
            self._plain[key.id, model] = bound
        return bound

    def open(self, asked: Asked, at_ns: int) -> Merit:
        """Raises Refusal for a model that is not there or not allowed."""
        catalog, key, model = self._gw.catalog, asked.key, asked.ask.model
        models = self._models(catalog, key, model)
        bound = self.bound(key, model, asked.policies)
        return Merit(self._gw, asked, at_ns, bound, models)

    def _models(self, catalog: Catalog, key: Key, model: str) -> tuple[str, ...]:
        group = catalog.groups.get(model)
        if group is not None:
            allowed = not key.models or model in key.models
            models = tuple(one for one in group.models if one in catalog.models and (allowed or one in key.models))
            if not models and not allowed:
                raise refusals.ModelNotAllowed(model)
            if models:
                return models
        if model not in catalog.models:
            raise catalog.no_model(model, key)
        if key.models and model not in key.models:
            raise refusals.ModelNotAllowed(model)
        return (model,)

    def learn(self, merit: Merit, offer: Offer, reading: Reading) -> None:
        """What an ended attempt shows about the next: only what its provider reported."""
        meters, asked = reading.meters, merit.asked
        if not meters or reading.outcome not in ("ok", "client_left"):
            return
        if reading.output_provenance == "reported" and reading.outcome == "ok" and asked.ask.n == 1:
            self.forecast.learn(reading.key, offer.model, meters.get("output_total", 0))
        if reading.input_provenance == "reported" and not asked.ask.units:
            prompt = sum(meters.get(meter, 0) for meter in _PROMPT)
            offer.health.milli = moved_milli(offer.health.milli, reading.request_bytes, prompt)
            if merit.pieces is not None:
                self._cached(merit, offer, reading)

    def _cached(self, merit: Merit, offer: Offer, reading: Reading) -> None:
        """What of a request came from the offer's cache, and what is in it now."""
        if merit.pieces is None:
            return
        place, now_ns = (offer.id, offer.credential), reading.end_ns
        expected = merit.could_read.get(place, 0)
        if expected:
            self.prefixes.came(place, expected, reading.meters.get("cache_read", 0))
        ttl = _TTL_S.get(merit.asked.ask.cache_ttl, offer.vendor.cache.lifetime_s)
        self.prefixes.sent(place, merit.pieces, now_ns, ttl * 1_000_000_000)

    def out(self) -> int:
        """Offers that are out of service now, each credential counted."""
        now_ns = self._gw.clock_ns()
        return sum(health.gate_ns > now_ns for health in self._health.values())

    def heard(self, offer: Offer, said: Mapping[str, str], now_ns: int) -> None:
        """What a reply's headers say is left of a provider's limits."""
        left = limits.read(offer.vendor, said)
        if not left or not self._gw.limits.out_max_s:
            return
        share = offer.capacity.offer
        if not share.watched:  # markets that took it for unlimited list it anew
            for market in self._gw.catalog.markets.values():
                market.refresh()
        share.heard(now_ns, [
            Heard(one.what, one.remaining, now_ns + round(one.reset_s * 1e9) if one.reset_s is not None else 0)
            for one in left
        ])  # fmt: skip

    def readable(self, offer: Offer, pieces: Pieces, marked: bool, now_ns: int) -> int:
        """Tokens of a request that the offer may read from its cache, trust not applied."""
        facts = offer.vendor.cache
        if not (facts.automatic or marked):
            return 0
        tokens = self.prefixes.longest((offer.id, offer.credential), pieces, now_ns) * 1000 // offer.health.milli
        return tokens if tokens >= facts.minimum else 0


def all_offers(catalog: Catalog) -> Iterable[Offer]:
    return (offer for offers in catalog.models.values() for offer in offers)


class Merit:
    """One call's choices: the merit order, asked again after each attempt that was not enough."""

    __slots__ = (
        "_fallbacks", "_gw", "_models", "asked", "at_ns", "bound", "could_read", "needs", "only", "pieces", "tried",
        "uncarried", "useless",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, asked: Asked, at_ns: int, bound: Bound, models: tuple[str, ...]) -> None:
        self._gw = gateway
        self.asked = asked
        self.at_ns = at_ns
        self.bound = bound
        self._models = models
        catalog, key = gateway.catalog, asked.key
        self._fallbacks = tuple(
            name
            for name in bound.fallbacks
            if name in catalog.models and name not in models and (not key.models or name in key.models)
        )
        self.tried: Tried = {}
        self.useless: Tried = {}  # whose protocol cannot carry the request
        self.uncarried: Uncarried | None = None
        self.pieces: list[tuple[int, int]] | None = None  # None = not looked at
        self.could_read: dict[tuple[int, int], int] = {}
        self.only = self._only(asked)
        said = not catalog.telling.isdisjoint((*models, *self._fallbacks))
        self.needs = needs_of(asked.route.endpoint, asked.members, asked.ask.thinking) if said else _NONE

    def _look_into_caches(self, market: Market[Offer]) -> dict[tuple[int, int], int] | None:
        """(offer, credential) -> tokens to count on; only where it can change the order."""
        if self.asked.size < CACHE_BYTES or len(market.offers) < 2:
            return None
        if self.pieces is None:
            self.pieces = pieces_of(self.asked.route.endpoint, self.asked.members)
        dispatcher, now_ns, found = self._gw.dispatcher, self._gw.clock_ns(), {}
        for offer in market.offers if self.pieces else ():
            if offer.trouble:
                continue
            place = (offer.id, offer.credential)
            tokens = dispatcher.readable(offer, self.pieces, bool(self.asked.ask.cache_ttl), now_ns)
            if tokens:
                self.could_read[place] = tokens
                found[place] = dispatcher.prefixes.trusted(place, tokens)
        return found or None

    def _offers(self, models: Iterable[str]) -> list[Offer]:
        catalog = self._gw.catalog
        return [offer for model in models for offer in catalog.models.get(model, ())]

    def _only(self, asked: Asked) -> frozenset[int] | None:
        """The offers that can serve so many choices, and that hold the state which the request goes on from."""
        ask, pinned = asked.ask, asked.pinned
        if ask.n <= 1 and pinned is None:
            return None
        offers = self._offers((*self._models, *self._fallbacks))
        able = [offer for offer in offers if not 0 < offer.vendor_choices_max < ask.n]
        if not able:
            raise refusals.TooManyChoices(ask.model, ask.n, max(offer.vendor_choices_max for offer in offers))
        if pinned is not None:
            able = [offer for offer in able if offer.provider.id == pinned.provider and "responses" in offer.ways]
            if not able:
                raise refusals.StateUnsupported(ask.model, "previous_response_id")
        return frozenset(offer.id for offer in able)

    def wanted(self, model: str, tried: Tried) -> Wanted:
        """What this call wants of one model's market."""
        ask, asked = self.asked.ask, self.asked
        output = 0
        if asked.route.endpoint not in _NO_OUTPUT:
            output = self._gw.dispatcher.forecast.output_tokens(asked.key.id, model, ask.max_output) * ask.n
        wanted = Wanted(
            self.at_ns, self.bound, asked.size, output, needs=self.needs, least_output=ask.max_output,
            thinking=bool(ask.thinking), write=f"cache_write_{ask.cache_ttl}" if ask.cache_ttl else "",
            units=dict(ask.units) if ask.units else None,
        )  # fmt: skip
        wanted.now_ns = self._gw.clock_ns()
        wanted.tried = tried
        wanted.only = self.only
        market = self._gw.catalog.markets.get((model, asked.route.endpoint))
        wanted.cached = self._look_into_caches(market) if market is not None else None
        return wanted

    def decide(self) -> Decision[Offer] | None:
        """The best of all markets that are open to this call now; None where none has a winner."""
        markets, endpoint = self._gw.catalog.markets, self.asked.route.endpoint
        tried = {**self.tried, **self.useless} if self.useless else self.tried
        resort: Decision[Offer] | None = None
        for models in (self._models, *((name,) for name in self._fallbacks)):
            best: Decision[Offer] | None = None
            for model in models:
                market = markets.get((model, endpoint))
                found = market.decide(self.wanted(model, tried)) if market is not None else None
                if found is None or found.row is None:
                    continue
                if best is None or best.row is None or (found.rank, found.row.key) < (best.rank, best.row.key):
                    best = found
            if best is not None and best.rank[0] < LAST_RESORT:
                return best
            resort = resort or best
        return resort

    def take(self, call_id: str, why: str = "") -> Choice:
        """The next offer to ask. Raises Refusal where none is eligible, Uncarried where no protocol can carry it."""
        choice = self.next(call_id, why)
        if choice is None:
            raise self.why_none()
        return choice

    def why_none(self) -> Refusal:
        """As `none_eligible`, or that no protocol can carry the request."""
        return self.uncarried if self.uncarried is not None and not self.tried else self.none_eligible()

    def full_until_ns(self) -> int:
        """When a place may be free at an offer that only its limits keep from serving; 0 = that is not the reason."""
        now_ns, endpoint = self._gw.clock_ns(), self.asked.route.endpoint
        untils = []
        for model in (*self._models, *self._fallbacks):
            market = self._gw.catalog.markets.get((model, endpoint))
            if market is None:
                continue
            wanted = self.wanted(model, {**self.tried, **self.useless})
            for row in market.listing(wanted).rows:
                until = row.capacity.full_until(now_ns, 1)
                if until and row.health.gate_ns <= now_ns and (self.only is None or row.offer.id in self.only):
                    untils.append(until)
        return min(untils, default=0)

    def next(self, call_id: str, why: str = "") -> Choice | None:
        """As `take`, but None where none is eligible."""
        gw, asked = self._gw, self.asked
        while True:
            decision = self.decide()
            if decision is None or decision.offer is None:
                return None
            offer = decision.offer
            cost = offer.price_at(self.at_ns)
            assert cost is not None
            try:
                passage = passage_of(_own(asked), offer, call_id, self.at_ns, gw.thoughts, gw.catalog.pin_secret)
            except Uncarried as uncarried:
                if asked.pinned is not None:
                    raise
                self.uncarried = self.uncarried or uncarried
                self._cannot_carry(offer)
                continue
            charge = asked.key.tariff.price_at(offer.model, self.at_ns)
            choice = Choice(offer, cost, charge, passage, decision, why)
            if asked.key.tariff.rules.floor and self._below_floor(choice):
                if asked.key.tariff.rules.floor == "refuse":
                    self._useless(offer, BELOW_COST)
                    continue
                choice.below_cost = True
            return choice

    def asking(self, offer: Offer) -> None:
        """It is being asked already, with whichever credential: not to be asked a second time at once."""
        for other in self._gw.catalog.models.get(offer.model, ()):
            if other.id == offer.id:
                self.tried.setdefault((other.id, other.credential), ASKING)

    def asked_no_more(self) -> None:
        """What `asking` has marked may be asked again."""
        self.tried = {key: why for key, why in self.tried.items() if why != ASKING}

    def another(self, offer: Offer) -> bool:
        """Could another offer serve, or this one with another credential?"""
        before = self.tried
        self.tried = {**before, (offer.id, offer.credential): ASKING}
        found = self.decide()
        self.tried = before
        return found is not None and found.rank[0] < LAST_RESORT

    def failed(self, offer: Offer, fault: str, *, larger: bool) -> None:
        """An attempt there has failed: it is not asked again, nor is what would fail in the same way."""
        why = f"it failed: {fault}"
        self.tried[offer.id, offer.credential] = why
        if fault in OF_CREDENTIAL or fault == "rate_limited":
            return  # with another credential it may serve
        for other in self._offers((*self._models, *self._fallbacks)):
            same = other.id == offer.id
            if same or (fault == "refused_connection" and other.provider.base_url == offer.provider.base_url):
                self.tried[other.id, other.credential] = why
            elif larger and 0 < other.facts.context_max <= offer.facts.context_max:
                self.tried[other.id, other.credential] = "its context is no larger than that of one that was too small"

    def _below_floor(self, choice: Choice) -> bool:
        """Whether the account is expected to pay less than the call costs, or than the tariff's floor above it."""
        decision, tariff, price = choice.decision, self.asked.key.tariff, choice.charge or choice.cost
        tokens, output = decision.tokens, decision.wanted.output_tokens
        one, other = choice.cost.at(self.at_ns, tokens), price.at(self.at_ns, tokens)
        if one is None or other is None:
            return False
        cost, paid = (rates[0] * tokens + rates[1] * output for rates in (one, other))
        if choice.charge is None:
            paid = paid * (PPM + tariff.margin_ppm) // PPM
        fx = self._gw.catalog.fx
        if price.currency != choice.cost.currency:
            if price.currency not in fx or choice.cost.currency not in fx:
                return False
            (up, down), (over, under) = fx[price.currency], fx[choice.cost.currency]
            paid, cost = paid * up * under, cost * over * down
        return paid * PPM < cost * (PPM + tariff.rules.floor_ppm)

    def _cannot_carry(self, offer: Offer) -> None:
        self._useless(offer, "its protocol cannot carry what is asked")

    def _useless(self, offer: Offer, why: str) -> None:
        for other in self._gw.catalog.models[offer.model]:  # its other credentials are no better
            if other.id == offer.id:
                self.useless[other.id, other.credential] = why

    def explained(self) -> list[tuple[str, list[merit.Ranked]]]:
        """The merit order of each model in turn, at length."""
        endpoint, found = self.asked.route.endpoint, []
        tried = {**self.tried, **self.useless}
        for model in (*self._models, *self._fallbacks):
            market: Market[Offer] | None = self._gw.catalog.markets.get((model, endpoint))
            if market is not None:
                found.append((model, merit.order(market, self.wanted(model, tried))))
        return found

    def none_eligible(self) -> Refusal:
        """Why nothing can serve, in words that tell the client what to change and nobody's secrets."""
        gw, ask, endpoint = self._gw, self.asked.ask, self.asked.route.endpoint
        model, offers = ask.model, self._offers((*self._models, *self._fallbacks))
        able = [offer for offer in offers if endpoint in offer.endpoints]
        if not able:
            return refusals.EndpointNotServed(model, endpoint, {name for offer in offers for name in offer.endpoints})
        lines = [line for _, order in self.explained() for line in order if line.why_not]
        sound = {(offer.id, offer.credential): offer for offer in able if not offer.trouble}
        lines = [line for line in lines if (line.offer, line.credential) in sound]
        if not sound or not lines:
            gw.tell_none(model, able)
            return refusals.NoProvider(model)
        unpriced = [sound[line.offer, line.credential] for line in lines if _is_unpriced(line.why_not)]
        if len(unpriced) == len(lines):
            half = unpriced[0].half_priced
            lack = f" has no rate for {half}" if half else ""
            return refusals.Unpriced(
                model, f"offer {', '.join(dict.fromkeys(offer.name for offer in unpriced[:3]))}{lack}"
            )
        waits = [wait for offer in sound.values() if (wait := self._wait_s(offer)) is not None]
        if waits:
            limited = all(offer.health.why == "rate_limited" for offer in sound.values() if offer.health.why)
            return refusals.NoneNow(model, max(0.01, min(waits)), limited=limited)
        return refusals.NoOfferFits(model, _grouped(lines))

    def soonest_ns(self) -> int:
        """The first instant at which an offer of this call that is out or full may serve; 0 = there is none."""
        now_ns = self._gw.clock_ns()
        offers = self._offers((*self._models, *self._fallbacks))
        waits = [wait for offer in offers if not offer.trouble and (wait := self._wait_s(offer)) is not None]
        return now_ns + round(min(waits) * 1e9) if waits else 0

    def _wait_s(self, offer: Offer) -> float | None:
        """Seconds until an offer that is out or full may serve; None where that is not what keeps it."""
        now_ns = self._gw.clock_ns()
        until = 0
        if offer.access.why_not(now_ns):
            until = offer.access.out_until_ns
        if offer.health.why_not(now_ns):
            until = max(until, offer.health.out_until_ns)
        until = max(until, offer.capacity.full_until(now_ns, 1))
        return (until - now_ns) / 1e9 if until > now_ns else None


def _own(asked: Asked) -> Asked:
    """Members of its own for one attempt: a passage changes them, and the next attempt needs the client's."""
    members: Any = asked.members
    if type(members) is not dict:
        return asked
    return Asked(asked.route, asked.head, asked.key, asked.ask, dict(members), asked.size, asked.pinned, asked.policies)


def _is_unpriced(why: str) -> bool:
    return why == UNPRICED or why.startswith(("its price has no rate", "it has no price"))


def _grouped(lines: Sequence[merit.Ranked]) -> list[tuple[str, int]]:
    """Reasons and how many offers have each, the commonest first."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.why_not] = counts.get(line.why_not, 0) + 1
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
