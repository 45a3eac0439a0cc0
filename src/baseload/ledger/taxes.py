"""What invoices ask for beyond the net, in the book: taxes and the rounding of totals.

In:     an issued invoice or credit note. Out: one adjustment a document, with the key `invoice-tax:NUMBER`:

    tax_due:ACCOUNT:CUR  <-  tax:0:CUR       each declared tax
    tax_due:ACCOUNT:CUR  <-  rounding:0:CUR  what makes the total whole

the other way round where an amount is negative. The net is in the book already, by its readings; so an account's debt
is `receivable` + `tax_due`, and what the tax office gets is the balance of `tax`. Purses know the net only.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from baseload.ledger.book import LedgerKey, code_of, post
from baseload.ledger.documents import Document
from baseload.store import tables

Moves = list[tuple[LedgerKey, LedgerKey, int]]


def post_taxes(connection: Connection, document: Document) -> None:
    """Call within `store.writing`, once the document has its number. Nothing to post where there is no tax."""
    moves = _moves(document)
    if moves:
        memo = f"taxes and rounding of {document.number}"
        post(connection, key=_key(document), at_ns=document.issued_ns, memo=memo, moves=moves)


def posted_wrong(connection: Connection, document: Document) -> str:
    """What is not as `post_taxes` posts it; "" = it is."""
    entry, account, transaction = tables.postings, tables.ledger_accounts.alias("debit"), tables.transactions.c
    credit = tables.ledger_accounts.alias("credit")
    query = (
        select(account.c.code, credit.c.code, entry.c.amount_nano)
        .join(tables.transactions, transaction.id == entry.c.transaction_id)
        .join(account, account.c.id == entry.c.debit_id)
        .join(credit, credit.c.id == entry.c.credit_id)
        .where(transaction.key == _key(document))
        .order_by(entry.c.line)
    )
    found = [tuple(row) for row in connection.execute(query)]
    due = [(code_of(one), code_of(other), nano) for one, other, nano in _moves(document)]
    return "" if found == due else f"its taxes and rounding are not in the book: {due} is due, {found} is there"


def _key(document: Document) -> str:
    return f"invoice-tax:{document.number}"


def _moves(document: Document) -> Moves:
    due: LedgerKey = ("tax_due", document.account, document.currency)
    parts: list[tuple[LedgerKey, int]] = [
        (("tax", 0, document.currency), document.tax_nano()),
        (("rounding", 0, document.currency), document.rounding_nano),
    ]
    return [(due, against, nano) if nano > 0 else (against, due, -nano) for against, nano in parts if nano]
