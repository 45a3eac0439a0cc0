"""`ledger check`: is the book right, is it whole, and what waits for a person?

In:     the database, and the journals where they are at hand. Out: findings, worst first; none = all is well.
"error": the book contradicts itself or has lost something. "warning": a person should look. "info": passes by itself.
Reads everything once, in one consistent picture; writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, select

from baseload import store
from baseload.gateway.journal.reader import Position, Torn, end_position, read_from, segments
from baseload.ledger.bills import differences
from baseload.ledger.chain import broken
from baseload.ledger.invoice_check import wrong_in
from baseload.ledger.purses import PurseBook, balance_nano, funds_nano, out_nano, recount
from baseload.ledger.rating import SETTLED, UNMETERED, UNPRICED
from baseload.ledger.rollups import Usage, levels
from baseload.ledger.settle import cursor
from baseload.ledger.settled import READINGS, count, entry_of, rating_of, readings_query, stream
from baseload.ledger.texts import decimal, instant
from baseload.money.amount import Amount, BadAmount
from baseload.money.period import FOREVER_NS
from baseload.store import tables
from baseload.wire.usage import price_meters

SEVERITIES = ("error", "warning", "info")
_EXAMPLES = 5


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`check` is a stable word, `count` how many there are, `examples` a few of them."""

    check: str
    severity: str
    say: str
    count: int = 1
    examples: tuple[str, ...] = ()


Check = Callable[[Connection], Iterator[Finding]]


def check(
    engine: Engine, journal_dirs: Mapping[str, Path] | None = None, *, clock: Callable[[], int] = time.time_ns
) -> list[Finding]:
    """All checks. `journal_dirs`: gateway -> its journal directory (those not given are not looked at).

    clock: wall-clock nanoseconds, to tell a hold that runs from one that should have ended.
    """
    found: list[Finding] = []
    with store.reading(engine) as connection:
        for one in (
            _trial_balance,
            _transactions,
            _readings,
            _amounts,
            _ids,
            _sums,
            _open_readings,
            _notes,
            _references,
            _purses,
            _leases,
            _audit,
            _invoices,
        ):
            found += one(connection)
        found += _holds(connection, clock())
        cursors = {gateway: cursor(connection, gateway) for gateway in journal_dirs or {}}
    for gateway, directory in sorted((journal_dirs or {}).items()):
        found += _journal(gateway, directory, cursors[gateway])
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _many(check: str, severity: str, say: str, examples: list[str]) -> Iterator[Finding]:
    """One finding for all of them; `say` has {} for their number."""
    if examples:
        yield Finding(check=check, severity=severity, say=say.format(len(examples)), count=len(examples),
                      examples=tuple(examples[:_EXAMPLES]))  # fmt: skip


def _trial_balance(connection: Connection) -> Iterator[Finding]:
    entry = tables.entries.c
    query = select(entry.currency, *tables.sum_nano(entry.amount_nano)).group_by(entry.currency)
    for currency, high, low in connection.execute(query):
        total = int(high) * tables.GIGA + int(low)
        if total:
            yield Finding(
                check="trial_balance", severity="error", say=f"The book is off by {decimal(total)} {currency}."
            )


def _transactions(connection: Connection) -> Iterator[Finding]:
    """Each has postings, each posting has its transaction, and each sums to zero in each currency."""
    transaction, posting, entry = tables.transactions.c, tables.postings.c, tables.entries.c
    empty = select(transaction.id).where(
        ~select(posting.transaction_id).where(posting.transaction_id == transaction.id).exists()
    )
    orphan = select(posting.transaction_id).where(
        ~select(transaction.id).where(transaction.id == posting.transaction_id).exists()
    )
    off = (
        select(entry.transaction_id)
        .group_by(entry.transaction_id, entry.currency)
        .having(
            func.sum(entry.amount_nano.op("%")(tables.GIGA)) + func.sum(entry.amount_nano.op("/")(tables.GIGA)) != 0
        )
    )
    for word, query, say in (
        ("transaction_empty", empty, "{} transactions have no postings."),
        ("posting_orphan", orphan, "{} postings have no transaction."),
        ("transaction_unbalanced", off, "{} transactions do not sum to zero."),
    ):
        yield from _many(
            word, "error", say, [f"transaction {number}" for number in connection.execute(query).scalars()]
        )


def _readings(connection: Connection) -> Iterator[Finding]:
    """Settled readings are posted, others are not."""
    transaction, late = tables.transactions.c, tables.resettlements.c
    posted = select(transaction.id).where(transaction.reading_id == READINGS.c.id).exists()
    resettled = select(late.reading_id).where(late.reading_id == READINGS.c.id).exists()
    settled = READINGS.c.state == SETTLED
    for word, where, say in (
        ("reading_not_posted", (settled | resettled) & ~posted, "{} settled readings have no transaction."),
        ("reading_posted", ~settled & ~resettled & posted, "{} readings are posted though they are not settled."),
        ("reading_twice", settled & resettled, "{} readings were priced twice."),
    ):
        query = select(READINGS.c.call, READINGS.c.attempt).where(where)
        yield from _many(word, "error", say, [f"{call}/{attempt}" for call, attempt in connection.execute(query)])


def _amounts(connection: Connection) -> Iterator[Finding]:
    wrong = [f"{one.call}/{one.attempt}: {one.say}" for one in differences(connection)]
    yield from _many("amount", "error", "{} readings do not have the amounts their prices give.", wrong)


def _ids(connection: Connection) -> Iterator[Finding]:
    """Ids of the book are dense: a removed row leaves a hole."""
    for table in (tables.readings, tables.transactions, tables.ledger_accounts):
        number, last = connection.execute(select(func.count(), func.coalesce(func.max(table.c.id), 0))
                                          .select_from(table)).one()  # fmt: skip
        if number != last:
            say = f"{table.name} has {number} rows and the last one is number {last}: {last - number} are missing."
            yield Finding(check="rows_missing", severity="error", say=say, count=last - number)


def _sums(connection: Connection) -> Iterator[Finding]:
    """Balances and hourly usage are what the book adds up to; reported costs are what was computed."""
    entry, balance = tables.entries.c, tables.balances.c
    query = select(entry.ledger_account_id, *tables.sum_nano(entry.amount_nano), func.count())
    summed = {
        account: (int(high) * tables.GIGA + int(low), postings)
        for account, high, low, postings in connection.execute(query.group_by(entry.ledger_account_id))
    }
    kept = {
        account: (units * tables.GIGA + nano, postings)
        for account, units, nano, postings in connection.execute(
            select(balance.ledger_account_id, balance.units, balance.nano, balance.postings)
        )
    }
    wrong = sorted(account for account in summed.keys() | kept.keys() if summed.get(account) != kept.get(account))
    yield from _many("balance", "error", "{} balances are not the sum of their postings.",
                     [f"ledger account {account}" for account in wrong])  # fmt: skip
    usage, unlike = Usage(), []
    for row in stream(connection, readings_query()):
        reading, rating = entry_of(row), rating_of(row)
        usage.add(reading, price_meters(reading.meters), rating)
        if rating.state == SETTLED and reading.reported_cost and reading.cost_price:
            unlike += _reported(reading.call, reading.reported_cost, rating.cost_nano or 0, str(rating.cost_currency))
    unsummed = []
    for table, summed_rows in levels(usage.rows()).items():
        width = len(table.primary_key)
        rows = {tuple(row) for row in stream(connection, select(table)) if any(row[width:])}
        unsummed += [f"{table.name} {instant(row[0])} {row[1:width]}" for row in sorted(rows ^ set(summed_rows))]
    yield from _many("usage", "error", "{} rows of added up usage are not the sum of their readings.", unsummed)
    yield from _many("cost_reported", "warning", "{} readings cost otherwise than the provider said.", unlike)


def _reported(call: str, said: str, nano: int, currency: str) -> list[str]:
    try:
        reported = Amount.parse(said)
    except BadAmount:
        return [f"{call}: the provider said {said!r}"]
    if reported == Amount(nano, currency):
        return []
    return [f"{call}: computed {decimal(nano)} {currency}, the provider said {said}"]


def _open_readings(connection: Connection) -> Iterator[Finding]:
    late = tables.resettlements.c
    settled_later = select(late.reading_id).where(late.reading_id == READINGS.c.id).exists()
    for state, say in (
        (UNMETERED, "{} readings have no known usage; compare them with the provider's invoice."),
        (UNPRICED, "{} readings wait for a price; add it, then: baseload ledger resettle --cost-price ID."),
    ):
        query = select(READINGS.c.call, READINGS.c.attempt, READINGS.c.detail).where(
            READINGS.c.state == state, ~settled_later
        )
        total = count(connection, query)
        rows = connection.execute(query.order_by(READINGS.c.id).limit(_EXAMPLES)).all() if total else []
        if total:
            yield Finding(check=state, severity="warning", say=say.format(total), count=total,
                          examples=tuple(f"{call}/{attempt}: {detail}" for call, attempt, detail in rows))  # fmt: skip


def _notes(connection: Connection) -> Iterator[Finding]:
    note = tables.journal_notes.c
    for kind, say in (
        ("conflict", "{} entries say something else of an attempt that is settled; none of it was posted."),
        ("torn", "{} places of a journal could not be read."),
        ("overdrawn", "{} readings used more than their leases had; is a gateway not ours?"),
    ):
        rows = connection.execute(select(tables.journal_notes).where(note.kind == kind).order_by(note.id))
        places = [f"{row.gateway} segment {row.segment} byte {row.byte_offset} {row.call}".strip() for row in rows]
        yield from _many(f"journal_{kind}", "error", say, places)


def _references(connection: Connection) -> Iterator[Finding]:
    """Accounts and offers that readings name and the configuration does not have."""
    for word, column, table in (
        ("account", READINGS.c.account, tables.accounts),
        ("offer", READINGS.c.offer, tables.offers),
    ):
        query = (
            select(column).where(~select(table.c.id).where(table.c.id == column).exists()).distinct().order_by(column)
        )
        unknown = [f"{word} {number}" for number in connection.execute(query).scalars()]
        yield from _many(f"unknown_{word}", "warning", f"{{}} {word}s of readings are not in the database.", unknown)


def _purses(connection: Connection) -> Iterator[Finding]:
    """What purses have spent is what their readings add up to, and no hard one is beyond its funds."""
    book, table = PurseBook(connection), tables.purse_windows
    kept = {
        (row.purse_id, row.window_ns): (row.spent_nano, row.pending_nano) for row in connection.execute(select(table))
    }
    wrong = [
        f"purse {number} window {instant(begin)}: kept {sums}, counted {found}"
        for (number, begin), sums in kept.items()
        if sums != (found := recount(connection, book, book.purses[number], begin))
    ]
    yield from _many("purse", "error", "{} purses are not the sum of their readings.", wrong)
    over = []
    for (number, begin), (spent, pending) in kept.items():
        purse = book.purses[number]
        if not purse.hard or purse.to_ns != FOREVER_NS:
            continue
        left = funds_nano(connection, book, purse, begin) - spent - pending - out_nano(connection, number, begin)
        if left < 0:
            over.append(f"{purse.name} of account {purse.account}: {decimal(left)} {purse.currency}")
    say = "{} hard limits are exceeded; was a limit lowered below what was spent?"
    yield from _many("limit", "warning", say, over)


def _leases(connection: Connection) -> Iterator[Finding]:
    """What leases have out is what stands on their ledger accounts."""
    lease = tables.leases.c
    left = lease.granted_nano - lease.consumed_nano - lease.returned_nano
    query = select(lease.purse_id, tables.purses.c.currency, *tables.sum_nano(left)).join(
        tables.purses, tables.purses.c.id == lease.purse_id
    ).group_by(lease.purse_id, tables.purses.c.currency)  # fmt: skip
    wrong = []
    for number, currency, high, low in connection.execute(query):
        total, posted = int(high) * tables.GIGA + int(low), balance_nano(connection, f"lease:{number}:{currency}")
        if total != posted:
            wrong.append(
                f"purse {number}: leases have {decimal(total)} out, the book says {decimal(posted)} {currency}"
            )
    yield from _many("lease", "error", "{} purses have other leases out than the book says.", wrong)


def _audit(connection: Connection) -> Iterator[Finding]:
    yield from _many("audit_chain", "error", "The audit log is broken at {} places.", list(broken(connection)))


def _invoices(connection: Connection) -> Iterator[Finding]:
    """Each is what the book gives when it is made again, numbered without gaps, with its taxes posted."""
    wrong = [f"{one.number}: {one.say}" for one in wrong_in(connection)]
    yield from _many("invoice", "error", "{} invoices are not what the book says.", wrong)


def _holds(connection: Connection, now_ns: int) -> Iterator[Finding]:
    hold = tables.open_holds.c
    rows = connection.execute(select(hold.call, hold.attempt, hold.gateway).where(hold.expires_ns <= now_ns))
    expired = [f"{call}/{attempt} of {gateway}" for call, attempt, gateway in rows]
    say = "{} holds have expired and no reading ended them; is their gateway down?"
    yield from _many("hold_expired", "warning", say, expired)


def _journal(gateway: str, directory: Path, position: Position | None) -> Iterator[Finding]:
    """Entries not settled yet, segments that are gone or cannot be read."""
    known = segments(directory)
    end = end_position(directory)
    if position is not None and (end is None or end < position):
        where = f"{position.segment}:{position.offset}"
        say = f"Journal {gateway} ends before where it was settled to ({where}): was it replaced?"
        yield Finding(check="journal_replaced", severity="error", say=say)
        return
    if position is not None and known and known[0] > position.segment:
        say = f"Journal {gateway} was settled to segment {position.segment}; its oldest one now is {known[0]}."
        yield Finding(check="journal_gap", severity="error", say=say)
    torn: list[Torn] = []
    at, waiting = position, 0
    while True:
        found, at = read_from(directory, at, 10_000, torn.append)
        waiting += len(found)
        if len(found) < 10_000:
            break
    yield from _many("journal_torn", "error", f"{{}} places of journal {gateway} cannot be read.",
                     [f"segment {one.segment} byte {one.offset}: {one.why}" for one in torn])  # fmt: skip
    if waiting:
        say = f"{waiting} entries of journal {gateway} are not settled yet."
        yield Finding(check="unsettled", severity="info", say=say, count=waiting)


def trial_balance(engine: Engine) -> list[dict[str, Any]]:
    """Every ledger account with its balance, from the kept balances: debit > 0."""
    ledger, balance = tables.ledger_accounts.c, tables.balances.c
    query = (
        select(ledger.code, ledger.kind, ledger.currency, balance.units, balance.nano, balance.postings)
        .join(tables.balances, balance.ledger_account_id == ledger.id)
        .order_by(ledger.code)
    )
    with store.reading(engine) as connection:
        return [
            {"code": code, "kind": kind, "currency": currency, "nano": units * tables.GIGA + nano,
             "amount": decimal(units * tables.GIGA + nano), "postings": postings}
            for code, kind, currency, units, nano, postings in connection.execute(query)
        ]  # fmt: skip
