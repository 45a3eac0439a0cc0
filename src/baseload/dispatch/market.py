"""The offers of one model at one endpoint, kept so that a call's decision is one pass over integers.

In:     candidates, what a call wants (`Wanted`).
Out:    `Decision`: the winner, every candidate's expected cost, and why the others were not eligible.

Which offers fit a policy and what they charge is listed once and used until a price may change: the next minute where
a price has hours, else the next dated row. What changes from call to call (health, capacity, lengths, cache) is looked
at in the pass. The order is that of `merit.py`, which says it at length; a test holds the two equal.

Rank: offers without a reservation before those with one (an engine with a queue, slower than asked, a smaller output
limit), then the objective, then the lower id, then fewer attempts in flight, then the earlier credential. Owned base
load that has a free place costs next to nothing more: it ranks at a millionth of its price, and is charged in full.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from baseload.dispatch.capacity import Capacity
from baseload.dispatch.cost import MILLION
from baseload.dispatch.health import CredentialHealth, OfferHealth
from baseload.dispatch.rates import MINUTE_NS, RowRates
from baseload.dispatch.rules import Bound, OfferFacts
from baseload.dispatch.seen import LINES_MAX, names

FOREVER = 1 << 63
UNPRICED = "no price is in force"
TRIED = "it was tried"
BELOW_COST = "its cost is above what the account pays"
BASE = 1_000_000  # how much less owned base load with a free place weighs


class Candidate(Protocol):
    """One offer with one credential, as dispatch sees it."""

    @property
    def id(self) -> int: ...
    @property
    def credential(self) -> int: ...
    @property
    def facts(self) -> OfferFacts: ...
    @property
    def health(self) -> OfferHealth: ...
    @property
    def access(self) -> CredentialHealth: ...
    @property
    def capacity(self) -> Capacity: ...
    @property
    def exchange(self) -> tuple[int, int]: ...
    @property
    def changes(self) -> tuple[int, ...]:
        """Instants at which a price begins or ends."""

    def why_not(self, endpoint: str) -> str:
        """Why it cannot serve the endpoint at all, "" if it can."""

    def price_at(self, at_ns: int) -> RowRates | None: ...
    def expected_units(self, at_ns: int, units: dict[str, int], input_tokens: int) -> int | None:
        """Nano-units of the comparison currency for images, characters, ...; None = not priced."""


C = TypeVar("C", bound=Candidate)


class Wanted:
    """What one call wants of a market."""

    __slots__ = (
        "at_ns", "bound", "cached", "least_output", "needs", "now_ns", "only", "output_tokens", "size", "thinking",
        "tried", "units", "write",
    )  # fmt: skip

    def __init__(
        self, at_ns: int, bound: Bound, size: int, output_tokens: int, *, needs: frozenset[str] = frozenset(),
        least_output: int = 0, thinking: bool = False, write: str = "", units: dict[str, int] | None = None,
    ) -> None:  # fmt: skip
        self.at_ns = at_ns  # the request's arrival: prices are those of this instant
        self.now_ns = at_ns  # for health and capacity
        self.bound = bound
        self.size = size  # bytes of the request
        self.output_tokens = output_tokens  # expected
        self.needs = needs
        self.least_output = least_output  # asked limit, 0 = none: what must be possible
        self.thinking = thinking
        self.write = write  # meter of the cache write it asks for
        self.units = units
        self.cached: Mapping[tuple[int, int], int] | None = None  # (offer, credential) -> tokens expected in its cache
        self.tried: Collection[tuple[int, int]] = ()
        self.only: Collection[int] | None = None  # offer ids that can serve at all (a stored reply, many choices)


class Row(Generic[C]):
    """A fit candidate with the quote in force for the lengths that come."""

    __slots__ = (
        "access", "capacity", "checked", "context", "health", "hi", "inp", "key", "lo", "offer", "out", "output_max",
        "price", "quick", "read", "swap",
    )  # fmt: skip

    def __init__(self, offer: C, price: RowRates) -> None:
        self.offer = offer
        self.price = price
        self.key = (offer.id, offer.credential)
        self.health = offer.health
        self.access = offer.access
        self.capacity = offer.capacity
        self.swap = offer.exchange if offer.exchange[0] != offer.exchange[1] else None
        facts = offer.facts
        self.context = facts.context_max or FOREVER
        self.output_max = facts.output_max or FOREVER
        self.inp = self.read = self.out = -1
        self.lo = self.hi = -1  # input lengths that the quote is for: lo < length <= hi
        self.quick = False  # its quote is plain and nothing about it differs from call to call but lengths
        # What needs a second look at every call; others need none. Whoever sets new limits calls `Market.refresh`.
        limited = self.capacity.offer.limited or self.capacity.credential.limited
        self.checked = facts.supply == "base" or limited

    def quote(self, wanted: Wanted, tokens: int) -> None:
        price = self.price
        found = price.quote(wanted.at_ns, tokens, wanted.output_tokens, wanted.thinking, wanted.write)
        band = bisect_left(price.edges, tokens)
        self.lo = price.edges[band - 1] if band else -1
        # Beyond its context it is looked at in full, every time: it will be excluded.
        self.hi = min(price.edges[band] if band < len(price.edges) else FOREVER, self.context - 1)
        if price.out_edges:
            self.hi = -1  # the output's band may differ next time
        if found is None:
            self.inp = -1
        else:
            self.inp = found.cache_write if wanted.write else found.input
            self.read = found.cache_read if found.cache_read >= 0 else self.inp
            self.out = max(found.output, 0)
        self.quick = self.inp >= 0 and self.swap is None and not self.checked

    def charged(self, wanted: Wanted, tokens: int, cached: int) -> int:
        """Nano-units x 1,000,000 of the comparison currency by the quote; -1 = not priced."""
        if wanted.units:
            found = self.offer.expected_units(wanted.at_ns, wanted.units, tokens)
            return -1 if found is None else found * MILLION
        if not self.lo < tokens <= self.hi:
            self.quote(wanted, tokens)
        if self.inp < 0:
            return -1
        cached = min(cached, tokens)
        cost = self.inp * (tokens - cached) + self.read * cached + self.out * wanted.output_tokens
        return cost * self.swap[0] // self.swap[1] if self.swap else cost


class Listing(Generic[C]):
    __slots__ = ("excluded", "excluded_names", "from_ns", "names", "rows", "until_ns")

    def __init__(self, rows: list[Row[C]], excluded: list[tuple[C, str]], from_ns: int, until_ns: int) -> None:
        self.rows = rows
        self.excluded = excluded
        self.from_ns = from_ns
        self.until_ns = until_ns
        self.names = names([row.key for row in rows])
        self.excluded_names = names([(offer.id, offer.credential, why) for offer, why in excluded[:LINES_MAX]])


class Decision(Generic[C]):
    """What was chosen and what it was chosen from. `costs` and the listing's rows go together; -1 = see `whys`."""

    __slots__ = ("cached", "costs", "expected", "listing", "offer", "place", "rank", "row", "tokens", "wanted", "whys")

    def __init__(
        self, wanted: Wanted, row: Row[C] | None, rank: tuple[int, int], listing: Listing[C], costs: list[int],
        whys: dict[int, str],
    ) -> None:  # fmt: skip
        self.wanted = wanted
        self.row = row
        self.offer: C | None = None
        self.rank = rank  # (reservation, score): smaller is better; compares decisions of several markets
        self.listing = listing
        self.costs = costs
        self.whys = whys
        self.tokens = self.cached = 0
        self.place = -1  # the winner's among the costs; -1 = none
        self.expected = -1  # nano-units x 1,000,000 of the price row's own currency; -1 = not by tokens
        if row is not None:
            self.offer = row.offer
            self.place = listing.rows.index(row)
            self.tokens = tokens = wanted.size * 1000 // row.health.milli + 1
            if wanted.cached:
                self.cached = min(wanted.cached.get(row.key, 0), tokens)
            if not wanted.units:
                cached = self.cached
                self.expected = row.inp * (tokens - cached) + row.read * cached + row.out * wanted.output_tokens

    @property
    def cost(self) -> int:
        """Nano-units x 1,000,000 of the comparison currency; -1 = nothing was chosen."""
        return self.costs[self.place] if self.row is not None else -1


def tokens_of(wanted: Wanted, offer: Candidate) -> int:
    """Expected input tokens at an offer, by its own measured bytes a token."""
    return wanted.size * 1000 // offer.health.milli + 1


class Market(Generic[C]):
    __slots__ = ("_changes", "_endpoint", "_listings", "offers")
    _LISTINGS_MAX = 512

    def __init__(self, offers: Sequence[C], endpoint: str) -> None:
        self.offers = sorted(offers, key=lambda offer: (offer.id, offer.credential))
        self._endpoint = endpoint
        self._changes = sorted({change for offer in offers for change in offer.changes})
        self._listings: dict[tuple[Bound, frozenset[str], bool, str], Listing[C]] = {}

    def refresh(self) -> None:
        """Everything is listed anew: an offer has got other limits."""
        self._listings.clear()

    def listing(self, wanted: Wanted) -> Listing[C]:
        """Who fits, with the quotes in force. Kept while nothing in it can change."""
        key = (wanted.bound, wanted.needs, wanted.thinking, wanted.write)
        found = self._listings.get(key)
        at_ns = wanted.at_ns
        if found is not None and found.from_ns <= at_ns < found.until_ns:
            return found
        if len(self._listings) >= self._LISTINGS_MAX:
            self._listings.clear()
        found = self._listings[key] = self._list(wanted)
        return found

    def _list(self, wanted: Wanted) -> Listing[C]:
        rows: list[Row[C]] = []
        excluded: list[tuple[C, str]] = []
        at_ns, steady = wanted.at_ns, True
        for offer in self.offers:
            price = offer.price_at(at_ns)
            why = offer.why_not(self._endpoint)
            if not why and price is not None:
                why = wanted.bound.unfit(offer.facts, wanted.needs, price.consent)
            if why or price is None:
                excluded.append((offer, why or UNPRICED))
                continue
            steady = steady and price.steady
            rows.append(Row(offer, price))
        later = bisect_left(self._changes, at_ns + 1)
        since = self._changes[later - 1] if later else 0
        until = self._changes[later] if later < len(self._changes) else FOREVER
        if not steady:
            minute = at_ns - at_ns % MINUTE_NS
            since, until = max(since, minute), min(until, minute + MINUTE_NS)
        return Listing(rows, excluded, since, until)

    def decide(self, wanted: Wanted) -> Decision[C]:
        """The cheapest (fastest, best balanced) eligible offer; `Decision.offer` is None where none is."""
        listing = self.listing(wanted)
        bound = wanted.bound
        if bound.objective != "cheapest" or bound.first_token_ns or bound.tokens_per_s_milli:
            return self._scored(wanted, listing)
        now_ns, size, output = wanted.now_ns, wanted.size * 1000, wanted.output_tokens
        cached, tried, only, least = wanted.cached, wanted.tried, wanted.only, wanted.least_output
        plain = not (wanted.units or cached or tried or only is not None or bound.priced)
        best: Row[C] | None = None
        best_soft, best_rank = 0, 0
        costs: list[int] = []
        whys: dict[int, str] = {}
        for row in listing.rows:
            health = row.health
            tokens = size // health.milli + 1
            if plain and row.quick and row.lo < tokens <= row.hi and least <= row.output_max:
                rank = cost = row.inp * tokens + row.out * output
                soft = 0
            else:
                cost = row.charged(wanted, tokens, cached.get(row.key, 0) if cached else 0)
                soft, rank, why = judged(row, wanted, tokens, cost)
                if why:
                    whys[len(costs)] = why
                    costs.append(-1)
                    continue
            if health.gate_ns > now_ns:
                why = row.access.why_not(now_ns) or row.health.why_not(now_ns)
                if why:
                    whys[len(costs)] = why
                    costs.append(-1)
                    continue
            costs.append(cost)
            if best is not None:
                if (rank > best_rank and soft >= best_soft) or soft > best_soft:
                    continue
                if soft == best_soft and rank == best_rank and not _sooner(row, best):
                    continue
            best, best_soft, best_rank = row, soft, rank
        if best is None and whys:
            best, best_rank = self._last_resort(wanted, listing, costs, whys)
            best_soft = LAST_RESORT
        return Decision(wanted, best, (best_soft, best_rank), listing, costs, whys)

    def _scored(self, wanted: Wanted, listing: Listing[C]) -> Decision[C]:
        """By speed, or by speed and cost: needs all candidates before it can weigh one."""
        now_ns, bound = wanted.now_ns, wanted.bound
        costs: list[int] = []
        whys: dict[int, str] = {}
        able: list[tuple[int, int, Row[C]]] = []  # reservation, cost (its rank where only cost counts), row
        cheapest = bound.objective == "cheapest"
        for row in listing.rows:
            tokens = tokens_of(wanted, row.offer)
            cost = row.charged(wanted, tokens, wanted.cached.get(row.key, 0) if wanted.cached else 0)
            soft, rank, why = judged(row, wanted, tokens, cost)
            why = why or row.access.why_not(now_ns) or row.health.why_not(now_ns)
            if why:
                whys[len(costs)] = why
                costs.append(-1)
                continue
            costs.append(cost)
            able.append((soft + slower(row.health, bound), rank if cheapest else cost, row))
        best: Row[C] | None = None
        best_key: tuple[int, int] = (0, 0)
        for (soft, _, row), score in zip(able, scores(able, wanted), strict=True):
            key = (soft, score)
            if best is None or key < best_key or (key == best_key and _sooner(row, best)):
                best, best_key = row, key
        if best is None and whys:
            best, rank = self._last_resort(wanted, listing, costs, whys)
            best_key = (LAST_RESORT, rank)
        return Decision(wanted, best, best_key, listing, costs, whys)

    def _last_resort(
        self, wanted: Wanted, listing: Listing[C], costs: list[int], whys: dict[int, str]
    ) -> tuple[Row[C] | None, int]:
        """Of those that are out of service only by our own judgement, the cheapest: better asked than refused."""
        best: Row[C] | None = None
        best_cost = best_at = 0
        now_ns = wanted.now_ns
        for at in whys:
            row = listing.rows[at]
            tokens = tokens_of(wanted, row.offer)
            cost = row.charged(wanted, tokens, 0)
            if judged(row, wanted, tokens, cost)[2] or not (row.access.why_not(now_ns) or row.health.why_not(now_ns)):
                continue
            if not (row.access.last_resort(now_ns) and row.health.last_resort(now_ns)):
                continue
            if best is None or cost < best_cost:
                best, best_cost, best_at = row, cost, at
        if best is not None:
            costs[best_at] = best_cost
            del whys[best_at]
        return best, best_cost


LAST_RESORT = 100


def judged(row: Row[C], wanted: Wanted, tokens: int, cost: int) -> tuple[int, int, str]:
    """(reservation, rank, why it is not eligible) by what differs from call to call."""
    if wanted.only is not None and row.offer.id not in wanted.only:
        return 0, 0, "it does not hold what this request goes on from, or gives fewer choices"
    if row.key in wanted.tried:
        said = wanted.tried[row.key] if isinstance(wanted.tried, dict) else TRIED
        return 0, 0, said if said == BELOW_COST else TRIED
    if cost < 0:
        return 0, 0, f"it has no price for {tokens} input tokens"
    bound, now_ns = wanted.bound, wanted.now_ns
    if bound.priced:
        if cost > bound.max_cost:
            return 0, 0, "its expected cost is above max_cost"
        if not wanted.units and (_in(row, row.inp) > bound.max_in or _in(row, row.out) > bound.max_out):
            return 0, 0, "its price is above max_price"
    rank = cost
    if tokens >= row.context:
        return 0, 0, f"the request has about {tokens} tokens, its context holds {row.context}"
    soft = 1 if wanted.least_output > row.output_max else 0
    if row.checked:
        capacity = row.capacity
        why = capacity.why_not(now_ns, tokens + wanted.output_tokens)
        if row.offer.facts.supply != "base":
            return soft, rank, why
        # Owned base load queues what it cannot serve at once: it comes after the rest then, but it is there.
        if capacity.busy(now_ns) or (why and capacity.crowded()):
            soft = 1
        elif why:
            return 0, 0, why
        else:
            rank = cost // BASE
    return soft, rank, ""


def _in(row: Row[C], rate: int) -> int:
    return rate * row.swap[0] // row.swap[1] if row.swap else rate


def _sooner(row: Row[C], other: Row[C]) -> bool:
    """Of two that are equal: the lower id, then the one with less to do, then the earlier credential."""
    a, b = row.offer, other.offer
    return (a.id, row.health.in_flight, a.credential) < (b.id, other.health.in_flight, b.credential)


def slower(health: OfferHealth, bound: Bound) -> int:
    """1 = known to be slower than the policy asks."""
    late = bound.first_token_ns and health.first_token_ns > bound.first_token_ns
    speed = health.tokens_per_s_milli
    return 1 if late or (bound.tokens_per_s_milli and 0 < speed < bound.tokens_per_s_milli) else 0


def scores(able: Sequence[tuple[int, int, Row[C]]], wanted: Wanted) -> list[int]:
    """What `objective` makes small. An offer whose speed nobody knows is taken for one in the middle of the known."""
    objective = wanted.bound.objective
    costs = [cost for _, cost, _ in able]
    if objective == "cheapest" or not able:
        return costs
    first = _filled([row.health.first_token_ns for _, _, row in able])
    pace = _filled(
        [
            1_000_000_000_000 // max(row.health.tokens_per_s_milli, 1) if row.health.tokens_per_s_milli else 0
            for _, _, row in able
        ]
    )  # nanoseconds a token
    if objective == "fastest":
        return [wait + each * wanted.output_tokens for wait, each in zip(first, pace, strict=True)]
    weights = wanted.bound.weights
    parts = ((weights.cost, costs), (weights.first_token, first), (weights.speed, pace))
    found = [0] * len(able)
    for weight, values in parts:
        least = max(min(values), 1)
        found = [total + weight * 1000 * value // least for total, value in zip(found, values, strict=True)]
    return found


def _filled(values: list[int]) -> list[int]:
    known = sorted(value for value in values if value)
    middle = known[len(known) // 2] if known else 0
    return [value or middle for value in values]
