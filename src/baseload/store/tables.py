"""What the database keeps. One `MetaData`; migrations make it, a test holds the two together.

Configuration (mutable): accounts, keys, providers, offers, tariffs, admin_tokens, people,
sessions, links, sign_in_tries, api_tokens, settings. `tariff_versions`, `audit`
and `price_rows` only grow.
The book (append-only, UPDATE, DELETE and TRUNCATE refused by triggers): ledger_accounts, transactions, postings,
readings, resettlements, refusals, journal_notes.
Money (docs/rooms/money-system.md): purses, purse_windows, leases, payments, codes, invoices, statements, fx_rates.
State that can be computed again from the book: journal_cursor, open_holds, balances, usage_hours and what is added up
from it (USAGE_LEVELS), purse_windows, tariff_months.

Units: `_ns` wall-clock nanoseconds since the epoch (UTC); `_nano` 1e-9 of the named currency in a signed 64-bit
integer. Limits: a posting is at most 2^62 nano-units (4.6 thousand million units of currency), refused beyond by a
CHECK. A sum over postings is made in two halves (`sum_nano`), so that no total of fewer than 10^9 such postings can
overflow on either database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TableClause,
    Text,
    UniqueConstraint,
    column,
    func,
    text,
)
from sqlalchemy.types import JSON

NANO_MAX = 2**62  # of one posting
GIGA = 10**9
_DIVISION = 8  # SQLAlchemy's rank of it

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
BigId = BigInteger().with_variant(Integer(), "sqlite")  # INTEGER PRIMARY KEY is SQLite's rowid


def _id(*, own: bool = False) -> Column[int]:
    """`own`: ids given by the ledger, dense and in order, so that a missing row shows."""
    return Column("id", BigId, primary_key=True, autoincrement=not own)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def _ns(name: str, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text(default) if default is not None else None)


def _big(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _json(name: str, default: str) -> Column[Any]:
    return Column(name, JSON, nullable=False, server_default=text(f"'{default}'"))


# -- configuration ---------------------------------------------------------------------------------------------------

tariffs = Table(
    "tariffs",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("margin_ppm", BigInteger, nullable=False, comment="charge = cost x (1e6 + margin_ppm) / 1e6"),
    _json("prices", "{}"),  # model -> [price row ids] that replace cost plus margin
    _json("rules", "{}"),  # discounts, allowance, minimum, floor, currency: ledger.tariffs.Rules
    _flag("declared"),  # made by the configuration file, edited only there
)
"""A change of `margin_ppm` is kept with its instant in `tariff_versions` by a trigger: old calls keep their margin."""

tariff_versions = Table(
    "tariff_versions",
    metadata,
    _id(),
    Column("tariff_id", BigId, ForeignKey("tariffs.id"), nullable=False, index=True),
    _ns("from_ns"),
    Column("margin_ppm", BigInteger, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("parent_id", BigId, ForeignKey("accounts.id"), nullable=True, index=True),
    _text("currency"),
    Column("tariff_id", BigId, ForeignKey("tariffs.id"), nullable=False),
    _flag("declared"),
    _flag("disabled"),
    _ns("created_ns"),
    _json("extra", "{}"),  # policy (a name), priority, weight, limits
)

keys = Table(
    "keys",
    metadata,
    _id(),
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=False, index=True),
    _text("name"),
    Column("hash", LargeBinary, nullable=False, unique=True, comment="vault.key_hash; the key itself is never kept"),
    _text("prefix"),
    _json("models", "[]"),  # empty = every model
    _ns("expires_ns", "0"),  # 0 = never
    _ns("revoked_ns", "0"),  # 0 = valid
    _ns("created_ns"),
    _flag("declared"),
    _text("policy", ""),  # a policy's name, "" = none of its own
    _json("limits", "{}"),  # dispatch.policy.Limits of this key alone
)

policies = Table(
    "policies",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _json("policy", "{}"),  # dispatch.policy.Policy
    _flag("declared"),
    _flag("disabled"),
)

model_groups = Table(
    "model_groups",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _json("models", "[]"),
    _text("policy", ""),  # a policy's name
    _flag("declared"),
    _flag("disabled"),
)

providers = Table(
    "providers",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _text("kind"),  # vendor | engine
    _text("dialect"),
    _text("base_url"),
    _text("credential", ""),  # a reference: env:NAME, file:PATH, sealed:BASE64
    _text("abort", "unknown"),
    _json("timeouts", "{}"),  # connect_timeout_s, first_byte_timeout_s, idle_timeout_s
    _json("extra", "{}"),  # connections_max, ca_file, cache_ttl, credentials, region, residency, limits
    _flag("declared"),
    _flag("disabled"),
)

offers = Table(
    "offers",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("model", Text, nullable=False, index=True),
    Column("provider_id", BigId, ForeignKey("providers.id"), nullable=False, index=True),
    _text("upstream_model"),
    _json("endpoints", "[]"),
    _json("prices", "[]"),  # price row ids, one in force at an instant
    _json("extra", "{}"),  # context_max, output_max, bytes_per_token, capabilities, region, quality, ...
    _flag("declared"),
    _flag("disabled"),
)

admin_tokens = Table(
    "admin_tokens",
    metadata,
    _id(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    _text("name", ""),
    _ns("created_ns"),
    _ns("revoked_ns", "0"),
)

people = Table(
    "people",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _text("password", ""),  # argon2id's own text; "" = none yet, a link makes one
    _text("role"),  # control.people.roles.ROLES
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=True, index=True),  # of a member
    _ns("made_ns"),
    _flag("disabled"),
    _text("totp", ""),  # the device's secret, sealed; "" = a password is enough
    _ns("totp_step", "0"),  # the last one that was used
    _json("recovery", "[]"),  # hashes of codes for the day the device is lost
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # of the cookie; the cookie itself is never kept
    Column("person_id", BigId, ForeignKey("people.id"), nullable=False, index=True),
    _ns("made_ns"),
    _ns("seen_ns"),
    _text("agent", ""),
)

links = Table(
    "links",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("person_id", BigId, ForeignKey("people.id"), nullable=True),  # NULL = for the first owner
    _ns("expires_ns"),
    _ns("used_ns", "0"),
)
"""Links that are good once: for the first owner, and for a person to choose a password."""

sign_in_tries = Table(
    "sign_in_tries",
    metadata,
    Column("who", Text, primary_key=True),  # name:NAME or address:ADDRESS
    Column("failures", BigInteger, nullable=False),
    _ns("until_ns"),  # no try before
)

api_tokens = Table(
    "api_tokens",
    metadata,
    _id(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    _text("prefix"),
    _text("name"),
    _text("role"),
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=True),
    _text("made_by"),
    _ns("made_ns"),
    _ns("expires_ns", "0"),  # 0 = never
    _ns("used_ns", "0"),
    _ns("revoked_ns", "0"),
)

settings = Table("settings", metadata, Column("key", Text, primary_key=True), Column("value", JSON, nullable=False))

audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at_ns", BigInteger, nullable=False, index=True),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _json("detail", "{}"),
    Column("hash", LargeBinary, nullable=True, comment="over this row and the hash before it; NULL = before the chain"),
)

price_rows = Table(
    "price_rows",
    metadata,
    _id(),
    Column("key", Text, nullable=False, unique=True, comment="hash of the content: the same row is kept once"),
    _text("book"),
    _text("vendor"),
    _text("model"),
    _text("scope"),
    _text("currency"),
    _ns("from_ns"),
    _ns("to_ns"),
    _text("body"),  # the row as JSON, as it was rated by
    Index(None, "vendor", "model"),
)

# -- the book --------------------------------------------------------------------------------------------------------

KINDS = ("asset", "liability", "income", "expense")

ledger_accounts = Table(
    "ledger_accounts",
    metadata,
    _id(own=True),
    Column("code", Text, nullable=False, unique=True, comment="receivable:ACCOUNT:CUR, payable:PROVIDER:CUR, ..."),
    _text("kind"),
    _text("currency"),
    Column("account_id", BigInteger, nullable=True, index=True),
    Column("provider_id", BigInteger, nullable=True, index=True),
    UniqueConstraint("id", "currency"),
    CheckConstraint("kind in ('asset', 'liability', 'income', 'expense')", name="kind"),
)

readings = Table(
    "readings",
    metadata,
    _id(own=True),
    _text("gateway"),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    # as the journal's Reading, in its order; `selectors` is its `select`, `hold_currency` its `currency`
    _text("call"),
    Column("attempt", BigInteger, nullable=False),
    Column("account", BigInteger, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("offer", BigInteger, nullable=False),
    Column("cost_price", BigInteger, nullable=False),
    Column("charge_price", BigInteger, nullable=False),
    Column("tariff", BigInteger, nullable=False),
    _text("model"),
    _text("endpoint"),
    Column("stream", Boolean, nullable=False),
    _text("outcome"),
    Column("status", BigInteger, nullable=False),
    _text("fault"),
    _text("meters"),  # JSON object
    _text("input_provenance"),
    _text("output_provenance"),
    _text("flags"),  # JSON array
    _text("selectors"),  # JSON object
    _text("reported_cost"),
    Column("raw_usage", LargeBinary, nullable=False),
    Column("delivered_output", BigInteger, nullable=False),
    _ns("accepted_ns"),
    _ns("sent_ns"),
    _ns("first_ns"),
    _ns("end_ns"),
    Column("request_bytes", BigInteger, nullable=False),
    Column("reply_bytes", BigInteger, nullable=False),
    _text("upstream_id"),
    _text("upstream_model"),
    _text("hold_currency"),
    Column("hold_nano", BigInteger, nullable=False),
    Column("snapshot", BigInteger, nullable=False),
    _ns("credential", "0"),
    _ns("expected_nano", "-1"),
    _text("expected", "[]"),  # JSON array: expected input, cached and output tokens
    Column("seen", LargeBinary, nullable=True, comment="the merit order, dispatch.seen; NULL or empty = not recorded"),
    _text("leases", "[]"),  # JSON array: the leases it was held under
    _ns("charge_max", "-1"),  # no more than this is charged; -1 = no limit
    _text("fx", ""),  # numerator/denominator from the price's currency to `hold_currency`
    # as rated at settlement
    _text("state"),  # settled | no_usage | unmetered | unpriced
    _text("detail"),  # why it is not settled
    _big("cost_nano", null=True),
    Column("cost_currency", Text, nullable=True),
    _big("charge_nano", null=True),
    Column("charge_currency", Text, nullable=True),
    _big("margin_ppm", null=True),  # NULL where an own price row decided
    _ns("settled_ns"),
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
    _id(own=True),
    _text("kind"),  # reading | adjustment (payments, credits, leases: whatever has a key)
    _ns("at_ns"),  # of a reading: when the call arrived, which also decided its price
    Column("reading_id", BigId, ForeignKey("readings.id"), nullable=True, unique=True),  # no reading posts twice
    Column("key", Text, nullable=True, comment="what makes a repeat of an adjustment a no-op"),
    _text("memo", ""),
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
    _text("currency"),
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
    _ns("at_ns"),
    _text("actor"),
    Column("cost_price", BigInteger, nullable=False),
    Column("charge_price", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    _text("cost_currency"),
    Column("charge_nano", BigInteger, nullable=False),
    _text("charge_currency"),
    _big("margin_ppm", null=True),
)
"""A reading that could not be priced when it came, priced later. The reading itself stays as it was."""

refusals = Table(
    "refusals",
    metadata,
    _id(own=True),
    _text("gateway"),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    Column("call", Text, nullable=False, index=True),
    Column("account", BigInteger, nullable=False),
    Column("key", BigInteger, nullable=False),
    _text("model"),
    _text("endpoint"),
    _text("code"),
    Column("status", BigInteger, nullable=False),
    _ns("accepted_ns"),
    _ns("end_ns"),
    UniqueConstraint("gateway", "segment", "byte_offset"),
    Index("ix_refusals_account_accepted_ns", "account", "accepted_ns"),
)

journal_notes = Table(
    "journal_notes",
    metadata,
    _id(own=True),
    _ns("at_ns"),
    _text("gateway"),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    _text("kind"),  # conflict (a second, different reading of an attempt) | torn | overdrawn (more than its lease)
    _text("call", ""),
    Column("attempt", BigInteger, nullable=False, server_default=text("0")),
    _text("detail"),  # JSON: the entry that was not settled, or what was wrong
    UniqueConstraint("gateway", "segment", "byte_offset", "kind"),  # said once, however often it is met
)
"""What settlement met in a journal and did not post. Never dropped; `ledger check` shows it."""

# -- money: limits, leases, payments, invoices, reconciliation ---------------------------------------------------------

purses = Table(
    "purses",
    metadata,
    _id(),
    _text("kind"),  # funding (prepaid balance and credit line) | budget
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("key_id", BigId, ForeignKey("keys.id"), nullable=True, index=True),  # a budget of one key
    _text("name"),
    _text("currency"),
    Column("hard", Boolean, nullable=False),
    _text("period"),  # total | day | week | month
    _text("zone"),  # IANA name, where days begin
    Column("limit_nano", BigInteger, nullable=False),  # of a budget; the credit line of a funding
    _json("warn", "[]"),  # per cent of the limit at which an alert is made
    _ns("from_ns"),
    _ns("to_ns", "0"),  # 0 = in force
    _flag("declared"),
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
    _id(),
    Column("purse_id", BigId, ForeignKey("purses.id"), nullable=False),
    _ns("window_ns"),
    _text("journal"),  # the gateway's journal, journal.identity.journal_name
    _text("epoch"),  # one run of that gateway
    Column("granted_nano", BigInteger, nullable=False),
    Column("consumed_nano", BigInteger, nullable=False),  # by readings settled
    Column("returned_nano", BigInteger, nullable=False),
    Column("grants", BigInteger, nullable=False),  # grants and returns so far: the last part of their posting's key
    _ns("granted_ns"),
    _ns("expires_ns"),
    _text("state"),  # open | closing (home when its journal is settled up to the place below) | home
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
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=True, comment="of its token; NULL = it lives in this home"),
    _text("journal", ""),
    _text("epoch", ""),
    _ns("made_ns"),
    _ns("seen_ns", "0"),
    _ns("retired_ns", "0"),
)

tariff_rules = Table(
    "tariff_rules",
    metadata,
    _id(),
    Column("tariff_id", BigId, ForeignKey("tariffs.id"), nullable=False, index=True),
    _ns("from_ns"),
    _text("body"),  # ledger.tariffs.Rules as JSON
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
    _id(),
    _text("currency"),
    _text("base"),
    _text("rate"),  # decimal: units of base for one of currency
    _ns("from_ns"),
    _text("source", ""),
    UniqueConstraint("currency", "base", "from_ns"),
)

payments = Table(
    "payments",
    metadata,
    _id(),
    Column("key", Text, nullable=False, unique=True, comment="a repeat is a no-op"),
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=False, index=True),
    _text("kind"),  # topup | refund | code | credit | debit | stripe | webhook
    Column("nano", BigInteger, nullable=False),  # what the account's balance moved by
    _text("currency"),
    Column("transaction_id", BigId, ForeignKey("transactions.id"), nullable=False, unique=True),
    _ns("at_ns"),
    _text("actor"),
    _text("memo", ""),
)

codes = Table(
    "codes",
    metadata,
    _id(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    _text("prefix"),
    Column("nano", BigInteger, nullable=False),
    _text("currency"),
    _text("memo", ""),
    _ns("made_ns"),
    _ns("expires_ns", "0"),
    _ns("revoked_ns", "0"),
)

redemptions = Table(
    "redemptions",
    metadata,
    Column("code_id", BigId, ForeignKey("codes.id"), primary_key=True, autoincrement=False),
    Column("payment_id", BigId, ForeignKey("payments.id"), nullable=False, unique=True),
    _ns("at_ns"),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("source", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    _ns("at_ns"),
    _text("outcome"),
)

invoices = Table(
    "invoices",
    metadata,
    _id(own=True),
    Column("number", Text, nullable=False, unique=True),
    _text("kind"),  # invoice | credit_note
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=False, index=True),
    _ns("start_ns"),
    _ns("end_ns"),
    Column("last_transaction", BigInteger, nullable=False),
    _text("currency"),
    Column("net_nano", BigInteger, nullable=False),
    Column("tax_nano", BigInteger, nullable=False),
    Column("refers_to", BigId, ForeignKey("invoices.id"), nullable=True, index=True),
    _ns("issued_ns"),
    _text("actor"),
    _text("body"),  # the whole document as JSON, as it was issued
    CheckConstraint("kind in ('invoice', 'credit_note')", name="kind"),
    CheckConstraint("(kind = 'credit_note') = (refers_to is not null)", name="refers"),
)

statements = Table(
    "statements",
    metadata,
    _id(),
    Column("provider_id", BigId, ForeignKey("providers.id"), nullable=False, index=True),
    _text("format"),
    Column("hash", LargeBinary, nullable=False, comment="of the file: imported once"),
    _ns("start_ns"),
    _ns("end_ns"),
    _ns("imported_ns"),
    _text("actor"),
    UniqueConstraint("provider_id", "hash"),
)
"""A vendor's own account of what was used: a usage export or an invoice."""

statement_lines = Table(
    "statement_lines",
    metadata,
    Column("statement_id", BigId, ForeignKey("statements.id"), primary_key=True, autoincrement=False),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    _ns("day_ns"),  # begin of its day, UTC
    _text("model"),
    _text("credential", ""),
    _text("request", ""),  # the vendor's id of one request, where it tells it
    _text("currency", ""),
    _big("nano", null=True),  # NULL = it names no money
    _text("meters", "{}"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("key", Text, primary_key=True),  # statement:difference
    Column("statement_id", BigId, ForeignKey("statements.id"), nullable=False, index=True),
    Column("transaction_id", BigId, ForeignKey("transactions.id"), nullable=False, unique=True),
    _ns("at_ns"),
    _text("actor"),
)
"""Differences between a statement and the book that were posted."""

alerts = Table(
    "alerts",
    metadata,
    _id(),
    Column("key", Text, nullable=False, unique=True),
    _ns("at_ns"),
    _text("kind"),
    _text("body"),  # JSON
    _ns("sent_ns", "0"),
    Column("tries", BigInteger, nullable=False, server_default=text("0")),
    _text("trouble", ""),
)

archives = Table(
    "archives",
    metadata,
    _id(),
    _ns("start_ns"),
    _ns("end_ns"),
    _text("file"),
    Column("hash", LargeBinary, nullable=False, comment="SHA-256 of the file"),
    Column("readings", BigInteger, nullable=False),
    _ns("made_ns"),
    _text("actor"),
)
"""Readings written to Parquet."""

# -- state, computable from the book ---------------------------------------------------------------------------------

journal_cursor = Table(
    "journal_cursor",
    metadata,
    Column("gateway", Text, primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    _ns("moved_ns"),
)

open_holds = Table(
    "open_holds",
    metadata,
    Column("call", Text, primary_key=True),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False),
    _text("gateway"),
    Column("account", BigInteger, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("offer", BigInteger, nullable=False),
    _text("model"),
    Column("hold_nano", BigInteger, nullable=False),
    _text("currency"),
    _ns("accepted_ns"),
    _ns("expires_ns"),
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


def sum_nano(column: ColumnElement[int] | Column[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Two aggregates, thousand-millions and rest: `total = high * GIGA + low` is exact and neither half overflows.

    Integer division and remainder truncate towards zero with the sign of the dividend on both databases.
    """
    giga = text(str(GIGA))
    # they bind as a division does: a difference of columns gets its brackets
    high = func.coalesce(func.sum(column.op("/", precedence=_DIVISION)(giga)), 0)
    low = func.coalesce(func.sum(column.op("%", precedence=_DIVISION)(giga)), 0)
    return high, low
