"""0001: configuration, the double-entry book, settlement state. Frozen: a later change is a later revision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from baseload.store.migrations import guards_0001 as guards

revision = "0001"
down_revision = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # INTEGER PRIMARY KEY is SQLite's rowid


def upgrade() -> None:
    op.create_table(
        "admin_tokens",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_admin_tokens_hash")),
    )
    op.create_table(
        "audit",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at_ns"), "audit", ["at_ns"], unique=False)
    op.create_table(
        "journal_cursor",
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("moved_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("gateway", name=op.f("pk_journal_cursor")),
    )
    op.create_table(
        "journal_notes",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), server_default="", nullable=False),
        sa.Column("attempt", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_notes")),
        sa.UniqueConstraint(
            "gateway", "segment", "byte_offset", "kind", name=op.f("uq_journal_notes_gateway_segment_byte_offset_kind")
        ),
    )
    op.create_table(
        "ledger_accounts",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False, comment="receivable:ACCOUNT:CUR, payable:PROVIDER:CUR, ..."),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("provider_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind in ('asset', 'liability', 'income', 'expense')", name=op.f("ck_ledger_accounts_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_accounts")),
        sa.UniqueConstraint("code", name=op.f("uq_ledger_accounts_code")),
        sa.UniqueConstraint("id", "currency", name=op.f("uq_ledger_accounts_id_currency")),
    )
    op.create_index(op.f("ix_ledger_accounts_account_id"), "ledger_accounts", ["account_id"], unique=False)
    op.create_index(op.f("ix_ledger_accounts_provider_id"), "ledger_accounts", ["provider_id"], unique=False)
    op.create_table(
        "open_holds",
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("offer", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("hold_nano", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("accepted_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("call", "attempt", name=op.f("pk_open_holds")),
    )
    op.create_table(
        "price_rows",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="hash of the content: the same row is kept once"),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("to_ns", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_rows")),
        sa.UniqueConstraint("key", name=op.f("uq_price_rows_key")),
    )
    op.create_index(op.f("ix_price_rows_vendor_model"), "price_rows", ["vendor", "model"], unique=False)
    op.create_table(
        "providers",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), server_default="", nullable=False),
        sa.Column("abort", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("timeouts", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("extra", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("declared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("name", name=op.f("uq_providers_name")),
    )
    op.create_table(
        "readings",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("offer", sa.BigInteger(), nullable=False),
        sa.Column("cost_price", sa.BigInteger(), nullable=False),
        sa.Column("charge_price", sa.BigInteger(), nullable=False),
        sa.Column("tariff", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("stream", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("meters", sa.Text(), nullable=False),
        sa.Column("input_provenance", sa.Text(), nullable=False),
        sa.Column("output_provenance", sa.Text(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("selectors", sa.Text(), nullable=False),
        sa.Column("reported_cost", sa.Text(), nullable=False),
        sa.Column("raw_usage", sa.LargeBinary(), nullable=False),
        sa.Column("delivered_output", sa.BigInteger(), nullable=False),
        sa.Column("accepted_ns", sa.BigInteger(), nullable=False),
        sa.Column("sent_ns", sa.BigInteger(), nullable=False),
        sa.Column("first_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("request_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reply_bytes", sa.BigInteger(), nullable=False),
        sa.Column("upstream_id", sa.Text(), nullable=False),
        sa.Column("upstream_model", sa.Text(), nullable=False),
        sa.Column("hold_currency", sa.Text(), nullable=False),
        sa.Column("hold_nano", sa.BigInteger(), nullable=False),
        sa.Column("snapshot", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("cost_currency", sa.Text(), nullable=True),
        sa.Column("charge_nano", sa.BigInteger(), nullable=True),
        sa.Column("charge_currency", sa.Text(), nullable=True),
        sa.Column("margin_ppm", sa.BigInteger(), nullable=True),
        sa.Column("settled_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(state = 'settled') = (cost_nano is not null and charge_nano is not null)",
            name=op.f("ck_readings_amounts"),
        ),
        sa.CheckConstraint("state in ('settled', 'no_usage', 'unmetered', 'unpriced')", name=op.f("ck_readings_state")),
        sa.CheckConstraint("(charge_nano is null) = (charge_currency is null)", name=op.f("ck_readings_charge")),
        sa.CheckConstraint("(cost_nano is null) = (cost_currency is null)", name=op.f("ck_readings_cost")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_readings")),
        sa.UniqueConstraint("call", "attempt", name=op.f("uq_readings_call_attempt")),
        sa.UniqueConstraint("gateway", "segment", "byte_offset", name=op.f("uq_readings_gateway_segment_byte_offset")),
    )
    op.create_index("ix_readings_account_accepted_ns", "readings", ["account", "accepted_ns"], unique=False)
    op.create_index(
        "ix_readings_open",
        "readings",
        ["state", "id"],
        unique=False,
        sqlite_where=sa.text("state in ('unmetered', 'unpriced')"),
        postgresql_where=sa.text("state in ('unmetered', 'unpriced')"),
    )
    op.create_table(
        "refusals",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("accepted_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusals")),
        sa.UniqueConstraint("gateway", "segment", "byte_offset", name=op.f("uq_refusals_gateway_segment_byte_offset")),
    )
    op.create_index("ix_refusals_account_accepted_ns", "refusals", ["account", "accepted_ns"], unique=False)
    op.create_index(op.f("ix_refusals_call"), "refusals", ["call"], unique=False)
    op.create_table(
        "settings",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_settings")),
    )
    op.create_table(
        "tariffs",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("margin_ppm", sa.BigInteger(), nullable=False, comment="charge = cost x (1e6 + margin_ppm) / 1e6"),
        sa.Column("prices", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("declared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariffs")),
        sa.UniqueConstraint("name", name=op.f("uq_tariffs_name")),
    )
    op.create_table(
        "usage_hours",
        sa.Column("hour_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("offer", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("cost_currency", sa.Text(), nullable=False),
        sa.Column("charge_currency", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("not_reported", sa.BigInteger(), nullable=False),
        sa.Column("no_usage", sa.BigInteger(), nullable=False),
        sa.Column("unmetered", sa.BigInteger(), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.Column("input", sa.BigInteger(), nullable=False),
        sa.Column("cache_read", sa.BigInteger(), nullable=False),
        sa.Column("cache_write", sa.BigInteger(), nullable=False),
        sa.Column("output", sa.BigInteger(), nullable=False),
        sa.Column("reasoning", sa.BigInteger(), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("tools", sa.BigInteger(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=False),
        sa.Column("charge_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hour_ns",
            "account",
            "key",
            "offer",
            "model",
            "outcome",
            "cost_currency",
            "charge_currency",
            name=op.f("pk_usage_hours"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_usage_hours_account_hour_ns", "usage_hours", ["account", "hour_ns"], unique=False)
    op.create_table(
        "accounts",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", BIG_ID, nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("tariff_id", BIG_ID, nullable=False),
        sa.Column("declared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["accounts.id"], name=op.f("fk_accounts_parent_id")),
        sa.ForeignKeyConstraint(["tariff_id"], ["tariffs.id"], name=op.f("fk_accounts_tariff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )
    op.create_index(op.f("ix_accounts_parent_id"), "accounts", ["parent_id"], unique=False)
    op.create_table(
        "balances",
        sa.Column("ledger_account_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("postings", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ledger_account_id"], ["ledger_accounts.id"], name=op.f("fk_balances_ledger_account_id")
        ),
        sa.PrimaryKeyConstraint("ledger_account_id", name=op.f("pk_balances")),
    )
    op.create_table(
        "offers",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("provider_id", BIG_ID, nullable=False),
        sa.Column("upstream_model", sa.Text(), nullable=False),
        sa.Column("endpoints", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("prices", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("extra", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("declared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_offers_provider_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
        sa.UniqueConstraint("name", name=op.f("uq_offers_name")),
    )
    op.create_index(op.f("ix_offers_model"), "offers", ["model"], unique=False)
    op.create_index(op.f("ix_offers_provider_id"), "offers", ["provider_id"], unique=False)
    op.create_table(
        "tariff_versions",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("tariff_id", BIG_ID, nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("margin_ppm", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tariff_id"], ["tariffs.id"], name=op.f("fk_tariff_versions_tariff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff_versions")),
    )
    op.create_index(op.f("ix_tariff_versions_tariff_id"), "tariff_versions", ["tariff_id"], unique=False)
    op.create_table(
        "transactions",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("reading_id", BIG_ID, nullable=True),
        sa.Column("key", sa.Text(), nullable=True, comment="what makes a repeat of an adjustment a no-op"),
        sa.Column("memo", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(kind = 'adjustment') = (key is not null)", name=op.f("ck_transactions_key")),
        sa.CheckConstraint("(kind = 'reading') = (reading_id is not null)", name=op.f("ck_transactions_reading")),
        sa.CheckConstraint("kind in ('reading', 'adjustment')", name=op.f("ck_transactions_kind")),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name=op.f("fk_transactions_reading_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transactions")),
        sa.UniqueConstraint("reading_id", name=op.f("uq_transactions_reading_id")),
    )
    op.create_index(
        "uq_transactions_key",
        "transactions",
        ["key"],
        unique=True,
        sqlite_where=sa.text("key is not null"),
        postgresql_where=sa.text("key is not null"),
    )
    op.create_table(
        "keys",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="vault.key_hash; the key itself is never kept"),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("models", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("revoked_ns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("declared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_keys_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_keys_hash")),
    )
    op.create_index(op.f("ix_keys_account_id"), "keys", ["account_id"], unique=False)
    op.create_table(
        "postings",
        sa.Column("transaction_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("line", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("debit_id", BIG_ID, nullable=False),
        sa.Column("credit_id", BIG_ID, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False, comment="from credit to debit; never negative"),
        sa.CheckConstraint("amount_nano between 0 and 4611686018427387904", name=op.f("ck_postings_amount")),
        sa.CheckConstraint("debit_id <> credit_id", name=op.f("ck_postings_two_sides")),
        sa.ForeignKeyConstraint(
            ["credit_id", "currency"],
            ["ledger_accounts.id", "ledger_accounts.currency"],
            name=op.f("fk_postings_credit_id_currency"),
        ),
        sa.ForeignKeyConstraint(
            ["debit_id", "currency"],
            ["ledger_accounts.id", "ledger_accounts.currency"],
            name=op.f("fk_postings_debit_id_currency"),
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name=op.f("fk_postings_transaction_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("transaction_id", "line", name=op.f("pk_postings")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "resettlements",
        sa.Column("reading_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("transaction_id", BIG_ID, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cost_price", sa.BigInteger(), nullable=False),
        sa.Column("charge_price", sa.BigInteger(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=False),
        sa.Column("cost_currency", sa.Text(), nullable=False),
        sa.Column("charge_nano", sa.BigInteger(), nullable=False),
        sa.Column("charge_currency", sa.Text(), nullable=False),
        sa.Column("margin_ppm", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name=op.f("fk_resettlements_reading_id")),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name=op.f("fk_resettlements_transaction_id")),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_resettlements")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_resettlements_transaction_id")),
    )

    statements = guards.sqlite() if op.get_bind().dialect.name == "sqlite" else guards.postgresql()
    for statement in statements:
        op.execute(sa.DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
