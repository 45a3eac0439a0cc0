"""People and tokens: who may sign in, with which role; one-time links; what a door looks up."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, insert, select, update

from baseload import store
from baseload.control import audit
from baseload.control.apply import id_of
from baseload.control.context import Context
from baseload.control.people import identity, sessions, totp
from baseload.control.people.roles import OWNER, Principal
from baseload.control.services import admin
from baseload.errors import Refusal
from baseload.ledger.texts import instant
from baseload.store import tables as t

Json = dict[str, Any]
PENDING_NS = 5 * 60 * 10**9
Verify = Callable[[str], Principal | None]


def verifiers(context: Context) -> tuple[Verify, Verify]:
    """For the door: who a token, and who a cookie belongs to."""

    def by_token(token: str) -> Principal | None:
        if token.startswith(sessions.TOKEN):
            return sessions.of_token(context.engine, context.vault, token, time.time_ns())
        actor = admin.verify(context, token)
        return None if actor is None else Principal(actor, OWNER)

    def by_cookie(cookie: str) -> Principal | None:
        return sessions.of_cookie(context.engine, context.vault, cookie, time.time_ns())

    return by_token, by_cookie


class CodeNeeded(Refusal):
    """The password was right; a code of the person's device is wanted too. `pending` stands for the first step."""

    code, status = "code_needed", 401

    def __init__(self, pending: str) -> None:
        super().__init__("A code of your device is needed.", "Type it, or one of your recovery codes.")
        self.pending = pending


def sign_in(context: Context, *, name: str, password: str, address: str, agent: str) -> str:
    """A session's cookie. Raises Refusal `sign_in_wrong`, `sign_in_slow`, CodeNeeded."""
    person = identity.sign_in(context.engine, name.strip().lower(), password, address, time.time_ns())
    return begin_for(context, person, address, agent)


def second_step(context: Context, *, pending: str, code: str, address: str, agent: str) -> str:
    """A session's cookie, by what CodeNeeded gave and a code. Tries count like those of passwords."""
    number, _, rest = pending.partition(".")
    expires, _, mark = rest.partition(".")
    now_ns = time.time_ns()
    wrong = Refusal("The code is wrong, or it took too long.", "Sign in again.", code="sign_in_wrong", status=401)
    if not (number.isdecimal() and expires.isdecimal() and max(len(number), len(expires)) < 20):
        raise wrong
    if int(expires) < now_ns:
        raise wrong
    with store.reading(context.engine) as connection:
        person = connection.execute(select(t.people).where(t.people.c.id == int(number))).one_or_none()
    if person is None or person.disabled or not person.totp:
        raise wrong
    if not hmac.compare_digest(_pending_mark(context, person, int(expires)).encode(), mark.encode()):
        raise wrong
    identity.count_try(context.engine, person.name, address, now_ns)
    if not _code_is_good(context, person.id, code, now_ns):
        raise wrong
    identity.forget_tries(context.engine, person.name, address)
    return _begin(context, person, address, agent)


def _pending_mark(context: Context, person: Any, expires_ns: int) -> str:
    """Binds the first step to the password of that moment."""
    text = f"{person.id}.{expires_ns}.{person.password}"
    return sessions.secret_hash(context.vault, "pending", text).hex()


def _code_is_good(context: Context, person: int, code: str, now_ns: int) -> bool:
    """Uses it up."""
    typed = totp.plain(code)
    with store.writing(context.engine) as connection:
        row = connection.execute(select(t.people).where(t.people.c.id == person)).one()
        change = update(t.people).where(t.people.c.id == person)
        step = totp.step_of(context.vault.resolve(row.totp), typed, now_ns, row.totp_step)
        if step is not None:
            connection.execute(change.values(totp_step=step))
            return True
        kept = sessions.secret_hash(context.vault, f"recovery {person}", typed).hex()
        if kept in row.recovery:
            connection.execute(change.values(recovery=[one for one in row.recovery if one != kept]))
            audit.record(connection, f"person:{row.name}", "person.recovery-code", row.name)
            return True
    return False


def begin_for(context: Context, person: Any, address: str, agent: str) -> str:
    """A session for who was recognised elsewhere. Raises CodeNeeded where a device is set up."""
    if person.totp:
        expires_ns = time.time_ns() + PENDING_NS
        raise CodeNeeded(f"{person.id}.{expires_ns}.{_pending_mark(context, person, expires_ns)}")
    return _begin(context, person, address, agent)


def _begin(context: Context, person: Any, address: str, agent: str) -> str:
    cookie = sessions.begin(context.engine, context.vault, person.id, agent, time.time_ns())
    with store.writing(context.engine) as connection:
        audit.record(connection, f"person:{person.name}", "session.begin", person.name, {"address": address})
    return cookie


def device_of(context: Context, who: Principal) -> Json:
    """Whether a device is set up, and how many recovery codes are left."""
    with store.reading(context.engine) as connection:
        row = connection.execute(select(t.people).where(t.people.c.id == who.person)).one_or_none()
    return {"on": bool(row and row.totp), "recovery": len(row.recovery) if row else 0}


def add_device(context: Context, who: Principal, *, secret: str, code: str) -> list[str]:
    """Codes are needed from now on. Returns the recovery codes, once. Raises Refusal where the code is another."""
    if not who.person:
        raise Refusal("A token has no device.", "Sign in.", code="forbidden", status=403)
    try:
        step = totp.step_of(secret, totp.plain(code), time.time_ns(), 0)
    except ValueError:
        step = None
    if step is None or len(secret) < 32:
        raise Refusal("This is not the code of the device now.", "Look at its clock, and type the next one.",
                      code="code_wrong", param="code")  # fmt: skip
    if device_of(context, who)["on"]:
        raise Refusal(
            "A device is set up already.", "Turn it off first, by a code of it.", code="device_exists", status=409
        )
    codes = totp.recovery_codes()
    hashes = [sessions.secret_hash(context.vault, f"recovery {who.person}", one).hex() for one in codes]
    with store.writing(context.engine) as connection:
        values = {"totp": context.vault.seal(secret), "totp_step": step, "recovery": hashes}
        connection.execute(update(t.people).where(t.people.c.id == who.person).values(**values))
        audit.record(connection, who.actor, "person.device", who.name, {"on": True})
    return codes


def remove_device(context: Context, who: Principal, *, code: str) -> None:
    """By a code of it, or a recovery code."""
    if not device_of(context, who)["on"]:
        return
    identity.count_try(context.engine, who.name, "device", time.time_ns())
    if not _code_is_good(context, who.person, code, time.time_ns()):
        raise Refusal("The code is wrong.", "Type the next one.", code="code_wrong", param="code")
    identity.forget_tries(context.engine, who.name, "device")
    with store.writing(context.engine) as connection:
        _without_device(connection, who.person)
        audit.record(connection, who.actor, "person.device", who.name, {"on": False})


def _without_device(connection: Connection, person: int) -> None:
    values = {"totp": "", "totp_step": 0, "recovery": []}
    connection.execute(update(t.people).where(t.people.c.id == person).values(**values))


def by_link(context: Context, *, link: str, name: str, password: str, agent: str) -> str:
    """The first owner is made, or a person has a new password; either way a session begins: its cookie."""
    identity.check_password(password)
    kept = identity.hashed(password)  # the slow work before the lock
    with store.writing(context.engine) as connection:
        found = sessions.take_link(connection, context.vault, link, time.time_ns())
        if found.person_id is None:
            if sessions.owners(connection):
                raise Refusal("There is an owner already.", "Sign in.", code="link_wrong", status=403)
            number = _add(connection, name, OWNER, None, kept)
            word, who = "person.first", name
        else:
            number = found.person_id
            who = connection.execute(select(t.people.c.name).where(t.people.c.id == number)).scalar_one()
            connection.execute(update(t.people).where(t.people.c.id == number).values(password=kept))
            sessions.end_all(connection, number)
            _without_device(connection, number)  # a link is for who has lost what is needed to sign in
            word = "person.password"
        audit.record(connection, f"person:{who}", word, who)
    return sessions.begin(context.engine, context.vault, number, agent, time.time_ns())


def change_password(context: Context, who: Principal, *, old: str, new: str, address: str) -> None:
    """One's own; every session of it ends."""
    if not who.person:
        raise Refusal("A token has no password.", "Sign in.", code="forbidden", status=403)
    identity.sign_in(context.engine, who.name, old, address, time.time_ns())
    identity.forget_tries(context.engine, who.name, address)
    kept = identity.hashed(new)
    with store.writing(context.engine) as connection:
        connection.execute(update(t.people).where(t.people.c.id == who.person).values(password=kept))
        sessions.end_all(connection, who.person)
        audit.record(connection, who.actor, "person.password", who.name)


def link_for_first(context: Context, actor: str) -> str:
    """The secret of a link for the first owner; "" = there is one."""
    with store.writing(context.engine) as connection:
        if sessions.owners(connection):
            return ""
        link = sessions.make_link(connection, context.vault, None, time.time_ns())
        audit.record(connection, actor, "person.link", "first owner")
    return link


def link_for(context: Context, actor: str, name: str) -> str:
    """The secret of a link by which a person chooses a password."""
    with store.writing(context.engine) as connection:
        person = _person(connection, name)
        link = sessions.make_link(connection, context.vault, person.id, time.time_ns())
        audit.record(connection, actor, "person.link", name)
    return link


def list_people(context: Context) -> list[Json]:
    query = select(t.people, t.accounts.c.name.label("account")).select_from(
        t.people.outerjoin(t.accounts, t.accounts.c.id == t.people.c.account_id)
    )
    with store.reading(context.engine) as connection:
        return [_shown(row) for row in connection.execute(query.order_by(t.people.c.name))]


def add(context: Context, actor: str, *, name: str, role: str, account: str) -> Json:
    """A person, who chooses a password by the link that is answered."""
    with store.writing(context.engine) as connection:
        number = id_of(connection, t.accounts, account) if account else None
        person = _add(connection, name, role, number, "")
        link = sessions.make_link(connection, context.vault, person, time.time_ns())
        audit.record(connection, actor, "person.add", name, {"role": role, "account": account})
    return {**_one(context, name), "link": link}


def change(
    context: Context, actor: str, name: str, *, role: str | None, account: str | None, disabled: bool | None
) -> Json:
    """Another role, or in or out; every session of it ends. The last owner stays one."""
    with store.writing(context.engine) as connection:
        person = _person(connection, name)
        new_role = role or person.role
        number = person.account_id if account is None else id_of(connection, t.accounts, account) if account else None
        number = number if new_role == "member" else None
        sessions.check_role(new_role, number)
        out = person.disabled if disabled is None else disabled
        values = {"role": new_role, "account_id": number, "disabled": out}
        connection.execute(update(t.people).where(t.people.c.id == person.id).values(**values))
        if not sessions.owners(connection) and person.role == OWNER:
            raise Refusal("The last owner cannot go.", "Make another owner first.", code="last_owner", status=409)
        sessions.end_all(connection, person.id)
        audit.record(connection, actor, "person.change", name, {"role": new_role, "disabled": out})
    return _one(context, name)


def list_tokens(context: Context) -> list[Json]:
    query = select(t.api_tokens, t.accounts.c.name.label("account")).select_from(
        t.api_tokens.outerjoin(t.accounts, t.accounts.c.id == t.api_tokens.c.account_id)
    )
    with store.reading(context.engine) as connection:
        rows = connection.execute(query.order_by(t.api_tokens.c.id)).all()
    return [
        {
            "id": row.id, "prefix": row.prefix, "name": row.name, "role": row.role, "account": row.account or "",
            "made_by": row.made_by, "made": instant(row.made_ns), "expires": _instant(row.expires_ns),
            "used": _instant(row.used_ns), "revoked": _instant(row.revoked_ns),
        }
        for row in rows
    ]  # fmt: skip


def make_token(context: Context, actor: str, *, name: str, role: str, account: str, expires_days: int) -> Json:
    """The only reply that holds the token."""
    now_ns = time.time_ns()
    with store.writing(context.engine) as connection:
        number = id_of(connection, t.accounts, account) if account else None
        made, token = sessions.make_token(
            connection, context.vault, name=name, role=role, account=number, made_by=actor, now_ns=now_ns,
            expires_ns=now_ns + expires_days * 86_400 * 10**9 if expires_days else 0,
        )  # fmt: skip
        audit.record(connection, actor, "token.make", str(made), {"name": name, "role": role})
    return {"id": made, "name": name, "role": role, "token": token}


def revoke_token(context: Context, actor: str, number: int) -> bool:
    """False: it was revoked before."""
    table = t.api_tokens
    with store.writing(context.engine) as connection:
        row = connection.execute(select(table).where(table.c.id == number)).one_or_none()
        if row is None:
            raise Refusal(f"There is no token {number}.", "baseload tokens list", code="token_not_found", status=404)
        if row.revoked_ns:
            return False
        connection.execute(update(table).where(table.c.id == number).values(revoked_ns=time.time_ns()))
        audit.record(connection, actor, "token.revoke", str(number), {"name": row.name})
    return True


def _add(connection: Connection, name: str, role: str, account: int | None, password: str) -> int:
    identity.check_name(name)
    sessions.check_role(role, account)
    if connection.execute(select(t.people.c.id).where(t.people.c.name == name)).scalar() is not None:
        raise Refusal(f"There is a {name!r} already.", "Choose another name.", code="person_exists", status=409)
    values = {"name": name, "role": role, "account_id": account, "password": password, "made_ns": time.time_ns()}
    made = connection.execute(insert(t.people).values(**values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def _person(connection: Connection, name: str) -> Any:
    row = connection.execute(select(t.people).where(t.people.c.name == name)).one_or_none()
    if row is None:
        raise Refusal(f"There is no {name!r}.", "baseload people list", code="person_not_found", status=404)
    return row


def _one(context: Context, name: str) -> Json:
    return next(row for row in list_people(context) if row["name"] == name)


def _shown(row: Any) -> Json:
    return {
        "name": row.name, "role": row.role, "account": row.account or "", "made": instant(row.made_ns),
        "password": bool(row.password), "device": bool(row.totp), "disabled": row.disabled,
    }  # fmt: skip


def _instant(at_ns: int) -> str:
    return instant(at_ns) if at_ns else ""
