"""Vendors' statements: imported, compared with the book, approved."""

from __future__ import annotations

import time
from typing import Any

from baseload.control import audit
from baseload.control.context import Context
from baseload.ledger.reconcile import book, formats


def keep(context: Context, actor: str, *, provider: str, format: str, data: str, mapping: str) -> dict[str, Any]:
    """Imports a file; the same file again is a no-op."""
    raw = data.encode()
    lines = formats.read(format, raw, mapping.encode())
    number, made = book.keep(
        context.engine, provider, format, raw, lines, actor=actor, now_ns=time.time_ns(), record=audit.recorder(actor)
    )
    return {"id": number, "made": made, "lines": len(lines), **show(context, number)}


def show(context: Context, number: int) -> dict[str, Any]:
    """Every difference, and the sum of each kind."""
    found = book.findings(context.engine, number)
    sums: dict[str, dict[str, int]] = {}
    for one in found:
        kind = sums.setdefault(one.kind, {})
        kind[one.currency] = kind.get(one.currency, 0) + one.nano
    return {"differences": [book.shown(one) for one in found], "sums_nano": sums}


def approve(context: Context, actor: str, *, number: int, kinds: list[str], keys: list[str]) -> dict[str, Any]:
    """Posts differences: those named, those of some kinds, or all."""
    chosen = set(keys)
    for one in book.findings(context.engine, number):
        if one.kind in kinds or not (kinds or keys):
            chosen.add(one.key)
    made = book.approve(
        context.engine, number, chosen, actor=actor, now_ns=time.time_ns(), record=audit.recorder(actor)
    )
    return {"posted": len(made), "transactions": made}


def statements(context: Context) -> list[dict[str, Any]]:
    return book.statements(context.engine)
