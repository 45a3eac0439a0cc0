"""The book: append-only; UPDATE, DELETE and TRUNCATE are refused by triggers."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    TableClause,
    Text,
    UniqueConstraint,
    column,
    text,
)

from baseload.store.tables.columns import NANO_MAX, BigId, big, id_column, metadata, ns, words

KINDS = ("asset", "liability", "income", "expense")

ledger_accounts = Table(
    "ledger_accounts",
    metadata,
    id_column(own=True),
    Column("code", Text, nullable=False, unique=True, comment="receivable:ACCOUNT:CUR, payable:PROVIDER:CUR, ..."),
    words("kind"),
    words("currency"),
    Column("account_id", BigInteger, nullable=True, index=True),
    Column("provider_id", BigInteger, nullable=True, index=True),
    UniqueConstraint("id", "currency"),
    CheckConstraint("kind in ('asset', 'liability', 'income', 'expense')", name="kind"),
)

readings = Table(
    "readings",
    metadata,
    id_column(own=True),
    words("gateway"),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    # as the journal's Reading, in its order; `selectors` is its `select`, `hold_currency` its `currency`
    words("call"),
    Column("attempt", BigInteger, nullable=False),
    Column("account", BigInteger, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("offer", BigInteger, nullable=False),
    Column("cost_price", BigInteger, nullable=False),
    Column("charge_price", BigInteger, nullable=False),
    Column("tariff", BigInteger, nullable=False),
    words("model"),
    words("endpoint"),
    Column("stream", Boolean, nullable=False),
    words("outcome"),
    Column("status", BigInteger, nullable=False),
    words("fault"),
    words("meters"),  # JSON object
    words("input_provenance"),
    words("output_provenance"),
    words("flags"),  # JSON array
    words("selectors"),  # JSON object
    words("reported_cost"),
    Column("raw_usage", LargeBinary, nullable=False),
    Column("delivered_output", BigInteger, nullable=False),
    ns("accepted_ns"),
    ns("sent_ns"),
    ns("first_ns"),
    ns("end_ns"),
    Column("request_bytes", BigInteger, nullable=False),
    Column("reply_bytes", BigInteger, nullable=False),
    words("upstream_id"),
    words("upstream_model"),
    words("hold_currency"),
    Column("hold_nano", BigInteger, nullable=False),
    Column("snapshot", BigInteger, nullable=False),
    ns("credential", "0"),
    ns("expected_nano", "-1"),
    words("expected", "[]"),  # JSON array: expected input, cached and output tokens
    Column("seen", LargeBinary, nullable=True, comment="the merit order, dispatch.seen; NULL or empty = not recorded"),
    words("leases", "[]"),  # JSON array: the leases it was held under
    ns("charge_max", "-1"),  # no more than this is charged; -1 = no limit
    words("fx", ""),  # numerator/denominator from the price's currency to `hold_currency`
    # as rated at settlement
    words("state"),  # settled | no_usage | unmetered | unpriced
    words("detail"),  # why it is not settled
    big("cost_nano", null=True),
    Column("cost_currency", Text, nullable=True),
    big("charge_nano", null=True),
    Column("charge_currency", Text, nullable=True),
    big("margin_ppm", null=True),  # NULL where an own price row decided
    ns("settled_ns"),
    UniqueConstraint("call", "attempt"),
    UniqueConstraint("gateway", "segment", "byte_offset"),
    Index("ix_readings_account_accepted_ns", "account", "accepted_ns"),
    Index("ix_readings_account_id", "account", "id"),  # its newest calls
    Index("ix_readings_open", "state", "id", sqlite_where=text("state in ('unmetered', 'unpriced')"),
          postgresql_where=text("state in ('unmetered', 'unpriced')")),
    CheckConstraint("state in ('settled', 'no_usage', 'unmetered', 'unpriced')", name="state"),
    CheckConstraint("(state = 'settled') = (cost_nano is not null and charge_nano is not null)", name="amounts"),
    CheckConstraint("(cost_nano is null) = (cost_currency is null)", name="cost"),
    CheckConstraint("(charge_nano is null) = (charge_currency is null)", name="charge"),
)  # fmt: skip

transactions = Table(
    "transactions",
    metadata,
    id_column(own=True),
    words("kind"),  # reading | adjustment (payments, credits, leases: whatever has a key)
    ns("at_ns"),  # of a reading: when the call arrived, which also decided its price
    Column("reading_id", BigId, ForeignKey("readings.id"), nullable=True, unique=True),  # no reading posts twice
    Column("key", Text, nullable=True, comment="what makes a repeat of an adjustment a no-op"),
    words("memo", ""),
    CheckConstraint("(kind = 'reading') = (reading_id is not null)", name="reading"),
    CheckConstraint("(kind = 'adjustment') = (key is not null)", name="key"),
    CheckConstraint("kind in ('reading', 'adjustment')", name="kind"),
    Index("uq_transactions_key", "key", unique=True, sqlite_where=text("key is not null"),
          postgresql_where=text("key is not null")),
)  # fmt: skip

postings = Table(
    "postings",
    metadata,
    Column("transaction_id", BigId, nullable=False, primary_key=True, autoincrement=False),
    Column("line", BigId, nullable=False, primary_key=True, autoincrement=False),
    Column("debit_id", BigId, nullable=False),
    Column("credit_id", BigId, nullable=False),
    words("currency"),
    Column("amount_nano", BigInteger, nullable=False, comment="from credit to debit; never negative"),
    # postings come first and the transaction closes over them, so this one is checked at commit
    ForeignKeyConstraint(["transaction_id"], ["transactions.id"], deferrable=True, initially="DEFERRED"),
    # a posting in another currency than one of its ledger accounts has no account to point to
    ForeignKeyConstraint(["debit_id", "currency"], ["ledger_accounts.id", "ledger_accounts.currency"]),
    ForeignKeyConstraint(["credit_id", "currency"], ["ledger_accounts.id", "ledger_accounts.currency"]),
    CheckConstraint(f"amount_nano between 0 and {NANO_MAX}", name="amount"),
    CheckConstraint("debit_id <> credit_id", name="two_sides"),
    sqlite_with_rowid=False,
)
"""One row is a debit and a credit of one amount in one currency: no row, so no transaction, can fail to sum to zero.

`entries` (a view) has the two sides as signed rows, for reading: debit > 0, credit < 0.
"""

entries = TableClause(
    "entries",
    *(column(name, type_) for name, type_ in (
        ("transaction_id", BigInteger()), ("line", BigInteger()), ("ledger_account_id", BigInteger()),
        ("currency", Text()), ("amount_nano", BigInteger()))),
)  # fmt: skip

resettlements = Table(
    "resettlements",
    metadata,
    Column("reading_id", BigId, ForeignKey("readings.id"), primary_key=True, autoincrement=False),
    Column("transaction_id", BigId, ForeignKey("transactions.id"), nullable=False, unique=True),
    ns("at_ns"),
    words("actor"),
    Column("cost_price", BigInteger, nullable=False),
    Column("charge_price", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    words("cost_currency"),
    Column("charge_nano", BigInteger, nullable=False),
    words("charge_currency"),
    big("margin_ppm", null=True),
)
"""A reading that could not be priced when it came, priced later. The reading itself stays as it was."""

refusals = Table(
    "refusals",
    metadata,
    id_column(own=True),
    words("gateway"),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    Column("call", Text, nullable=False, index=True),
    Column("account", BigInteger, nullable=False),
    Column("key", BigInteger, nullable=False),
    words("model"),
    words("endpoint"),
    words("code"),
    Column("status", BigInteger, nullable=False),
    ns("accepted_ns"),
    ns("end_ns"),
    UniqueConstraint("gateway", "segment", "byte_offset"),
    Index("ix_refusals_account_accepted_ns", "account", "accepted_ns"),
)

journal_notes = Table(
    "journal_notes",
    metadata,
    id_column(own=True),
    ns("at_ns"),
    words("gateway"),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    words("kind"),  # conflict (a second, different reading of an attempt) | torn | overdrawn (more than its lease)
    words("call", ""),
    Column("attempt", BigInteger, nullable=False, server_default=text("0")),
    words("detail"),  # JSON: the entry that was not settled, or what was wrong
    UniqueConstraint("gateway", "segment", "byte_offset", "kind"),  # said once, however often it is met
)
"""What settlement met in a journal and did not post. Never dropped; `ledger check` shows it."""
