"""What the book says: usage, bills, single calls, checks, exports, backups: the ledger's own functions."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from baseload import store
from baseload.control import audit
from baseload.control.context import Context
from baseload.control.services.times import period_ns
from baseload.control.worker import journals
from baseload.errors import Refusal
from baseload.gateway.journal.identity import journal_name
from baseload.ledger import amend, bills, calls, export, texts
from baseload.ledger import backup as backups
from baseload.ledger import check as checks
from baseload.ledger import usage as usages
from baseload.ledger.export import Format
from baseload.ledger.settled import account_id

MEDIA = {"csv": "text/csv", "jsonl": "application/x-ndjson", "beancount": "text/plain"}
PIECE_BYTES = 256 * 1024
_FOREVER_NS = 2**63 - 1

# What an account may see of its own call. Not there: what the provider charges us, the margin, postings, other ids.
_OWN = (
    "attempt", "offer_name", "model", "upstream_model", "upstream_id", "endpoint", "stream", "outcome", "status",
    "fault", "meters", "input_provenance", "output_provenance", "flags", "select", "raw_usage", "delivered_output",
    "state", "detail", "charge", "charge_by", "accepted", "sent", "first", "end", "request_bytes", "reply_bytes",
)  # fmt: skip


def call(context: Context, call_id: str) -> dict[str, Any]:
    """All that is known of a call, for the operator."""
    return calls.call(context.engine, call_id)


def recent(context: Context, *, account: str, before: int | None, limit: int) -> list[dict[str, Any]]:
    """One page of the calls settled last, newest first."""
    return calls.recent(context.engine, account=account or None, before=before, limit=limit)


def own_call(context: Context, call_id: str, account: int) -> dict[str, Any]:
    """A call as its account may see it. Somebody else's call looks as if it were not there."""
    try:
        found = calls.call(context.engine, call_id)
    except Refusal as refusal:
        raise _not_there(call_id) from refusal
    if found["account"] != account:
        raise _not_there(call_id)
    attempts = []
    totals: dict[str, int] = {}
    for full in found["attempts"]:
        shown = {name: full[name] for name in _OWN if name in full}
        if full.get("charge_by") == "price":
            shown["charge_lines"] = full["charge_lines"]
        if charge := full.get("charge"):
            totals[charge["currency"]] = totals.get(charge["currency"], 0) + charge["nano"]
        attempts.append(shown)
    return {
        "id": call_id,
        "object": "baseload.call",
        "state": found["state"],
        "account": found["account_name"],
        "model": found["model"],
        "offer": attempts[-1]["offer_name"] if attempts else "",
        "cost": [texts.money(nano, currency) for currency, nano in sorted(totals.items())],
        "attempts": attempts,
        "refusals": found["refusals"],
    }


def _not_there(call_id: str) -> Refusal:
    return Refusal(
        f"There is no call {call_id!r} of this account.",
        "Check the id (header x-baseload-call-id); a call appears when it is settled, usually within a second.",
        code="call_not_found",
        status=404,
    )


def bill(context: Context, *, account: str, since: str, until: str, month: str) -> dict[str, Any]:
    """The bill of an account; this month so far where no period is given."""
    start, end = period_ns(since, until, month, time.time_ns())
    found: dict[str, Any] = msgspec.to_builtins(bills.bill(context.engine, account, start, end))
    return {"bill": found}


def usage(context: Context, *, by: str, account: str, since: str, until: str) -> dict[str, Any]:
    """Usage by one dimension; the period is rounded outward to whole hours."""
    start, end = period_ns(since, until, "", time.time_ns())
    number = None
    if account:
        with store.reading(context.engine) as connection:
            number = account_id(connection, account)
    found = usages.usage(context.engine, start, end, by=(by,), account=number)
    rows = [{"name": row.group[by], "margin": row.margin(), **msgspec.to_builtins(row)} for row in found.rows]
    period = {name: value for name, value in msgspec.to_builtins(found).items() if name != "rows"}
    return {"period": period, "usage": rows}


def resettle(context: Context, *, cost_price: int, charge_price: int, actor: str) -> dict[str, Any]:
    """Posts the readings that had no price when they were settled; by other price rows where ids are given."""
    done = amend.resettle(context.engine, cost_price=cost_price, charge_price=charge_price, actor=actor)
    still_open = [
        {"reading": each.reading, "call": each.call, "attempt": each.attempt, "say": each.say} for each in done.open
    ]
    return {"settled": len(done.settled), "open": still_open}


def check(context: Context) -> list[dict[str, Any]]:
    """What `ledger check` finds, with the journals of this home."""
    folders = {journal_name(path): path for path in journals(context.home.journal)}
    return [msgspec.to_builtins(finding) for finding in checks.check(context.engine, folders)]


def export_book(context: Context, *, format: Format, since: str, until: str) -> Iterator[bytes]:
    """The book in pieces."""
    start, end = period_ns(since, until, "", time.time_ns(), default="all")
    if not until:
        end = _FOREVER_NS
    return (piece.encode() for piece in export.export(context.engine, format, start, end))


def backup(context: Context, actor: str) -> Iterator[bytes]:
    """A consistent copy of the database in pieces. It is made and verified whole before the first piece leaves."""
    path = context.home.path / f".backup-{secrets.token_hex(8)}.db"
    made = backups.backup(context.engine, path)
    with store.writing(context.engine) as connection:
        audit.record(connection, actor, "backup", "database", {"bytes": made.bytes, "readings": made.readings})

    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            path.unlink()  # the open file stays readable, and nothing is left behind however this ends
            while piece := file.read(PIECE_BYTES):
                yield piece

    return pieces()
