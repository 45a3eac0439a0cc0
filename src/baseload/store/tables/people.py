"""People: who signs in, sessions, links, tokens of the API."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, Text

from baseload.store.tables.columns import BigId, flag, id_column, json_column, metadata, ns, words

people = Table(
    "people",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    words("password", ""),  # argon2id's own text; "" = none yet, a link makes one
    words("role"),  # control.people.roles.ROLES
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=True, index=True),  # of a member
    ns("made_ns"),
    flag("disabled"),
    words("totp", ""),  # the device's secret, sealed; "" = a password is enough
    ns("totp_step", "0"),  # the last one that was used
    json_column("recovery", "[]"),  # hashes of codes for the day the device is lost
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # of the cookie; the cookie itself is never kept
    Column("person_id", BigId, ForeignKey("people.id"), nullable=False, index=True),
    ns("made_ns"),
    ns("seen_ns"),
    words("agent", ""),
)

links = Table(
    "links",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("person_id", BigId, ForeignKey("people.id"), nullable=True),  # NULL = for the first owner
    ns("expires_ns"),
    ns("used_ns", "0"),
)
"""Links that are good once: for the first owner, and for a person to choose a password."""

sign_in_tries = Table(
    "sign_in_tries",
    metadata,
    Column("who", Text, primary_key=True),  # name:NAME or address:ADDRESS
    Column("failures", BigInteger, nullable=False),
    ns("until_ns"),  # no try before
)

api_tokens = Table(
    "api_tokens",
    metadata,
    id_column(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    words("prefix"),
    words("name"),
    words("role"),
    Column("account_id", BigId, ForeignKey("accounts.id"), nullable=True),
    words("made_by"),
    ns("made_ns"),
    ns("expires_ns", "0"),  # 0 = never
    ns("used_ns", "0"),
    ns("revoked_ns", "0"),
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),  # `sub`: the only name there that never goes to another
    Column("person_id", BigId, ForeignKey("people.id"), nullable=False, index=True),
    ns("made_ns"),
)
"""Who a person is at an identity provider (OpenID Connect)."""
