"""Invoices as the API and the command ask for them: by account and month, with what is declared in `settings`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from baseload import store
from baseload.control import audit
from baseload.control.apply import set_setting, setting
from baseload.control.context import Context
from baseload.control.services.times import iso, period_ns
from baseload.errors import Refusal
from baseload.ledger import buyers, credit_notes, invoice_files, invoices
from baseload.ledger import usage as usages
from baseload.ledger.buyers import buyer_of
from baseload.ledger.documents import Document, Invoicing, Party, invoicing
from baseload.ledger.invoice_files import Format
from baseload.ledger.settled import account_id
from baseload.money.amount import Amount
from baseload.store import tables as t

SETTING = "invoicing"
Json = dict[str, Any]


def settings(context: Context) -> Json:
    """Party, taxes and series of new invoices."""
    found: Json = msgspec.to_builtins(_declared(context))
    return found


def set_settings(context: Context, actor: str, value: Json) -> Json:
    """Declares them anew, as a whole. Invoices issued before stay as they are."""
    declared: Json = msgspec.to_builtins(invoicing(value))
    with store.writing(context.engine) as connection:
        if setting(connection, SETTING, None) != declared:
            set_setting(connection, SETTING, declared)
            audit.record(connection, actor, "invoicing.set", SETTING, declared)
    return declared


def buyer(context: Context, account: str) -> Json:
    """Who an account is on its invoices."""
    with store.reading(context.engine) as connection:
        found: Json = msgspec.to_builtins(buyer_of(connection, account_id(connection, account)))
    return found


def set_buyer(context: Context, actor: str, account: str, value: Json) -> Json:
    """Says it anew, as a whole; invoices issued before keep what they have."""
    with store.writing(context.engine) as connection:
        if buyers.set_buyer(connection, account_id(connection, account), msgspec.convert(value, Party)):
            audit.record(connection, actor, "account.buyer", account, value)
    return buyer(context, account)


def preview(context: Context, *, account: str, since: str, until: str, month: str, currency: str) -> Json:
    """What would be issued now, a draft a currency, and how many attempts are in no line yet (to whole hours).

    The time may still be running.
    """
    start, end = period_ns(since, until, month, time.time_ns())
    drafts = [_whole(found) for found in _drafts(context, account, start, end, currency)]
    with store.reading(context.engine) as connection:
        number = account_id(connection, account)
    rows = usages.usage(context.engine, start, end, by=("account",), account=number).rows
    waiting = {"unmetered": sum(row.unmetered for row in rows), "unpriced": sum(row.unpriced for row in rows)}
    return {"drafts": drafts, "open": waiting}


def issue(
    context: Context,
    actor: str,
    *,
    account: str,
    all: bool,
    since: str,
    until: str,
    month: str,
    currency: str,
    series: str | None,
    key: str,
    early: bool,
) -> Json:
    """Issues for one account, or for all that have something to invoice; a currency each where none is named.

    What is refused for one account of all does not stop the others: it is listed under `refused`.
    """
    if bool(account) == all:
        raise Refusal("For whom?", "Give an account, or all.", code="account_missing", param="account")
    if key and not (account and currency):
        raise Refusal("A key is for one invoice.", "Give account and currency with it.", code="key_wrong", param="key")
    if not (month or (since and until)):
        raise Refusal("For which time?", "Give a month, as in 2026-11, or since and until.", code="period_wrong")
    start, end = period_ns(since, until, month, time.time_ns())
    if end > time.time_ns() and not early:
        raise Refusal(
            f"This time ends at {iso(end)}, which is yet to come.",
            "Wait until then; or say early: calls that follow will be late ones of the next invoice.",
            code="period_open",
            status=409,
        )
    declared = _declared(context)
    made: list[Json] = []
    refused: list[Json] = []
    for name in _accounts(context) if all else [account]:
        for each in [currency] if currency else invoices.currencies(context.engine, name):
            try:
                found, new = invoices.issue(
                    context.engine, name, start, end, currency=each, taxes=declared.taxes, seller=declared.seller,
                    actor=actor, series=declared.series if series is None else series, key=key, record=audit.record,
                )  # fmt: skip
            except invoices.NothingToInvoice:
                continue
            except Refusal as refusal:
                if not all:
                    raise
                said = {"code": refusal.code, "say": refusal.say}
                refused.append({"account": name, "currency": each, **said})
            else:
                made.append({**_brief(found), "made": new})
    if not all and not made:
        raise _nothing(account)
    return {"invoices": made, "refused": refused}


def list_invoices(context: Context, *, account: str, since: str, until: str, month: str) -> list[Json]:
    """Invoices and credit notes whose time lies within a period; all of them where none is given."""
    if not (since or until or month):
        return [_brief(found) for found in invoices.documents(context.engine, account or None)]
    start, end = period_ns(since, until, month, time.time_ns(), default="all")
    return [_brief(found) for found in invoices.documents(context.engine, account or None, start, end)]


def show(context: Context, number: str) -> Json:
    """A document whole; of an invoice its credit notes, and what is left of each line."""
    with store.reading(context.engine) as connection:
        row = invoices.row_of(connection, number)
        notes = invoices.credit_notes_of(connection, row.id)
    found = invoices.find(context.engine, number)
    shown: Json = {"invoice": _whole(found), "credit_notes": [_brief(note) for note in notes]}
    if found.kind == "invoice":
        shown["left"] = {str(line): nano for line, nano in credit_notes.left(found, notes).items()}
    return shown


def credit(
    context: Context, actor: str, number: str, *, lines: Sequence[Json], whole: bool, reason: str, key: str
) -> Json:
    """Credits lines ({line, amount}; no amount: all that is left of it), or with `whole` all that is left."""
    if bool(lines) == whole:
        raise Refusal("What is credited?", "Name lines, or say whole.", code="credit_wrong", status=422)
    currency = invoices.find(context.engine, number).currency
    asked = [(each["line"], _nano(each["amount"], currency)) for each in lines]
    found, new = credit_notes.credit_note(
        context.engine, number, None if whole else asked, reason=reason, actor=actor, key=key, record=audit.record
    )
    return {**_whole(found), "made": new}


def file(context: Context, number: str, format: Format) -> bytes:
    """One document as a file."""
    return invoice_files.render([invoices.find(context.engine, number)], format)


def statement(
    context: Context, *, account: str, since: str, until: str, month: str, currency: str, format: Format
) -> bytes:
    """An account's time as a file: what was issued for it, and a draft of what was not."""
    start, end = period_ns(since, until, month, time.time_ns())
    issued = [
        found
        for found in invoices.documents(context.engine, account, start, end)
        if currency in ("", found.currency) and (format != "pdf" or found.kind == "invoice")
    ]
    done = {found.currency for found in issued}
    found = [*issued, *_drafts(context, account, start, end, currency, without=done)]
    if not found and format == "pdf":
        raise _nothing(account)
    return invoice_files.render(found, format)


def _drafts(
    context: Context, account: str, start: int, end: int, currency: str, without: set[str] | None = None
) -> list[Document]:
    declared, found = _declared(context), []
    for each in [currency] if currency else invoices.currencies(context.engine, account):
        if without and each in without:
            continue
        try:
            found.append(
                invoices.draft(
                    context.engine, account, start, end, currency=each, taxes=declared.taxes, seller=declared.seller
                )
            )
        except invoices.NothingToInvoice:
            continue
    return found


def _declared(context: Context) -> Invoicing:
    with store.reading(context.engine) as connection:
        return invoicing(setting(connection, SETTING, {}))


def _accounts(context: Context) -> list[str]:
    with store.reading(context.engine) as connection:
        return list(connection.execute(select(t.accounts.c.name).order_by(t.accounts.c.id)).scalars())


def _nano(amount: str, currency: str) -> int:
    """An amount of a line; "" = all that is left. Zero is not an amount here."""
    if not amount:
        return credit_notes.ALL_OF_LINE
    nano = Amount.from_decimal(amount, currency).nano
    if nano <= 0:
        raise Refusal(f"{amount} is nothing to credit.", "Name more than zero.", code="credit_wrong", status=422)
    return nano


def _nothing(account: str) -> Refusal:
    return invoices.NothingToInvoice(f"There is nothing of {account} to invoice for this time.", "See: baseload bill")


def _whole(document: Document) -> Json:
    found: Json = msgspec.to_builtins(document)
    return found


def _brief(document: Document) -> Json:
    found: Json = msgspec.to_builtins(invoices.summary(document))
    return found
