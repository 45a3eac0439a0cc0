"""The book as text, a piece at a time: CSV, JSON lines, or plain-text accounting (beancount's syntax).

In:     a time [start, end) of the transactions. Out: an iterator of text pieces; memory does not grow with the book.
One line a side of a posting: debit > 0, credit < 0, so that a sum over any complete export is zero in each currency.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.settled import READINGS, names, stream
from baseload.ledger.texts import decimal, instant
from baseload.store import tables

Format = Literal["csv", "jsonl", "beancount"]
FORMATS = ("csv", "jsonl", "beancount")
COLUMNS = (
    "transaction", "at", "kind", "line", "ledger_account", "name", "currency", "amount", "nano", "call", "attempt",
    "memo",
)  # fmt: skip
_PIECE_ROWS = 500
_ROOT = {"asset": "Assets", "liability": "Liabilities", "income": "Income", "expense": "Expenses"}
_NOT_WORD = re.compile(r"[^A-Za-z0-9-]+")


def export(engine: Engine, format: str, start_ns: int = 0, end_ns: int = 2**63 - 1) -> Iterator[str]:
    """The sides of all postings of transactions in [start, end). Raises Refusal for an unknown format."""
    if format not in FORMATS:
        raise Refusal(
            f"There is no export format {format!r}.", f"Choose of: {', '.join(FORMATS)}.", code="export_format"
        )
    return _export(engine, format, start_ns, end_ns)


def _export(engine: Engine, format: str, start_ns: int, end_ns: int) -> Iterator[str]:
    with store.reading(engine) as connection:
        people = {"account": names(connection, tables.accounts), "provider": names(connection, tables.providers)}
        if format == "beancount":
            yield from _beancount(connection, people, start_ns, end_ns)
            return
        rows = (_row(found, people) for found in _sides(connection, start_ns, end_ns))
        yield from _csv(rows) if format == "csv" else _jsonl(rows)


class _Side(NamedTuple):
    """One side of a posting, with what is said of its transaction."""

    id: int
    at_ns: int
    kind: str
    line: int
    code: str
    ledger_kind: str
    account_id: int | None
    provider_id: int | None
    currency: str
    amount_nano: int
    call: str | None
    attempt: int | None
    memo: str


def _sides(connection: Connection, start_ns: int, end_ns: int) -> Iterator[_Side]:
    """Debit, then credit, of every posting, in the order of the book's own key: nothing is sorted or held."""
    transaction, posting = tables.transactions.c, tables.postings.c
    debit, credit = tables.ledger_accounts.alias("debit"), tables.ledger_accounts.alias("credit")
    sides = [
        column
        for side in (debit, credit)
        for column in (side.c.code, side.c.kind, side.c.account_id, side.c.provider_id)
    ]
    source = (
        tables.transactions.join(tables.postings, posting.transaction_id == transaction.id)
        .join(debit, debit.c.id == posting.debit_id)
        .join(credit, credit.c.id == posting.credit_id)
        .outerjoin(READINGS, READINGS.c.id == transaction.reading_id)
    )
    query = (
        select(transaction.id, transaction.at_ns, transaction.kind, posting.line, posting.currency,
               posting.amount_nano, READINGS.c.call, READINGS.c.attempt, transaction.memo, *sides)
        .select_from(source)
        .where(transaction.at_ns >= start_ns, transaction.at_ns < end_ns)
        .order_by(transaction.id, posting.line)
    )  # fmt: skip
    for number, at_ns, kind, line, currency, nano, call, attempt, memo, *both in stream(connection, query):
        for (code, ledger_kind, account, provider), amount in ((both[:4], nano), (both[4:], -nano)):
            yield _Side(number, at_ns, kind, line, code, ledger_kind, account, provider, currency, amount,
                        call, attempt, memo)  # fmt: skip


def _row(found: _Side, people: dict[str, dict[int, str]]) -> dict[str, Any]:
    values = (
        found.id, instant(found.at_ns), found.kind, found.line, found.code, _who(found, people), found.currency,
        decimal(found.amount_nano), found.amount_nano, found.call or "", found.attempt or "", found.memo,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _who(row: Any, people: dict[str, dict[int, str]]) -> str:
    if row.account_id is not None:
        return people["account"].get(row.account_id, "")
    return people["provider"].get(row.provider_id, "")


def _csv(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, row in enumerate(rows, 1):
        writer.writerow(row)
        if number % _PIECE_ROWS == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _jsonl(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    lines: list[str] = []
    for row in rows:
        lines.append(msgspec.json.encode(row).decode())
        if len(lines) == _PIECE_ROWS:
            yield "\n".join(lines) + "\n"
            lines = []
    if lines:
        yield "\n".join(lines) + "\n"


def _beancount(connection: Connection, people: dict[str, dict[int, str]], start_ns: int, end_ns: int) -> Iterator[str]:
    """`open` of every ledger account, then an entry a transaction, dated by its day in UTC; the instant is metadata."""
    ledger = tables.ledger_accounts.c
    opened = [
        f"1970-01-01 open {_beancount_name(row, row.kind, people)} {row.currency}\n"
        for row in connection.execute(select(tables.ledger_accounts).order_by(ledger.id))
    ]
    yield "".join(opened)
    pieces: list[str] = []
    last = None
    for row in _sides(connection, start_ns, end_ns):
        if row.id != last:
            if len(pieces) > _PIECE_ROWS:
                yield "".join(pieces)
                pieces = []
            last = row.id
            at = instant(row.at_ns)
            payee = f"{row.call}/{row.attempt}" if row.call else row.memo
            pieces.append(f'\n{at[:10]} * "{row.kind}" {_quoted(payee)}\n  at: "{at}"\n  transaction: "{row.id}"\n')
        name = _beancount_name(row, row.ledger_kind, people)
        pieces.append(f"  {name}  {decimal(row.amount_nano)} {row.currency}\n")
    yield "".join(pieces)


def _beancount_name(row: Any, kind: str, people: dict[str, dict[int, str]]) -> str:
    """ "receivable:7:USD" of account 7, "acme" -> "Assets:Receivable:A7-acme". The id keeps names apart."""
    role, number, _ = row.code.split(":")
    word = _NOT_WORD.sub("-", _who(row, people)).strip("-")
    return f"{_ROOT[kind]}:{role.capitalize()}:{'A' if row.account_id is not None else 'P'}{number}" + (
        f"-{word}" if word else ""
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
