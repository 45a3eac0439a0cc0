"""Price rows in use, and offers that have none."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import select

from baseload import store
from baseload.control.context import Context
from baseload.control.endpoints import half_priced
from baseload.control.services.offers import list_offers
from baseload.control.services.times import iso
from baseload.ledger.prices import load_prices
from baseload.store import tables as t

SOON_NS = 7 * 86_400 * 10**9


def show(context: Context, model: str | None = None) -> list[dict[str, Any]]:
    """The rows that offers and tariffs point to, with who uses them."""
    used: dict[int, list[str]] = {}
    with store.reading(context.engine) as connection:
        for row in connection.execute(select(t.offers.c.name, t.offers.c.model, t.offers.c.prices)):
            for number in row.prices if not model or row.model == model else ():
                used.setdefault(number, []).append(row.name)
        for tariff in connection.execute(select(t.tariffs.c.name, t.tariffs.c.prices)):
            for name, numbers in tariff.prices.items():
                for number in numbers if not model or name == model else ():
                    used.setdefault(number, []).append(f"tariff {tariff.name}")
        rows = load_prices(connection, used)
    return [
        {
            "id": number,
            "used_by": sorted(used[number]),
            "book": row.book,
            "model": row.model,
            "scope": row.scope,
            "currency": row.currency,
            "from": iso(row.from_ns),
            "to": iso(row.to_ns),
            "rate": row.rate,
            "rules": len(row.rules),
            "source": row.source,
            "read": row.read,
            "confidence": row.confidence,
        }
        for number, row in sorted(rows.items())
    ]


def check(context: Context) -> list[dict[str, Any]]:
    """Offers and tariffs by which calls are refused for want of a price, now or within a week."""
    findings = []
    with store.reading(context.engine) as connection:
        ids = {row.name: row.prices for row in connection.execute(select(t.offers.c.name, t.offers.c.prices))}
        tariffs = {row.name: row.prices for row in connection.execute(select(t.tariffs.c.name, t.tariffs.c.prices))}
        named = [*ids.values(), *(numbers for models in tariffs.values() for numbers in models.values())]
        rows = load_prices(connection, [number for numbers in named for number in numbers])
    now = time.time_ns()
    offers = list_offers(context)
    for offer in offers:
        if offer["disabled"]:
            continue
        own = [rows[number] for number in ids.get(offer["name"], ()) if number in rows]
        fix = f"Give {offer['name']} a price in baseload.toml."
        if not offer["declared"] and not own:
            words = f"{offer['model']} {offer['provider']}"
            fix = f"baseload offers add {words} --price-input 0.05 --price-output 0.20 (your own figures)"
        if not any(row.in_force(now) for row in own):
            say = f"No price is in force for {offer['upstream_model']} at {offer['provider']}: its calls are refused."
            findings.append({"offer": offer["name"], "code": "unpriced", "say": say, "fix": fix})
        elif half := half_priced(offer["endpoints"], [row for row in own if row.in_force(now)]):
            say = f"The price of {offer['name']} has no rate for {half}: calls that generate are refused."
            fix = f'Add {half} = "..." to its price in baseload.toml ("0" where it is free).'
            findings.append({"offer": offer["name"], "code": "unpriced", "say": say, "fix": fix})
        elif not any(row.in_force(now + SOON_NS) for row in own):
            ends = max(row.to_ns for row in own if row.in_force(now))
            say = f"The price ends at {iso(ends)} and none follows."
            findings.append({"offer": offer["name"], "code": "price_ends", "say": say, "fix": fix})
    doors: dict[str, set[str]] = {}
    for offer in offers:
        if not offer["disabled"]:
            doors.setdefault(offer["model"], set()).update(offer["endpoints"])
    for tariff, models in tariffs.items():
        for model, numbers in models.items():
            if model not in doors:  # nobody can call it
                continue
            own = [rows[number] for number in numbers if number in rows and rows[number].in_force(now)]
            half = half_priced(doors[model], own)
            if own and not half:
                continue
            lack = f"no rate for {half}" if half else "no price in force"
            say = f"Tariff {tariff} has {lack} for {model}: calls of its accounts are refused."
            fix = f"Complete [tariffs.prices] of {model} in baseload.toml, or leave it out for cost plus margin."
            findings.append({"offer": f"tariff {tariff}", "code": "unpriced", "say": say, "fix": fix})
    return findings
