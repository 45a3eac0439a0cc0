"""Who changed what: a row for every change of the configuration, in the same transaction. Never a secret."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, insert

from baseload.store import tables as t


def record(connection: Connection, actor: str, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Adds one row. `actor` is "file", "socket" (the owner of this home) or "token:<prefix>"."""
    values = {"at_ns": time.time_ns(), "actor": actor, "action": action, "subject": subject, "detail": detail or {}}
    connection.execute(insert(t.audit).values(values))
