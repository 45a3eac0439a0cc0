"""The snapshot: built from the database, written to HOME/snapshot.msgpack when its content has changed.

In:    the database. Out: one file that gateways read. Its version grows by one with every publication and is kept
in the database, so that a lost file does not make two different snapshots share a number.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.control.apply import set_setting, setting
from baseload.dispatch.policy import Limits, Policy
from baseload.gateway import snapshot as files
from baseload.gateway.snapshot import (
    AccountRow,
    GroupRow,
    KeyRow,
    LimitRow,
    OfferRow,
    PolicyRow,
    ProviderRow,
    PurseRow,
    RateRow,
    Snapshot,
    TariffRow,
)
from baseload.ledger import fx as exchange
from baseload.ledger.prices import load_prices
from baseload.ledger.purses import PurseBook
from baseload.money.period import FOREVER_NS
from baseload.money.tariff import Rules
from baseload.store import tables as t

_VERSION = "snapshot_version"
_encode = msgspec.msgpack.Encoder(order="sorted").encode


class Publisher:
    """Publishes at most one snapshot at a time."""

    def __init__(self, engine: Engine, path: Path, console_url: str) -> None:
        self._engine, self._path, self._console_url = engine, path, console_url
        self._lock = threading.Lock()

    def publish(self) -> int:
        """Writes the snapshot if its content differs from the file's. Returns the version in force."""
        with self._lock:
            with store.reading(self._engine) as connection:
                fresh = build(connection, self._console_url)
            current = self.current()
            if current is not None and content(current) == content(fresh):
                return current.version
            with store.writing(self._engine) as connection:
                version = max(setting(connection, _VERSION, 0), current.version if current else 0) + 1
                set_setting(connection, _VERSION, version)
            files.write(self._path, msgspec.structs.replace(fresh, version=version, made_ns=time.time_ns()))
            return int(version)

    def current(self) -> Snapshot | None:
        """The file as it is, or None when it is not there or not readable."""
        try:
            return files.read(self._path)
        except (OSError, msgspec.DecodeError):
            return None


def content(snapshot: Snapshot) -> bytes:
    """What makes two snapshots different: everything but version and time."""
    return _encode(msgspec.structs.replace(snapshot, version=0, made_ns=0))


def build(connection: Connection, console_url: str = "") -> Snapshot:
    """The snapshot of what is in force; version and time are left 0. Offers without a price are published too."""
    providers = [_provider(row) for row in connection.execute(_in_order(t.providers)) if not row.disabled]
    served = {provider.id for provider in providers}
    offers = [
        _offer(row) for row in connection.execute(_in_order(t.offers)) if not row.disabled and row.provider_id in served
    ]
    tariffs = [
        TariffRow(
            id=row.id,
            name=row.name,
            margin_ppm=row.margin_ppm,
            prices={model: tuple(ids) for model, ids in row.prices.items()},
            rules=msgspec.convert(row.rules, Rules),
        )
        for row in connection.execute(_in_order(t.tariffs))
    ]
    # One that left the file still binds whoever names it: a limit must not vanish with its declaration.
    named = {row.extra.get("policy", "") for row in connection.execute(_in_order(t.accounts))}
    named |= {row.policy for row in connection.execute(_in_order(t.keys)) if not row.revoked_ns}
    policies = [
        PolicyRow(id=row.id, name=row.name, policy=msgspec.convert(row.policy, Policy))
        for row in connection.execute(_in_order(t.policies))
        if not row.disabled or row.name in named
    ]
    policy_of = {row.name: row.id for row in policies}
    book = PurseBook(connection)
    used = {number for offer in offers for number in offer.cost_prices}
    used |= {number for tariff in tariffs for ids in tariff.prices.values() for number in ids}
    return Snapshot(
        format=files.FORMAT,
        version=0,
        made_ns=0,
        accounts=_accounts(connection, policy_of, book, tariffs),
        keys=[_key(row, policy_of, book) for row in connection.execute(_in_order(t.keys)) if not row.revoked_ns],
        purses=_purses(connection, book),
        rates=[
            RateRow(currency=rate.currency, rate=rate.rate, from_ns=rate.from_ns) for rate in exchange.rates(connection)
        ],
        providers=providers,
        offers=offers,
        tariffs=tariffs,
        prices=[row for _, row in sorted(load_prices(connection, used).items())],
        console_url=console_url,
        fx=setting(connection, "fx", {}),
        policies=policies,
        groups=[
            GroupRow(name=row.name, models=tuple(row.models), policy=policy_of.get(row.policy, 0))
            for row in connection.execute(_in_order(t.model_groups))
            if not row.disabled
        ],
        model_policies={
            model: policy_of[name]
            for model, name in setting(connection, "model_policies", {}).items()
            if name in policy_of
        },
    )


def _purses(connection: Connection, book: PurseBook) -> list[PurseRow]:
    """The hard ones that are in force."""
    names = {row.id: row.name for row in connection.execute(select(t.accounts.c.id, t.accounts.c.name))}
    found = []
    for purse in book.purses.values():
        if not purse.hard or purse.to_ns != FOREVER_NS:
            continue
        whose = f"account {names.get(purse.account, '?')}"
        if purse.key:
            whose = f"a key of {whose}"
        name = f"the budget {purse.name} of {whose}" if purse.kind == "budget" else f"the balance of {whose}"
        found.append(
            PurseRow(
                id=purse.id, name=name, currency=purse.currency, period=purse.period, zone=purse.zone,
                from_ns=purse.from_ns, to_ns=purse.to_ns,
            )
        )  # fmt: skip
    return found


def _accounts(
    connection: Connection, policy_of: dict[str, int], book: PurseBook, tariffs: list[TariffRow]
) -> list[AccountRow]:
    """With what binds each: policies, purses and limits of its ancestors and its own."""
    rows = {row.id: row for row in connection.execute(_in_order(t.accounts))}

    def binding(row: Any) -> tuple[int, ...]:
        own = policy_of.get(row.extra.get("policy", ""))
        above = binding(rows[row.parent_id]) if row.parent_id in rows else ()
        return (*above, own) if own is not None else above

    def limits(row: Any) -> tuple[LimitRow, ...]:
        own = row.extra.get("limits")
        above = limits(rows[row.parent_id]) if row.parent_id in rows else ()
        if not own:
            return above
        return (*above, LimitRow(whose=f"account {row.name}", id=row.id, limits=msgspec.convert(own, Limits)))

    currencies = {tariff.id: tariff.rules.currency for tariff in tariffs}
    now_ns = time.time_ns()
    found = []
    for row in rows.values():
        counting = book.counting(row.id, 0, now_ns)
        found.append(
            AccountRow(
                id=row.id, name=row.name, tariff=row.tariff_id, policies=binding(row), limits=limits(row),
                disabled=any(rows[each].disabled for each in book.lineage(row.id)),
                priority=row.extra.get("priority", "standard"), weight=row.extra.get("weight", 1),
                content_days=row.extra.get("content_days", 0),
                currency=row.currency if counting else currencies.get(row.tariff_id, ""),
                purses=tuple(purse.id for purse in counting if purse.hard),
            )
        )  # fmt: skip
    return found


def _in_order(table: Any) -> Any:
    return select(table).order_by(table.c.id)


def _key(row: Any, policy_of: dict[str, int], book: PurseBook) -> KeyRow:
    own = [purse for purse in book.purses.values() if purse.key == row.id and purse.to_ns == FOREVER_NS]
    return KeyRow(
        purses=tuple(purse.id for purse in own if purse.hard),
        currency=own[0].currency if own else "",
        limits=msgspec.convert(row.limits, Limits),
        id=row.id,
        account=row.account_id,
        hash=row.hash,
        prefix=row.prefix,
        models=tuple(row.models),
        expires_ns=row.expires_ns,
        policy=policy_of.get(row.policy, 0),
    )


def _provider(row: Any) -> ProviderRow:
    return ProviderRow(
        id=row.id,
        name=row.name,
        kind=row.kind,
        dialect=row.dialect,
        base_url=row.base_url,
        credential=row.credential,
        abort=row.abort,
        **row.timeouts,
        **_taken(ProviderRow, row.extra),
    )


def _offer(row: Any) -> OfferRow:
    return OfferRow(
        id=row.id,
        name=row.name,
        model=row.model,
        provider=row.provider_id,
        upstream_model=row.upstream_model,
        endpoints=tuple(row.endpoints),
        cost_prices=tuple(row.prices),
        **_taken(OfferRow, row.extra),
    )


def _taken(kind: type[msgspec.Struct], extra: dict[str, Any]) -> dict[str, Any]:
    """What of a row's `extra` the snapshot holds, in its types."""
    return {
        field.name: msgspec.convert(extra[field.name], field.type)
        for field in msgspec.structs.fields(kind)
        if field.name in extra
    }
