"""The door for gateways on other machines: a certificate of our own, and tokens of theirs.

Mutual: a gateway trusts exactly one certificate (its SHA-256 is in the join text it was given), the control plane
trusts whoever shows a token of a gateway that is not retired. TLS 1.3. The certificate is made once a home; it names
nobody, for it is known by itself.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from starlette.concurrency import run_in_threadpool

from baseload import store
from baseload.control import audit
from baseload.control.context import Context
from baseload.control.door import Scope, problem, with_headers
from baseload.control.rules import NAME
from baseload.errors import Refusal
from baseload.ledger.texts import instant
from baseload.store import tables as t

PREFIX = "bl-join-"
YEARS = 30
BODY_MAX = 8 * 2**20


def certificate(home: Path) -> tuple[Path, Path, str]:
    """(certificate, key, fingerprint): made at the first use. The key's file is 0600."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    public, private = home / "grid.crt", home / "grid.key"
    if not (public.exists() and private.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "baseload control plane")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(private, pem)
        _write(public, made.public_bytes(serialization.Encoding.PEM))
    found = x509.load_pem_x509_certificate(public.read_bytes())
    der = found.public_bytes(serialization.Encoding.DER)
    return public, private, hashlib.sha256(der).hexdigest()


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def invite(context: Context, actor: str, *, name: str) -> str:
    """A join text for a new gateway, shown once. Raises Refusal where the name is taken."""
    if not NAME.match(name) or (name[:1] == "g" and name[1:].isdecimal()):
        raise Refusal(
            f"{name!r} cannot be the name of a gateway elsewhere.",
            'Small letters, digits, ".", "_" and "-"; g0, g1, ... are those of this home.', code="name_wrong",
        )  # fmt: skip
    token = secrets.token_urlsafe(32)
    _, _, fingerprint = certificate(context.home.path)
    with store.writing(context.engine) as connection:
        if connection.execute(select(t.gateways.c.id).where(t.gateways.c.name == name)).scalar() is not None:
            raise Refusal(f"There is a gateway {name!r} already.", "Choose another name.", code="gateway_exists",
                          status=409)  # fmt: skip
        connection.execute(t.gateways.insert().values(name=name, hash=_hash(token), made_ns=time.time_ns()))
        audit.record(connection, actor, "gateway.invite", name)
    return f"{PREFIX}{name}.{token}.{fingerprint}"


def retire(context: Context, actor: str, *, name: str) -> dict[str, Any]:
    """A gateway is gone for good: its token is worth nothing, and what its journal here proves is all there will be."""
    table = t.gateways
    with store.writing(context.engine) as connection:
        changed = connection.execute(
            update(table).where(table.c.name == name, table.c.retired_ns == 0).values(retired_ns=time.time_ns())
        )
        if not changed.rowcount:
            raise Refusal(f"There is no gateway {name!r} to retire.", "baseload gateways list",
                          code="gateway_not_found", status=404)  # fmt: skip
        audit.record(connection, actor, "gateway.retire", name)
    return next(row for row in list_gateways(context) if row["name"] == name)


def list_gateways(context: Context) -> list[dict[str, Any]]:
    """Gateways that were invited, and how long ago each was heard of."""
    with store.reading(context.engine) as connection:
        rows = connection.execute(select(t.gateways).order_by(t.gateways.c.id)).all()
    heard = context.grid.heard()
    return [
        {
            "name": row.name,
            "invited": instant(row.made_ns),
            "retired": instant(row.retired_ns) if row.retired_ns else "",
            "silent_s": min((age for name, age in heard.items() if name.rpartition("-")[0] == row.name), default=""),
        }
        for row in rows
    ]


def who(context: Context, token: str) -> str | None:
    """ "gateway:NAME" of a token, or None."""
    table = t.gateways
    with store.reading(context.engine) as connection:
        query = select(table.c.name).where(table.c.hash == _hash(token), table.c.retired_ns == 0)
        found = connection.execute(query).scalar()
    return f"gateway:{found}" if found is not None else None


def _hash(token: str) -> bytes:
    return hashlib.sha256(b"baseload gateway token v1\0" + token.encode()).digest()


class GridDoor:
    """Gateways only, /grid only."""

    def __init__(self, app: Any, context: Context) -> None:
        self._app, self._context = app, context
        self._known: dict[str, tuple[str, float]] = {}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        send = with_headers(send)
        try:
            actor = await self._who(scope)
        except Refusal as refusal:
            await problem(refusal)(scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = actor
        await self._app(scope, receive, send)

    async def _who(self, scope: Scope) -> str:
        if not scope["path"].startswith("/grid/"):
            raise Refusal("There is nothing here.", code="http_404", status=404)
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        token = given[0].decode("latin-1").removeprefix("Bearer ") if len(given) == 1 else ""
        known = self._known.get(token)
        if known is not None and time.monotonic() - known[1] < 1.0:  # a lease must not wait for a look-up
            return known[0]
        actor = await run_in_threadpool(who, self._context, token) if token else None
        if actor is None:
            self._known.pop(token, None)
            raise Refusal("This is for gateways.", "Invite it: baseload gateways invite NAME", code="token_wrong",
                          status=401)  # fmt: skip
        self._known = {token: (actor, time.monotonic()), **dict(list(self._known.items())[:256])}
        self._known[token] = (actor, time.monotonic())
        return actor
