"""0003: money: purses, leases, payments, invoices, statements of vendors, dated rates; the audit log as a chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = (
    "tariff_rules", "charges", "fx_rates", "payments", "redemptions", "webhook_events", "invoices", "statements",
    "statement_lines", "approvals", "archives",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sent_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("trouble", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("key", name=op.f("uq_alerts_key")),
    )
    op.create_table(
        "archives",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the file"),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archives")),
    )
    op.create_table(
        "codes",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("memo", sa.Text(), server_default="", nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("revoked_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_codes")),
        sa.UniqueConstraint("hash", name=op.f("uq_codes_hash")),
    )
    op.create_table(
        "fx_rates",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("rate", sa.Text(), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fx_rates")),
        sa.UniqueConstraint("currency", "base", "from_ns", name=op.f("uq_fx_rates_currency_base_from_ns")),
    )
    op.create_table(
        "gateways",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=True, comment="of its token; NULL = it lives in this home"),
        sa.Column("journal", sa.Text(), server_default="", nullable=False),
        sa.Column("epoch", sa.Text(), server_default="", nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("seen_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("retired_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateways")),
        sa.UniqueConstraint("name", name=op.f("uq_gateways_name")),
    )
    op.create_table(
        "webhook_events",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "event", name=op.f("pk_webhook_events")),
    )
    op.create_table(
        "tariff_months",
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("month_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("volume_nano", sa.BigInteger(), nullable=False),
        sa.Column("allowance_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "month_ns", "currency", name=op.f("pk_tariff_months")),
    )
    op.create_table(
        "charges",
        sa.Column("reading_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("rule", sa.BigInteger(), nullable=False),
        sa.Column("list_nano", sa.BigInteger(), nullable=False),
        sa.Column("discount_ppm", sa.BigInteger(), nullable=False),
        sa.Column("allowance_nano", sa.BigInteger(), nullable=False),
        sa.Column("absorbed_nano", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name=op.f("fk_charges_reading_id")),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_charges")),
    )
    op.create_table(
        "statements",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("provider_id", BIG_ID, nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="of the file: imported once"),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("imported_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_statements_provider_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
        sa.UniqueConstraint("provider_id", "hash", name=op.f("uq_statements_provider_id_hash")),
    )
    op.create_index(op.f("ix_statements_provider_id"), "statements", ["provider_id"], unique=False)
    op.create_table(
        "tariff_rules",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("tariff_id", BIG_ID, nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tariff_id"], ["tariffs.id"], name=op.f("fk_tariff_rules_tariff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff_rules")),
    )
    op.create_index(op.f("ix_tariff_rules_tariff_id"), "tariff_rules", ["tariff_id"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("statement_id", BIG_ID, nullable=False),
        sa.Column("transaction_id", BIG_ID, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["statement_id"], ["statements.id"], name=op.f("fk_approvals_statement_id")),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name=op.f("fk_approvals_transaction_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_approvals")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_approvals_transaction_id")),
    )
    op.create_index(op.f("ix_approvals_statement_id"), "approvals", ["statement_id"], unique=False)
    op.create_table(
        "invoices",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("last_transaction", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("net_nano", sa.BigInteger(), nullable=False),
        sa.Column("tax_nano", sa.BigInteger(), nullable=False),
        sa.Column("refers_to", BIG_ID, nullable=True),
        sa.Column("issued_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint("(kind = 'credit_note') = (refers_to is not null)", name=op.f("ck_invoices_refers")),
        sa.CheckConstraint("kind in ('invoice', 'credit_note')", name=op.f("ck_invoices_kind")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_invoices_account_id")),
        sa.ForeignKeyConstraint(["refers_to"], ["invoices.id"], name=op.f("fk_invoices_refers_to")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
        sa.UniqueConstraint("number", name=op.f("uq_invoices_number")),
    )
    op.create_index(op.f("ix_invoices_account_id"), "invoices", ["account_id"], unique=False)
    op.create_index(op.f("ix_invoices_refers_to"), "invoices", ["refers_to"], unique=False)
    op.create_table(
        "payments",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="a repeat is a no-op"),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("transaction_id", BIG_ID, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("memo", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_payments_account_id")),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name=op.f("fk_payments_transaction_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("key", name=op.f("uq_payments_key")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_payments_transaction_id")),
    )
    op.create_index(op.f("ix_payments_account_id"), "payments", ["account_id"], unique=False)
    op.create_table(
        "statement_lines",
        sa.Column("statement_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day_ns", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), server_default="", nullable=False),
        sa.Column("request", sa.Text(), server_default="", nullable=False),
        sa.Column("currency", sa.Text(), server_default="", nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=True),
        sa.Column("meters", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["statement_id"], ["statements.id"], name=op.f("fk_statement_lines_statement_id")),
        sa.PrimaryKeyConstraint("statement_id", "line", name=op.f("pk_statement_lines")),
    )
    op.create_table(
        "purses",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("key_id", BIG_ID, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("hard", sa.Boolean(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("limit_nano", sa.BigInteger(), nullable=False),
        sa.Column("warn", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("to_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("declared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("kind in ('funding', 'budget')", name=op.f("ck_purses_kind")),
        sa.CheckConstraint("period in ('total', 'day', 'week', 'month')", name=op.f("ck_purses_period")),
        sa.CheckConstraint("limit_nano >= 0", name=op.f("ck_purses_limit")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_purses_account_id")),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_purses_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purses")),
    )
    op.create_index(op.f("ix_purses_account_id"), "purses", ["account_id"], unique=False)
    op.create_index(op.f("ix_purses_key_id"), "purses", ["key_id"], unique=False)
    op.create_table(
        "redemptions",
        sa.Column("code_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("payment_id", BIG_ID, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["code_id"], ["codes.id"], name=op.f("fk_redemptions_code_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_redemptions_payment_id")),
        sa.PrimaryKeyConstraint("code_id", name=op.f("pk_redemptions")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_redemptions_payment_id")),
    )
    op.create_table(
        "leases",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("purse_id", BIG_ID, nullable=False),
        sa.Column("window_ns", sa.BigInteger(), nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("granted_nano", sa.BigInteger(), nullable=False),
        sa.Column("consumed_nano", sa.BigInteger(), nullable=False),
        sa.Column("returned_nano", sa.BigInteger(), nullable=False),
        sa.Column("grants", sa.BigInteger(), nullable=False),
        sa.Column("granted_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("home_segment", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("home_offset", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("state in ('open', 'closing', 'home')", name=op.f("ck_leases_state")),
        sa.CheckConstraint("consumed_nano >= 0 and returned_nano >= 0", name=op.f("ck_leases_signs")),
        sa.CheckConstraint("granted_nano >= consumed_nano + returned_nano", name=op.f("ck_leases_sound")),
        sa.ForeignKeyConstraint(["purse_id"], ["purses.id"], name=op.f("fk_leases_purse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
        sa.UniqueConstraint(
            "purse_id", "window_ns", "journal", "epoch", name=op.f("uq_leases_purse_id_window_ns_journal_epoch")
        ),
    )
    op.create_index(
        "ix_leases_live",
        "leases",
        ["journal", "epoch"],
        unique=False,
        sqlite_where=sa.text("state <> 'home'"),
        postgresql_where=sa.text("state <> 'home'"),
    )
    op.create_table(
        "purse_windows",
        sa.Column("purse_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("window_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("spent_nano", sa.BigInteger(), nullable=False),
        sa.Column("pending_nano", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("spent_nano >= 0 and pending_nano >= 0", name=op.f("ck_purse_windows_spent")),
        sa.ForeignKeyConstraint(["purse_id"], ["purses.id"], name=op.f("fk_purse_windows_purse_id")),
        sa.PrimaryKeyConstraint("purse_id", "window_ns", name=op.f("pk_purse_windows")),
    )
    op.add_column(
        "audit",
        sa.Column(
            "hash",
            sa.LargeBinary(),
            nullable=True,
            comment="over this row and the hash before it; NULL = before the chain",
        ),
    )
    op.add_column("keys", sa.Column("limits", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("readings", sa.Column("leases", sa.Text(), server_default="[]", nullable=False))
    op.add_column("readings", sa.Column("charge_max", sa.BigInteger(), server_default=sa.text("-1"), nullable=False))
    op.add_column("readings", sa.Column("fx", sa.Text(), server_default="", nullable=False))
    op.add_column("tariffs", sa.Column("rules", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    for table in APPEND_ONLY:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION baseload_append_only()"
            )
            continue
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN "
                f"SELECT RAISE(ABORT, '{table} is append-only: {verb} refused'); END"
            )
