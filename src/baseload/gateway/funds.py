"""The money this gateway may spend without asking: leases of purses, and what running calls have taken of them. No I/O.

In:     grants of the control plane; holds of calls, what they grew to, what they were charged.
Out:    a `Taken` for a call, or `Short`; what is wanted and what is given back.

For every purse and window at any instant: used = holds of running calls + charges of ended ones <= granted - returned.
One thread and no lock; a call takes from all of its purses or from none. Both totals only grow, so that messages to and
from the control plane may be lost or repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from baseload.errors import Refusal
from baseload.gateway.snapshot import PurseRow
from baseload.money.period import window

EASE_S = 4.0  # a lease shall last so long at the present rate
LOW_S = 1.0  # with less than this left the next one is asked for, and nobody waits
EASE_HOLDS, LOW_HOLDS = 64, 16  # the same where the rate says nothing yet
IDLE_NS = 30_000_000_000  # money that nobody used for so long goes back
S = 1_000_000_000


class Short(Refusal):
    """A lease has too little: ask the control plane once, then try again."""

    code, status = "insufficient_quota", 429

    def __init__(self, pockets: list[Pocket], need: int, least: int) -> None:
        self.pockets = pockets
        self.need = need
        self.least = least
        super().__init__("The lease of this gateway is short.")


class Lease:
    """Nano-units of the purse's currency. `granted` is the control plane's total, `returned` ours."""

    __slots__ = ("expires_ns", "granted", "id", "pocket", "returned", "used", "window_end_ns", "window_ns")

    def __init__(self, pocket: Pocket, number: int, window_ns: int, window_end_ns: int) -> None:
        self.pocket = pocket
        self.id = number
        self.window_ns = window_ns
        self.window_end_ns = window_end_ns
        self.granted = self.returned = self.used = 0
        self.expires_ns = 0

    @property
    def free(self) -> int:
        return self.granted - self.returned - self.used


class Pocket:
    """One purse at this gateway."""

    __slots__ = ("asking", "burn", "denied", "hold", "leases", "least", "need", "row", "spent", "used_ns")

    def __init__(self, row: PurseRow) -> None:
        self.row = row
        self.leases: list[Lease] = []  # of the running window, and of earlier ones that calls still hold
        self.burn = 0.0  # nano-units a second, a moving average
        self.spent = 0  # since the last look
        self.hold = 0  # a usual one
        self.used_ns = 0
        self.need = self.least = 0  # of calls that wait
        self.asking = False
        self.denied = False  # the last ask brought nothing

    def lease_at(self, at_ns: int, now_ns: int) -> Lease | None:
        """The lease of the window an instant lies in; one that has expired is none."""
        for lease in reversed(self.leases):
            if lease.window_ns <= at_ns < lease.window_end_ns:
                return lease if now_ns < lease.expires_ns else None
        return None

    def want(self) -> int:
        """What would keep calls from waiting."""
        return max(self.need, round(self.burn * EASE_S), self.hold * EASE_HOLDS)

    def low(self, lease: Lease) -> bool:
        return lease.free < max(round(self.burn * LOW_S), self.hold * LOW_HOLDS)


class Taken:
    """What one attempt holds, of every purse the same amount. Ends with `settle`, once."""

    __slots__ = ("_funds", "hold", "leases")

    def __init__(self, funds: Funds, leases: tuple[Lease, ...], hold: int) -> None:
        self._funds = funds
        self.leases = leases
        self.hold = hold

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(lease.id for lease in self.leases)

    def grow(self, by: int, *, least: int = 0) -> bool:
        """Takes `by` more, or what there is if that is `least`. False = nothing was taken."""
        room = min((lease.free for lease in self.leases), default=0)
        more = min(by, room)
        if more <= 0 or more < (least or by):
            return False
        for lease in self.leases:
            lease.used += more
        self.hold += more
        self._funds.touched(self.leases)
        return True

    def settle(self, charge: int) -> int:
        """The attempt is over: what it was not charged is free again. Returns what it was charged, at most its hold."""
        charge = min(charge, self.hold)
        for lease in self.leases:
            lease.used -= self.hold - charge
            lease.pocket.spent += charge
        self.hold = 0
        return charge

    def pockets(self) -> list[Pocket]:
        return [lease.pocket for lease in self.leases]


class Funds:
    """All pockets of a gateway. They outlive snapshots."""

    def __init__(self) -> None:
        self.pockets: dict[int, Pocket] = {}
        self.wanting: set[Pocket] = set()  # the next ask is about these
        self.giving = False  # something was given back that the control plane does not know of
        self._looked_s = 0.0

    def attach(self, rows: Iterable[PurseRow]) -> None:
        """The purses of a new snapshot. One that is gone keeps its leases until they are given back."""
        known = {row.id: row for row in rows}
        for number, row in known.items():
            if number in self.pockets:
                self.pockets[number].row = row
            else:
                self.pockets[number] = Pocket(row)
        for number in [number for number in self.pockets if number not in known]:
            self._give_back(self.pockets[number])
            if not self.pockets[number].leases:
                del self.pockets[number]

    def take(self, purses: Sequence[int], nano: int, least: int, at_ns: int, now_ns: int) -> Taken:
        """Holds `nano` of each purse for a call that arrived at `at_ns`. Raises Short."""
        found: list[Lease] = []
        short: list[Pocket] = []
        for number in purses:
            pocket = self.pockets[number]
            lease = pocket.lease_at(at_ns, now_ns)
            pocket.hold = pocket.hold + (nano - pocket.hold) // 8 if pocket.hold else nano
            pocket.used_ns = now_ns
            if lease is None or lease.free < nano:
                short.append(pocket)
            if lease is not None:
                found.append(lease)
        if short:
            raise Short(short, nano, least)
        for lease in found:
            lease.used += nano
        taken = Taken(self, tuple(found), nano)
        self.touched(taken.leases)
        return taken

    def take_rest(self, purses: Sequence[int], nano: int, least: int, at_ns: int, now_ns: int) -> Taken | None:
        """As `take`, but less than `nano` where there is no more; None where there is not even `least`."""
        leases = [self.pockets[number].lease_at(at_ns, now_ns) for number in purses]
        found = [lease for lease in leases if lease is not None]
        room = min((lease.free for lease in found), default=0)
        amount = min(nano, room)
        if len(found) < len(leases) or amount < least or amount <= 0:
            return None
        for lease in found:
            lease.used += amount
        return Taken(self, tuple(found), amount)

    def touched(self, leases: Iterable[Lease]) -> None:
        """Asks for more before it is needed."""
        for lease in leases:
            pocket = lease.pocket
            if not pocket.asking and not pocket.denied and pocket.low(lease):
                self.wanting.add(pocket)

    def look(self, now_s: float, now_ns: int) -> None:
        """Now and then: how fast money goes, what lies idle, which windows are over."""
        passed = now_s - self._looked_s
        self._looked_s = now_s
        for pocket in self.pockets.values():
            if passed > 0:
                rate = pocket.spent / passed
                pocket.burn += (rate - pocket.burn) * min(passed / 2.0, 1.0)
            pocket.spent = 0
            pocket.denied = False
            if now_ns - pocket.used_ns > IDLE_NS:
                self._give_back(pocket)
                pocket.hold, pocket.burn = 0, 0.0
            begin, _ = window(pocket.row.period, pocket.row.zone, now_ns)
            for lease in pocket.leases:
                if lease.window_ns != begin and lease.free > 0 and now_ns >= lease.window_end_ns:
                    self._return(lease, lease.free)

    def granted(
        self, purse: int, number: int, window_ns: int, window_end_ns: int, granted: int, expires_ns: int
    ) -> None:
        """What the control plane says of a lease."""
        pocket = self.pockets.get(purse)
        if pocket is None:
            return
        for lease in pocket.leases:
            if lease.id == number:
                break
        else:
            lease = Lease(pocket, number, window_ns, window_end_ns)
            pocket.leases = [*(old for old in pocket.leases if old.used or old.free), lease][-8:]
        lease.granted = max(lease.granted, granted)
        lease.expires_ns = max(lease.expires_ns, expires_ns)

    def renewed(self, expires_ns: int) -> None:
        """The control plane has heard of us."""
        for pocket in self.pockets.values():
            for lease in pocket.leases:
                lease.expires_ns = max(lease.expires_ns, expires_ns)

    def recall(self, purses: Iterable[int]) -> None:
        """Others need it: all that no call holds goes back."""
        for number in purses:
            pocket = self.pockets.get(number)
            if pocket is not None:
                self._give_back(pocket)

    def returned(self) -> dict[int, int]:
        """Lease -> what was given back in all."""
        return {
            lease.id: lease.returned for pocket in self.pockets.values() for lease in pocket.leases if lease.returned
        }

    def _give_back(self, pocket: Pocket) -> None:
        for lease in pocket.leases:
            if lease.free > 0:
                self._return(lease, lease.free)

    def _return(self, lease: Lease, nano: int) -> None:
        lease.returned += nano
        self.giving = True
