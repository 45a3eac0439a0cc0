"""Configuration (mutable): accounts, keys, providers, offers, tariffs, policies, settings; and logs that only grow."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text
from sqlalchemy.types import JSON

from baseload.store.tables.columns import BigId, flag, id_column, json_column, metadata, ns, words

tariffs = Table(
    "tariffs",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("margin_ppm", BigInteger, nullable=False, comment="charge = cost x (1e6 + margin_ppm) / 1e6"),
    json_column("prices", "{}"),  # model -> [price row ids] that replace cost plus margin
    json_column("rules", "{}"),  # discounts, allowance, minimum, floor, currency: ledger.tariffs.Rules
    flag("declared"),  # made by the configuration file, edited only there
)
"""A change of `margin_ppm` is kept with its instant in `tariff_versions` by a trigger: old calls keep their margin."""

tariff_versions = Table(
    "tariff_versions",
    metadata,
    id_column(),
    Column("tariff_id", BigId, ForeignKey("tariffs.id"), nullable=False, index=True),
    ns("from_ns"),
    Column("margin_ppm", BigInteger, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("parent_id", BigId, ForeignKey("accounts.id"), nullable=True, index=True),
    words("currency"),
    Column("tariff_id", BigId, ForeignKey("tariffs.id"), nullable=False),
    flag("declared"),
    flag("disabled"),
    ns("created_ns"),
    json_column("extra", "{}"),  # policy (a name), priority, weight, limits
)

keys = Table(
    "keys",
    metadata,
    id_column(),
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=False, index=True),
    words("name"),
    Column("hash", LargeBinary, nullable=False, unique=True, comment="vault.key_hash; the key itself is never kept"),
    words("prefix"),
    json_column("models", "[]"),  # empty = every model
    ns("expires_ns", "0"),  # 0 = never
    ns("revoked_ns", "0"),  # 0 = valid
    ns("created_ns"),
    flag("declared"),
    words("policy", ""),  # a policy's name, "" = none of its own
    json_column("limits", "{}"),  # dispatch.policy.Limits of this key alone
)

policies = Table(
    "policies",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    json_column("policy", "{}"),  # dispatch.policy.Policy
    flag("declared"),
    flag("disabled"),
)

model_groups = Table(
    "model_groups",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    json_column("models", "[]"),
    words("policy", ""),  # a policy's name
    flag("declared"),
    flag("disabled"),
)

providers = Table(
    "providers",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    words("kind"),  # vendor | engine
    words("dialect"),
    words("base_url"),
    words("credential", ""),  # a reference: env:NAME, file:PATH, sealed:BASE64
    words("abort", "unknown"),
    json_column("timeouts", "{}"),  # connect_timeout_s, first_byte_timeout_s, idle_timeout_s
    json_column("extra", "{}"),  # connections_max, ca_file, cache_ttl, credentials, region, residency, limits
    flag("declared"),
    flag("disabled"),
)

offers = Table(
    "offers",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("model", Text, nullable=False, index=True),
    Column("provider_id", BigId, ForeignKey("providers.id"), nullable=False, index=True),
    words("upstream_model"),
    json_column("endpoints", "[]"),
    json_column("prices", "[]"),  # price row ids, one in force at an instant
    json_column("extra", "{}"),  # context_max, output_max, bytes_per_token, capabilities, region, quality, ...
    flag("declared"),
    flag("disabled"),
)

admin_tokens = Table(
    "admin_tokens",
    metadata,
    id_column(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    words("name", ""),
    ns("created_ns"),
    ns("revoked_ns", "0"),
)

settings = Table("settings", metadata, Column("key", Text, primary_key=True), Column("value", JSON, nullable=False))

audit = Table(
    "audit",
    metadata,
    id_column(),
    Column("at_ns", BigInteger, nullable=False, index=True),
    words("actor"),
    words("action"),
    words("subject"),
    json_column("detail", "{}"),
    Column("hash", LargeBinary, nullable=True, comment="over this row and the hash before it; NULL = before the chain"),
)

price_rows = Table(
    "price_rows",
    metadata,
    id_column(),
    Column("key", Text, nullable=False, unique=True, comment="hash of the content: the same row is kept once"),
    words("book"),
    words("vendor"),
    words("model"),
    words("scope"),
    words("currency"),
    ns("from_ns"),
    ns("to_ns"),
    words("body"),  # the row as JSON, as it was rated by
    Index(None, "vendor", "model"),
)
