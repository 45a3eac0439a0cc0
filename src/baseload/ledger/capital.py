"""Capital: what is planned to be spent on building capacity, and what was spent, by quarter and project; postings.

In:     amounts in a currency, a quarter ("2026-Q4"), a project. Out: postings and a row of `capital` each.

    planned   capital_plan:0:CUR  <-  commitment:0:CUR   the plan grows; the other way round, it shrinks
    spent     capital:0:CUR       <-  cash:0:CUR         money became machines; the other way round, some came back

The plan of a quarter and project is what its postings add up to: to change it is to post the difference. An amount
above one posting's limit (4.6 thousand million units) stands on several lines of one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, insert, select

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.book import LedgerKey, post
from baseload.ledger.texts import decimal, instant
from baseload.store import tables

PLANNED, SPENT = "planned", "spent"
SIDES = {PLANNED: ("capital_plan", "commitment"), SPENT: ("capital", "cash")}
ON_PACE = Fraction(1, 20)  # within 5 % of the plan so far
QUARTER = re.compile(r"(20\d\d)-Q([1-4])", re.ASCII)
AMOUNT_MAX = 10**15 * 10**9  # nano-units: a thousand million million of a currency
Record = Callable[[Connection, str, str, dict[str, Any]], None]


class Entry(msgspec.Struct, kw_only=True):
    """One movement. nano: what the plan, or what was spent, changed by."""

    id: int
    kind: str
    quarter: str
    project: str
    nano: int
    amount: str
    currency: str
    transaction: int
    at: str
    actor: str
    memo: str
    made: bool = True


class Quarter(msgspec.Struct, kw_only=True):
    quarter: str
    planned_nano: int = 0
    spent_nano: int = 0


class Pace(msgspec.Struct, kw_only=True):
    """Of a plan of several quarters. state: ahead | on pace | behind | "" (nothing is planned until now)."""

    planned_nano: int
    quarters: int
    average_nano: int
    quarter: str
    spent_now_nano: int
    spent_nano: int
    due_nano: int  # planned up to and with this quarter
    state: str


def quarter_of(at_ns: int) -> str:
    """The quarter of an instant (UTC): "2026-Q4"."""
    now = datetime.fromtimestamp(at_ns // 10**9, UTC)
    return f"{now.year}-Q{(now.month - 1) // 3 + 1}"


def check_quarter(text: str) -> str:
    if not QUARTER.fullmatch(text):
        raise Refusal(f"{text!r} is no quarter.", 'As in "2026-Q4".', code="quarter_wrong", param="quarter")
    return text


def plan(
    connection: Connection, nano: int, currency: str, *, quarter: str, project: str, key: str, actor: str, at_ns: int,
    memo: str = "", record: Record | None = None,
) -> Entry | None:  # fmt: skip
    """The plan of a quarter and project becomes `nano`: the difference is posted. None = it is that already."""
    before = sum(
        one.nano for one in entries(connection, quarter=quarter)
        if (one.kind, one.project, one.currency) == (PLANNED, project, currency)
    )  # fmt: skip
    if nano == before:
        return None
    return _move(connection, PLANNED, nano - before, currency, quarter, project, key, actor, at_ns, memo, record)


def spend(
    connection: Connection, nano: int, currency: str, *, quarter: str, project: str, key: str, actor: str, at_ns: int,
    memo: str = "", record: Record | None = None,
) -> Entry:  # fmt: skip
    """Money spent; below zero it came back. A repeat by its key with the same content is a no-op."""
    if nano == 0:
        raise Refusal("The amount must not be zero.", code="amount_wrong", param="amount")
    return _move(connection, SPENT, nano, currency, quarter, project, key, actor, at_ns, memo, record)


def _move(
    connection: Connection, kind: str, nano: int, currency: str, quarter: str, project: str, key: str, actor: str,
    at_ns: int, memo: str, record: Record | None,
) -> Entry:  # fmt: skip
    check_quarter(quarter)
    if abs(nano) > AMOUNT_MAX:
        raise Refusal("The amount is beyond any budget.", code="amount_wrong", param="amount")
    sides: tuple[LedgerKey, LedgerKey] = ((SIDES[kind][0], 0, currency), (SIDES[kind][1], 0, currency))
    debit, credit = sides if nano > 0 else sides[::-1]
    moves = [(debit, credit, part) for part in parts_of(abs(nano))]
    transaction, made = post(connection, key=f"capital:{key}", at_ns=at_ns, memo=memo, moves=moves)
    table = tables.capital
    if made:
        values = {"key": key, "kind": kind, "quarter": quarter, "project": project, "currency": currency,
                  "transaction_id": transaction, "at_ns": at_ns, "actor": actor, "memo": memo}  # fmt: skip
        connection.execute(insert(table).values(values))
        if record is not None:
            detail = {"amount": decimal(nano), "currency": currency, "quarter": quarter, "key": key}
            record(connection, f"capital.{kind}", project, detail)
    found = next(one for one in entries(connection) if one.transaction == transaction)
    if (found.kind, found.quarter, found.project) != (kind, quarter, project):
        raise Refusal(
            f"Key {key!r} is of another entry.", "Use a new key.", code="exists_with_other_amount", status=409
        )
    found.made = made
    return found


def parts_of(nano: int) -> list[int]:
    """An amount as postings may hold it. Pure."""
    whole, rest = divmod(nano, tables.NANO_MAX)
    return [tables.NANO_MAX] * whole + ([rest] if rest else [])


def entries(connection: Connection, *, quarter: str = "", currency: str = "") -> list[Entry]:
    """In order; each with what its postings add up to."""
    table, posting, account = tables.capital.c, tables.postings.c, tables.ledger_accounts.c
    query = select(tables.capital).order_by(table.id)
    if quarter:
        query = query.where(table.quarter == quarter)
    if currency:
        query = query.where(table.currency == currency)
    rows = connection.execute(query).all()
    amounts: dict[int, int] = {}
    lines = (
        select(posting.transaction_id, posting.amount_nano, account.code)
        .join(tables.capital, table.transaction_id == posting.transaction_id)
        .join(tables.ledger_accounts, account.id == posting.debit_id)
    )
    grows = {f"{debit}:0" for debit, _ in SIDES.values()}
    for line in connection.execute(lines):
        sign = 1 if line.code.rpartition(":")[0] in grows else -1
        amounts[line.transaction_id] = amounts.get(line.transaction_id, 0) + sign * line.amount_nano
    return [
        Entry(id=row.id, kind=row.kind, quarter=row.quarter, project=row.project, nano=amounts[row.transaction_id],
              amount=decimal(amounts[row.transaction_id]), currency=row.currency, transaction=row.transaction_id,
              at=instant(row.at_ns), actor=row.actor, memo=row.memo)
        for row in rows
    ]  # fmt: skip


def by_quarter(engine: Engine, currency: str) -> list[Quarter]:
    """Every quarter that has an entry, in order."""
    found: dict[str, Quarter] = {}
    with store.reading(engine) as connection:
        for one in entries(connection, currency=currency):
            row = found.setdefault(one.quarter, Quarter(quarter=one.quarter))
            if one.kind == PLANNED:
                row.planned_nano += one.nano
            else:
                row.spent_nano += one.nano
    return [found[name] for name in sorted(found)]


def pace(quarters: list[Quarter], now: str) -> Pace:
    """Where spending stands against the plan, up to and with the quarter `now`. Pure."""
    planned = [one for one in quarters if one.planned_nano]
    total = sum(one.planned_nano for one in planned)
    due = sum(one.planned_nano for one in planned if one.quarter <= now)
    spent = sum(one.spent_nano for one in quarters if one.quarter <= now)
    state = ""
    if due > 0:
        off = Fraction(spent - due, due)
        state = "on pace" if abs(off) <= ON_PACE else "ahead" if off > 0 else "behind"
    return Pace(
        planned_nano=total, quarters=len(planned), average_nano=round(Fraction(total, len(planned))) if planned else 0,
        quarter=now, spent_now_nano=sum(one.spent_nano for one in quarters if one.quarter == now), spent_nano=spent,
        due_nano=due, state=state,
    )  # fmt: skip
