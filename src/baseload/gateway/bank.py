"""Leases for calls: asked for before they are needed where that can be, else once, and waited for a moment.

In:     calls whose lease is short; what the control plane grants, denies and wants back.
Out:    calls that go on, or are refused: their account has no money, or nobody could say in time whether it has.

A call waits at most `Limits.lease_wait_s`, and only for money. Nothing is held or asked of a provider meanwhile.
Without the control plane this gateway spends what its leases have, and then refuses: it never guesses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from baseload.errors import Refusal
from baseload.failpoints import reach
from baseload.gateway.funds import Pocket, Short
from baseload.gateway.journal.identity import journal_name
from baseload.gateway.link import Link, LinkDown, Place
from baseload.wire import refusals

if TYPE_CHECKING:
    from baseload.gateway.core import Gateway
    from baseload.gateway.downstream import Downstream

log = logging.getLogger("baseload.gateway")

LOOK_S = 0.5
AGAIN_S = 0.2  # between two tries to reach a control plane that is away
WAIT_S = 25.0  # a question for news is held open so long
ASK_S = 2.0

Want = tuple[int, int, int, int]  # purse, need, least, want


class Asking(msgspec.Struct, array_like=True):
    """One message to the control plane. `returned`: lease -> total."""

    journal: str
    epoch: str
    at_ns: int
    wants: list[Want]
    returned: dict[int, int]


class Answer(msgspec.Struct, array_like=True):
    """`granted`: (lease, purse, window begin and end, total granted, expiry); `denied`: (purse, available, out)."""

    granted: list[tuple[int, int, int, int, int, int]]
    denied: list[tuple[int, int, int]]
    expires_ns: int


class News(msgspec.Struct, array_like=True):
    """What a gateway should know at once. `recall`: purses whose free money others need."""

    recall: list[int]
    snapshot: int
    gateways: int


_encode = msgspec.msgpack.Encoder().encode
_answer = msgspec.msgpack.Decoder(Answer).decode
_news = msgspec.msgpack.Decoder(News).decode


class Needy:
    """Serves a client's connection while its call waits for money."""

    __slots__ = ("again", "down", "gone", "timer")

    def __init__(self, down: Downstream, again: Callable[[bool], None]) -> None:
        self.down = down
        self.again = again
        self.gone = False
        self.timer: asyncio.TimerHandle | None = None

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def client_left(self) -> None:
        self.gone = True
        if self.timer is not None:
            self.timer.cancel()


class Bank:
    def __init__(self, gateway: Gateway, place: Place, epoch: str) -> None:
        self._gw = gateway
        self.epoch = epoch
        self.journal = journal_name(gateway.journal.directory)
        self._ask, self._wait = Link(place), Link(place)
        self._wake = asyncio.Event()
        self._needy: list[Needy] = []
        self._starving: list[tuple[list[Pocket], Callable[[], None]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.fetch: Callable[[], Awaitable[None]] | None = None  # snapshots of a control plane elsewhere
        self.asks = self.waits = self.refused = 0
        self.away = False  # the control plane did not answer the last time
        self._look_at = 0.0
        self._begun = False  # the control plane knows of this run
        gateway.wheel.every_step.append(self._step)

    def start(self) -> None:
        """Begins to speak with the control plane."""
        if self._tasks:
            return
        loop = self._gw.loop
        self._tasks = [loop.create_task(self._always(self._asking)), loop.create_task(self._always(self._watching))]

    async def _always(self, work: Callable[[], Awaitable[None]]) -> None:
        """Whatever goes wrong in it, it goes on: without it no lease would ever be asked for again."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("leases: begun anew")
                await asyncio.sleep(AGAIN_S)

    async def stop(self) -> None:
        """Says goodbye: what is left comes home when the journal is settled up to its end."""
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        journal = self._gw.journal
        position = journal.position
        body = _encode([self.journal, self.epoch, position.segment, position.offset])
        try:
            await self._ask.ask("POST", "/grid/end", body, limit_s=1.0)
        except LinkDown as away:
            log.info("the control plane was not told of the end: %s", away)
        self._ask.close()
        self._wait.close()

    # -- calls

    def enter(self, down: Downstream, short: Short, again: Callable[[bool], None]) -> None:
        """The call waits; `again` says whether the control plane has answered, or did not in time."""
        self.waits += 1
        needy = Needy(down, again)
        for pocket in short.pockets:
            pocket.need = max(pocket.need, short.need)
            pocket.least = min(pocket.least, short.least) if pocket.least else short.least
            self._gw.funds.wanting.add(pocket)
        down.served = needy
        self._needy.append(needy)
        needy.timer = self._gw.loop.call_later(self._gw.limits.lease_wait_s, self._out_of_time, needy)
        self._wake.set()

    def feed(self, pockets: list[Pocket], need: int, again: Callable[[], None]) -> None:
        """A running stream has used up what it holds: `again` once the control plane has answered, or did not."""
        for pocket in pockets:
            pocket.need = max(pocket.need, need)
            pocket.least = 1
            self._gw.funds.wanting.add(pocket)
        entry = (pockets, again)
        self._starving.append(entry)
        self._gw.loop.call_later(self._gw.limits.lease_wait_s, self._starved, entry)
        self._wake.set()

    def short_of(self, short: Short, *, answered: bool) -> Refusal:
        """Why a call cannot be paid for."""
        self.refused += 1
        names = ", ".join(pocket.row.name for pocket in short.pockets)
        if not answered:
            return refusals.FundsUnknown(names)
        return refusals.BudgetShort(
            f"{names[:1].upper()}{names[1:]} is used up, or what is left is held by running calls.",
            "Repeat when they have ended, lower max_tokens, or have it raised.",
        )

    def _out_of_time(self, needy: Needy) -> None:
        if needy in self._needy:
            self._needy.remove(needy)
            self._go_on(needy, answered=False)

    def _starved(self, entry: tuple[list[Pocket], Callable[[], None]]) -> None:
        if entry in self._starving:
            self._starving.remove(entry)
            entry[1]()

    def _go_on(self, needy: Needy, *, answered: bool) -> None:
        if needy.timer is not None:
            needy.timer.cancel()
        if needy.gone or needy.down.served is not needy:
            return
        needy.again(answered)

    # -- the control plane

    def _step(self, now: float) -> None:
        funds = self._gw.funds
        if now >= self._look_at and funds.pockets:
            self._look_at = now + LOOK_S
            funds.look(now, self._gw.clock_ns())
        if (funds.wanting or funds.giving) and not self._wake.is_set():
            self._wake.set()

    def nudge(self) -> None:
        """Leases are low: asks without anybody waiting."""
        if self._gw.funds.wanting:
            self._wake.set()

    async def _asking(self) -> None:
        if not self._begun:
            await self._begin()
        funds = self._gw.funds
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not (funds.wanting or funds.giving or self._needy or self._starving):
                continue
            pockets, funds.wanting = list(funds.wanting), set()
            funds.giving = False
            needy, starving = list(self._needy), list(self._starving)
            wants: list[Want] = []
            for pocket in pockets:
                pocket.asking = True
                wants.append((pocket.row.id, pocket.need, pocket.least, pocket.want()))
                pocket.need = pocket.least = 0
            asking = Asking(self.journal, self.epoch, self._gw.clock_ns(), wants, funds.returned())
            self.asks += 1
            try:
                body = await self._send("/grid/leases", _encode(asking))
                reach("lease-answered")
                answered = self._take(body)
                reach("lease-taken")
            except LinkDown as away:
                answered = False
                self._told_away(str(away))
                funds.giving = True
            for pocket in pockets:
                pocket.asking = False
            if answered:
                self.away = False
                for one in [one for one in needy if one in self._needy]:
                    self._needy.remove(one)
                    self._go_on(one, answered=True)
                for entry in [entry for entry in starving if entry in self._starving]:
                    self._starving.remove(entry)
                    entry[1]()
            else:
                await asyncio.sleep(AGAIN_S)
                funds.wanting.update(pockets)
                self._wake.set()

    async def _begin(self) -> None:
        """Tells of this run: what an earlier one had comes home when its part of the journal is settled."""
        position = self._gw.journal.position
        body = _encode([self.journal, self.epoch, position.segment, position.offset])
        while True:
            try:
                await self._send("/grid/begin", body)
                self._begun = True
                return
            except LinkDown as away:
                self._told_away(str(away))
                await asyncio.sleep(AGAIN_S)

    async def _send(self, target: str, body: bytes) -> bytes:
        status, answer = await self._ask.ask("POST", target, body, limit_s=ASK_S)
        if status != 200:
            raise LinkDown(f"The control plane answered {status}: {answer[:200].decode('utf-8', 'replace')}")
        return answer

    def _take(self, body: bytes) -> bool:
        answer, funds = _answer(body), self._gw.funds
        for lease, purse, begin, end, granted, expires in answer.granted:
            funds.granted(purse, lease, begin, end, granted, expires)
        funds.renewed(answer.expires_ns)
        for purse, _, _ in answer.denied:
            pocket = funds.pockets.get(purse)
            if pocket is not None:
                pocket.denied = True
        return True

    def _told_away(self, say: str) -> None:
        if not self.away:
            log.warning("leases: %s; this gateway goes on with what it has", say)
        self.away = True

    async def _watching(self) -> None:
        """Holds a question for news open: recalls, snapshots, how many gateways there are."""
        while True:
            target = f"/grid/news?journal={self.journal}&wait={WAIT_S:g}"
            try:
                status, body = await self._wait.ask("GET", target, limit_s=WAIT_S + 5)
                if status != 200:
                    raise LinkDown(f"The control plane answered {status}.")
                news = _news(body)
                if news.recall:
                    await self._answer_recall(news.recall)
            except (LinkDown, msgspec.DecodeError):
                await asyncio.sleep(AGAIN_S)
                continue
            self._gw.shared_by(max(news.gateways, 1))
            if news.snapshot > self._gw.catalog.version:
                if self.fetch is not None:
                    await self.fetch()
                self._gw.look_for_news()

    async def _answer_recall(self, purses: list[int]) -> None:
        """Not on the link of our own asks: one of them may be waiting for the other gateway in turn."""
        funds = self._gw.funds
        funds.recall(purses)
        answer = Asking(self.journal, self.epoch, self._gw.clock_ns(), [], funds.returned())
        await self._wait.ask("POST", "/grid/returns", _encode(answer), limit_s=ASK_S)
        reach("return-answered")
