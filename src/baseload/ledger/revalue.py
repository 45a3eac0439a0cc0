"""Gains and losses of exchange: what money in other currencies is worth at a month's end, against what it was booked.

In:     a month's end, the dated rates. Out: one adjustment a currency, in the base currency:

    carried    = sum over the days of (what moved that day x the rate of that day) + what was posted here before
    worth      = all that was there at the end x the rate at the end
    difference = worth - carried:   revaluation:0:BASE <- fx:0:BASE  a gain, the other way round a loss

Counted is what is money or a claim to it: cash, what customers owe or have paid in advance, what providers and the tax
office are owed. Income and expense stay as they were. A posting that comes late for an earlier month is in the next
month's difference, so a month is posted once and never changed. Every product is rounded once, half to even (IAS 21:
monetary items at the closing rate).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, case, func, or_, select, text

from baseload import store
from baseload.errors import Refusal
from baseload.ledger import fx
from baseload.ledger.book import LedgerKey, post
from baseload.ledger.rollups import DAY_NS
from baseload.ledger.texts import decimal, instant
from baseload.money.amount import parse_decimal, round_half_even
from baseload.store import tables

ROLES = ("cash", "receivable", "prepaid", "payable", "tax", "tax_due")
Record = Callable[[Connection, str, str, dict[str, Any]], None]


class Revaluation(msgspec.Struct, kw_only=True):
    """Of one currency. held: nano-units of it at the end (positive: we have it); the others in the base currency."""

    currency: str
    base: str
    end: str
    held_nano: int
    held: str
    rate: str
    carried_nano: int
    worth_nano: int
    gain_nano: int
    gain: str
    transaction: int = 0  # 0 = nothing was posted
    made: bool = False


def revalue(
    engine: Engine,
    end_ns: int,
    month: str,
    *,
    base: str = fx.BASE,
    dry_run: bool = False,
    record: Record | None = None,
) -> list[Revaluation]:
    """Posts the differences of a month that ends at `end_ns`, a currency each; a month that is posted stays as it is.

    Raises Refusal `rate_missing` (names the currency and the day) before anything is posted.
    """
    if dry_run:
        with store.reading(engine) as connection:
            return [_reckon(connection, currency, base, end_ns) for currency in _currencies(connection, base, end_ns)]
    done = []
    with store.writing(engine) as connection:
        for currency in _currencies(connection, base, end_ns):
            key = f"fx:{currency}:{base}:{month}"
            known = connection.execute(
                select(tables.transactions.c.id).where(tables.transactions.c.key == key)
            ).scalar_one_or_none()
            found = _reckon(connection, currency, base, end_ns, upto=known)
            if known is not None:
                found.transaction = int(known)
            elif found.gain_nano:
                asset: LedgerKey = ("revaluation", 0, base)
                loss: LedgerKey = ("fx", 0, base)
                sides = (asset, loss) if found.gain_nano > 0 else (loss, asset)
                memo = f"{decimal(found.held_nano)} {currency} at {found.rate} {base}"
                moves = [(*sides, abs(found.gain_nano))]
                found.transaction, found.made = post(connection, key=key, at_ns=end_ns - 1, memo=memo, moves=moves)
                if record is not None:
                    record(connection, "fx.revalue", currency, {"month": month, "gain": found.gain, "base": base})
            done.append(found)
    return done


def _currencies(connection: Connection, base: str, end_ns: int) -> list[str]:
    """Those that money was ever held or owed in, but the base."""
    account = tables.ledger_accounts.c
    query = select(account.currency).where(_monetary(), account.currency != base).distinct()
    return sorted(connection.execute(query).scalars())


def _monetary() -> Any:
    return or_(*(tables.ledger_accounts.c.code.like(f"{role}:%") for role in ROLES))


def _reckon(connection: Connection, currency: str, base: str, end_ns: int, *, upto: int | None = None) -> Revaluation:
    """`upto`: as it was when this transaction was posted."""
    rates = [rate for rate in fx.rates(connection) if rate.base == base and rate.currency == currency]
    held, carried = 0, 0
    for day_ns, nano in _moved(connection, currency, end_ns, upto):
        held += nano
        carried += _times(nano, _rate_at(rates, day_ns + DAY_NS - 1, currency, base))
    for nano in _posted(connection, currency, base, end_ns, upto):
        carried += nano
    rate = _rate_at(rates, end_ns - 1, currency, base)
    worth = _times(held, rate)
    return Revaluation(
        currency=currency, base=base, end=instant(end_ns), held_nano=held, held=decimal(held), rate=rate,
        carried_nano=carried, worth_nano=worth, gain_nano=worth - carried, gain=decimal(worth - carried),
    )  # fmt: skip


def _moved(connection: Connection, currency: str, end_ns: int, upto: int | None) -> list[tuple[int, int]]:
    """(begin of a day, by how much what we have in a currency moved that day): debits less credits, exact."""
    posting, transaction = tables.postings.c, tables.transactions.c
    ours = select(tables.ledger_accounts.c.id).where(_monetary(), tables.ledger_accounts.c.currency == currency)
    day = transaction.at_ns - transaction.at_ns.op("%")(text(str(DAY_NS)))
    signed = case((posting.debit_id.in_(ours), posting.amount_nano), else_=-posting.amount_nano)
    query = (
        select(day.label("day"), *tables.sum_nano(signed))
        .select_from(tables.postings.join(tables.transactions, transaction.id == posting.transaction_id))
        .where(
            posting.currency == currency,
            transaction.at_ns < end_ns,
            posting.debit_id.in_(ours) != posting.credit_id.in_(ours),  # from one of ours to another moves nothing
        )
        .group_by(text("day"))
        .order_by(text("day"))
    )
    if upto is not None:
        query = query.where(transaction.id < upto)
    return [(int(at), int(high) * tables.GIGA + int(low)) for at, high, low in connection.execute(query)]


def _posted(connection: Connection, currency: str, base: str, end_ns: int, upto: int | None) -> list[int]:
    """Gains (positive) and losses posted for a currency before this end."""
    posting, transaction, account = tables.postings.c, tables.transactions.c, tables.ledger_accounts.c
    asset = select(account.id).where(account.code == f"revaluation:0:{base}").scalar_subquery()
    query = (
        select(case((posting.debit_id == asset, posting.amount_nano), else_=-posting.amount_nano))
        .select_from(tables.postings.join(tables.transactions, transaction.id == posting.transaction_id))
        .where(func.substr(transaction.key, 1, len(f"fx:{currency}:{base}:")) == f"fx:{currency}:{base}:")
        .where(transaction.at_ns < end_ns)
    )
    if upto is not None:
        query = query.where(transaction.id < upto)
    return [int(nano) for nano in connection.execute(query).scalars()]


def _rate_at(rates: list[fx.Rate], at_ns: int, currency: str, base: str) -> str:
    in_force = [rate.rate for rate in rates if rate.from_ns <= at_ns]
    if not in_force:
        day = instant(at_ns)[:10]
        raise Refusal(
            f"There is no rate of {currency} in {base} for {day}.", f"baseload fx set {currency} RATE --since {day}",
            code="rate_missing", status=409,
        )  # fmt: skip
    return in_force[-1]


def _times(nano: int, rate: str) -> int:
    digits, places = parse_decimal(rate)
    exact = Fraction(nano * digits, int(10**places))
    return round_half_even(exact.numerator, exact.denominator)
