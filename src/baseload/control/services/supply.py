"""Supply as it stands now: for each model its offers by price, with the capacity that is declared. Reads the snapshot.

In:     the snapshot that gateways work from, an instant. Out: offers by what a million tokens cost, the cheapest first.
"""

from __future__ import annotations

from typing import NamedTuple

from baseload.gateway.snapshot import OfferRow, Snapshot
from baseload.money.price import PriceRow
from baseload.money.rate import Unpriced, rate_nano

MIX = {"input": 750_000, "output": 250_000}  # a million tokens, three in for one out


class Place(NamedTuple):
    """One offer. nano: of a million tokens at MIX, None = no price; minute: its capacity in tokens, 0 = not said."""

    offer: str
    provider: str
    nano: int | None
    currency: str
    minute: int
    region: str
    why: str


def order(snapshot: Snapshot, model: str, now_ns: int) -> list[Place]:
    """By price, the cheapest first; those without a price last, for they serve no call."""
    prices = {price.id: price for price in snapshot.prices}
    providers = {provider.id: provider for provider in snapshot.providers}
    found = []
    for offer in snapshot.offers:
        if offer.model != model:
            continue
        provider = providers[offer.provider]
        price = _in_force(offer, prices, now_ns)
        nano, why = _cost(price, now_ns)
        found.append(Place(
            offer.name, provider.name, nano, price.currency if price else "", offer.limits.tokens_per_minute,
            offer.region or provider.region, why,
        ))  # fmt: skip
    return sorted(found, key=lambda place: (place.nano is None, place.nano or 0, place.offer))


def _in_force(offer: OfferRow, prices: dict[int, PriceRow], now_ns: int) -> PriceRow | None:
    for number in offer.cost_prices:
        row = prices.get(number)
        if row is not None and row.in_force(now_ns):
            return row
    return None


def _cost(price: PriceRow | None, now_ns: int) -> tuple[int | None, str]:
    if price is None:
        return None, "no price in force"
    try:
        return rate_nano(price, MIX, {}, now_ns), ""
    except Unpriced as refused:
        return None, str(refused)
