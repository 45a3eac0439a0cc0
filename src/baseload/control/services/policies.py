"""Policies and groups of models, as the file declared them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from baseload import store
from baseload.control.context import Context
from baseload.store import tables as t


def list_policies(context: Context) -> list[dict[str, Any]]:
    """Every policy with who names it."""
    with store.reading(context.engine) as connection:
        users: dict[str, list[str]] = {}
        for row in connection.execute(select(t.accounts.c.name, t.accounts.c.extra)):
            users.setdefault(row.extra.get("policy", ""), []).append(f"account {row.name}")
        for row in connection.execute(select(t.keys.c.prefix, t.keys.c.policy).where(t.keys.c.revoked_ns == 0)):
            users.setdefault(row.policy, []).append(f"key {row.prefix}")
        for row in connection.execute(select(t.model_groups.c.name, t.model_groups.c.policy)):
            users.setdefault(row.policy, []).append(f"group {row.name}")
        return [
            {"name": row.name, "policy": row.policy, "used_by": users.get(row.name, []), "disabled": row.disabled}
            for row in connection.execute(select(t.policies).order_by(t.policies.c.name))
        ]


def list_groups(context: Context) -> list[dict[str, Any]]:
    """Every group of models."""
    with store.reading(context.engine) as connection:
        return [
            {"name": row.name, "models": row.models, "policy": row.policy, "disabled": row.disabled}
            for row in connection.execute(select(t.model_groups).order_by(t.model_groups.c.name))
        ]
