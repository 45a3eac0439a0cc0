"""Accounts: who pays."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from baseload import store
from baseload.control import audit
from baseload.control.apply import id_of, insert_row
from baseload.control.context import Context
from baseload.control.rules import CURRENCY, NAME
from baseload.errors import Refusal
from baseload.store import tables as t


def list_accounts(context: Context) -> list[dict[str, Any]]:
    """Every account with the number of its valid keys."""
    with store.reading(context.engine) as connection:
        return _rows(connection)


def show(context: Context, name: str) -> dict[str, Any]:
    """One account; Refusal 404 when there is none."""
    with store.reading(context.engine) as connection:
        for row in _rows(connection):
            if row["name"] == name:
                return row
    raise Refusal(f"There is no account {name!r}.", "baseload accounts list", code="account_not_found", status=404)


def create(context: Context, actor: str, *, name: str, tariff: str, parent: str, currency: str) -> dict[str, Any]:
    """A new account."""
    if not NAME.match(name):
        raise Refusal(
            f"{name!r} cannot be a name.",
            'Use small letters, digits, ".", "_" and "-", at most 63, as in "team-a".',
            code="name_wrong",
            param="name",
        )
    if not CURRENCY.match(currency):
        raise Refusal(f"{currency!r} is not a currency.", 'As in "USD".', code="currency_wrong", param="currency")
    with store.writing(context.engine) as connection:
        if connection.execute(select(t.accounts.c.id).where(t.accounts.c.name == name)).scalar() is not None:
            raise Refusal(
                f"There is an account {name!r} already.", "Choose another name.", code="account_exists", status=409
            )
        values = {
            "name": name,
            "tariff_id": id_of(connection, t.tariffs, tariff),
            "parent_id": id_of(connection, t.accounts, parent) if parent else None,
            "currency": currency,
        }
        insert_row(connection, t.accounts, values)
        audit.record(connection, actor, "account.create", name)
    context.changed()
    return show(context, name)


def _rows(connection: Connection) -> list[dict[str, Any]]:
    valid = (
        select(t.keys.c.account_id, func.count().label("valid"))
        .where(t.keys.c.revoked_ns == 0)
        .group_by(t.keys.c.account_id)
        .subquery()
    )
    query = (
        select(t.accounts, t.tariffs.c.name.label("tariff"), func.coalesce(valid.c.valid, 0).label("keys"))
        .join(t.tariffs, t.tariffs.c.id == t.accounts.c.tariff_id)
        .outerjoin(valid, valid.c.account_id == t.accounts.c.id)
        .order_by(t.accounts.c.id)
    )
    rows = connection.execute(query).all()
    names = {row.id: row.name for row in rows}
    return [
        {
            "id": row.id,
            "name": row.name,
            "parent": names.get(row.parent_id, ""),
            "tariff": row.tariff,
            "currency": row.currency,
            "keys": row.keys,
            "declared": row.declared,
            "disabled": row.disabled,
        }
        for row in rows
    ]
