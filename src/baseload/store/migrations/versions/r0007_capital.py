"""0007: capital planned and spent, by quarter and project."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "capital",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("quarter", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("transaction_id", BIG_ID, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("memo", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name=op.f("fk_capital_transaction_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capital")),
        sa.UniqueConstraint("key", name=op.f("uq_capital_key")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_capital_transaction_id")),
    )
    op.create_index(op.f("ix_capital_quarter"), "capital", ["quarter"], unique=False)
