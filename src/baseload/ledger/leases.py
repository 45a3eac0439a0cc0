"""Leases: money of a purse that one run of one gateway may spend without asking. Every movement is a posting.

In:     what gateways want and give back; how far their journals are settled.
Out:    grants, never more than is available; leases that come home.

    grant        lease:PURSE:CUR     <-  set_aside:PURSE:CUR    out of what is available
    settlement   set_aside:PURSE:CUR <-  lease:PURSE:CUR        what readings of the lease have consumed
    return       the same                                       what the gateway gave back, or what is left at the end

A lease has an owner (a journal and an epoch: one run of the gateway that writes it), an expiry, and two numbers that
only grow: granted by the control plane, returned by the gateway. Both sides tell totals, never differences, so a
message that is lost or repeated changes nothing.

Coming home: what a gateway that is gone had left returns when its journal is settled up to the place where that run
ended, never before; until then its readings may still come. A run's end is known when the gateway says goodbye, when
its next run begins (after recovery has ended what was open), or when its journal was recovered in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, select, update

from baseload.gateway.journal.reader import Position
from baseload.ledger.book import LedgerKey, post
from baseload.ledger.purses import PurseBook, State, state_of
from baseload.store import tables

TTL_NS = 900_000_000_000  # how long a gateway may spend without a word from the control plane
CLOCKS_NS = 60_000_000_000
PLENTY = 256  # where much is left a grant is at least this part of it: nobody waits when many calls begin at once
SHARE = 2  # a grant beyond what is needed at once takes at most this part of what is left, split among gateways


class Want(msgspec.Struct, frozen=True, array_like=True):
    """What a gateway asks of one purse: `need` for a call that waits, `least` that would do, `want` to be at ease."""

    purse: int
    need: int
    least: int
    want: int


class Granted(msgspec.Struct, frozen=True, array_like=True):
    """A lease as the control plane sees it. Totals of this run, in nano-units."""

    lease: int
    purse: int
    window_ns: int
    window_end_ns: int
    granted: int
    expires_ns: int


class Denied(msgspec.Struct, frozen=True, array_like=True):
    """Not enough is available now. `out`: what other runs have out, some of which may come back."""

    purse: int
    available: int
    out: int


def grant(
    connection: Connection,
    book: PurseBook,
    journal: str,
    epoch: str,
    wants: Sequence[Want],
    *,
    gateways: int,
    now_ns: int,
    settle_for_less: bool,
    at_ns: int = 0,
) -> tuple[list[Granted], list[Denied]]:
    """Grants what is available. Call within `store.writing`.

    A want whose `need` is not there is denied; with `settle_for_less` what there is is granted where it is at least
    `least`. `gateways`: how many share what is left. `at_ns`: the gateway's clock, which decides in which window its
    calls arrive, where it is within CLOCKS_NS of ours.
    """
    granted: list[Granted] = []
    denied: list[Denied] = []
    if abs(at_ns - now_ns) > CLOCKS_NS:
        at_ns = now_ns
    for want in wants:
        purse = book.purses.get(want.purse)
        if purse is None or not purse.hard or not purse.in_force(now_ns):
            denied.append(Denied(want.purse, 0, 0))
            continue
        state = state_of(connection, book, purse, at_ns)
        amount = _amount(want, state.available_nano, gateways, settle_for_less)
        if amount <= 0:
            denied.append(Denied(purse.id, max(state.available_nano, 0), state.out_nano))
            continue
        granted.append(_put_out(connection, state, journal, epoch, amount, now_ns))
    return granted, denied


def _amount(want: Want, available: int, gateways: int, settle_for_less: bool) -> int:
    if available >= want.need:
        among = max(gateways, 1)
        ease = max(min(want.want, available // (SHARE * among)), available // (PLENTY * among))
        return min(max(want.need, ease), available)
    if settle_for_less and want.least and available >= want.least:
        return available
    return 0


def _put_out(connection: Connection, state: State, journal: str, epoch: str, amount: int, now_ns: int) -> Granted:
    table, purse = tables.leases, state.purse
    query = select(table.c.id, table.c.granted_nano, table.c.grants).where(
        table.c.purse_id == purse.id, table.c.window_ns == state.window_ns, table.c.journal == journal,
        table.c.epoch == epoch,
    )  # fmt: skip
    row = connection.execute(query).one_or_none()
    expires = now_ns + TTL_NS
    if row is None:
        values = {
            "purse_id": purse.id, "window_ns": state.window_ns, "journal": journal, "epoch": epoch,
            "granted_nano": amount, "consumed_nano": 0, "returned_nano": 0, "grants": 1, "granted_ns": now_ns,
            "expires_ns": expires, "state": "open",
        }  # fmt: skip
        made = connection.execute(table.insert().values(values)).inserted_primary_key
        assert made is not None
        number, total, grants = int(made[0]), amount, 1
    else:
        number, total, grants = int(row.id), int(row.granted_nano) + amount, int(row.grants) + 1
        values = {"granted_nano": total, "grants": grants, "granted_ns": now_ns, "expires_ns": expires}
        connection.execute(update(table).where(table.c.id == number).values(values))
    out, aside = _sides(purse.id, purse.currency)
    post(connection, key=f"lease:{number}:{grants}", at_ns=now_ns, memo="lease granted", moves=[(out, aside, amount)])
    return Granted(number, purse.id, state.window_ns, state.window_end_ns, total, expires)


def _sides(purse: int, currency: str) -> tuple[LedgerKey, LedgerKey]:
    return ("lease", purse, currency), ("set_aside", purse, currency)


def give_back(
    connection: Connection, book: PurseBook, journal: str, epoch: str, returned: Mapping[int, int], now_ns: int
) -> int:
    """What a gateway has given back so far, by lease: totals. Returns how much came back now."""
    table, came = tables.leases, 0
    for number, total in returned.items():
        row = connection.execute(
            select(table).where(table.c.id == number, table.c.journal == journal, table.c.epoch == epoch)
        ).one_or_none()
        if row is None or row.state == "home":
            continue
        most = row.granted_nano - row.consumed_nano
        amount = min(total, most) - row.returned_nano
        if amount > 0:
            _come_back(connection, book, row, amount, now_ns, state=row.state)
            came += amount
    return came


def _come_back(connection: Connection, book: PurseBook, row: object, amount: int, now_ns: int, *, state: str) -> None:
    table = tables.leases
    lease = row
    number, grants = lease.id, lease.grants + 1  # type: ignore[attr-defined]
    values = {"returned_nano": lease.returned_nano + amount, "grants": grants, "state": state}  # type: ignore[attr-defined]
    connection.execute(update(table).where(table.c.id == number).values(values))
    if amount:
        purse = book.purses[lease.purse_id]  # type: ignore[attr-defined]
        out, aside = _sides(purse.id, purse.currency)
        key = f"lease:{number}:{grants}"
        post(connection, key=key, at_ns=now_ns, memo="lease returned", moves=[(aside, out, amount)])


def renew(connection: Connection, journal: str, epoch: str, now_ns: int) -> int:
    """The gateway has spoken: its leases are good for as long again. Writes only when half of it is over."""
    table = tables.leases
    mine = (table.c.journal == journal) & (table.c.epoch == epoch) & (table.c.state == "open")
    if connection.execute(select(table.c.id).where(mine, table.c.expires_ns < now_ns + TTL_NS // 2).limit(1)).scalar():
        connection.execute(update(table).where(mine).values(expires_ns=now_ns + TTL_NS))
    return now_ns + TTL_NS


def end_run(
    connection: Connection, book: PurseBook, journal: str, end: Position, now_ns: int, *, but: str = ""
) -> None:
    """Every run of a gateway but the one named has ended before `end` of its journal: their leases come home when it is
    settled up to there."""
    table = tables.leases
    connection.execute(
        update(table)
        .where(table.c.journal == journal, table.c.epoch != but, table.c.state == "open")
        .values(state="closing", home_segment=end.segment, home_offset=end.offset)
    )
    cursor = tables.journal_cursor.c
    row = connection.execute(select(cursor.segment, cursor.byte_offset).where(cursor.gateway == journal)).one_or_none()
    if row is not None:
        come_home(connection, book, journal, Position(row.segment, row.byte_offset), now_ns)


def come_home(connection: Connection, book: PurseBook, journal: str, settled: Position, now_ns: int) -> int:
    """Ends the leases of runs that are settled whole: what is left of them is available again. Returns how many."""
    table = tables.leases
    query = select(table).where(table.c.journal == journal, table.c.state == "closing").order_by(table.c.id)
    count = 0
    for row in connection.execute(query).all():
        if Position(row.home_segment, row.home_offset) <= settled:
            left = row.granted_nano - row.consumed_nano - row.returned_nano
            _come_back(connection, book, row, left, now_ns, state="home")
            count += 1
    return count


def consume(
    connection: Connection, book: PurseBook, used: Mapping[int, int], *, key: str, at_ns: int
) -> list[tuple[int, int]]:
    """Readings have used so much of leases. Returns (lease, excess) where one was overdrawn: a gateway that lies, for
    ours cannot; no more than the lease had is taken from it."""
    table = tables.leases
    excess: list[tuple[int, int]] = []
    moves: dict[tuple[LedgerKey, LedgerKey], int] = {}
    numbers = sorted(number for number, amount in used.items() if amount)
    rows = {row.id: row for start in range(0, len(numbers), 400) for row in connection.execute(
        select(table).where(table.c.id.in_(numbers[start : start + 400])))}  # fmt: skip
    for number in numbers:
        row, amount = rows.get(number), used[number]
        left = row.granted_nano - row.consumed_nano - row.returned_nano if row is not None else 0
        if amount > left:
            excess.append((number, amount - left))
            amount = left
        if row is None or not amount:
            continue
        connection.execute(update(table).where(table.c.id == number).values(consumed_nano=row.consumed_nano + amount))
        purse = book.purses[row.purse_id]
        out, aside = _sides(purse.id, purse.currency)
        moves[aside, out] = moves.get((aside, out), 0) + amount
    if moves:
        lines = [(debit, credit, amount) for (debit, credit), amount in sorted(moves.items())]
        post(connection, key=key, at_ns=at_ns, memo="leases consumed", moves=lines)
    return excess
