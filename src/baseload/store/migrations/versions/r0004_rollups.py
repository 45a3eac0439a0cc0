"""0004: usage by day and month, and by hour and day of all accounts together, from what is there by the hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SUMS = (
    "calls", "attempts", "not_reported", "no_usage", "unmetered", "unpriced", "input", "cache_read", "cache_write",
    "output", "reasoning", "media", "tools", "cost_nano", "charge_nano",
)  # fmt: skip
WHO = ("account", "key")
WHAT = ("offer", "model", "outcome", "cost_currency", "charge_currency")
DAY = "hour_ns - hour_ns % 86400000000000"
MONTH = {
    "sqlite": "CAST(strftime('%s', hour_ns / 1000000000, 'unixepoch', 'start of month') AS INTEGER) * 1000000000",
    "postgresql": "CAST(extract(epoch from date_trunc('month', to_timestamp(hour_ns / 1000000000) AT TIME ZONE 'UTC') "
    "AT TIME ZONE 'UTC') AS BIGINT) * 1000000000",
}


def upgrade() -> None:
    month = MONTH[op.get_bind().dialect.name]
    _level("usage_days", "day_ns", DAY, WHO)
    _level("usage_months", "month_ns", month, WHO)
    _level("load_hours", "hour_ns", "hour_ns", ())
    _level("load_days", "day_ns", DAY, ())
    op.create_index("ix_readings_account_id", "readings", ["account", "id"], unique=False)


def _level(name: str, start: str, begin: str, who: tuple[str, ...]) -> None:
    numbers, texts = (start, *who, "offer"), WHAT[1:]
    op.create_table(
        name,
        *(sa.Column(column, sa.BigInteger(), autoincrement=False, nullable=False) for column in numbers),
        *(sa.Column(column, sa.Text(), nullable=False) for column in texts),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in SUMS),
        sa.PrimaryKeyConstraint(*numbers, *texts, name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )
    if who:
        op.create_index(f"ix_{name}_account_{start}", name, ["account", start], unique=False)
    key = ", ".join((*who, *WHAT))
    summed = ", ".join(f"CAST(sum({column}) AS BIGINT)" for column in SUMS)
    op.execute(
        f"INSERT INTO {name} ({start}, {key}, {', '.join(SUMS)}) "  # noqa: S608 -- constants of this file
        f"SELECT {begin} AS at, {key}, {summed} FROM usage_hours GROUP BY at, {key}"
    )
