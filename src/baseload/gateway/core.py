"""The gateway of one process: who may ask, what is asked, and where it goes.

In:     heads and bodies from `downstream`, the catalog, the clock.
Out:    calls begun, refusals answered; both leave a journal entry before the client sees anything of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from baseload.dispatch.capacity import Share
from baseload.dispatch.policy import Limits as Limits_
from baseload.errors import Refusal
from baseload.gateway.admission import Admission
from baseload.gateway.asked import read_asked
from baseload.gateway.bank import Bank
from baseload.gateway.call import Call
from baseload.gateway.catalog import Catalog, Key, Offer, tls_context
from baseload.gateway.content import ContentStore
from baseload.gateway.counting import Counting
from baseload.gateway.course import Course
from baseload.gateway.dispatching import Dispatcher
from baseload.gateway.downstream import Downstream
from baseload.gateway.explain import Explaining
from baseload.gateway.funds import Funds
from baseload.gateway.head import Head
from baseload.gateway.http_text import date_line
from baseload.gateway.journal.entries import Refused
from baseload.gateway.journal.writer import JournalWriter
from baseload.gateway.limits import Limits
from baseload.gateway.link import Place
from baseload.gateway.loads import Loads
from baseload.gateway.metrics import Metrics
from baseload.gateway.routes import Routes
from baseload.gateway.routing import protocol_of
from baseload.gateway.thoughts import ThoughtStore
from baseload.gateway.tick import Tick
from baseload.gateway.tokens import Tokens
from baseload.gateway.upstream import Pool
from baseload.gateway.wheel import Wheel
from baseload.providers.faults import OURS, Fault
from baseload.providers.mask import mask
from baseload.wire import refusals
from baseload.wire.envelope import error_body, error_headers, status_of

if TYPE_CHECKING:
    from baseload.gateway.snapshot import ProviderRow

log = logging.getLogger("baseload.gateway")

PROGRESS_S = 1.0
_TELL_AGAIN_S = 600.0
_FOR_OPERATORS = (*OURS, "refused_connection")
KEEP_S = 30.0  # an idle connection to a token server

_HEX = [f"{number:03x}" for number in range(4096)]


def _fresh_prefix() -> str:
    return f"call_{int(time.time()):08x}{os.urandom(5).hex()}"


def _protocol(head: Head | None) -> str:
    """How the caller speaks."""
    if head is None:
        return "chat"
    return head.route.protocol if head.route is not None else protocol_of(head.path, head.low)


def _tell_troubles(catalog: Catalog, known: tuple[str, ...]) -> None:
    """As errors, which `baseload up` repeats on its terminal: it is ready, and what a person wants may not be."""
    for trouble in catalog.troubles:
        if trouble not in known:
            log.error("%s", trouble)


def _part(limits: Limits_, gateways: int) -> Limits_:
    """What each of so many gateways keeps of a limit, rounded up."""
    if gateways <= 1:
        return limits
    return Limits_(**{name: -(-getattr(limits, name) // gateways) for name in limits.__struct_fields__})


class Gateway:
    """Everything a connection or a call needs of its process. One thread, one loop, no lock."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        catalog: Catalog,
        journal: JournalWriter,
        limits: Limits,
        control: str,
        place: Place | None = None,
    ) -> None:
        """`control`: the socket in the home; `place`: a control plane elsewhere."""
        self.loop = loop
        self.catalog = catalog
        self.journal = journal
        self.limits = limits
        self.wheel = Wheel(loop)
        self.metrics = Metrics()
        self.draining = False
        self._hurried = False
        self.connections: set[Downstream] = set()
        self.calls: set[Call] = set()
        self.tick = Tick(loop, journal, self.calls)
        self.streams: set[Call] = set()
        self.drains: set[Call] = set()
        self.pausing: set[Course] = set()  # calls that wait before they try again
        self._pools: dict[ProviderRow, Pool] = {}
        self._ids = _fresh_prefix()
        self._counter = 0
        self._told: set[str] = set()
        self._told_at: dict[tuple[str, str], float] = {}
        self._progress_at = 0.0
        self._look_again_at = 0.0
        # A key may be used the moment it was made: an unknown one is a reason to look at the snapshot's file at once.
        self.look_for_news: Callable[[], bool] = lambda: False
        self.content: ContentStore | None = None  # none where the control plane is elsewhere
        self.thoughts = ThoughtStore()
        self.tokens = Tokens(self)
        self.counting = Counting(self)
        self.dispatcher = Dispatcher(self)
        self.dispatcher.attach(catalog)
        self.funds = Funds()
        self.bank = Bank(self, place or Place(socket=control), os.urandom(6).hex())
        self._shares: dict[tuple[int, Limits_], Share] = {}
        self._shared_by = 1
        self.loads = Loads(self)
        self.admission = Admission(self)
        self._explaining = Explaining(self)
        self._routes = Routes(self, control)
        self.wheel.every_step.append(self._every_step)
        self._limit(catalog)
        _tell_troubles(catalog, ())

    clock_ns = staticmethod(time.time_ns)
    jitter = staticmethod(random.random)

    def new_id(self) -> str:
        """Unique over processes and restarts, ordered within a process."""
        self._counter = number = self._counter + 1
        if number >= 1 << 24:
            self._ids, self._counter, number = _fresh_prefix(), 0, 0
        return self._ids + _HEX[number >> 12] + _HEX[number & 4095]

    # -- connections

    def opened(self, connection: Downstream) -> bool:
        self.connections.add(connection)
        return len(self.connections) <= self.limits.connections_max

    def closed(self, connection: Downstream) -> None:
        self.connections.discard(connection)

    def decide(self, connection: Downstream, head: Head) -> Refusal | None:
        """Judges a request by its head, so that nobody unknown makes the gateway read a body."""
        judged = head.judged
        if judged is not None and judged[0] is self.catalog:  # type: ignore[index]  # this very head was let in before
            connection.key = judged[1]  # type: ignore[index]
            return None
        route = head.route
        if route is None:
            return self._routes.decide(connection, head)
        if not head.content_type.lower().startswith(route.content_type):
            return refusals.WrongContentType(head.content_type.decode("latin-1"), route.content_type.decode())
        return self.recognise(connection, head)

    def recognise(self, connection: Downstream, head: Head) -> Refusal | None:
        """Sets `connection.key`, or says why the caller is nobody."""
        key = self.catalog.key_of(head.key) if head.key else None
        if key is None and head.key and self._may_look() and self.look_for_news():
            key = self.catalog.key_of(head.key)
        if key is None:
            return refusals.InvalidKey()
        if key.expires_ns and key.expires_ns <= connection.accepted_ns:
            return refusals.InvalidKey("This key has expired.")
        if key.account.disabled:
            return refusals.AccountDisabled(key.account.name)
        connection.key = key
        if not key.expires_ns and head.route is not None:
            head.judged = (self.catalog, key)
        return None

    def _may_look(self) -> bool:
        """At most 50 times a second, so that a stranger who tries keys costs nothing."""
        now = self.loop.time()
        if now < self._look_again_at:
            return False
        self._look_again_at = now + 0.02
        return True

    def serve(self, connection: Downstream, head: Head, body: bytes) -> None:
        route = head.route
        if route is None:
            self._routes.serve(connection, head)
            return
        key = connection.key
        assert isinstance(key, Key)
        model = route.model
        try:
            if self.draining:
                raise refusals.Draining()
            asked = read_asked(route, head, key, body, self.catalog.pin_secret)
            model = asked.ask.model
            if route.counts:
                self.counting.serve(connection, asked)
                return
            if route.explains:
                self._explaining.serve(connection, asked)
                return
            if key.shares:
                self._within_limits(key, asked.size // 4)
            found = self.dispatcher.open(asked, connection.accepted_ns)
            if not self.journal.accepting:
                raise self.journal.refusal()
            course = Course(self, connection, asked, found)
            if key.account.content_days and self.content is not None:
                self.content.watch(connection, key.account.id, course.id, connection.accepted_ns, body)
            course.begin(connection)
        except Refusal as refusal:
            connection.served = None
            self.refuse(connection, head, refusal, model=model)

    def _within_limits(self, key: Key, tokens: int) -> None:
        now_ns = self.clock_ns()
        for whose, share in key.shares:
            until = share.full_until(now_ns, tokens)
            if until:
                raise refusals.RateLimited(
                    f"{whose[:1].upper()}{whose[1:]} is at a limit.", max(0.01, (until - now_ns) / 1e9)
                )

    def tell_none(self, model: str, offers: list[Offer]) -> None:
        """Logs why nothing can serve a model. Once a catalog: a client that repeats must not fill the log."""
        if model in self._told:
            return
        self._told.add(model)
        for offer in offers:
            log.warning("no offer for %s: %s: %s", model, offer.name, offer.trouble)

    def tell(self, offer: Offer, fault: Fault) -> None:
        """Logs a failure that only the operator can mend: clients are told none of it. Not at every call."""
        if fault.kind not in _FOR_OPERATORS:
            return
        now, what = self.wheel.now, (offer.name, fault.kind)
        if now < self._told_at.get(what, 0.0):
            return
        self._told_at[what] = now + _TELL_AGAIN_S
        log.warning(
            "offer %s fails: %s (status %d): %s; see: baseload providers test %s",
            offer.name, fault.kind, fault.status, mask(fault.message), offer.provider.name,
        )  # fmt: skip

    def pool_of(self, offer: Offer) -> Pool:
        """By the provider's row itself: one whose address or limits changed gets new connections."""
        pool = offer.pool
        if pool is None:
            row = offer.provider
            pool = self._pools.get(row)
            if pool is None:
                pool = self._pools[row] = Pool(row, self.wheel, self.loop, offer.tls, offer.vendor.keepalive_s)
            offer.pool = pool
        return pool

    def pool_at(self, base_url: str, like: ProviderRow) -> Pool:
        """Connections to another server of a provider (where its tokens come from), with its limits and trust."""
        row = msgspec.structs.replace(like, base_url=base_url)
        pool = self._pools.get(row)
        if pool is None:
            pool = self._pools[row] = Pool(row, self.wheel, self.loop, tls_context(row), KEEP_S)
        return pool

    # -- refusals

    def refuse(self, connection: Downstream, head: Head | None, refusal: Refusal, model: str = "") -> None:
        """One journal record, then the answer in the caller's own protocol."""
        key = connection.key if isinstance(connection.key, Key) else None
        call = self.new_id()
        route = head.route if head is not None else None
        status = status_of(_protocol(head), refusal)
        self.metrics.count_refusal(refusal.code, status)
        endpoint = route.endpoint if route is not None else "other"
        if not self.journal.accepting:  # nothing can be recorded, so there is nothing to wait for
            self.answer_refusal(connection, refusal, call, None)
            return
        self.journal.append(
            Refused(
                call,
                key.account.id if key else 0,
                key.id if key else 0,
                model[:200],
                endpoint,
                refusal.code,
                status,
                connection.accepted_ns or self.clock_ns(),
                self.clock_ns(),
            )
        )
        self.tick.after_flush(lambda: self.answer_refusal(connection, refusal, call, None))

    def answer_refusal(self, connection: Downstream, refusal: Refusal, call: str, offer: Offer | None) -> None:
        protocol = _protocol(connection.head)
        extra = "".join(f"{name}: {value}\r\n" for name, value in error_headers(protocol, refusal, call))
        named = b"x-baseload-offer: %b\r\n" % offer.name_bytes if offer is not None else b""
        head = b"content-type: application/json\r\nx-baseload-call-id: %b\r\n%b%b%b" % (
            call.encode(),
            named,
            extra.encode("latin-1", "replace"),
            date_line(self.clock_ns()),
        )
        connection.reply(status_of(protocol, refusal), head, error_body(protocol, refusal, call))

    def answer_json(self, connection: Downstream, value: object, status: int = 200) -> None:
        head = b"content-type: application/json\r\n" + date_line(self.clock_ns())
        connection.reply(status, head, msgspec.json.encode(value))

    # -- time and configuration

    def _every_step(self, now: float) -> None:
        self.journal.check_accepting(now)
        if now >= self._progress_at:
            self._progress_at = now + PROGRESS_S
            at_ns = self.clock_ns()
            noted = False
            for call in self.streams:
                progress = call.progress(at_ns)
                if progress is not None:
                    self.journal.append(progress)
                    noted = True
                call.beat(now)
            if noted:
                self.tick.touch()

    def use(self, catalog: Catalog) -> None:
        """Serves by a new catalog from now on; running calls keep what they began with."""
        _tell_troubles(catalog, self.catalog.troubles)
        self.dispatcher.attach(catalog)
        self.catalog = catalog
        self._limit(catalog)
        self._told.clear()
        self._told_at.clear()
        rows = set(catalog.providers.values())
        for row in [row for row in self._pools if row not in rows]:
            self._pools.pop(row).close()

    def _limit(self, catalog: Catalog) -> None:
        """Purses and limits of a catalog's keys; what was used of a limit is kept."""
        self.funds.attach(catalog.purses)
        before, self._shares = self._shares, {}
        for key in catalog.callers():
            shares = []
            for row in key.limits:
                name = (row.id, row.limits)
                if name not in self._shares:
                    self._shares[name] = before.get(name) or Share(_part(row.limits, self._shared_by))
                shares.append((row.whose, self._shares[name]))
            key.shares = tuple(shares)
        if catalog.purses or self._shares:
            self.bank.start()

    def shared_by(self, gateways: int) -> None:
        """So many gateways share what accounts and keys may do: each keeps its part."""
        if gateways != self._shared_by:
            self._shared_by = gateways
            self._shares = {}
            self._limit(self.catalog)

    async def drain(self) -> None:
        """Lets running calls end (at most Limits.shutdown_s), then ends what is left with a reading each."""
        self.draining = True
        for connection in list(self.connections):
            connection.drain()
        for course in list(self.pausing):
            course.stop()
        until = self.loop.time() + self.limits.shutdown_s
        while self.loop.time() < until and not self._hurried:
            if not self.calls and not any(each.busy for each in self.connections):
                break
            await asyncio.sleep(0.02)
        self.end_now()
        await asyncio.sleep(0.05)  # their last frames go out
        for connection in list(self.connections):
            connection.close()
        for pool in self._pools.values():
            pool.close()
        self.wheel.stop()

    def end_now(self) -> None:
        """Ends every running call with an error in its protocol and a reading; nobody is waited for any more."""
        self._hurried = True
        for call in list(self.calls):
            call.shut()
