"""The life of one call: what is asked -> offer -> hold -> provider -> reading. A chain of callbacks, no task.

In:     a whole request of a known caller; what becomes of its client and of its provider's connection.
Out:    a `Hold` before the provider sees a byte, a `Reading` before the client sees the last one.
The reply itself is the matter of `relay.py`, whose `Relay` is this class with the provider's bytes in it.

Every attempt that was begun ends in exactly one `Reading` (`_settle`), whatever happens: end, cut, time-out, refusal by
the provider, or a client that leaves. What is billed then is decided by `baseload.gateway.reckon`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from baseload.errors import Defect, ProviderFault
from baseload.failpoints import reach
from baseload.gateway.catalog import Offer
from baseload.gateway.http_text import date_line
from baseload.gateway.journal.entries import Hold, Progress, Reading
from baseload.gateway.passage import Passage
from baseload.gateway.paying import Purchase, billed
from baseload.gateway.reckon import hold_of, reading_of
from baseload.providers.faults import Fault, client_view
from baseload.wire import refusals
from baseload.wire.envelope import status_of, stream_error
from baseload.wire.metering import Meter
from baseload.wire.protocols import DOORS, DoorKind
from baseload.wire.translation import Translation

if TYPE_CHECKING:
    from baseload.dispatch.capacity import Share
    from baseload.gateway.course import Course
    from baseload.gateway.dispatching import Choice
    from baseload.gateway.downstream import Downstream
    from baseload.gateway.upstream import Upstream

log = logging.getLogger("baseload.gateway")

HOLD_S = 3600  # a hold that nobody settled releases itself
PROMPT_METERS = frozenset(
    ("input_uncached", "cache_read", "cache_write_5m", "cache_write_30m", "cache_write_1h", "cache_write_12h")
)
DROPPED_MAX = 2000  # characters of x-baseload-dropped


def _header_text(text: str) -> bytes:
    """A client's own words as a header's value."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text).encode("ascii")


class Call(ABC):
    """One attempt to serve a client's request at one offer."""

    # Most calls keep most of these, so they are set on the class and not 20 times a call.
    sent_ns = first_ns = text_ns = 0  # the request left, a byte of the reply came, its first text
    status = 0
    request_bytes = reply_bytes = 0
    upstream: Upstream | None = None
    upstream_id = upstream_model = ""
    meter: Meter | None = None
    passage: Passage
    kind: DoorKind
    delivered_frames = delivered_text = -1  # what the client had when it left; -1 = it did not
    settled = False
    resent = False
    _body = b""
    _drain_until = 0.0
    _fault_headers: Mapping[str, str] = MappingProxyType({})
    content_type = b""
    units: Mapping[str, int] = MappingProxyType({})  # own units that its reply shows
    _beat_bytes = 0
    _beat_at = 0.0
    _parts_size = 0
    _progress_frames = 0
    _started = False
    _stopping = False  # the gateway is
    flags: tuple[str, ...] = ()  # of its reading
    _fault: Fault | None = None  # what ended it
    _reserved = 0  # tokens taken from the provider's limits
    purchase: Purchase | None = None  # its money, where something limits the account
    held_out: list[bytes] | None = None  # frames of a stream whose money is being asked for
    held_from = (0, 0)  # frames and bytes of text that were relayed before them
    _shares: tuple[tuple[str, Share], ...] = ()
    rival: Call | None = None  # the other attempt of a hedged call, until one of them has reached the client
    hold: Hold

    def __init__(self, course: Course, down: Downstream, choice: Choice) -> None:
        asked = course.asked
        self.gw = course.gw
        self.course = course
        self.choice = choice
        self.down: Downstream | None = down
        self.asked = asked
        self.key = asked.key
        self.endpoint = asked.route.endpoint
        self.ask = asked.ask
        self.offer: Offer = choice.offer
        self.id = course.id
        self.attempt = course.attempts
        self.passage = choice.passage
        self.kind = DOORS[choice.passage.door]
        self.accepted_ns = down.accepted_ns
        if choice.below_cost:
            self.flags = ("below_cost",)
        self._parts: list[bytes] = []

    # -- the client's request

    def begin(self) -> None:
        """Writes the hold and hands the request to the provider once the hold is in the journal."""
        gw, offer, ask, key, choice = self.gw, self.offer, self.ask, self.key, self.choice
        body_size = self.request_bytes = self.asked.size
        self._body = self.passage.body
        cost, charge = choice.cost, choice.charge
        held = hold_of(self, cost, charge)
        charge_id = charge.id if charge is not None else 0
        now_ns = gw.clock_ns()
        nano = held.nano
        leases: tuple[int, ...] = ()
        if key.purses:
            taken = self.course.take(held.nano, held.least, self.accepted_ns, now_ns)
            self.purchase = Purchase(taken, held.input_nano, held.out_rate, held.fx)
            nano, leases = taken.hold, taken.ids
            if ask.stream and isinstance(self.passage.shaper, Translation):
                self.passage.shaper.watch_blocks()
        for _, share in key.shares:
            share.begin(now_ns, choice.expected_tokens, int(self.attempt == 1))
        self._shares = key.shares
        offer.health.begin(now_ns)
        if offer.access.why:
            offer.access.probing(now_ns)
        self._reserved = choice.expected_tokens
        offer.capacity.begin(now_ns, self._reserved)
        self.hold = Hold(
            self.id, self.attempt, key.account.id, key.id, offer.id, cost.id, charge_id, key.tariff.id, ask.model,
            self.endpoint, ask.stream, nano, held.currency, body_size,
            self.accepted_ns, self.accepted_ns + HOLD_S * 1_000_000_000, gw.catalog.version, leases, held.fx,
        )  # fmt: skip
        gw.journal.append(self.hold)
        reach("hold-appended")
        gw.calls.add(self)
        gw.tick.after_flush(self._ask_connection)

    def _ask_connection(self) -> None:
        reach("hold-flushed")
        if self.settled:  # the client has left meanwhile
            return
        token = self.passage.way.token
        if token is not None and not token.fresh(self.gw.clock_ns()):
            self.gw.tokens.want(token, self.offer.provider, self._want_connection, self.on_connect_failed)
        else:
            self._want_connection()

    def _want_connection(self) -> None:
        if self.settled:
            return
        try:
            self.gw.pool_of(self.offer).want(self)
        except Exception as error:  # whatever a provider's row may hold, a call must end
            log.exception("no connection can be asked for at %s", self.offer.provider.name)
            self.on_connect_failed(ProviderFault("unavailable", f"no connection can be made: {error}"))

    def on_connected(self, connection: Upstream) -> None:
        if self.settled:  # the client left while the connection was being made
            connection.pool.give_back(connection)
            return
        gw = self.gw
        self.upstream = connection
        if not self.sent_ns:
            self.sent_ns = gw.clock_ns()
        body, passage = self._body, self.passage
        fixed = passage.way.fixed
        head = fixed[self.ask.stream] if fixed is not None and passage.plain else self._request_head(body)
        deadline = gw.wheel.now + self.course.patience_s(self, self.offer.provider.first_byte_timeout_s)
        connection.send(self, b"%b%d\r\n\r\n" % (head, len(body)), body, deadline)

    def _request_head(self, body: bytes) -> bytes:
        """Up to the digits of content-length, where something in it depends on the call."""
        passage = self.passage
        return passage.way.head(
            self.ask.stream, body, self.sent_ns, headers=passage.headers, query=passage.query,
            content_type=passage.content_type or "application/json",
        )  # fmt: skip

    def on_connect_failed(self, fault: ProviderFault) -> None:
        if not self.settled:
            self._fail(Fault(kind=fault.fault, message=fault.say), unsent=not self.sent_ns)

    # -- the provider's reply, see `relay.py`

    @abstractmethod
    def on_reply_head(self, status: int, head: bytes, low: bytes) -> None: ...

    @abstractmethod
    def on_piece(self, piece: bytes) -> None: ...

    @abstractmethod
    def on_end(self) -> None: ...

    @abstractmethod
    def on_cut(self, fault: ProviderFault) -> None: ...

    @abstractmethod
    def beat(self, now: float) -> None: ...

    # -- ends

    def _fail(self, fault: Fault, *, unsent: bool = False) -> None:
        """The attempt failed: a reading, and the next attempt, or an answer in the client's own protocol."""
        self._fault = fault
        self.gw.tell(self.offer, fault)
        started = self._started
        unsent = unsent or not self.sent_ns  # a stopping gateway ends calls that still waited for a connection or token
        if self.down is None and self.delivered_frames >= 0:
            outcome = "client_left"  # it had left before; what the provider did then is the fault's to say
        else:
            outcome = {"timeout": "timeout", "cut": "upstream_cut"}.get(fault.kind, "upstream_error")
        reported = self.meter is not None and bool(self.meter.usages)  # a stream that told its input before it failed
        answered = self.status != 0 and not (started or reported) and fault.kind not in ("cut", "timeout", "garbage")
        protocol = self.asked.route.protocol
        self.course.failed(self, fault)
        follow = None
        if self.down is not None and not started:
            if self.rival is not None:  # the other one goes on, and answers the client
                follow = self.course.left_to(self.rival)
            elif not self._stopping:
                follow = self.course.follow(self, fault)
        if follow is not None:
            self._supersede(outcome, fault, unsent=unsent or answered, follow=follow)
            return
        refusal = refusals.Draining() if self._stopping else client_view(self.course.told(fault, started=started))
        status = 200 if started else status_of(protocol, refusal)
        self._settle(outcome, fault=fault.kind, status=status, unsent=unsent or answered)

        def answer(client: Downstream) -> None:
            if started:
                shaper = self.passage.shaper
                say = shaper.fail if shaper is not None else None
                client.end(say(refusal, self.id) if say else stream_error(protocol, refusal, self.id))
            else:
                self.gw.answer_refusal(client, refusal, self.id, self.offer)

        self._conclude(answer)

    def _supersede(self, outcome: str, fault: Fault, *, unsent: bool, follow: Callable[[Downstream], None]) -> None:
        """Another attempt takes over, and the client sees nothing of this one."""
        client = self.down
        assert client is not None
        self.flags = self.course.flags_of(fault.kind, sent=not unsent)
        self._settle(outcome, fault=fault.kind, status=0, unsent=unsent)
        self.down = None
        self._finish()
        self.gw.tick.touch()
        follow(client)

    def _conclude(self, send: Callable[[Downstream], None] | None) -> None:
        """The reading is written: once it is in the journal the client gets the end, and this call is over.

        The client is taken, not read: nothing that comes later can end its reply a second time.
        """
        client, self.down = self.down, None
        if client is None or send is None:
            self._finish()
            self.gw.tick.touch()
            return

        def release() -> None:
            reach("reading-flushed")
            try:
                send(client)
            except Exception:
                client.close()
                raise
            finally:
                self._finish()

        self.gw.tick.after_flush(release)

    def _abandon(self, fault: Fault) -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.detach()
        self._parts.clear()
        if not self.settled:
            self._fail(fault)

    def _settle(
        self,
        outcome: str,
        *,
        fault: str = "",
        status: int = 200,
        unsent: bool = False,
        usages: list[bytes] | None = None,
        tier: str = "",
        text_bytes: int = 0,
    ) -> None:
        """Appends the one reading of this attempt; the caller waits for the flush before the client can see the end."""
        if self.settled:
            raise Defect(f"call {self.id} would get a second reading")
        self.settled = True
        gw = self.gw
        gw.streams.discard(self)
        end_ns = gw.clock_ns()
        reading = reading_of(
            self, outcome, fault=fault, status=status, unsent=unsent, usages=usages, tier=tier,
            text_bytes=text_bytes, end_ns=end_ns,
        )  # fmt: skip
        if self.purchase is not None:
            reading = billed(reading, self.purchase, self.choice.cost, self.choice.charge, self.key)
        gw.journal.append(reading)
        reach("reading-appended")
        offer = self.offer
        self._report(outcome, reading, end_ns)
        series = offer.series.get(self.endpoint)
        if series is None:
            series = offer.series[self.endpoint] = gw.metrics.series(
                offer.model, offer.name, self.endpoint, offer.provider.dialect
            )
        first_ns = self.first_ns
        gw.metrics.count_call(series, outcome, reading.meters, end_ns - self.accepted_ns, first_ns - self.accepted_ns)

    def _report(self, outcome: str, reading: Reading, now_ns: int) -> None:
        """What this attempt showed of its offer, for the next decisions."""
        gw, offer, fault, meters = self.gw, self.offer, self._fault, reading.meters
        told = outcome != "client_left" and not self._stopping and "not_asked" not in self.flags
        kind, by, after = (
            (fault.kind, fault.by, fault.retry_after_s) if fault is not None else (reading.fault, "", None)
        )
        jitter = gw.jitter() if kind else 0.0
        offer.health.end(now_ns, kind, by=by, retry_after_s=after, jitter=jitter, told=told)
        if told and (kind or offer.access.why):
            offer.access.end(now_ns, kind, by=by, retry_after_s=after, jitter=jitter)
        output = meters.get("output_total", 0)
        if self._started and self.meter is not None and outcome == "ok":
            offer.health.first(self.text_ns - self.sent_ns)
            offer.health.generated(output, now_ns - self.text_ns)
        used = sum(count for meter, count in meters.items() if meter in PROMPT_METERS) + output if meters else -1
        offer.capacity.end(now_ns, self._reserved, used)
        for _, share in self._shares:
            share.end(now_ns, self._reserved, used)
        if gw.admission.queue:
            gw.admission.wake()
        gw.dispatcher.learn(self.course.merit, offer, reading)

    def _finish(self) -> None:
        gw = self.gw
        gw.calls.discard(self)
        gw.streams.discard(self)
        gw.drains.discard(self)
        self._parts.clear()

    def _reply_headers(self, kind: bytes) -> bytes:
        request_id = f"x-request-id: {self.upstream_id}\r\n".encode("latin-1", "replace") if self.upstream_id else b""
        dropped = self.passage.dropped
        if dropped:
            named = ", ".join(dropped)[:DROPPED_MAX]
            request_id += b"x-baseload-dropped: %b\r\n" % _header_text(named)
        if self.attempt > 1:
            request_id += b"x-baseload-attempts: %d\r\n" % self.attempt
        if self.offer.model != self.ask.model:  # a group or a fallback
            request_id += b"x-baseload-model: %b\r\n" % _header_text(self.offer.model)
        return b"%bx-baseload-call-id: %b\r\nx-baseload-offer: %b\r\n%b%b" % (
            kind, self.id.encode(), self.offer.name_bytes, request_id, date_line(self.first_ns),
        )  # fmt: skip

    @property
    def started(self) -> bool:
        """The client has the beginning of its reply."""
        return self._started

    def shut(self) -> None:
        """The gateway stops and cannot wait for this call any longer."""
        if not self.settled:
            self.gw.pool_of(self.offer).forget(self)
            self._stopping = True
            self._abandon(Fault(kind="timeout", message="this gateway stopped before the reply was complete"))

    # -- what the client's connection says

    def pause(self) -> None:
        if self.upstream is not None:
            self.upstream.pause()

    def resume(self) -> None:
        if self.upstream is not None:
            self.upstream.resume()

    def client_left(self) -> None:
        """Stops the provider where that stops the bill, reads on where it does not (vendors.md, 4)."""
        self.down = None
        upstream = self.upstream
        if self.settled:
            if upstream is not None:  # after [DONE]: its last bytes are not worth waiting for
                self.upstream = None
                upstream.detach()
            self._finish()
            return
        meter = self.meter if self._started else None  # a stream that is being gathered has reached nobody
        self.delivered_frames = meter.frames if meter is not None else 0
        self.delivered_text = meter.text_bytes if meter is not None else 0
        if self.held_out is not None:
            self.held_out = None
            self.delivered_frames, self.delivered_text = self.held_from
        if upstream is None:  # the hold is being flushed or a connection is awaited
            self.gw.pool_of(self.offer).forget(self)
            self._settle("client_left", unsent=not self.sent_ns)
            self._conclude(None)
            return
        provider = self.offer.provider
        stops = provider.abort == "stops" and (self.ask.stream or provider.kind == "engine")
        gw = self.gw
        if stops or len(gw.drains) >= gw.limits.drains_max:
            self._stop_provider()
            return
        gw.drains.add(self)
        upstream.resume()
        self._drain_until = gw.wheel.now + gw.limits.drain_s

    def _stop_provider(self) -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.detach()
        self._settle("client_left")
        self._conclude(None)

    def progress(self, at_ns: int) -> Progress | None:
        """What was relayed since the last time, for the journal; None = nothing new."""
        meter = self.meter
        if meter is None or self.settled or meter.frames == self._progress_frames:
            return None
        self._progress_frames = meter.frames
        held = self.purchase.taken.hold if self.purchase is not None else 0
        return Progress(self.id, self.attempt, at_ns, meter.frames, meter.text_bytes, held)
