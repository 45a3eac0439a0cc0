"""What gateways and this control plane say to each other: leases, and news that cannot wait.

In:     begins and ends of gateways' runs, what they want and give back, their open questions for news.
Out:    grants; recalls, where one gateway needs what others have idle; who is there.

A want that cannot be met while other gateways have money out is not denied at once: they are asked to give back what no
call of theirs holds, and have RECALL_S for it. Only then is what there is granted, or nothing.
Thread-safe: requests come in threads of the server, questions for news in its event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.failpoints import reach
from baseload.gateway.journal.reader import Position
from baseload.ledger import leases
from baseload.ledger.purses import PurseBook
from baseload.store import tables

RECALL_S = 0.03  # a call may wait 50 ms in all
BUSY_S = 3.0
HEARD_S = 30.0  # an open question is worth nothing when nothing else was heard for so long
BETWEEN_S = 2.0  # a gateway whose question was answered asks again within


class Asking(msgspec.Struct, array_like=True):
    """As `gateway.bank.Asking`."""

    journal: str
    epoch: str
    at_ns: int
    wants: list[leases.Want]
    returned: dict[int, int]


class Answer(msgspec.Struct, array_like=True):
    granted: list[leases.Granted]
    denied: list[leases.Denied]
    expires_ns: int


class News(msgspec.Struct, array_like=True):
    recall: list[int]
    snapshot: int
    gateways: int


class Run(msgspec.Struct, array_like=True):
    """One run of a gateway and a place of its journal: where it began, or ended."""

    journal: str
    epoch: str
    segment: int
    offset: int


class _Watcher:
    """A gateway's open question for news."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.event: asyncio.Event | None = None
        self.open = 0
        self.left_s = -BETWEEN_S  # when its last question was answered
        self.heard_s = time.monotonic()
        self.recall: set[int] = set()
        self.told = (0, 0)  # snapshot, gateways

    def live(self, now_s: float) -> bool:
        """It has a question open, or was answered just now and is about to ask again: what it is told reaches it."""
        return (self.open > 0 or now_s - self.left_s < BETWEEN_S) and now_s - self.heard_s < HEARD_S

    def wake(self) -> None:
        loop, event = self.loop, self.event
        if loop is not None and event is not None and not loop.is_closed():
            loop.call_soon_threadsafe(event.set)


class Grid:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._watchers: dict[str, _Watcher] = {}
        self._recalls: list[set[str]] = []  # of each want that waits: the gateways that have not answered yet
        self._book: PurseBook | None = None
        self._asked_s = -BUSY_S
        self._snapshot = 0
        self._number = 1
        self._began_s = time.monotonic()

    @property
    def busy(self) -> bool:
        """Gateways have asked for leases just now."""
        return time.monotonic() - self._asked_s < BUSY_S

    @property
    def gateways(self) -> int:
        """How many are there, at least one."""
        now_s = time.monotonic()
        with self._changed:
            return max(1, sum(watcher.live(now_s) for watcher in self._watchers.values()))

    def began(self, run: Run) -> None:
        """A gateway runs: what its earlier runs had comes home when their part of its journal is settled."""
        with store.writing(self._engine) as connection:
            leases.end_run(
                connection, self._purses(connection), run.journal, Position(run.segment, run.offset), time.time_ns(),
                but=run.epoch,
            )  # fmt: skip
        reach("run-begun")
        with self._changed:
            self._watchers.setdefault(run.journal, _Watcher()).heard_s = time.monotonic()

    def ended(self, journal: str, epoch: str, end: Position) -> None:
        """A run is over and its journal ends there. `epoch` is for the record: no other run can be after it."""
        with store.writing(self._engine) as connection:
            leases.end_run(connection, self._purses(connection), journal, end, time.time_ns())
        with self._changed:
            self._watchers.pop(journal, None)
            self._changed.notify_all()
        self._tell_number()

    def not_heard_of(self, within_s: float) -> set[str]:
        """Journals with leases out whose gateway has not spoken for so long."""
        now_s = time.monotonic()
        if now_s - self._began_s < within_s:
            return set()
        lease = tables.leases.c
        with store.reading(self._engine) as connection:
            names = set(connection.execute(select(lease.journal).where(lease.state == "open").distinct()).scalars())
            gateway = tables.gateways.c  # a gateway elsewhere may be cut off and spend on: only a person retires it
            query = select(gateway.name).where(gateway.hash.is_not(None), gateway.retired_ns == 0)
            elsewhere = set(connection.execute(query).scalars())
        with self._changed:
            return {
                name for name in names
                if name.rpartition("-")[0] not in elsewhere
                and (
                    (found := self._watchers.get(name)) is None or now_s - found.heard_s > within_s
                )
            }  # fmt: skip

    def heard(self) -> dict[str, int]:
        """Journal -> whole seconds since its gateway has spoken."""
        now_s = time.monotonic()
        with self._changed:
            return {name: int(now_s - one.heard_s) for name, one in self._watchers.items()}

    # -- leases

    def lease(self, asking: Asking) -> Answer:
        """Grants, or says that there is nothing: after others were asked to give back what they do not need."""
        began_s = time.monotonic()
        self._asked_s = began_s
        granted, denied, expires_ns = self._round(asking, asking.wants, last=False)
        waiting = self._recall(asking.journal, denied)
        while waiting is not None:
            with self._changed:
                left_s = RECALL_S - (time.monotonic() - began_s)
                if waiting and left_s > 0:
                    self._changed.wait(left_s)
            last = not waiting or time.monotonic() - began_s >= RECALL_S
            unmet = {one.purse for one in denied}
            wants = [want for want in asking.wants if want.purse in unmet]
            more, denied, expires_ns = self._round(asking, wants, last=last)
            granted += more
            if last or not denied:
                with self._changed:
                    if waiting in self._recalls:
                        self._recalls.remove(waiting)
                break
        else:
            if denied:  # nobody has anything to give back
                unmet = {one.purse for one in denied}
                wants = [want for want in asking.wants if want.purse in unmet and want.least]
                if wants:
                    more, others, expires_ns = self._round(asking, wants, last=True)
                    granted += more
                    denied = [one for one in denied if one.purse not in {want.purse for want in wants}] + others
        return Answer(granted, denied, expires_ns)

    def _round(
        self, asking: Asking, wants: Iterable[leases.Want], *, last: bool
    ) -> tuple[list[leases.Granted], list[leases.Denied], int]:
        now_ns = time.time_ns()
        with store.writing(self._engine) as connection:
            book = self._purses(connection)
            came = leases.give_back(connection, book, asking.journal, asking.epoch, asking.returned, now_ns)
            expires_ns = leases.renew(connection, asking.journal, asking.epoch, now_ns)
            granted, denied = leases.grant(
                connection, book, asking.journal, asking.epoch, list(wants), gateways=self.gateways, now_ns=now_ns,
                settle_for_less=last, at_ns=asking.at_ns,
            )  # fmt: skip
            reach("lease-granting")
        reach("lease-granted")
        with self._changed:
            self._watchers.setdefault(asking.journal, _Watcher()).heard_s = time.monotonic()
            if came:
                self._changed.notify_all()
        return granted, denied, expires_ns

    def returned(self, asking: Asking) -> None:
        """A gateway answers a recall: it has given back what no call of its holds."""
        self._round(asking, (), last=False)
        with self._changed:
            for one in self._recalls:
                one.discard(asking.journal)
            self._changed.notify_all()

    def _recall(self, journal: str, denied: list[leases.Denied]) -> set[str] | None:
        """Asks the others; the set of those that have not answered, None where there is nobody to ask."""
        purses = {one.purse for one in denied if one.out > 0}
        if not purses:
            return None
        now_s = time.monotonic()
        with self._changed:
            asked = {name for name, one in self._watchers.items() if name != journal and one.live(now_s)}
            if not asked:
                return None
            self._recalls.append(asked)
            for name in asked:
                self._watchers[name].recall |= purses
                self._watchers[name].wake()
        return asked

    def _purses(self, connection: Connection) -> PurseBook:
        book = self._book
        if book is None or not book.fresh(connection):
            book = self._book = PurseBook(connection)
        return book

    # -- news

    def published(self, version: int) -> None:
        """There is a snapshot; gateways that ask for news look at it at once."""
        reach("snapshot-published")
        with self._changed:
            self._snapshot = version
            for watcher in self._watchers.values():
                watcher.wake()

    async def news(self, journal: str, wait_s: float) -> News:
        """What a gateway should know at once, when there is something, or after `wait_s`."""
        event = asyncio.Event()
        with self._changed:
            watcher = self._watchers.setdefault(journal, _Watcher())
            watcher.loop, watcher.event = asyncio.get_running_loop(), event
            watcher.open += 1
            watcher.heard_s = time.monotonic()
        try:
            self._tell_number()
            if not watcher.recall and watcher.told == (self._snapshot, self.gateways):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), wait_s)
        finally:
            with self._changed:
                watcher.open -= 1
                recall, watcher.recall = sorted(watcher.recall), set()
                watcher.left_s = watcher.heard_s = time.monotonic()
        watcher.told = (self._snapshot, self.gateways)
        return News(recall, *watcher.told)

    def _tell_number(self) -> None:
        """Where there are more or fewer gateways than before: all are told, for their parts of limits change."""
        number = self.gateways
        with self._changed:
            if number != self._number:
                self._number = number
                for watcher in self._watchers.values():
                    watcher.wake()


def only_gateways(actor: str, journal: str = "") -> None:
    """Raises Refusal for anybody who is no gateway, and for one that speaks for another's journal."""
    own = actor == "socket"
    if actor.startswith("gateway:"):
        own = not journal or journal.rpartition("-")[0] == actor.removeprefix("gateway:")
    if not own:
        raise Refusal("This is for gateways.", code="gateways_only", status=403)
