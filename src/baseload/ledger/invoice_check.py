"""Are the invoices still what the book says? Each is made again from the postings it was made from.

In:     the database. Out: what differs (nothing, in an honest book). Reads in one consistent picture; writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.ledger.credit_notes import left
from baseload.ledger.documents import Document, Tax, add_up, from_body
from baseload.ledger.invoice_lines import Earlier, Scope, collect
from baseload.ledger.invoices import credit_notes_of
from baseload.ledger.taxes import posted_wrong
from baseload.store import tables


class Wrong(msgspec.Struct, kw_only=True):
    """A document that is not what it should be. `number` is "" where one is missing."""

    number: str
    say: str


def check(engine: Engine, account: int | None = None) -> list[Wrong]:
    """Rows missing, gaps in numbers, columns that differ from the body, lines and sums that the book does not give,
    more credited than is left. `account`: documents of this one only; numbers are always looked at."""
    with store.reading(engine) as connection:
        return list(wrong_in(connection, account))


def wrong_in(connection: Connection, account: int | None = None) -> Iterator[Wrong]:
    """As `check`, within a reading of the caller's."""
    rows = list(connection.execute(select(tables.invoices).order_by(tables.invoices.c.id)))
    yield from _gaps(rows)
    for row in rows:
        if account in (None, row.account_id):
            yield from _document(connection, row, rows)


def _gaps(rows: list[Any]) -> Iterator[Wrong]:
    counts: dict[str, int] = {}
    for position, row in enumerate(rows, 1):
        if row.id != position:
            yield Wrong(number="", say=f"row {position} is missing")
            return  # all that follow would be wrong too
        series, _, number = row.number.rpartition("-")
        counts[series] = counts.get(series, 0) + 1
        if int(number) != counts[series]:
            yield Wrong(number=row.number, say=f"{series}-{counts[series]:06d} was due")


def _document(connection: Connection, row: Any, rows: list[Any]) -> Iterator[Wrong]:
    document = from_body(row.body)
    columns = (row.number, row.kind, row.account_id, row.start_ns, row.end_ns, row.currency, row.net_nano, row.tax_nano,
               row.last_transaction, row.issued_ns)  # fmt: skip
    body = (document.number, document.kind, document.account, document.start_ns, document.end_ns, document.currency,
            document.net_nano, document.tax_nano(), document.last_transaction, document.issued_ns)  # fmt: skip
    if columns != body:
        yield Wrong(number=row.number, say=f"the row says {columns}, the document {body}")
    if say := posted_wrong(connection, document):
        yield Wrong(number=row.number, say=say)
    if row.kind == "invoice":
        again = _again(connection, document, row, rows)
        if again != document:
            has, gives = (f"net {each.net}, total {each.total}" for each in (document, again))
            say = f"the document has {has}; the book gives {gives}"
            yield Wrong(number=row.number, say=say)
        notes = credit_notes_of(connection, row.id)
        over = document.net_nano + sum(note.net_nano for note in notes) < 0 <= document.net_nano
        if over or any(
            rest < 0 < line.nano
            for line, rest in zip(document.all_lines(), left(document, notes).values(), strict=True)
        ):
            yield Wrong(number=row.number, say="more was credited than it has")


def _again(connection: Connection, document: Document, row: Any, rows: list[Any]) -> Document:
    """The invoice from the book as it was then: up to its last transaction, after the invoices before it."""
    earlier = [
        Earlier(each.start_ns, each.end_ns, each.number, each.last_transaction)
        for each in rows
        if (each.kind, each.account_id, each.currency) == ("invoice", row.account_id, row.currency) and each.id < row.id
    ]
    scope = Scope(row.account_id, row.currency, row.start_ns, row.end_ns, row.last_transaction, sorted(earlier))
    again = msgspec.structs.replace(document)
    again.lines, again.adjustments = collect(connection, scope)
    add_up(again, [Tax(name=tax.name, percent=tax.percent) for tax in document.taxes])
    return again
