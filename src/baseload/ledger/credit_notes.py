"""Credit notes: what is taken back of an invoice. The invoice stays as it was.

In:     an invoice's number; some of its lines with amounts, or all that is left.
Out:    a document of its own with negative amounts and a number of the invoice's series, and one adjustment in the
        book: the account owes so much less.
Never more is credited than is left: of a line, and of the whole. Taxes go with the net at the invoice's own rates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from baseload import store
from baseload.errors import Defect, Refusal
from baseload.ledger.book import LedgerKey, post
from baseload.ledger.documents import Document, Line, Tax, add_up, from_body
from baseload.ledger.invoices import KEY_MAX, Record, credit_notes_of, next_number, row_of, write
from baseload.ledger.rows import clean
from baseload.ledger.texts import decimal
from baseload.store import tables

REASON_MAX = 500
ALL_OF_LINE = 0  # as an amount: all that is left of the line


def left(invoice: Document, notes: Sequence[Document]) -> dict[int, int]:
    """What is left of each line of an invoice, in nano-units, after its credit notes."""
    rest = {line.line: line.nano for line in invoice.all_lines()}
    for note in notes:
        for line in note.lines:
            rest[line.of_line] += line.nano
    return rest


def credit_note(
    engine: Engine,
    number: str,
    lines: Sequence[tuple[int, int]] | None = None,
    *,
    reason: str,
    actor: str,
    key: str,
    record: Record | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> tuple[Document, bool]:
    """Credits `lines`, (line of the invoice, net nano-units; ALL_OF_LINE) each, or all that is left (None).

    Returns (the credit note, made). `key` names the act for this invoice: said again with the same lines and reason
    nothing is credited again (made = False), with others it is refused (`exists_with_other_content`). Refusals:
    `invoice_not_found`, `not_an_invoice`, `line_not_found`, `credit_wrong`, `nothing_left`, `more_than_left`.
    """
    _check(lines, reason, key)
    asked = None if lines is None else sorted((int(line), int(nano)) for line, nano in lines)
    with store.writing(engine) as connection:
        row = row_of(connection, number)
        if row.kind != "invoice":
            raise Refusal(f"{number} is a credit note.", "Name the invoice.", code="not_an_invoice", status=409)
        invoice, notes = from_body(row.body), credit_notes_of(connection, row.id)
        for known in notes:
            if known.key == key:
                if (known.asked, known.reason) == (asked, clean(reason)):
                    return known, False
                raise Refusal(
                    f"Credit note {known.number} has the key {key!r} already, with other content.",
                    "Use a new key for a new credit note.",
                    code="exists_with_other_content",
                    status=409,
                )
        note = Document(
            kind="credit_note", series=invoice.series, currency=invoice.currency, seller=invoice.seller,
            account=invoice.account, account_name=invoice.account_name, buyer=invoice.buyer,
            start=invoice.start, end=invoice.end, start_ns=invoice.start_ns, end_ns=invoice.end_ns,
            lines=_lines(invoice, notes, asked),
            refers_to=number, reason=clean(reason), key=key, asked=asked,
        )  # fmt: skip
        add_up(note, [Tax(name=tax.name, percent=tax.percent) for tax in invoice.taxes], notes)
        _check_whole(invoice, notes, note)
        now_ns = clock()
        note.last_transaction = _post(connection, note, now_ns)
        write(connection, note, actor=actor, at_ns=now_ns, refers_to=row.id)
        if record is not None:
            detail = {"invoice": number, "total": note.total, "currency": note.currency, "reason": note.reason}
            record(connection, actor, "invoice.credit", note.number, detail)
        return note, True


def _check(lines: Sequence[tuple[int, int]] | None, reason: str, key: str) -> None:
    if not reason.strip() or len(reason) > REASON_MAX:
        raise _wrong("A credit note needs a reason.", f"Say why, in at most {REASON_MAX} characters.")
    if not key or len(key) > KEY_MAX or not key.isprintable():
        raise _wrong("A credit note needs a key.", f"Name it in at most {KEY_MAX} plain characters.")
    if lines is not None and (not lines or len({line for line, _ in lines}) < len(lines)):
        raise _wrong("Lines are missing or named twice.", "Name each line once, or credit the whole invoice.")


def _lines(invoice: Document, notes: Sequence[Document], asked: Sequence[tuple[int, int]] | None) -> list[Line]:
    rest = left(invoice, notes)
    said = {line.line: line for line in invoice.all_lines()}
    if asked is None:
        wanted = [(line, nano) for line, nano in sorted(rest.items()) if nano]
    else:
        wanted = []
        for number, nano in asked:
            if number not in rest:
                raise Refusal(
                    f"{invoice.number} has no line {number}.",
                    f"See: baseload invoices show {invoice.number}",
                    code="line_not_found",
                    status=404,
                )
            if nano < 0:
                raise _wrong(f"Line {number} would be credited a negative amount.", "Name what is taken back.")
            if rest[number] <= 0:
                raise _nothing_left(f"line {number} of {invoice.number}")
            if nano > rest[number]:
                raise _too_much(nano, rest[number], f"line {number}", invoice.currency)
            wanted.append((number, nano or rest[number]))
    return [
        Line(kind="credit", text=said[number].text, nano=-nano, amount=decimal(-nano), of_line=number,
             late_for=said[number].late_for)
        for number, nano in wanted
    ]  # fmt: skip


def _check_whole(invoice: Document, notes: Sequence[Document], note: Document) -> None:
    """Lines may be above the net where the invoice has credits of its own (negative adjustments)."""
    net_left = invoice.net_nano + sum(earlier.net_nano for earlier in notes)
    if net_left <= 0 or not note.lines:
        raise _nothing_left(invoice.number)
    if -note.net_nano > net_left:
        raise _too_much(-note.net_nano, net_left, invoice.number, invoice.currency)


def _post(connection: Connection, note: Document, at_ns: int) -> int:
    """The account owes so much less. The key has the instant: no other adjustment can be in its place."""
    number = next_number(connection, note.series, at_ns)
    against: LedgerKey = ("adjustment", note.account, note.currency)
    receivable: LedgerKey = ("receivable", note.account, note.currency)
    moves, rest = [], -note.net_nano
    while rest:  # a posting holds NANO_MAX at the most
        part = min(rest, tables.NANO_MAX)
        moves.append((against, receivable, part))
        rest -= part
    memo = f"credit note {number} to {note.refers_to}"
    transaction, made = post(connection, key=f"credit_note:{number}:{at_ns}", at_ns=at_ns, memo=memo, moves=moves)
    if not made:
        raise Defect(f"Credit note {number} is in the book already.")
    return transaction


def _nothing_left(what: str) -> Refusal:
    return Refusal(f"Nothing is left of {what} that could be credited.", code="nothing_left", status=409)


def _too_much(nano: int, rest: int, what: str, currency: str) -> Refusal:
    return Refusal(
        f"{decimal(nano)} {currency} is more than is left of {what} ({decimal(rest)}).",
        f"Credit at most {decimal(rest)}.",
        code="more_than_left",
        status=409,
    )


def _wrong(say: str, fix: str) -> Refusal:
    return Refusal(say, fix, code="credit_wrong", status=422)
