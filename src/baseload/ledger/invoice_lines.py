"""What a new invoice has to hold: postings on an account's receivable that no invoice holds yet.

In:     an account, a currency, a time [start, end), the invoices issued so far. Out: lines by model, adjustments.

Every posting is invoiced once. An invoice holds, up to its last transaction L:
- what falls into its own time;
- **late**: what falls into the time of an earlier invoice and came after the last L of this account and currency. All
  that came before it is held already: by that earlier invoice, or as late by one issued since.
Times of invoices do not overlap (`invoices.py`), so nothing is in two of them. Credits by credit notes are documents
by themselves and are not invoiced again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, or_, select

from baseload.ledger.documents import Line
from baseload.ledger.rows import clean, decode_meters
from baseload.ledger.settled import LATE, READINGS, adjustments_of, stream
from baseload.ledger.texts import decimal, instant
from baseload.store import tables
from baseload.wire.usage import price_meters


class Earlier(NamedTuple):
    """An invoice issued before."""

    start_ns: int
    end_ns: int
    number: str
    last_transaction: int


class Scope(NamedTuple):
    """Whose postings, of which time, up to which transaction. `earlier` in the order of their times."""

    account: int
    currency: str
    start_ns: int
    end_ns: int
    upto: int
    earlier: Sequence[Earlier]

    def since(self) -> int:
        """The last transaction that earlier invoices looked at."""
        return max((each.last_transaction for each in self.earlier), default=0)

    def place(self, at_ns: int) -> str | None:
        """The earlier invoice whose time an instant falls into; "" = the time of this one; None = neither."""
        if self.start_ns <= at_ns < self.end_ns:
            return ""
        index = bisect_right(self.earlier, at_ns, key=lambda each: each.start_ns) - 1
        if index >= 0 and at_ns < self.earlier[index].end_ns:
            return self.earlier[index].number
        return None


def collect(connection: Connection, scope: Scope) -> tuple[list[Line], list[Line]]:
    """(lines, adjustments), late ones after the others. Both empty: there is nothing to invoice."""
    found: dict[tuple[str, str], Line] = {}
    accepted, posted = READINGS.c.accepted_ns, tables.transactions.c.id
    own = (accepted >= scope.start_ns, accepted < scope.end_ns)
    _usage(connection, scope, found, lambda at_ns: "", *own)
    if scope.earlier:
        past = (
            posted > scope.since(),
            accepted >= scope.earlier[0].start_ns,
            accepted < max(each.end_ns for each in scope.earlier),
            or_(accepted < scope.start_ns, accepted >= scope.end_ns),
        )
        # What came since is readings settled since, and older ones priced since: neither needs a scan of the past.
        last = _last_reading(connection, scope.since())
        priced = select(LATE.c.reading_id).where(LATE.c.transaction_id > scope.since())
        _usage(connection, scope, found, scope.place, READINGS.c.id > last, *past)
        _usage(connection, scope, found, scope.place, READINGS.c.id <= last, READINGS.c.id.in_(priced), *past)
    for line in found.values():
        line.amount = decimal(line.nano)
    return [found[key] for key in sorted(found)], _adjustments(connection, scope)


def _last_reading(connection: Connection, transaction: int) -> int:
    """The newest reading posted when it was settled, up to a transaction: readings and their postings go in step."""
    table, late = tables.transactions.c, LATE.c
    priced_later = select(late.reading_id).where(late.transaction_id == table.id).exists()
    query = select(table.reading_id).where(table.id <= transaction, table.kind == "reading", ~priced_later)
    return int(connection.execute(query.order_by(table.id.desc()).limit(1)).scalar() or 0)


def _usage(
    connection: Connection,
    scope: Scope,
    found: dict[tuple[str, str], Line],
    place: Callable[[int], str | None],
    *conditions: ColumnElement[bool],
) -> None:
    """Adds the account's charges (line 2 of a reading's transaction) up by earlier invoice and model.

    Offers are not told apart: where a call was served is ours, not the customer's.
    """
    charge, transaction, table = tables.postings, tables.transactions, READINGS.c
    query = (
        select(table.model, table.attempt, table.meters, table.accepted_ns, charge.c.amount_nano)
        .select_from(READINGS)
        .join(transaction, transaction.c.reading_id == table.id)
        .join(charge, (charge.c.transaction_id == transaction.c.id) & (charge.c.line == 2))
        .where(table.account == scope.account, charge.c.currency == scope.currency, transaction.c.id <= scope.upto)
        .where(*conditions)
    )
    for row in stream(connection, query):
        number = place(row.accepted_ns)
        if number is None:
            continue
        line = found.get((number, row.model))
        if line is None:
            line = found[number, row.model] = Line(
                kind="usage", text=row.model, nano=0, amount="", meters={}, late_for=number
            )
        line.calls += row.attempt == 1
        line.nano += row.amount_nano
        meters = decode_meters(row.meters)
        for meter, units in {**price_meters(meters), "reasoning": meters.get("reasoning", 0)}.items():
            if units:
                line.meters[meter] = line.meters.get(meter, 0) + units


def _adjustments(connection: Connection, scope: Scope) -> list[Line]:
    """Everything with a key that moved the receivable, but for what credit notes moved."""
    receivable = receivables(connection, scope.account).get(scope.currency)
    if receivable is None:
        return []
    invoices, transaction, posting = tables.invoices.c, tables.transactions.c, tables.postings.c
    credited = select(invoices.last_transaction).where(
        invoices.account_id == scope.account, invoices.kind == "credit_note"
    )
    times: list[ColumnElement[bool]] = [and_(transaction.at_ns >= scope.start_ns, transaction.at_ns < scope.end_ns)]
    if scope.earlier:
        times.append(transaction.id > scope.since())
    made = adjustments_of(transaction.id <= scope.upto, or_(*times), transaction.id.not_in(credited))
    query = (
        select(made.c.id, made.c.at_ns, made.c.memo,
               case((posting.debit_id == receivable, posting.amount_nano), else_=-posting.amount_nano).label("nano"))
        .select_from(made)
        .join(tables.postings, posting.transaction_id == made.c.id)
        .where(or_(posting.debit_id == receivable, posting.credit_id == receivable))
        .order_by(made.c.id, posting.line)
    )  # fmt: skip
    lines = []
    for row in connection.execute(query):
        number = scope.place(row.at_ns)
        if number is not None:
            lines.append(Line(kind="adjustment", text=clean(row.memo), nano=row.nano, amount=decimal(row.nano),
                              late_for=number, transaction=row.id, at=instant(row.at_ns)))  # fmt: skip
    return sorted(lines, key=lambda line: line.late_for)


def receivables(connection: Connection, account: int) -> dict[str, int]:
    """Currency -> ledger account, of what an account owes."""
    table = tables.ledger_accounts.c
    query = select(table.currency, table.id).where(table.account_id == account, table.code.like("receivable:%"))
    return {row.currency: row.id for row in connection.execute(query.order_by(table.currency))}
