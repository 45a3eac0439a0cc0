"""Money: limits, leases, payments, invoices, reconciliation (docs/rooms/money-system.md)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from baseload.store.tables.columns import BigId, big, flag, id_column, json_column, metadata, ns, words

purses = Table(
    "purses",
    metadata,
    id_column(),
    words("kind"),  # funding (prepaid balance and credit line) | budget
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("key_id", BigId, ForeignKey("keys.id"), nullable=True, index=True),  # a budget of one key
    words("name"),
    words("currency"),
    Column("hard", Boolean, nullable=False),
    words("period"),  # total | day | week | month
    words("zone"),  # IANA name, where days begin
    Column("limit_nano", BigInteger, nullable=False),  # of a budget; the credit line of a funding
    json_column("warn", "[]"),  # per cent of the limit at which an alert is made
    ns("from_ns"),
    ns("to_ns", "0"),  # 0 = in force
    flag("declared"),
    CheckConstraint("kind in ('funding', 'budget')", name="kind"),
    CheckConstraint("period in ('total', 'day', 'week', 'month')", name="period"),
    CheckConstraint("limit_nano >= 0", name="limit"),
)
"""What limits spending: money of an account, or a budget. An account's own calls and those below it count."""

purse_windows = Table(
    "purse_windows",
    metadata,
    Column("purse_id", BigId, ForeignKey("purses.id"), primary_key=True, autoincrement=False),
    Column("window_ns", BigInteger, primary_key=True, autoincrement=False),  # begin of its day, week, month; 0 = total
    Column("spent_nano", BigInteger, nullable=False),  # charges settled
    Column("pending_nano", BigInteger, nullable=False),  # held for readings that wait for a price
    CheckConstraint("spent_nano >= 0 and pending_nano >= 0", name="spent"),
)

leases = Table(
    "leases",
    metadata,
    id_column(),
    Column("purse_id", BigId, ForeignKey("purses.id"), nullable=False),
    ns("window_ns"),
    words("journal"),  # the gateway's journal, journal.identity.journal_name
    words("epoch"),  # one run of that gateway
    Column("granted_nano", BigInteger, nullable=False),
    Column("consumed_nano", BigInteger, nullable=False),  # by readings settled
    Column("returned_nano", BigInteger, nullable=False),
    Column("grants", BigInteger, nullable=False),  # grants and returns so far: the last part of their posting's key
    ns("granted_ns"),
    ns("expires_ns"),
    words("state"),  # open | closing (home when its journal is settled up to the place below) | home
    Column("home_segment", BigInteger, nullable=False, server_default=text("0")),
    Column("home_offset", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("purse_id", "window_ns", "journal", "epoch"),
    Index("ix_leases_live", "journal", "epoch", sqlite_where=text("state <> 'home'"),
          postgresql_where=text("state <> 'home'")),
    CheckConstraint("state in ('open', 'closing', 'home')", name="state"),
    CheckConstraint("granted_nano >= consumed_nano + returned_nano", name="sound"),
    CheckConstraint("consumed_nano >= 0 and returned_nano >= 0", name="signs"),
)  # fmt: skip
"""Money of a purse that one run of one gateway may spend without asking. Every grant and return is a posting too."""

gateways = Table(
    "gateways",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=True, comment="of its token; NULL = it lives in this home"),
    words("journal", ""),
    words("epoch", ""),
    ns("made_ns"),
    ns("seen_ns", "0"),
    ns("retired_ns", "0"),
)

tariff_rules = Table(
    "tariff_rules",
    metadata,
    id_column(),
    Column("tariff_id", BigId, ForeignKey("tariffs.id"), nullable=False, index=True),
    ns("from_ns"),
    words("body"),  # ledger.tariffs.Rules as JSON
)
"""What a tariff says beyond margin and prices, from when on. A row for every change."""

charges = Table(
    "charges",
    metadata,
    Column("reading_id", BigId, ForeignKey("readings.id"), primary_key=True, autoincrement=False),
    Column("rule", BigInteger, nullable=False),  # tariff_rules.id, 0 = none
    Column("list_nano", BigInteger, nullable=False),  # before the rule, in the charge's currency
    Column("discount_ppm", BigInteger, nullable=False),
    Column("allowance_nano", BigInteger, nullable=False),  # paid by the allowance
    Column("absorbed_nano", BigInteger, nullable=False),  # beyond what the account had set aside: nobody pays it
)
"""How a charge came about where it is not simply what its price says."""

tariff_months = Table(
    "tariff_months",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("month_ns", BigInteger, primary_key=True, autoincrement=False),  # its begin, UTC
    Column("currency", Text, primary_key=True),
    Column("volume_nano", BigInteger, nullable=False),  # charged so far
    Column("allowance_nano", BigInteger, nullable=False),  # paid by allowances so far
)
"""What discounts by volume and allowances depend on; settlement keeps it."""

fx_rates = Table(
    "fx_rates",
    metadata,
    id_column(),
    words("currency"),
    words("base"),
    words("rate"),  # decimal: units of base for one of currency
    ns("from_ns"),
    words("source", ""),
    UniqueConstraint("currency", "base", "from_ns"),
)

payments = Table(
    "payments",
    metadata,
    id_column(),
    Column("key", Text, nullable=False, unique=True, comment="a repeat is a no-op"),
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=False, index=True),
    words("kind"),  # topup | refund | code | credit | debit | stripe | webhook
    Column("nano", BigInteger, nullable=False),  # what the account's balance moved by
    words("currency"),
    Column("transaction_id", BigId, ForeignKey("transactions.id"), nullable=False, unique=True),
    ns("at_ns"),
    words("actor"),
    words("memo", ""),
)

codes = Table(
    "codes",
    metadata,
    id_column(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    words("prefix"),
    Column("nano", BigInteger, nullable=False),
    words("currency"),
    words("memo", ""),
    ns("made_ns"),
    ns("expires_ns", "0"),
    ns("revoked_ns", "0"),
)

redemptions = Table(
    "redemptions",
    metadata,
    Column("code_id", BigId, ForeignKey("codes.id"), primary_key=True, autoincrement=False),
    Column("payment_id", BigId, ForeignKey("payments.id"), nullable=False, unique=True),
    ns("at_ns"),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("source", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    ns("at_ns"),
    words("outcome"),
)

invoices = Table(
    "invoices",
    metadata,
    id_column(own=True),
    Column("number", Text, nullable=False, unique=True),
    words("kind"),  # invoice | credit_note
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=False, index=True),
    ns("start_ns"),
    ns("end_ns"),
    Column("last_transaction", BigInteger, nullable=False),
    words("currency"),
    Column("net_nano", BigInteger, nullable=False),
    Column("tax_nano", BigInteger, nullable=False),
    Column("refers_to", BigId, ForeignKey("invoices.id"), nullable=True, index=True),
    ns("issued_ns"),
    words("actor"),
    words("body"),  # the whole document as JSON, as it was issued
    CheckConstraint("kind in ('invoice', 'credit_note')", name="kind"),
    CheckConstraint("(kind = 'credit_note') = (refers_to is not null)", name="refers"),
)

statements = Table(
    "statements",
    metadata,
    id_column(),
    Column("provider_id", BigId, ForeignKey("providers.id"), nullable=False, index=True),
    words("format"),
    Column("hash", LargeBinary, nullable=False, comment="of the file: imported once"),
    ns("start_ns"),
    ns("end_ns"),
    ns("imported_ns"),
    words("actor"),
    UniqueConstraint("provider_id", "hash"),
)
"""A vendor's own account of what was used: a usage export or an invoice."""

statement_lines = Table(
    "statement_lines",
    metadata,
    Column("statement_id", BigId, ForeignKey("statements.id"), primary_key=True, autoincrement=False),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    ns("day_ns"),  # begin of its day, UTC
    words("model"),
    words("credential", ""),
    words("request", ""),  # the vendor's id of one request, where it tells it
    words("currency", ""),
    big("nano", null=True),  # NULL = it names no money
    words("meters", "{}"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("key", Text, primary_key=True),  # statement:difference
    Column("statement_id", BigId, ForeignKey("statements.id"), nullable=False, index=True),
    Column("transaction_id", BigId, ForeignKey("transactions.id"), nullable=False, unique=True),
    ns("at_ns"),
    words("actor"),
)
"""Differences between a statement and the book that were posted."""

capital = Table(
    "capital",
    metadata,
    id_column(),
    Column("key", Text, nullable=False, unique=True),
    words("kind"),  # planned | spent
    Column("quarter", Text, nullable=False, index=True),  # 2026-Q4
    words("project"),
    words("currency"),
    Column("transaction_id", BigId, ForeignKey("transactions.id"), nullable=False, unique=True),
    ns("at_ns"),
    words("actor"),
    words("memo", ""),
)
"""Which quarter and project a movement of capital is for; its amount is what its postings add up to."""

alerts = Table(
    "alerts",
    metadata,
    id_column(),
    Column("key", Text, nullable=False, unique=True),
    ns("at_ns"),
    words("kind"),
    words("body"),  # JSON
    ns("sent_ns", "0"),
    Column("tries", BigInteger, nullable=False, server_default=text("0")),
    words("trouble", ""),
)

archives = Table(
    "archives",
    metadata,
    id_column(),
    ns("start_ns"),
    ns("end_ns"),
    words("file"),
    Column("hash", LargeBinary, nullable=False, comment="SHA-256 of the file"),
    Column("readings", BigInteger, nullable=False),
    ns("made_ns"),
    words("actor"),
)
"""Readings written to Parquet."""
