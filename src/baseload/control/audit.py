"""Who changed what: a row for every change, in the same transaction, chained by hashes. Never a secret.

Each row's hash is SHA-256 over the hash before it and the row's own content; the first one of a chain is over 32 zero
bytes. A row that was changed, removed or put in between breaks the chain there (`ledger check`). Rows made before the
chain began have none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from baseload import store
from baseload.ledger.chain import chained
from baseload.ledger.texts import instant
from baseload.store import tables as t


def record(connection: Connection, actor: str, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Adds one row. `actor` is "file", "socket" (the owner of this home) or "token:<prefix>". Call within
    `store.writing`: the chain has one end."""
    values = {"at_ns": time.time_ns(), "actor": actor, "action": action, "subject": subject, "detail": detail or {}}
    last = connection.execute(select(t.audit.c.hash).order_by(t.audit.c.id.desc()).limit(1)).scalar()
    connection.execute(insert(t.audit).values(**values, hash=chained(bytes(last or b""), values)))


def recorder(actor: str) -> Callable[[Connection, str, str, dict[str, Any]], None]:
    """`record` for one actor, as the ledger's functions take it: (connection, action, subject, detail)."""

    def one(connection: Connection, action: str, subject: str, detail: dict[str, Any]) -> None:
        record(connection, actor, action, subject, detail)

    return one


def latest(engine: Engine, limit: int) -> list[dict[str, Any]]:
    """The latest acts, newest first."""
    with store.reading(engine) as connection:
        rows = connection.execute(select(t.audit).order_by(t.audit.c.id.desc()).limit(limit)).all()
    return [
        {"id": row.id, "at": instant(row.at_ns), "actor": row.actor, "action": row.action, "subject": row.subject,
         "detail": row.detail}
        for row in rows
    ]  # fmt: skip
