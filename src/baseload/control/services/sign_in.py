"""People of an identity provider: who somebody is here, with which role; made at the first sign-in.

In:     verified claims. Out: a session's cookie. The role follows the claims with every sign-in, so who leaves a group
        there loses the role here; a person disabled here stays out.
"""

from __future__ import annotations

import re
import time
from typing import Any

from sqlalchemy import Connection, insert, select, update

from baseload import store
from baseload.control import audit
from baseload.control.apply import id_of
from baseload.control.config import OidcConf, load
from baseload.control.context import Context
from baseload.control.people import identity, oidc, sessions
from baseload.control.people.roles import MEMBER, OWNER, ROLES
from baseload.control.services import people
from baseload.errors import Refusal
from baseload.store import tables as t


def providers(context: Context) -> list[OidcConf]:
    """Those that the file declares."""
    return load(context.home.config).oidc


def find(context: Context, name: str) -> OidcConf:
    for one in providers(context):
        if one.name == name:
            return one
    raise Refusal(f"There is no identity provider {name!r}.", "See [[oidc]] in baseload.toml.", code="oidc_not_found",
                  status=404)  # fmt: skip


def begin(context: Context, name: str, redirect: str, after: str) -> tuple[str, str]:
    """(where the browser goes, its sealed cookie)."""
    return oidc.begin(context.vault, find(context, name), redirect, after)


def end(
    context: Context, name: str, *, redirect: str, cookie: str, query: dict[str, str], address: str, agent: str
) -> tuple[str, str]:  # fmt: skip
    """(a session's cookie, where to go). Raises Refusal, CodeNeeded."""
    conf = find(context, name)
    claims, after = oidc.end(context.vault, conf, redirect, cookie, query)
    person = _person(context, conf, claims)
    return people.begin_for(context, person, address, agent), after


def role_of(conf: OidcConf, claims: dict[str, Any]) -> str:
    """The most powerful role that the claim's values stand for; else the default; "" = none. Pure."""
    values = claims.get(conf.role_claim, [])
    values = [values] if isinstance(values, str) else values if isinstance(values, list) else []
    found = {conf.roles[value] for value in values if isinstance(value, str) and value in conf.roles}
    return next((role for role in ROLES if role in found), conf.role)


def name_of(conf: OidcConf, claims: dict[str, Any]) -> str:
    """What a person is called here: the claim's text, as names are written. Pure."""
    text = str(claims.get(conf.name_claim) or claims.get("email") or claims["sub"]).lower()
    kept = re.sub(r"[^a-z0-9._@-]+", "-", text)
    return kept.strip("-._@")[:60] or "person"


def _person(context: Context, conf: OidcConf, claims: dict[str, Any]) -> Any:
    role, subject = role_of(conf, claims), str(claims["sub"])
    if not role:
        raise Refusal(
            "You are known there, but have no role here.", f"It comes from {conf.role_claim!r} there: ask an owner.",
            code="no_role", status=403,
        )  # fmt: skip
    where = (t.identities.c.issuer == conf.issuer, t.identities.c.subject == subject)
    with store.writing(context.engine) as connection:
        account = id_of(connection, t.accounts, conf.account) if role == MEMBER else None
        number = connection.execute(select(t.identities.c.person_id).where(*where)).scalar()
        if number is None:
            number = _made(connection, conf, claims, role, account)
            connection.execute(insert(t.identities).values(
                issuer=conf.issuer, subject=subject, person_id=number, made_ns=time.time_ns()
            ))  # fmt: skip
        row = connection.execute(select(t.people).where(t.people.c.id == number)).one()
        if row.disabled:
            raise Refusal("You are not let in here.", "Ask an owner.", code="sign_in_wrong", status=403)
        if (row.role, row.account_id) != (role, account):
            change = update(t.people).where(t.people.c.id == number)
            connection.execute(change.values(role=role, account_id=account))
            sessions.end_all(connection, number)
            if row.role == OWNER and not sessions.owners(connection):
                raise Refusal("The last owner cannot go.", "Make another owner first.", code="last_owner", status=409)
            audit.record(connection, f"oidc:{conf.name}", "person.change", row.name, {"role": role})
        return connection.execute(select(t.people).where(t.people.c.id == number)).one()


def _made(connection: Connection, conf: OidcConf, claims: dict[str, Any], role: str, account: int | None) -> int:
    """A new person; a name that is taken gets a number, for a name is no proof of who somebody is."""
    wanted = name = name_of(conf, claims)
    number = 1
    while connection.execute(select(t.people.c.id).where(t.people.c.name == name)).scalar() is not None:
        number += 1
        name = f"{wanted[:56]}-{number}"
    identity.check_name(name)
    values = {"name": name, "role": role, "account_id": account, "password": "", "made_ns": time.time_ns()}
    key = connection.execute(insert(t.people).values(**values)).inserted_primary_key
    audit.record(connection, f"oidc:{conf.name}", "person.add", name, {"role": role, "issuer": conf.issuer})
    assert key is not None
    return int(key[0])
