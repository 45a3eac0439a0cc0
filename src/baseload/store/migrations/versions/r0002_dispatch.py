"""0002: policies, groups of models, and what each decision expected and saw."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("policy", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("declared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("name", name=op.f("uq_policies_name")),
    )
    op.create_table(
        "model_groups",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("models", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("policy", sa.Text(), server_default="", nullable=False),
        sa.Column("declared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_model_groups_name")),
    )
    for table, column in (
        ("accounts", sa.Column("extra", sa.JSON(), server_default=sa.text("'{}'"), nullable=False)),
        ("keys", sa.Column("policy", sa.Text(), server_default="", nullable=False)),
        ("readings", sa.Column("credential", sa.BigInteger(), server_default=sa.text("0"), nullable=False)),
        ("readings", sa.Column("expected_nano", sa.BigInteger(), server_default=sa.text("-1"), nullable=False)),
        ("readings", sa.Column("expected", sa.Text(), server_default="[]", nullable=False)),
        ("readings", sa.Column("seen", sa.LargeBinary(), nullable=True,
                               comment="the merit order, dispatch.seen; NULL or empty = not recorded")),
    ):  # fmt: skip
        op.add_column(table, column)
