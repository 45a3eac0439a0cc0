"""The configuration file is applied to the database: what differs, and how it is made equal.

In:    `Desired` (from `desired.py`), the database. Out: a list of changes in the order they must be made; rows written.
Rules: what the file declares is marked `declared` and belongs to the file. What leaves the file is disabled, never
deleted, because old readings point to it. What was made by command is not touched, unless the file declares its name:
then it becomes the file's. Price rows are only ever inserted; the hash of their content keeps each once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Table, insert, select, update

from baseload import store
from baseload.control import audit, books
from baseload.control.desired import DEFAULT, Desired, endpoints_of
from baseload.errors import Refusal
from baseload.ledger import fx
from baseload.ledger.charging import keep_rules
from baseload.ledger.limits import declare
from baseload.ledger.prices import keep_price
from baseload.money.price import PriceRow, row_key
from baseload.store import tables as t

_ORDER = ("policy", "tariff", "account", "provider", "offer", "group", "fx", "model_policies")
_TABLES: dict[str, Table] = {
    "policy": t.policies, "tariff": t.tariffs, "account": t.accounts, "provider": t.providers, "offer": t.offers,
    "group": t.model_groups,
}  # fmt: skip
_SETTINGS = ("fx", "model_policies")


class Change(msgspec.Struct):
    """One row that differs. `detail` is for people and never holds a secret; `values` are what will be written."""

    action: str  # create | update | disable
    kind: str  # of _ORDER
    name: str
    detail: str
    values: dict[str, Any] = {}

    def public(self) -> dict[str, str]:
        return {"action": self.action, "kind": self.kind, "name": self.name, "detail": self.detail}


def diff(desired: Desired, engine: Engine) -> list[Change]:
    """What `apply` would change, in order. Raises Refusal when the file points to something that does not exist."""
    with store.reading(engine) as connection:
        return _diff(desired, connection)


def apply(desired: Desired, engine: Engine, *, actor: str = "file") -> list[Change]:
    """Makes the database as the file says, in one transaction; a second run changes nothing. Returns the changes."""
    with store.writing(engine) as connection:
        changes = _diff(desired, connection)
        for change in changes:
            _write(change, connection)
            if change.kind == "account" and change.action != "disable":
                number = id_of(connection, t.accounts, change.name)
                wishes = desired.wishes.get(change.name, [])
                if said := declare(connection, number, wishes, time.time_ns()):
                    change.detail = f"{change.detail}; {', '.join(said)}"
            audit.record(connection, actor, f"{change.kind}.{change.action}", change.name, {"detail": change.detail})
        return changes


def _diff(desired: Desired, connection: Connection) -> list[Change]:
    changes: list[Change] = []
    changes += _kind("policy", desired.policies, connection)
    changes += _kind("tariff", desired.tariffs, connection)
    changes += _kind("account", desired.accounts, connection)
    changes += _kind("provider", desired.providers, connection)
    _complete_offers(desired, connection)
    changes += _kind("offer", desired.offers, connection)
    changes += _kind("group", desired.groups, connection)
    for name in _SETTINGS:
        before, after = setting(connection, name, {}), getattr(desired, name)
        if before != after:
            changes.append(Change("update", name, name, f"{before} -> {after}", {"value": after}))
    return sorted(changes, key=lambda change: (_ORDER.index(change.kind), change.action == "disable"))


def _kind(kind: str, wanted: dict[str, dict[str, Any]], connection: Connection) -> Iterable[Change]:
    table = _TABLES[kind]
    rows = {row.name: dict(row._mapping) for row in connection.execute(select(table))}
    names = _names(connection)
    for name, values in wanted.items():
        shown = {**values, **_shown_prices(values)}
        if name not in rows:
            yield Change("create", kind, name, _summary(shown), values)
            continue
        before = _as_desired(kind, rows[name], names)
        if kind == "provider" and not values["credential"] and before["credential"].startswith("sealed:"):
            values = {**values, "credential": before["credential"]}  # a key that was given by command is kept
            shown = {**values, **_shown_prices(values)}
        differing = {field: (before.get(field), value) for field, value in shown.items() if before.get(field) != value}
        if not rows[name]["declared"]:
            differing["declared"] = (False, True)
        if rows[name].get("disabled"):
            differing["disabled"] = (True, False)
        if differing:
            detail = ", ".join(f"{field}: {_brief(old)} -> {_brief(new)}" for field, (old, new) in differing.items())
            yield Change("update", kind, name, detail, values)
    for name, row in rows.items():
        if row["declared"] and name not in wanted and not row.get("disabled"):
            yield Change("disable", kind, name, "no longer in the file")


def _complete_offers(desired: Desired, connection: Connection) -> None:
    """Offers of the file at providers that were made by command: prices and endpoints come from that one's vendor."""
    known = {row.name: row for row in connection.execute(select(t.providers))}
    for name, offer in desired.offers.items():
        if offer["provider"] in desired.providers:
            continue
        if (row := known.get(offer["provider"])) is None or (row.declared and row.disabled):
            raise Refusal(
                f"The offer {name} names the provider {offer['provider']!r}, which does not exist.",
                f"Declare it under [[providers]], or: baseload providers add {offer['provider']}",
                code="provider_unknown",
                status=422,
                param=name,
            )
        if offer["extra"]["price"] == "catalogue" and not offer["prices"]:
            offer["prices"] = books.catalogue_rows(row.dialect, offer["upstream_model"], row.extra.get("scope", ""), [])
        try:
            offer["endpoints"] = endpoints_of(row.dialect, offer["endpoints"], offer["prices"])
        except Refusal as refusal:
            refusal.say, refusal.param = f"The offer {name}: {refusal.say}", name
            raise


def _shown_prices(values: dict[str, Any]) -> dict[str, Any]:
    """Prices in the form that is compared: content hashes instead of rows."""
    prices = values.get("prices")
    if isinstance(prices, dict):
        return {"prices": {model: [row_key(row) for row in rows] for model, rows in prices.items()}}
    return {"prices": [row_key(row) for row in prices]} if prices is not None else {}


class _Names(msgspec.Struct):
    tariffs: dict[int, str]
    accounts: dict[int, str]
    providers: dict[int, str]
    price_keys: dict[int, str]


def _names(connection: Connection) -> _Names:
    def by_id(table: Table, column: str) -> dict[int, str]:
        return {row[0]: row[1] for row in connection.execute(select(table.c.id, table.c[column]))}

    return _Names(
        by_id(t.tariffs, "name"), by_id(t.accounts, "name"), by_id(t.providers, "name"), by_id(t.price_rows, "key")
    )


def _as_desired(kind: str, row: dict[str, Any], names: _Names) -> dict[str, Any]:
    """A row of the database in the words of `Desired`."""
    if kind == "account":
        return {
            **row,
            "tariff": names.tariffs.get(row["tariff_id"]),
            "parent": names.accounts.get(row["parent_id"], ""),
        }
    if kind == "offer":
        keys = [names.price_keys.get(number, "?") for number in row["prices"]]
        return {**row, "provider": names.providers.get(row["provider_id"]), "prices": keys}
    if kind == "tariff":
        prices = {model: [names.price_keys.get(n, "?") for n in ids] for model, ids in row["prices"].items()}
        return {**row, "prices": prices}
    return row


def _write(change: Change, connection: Connection) -> None:
    if change.kind in _SETTINGS:
        set_setting(connection, change.kind, change.values["value"])
        if change.kind == "fx":
            for currency, rate in change.values["value"].items():
                fx.keep(connection, currency, rate, time.time_ns(), source="file")
        return
    table = _TABLES[change.kind]
    if change.action == "disable":
        # a tariff cannot be disabled, for accounts may still be charged by it; it becomes the command's to edit
        values = {"declared": False} if change.kind == "tariff" else {"disabled": True}
        connection.execute(update(table).where(table.c.name == change.name).values(values))
        return
    values = {**_columns(change, connection), "declared": True}
    if change.action == "create":
        insert_row(connection, table, {"name": change.name, **values})
    else:
        if change.kind != "tariff":
            values["disabled"] = False
        if change.kind == "account":
            _stays(connection, change.name, values)
        connection.execute(update(table).where(table.c.name == change.name).values(values))
    if change.kind == "tariff":
        keep_rules(connection, id_of(connection, table, change.name), change.values["rules"], time.time_ns())


def _stays(connection: Connection, name: str, values: dict[str, Any]) -> None:
    """An account that has calls keeps its parent and its currency: what was counted would count otherwise."""
    row = connection.execute(select(t.accounts).where(t.accounts.c.name == name)).one()
    if (row.parent_id, row.currency) == (values["parent_id"], values["currency"]):
        return
    used = connection.execute(select(t.readings.c.id).where(t.readings.c.account == row.id).limit(1)).scalar()
    if used is not None:
        raise Refusal(
            f"Account {name} has calls: its parent and currency stay what they are.",
            "Make a new account and give it new keys.", code="account_fixed", status=409, param=name,
        )  # fmt: skip


def _columns(change: Change, connection: Connection) -> dict[str, Any]:
    values = dict(change.values)
    match change.kind:
        case "account":
            values["tariff_id"] = id_of(connection, t.tariffs, values.pop("tariff"))
            parent = values.pop("parent")
            values["parent_id"] = id_of(connection, t.accounts, parent) if parent else None
        case "offer":
            values["provider_id"] = id_of(connection, t.providers, values.pop("provider"))
            values["prices"] = store_rows(connection, values["prices"])
        case "tariff":
            values["prices"] = {model: store_rows(connection, rows) for model, rows in values["prices"].items()}
    return values


def insert_row(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Inserts one row and returns its id; `created_ns` is filled where the table has it."""
    if "created_ns" in table.c and "created_ns" not in values:
        values = {**values, "created_ns": time.time_ns()}
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    return int(key[0]) if key else 0


def id_of(connection: Connection, table: Table, name: str) -> int:
    """The id behind a name; Refusal 404 when there is none."""
    found = connection.execute(select(table.c.id).where(table.c.name == name)).scalar()
    if found is None:
        kind = table.name.removesuffix("s")
        raise Refusal(
            f"There is no {kind} {name!r}.", f"baseload {table.name} list", code=f"{kind}_not_found", status=404
        )
    return int(found)


def store_rows(connection: Connection, rows: Iterable[PriceRow]) -> list[int]:
    """Ids of price rows; a row whose content is there already is not inserted again."""
    return [keep_price(connection, row).id for row in rows]


def ensure_defaults(connection: Connection) -> None:
    """The tariff and the account `default` are always there; the file may declare and so change them."""
    if connection.execute(select(t.tariffs.c.id).where(t.tariffs.c.name == DEFAULT)).scalar() is None:
        insert_row(connection, t.tariffs, {"name": DEFAULT, "margin_ppm": 0, "prices": {}})
    if connection.execute(select(t.accounts.c.id).where(t.accounts.c.name == DEFAULT)).scalar() is None:
        values = {"name": DEFAULT, "currency": "USD", "tariff_id": id_of(connection, t.tariffs, DEFAULT)}
        insert_row(connection, t.accounts, values)


def setting(connection: Connection, key: str, default: Any) -> Any:
    """A value of the settings table."""
    found = connection.execute(select(t.settings.c.value).where(t.settings.c.key == key)).first()
    return default if found is None else found[0]


def set_setting(connection: Connection, key: str, value: Any) -> None:
    changed = connection.execute(update(t.settings).where(t.settings.c.key == key).values(value=value))
    if changed.rowcount == 0:
        connection.execute(insert(t.settings).values(key=key, value=value))


def _summary(values: dict[str, Any]) -> str:
    return ", ".join(f"{field}={_brief(value)}" for field, value in values.items() if value not in ("", {}, [], None))


def _brief(value: Any) -> str:
    """A value in a change list: hashes shortened, credentials by reference only."""
    if isinstance(value, str):
        return "stored" if value.startswith("sealed:") else value[:8] if len(value) == 64 else value
    if isinstance(value, list):
        return "[" + " ".join(_brief(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + " ".join(f"{key}={_brief(item)}" for key, item in value.items()) + "}"
    return str(value)
