"""The administrator's token, and the secrets of the first start. Only hashes are stored; a token is shown once."""

from __future__ import annotations

import hmac
import json
import secrets
import time

from sqlalchemy import Connection, Engine, select, update

from baseload import store
from baseload.control import audit
from baseload.control.apply import ensure_defaults, id_of, insert_row, set_setting, setting
from baseload.control.context import Context
from baseload.control.desired import DEFAULT
from baseload.control.home import write_private
from baseload.control.services.keys import make
from baseload.gateway.vault import Vault
from baseload.store import tables as t

PREFIX = "bl-admin-"
_FIRST_START = "first_start_ns"
_LABEL = b"baseload admin token v1"


def token_hash(vault: Vault, token: str) -> bytes:
    """HMAC of a token under the home's pepper; the whole digest is what is looked up."""
    return hmac.digest(vault.pepper, _LABEL + b"\0" + token.encode(), "sha256")


def verify(context: Context, token: str) -> str | None:
    """Who a token belongs to ("token:<id>"), or None. Looked up by a keyed hash, so timing tells nothing of it."""
    if not token.startswith(PREFIX):
        return None
    with store.reading(context.engine) as connection:
        query = select(t.admin_tokens.c.id).where(
            t.admin_tokens.c.hash == token_hash(context.vault, token), t.admin_tokens.c.revoked_ns == 0
        )
        found = connection.execute(query).scalar()
    return None if found is None else f"token:{found}"


def rotate(context: Context, actor: str) -> str:
    """A new token; every older one stops at once."""
    with store.writing(context.engine) as connection:
        live = t.admin_tokens.c.revoked_ns == 0
        connection.execute(update(t.admin_tokens).where(live).values(revoked_ns=time.time_ns()))
        token = _make(connection, context.vault)
        audit.record(connection, actor, "admin-token.rotate", "admin")
    return token


def started_before(engine: Engine) -> bool:
    """Whether this database has had its first start."""
    with store.reading(engine) as connection:
        return bool(setting(connection, _FIRST_START, 0))


def first_start(context: Context) -> bool:
    """Makes the account `default`, one key and one token, once in a home's life.

    The secrets go to HOME/first-start.json (0600) before the database knows them: a kill in between repeats the start
    with fresh ones. `baseload up` shows and removes the file. Returns whether this was the first start.
    """
    with store.writing(context.engine) as connection:
        ensure_defaults(connection)
        if setting(connection, _FIRST_START, 0):
            return False
        account = id_of(connection, t.accounts, DEFAULT)
        _, key = make(connection, context.vault, account, name="first", models=[])
        token = _make(connection, context.vault)
        set_setting(connection, _FIRST_START, time.time_ns())
        audit.record(connection, "first start", "home.create", DEFAULT)
        write_private(context.home.first_start, json.dumps({"key": key, "admin_token": token}).encode())
    return True


def _make(connection: Connection, vault: Vault) -> str:
    token = PREFIX + secrets.token_urlsafe(32)
    insert_row(connection, t.admin_tokens, {"hash": token_hash(vault, token), "name": "admin"})
    return token
