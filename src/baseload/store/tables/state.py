"""State that can be computed again from the book."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from baseload.store.tables.columns import BigId, metadata, ns, words

journal_cursor = Table(
    "journal_cursor",
    metadata,
    Column("gateway", Text, primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    ns("moved_ns"),
)

open_holds = Table(
    "open_holds",
    metadata,
    Column("call", Text, primary_key=True),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False),
    words("gateway"),
    Column("account", BigInteger, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("offer", BigInteger, nullable=False),
    words("model"),
    Column("hold_nano", BigInteger, nullable=False),
    words("currency"),
    ns("accepted_ns"),
    ns("expires_ns"),
)

balances = Table(
    "balances",
    metadata,
    Column("ledger_account_id", BigId, ForeignKey("ledger_accounts.id"), primary_key=True, autoincrement=False),
    Column("units", BigInteger, nullable=False),  # balance = units x 10^9 + nano: no account is too rich for it
    Column("nano", BigInteger, nullable=False),
    Column("postings", BigInteger, nullable=False),
)

USAGE_METERS = ("input", "cache_read", "cache_write", "output", "reasoning", "media", "tools")
USAGE_COUNTS = ("calls", "attempts", "not_reported", "no_usage", "unmetered", "unpriced", *USAGE_METERS)
USAGE_KEY = ("hour_ns", "account", "key", "offer", "model", "outcome", "cost_currency", "charge_currency")
USAGE_SUMS = (*USAGE_COUNTS, "cost_nano", "charge_nano")

usage_hours = Table(
    "usage_hours",
    metadata,
    Column("hour_ns", BigInteger, primary_key=True, autoincrement=False),  # start of the hour, UTC, of arrival
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("offer", BigInteger, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("cost_currency", Text, primary_key=True),  # "" for attempts without money
    Column("charge_currency", Text, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in USAGE_SUMS),
    Index("ix_usage_hours_account_hour_ns", "account", "hour_ns"),
    sqlite_with_rowid=False,
)
"""What was used and what it cost, added up by the hour; settlement keeps it in the same transaction as the readings.

calls: first attempts; attempts: all; not_reported: one side at least was counted, estimated or missing. Meters are
those prices name, added up: cache_write of all lifetimes, media = audio, image and video of either direction (of models
that are priced by images, characters or sound: those), tools = calls of tools and search units; reasoning is inside
output.
"""


def _rolled(name: str, start: str, *, whose: bool) -> Table:
    """A table of what `usage_hours` adds up to: by another time, or of all accounts and keys together."""
    return Table(
        name,
        metadata,
        Column(start, BigInteger, primary_key=True, autoincrement=False),
        *(Column(who, BigInteger, primary_key=True, autoincrement=False) for who in ("account", "key") if whose),
        Column("offer", BigInteger, primary_key=True, autoincrement=False),
        *(Column(what, Text, primary_key=True) for what in USAGE_KEY[4:]),
        *(Column(count, BigInteger, nullable=False) for count in USAGE_SUMS),
        *([Index(f"ix_{name}_account_{start}", "account", start)] if whose else []),
        sqlite_with_rowid=False,
    )


usage_days = _rolled("usage_days", "day_ns", whose=True)  # days and months of UTC
usage_months = _rolled("usage_months", "month_ns", whose=True)
load_hours = _rolled("load_hours", "hour_ns", whose=False)
load_days = _rolled("load_days", "day_ns", whose=False)
USAGE_LEVELS = (usage_hours, usage_days, usage_months, load_hours, load_days)
"""Every level is kept by settlement in the same transaction, so a question over a year reads days and months."""
