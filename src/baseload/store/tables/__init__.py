"""What the database keeps. One `MetaData`; migrations make it, a test holds the two together.

Configuration (mutable): accounts, keys, providers, offers, tariffs, admin_tokens, people,
sessions, links, sign_in_tries, api_tokens, settings. `tariff_versions`, `audit`
and `price_rows` only grow.
The book (append-only, UPDATE, DELETE and TRUNCATE refused by triggers): ledger_accounts, transactions, postings,
readings, resettlements, refusals, journal_notes.
The assistant (people's own, sealed, deleted with the chat): chats, chat_messages, chat_files; app_days stays.
Money (docs/rooms/money-system.md): purses, purse_windows, leases, payments, codes, invoices, statements, fx_rates,
capital.
State that can be computed again from the book: journal_cursor, open_holds, balances, usage_hours and what is added up
from it (USAGE_LEVELS), purse_windows, tariff_months.

Units: `_ns` wall-clock nanoseconds since the epoch (UTC); `_nano` 1e-9 of the named currency in a signed 64-bit
integer. Limits: a posting is at most 2^62 nano-units (4.6 thousand million units of currency), refused beyond by a
CHECK. A sum over postings is made in two halves (`sum_nano`), so that no total of fewer than 10^9 such postings can
overflow on either database.
"""

from __future__ import annotations

from baseload.store.tables.apps import app_days, chat_files, chat_messages, chats
from baseload.store.tables.book import (
    KINDS,
    entries,
    journal_notes,
    ledger_accounts,
    postings,
    readings,
    refusals,
    resettlements,
    transactions,
)
from baseload.store.tables.columns import GIGA, NANO_MAX, BigId, metadata, sum_nano
from baseload.store.tables.config import (
    accounts,
    admin_tokens,
    audit,
    keys,
    model_groups,
    offers,
    policies,
    price_rows,
    providers,
    settings,
    tariff_versions,
    tariffs,
)
from baseload.store.tables.money import (
    alerts,
    approvals,
    archives,
    capital,
    charges,
    codes,
    fx_rates,
    gateways,
    invoices,
    leases,
    payments,
    purse_windows,
    purses,
    redemptions,
    statement_lines,
    statements,
    tariff_months,
    tariff_rules,
    webhook_events,
)
from baseload.store.tables.people import api_tokens, identities, links, people, sessions, sign_in_tries
from baseload.store.tables.state import (
    USAGE_COUNTS,
    USAGE_KEY,
    USAGE_LEVELS,
    USAGE_METERS,
    USAGE_SUMS,
    balances,
    journal_cursor,
    load_days,
    load_hours,
    open_holds,
    usage_days,
    usage_hours,
    usage_months,
)

__all__ = [
    "GIGA",
    "KINDS",
    "NANO_MAX",
    "USAGE_COUNTS",
    "USAGE_KEY",
    "USAGE_LEVELS",
    "USAGE_METERS",
    "USAGE_SUMS",
    "BigId",
    "accounts",
    "admin_tokens",
    "alerts",
    "api_tokens",
    "app_days",
    "approvals",
    "archives",
    "audit",
    "balances",
    "capital",
    "charges",
    "chat_files",
    "chat_messages",
    "chats",
    "codes",
    "entries",
    "fx_rates",
    "gateways",
    "identities",
    "invoices",
    "journal_cursor",
    "journal_notes",
    "keys",
    "leases",
    "ledger_accounts",
    "links",
    "load_days",
    "load_hours",
    "metadata",
    "model_groups",
    "offers",
    "open_holds",
    "payments",
    "people",
    "policies",
    "postings",
    "price_rows",
    "providers",
    "purse_windows",
    "purses",
    "readings",
    "redemptions",
    "refusals",
    "resettlements",
    "sessions",
    "settings",
    "sign_in_tries",
    "statement_lines",
    "statements",
    "sum_nano",
    "tariff_months",
    "tariff_rules",
    "tariff_versions",
    "tariffs",
    "transactions",
    "usage_days",
    "usage_hours",
    "usage_months",
    "webhook_events",
]
