"""How a transaction gets into the book: postings first, then the transaction that closes over them.

In:     a connection inside `store.writing`, transactions with their postings. Out: rows, and balances moved by as much.
A posting is one amount with both its sides. A reading posts two: what the provider bills us, and what we charge.

    line  debit                              credit
    1     cost:PROVIDER:CUR (expense)        payable:PROVIDER:CUR (liability)
    2     receivable:ACCOUNT:CUR (asset)     revenue:PROVIDER:CUR (income)

Everything else (credits, payments, leases) is an adjustment with a key of its own: `post`.

A ledger account is made when it is first posted to, and has one currency for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Connection, Table, func, select
from sqlalchemy.exc import DBAPIError

from baseload.errors import Refusal
from baseload.store import tables

KIND_OF = {
    "receivable": "asset",
    "payable": "liability",
    "revenue": "income",
    "cost": "expense",
    "adjustment": "expense",  # credits granted and corrections made by hand, by account
    "prepaid": "liability",  # money an account has paid in advance
    "cash": "asset",  # money received, all of it: number 0
    "lease": "asset",  # of a purse: out at gateways
    "set_aside": "liability",  # of a purse: what stands against it
    "fx": "expense",  # losses of exchange less gains: number 0 (ledger.revalue)
    "tax": "liability",  # of invoices, owed to the tax office: number 0
    "tax_due": "asset",  # taxes and rounding of an account's invoices, until it pays them
    "capital": "asset",  # spent on building capacity: number 0 (ledger.capital)
    "capital_plan": "asset",  # a memo: what is planned to be spent, against
    "commitment": "liability",  # this; neither is money
    "rounding": "income",  # of invoices' totals: number 0
    "revaluation": "asset",  # what foreign money is worth beyond what it was booked at: number 0
}
OF_ACCOUNT = ("receivable", "adjustment", "prepaid", "tax_due")  # the number in their code is an account
OF_PROVIDER = ("payable", "cost", "revenue")

MANY = 16  # rows from which on PostgreSQL gets them by COPY

LedgerKey = tuple[str, int, str]  # (role, account or provider id, currency)
Posting = tuple[int, int, int, int, str, int]  # transaction, line, debit, credit, currency, nano
Moved = tuple[int, int, int, int]  # debit, credit, nano, how many postings


def code_of(key: LedgerKey) -> str:
    """("receivable", 7, "USD") -> "receivable:7:USD"."""
    return f"{key[0]}:{key[1]}:{key[2]}"


@cache
def insert_sql(table: Table, dialect: str, conflict: str = "") -> str:
    """INSERT of all columns of a table, in their order, with positional parameters of the driver. `conflict`: a clause.

    The names are those of our tables; every value is bound.
    """
    mark = "?" if dialect == "sqlite" else "%s"
    names = ", ".join(column.name for column in table.columns)
    marks = ", ".join([mark] * len(table.columns))
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks}){conflict}"  # noqa: S608 - names of our tables


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], conflict: str = "") -> None:
    """Inserts tuples in the order of the table's columns: by the driver's executemany, or by COPY."""
    if not rows:
        return
    dialect = connection.dialect.name
    if dialect == "postgresql" and not conflict and len(rows) >= MANY:
        _copy(connection, table, rows)
    else:
        connection.exec_driver_sql(insert_sql(table, dialect, conflict), list(rows))


def _copy(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """COPY, which PostgreSQL takes twice as fast as INSERTs; its errors come as SQLAlchemy's, like any other's."""
    statement = f"COPY {table.name} ({', '.join(column.name for column in table.columns)}) FROM STDIN"
    driver = connection.connection.driver_connection
    assert driver is not None
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error


def last_id(connection: Connection, table: Table) -> int:
    """The greatest id given so far; ids of the book are dense, so the next one is one more."""
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one())


class LedgerAccounts:
    """Ids of ledger accounts, remembered. What a transaction made counts only after `committed`."""

    def __init__(self) -> None:
        self._known: dict[LedgerKey, int] = {}
        self._fresh: dict[LedgerKey, int] = {}

    def ids(self, connection: Connection, keys: set[LedgerKey]) -> dict[LedgerKey, int]:
        """Ids of all `keys`; makes the accounts that are not there."""
        self._fresh = {}
        absent = sorted(keys - self._known.keys())
        if absent:
            self._find_or_make(connection, absent)
        return {**self._known, **self._fresh} if self._fresh else self._known

    def _find_or_make(self, connection: Connection, absent: list[LedgerKey]) -> None:
        table = tables.ledger_accounts
        made = []
        next_id = last_id(connection, table) + 1
        for key in absent:
            found = connection.execute(select(table.c.id).where(table.c.code == code_of(key))).scalar()
            if found is None:
                found, next_id = next_id, next_id + 1
                role, number, currency = key
                account = number if role in OF_ACCOUNT else None
                provider = number if role in OF_PROVIDER else None
                made.append((found, code_of(key), KIND_OF[role], currency, account, provider))
            self._fresh[key] = found
        insert_rows(connection, table, made)

    def committed(self) -> None:
        """The transaction that asked for ids is in the database."""
        self._known.update(self._fresh)
        self._fresh = {}


BALANCE_UPSERT = (
    " ON CONFLICT (ledger_account_id) DO UPDATE SET units = balances.units + excluded.units,"
    " nano = balances.nano + excluded.nano,"
    " postings = balances.postings + excluded.postings"
)


def write_transactions(
    connection: Connection,
    transactions: Sequence[tuple[Any, ...]],
    postings: Sequence[Posting],
    moved: Iterable[Moved] | None = None,
) -> None:
    """Postings, then the transactions that close over them, then the balances they move.

    `moved`: the postings added up by their two sides, where the caller has them so already.
    """
    insert_rows(connection, tables.postings, postings)
    insert_rows(connection, tables.transactions, transactions)
    balances: dict[int, list[int]] = {}
    for debit, credit, amount, count in moved if moved is not None else ((*one[2:4], one[5], 1) for one in postings):
        for account, signed in ((debit, amount), (credit, -amount)):
            entry = balances.setdefault(account, [0, 0])
            entry[0] += signed
            entry[1] += count
    rows = [(account, *divmod(amount, tables.GIGA), count) for account, (amount, count) in sorted(balances.items())]
    insert_rows(connection, tables.balances, rows, BALANCE_UPSERT)


def post(
    connection: Connection, *, key: str, at_ns: int, memo: str, moves: Sequence[tuple[LedgerKey, LedgerKey, int]]
) -> tuple[int, bool]:
    """Posts one adjustment: (debit, credit, nano) moves, each within one currency. Call within `store.writing`.

    Returns (transaction id, made): a repeat with the same content is a no-op, made = False. The same key with other
    content is refused: `exists_with_other_amount`.
    """
    ids = LedgerAccounts().ids(connection, {side for debit, credit, _ in moves for side in (debit, credit)})
    lines = [(ids[debit], ids[credit], debit[2], amount) for debit, credit, amount in moves]
    known = connection.execute(select(tables.transactions.c.id).where(tables.transactions.c.key == key)).scalar()
    if known is not None:
        table = tables.postings.c
        query = select(table.debit_id, table.credit_id, table.currency, table.amount_nano)
        found = connection.execute(query.where(table.transaction_id == known).order_by(table.line)).all()
        if [tuple(row) for row in found] == lines:
            return int(known), False
        raise Refusal(
            f"Transaction {known} has the key {key!r} already, with other amounts.",
            "Use a new key for a new adjustment; repeat an old one with the same amounts.",
            code="exists_with_other_amount",
            status=409,
        )
    number = last_id(connection, tables.transactions) + 1
    postings = [(number, line, *sides) for line, sides in enumerate(lines, 1)]
    write_transactions(connection, [(number, "adjustment", at_ns, None, key, memo)], postings)
    return number, True


def reading_keys(provider: int, account: int, cost_currency: str, charge_currency: str) -> tuple[LedgerKey, ...]:
    """The ledger accounts a settled reading posts to: debit and credit of line 1, debit and credit of line 2."""
    return (
        ("cost", provider, cost_currency),
        ("payable", provider, cost_currency),
        ("receivable", account, charge_currency),
        ("revenue", provider, charge_currency),
    )
