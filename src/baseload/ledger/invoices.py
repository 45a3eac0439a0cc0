"""Invoices: what an account owes for a time in one currency, frozen under a number.

In:     an account, a time [start, end) of the calls' arrival, taxes, who sends it.
Out:    a row of `invoices`, whose body is the whole document as JSON. It is never edited; what is wrong in it is put
        right by a credit note.
Numbers have no gaps: a series and a year count by themselves (2026-000001, EU-2026-000001), and a number is given in
the transaction that writes the invoice.
The net is in the book already, by its readings; taxes and the rounding of the total are posted with the document.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, select

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.book import last_id
from baseload.ledger.buyers import buyer_of
from baseload.ledger.documents import Document, Invoicing, Party, Tax, add_up, from_body, invoicing, to_body
from baseload.ledger.invoice_lines import Earlier, Scope, collect, receivables
from baseload.ledger.settled import account_id
from baseload.ledger.taxes import post_taxes
from baseload.ledger.texts import decimal, instant
from baseload.money.amount import check_currency
from baseload.store import tables

Record = Callable[[Connection, str, str, str, dict[str, Any]], None]
"""Writes an audit row (actor, action, subject, detail) in the same transaction: `control.audit.record`."""

KEY_MAX = 200


class NothingToInvoice(Refusal):
    """An account without any posting of that time and currency, and none that came late."""

    code, status = "nothing_to_invoice", 409


class Summary(msgspec.Struct, kw_only=True):
    """A document in a list. Amounts of credit notes are negative."""

    number: str
    kind: str
    account: str
    currency: str
    start: str
    end: str
    net_nano: int
    net: str
    tax_nano: int
    tax: str
    total_nano: int
    total: str
    issued: str
    refers_to: str


def draft(
    engine: Engine,
    account: int | str,
    start_ns: int,
    end_ns: int,
    *,
    currency: str,
    taxes: Iterable[Tax | Mapping[str, str]] = (),
    seller: Party | Mapping[str, str] | None = None,
) -> Document:
    """What `issue` would write now, without a number. Raises NothingToInvoice, or Refusal where times overlap."""
    declared = _declared(taxes, seller, "")
    with store.reading(engine) as connection:
        number = account_id(connection, account)
        return _assemble(connection, number, start_ns, end_ns, currency, declared)


def issue(
    engine: Engine,
    account: int | str,
    start_ns: int,
    end_ns: int,
    *,
    currency: str,
    taxes: Iterable[Tax | Mapping[str, str]],
    seller: Party | Mapping[str, str] | None,
    actor: str,
    series: str = "",
    key: str = "",
    record: Record | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> tuple[Document, bool]:
    """Freezes what an account owes into an invoice. Returns (the invoice, made).

    The same account, time and currency again: the same invoice, made = False, whatever came since and whatever taxes
    are declared now. `key` names the act: used again for another time or currency of this account it is refused
    (`exists_with_other_period`). Refused too: times that overlap (`invoice_overlaps`), NothingToInvoice.
    """
    declared = _declared(taxes, seller, series)
    _check_key(key)
    with store.writing(engine) as connection:
        number = account_id(connection, account)
        for row in _issued(connection, number) if key else ():
            known = from_body(row.body)
            if known.key == key and (known.start_ns, known.end_ns, known.currency) != (start_ns, end_ns, currency):
                raise Refusal(
                    f"Invoice {known.number} has the key {key!r} already, for another time or currency.",
                    "Use a new key for a new invoice.",
                    code="exists_with_other_period",
                    status=409,
                )
        for row in _issued(connection, number, currency):
            if (row.start_ns, row.end_ns) == (start_ns, end_ns):
                return from_body(row.body), False
        document = _assemble(connection, number, start_ns, end_ns, currency, declared)
        document.key = key
        write(connection, document, actor=actor, at_ns=clock())
        if record is not None:
            detail = {"account": document.account_name, "total": document.total, "currency": currency}
            record(connection, actor, "invoice.issue", document.number, detail)
        return document, True


def write(connection: Connection, document: Document, *, actor: str, at_ns: int, refers_to: int | None = None) -> None:
    """Numbers a document and writes its row. Call within `store.writing`, with nothing left that could be refused."""
    document.issued_ns, document.issued = at_ns, instant(at_ns)
    document.number = next_number(connection, document.series, at_ns)
    values = {
        "id": last_id(connection, tables.invoices) + 1,
        "number": document.number,
        "kind": document.kind,
        "account_id": document.account,
        "start_ns": document.start_ns,
        "end_ns": document.end_ns,
        "last_transaction": document.last_transaction,
        "currency": document.currency,
        "net_nano": document.net_nano,
        "tax_nano": document.tax_nano(),
        "refers_to": refers_to,
        "issued_ns": at_ns,
        "actor": actor,
        "body": to_body(document),
    }
    connection.execute(tables.invoices.insert().values(values))
    post_taxes(connection, document)


def next_number(connection: Connection, series: str, at_ns: int) -> str:
    """The number after the last one of a series in the year (UTC) of an instant."""
    year = datetime.fromtimestamp(at_ns // 10**9, UTC).year
    prefix = f"{series}-{year}-" if series else f"{year}-"
    number = tables.invoices.c.number
    query = select(number).where(func.substr(number, 1, len(prefix)) == prefix)
    last = connection.execute(query.order_by(func.length(number).desc(), number.desc()).limit(1)).scalar()
    return f"{prefix}{(int(last[len(prefix) :]) if last else 0) + 1:06d}"


def find(engine: Engine, number: str) -> Document:
    """An invoice or a credit note as it was issued. Raises Refusal `invoice_not_found`."""
    with store.reading(engine) as connection:
        return from_body(row_of(connection, number).body)


def row_of(connection: Connection, number: str) -> Any:
    """The row of a number. Raises Refusal `invoice_not_found`."""
    row = connection.execute(select(tables.invoices).where(tables.invoices.c.number == number)).first()
    if row is None:
        raise Refusal(
            f"There is no invoice {number!r}.", "See: baseload invoices list", code="invoice_not_found", status=404
        )
    return row


def credit_notes_of(connection: Connection, invoice: int) -> list[Document]:
    """The credit notes that refer to an invoice (its row's id), in the order they were issued."""
    table = tables.invoices.c
    query = select(table.body).where(table.refers_to == invoice).order_by(table.id)
    return [from_body(body) for body in connection.execute(query).scalars()]


def documents(engine: Engine, account: int | str | None = None, start_ns: int = 0, end_ns: int = 2**63 - 1) -> list[
    Document
]:  # fmt: skip
    """Invoices and credit notes whose time lies within [start, end), in the order they were issued."""
    table = tables.invoices.c
    query = select(table.body).where(table.start_ns >= start_ns, table.end_ns <= end_ns)
    with store.reading(engine) as connection:
        if account is not None:
            query = query.where(table.account_id == account_id(connection, account))
        return [from_body(body) for body in connection.execute(query.order_by(table.id)).scalars()]


def summary(document: Document) -> Summary:
    tax = document.tax_nano()
    return Summary(
        number=document.number, kind=document.kind, account=document.account_name, currency=document.currency,
        start=document.start, end=document.end, net_nano=document.net_nano, net=document.net, tax_nano=tax,
        tax=decimal(tax), total_nano=document.total_nano, total=document.total, issued=document.issued,
        refers_to=document.refers_to,
    )  # fmt: skip


def currencies(engine: Engine, account: int | str) -> list[str]:
    """The currencies an account was ever charged in."""
    with store.reading(engine) as connection:
        return list(receivables(connection, account_id(connection, account)))


def _declared(
    taxes: Iterable[Tax | Mapping[str, str]], seller: Party | Mapping[str, str] | None, series: str
) -> Invoicing:
    return invoicing({"seller": seller if seller is not None else Party(), "taxes": list(taxes), "series": series})


def _check_key(key: str) -> None:
    if len(key) > KEY_MAX or not key.isprintable():
        raise Refusal(f"{key[:20]!r}... cannot be a key.", f"Use at most {KEY_MAX} plain characters.", code="key_wrong")


def _issued(connection: Connection, account: int, currency: str | None = None) -> list[Any]:
    """Rows of an account's invoices, by their times."""
    table = tables.invoices.c
    query = select(tables.invoices).where(table.account_id == account, table.kind == "invoice")
    if currency is not None:
        query = query.where(table.currency == currency)
    return list(connection.execute(query.order_by(table.start_ns)))


def _assemble(
    connection: Connection, account: int, start_ns: int, end_ns: int, currency: str, declared: Invoicing
) -> Document:
    check_currency(currency)
    if start_ns >= end_ns:
        raise Refusal("The time ends before it begins.", "Swap its ends.", code="period_wrong")
    earlier = [
        Earlier(r.start_ns, r.end_ns, r.number, r.last_transaction) for r in _issued(connection, account, currency)
    ]
    for each in earlier:
        if each.start_ns < end_ns and each.end_ns > start_ns:
            raise Refusal(
                f"Invoice {each.number} is for {instant(each.start_ns)} to {instant(each.end_ns)} already.",
                "Choose a time that no invoice of this account and currency touches.",
                code="invoice_overlaps",
                status=409,
            )
    name = connection.execute(select(tables.accounts.c.name).where(tables.accounts.c.id == account)).scalar_one()
    last = last_id(connection, tables.transactions)
    lines, adjustments = collect(connection, Scope(account, currency, start_ns, end_ns, last, earlier))
    if not lines and not adjustments:
        raise NothingToInvoice(
            f"{name} has no posting in {currency} from {instant(start_ns)} to {instant(end_ns)}.",
            "See: baseload bill",
        )
    document = Document(
        kind="invoice", series=declared.series, currency=currency, seller=declared.seller,
        buyer=buyer_of(connection, account), account=account,
        account_name=name, start=instant(start_ns), end=instant(end_ns), start_ns=start_ns, end_ns=end_ns, lines=lines,
        adjustments=adjustments, last_transaction=last,
    )  # fmt: skip
    add_up(document, declared.taxes)
    return document
