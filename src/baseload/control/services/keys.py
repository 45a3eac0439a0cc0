"""Keys: credentials of accounts. The text of a key exists only in the reply that makes it; stored is its HMAC."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, select, update

from baseload import store
from baseload.control import audit
from baseload.control.apply import id_of, insert_row
from baseload.control.context import Context
from baseload.control.services.times import iso
from baseload.errors import Refusal
from baseload.gateway.vault import Vault, key_prefix, new_key
from baseload.store import tables as t

DAY_NS = 86_400 * 10**9
EXPIRES_DAYS_MAX = 36_500


def list_keys(context: Context, account: str | None = None) -> list[dict[str, Any]]:
    """Every key by its prefix, newest last."""
    with store.reading(context.engine) as connection:
        if account:
            id_of(connection, t.accounts, account)
        return [row for row in _rows(connection) if not account or row["account"] == account]


def create(
    context: Context, actor: str, *, account: str, name: str, models: list[str], expires_days: int, policy: str = ""
) -> dict[str, Any]:
    """A new key; the only reply that holds its text (`secret`)."""
    if not 0 <= expires_days <= EXPIRES_DAYS_MAX:
        raise Refusal(
            f"A key cannot expire in {expires_days} days.",
            f"Give 0 (never) to {EXPIRES_DAYS_MAX}.",
            code="expires_wrong",
            param="expires_days",
        )
    with store.writing(context.engine) as connection:
        account_id = id_of(connection, t.accounts, account)
        expires_ns = time.time_ns() + expires_days * DAY_NS if expires_days else 0
        if policy and connection.execute(select(t.policies.c.id).where(t.policies.c.name == policy)).scalar() is None:
            raise Refusal(
                f"There is no policy {policy!r}.", "baseload policies list", code="policy_not_found", status=404,
                param="policy",
            )  # fmt: skip
        number, text = make(
            connection, context.vault, account_id, name=name, models=models, expires_ns=expires_ns, policy=policy
        )
        audit.record(connection, actor, "key.create", key_prefix(text), {"account": account, "models": models})
        made = next(row for row in _rows(connection) if row["id"] == number)
    context.changed()
    return {**made, "secret": text}


def make(
    connection: Connection,
    vault: Vault,
    account_id: int,
    *,
    name: str,
    models: list[str],
    expires_ns: int = 0,
    policy: str = "",
) -> tuple[int, str]:
    """Inserts a fresh key and returns its id and text."""
    text = new_key()
    values = {
        "account_id": account_id,
        "name": name,
        "hash": vault.key_hash(text.encode()),
        "prefix": key_prefix(text),
        "models": models,
        "expires_ns": expires_ns,
        "policy": policy,
    }
    return insert_row(connection, t.keys, values), text


def revoke(context: Context, actor: str, key: str) -> dict[str, Any]:
    """Ends a key by its id, its prefix, or its whole text. Revoking twice is a no-op."""
    with store.writing(context.engine) as connection:
        rows = _rows(connection)
        by_id = [row for row in rows if key.isdecimal() and row["id"] == int(key)]
        found = by_id or [
            row for row in rows if key and row["prefix"] == key_prefix(key) and len(key) >= len(row["prefix"])
        ]
        if not found:
            raise Refusal("There is no such key.", "baseload keys list", code="key_not_found", status=404)
        if len(found) > 1:
            ids = ", ".join(str(row["id"]) for row in found)
            raise Refusal(f"Several keys begin like this: {ids}.", "Revoke by id.", code="key_ambiguous", status=409)
        row = found[0]
        if not row["revoked"]:
            connection.execute(update(t.keys).where(t.keys.c.id == row["id"]).values(revoked_ns=time.time_ns()))
            audit.record(connection, actor, "key.revoke", row["prefix"], {"account": row["account"]})
        row = next(fresh for fresh in _rows(connection) if fresh["id"] == row["id"])
    context.changed()
    return row


def _rows(connection: Connection) -> list[dict[str, Any]]:
    query = (
        select(t.keys, t.accounts.c.name.label("account"))
        .join(t.accounts, t.accounts.c.id == t.keys.c.account_id)
        .order_by(t.keys.c.id)
    )
    return [
        {
            "id": row.id,
            "prefix": row.prefix,
            "account": row.account,
            "name": row.name,
            "models": row.models,
            "policy": row.policy,
            "created": iso(row.created_ns),
            "expires": iso(row.expires_ns),
            "revoked": iso(row.revoked_ns),
        }
        for row in connection.execute(query)
    ]
