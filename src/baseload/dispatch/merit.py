"""The merit order at length, for people: every candidate, what it would cost by part, and why it is not eligible.

In:     a market and what a call wants of it; the same as `Market.decide`, which is the fast form of this.
Out:    `Ranked` lines: the eligible ones in the order they would be asked, those of the last resort, then the others.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from baseload.dispatch.cost import Parts, compared, parts
from baseload.dispatch.market import Candidate, Decision, Market, Row, Wanted, judged, scores, slower, tokens_of
from baseload.dispatch.rules import BIG
from baseload.dispatch.seen import LINES_MAX, Seen

C = TypeVar("C", bound=Candidate)
MILLION = 1_000_000


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the merit order. Amounts: nano-units x 1,000,000; `expected` in the comparison currency."""

    offer: int
    name: str
    credential: int
    provider: str
    vendor: str
    rank: int  # from 1; 0 = not eligible
    expected: int  # -1 = no price
    currency: str = ""  # of `parts`
    parts: Parts | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    why_not: str = ""
    reservation: str = ""  # why it comes after others although it is eligible
    quality: int = 0
    certificate: str = ""
    first_token_ms: int = 0
    tokens_per_s: int = 0
    in_flight: int = 0


def order(market: Market[C], wanted: Wanted) -> list[Ranked]:
    """Every candidate of a market."""
    listing = market.listing(wanted)
    able: list[tuple[int, int, Row[C]]] = []
    cheapest = wanted.bound.objective == "cheapest"
    resort: list[tuple[int, Row[C], str]] = []
    lines: list[Ranked] = []
    costs: dict[tuple[int, int], int] = {}
    now_ns = wanted.now_ns
    for row in listing.rows:
        tokens = tokens_of(wanted, row.offer)
        cost = row.charged(wanted, tokens, _cached(wanted, row))
        soft, rank, why = judged(row, wanted, tokens, cost)
        out = row.access.why_not(now_ns) or row.health.why_not(now_ns)
        if why:
            lines.append(_line(row, wanted, 0, cost, why))
        elif out and row.access.last_resort(now_ns) and row.health.last_resort(now_ns):
            resort.append((cost, row, out))
        elif out:
            lines.append(_line(row, wanted, 0, cost, out))
        else:
            costs[row.key] = cost
            able.append((soft + slower(row.health, wanted.bound), rank if cheapest else cost, row))
    scored = [
        (soft, score, row.offer.id, row.health.in_flight, row.offer.credential, row, costs[row.key])
        for (soft, _, row), score in zip(able, scores(able, wanted), strict=True)
    ]
    scored.sort(key=lambda entry: entry[:5])
    first = [
        _line(
            row,
            wanted,
            place,
            cost,
            "",
            "has work waiting, is slower than asked or has a smaller output limit" if soft else "",
        )
        for place, (soft, _, _, _, _, row, cost) in enumerate(scored, 1)
    ]
    resort.sort(key=lambda entry: (entry[0], entry[1].key))
    last = [
        _line(row, wanted, place, cost, "", f"only when nothing else can serve: {out}")
        for place, (cost, row, out) in enumerate(resort, len(first) + 1)
    ]
    others = [_named(offer, 0, -1, why) for offer, why in listing.excluded]
    return first + last + lines + others


def _cached(wanted: Wanted, row: Row[C]) -> int:
    return wanted.cached.get(row.key, 0) if wanted.cached else 0


def _named(offer: Candidate, rank: int, expected: int, why: str) -> Ranked:
    facts = offer.facts
    return Ranked(
        offer=offer.id, name=facts.name, credential=offer.credential, provider=facts.provider, vendor=facts.vendor,
        rank=rank, expected=expected, why_not=why,
    )  # fmt: skip


def _line(row: Row[C], wanted: Wanted, rank: int, cost: int, why: str, reservation: str = "") -> Ranked:
    offer, facts, health = row.offer, row.offer.facts, row.health
    tokens = tokens_of(wanted, offer)
    found, cached = None, 0
    price = offer.price_at(wanted.at_ns)
    if price is not None and not wanted.units:
        quote = price.quote(wanted.at_ns, tokens, wanted.output_tokens, wanted.thinking, wanted.write)
        if quote is not None:
            cached = min(_cached(wanted, row), tokens) if quote.cache_read >= 0 else 0
            found = parts(quote, tokens, cached, wanted.output_tokens, writes=bool(wanted.write))
    work = wanted.bound.work
    return Ranked(
        offer=offer.id, name=facts.name, credential=offer.credential, provider=facts.provider, vendor=facts.vendor,
        rank=rank, expected=cost, currency=price.currency if price is not None else "", parts=found,
        input_tokens=tokens, cached_tokens=cached, output_tokens=wanted.output_tokens, why_not=why,
        reservation=reservation, quality=facts.quality.get(work, facts.quality.get("", 0)),
        certificate=facts.certificates.get(work, facts.certificates.get("", "")),
        first_token_ms=health.first_token_ns // MILLION, tokens_per_s=health.tokens_per_s_milli // 1000,
        in_flight=health.in_flight,
    )  # fmt: skip


def expected_of(line: Ranked, exchange: tuple[int, int]) -> int:
    """`expected` again, from the parts: a check that both ways of computing agree."""
    return compared(line.parts.total, exchange) if line.parts is not None else -1


def seen(decision: Decision[C], currency: str, why: str) -> Seen:
    """What a decision saw, as it is kept with the reading.

    `currency` is the one of the comparison; `why` there was an attempt after the first.
    """
    listing, costs, whys, wanted = decision.listing, decision.costs, decision.whys, decision.wanted
    winner = decision.place
    names: Any = listing.names
    if len(costs) > LINES_MAX:
        weights = [cost if cost >= 0 else BIG for cost in costs]
        if winner >= 0:
            weights[winner] = -1
        kept = sorted(range(len(costs)), key=weights.__getitem__)[:LINES_MAX]
        place = {at: number for number, at in enumerate(kept)}
        costs = [costs[at] for at in kept]
        names = [listing.rows[at].key for at in kept]
        whys = {place[at]: reason for at, reason in whys.items() if at in place}
        winner = 0 if winner >= 0 else -1
    return Seen(
        wanted.bound.objective, currency, decision.tokens, decision.cached, wanted.output_tokens, why, winner, names,
        costs, whys, listing.excluded_names,
    )  # fmt: skip
