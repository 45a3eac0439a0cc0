"""Reports on dispatch: what it expected and what came, what it saved, and what other rules would have cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from baseload import store
from baseload.control.context import Context
from baseload.control.publish import build
from baseload.control.services import times
from baseload.dispatch.policy import Policy
from baseload.dispatch.rates import RowRates
from baseload.dispatch.replay import PastCall, Stand, replay
from baseload.dispatch.rules import Fx, OfferFacts, check_policy
from baseload.errors import Refusal
from baseload.gateway.snapshot import Snapshot
from baseload.ledger import texts
from baseload.ledger.rating import SETTLED
from baseload.ledger.settled import READINGS, account_id, entry_of, rating_of, readings_query, stream
from baseload.wire.usage import price_meters

PAGE_ERROR = 1000  # per mille


def report(
    context: Context, *, account: str = "", since: str = "7d", until: str = "", model: str = ""
) -> dict[str, Any]:
    """Per model: what each offer served, expected against actual cost, and what each single offer would have cost."""
    start, end = times.period_ns(since, until, "", time.time_ns(), default="all")
    models: dict[str, _Model] = {}
    with store.reading(context.engine) as connection:
        snapshot = build(connection)
        stands, fx = _stands(snapshot)
        for call, expected, cost in _calls(connection, stands, fx, account, start, end, model):
            models.setdefault(call.model, _Model()).add(call, expected, cost, stands.get(call.model, []))
    names = {offer.id: offer.name for offer in snapshot.offers}
    return {
        "since": times.iso(start), "until": times.iso(end), "currency": snapshot.fx_base,
        "models": [models[name].shown(name, names, snapshot.fx_base) for name in sorted(models)],
    }  # fmt: skip


def run_replay(
    context: Context,
    *,
    account: str = "",
    since: str = "7d",
    until: str = "",
    policy: Mapping[str, Any] | None = None,
    without: list[str] | None = None,
    factors: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Recorded calls by another policy, without some offers, or at prices times a factor."""
    start, end = times.period_ns(since, until, "", time.time_ns(), default="all")
    try:
        rules = msgspec.convert(policy or {}, Policy)
    except msgspec.ValidationError as error:
        fix = "See docs/dispatch/policies.md."
        raise Refusal(f"policy: {error}.", fix, code="policy_wrong", param="policy") from None
    check_policy(rules)
    with store.reading(context.engine) as connection:
        snapshot = build(connection)
        known, fx = _stands(snapshot)
        changed = _changed(snapshot, known, without or [], factors or {})
        calls = (call for call, _, _ in _calls(connection, known, fx, account, start, end, ""))
        found = replay(calls, changed, [rules], fx)
    base = snapshot.fx_base
    return {
        "since": times.iso(start), "until": times.iso(end), "calls": found.calls, "served": found.served,
        "cost": texts.money(found.cost, base), "paid": texts.money(found.paid, base),
        "saved": texts.money(found.paid - found.cost, base),
        "offers": [
            {"offer": name, "calls": calls_, "cost": texts.money(cost, base)}
            for name, (calls_, cost) in sorted(found.by_offer.items())
        ],
        "hours": [
            {"hour": times.iso(hour), "cost": texts.money(cost, base)} for hour, cost in sorted(found.by_hour.items())
        ],
        "unserved": [{"why": why, "calls": count} for why, count in sorted(found.unserved.items())],
    }  # fmt: skip


class _Model:
    def __init__(self) -> None:
        self.calls = self.paid = self.known = self.expected = self.error = self.actual = 0
        self.offers: dict[int, list[int]] = {}  # offer -> [calls, cost]
        self.alone: dict[
            int, list[int]
        ] = {}  # offer -> [calls it could serve, what they would have cost, what was paid]
        self.output = [0, 0, 0]  # expected, actual, absolute error, in tokens

    def add(self, call: PastCall, expected: tuple[int, tuple[int, ...]], cost: int, stands: list[Stand]) -> None:
        self.calls += 1
        self.paid += call.paid
        line = self.offers.setdefault(call.offer, [0, 0])
        line[0] += 1
        line[1] += call.paid
        nano, tokens = expected
        if nano >= 0:
            self.known += 1
            self.expected += nano
            self.actual += cost
            self.error += abs(nano - cost)
            if len(tokens) == 3:
                came = call.meters.get("output", 0)
                self.output = [
                    self.output[0] + tokens[2], self.output[1] + came, self.output[2] + abs(tokens[2] - came)
                ]  # fmt: skip
        for stand in stands:
            other = stand.cost(call)
            if other is not None:
                alone = self.alone.setdefault(stand.id, [0, 0, 0])
                alone[0] += 1
                alone[1] += other
                alone[2] += call.paid

    def shown(self, name: str, names: dict[int, str], currency: str) -> dict[str, Any]:
        return {
            "model": name, "calls": self.calls, "paid": texts.money(self.paid, currency),
            "forecast": {
                "calls": self.known, "bias_per_mille": _share(self.expected - self.actual, self.actual),
                "error_per_mille": _share(self.error, self.actual),
                "output_error_per_mille": _share(self.output[2], self.output[1]),
            },
            "offers": [
                {"offer": names.get(offer, f"#{offer}"), "calls": calls, "cost": texts.money(cost, currency)}
                for offer, (calls, cost) in sorted(self.offers.items())
            ],
            "alone": [
                {
                    "offer": names.get(offer, f"#{offer}"), "calls": calls, "not_served": self.calls - calls,
                    "cost": texts.money(cost, currency), "saved": texts.money(cost - paid, currency),
                }
                for offer, (calls, cost, paid) in sorted(self.alone.items())
            ],
        }  # fmt: skip


def _share(part: int, whole: int) -> int | None:
    return part * PAGE_ERROR // whole if whole else None


def _stands(snapshot: Snapshot) -> tuple[dict[str, list[Stand]], Fx]:
    """Offers by model, as they are now."""
    prices = {row.id: RowRates(row) for row in snapshot.prices}
    providers = {row.id: row for row in snapshot.providers}
    fx: dict[str, tuple[int, int]] = {snapshot.fx_base: (1, 1)}
    for currency, text in snapshot.fx.items():
        whole, _, part = text.partition(".")
        fx[currency] = (int(whole + part), 10 ** len(part))
    found: dict[str, list[Stand]] = {}
    for offer in snapshot.offers:
        provider = providers[offer.provider]
        rows = [prices[id_] for id_ in offer.cost_prices if id_ in prices]
        if not rows or rows[0].currency not in fx:
            continue
        facts = OfferFacts(
            id=offer.id, name=offer.name, provider=provider.name, vendor=provider.dialect,
            region=offer.region or provider.region, residency=offer.residency or provider.residency,
            supply=offer.supply or ("base" if provider.kind == "engine" else "contract"),
            capabilities=frozenset(offer.capabilities) if offer.capabilities is not None else None,
            quality=offer.quality, certificates=offer.certificates,
            context_max=offer.context_max, output_max=offer.output_max,
        )  # fmt: skip
        found.setdefault(offer.model, []).append(Stand(facts, _served(offer.endpoints), rows, fx[rows[0].currency]))
    return found, fx


def _served(doors: tuple[str, ...]) -> frozenset[str]:
    """A client of any generating protocol reaches an offer with any one of the doors that generate."""
    generating = {"chat", "responses", "messages", "gemini", "converse", "qwen"}
    embedding = {"embeddings", "gemini_embed"}
    more: set[str] = set()
    for family in (generating, embedding):
        if family & set(doors):
            more |= family
    return frozenset(doors) | frozenset(more)


def _changed(
    snapshot: Snapshot, known: dict[str, list[Stand]], without: list[str], factors: Mapping[str, str]
) -> dict[str, list[Stand]]:
    names = {offer.name for offer in snapshot.offers}
    for name in (*without, *factors):
        if name not in names:
            raise Refusal(f"There is no offer {name!r}.", "baseload offers list", code="offer_not_found", status=404)
    found: dict[str, list[Stand]] = {}
    for model, stands in known.items():
        for stand in stands:
            if stand.facts.name in without:
                continue
            factor = factors.get(stand.facts.name)
            if factor is not None:
                top, bottom = _fraction(factor)
                swap = (stand.exchange[0] * top, stand.exchange[1] * bottom)
                stand = Stand(stand.facts, stand.endpoints, stand.rows, swap)
            found.setdefault(model, []).append(stand)
    return found


def _fraction(text: str) -> tuple[int, int]:
    whole, _, part = text.partition(".")
    if not (whole + part).isdecimal() or len(text) > 18:
        raise Refusal(f"{text!r} is not a factor.", 'A decimal, as in "0.8".', code="factor_wrong")
    return int(whole + part), 10 ** len(part)


def _calls(
    connection: Connection, stands: dict[str, list[Stand]], fx: Fx, account: str, start: int, end: int, model: str
) -> Iterator[tuple[PastCall, tuple[int, tuple[int, ...]], int]]:
    """Settled attempts that were not superseded, with what was expected of each, all in the comparison currency."""
    conditions = [READINGS.c.accepted_ns >= start, READINGS.c.accepted_ns < end, READINGS.c.outcome == "ok"]
    if account:
        conditions.append(READINGS.c.account == account_id(connection, account))
    models = {stand.id: name for name, list_ in stands.items() for stand in list_}
    for row in stream(connection, readings_query(*conditions).order_by(READINGS.c.id)):
        entry, rating = entry_of(row), rating_of(row)
        name = models.get(entry.offer, entry.model)
        swap = fx.get(rating.cost_currency or "")
        if rating.state != SETTLED or (model and name != model) or swap is None:
            continue
        top, bottom = swap
        cost = (rating.cost_nano or 0) * top // bottom
        expected = entry.expected_nano * top // bottom if entry.expected_nano >= 0 else -1
        call = PastCall(
            entry.accepted_ns, name, entry.endpoint, price_meters(entry.meters), dict(entry.select), cost, entry.offer
        )
        yield call, (expected, entry.expected), cost
