"""The dumb second model: a dict of integers that reads entries in order and knows no database, batch or crash."""

from __future__ import annotations

import random
from collections.abc import Iterable

from baseload.gateway.journal.entries import AnyEntry, Hold, Reading, Refused
from tests.ledger import support as s

RATES = {s.USD_PRICE: ("USD", 1000, 3000), s.CNY_PRICE: ("CNY", 1000, 3000), s.OWN_PRICE: ("USD", 0, 0)}
PROVIDER = {s.USD_OFFER: 1, s.CNY_OFFER: 1, s.OWN_OFFER: 2}


def books(entries: Iterable[AnyEntry]) -> tuple[dict[str, int], dict[str, int]]:
    """Balances by ledger account (zeros left out) and counts, as settlement must leave them."""
    accounts: dict[str, int] = {}
    counts = {"settled": 0, "no_usage": 0, "unmetered": 0, "unpriced": 0, "refusals": 0, "open_holds": 0}
    done: set[tuple[str, int]] = set()
    holds: set[tuple[str, int]] = set()

    def add(code: str, nano: int) -> None:
        accounts[code] = accounts.get(code, 0) + nano

    for entry in entries:
        if isinstance(entry, Hold) and (entry.call, entry.attempt) not in done:
            holds.add((entry.call, entry.attempt))
        elif isinstance(entry, Refused):
            counts["refusals"] += 1
        elif isinstance(entry, Reading):
            key = (entry.call, entry.attempt)
            holds.discard(key)
            if key in done:
                continue
            done.add(key)
            if not entry.meters:
                counts["no_usage" if entry.outcome == "upstream_error" else "unmetered"] += 1
                continue
            if "cache_read" in entry.meters and entry.cost_price != s.USD_PRICE:  # the others have no rate for it
                counts["unpriced"] += 1
                continue
            counts["settled"] += 1
            currency, per_input, per_output = RATES[entry.cost_price]
            read, output = entry.meters["input_uncached"], entry.meters["output_total"]
            cached = entry.meters.get("cache_read", 0) * per_input // 10
            cost = read * per_input + cached + output * per_output
            given = output if entry.delivered_output < 0 else min(output, entry.delivered_output)
            basis = read * per_input + cached + given * per_output
            charge, charged_in = round(basis * 1.1), currency
            if entry.charge_price:
                charge, charged_in = 2 * (read + entry.meters.get("cache_read", 0)) * 1000 + given * 6000, "EUR"
            if entry.outcome == "upstream_error":
                charge, charged_in = 0, currency
            provider = PROVIDER[entry.offer]
            add(f"cost:{provider}:{currency}", cost)
            add(f"payable:{provider}:{currency}", -cost)
            add(f"receivable:{entry.account}:{charged_in}", charge)
            add(f"revenue:{provider}:{charged_in}", -charge)
    counts["open_holds"] = len(holds)
    return {code: nano for code, nano in accounts.items() if nano}, counts


def traffic(dice: random.Random, calls: int) -> list[AnyEntry]:
    """Entries as gateways write them, in an order they could be written in; some attempts are said twice."""
    entries: list[AnyEntry] = []
    running: list[Hold] = []

    def end(opened: Hold) -> Reading:
        kind = dice.randrange(10)
        common = {"account": opened.account, "offer": opened.offer, "cost_price": opened.cost_price,
                  "charge_price": opened.charge_price, "accepted_ns": opened.accepted_ns}  # fmt: skip
        if kind == 0:
            return s.unknown_usage(opened.call, opened.attempt, outcome="upstream_error", **common)
        if kind == 1:
            return s.unknown_usage(opened.call, opened.attempt, outcome="lost", **common)
        sizes = {"input": dice.randrange(500) * 10, "output": dice.randrange(50) * 10}
        if kind == 2:
            meters = {"input_uncached": sizes["input"], "cache_read": 100, "output_total": sizes["output"]}
            return s.reading(opened.call, opened.attempt, meters=meters, **common)
        if kind == 3:
            common["outcome"] = "upstream_error"
        if kind == 4:
            common |= {"outcome": "client_left", "delivered_output": dice.randrange(50) * 10}
        return s.reading(opened.call, opened.attempt, **sizes, **common)

    for number in range(calls):
        offer = dice.choice([s.USD_OFFER, s.CNY_OFFER, s.OWN_OFFER])
        account = dice.choice([s.ACME, s.ZENITH])
        charge_price = s.ZENITH_PRICE if account == s.ZENITH else 0
        opened = s.hold(f"c{number:05d}", offer=offer, cost_price=offer, account=account, charge_price=charge_price,
                        accepted_ns=s.T0 + number * s.SECOND)  # fmt: skip
        entries.append(opened)
        running.append(opened)
        while running and dice.random() < 0.6:
            ended = end(running.pop(dice.randrange(len(running))))
            entries.append(ended)
            if dice.random() < 0.1:
                entries.append(ended)
        if dice.random() < 0.1:
            entries.append(s.refused(f"r{number:05d}"))
    return entries


def found(engine) -> tuple[dict[str, int], dict[str, int]]:
    """The same two things, from the database."""
    counts = {"settled": 0, "no_usage": 0, "unmetered": 0, "unpriced": 0}
    for (state,) in s.table(engine, "readings", "state"):
        counts[state] += 1
    counts["refusals"] = len(s.table(engine, "refusals", "id"))
    counts["open_holds"] = len(s.table(engine, "open_holds", "call, attempt"))
    return s.balances(engine), counts
