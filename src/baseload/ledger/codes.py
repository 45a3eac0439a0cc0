"""Redemption codes: a text that is worth an amount, once.

In:     how many, how much; later a text somebody typed. Out: texts, shown once; a credit on an account, exactly once.
Kept is the SHA-256 of a code with 130 random bits: a copy of the database is worth nothing. Letters that look alike are
not used; case, blanks and dashes do not matter.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.payments import Payment, Record, move
from baseload.ledger.texts import decimal, instant
from baseload.money.amount import check_currency
from baseload.store import tables

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # 32 letters: 5 bits each
LETTERS = 26
MANY = 1000


def make(
    engine: Engine, count: int, nano: int, currency: str, *, now_ns: int, expires_ns: int = 0, memo: str = "",
    record: Record | None = None,
) -> list[str]:  # fmt: skip
    """New codes of `nano` each; the only time their texts exist."""
    check_currency(currency)
    if not 1 <= count <= MANY or not 0 < nano <= tables.NANO_MAX:
        raise Refusal(f"1 to {MANY} codes at once, of an amount above zero.", "", code="codes_wrong")
    texts = ["".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(count)]
    with store.writing(engine) as connection:
        for text in texts:
            values = {
                "hash": _hash(text), "prefix": text[:4], "nano": nano, "currency": currency, "memo": memo,
                "made_ns": now_ns, "expires_ns": expires_ns,
            }  # fmt: skip
            connection.execute(tables.codes.insert().values(values))
        if record is not None:
            record(connection, "codes.make", str(count), {"nano": nano, "currency": currency})
    return ["BL-" + "-".join(text[at : at + 5] for at in range(0, LETTERS, 5)) for text in texts]


def redeem(
    engine: Engine, text: str, account: int | str, *, actor: str, now_ns: int, record: Record | None = None
) -> Payment:
    """The code's amount goes to the account. Raises Refusal; a wrong code tells nothing of the right ones."""
    with store.writing(engine) as connection:
        table, used = tables.codes, tables.redemptions
        row = connection.execute(select(table).where(table.c.hash == _hash(text))).one_or_none()
        if row is None or row.revoked_ns or (row.expires_ns and row.expires_ns <= now_ns):
            raise Refusal("This code is not valid.", "Check it, letter by letter.", code="code_wrong", status=404)
        if connection.execute(select(used.c.code_id).where(used.c.code_id == row.id)).scalar() is not None:
            raise Refusal("This code was redeemed before.", "Use another one.", code="code_used", status=409)
        paid = move(
            connection, account, "code", row.nano, row.currency, key=f"code:{row.id}", actor=actor, at_ns=now_ns,
            memo=f"code {row.prefix}", record=record,
        )  # fmt: skip
        connection.execute(used.insert().values(code_id=row.id, payment_id=paid.id, at_ns=now_ns))
        return paid


def revoke(connection: Connection, number: int, now_ns: int) -> bool:
    """A code is worth nothing any more. False: it was redeemed or revoked before."""
    table, used = tables.codes, tables.redemptions
    if connection.execute(select(used.c.code_id).where(used.c.code_id == number)).scalar() is not None:
        return False
    changed = connection.execute(
        update(table).where(table.c.id == number, table.c.revoked_ns == 0).values(revoked_ns=now_ns)
    )
    return bool(changed.rowcount)


def codes(engine: Engine) -> list[dict[str, Any]]:
    """All codes by their first letters, newest first."""
    table, used = tables.codes, tables.redemptions
    query = select(table, used.c.at_ns).outerjoin(used, used.c.code_id == table.c.id).order_by(table.c.id.desc())
    with store.reading(engine) as connection:
        return [
            {
                "id": row.id, "prefix": row.prefix, "amount": decimal(row.nano), "currency": row.currency,
                "memo": row.memo, "made": instant(row.made_ns),
                "expires": instant(row.expires_ns) if row.expires_ns else "",
                "redeemed": instant(row.at_ns) if row.at_ns else "",
                "revoked": instant(row.revoked_ns) if row.revoked_ns else "",
            }
            for row in connection.execute(query)
        ]  # fmt: skip


def _hash(text: str) -> bytes:
    plain = "".join(letter for letter in text.upper() if letter.isalnum())
    if len(plain) == LETTERS + 2 and plain.startswith("BL"):
        plain = plain[2:]
    return hashlib.sha256(plain.encode()).digest()
