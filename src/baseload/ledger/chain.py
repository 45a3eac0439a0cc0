"""The hash chain of the audit log: made when a row is written, proved by `ledger check`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from baseload.store import tables

_FIELDS = ("at_ns", "actor", "action", "subject", "detail")
_encode = msgspec.json.Encoder(order="sorted").encode


def chained(before: bytes, row: Mapping[str, Any]) -> bytes:
    """The hash of a row that follows one with the hash `before` (b"" = it is the first of the chain)."""
    content = _encode([row[name] for name in _FIELDS])
    return hashlib.sha256((before or b"\0" * 32) + content).digest()


def broken(connection: Connection) -> Iterator[str]:
    """Rows where the chain does not hold, and holes in their numbers."""
    last, begun, number = b"", False, 0
    table = tables.audit
    for row in connection.execution_options(yield_per=1000).execute(select(table).order_by(table.c.id)):
        found = bytes(row.hash or b"")
        if begun and row.id != number + 1:
            yield f"audit {number + 1} to {row.id - 1} are missing"
        if found:
            if found != chained(last, dict(row._mapping)):
                yield f"audit {row.id} is not what was written"
            begun = True
        elif begun:
            yield f"audit {row.id} has no hash"
        last, number = found, row.id
