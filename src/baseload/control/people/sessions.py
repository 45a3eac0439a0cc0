"""Sessions of people, tokens of programs, and links that are good once. Only keyed hashes are stored.

In:     cookies, tokens, links, the time. Out: a `Principal`, or None; the secrets, once.
A session ends 12 hours after it was last used, and 7 days after it began, and with every change of password or role.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, or_, select, update

from baseload import store
from baseload.control.people.roles import ROLES, Principal
from baseload.errors import Refusal
from baseload.gateway.vault import Vault
from baseload.store import tables as t

SECOND = 10**9
IDLE_NS, WHOLE_NS = 12 * 3600 * SECOND, 7 * 86_400 * SECOND
LINK_NS = 24 * 3600 * SECOND
TOUCH_NS = 60 * SECOND  # a session that is used is written down so often, not with every request
TOKEN = "bl-tok-"  # noqa: S105 - the beginning of every one


def secret_hash(vault: Vault, kind: str, secret: str) -> bytes:
    """HMAC under the home's pepper; the whole digest is what is looked up, so timing tells nothing."""
    return hmac.digest(vault.pepper, f"baseload {kind} v1\0".encode() + secret.encode("utf-8", "replace"), "sha256")


def begin(engine: Engine, vault: Vault, person: int, agent: str, now_ns: int) -> str:
    """A new session; returns the cookie."""
    cookie = secrets.token_urlsafe(32)
    with store.writing(engine) as connection:
        table = t.sessions
        over = or_(table.c.made_ns < now_ns - WHOLE_NS, table.c.seen_ns < now_ns - IDLE_NS)
        connection.execute(delete(table).where(over))
        connection.execute(insert(table).values(
            hash=secret_hash(vault, "session", cookie), person_id=person, made_ns=now_ns, seen_ns=now_ns,
            agent="".join(letter for letter in agent if letter.isprintable())[:200],
        ))  # fmt: skip
    return cookie


def of_cookie(engine: Engine, vault: Vault, cookie: str, now_ns: int) -> Principal | None:
    """Who a session belongs to."""
    table, person = t.sessions.c, t.people.c
    query = (
        select(person.id, person.name, person.role, t.accounts.c.name.label("account"), table.hash, table.seen_ns)
        .select_from(t.sessions.join(t.people, person.id == table.person_id))
        .outerjoin(t.accounts, t.accounts.c.id == person.account_id)
        .where(
            table.hash == secret_hash(vault, "session", cookie), table.made_ns >= now_ns - WHOLE_NS,
            table.seen_ns >= now_ns - IDLE_NS, person.disabled.is_(False),
        )
    )  # fmt: skip
    with store.reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if now_ns - row.seen_ns > TOUCH_NS:
        with store.writing(engine) as connection:
            connection.execute(update(t.sessions).where(table.hash == row.hash).values(seen_ns=now_ns))
    return Principal(f"person:{row.name}", row.role, row.account or "", row.name, row.id)


def end(engine: Engine, vault: Vault, cookie: str) -> None:
    with store.writing(engine) as connection:
        connection.execute(delete(t.sessions).where(t.sessions.c.hash == secret_hash(vault, "session", cookie)))


def end_all(connection: Connection, person: int) -> None:
    """Every session of a person, at once."""
    connection.execute(delete(t.sessions).where(t.sessions.c.person_id == person))


# -- tokens


def make_token(
    connection: Connection, vault: Vault, *, name: str, role: str, account: int | None, made_by: str, now_ns: int,
    expires_ns: int,
) -> tuple[int, str]:  # fmt: skip
    """(id, the token): the only time that it is known."""
    check_role(role, account)
    token = TOKEN + secrets.token_urlsafe(32)
    made = connection.execute(insert(t.api_tokens).values(
        hash=secret_hash(vault, "token", token), prefix=token[:11], name=name, role=role, account_id=account,
        made_by=made_by, made_ns=now_ns, expires_ns=expires_ns,
    ))  # fmt: skip
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0]), token


def of_token(engine: Engine, vault: Vault, token: str, now_ns: int) -> Principal | None:
    table = t.api_tokens.c
    query = select(t.api_tokens, t.accounts.c.name.label("account")).select_from(
        t.api_tokens.outerjoin(t.accounts, t.accounts.c.id == table.account_id)
    ).where(
        table.hash == secret_hash(vault, "token", token), table.revoked_ns == 0,
        or_(table.expires_ns == 0, table.expires_ns > now_ns),
    )  # fmt: skip
    with store.reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if now_ns - row.used_ns > TOUCH_NS:
        with store.writing(engine) as connection:
            connection.execute(update(t.api_tokens).where(table.id == row.id).values(used_ns=now_ns))
    return Principal(f"token:{row.name}", row.role, row.account or "", row.name)


# -- links


def make_link(connection: Connection, vault: Vault, person: int | None, now_ns: int) -> str:
    """The secret of a new link; an older one for the same purpose stops."""
    link = secrets.token_urlsafe(24)
    same = t.links.c.person_id == person if person is not None else t.links.c.person_id.is_(None)
    connection.execute(delete(t.links).where(same))
    values = {"hash": secret_hash(vault, "link", link), "person_id": person, "expires_ns": now_ns + LINK_NS}
    connection.execute(insert(t.links).values(**values))
    return link


def take_link(connection: Connection, vault: Vault, link: str, now_ns: int) -> Any:
    """Uses it up; its row. Raises Refusal `link_wrong`."""
    table = t.links
    row = connection.execute(select(table).where(
        table.c.hash == secret_hash(vault, "link", link), table.c.used_ns == 0, table.c.expires_ns > now_ns
    )).one_or_none()  # fmt: skip
    if row is None:
        raise Refusal(
            "This link was used, has expired or never was.", "On the machine itself: baseload people link",
            code="link_wrong", status=403,
        )  # fmt: skip
    connection.execute(update(table).where(table.c.hash == row.hash).values(used_ns=now_ns))
    return row


def owners(connection: Connection) -> int:
    """How many can sign in as owner."""
    person = t.people.c
    query = select(func.count()).where(person.role == "owner", person.disabled.is_(False), person.password != "")
    return int(connection.execute(query).scalar_one())


def check_role(role: str, account: int | None) -> None:
    """Raises Refusal: a member has an account, and nobody else."""
    if role not in ROLES:
        raise Refusal(f"{role!r} is no role.", f"One of: {', '.join(ROLES)}.", code="role_wrong", param="role")
    if (role == "member") != (account is not None):
        raise Refusal(
            "A member has an account, and the other roles have none.", "Give role and account together.",
            code="role_wrong", param="account",
        )  # fmt: skip
