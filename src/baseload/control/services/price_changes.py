"""What has changed in the price books, and what will: row by row, meter by meter, with the effect on the last month.

In:     the price rows of offers, and those that came before or follow; usage of 30 days.
Out:    changes, the newest first. The effect is what the same tokens would have cost more (or less) at the flat rates
        of the new row; conditional rules are not in it, and it says where there are some.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from sqlalchemy import select

from baseload import store
from baseload.control.context import Context
from baseload.control.services.times import iso
from baseload.ledger.prices import load_prices
from baseload.ledger.rollups import DAY_NS
from baseload.ledger.usage import UsageRow, usage
from baseload.money.amount import round_half_even
from baseload.money.price import PriceRow
from baseload.store import tables as t

DAYS = 30
METERS = ("input", "cache_read", "output")  # of the roll-ups; writes to caches are one sum there, of all lifetimes
Json = dict[str, Any]


def changes(context: Context) -> list[Json]:
    """Of every price that an offer uses: the row before it, and the one to come."""
    now_ns = time.time_ns()
    with store.reading(context.engine) as connection:
        offers = connection.execute(select(t.offers.c.id, t.offers.c.name, t.offers.c.prices)).all()
        used = load_prices(connection, [number for offer in offers for number in offer.prices])
        books = {row.book for row in used.values()}
        table = t.price_rows.c
        ids = connection.execute(select(table.id).where(table.book.in_(books))).scalars().all() if books else []
        every = load_prices(connection, ids)
    rows = {row.ids["offer"]: row for row in usage(context.engine, now_ns - DAYS * DAY_NS, now_ns, by=("offer",)).rows}
    found = []
    for offer in offers:
        for before, after, at_ns, state in pairs(
            [used[one] for one in offer.prices if one in used], every.values(), now_ns
        ):
            lines = list(differences(before, after))
            if lines:
                found.append({
                    "offer": offer.name, "state": state, "book": after.book, "model": after.model,
                    "currency": after.currency, "from": iso(at_ns) if at_ns else "", "before": before.id,
                    "after": after.id, "lines": lines, "rules": len(after.rules) + len(before.rules),
                    "effect_nano": effect(before, after, rows.get(offer.id)), "source": after.source,
                })  # fmt: skip
    return sorted(found, key=lambda one: (one["state"] != "coming", -one["after"], one["offer"]))


def pairs(
    used: list[PriceRow], every: Iterable[PriceRow], now_ns: int
) -> Iterator[tuple[PriceRow, PriceRow, int, str]]:
    """(before, after, from when, "changed" | "coming"). Pure.

    Rows that follow each other in time are coming, or have come; a row that another has replaced while both say the
    same time was changed by hand or by a new catalogue.
    """
    ordered = sorted(used, key=lambda row: row.from_ns)
    for before, after in itertools.pairwise(ordered):
        yield before, after, after.from_ns, "coming" if after.from_ns > now_ns else "changed"
    for row in ordered[:1]:
        same = (row.book, row.vendor, row.model, row.scope, row.currency)
        older = [
            one for one in every
            if one.id < row.id and (one.book, one.vendor, one.model, one.scope, one.currency) == same
            and one.from_ns <= row.from_ns and one.kind == row.kind
        ]  # fmt: skip
        if older:
            yield max(older, key=lambda one: one.id), row, row.from_ns, "changed"


def differences(before: PriceRow, after: PriceRow) -> Iterator[Json]:
    """Meter by meter; `percent` is None where there was no rate, or none is left. Pure."""
    for meter in sorted({*before.rate, *after.rate}):
        old, new = before.rate.get(meter), after.rate.get(meter)
        if old == new:
            continue
        share = None
        if old is not None and new is not None and Fraction(old):
            share = float(round(100 * (Fraction(new) - Fraction(old)) / Fraction(old), 1))
        yield {"meter": meter, "before": old or "", "after": new or "", "percent": share}


def effect(before: PriceRow, after: PriceRow, row: UsageRow | None) -> int | None:
    """Nano-units of the price's currency that the usage would have cost more; None = nothing was used. Pure."""
    if row is None:
        return None
    more = Fraction(0)
    for meter in METERS:
        count = getattr(row, meter)
        more += count * (Fraction(after.rate.get(meter, "0")) - Fraction(before.rate.get(meter, "0")))
    return round_half_even(more * 1000)  # rates are for a million tokens
