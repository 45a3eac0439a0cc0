"""Names and passwords. argon2id (argon2-cffi's defaults, RFC 9106); tries are slowed down, by name and by address.

In:     a name, a password, where it comes from, the time.
Out:    a person's row, or Refusal `sign_in_wrong`, the same words and the same work whether the name is there or not;
        `sign_in_slow` while tries are held back.
"""

from __future__ import annotations

import re
import threading
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, delete, insert, select, update

from baseload import store
from baseload.errors import Refusal
from baseload.store import tables as t

SECOND = 10**9
PASSWORD_MIN, PASSWORD_MAX = 12, 1000  # characters (NIST SP 800-63B: length, no rules of composition)
FREE_TRIES = 5  # then the wait doubles with every further one
WAIT_MAX_S = 300  # a stranger who types a name wrongly locks its owner out for no longer
FORGET_S = 3600
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}", re.ASCII)

_hasher = PasswordHasher()
_working = threading.Semaphore(2)  # at once: each takes 64 MB, and anybody may ask
_NOBODY = _hasher.hash("a password of nobody")  # compared for a name that is not there


def check_password(password: str) -> None:
    """Raises Refusal `password_wrong`."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise Refusal(
            f"A password has at least {PASSWORD_MIN} characters.", "Take a few words.", code="password_wrong",
            param="password",
        )  # fmt: skip


def hashed(password: str) -> str:
    check_password(password)
    with _working:
        return _hasher.hash(password)


def check_name(name: str) -> None:
    """Raises Refusal `name_wrong`."""
    if not NAME.fullmatch(name):
        raise Refusal(
            f"{name[:70]!r} cannot be a name.", "Small letters, digits, . _ @ -, at most 63.", code="name_wrong",
            param="name",
        )  # fmt: skip


def sign_in(engine: Engine, name: str, password: str, address: str, now_ns: int) -> Any:
    """The person's row. The tries are counted in the database, so a restart forgets none."""
    if not NAME.fullmatch(name):  # nobody's; whatever it is, it does not reach the database
        name = "?"
    count_try(engine, name, address, now_ns)
    with store.reading(engine) as connection:
        row = connection.execute(select(t.people).where(t.people.c.name == name)).one_or_none()
    kept = row.password if row is not None and row.password else _NOBODY
    try:
        with _working:
            _hasher.verify(kept, password[: PASSWORD_MAX + 1])
    except (VerificationError, InvalidHashError):
        row = None
    if row is None or kept is _NOBODY or row.disabled:
        raise Refusal("Name or password are wrong.", "Ask an owner for a new link.", code="sign_in_wrong", status=401)
    if not row.totp:  # a second step is to come: only it forgets them
        forget_tries(engine, name, address)
    if _hasher.check_needs_rehash(kept):
        with store.writing(engine) as connection:
            connection.execute(update(t.people).where(t.people.c.id == row.id).values(password=_hasher.hash(password)))
    return row


def count_try(engine: Engine, name: str, address: str, now_ns: int) -> None:
    """Counted before the work: a hundred at once are a hundred tries. Raises Refusal `sign_in_slow`."""
    with store.writing(engine) as connection:
        for place in _places(name, address):
            _held_back(connection, place, now_ns)
        for place in _places(name, address):
            _count(connection, place, now_ns)


def forget_tries(engine: Engine, name: str, address: str) -> None:
    """It was right."""
    with store.writing(engine) as connection:
        connection.execute(delete(t.sign_in_tries).where(t.sign_in_tries.c.who.in_(_places(name, address))))


def _places(name: str, address: str) -> tuple[str, str]:
    return f"name:{name}", f"address:{address}"


def _held_back(connection: Connection, place: str, now_ns: int) -> None:
    table = t.sign_in_tries.c
    until = connection.execute(select(table.until_ns).where(table.who == place)).scalar()
    if until is not None and until > now_ns:
        wait_s = (until - now_ns) // SECOND + 1
        raise Refusal(
            f"Too many tries; the next one in {wait_s} seconds.", "Wait, then try again.", code="sign_in_slow",
            status=429,
        )  # fmt: skip


def _count(connection: Connection, place: str, now_ns: int) -> None:
    table = t.sign_in_tries
    row = connection.execute(select(table).where(table.c.who == place)).one_or_none()
    failures = 1
    if row is not None and now_ns - row.until_ns <= FORGET_S * SECOND:
        failures = row.failures + 1
    free = FREE_TRIES * (10 if place.startswith("address:") else 1)  # many may share an address
    wait_s = min(2 ** min(failures - free, 20), WAIT_MAX_S) if failures > free else 0
    connection.execute(delete(table).where(table.c.who == place))
    connection.execute(insert(table).values(who=place, failures=failures, until_ns=now_ns + wait_s * SECOND))
