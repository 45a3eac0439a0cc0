"""Money that accounts pay in, get back, or are given: each movement once, by its key, and never more than is there.

In:     an account, an amount in its own currency, a key. Out: a posting and a row of `payments`.

    topup    cash:0:CUR             <-  prepaid:ACCOUNT:CUR     it has paid
    refund   prepaid:ACCOUNT:CUR    <-  cash:0:CUR              it got money back
    credit   adjustment:ACCOUNT:CUR <-  prepaid:ACCOUNT:CUR     it was given some
    debit    prepaid:ACCOUNT:CUR    <-  adjustment:ACCOUNT:CUR  taken back by hand
    invoice  cash:0:CUR             <-  prepaid:ACCOUNT:CUR     it has paid an invoice: its net
             cash:0:CUR             <-  tax_due:ACCOUNT:CUR     and its taxes with the rounding of the total

A repeat with the same content is a no-op; the same key with other content is refused. What would take more than the
account's payer has available, with all that is out at gateways counted as spent, is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.book import LedgerKey, post
from baseload.ledger.documents import from_body
from baseload.ledger.invoices import credit_notes_of, row_of
from baseload.ledger.purses import GIVEN, available_of_account, balance_nano
from baseload.ledger.settled import account_id, names
from baseload.ledger.texts import decimal, instant
from baseload.store import tables

Record = Callable[[Connection, str, str, dict[str, Any]], None]  # action, subject, detail: who did what
KINDS = ("topup", "refund", "credit", "debit", "code", "stripe", "webhook", "invoice")


class Payment(msgspec.Struct, kw_only=True):
    """`nano`: what the balance moved by, in nano-units. `made` False: it was there already."""

    id: int
    key: str
    account: str
    kind: str
    nano: int
    amount: str
    currency: str
    transaction: int
    at: str
    memo: str
    made: bool = True


def pay(
    engine: Engine,
    account: int | str,
    kind: str,
    nano: int,
    currency: str,
    *,
    key: str,
    actor: str,
    at_ns: int,
    memo: str = "",
    record: Record | None = None,
) -> Payment:
    """One movement in a transaction of its own; `record` is called in it."""
    with store.writing(engine) as connection:
        return move(
            connection, account, kind, nano, currency, key=key, actor=actor, at_ns=at_ns, memo=memo, record=record
        )


def move(
    connection: Connection,
    account: int | str,
    kind: str,
    nano: int,
    currency: str,
    *,
    key: str,
    actor: str,
    at_ns: int,
    memo: str = "",
    record: Record | None = None,
) -> Payment:
    """As `pay`, within `store.writing`. `nano` is positive; refunds and debits lower the balance by it."""
    number = account_id(connection, account)
    row = connection.execute(select(tables.accounts).where(tables.accounts.c.id == number)).one()
    if not 0 < nano <= tables.NANO_MAX:
        raise Refusal("The amount must be above zero.", 'As in "12.50".', code="amount_wrong", param="amount")
    if currency != row.currency:
        raise Refusal(
            f"Account {row.name} is in {row.currency}, not {currency}.", f"Give the amount in {row.currency}.",
            code="currency_wrong", param="currency",
        )  # fmt: skip
    down = kind in ("refund", "debit")
    known = connection.execute(select(tables.payments).where(tables.payments.c.key == key)).one_or_none()
    if known is None and down:
        _is_there(connection, number, row.name, nano, currency)
    prepaid: LedgerKey = ("prepaid", number, currency)
    other: LedgerKey = ("adjustment", number, currency) if kind in GIVEN else ("cash", 0, currency)
    sides = (prepaid, other) if down else (other, prepaid)
    transaction, made = post(connection, key=f"payment:{key}", at_ns=at_ns, memo=memo, moves=[(*sides, nano)])
    if made:
        values = {
            "key": key, "account_id": number, "kind": kind, "nano": -nano if down else nano, "currency": currency,
            "transaction_id": transaction, "at_ns": at_ns, "actor": actor, "memo": memo,
        }  # fmt: skip
        connection.execute(tables.payments.insert().values(values))
        if record is not None:
            detail = {"nano": values["nano"], "currency": currency, "key": key}
            record(connection, f"payment.{kind}", row.name, detail)
    found = connection.execute(select(tables.payments).where(tables.payments.c.key == key)).one()
    return _payment(found, row.name, made=made)


def pay_invoice(
    engine: Engine, number: str, nano: int, *, actor: str, at_ns: int, memo: str = "", record: Record | None = None
) -> Payment:
    """An invoice is paid, whole, less what credit notes took back of it; once: said again it is a no-op.

    The balance moves by the net; taxes and rounding close `tax_due`. Refusals: `invoice_not_found`, `not_an_invoice`,
    `amount_wrong` (another amount than is due), `nothing_due`.
    """
    with store.writing(engine) as connection:
        row = row_of(connection, number)
        if row.kind != "invoice":
            raise Refusal(f"{number} is a credit note.", "Name the invoice.", code="not_an_invoice", status=409)
        documents = [from_body(row.body), *credit_notes_of(connection, row.id)]
        name, key = documents[0].account_name, f"invoice:{number}"
        table = tables.payments
        known = connection.execute(select(table).where(table.c.key == key)).one_or_none()
        net, due = (sum(getattr(one, part) for one in documents) for part in ("net_nano", "total_nano"))
        if known is not None:
            return _payment(known, name, made=False)
        if due <= 0 or net < 0:
            raise Refusal(f"Nothing is due for {number}.", f"baseload invoices show {number}", code="nothing_due",
                          status=409)  # fmt: skip
        if nano != due:
            raise Refusal(
                f"{decimal(due)} {row.currency} is due for {number}, not {decimal(nano)}.",
                "Pay it whole; parts go to the balance: baseload payments topup", code="amount_wrong", param="amount",
            )  # fmt: skip
        cash: LedgerKey = ("cash", 0, row.currency)
        tax_due: LedgerKey = ("tax_due", row.account_id, row.currency)
        rest = due - net
        moves = [(cash, ("prepaid", row.account_id, row.currency), net)] if net else []
        moves += [(cash, tax_due, rest)] if rest > 0 else [(tax_due, cash, -rest)] if rest else []
        transaction, _ = post(connection, key=f"payment:{key}", at_ns=at_ns, memo=memo or f"pays {number}", moves=moves)
        values = {
            "key": key, "account_id": row.account_id, "kind": "invoice", "nano": net, "currency": row.currency,
            "transaction_id": transaction, "at_ns": at_ns, "actor": actor, "memo": memo,
        }  # fmt: skip
        connection.execute(table.insert().values(values))
        if record is not None:
            record(connection, "payment.invoice", name, {"invoice": number, "nano": due, "currency": row.currency})
        return _payment(connection.execute(select(table).where(table.c.key == key)).one(), name)


def _is_there(connection: Connection, account: int, name: str, nano: int, currency: str) -> None:
    available = available_of_account(connection, account)
    paid = -balance_nano(connection, f"prepaid:{account}:{currency}")
    most = paid if available is None else min(paid, available)
    if nano > most:
        raise Refusal(
            f"Account {name} has {decimal(max(most, 0))} {currency} that can be taken; {decimal(nano)} were asked for.",
            "Take less. What gateways have on lease counts as spent until they give it back.",
            code="not_enough", status=409, param="amount",
        )  # fmt: skip


def payments(engine: Engine, account: int | str | None = None, limit: int = 100) -> list[Payment]:
    """The latest movements, newest first."""
    table = tables.payments
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    with store.reading(engine) as connection:
        if account is not None:
            query = query.where(table.c.account_id == account_id(connection, account))
        known = names(connection, tables.accounts)
        return [_payment(row, known.get(row.account_id, "")) for row in connection.execute(query)]


def _payment(row: Any, account: str, *, made: bool = True) -> Payment:
    return Payment(
        id=row.id, key=row.key, account=account, kind=row.kind, nano=row.nano, amount=decimal(row.nano),
        currency=row.currency, transaction=row.transaction_id, at=instant(row.at_ns), memo=row.memo, made=made,
    )  # fmt: skip
