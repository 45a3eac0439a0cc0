"""Changing purses: fundings and budgets are opened, changed and ended, never removed.

In:     what an account or key shall be limited by. Out: rows of `purses`; what a new one has spent already is counted.
Call within `store.writing`. Every purse of an account and of those above it has one currency: money of different
currencies is not added up.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, select, update

from baseload.errors import Refusal
from baseload.ledger.purses import Purse, PurseBook, recount, spend, touched
from baseload.money.period import check_zone
from baseload.store import tables


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A purse as it shall be. `limit_nano`: of a budget; the credit line of a funding."""

    kind: str  # funding | budget
    name: str
    hard: bool = True
    period: str = "total"
    zone: str = "UTC"
    limit_nano: int = 0
    warn: tuple[int, ...] = ()


def declare(connection: Connection, account: int, wishes: Iterable[Wish], now_ns: int) -> list[str]:
    """Makes the declared purses of an account as wished; one that is no longer wished ends. Returns what changed."""
    book = PurseBook(connection)
    table = tables.purses
    query = select(table.c.id).where(table.c.account_id == account, table.c.declared, table.c.to_ns == 0)
    kept = {book.purses[number].name: book.purses[number] for number in connection.execute(query).scalars()}
    changes: list[str] = []
    for wish in wishes:
        known = kept.pop(wish.name, None)
        if known is None:
            open_purse(connection, account, wish, now_ns, declared=True)
            changes.append(f"{wish.name} opened")
        elif change(connection, known, wish, now_ns, declared=True):
            changes.append(f"{wish.name} changed")
    for purse in kept.values():
        end(connection, purse.id, now_ns)
        changes.append(f"{purse.name} ended")
    return changes


def open_purse(
    connection: Connection, account: int, wish: Wish, now_ns: int, *, key: int = 0, declared: bool = False
) -> int:
    """A new purse; a budget counts what its running window has seen before. Returns its id."""
    check_zone(wish.zone)
    book = PurseBook(connection)
    currency = _currency(connection, book, account)
    for purse in book.purses.values():
        if purse.account != account or not purse.in_force(now_ns) or purse.key != key:
            continue
        if wish.kind == "funding" == purse.kind:
            raise Refusal("The account has a funding already.", "Change it, or end it first.", code="funding_exists",
                          status=409)  # fmt: skip
        if purse.name == wish.name:
            raise Refusal(
                f"There is a budget {wish.name!r} already.", "Choose another name.", code="budget_exists", status=409
            )
    values = {
        "kind": wish.kind, "account_id": account, "key_id": key or None, "name": wish.name, "currency": currency,
        "hard": wish.hard, "period": wish.period, "zone": wish.zone, "limit_nano": wish.limit_nano,
        "warn": list(wish.warn), "from_ns": now_ns if wish.kind == "funding" else 0, "to_ns": 0, "declared": declared,
    }  # fmt: skip
    made = connection.execute(tables.purses.insert().values(values)).inserted_primary_key
    assert made is not None
    number = int(made[0])
    touched(connection)
    if wish.kind == "budget":
        book = PurseBook(connection)
        purse = book.purses[number]
        begin = purse.window(now_ns)[0]
        spent, pending = recount(connection, book, purse, begin)
        spend(connection, {(number, begin): spent}, {(number, begin): pending})
    return number


def change(connection: Connection, purse: Purse, wish: Wish, now_ns: int, *, declared: bool) -> bool:
    """Limits and warnings change in place; another period, zone or hardness is another purse. False = all is equal."""
    if (purse.hard, purse.period, purse.zone, purse.kind) != (wish.hard, wish.period, wish.zone, wish.kind):
        end(connection, purse.id, now_ns)
        open_purse(connection, purse.account, wish, now_ns, key=purse.key, declared=declared)
        return True
    if (purse.limit_nano, purse.warn) == (wish.limit_nano, wish.warn):
        return False
    table = tables.purses
    values = {"limit_nano": wish.limit_nano, "warn": list(wish.warn)}
    connection.execute(update(table).where(table.c.id == purse.id).values(values))
    touched(connection)
    return True


def end(connection: Connection, number: int, now_ns: int) -> None:
    """A purse limits no longer, from this instant on."""
    table = tables.purses
    connection.execute(update(table).where(table.c.id == number, table.c.to_ns == 0).values(to_ns=now_ns))
    touched(connection)


def _currency(connection: Connection, book: PurseBook, account: int) -> str:
    """The account's currency, if it is that of all accounts below and above whose calls or purses meet this one."""
    rows = {row.id: row for row in connection.execute(select(tables.accounts))}
    own = str(rows[account].currency)
    below = [number for number in book.parent if account in book.lineage(number)]
    purses = {purse.currency for purse in book.purses.values() if purse.account in book.lineage(account)}
    mixed = sorted({str(rows[number].name) for number in below if rows[number].currency != own})
    if mixed or purses - {own}:
        named = ", ".join(mixed[:3]) or "an account above it"
        raise Refusal(
            f"Account {rows[account].name} is in {own}, {named} in another currency: one purse cannot count both.",
            "Give the accounts one currency.", code="currency_mixed", status=422,
        )  # fmt: skip
    return own
