"""The life of one call: what is asked -> offer -> hold -> provider -> relay -> reading. A chain of callbacks, no task.

In:     a whole request of a known caller; the provider's reply, piece by piece.
Out:    bytes to the client; a `Hold` before the provider sees a byte, a `Reading` before the client sees the last one.
Holds:  per stream one unfinished frame; a reply that is not streamed is held whole (Limits.reply_max).

Every attempt that was begun ends in exactly one `Reading` (`_settle`), whatever happens: end, cut, time-out, refusal by
the provider, or a client that leaves. What is billed then is decided by `baseload.gateway.reckon`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from baseload.errors import Defect, ProviderFault, Refusal
from baseload.gateway.asked import Asked
from baseload.gateway.catalog import MILLION, Offer
from baseload.gateway.doors import GoogleToken
from baseload.gateway.head import value_of
from baseload.gateway.http_text import date_line
from baseload.gateway.journal.entries import Hold, Progress
from baseload.gateway.passage import Passage
from baseload.gateway.reckon import reading_of
from baseload.gateway.shapers import Shaper
from baseload.providers.faults import Fault, classify, client_view
from baseload.wire import media, refusals
from baseload.wire.envelope import status_of, stream_error
from baseload.wire.metering import Facts, Meter
from baseload.wire.protocols import DOORS, SSE, DoorKind

if TYPE_CHECKING:
    from baseload.dispatch.rates import RowRates
    from baseload.gateway.core import Gateway
    from baseload.gateway.downstream import Downstream
    from baseload.gateway.upstream import Upstream

log = logging.getLogger("baseload.gateway")

_JSON = b"content-type: application/json\r\n"
_SSE = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
BEAT_S = 15.0  # silence after which a running stream is kept alive: proxies in between commonly give up at 60 s
COMMIT_S = 10.0  # comments alone begin no reply before this: until then a failure can still be an HTTP error
NO_FAILURES = ("", "filtered", "too_long")  # finish reasons of these classes are an answer that the client reads
NANO_MAX = 2**53  # nine million units of money: beyond any call, and what every store and JSON reader keeps exact
TRAIL_S = 1.0  # how long after [DONE] a provider may take to end its reply and so keep its connection
HOLD_S = 3600  # a hold that nobody settled releases itself
MEDIA_TOKENS_MAX = 100_000  # input tokens held for a call with media that is billed by tokens
DROPPED_MAX = 2000  # characters of x-baseload-dropped
# A comment breaks google-genai's reader, which takes every line for JSON: a blank line does not.
_BEATS = {"messages": b'event: ping\ndata: {"type": "ping"}\n\n', "gemini": b"\n"}


def _header_text(text: str) -> bytes:
    """A client's own words as a header's value."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text).encode("ascii")


class Call:
    """One attempt to serve a client's request at one offer."""

    # Most calls keep most of these, so they are set on the class and not 20 times a call.
    sent_ns = first_ns = 0
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
    hold: Hold

    def __init__(self, gw: Gateway, down: Downstream, asked: Asked, offer: Offer) -> None:
        self.gw = gw
        self.down: Downstream | None = down
        self.asked = asked
        self.key = asked.key
        self.endpoint = asked.route.endpoint
        self.ask = asked.ask
        self.offer = offer
        self.id = gw.new_id()
        self.accepted_ns = down.accepted_ns
        self._parts: list[bytes] = []

    # -- the client's request

    def begin(self, passage: Passage, cost: RowRates, charge: RowRates | None) -> None:
        """Writes the hold and hands the request to the provider once the hold is in the journal."""
        gw, offer, ask, key = self.gw, self.offer, self.ask, self.key
        body_size = self.request_bytes = self.asked.size
        self.passage = passage
        self.kind = DOORS[passage.door]
        self._body = passage.body
        nano = self._hold_nano(cost, charge)
        charge_id = charge.id if charge is not None else 0
        self.hold = Hold(
            self.id, 1, key.account.id, key.id, offer.id, cost.id, charge_id, key.tariff.id, ask.model,
            self.endpoint, ask.stream, nano, (charge or cost).currency, body_size,
            self.accepted_ns, self.accepted_ns + HOLD_S * 1_000_000_000, gw.catalog.version,
        )  # fmt: skip
        gw.journal.append(self.hold)
        gw.calls.add(self)
        gw.tick.after_flush(self._ask_connection)

    def _hold_nano(self, cost: RowRates, charge: RowRates | None) -> int:
        """What this call may cost the account: its input by size and all the output it may have, at today's band."""
        ask, offer = self.ask, self.offer
        input_tokens = int(self.request_bytes / offer.bytes_per_token) + 1
        rates = (charge or cost).at(self.accepted_ns, input_tokens)
        if rates is None:  # the row prices no input of this length: settlement could not bill it either
            raise refusals.Unpriced(ask.model, f"{input_tokens} input tokens are beyond its price row")
        if ask.units:
            nano = self._units_nano(charge or cost, rates, input_tokens)
        elif not self.kind.generates:
            nano = rates[0] * input_tokens // MILLION + 1
        else:
            limit = offer.output_bound
            if 0 < ask.max_output < limit:
                limit = ask.max_output
            nano = (rates[0] * input_tokens + rates[1] * limit * ask.n) // MILLION + 1
        if charge is None:
            nano += nano * self.key.tariff.margin_ppm // MILLION
        if nano > NANO_MAX:
            say = f"This call could cost {nano // 10**9} {(charge or cost).currency}; no call may cost so much."
            raise Refusal(say, "Lower max_tokens or n.", code="call_too_large", status=400, param="max_tokens")
        return nano

    def _units_nano(self, price: RowRates, rates: tuple[int, int], input_tokens: int) -> int:
        """Images, characters, sound: by their own units where the row prices those, else by tokens."""
        units = price.units(self.accepted_ns, dict(self.ask.units), input_tokens)
        if units is None:
            raise refusals.Unpriced(self.ask.model, f"{', '.join(name for name, _ in self.ask.units)}")
        if units:
            return units
        tokens = min(input_tokens, MEDIA_TOKENS_MAX)  # a recording's bytes are no text
        return (rates[0] * tokens + rates[1] * self.offer.output_bound * self.ask.n) // MILLION + 1

    def _ask_connection(self) -> None:
        if self.settled:  # the client has left meanwhile
            return
        try:
            access = self.offer.ways[self.passage.door].access
            if isinstance(access, GoogleToken) and not access.fresh(self.gw.clock_ns()):
                self.gw.tokens.want(access, self.offer.provider, self._ask_connection, self.on_connect_failed)
                return
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
        body = self._body
        head = self._request_head(body)
        deadline = gw.wheel.now + self.offer.provider.first_byte_timeout_s
        connection.send(self, b"%b%d\r\n\r\n" % (head, len(body)), body, deadline)

    def _request_head(self, body: bytes) -> bytes:
        """Up to the digits of content-length; written beforehand where nothing in it depends on the call."""
        passage = self.passage
        way = self.offer.ways[passage.door]
        fixed = way.fixed
        if fixed is not None and not (passage.headers or passage.query or passage.content_type):
            return fixed[self.ask.stream]
        return way.head(
            self.ask.stream, body, self.sent_ns, headers=passage.headers, query=passage.query,
            content_type=passage.content_type or "application/json",
        )  # fmt: skip

    def on_connect_failed(self, fault: ProviderFault) -> None:
        if not self.settled:
            self._fail(Fault(kind=fault.fault, message=fault.say), unsent=not self.sent_ns)

    # -- the provider's reply

    def on_reply_head(self, status: int, head: bytes, low: bytes) -> None:
        self._body = b""  # a byte of the reply has come: the request will not be sent again
        self.first_ns = self.gw.clock_ns()
        for name in self.offer.id_headers:
            found = value_of(head, low, name)
            if found:
                self.upstream_id = found[:200].decode("latin-1")
                break
        self.status = status
        if status == 200:
            self.content_type = value_of(head, low, b"content-type")
            kind = self.kind
            if kind.medium:
                self.meter = media.meter_of(kind.medium, self.content_type.decode("latin-1"), self.ask)
            elif self.ask.stream and self.content_type.lower().startswith(kind.stream_type):
                self.meter = kind.meter(self.passage.shaper is None and not self.ask.wants_usage)
        else:
            names = self.offer.fault_headers
            self._fault_headers = {name: value_of(head, low, name.encode()).decode("latin-1") for name in names}

    def on_piece(self, piece: bytes) -> None:
        self.reply_bytes += len(piece)
        if self.settled:  # after [DONE] nothing comes that a client needs
            return
        gw, down = self.gw, self.down
        if down is None and (self.reply_bytes > gw.limits.drain_bytes_max or gw.wheel.now > self._drain_until):
            self._stop_provider()
            return
        meter = self.meter
        if meter is None:
            self._parts.append(piece)
            self._parts_size += len(piece)
            if self._parts_size > gw.limits.reply_max:
                self._abandon(Fault(kind="garbage", message=f"the reply is longer than {gw.limits.reply_max} bytes"))
            return
        try:
            out = meter.feed(piece)
        except ProviderFault as fault:
            self._abandon(Fault(kind=fault.fault, message=fault.say))
            return
        if down is None:
            return
        if meter.error:
            self._break_off(down, meter, out)
            return
        shaper = self.passage.shaper
        if shaper is not None:
            try:
                out = shaper.frames(out)
                if meter.done:
                    out += shaper.end()
            except ProviderFault as fault:
                self._abandon(Fault(kind=fault.fault, message=fault.say))
                return
        if not self._started:
            if not out or (not meter.frames and self._only_comments(out)):
                return
            self._start(down)
        if meter.done:
            # the client may stop reading at [DONE]: the reading comes first
            self._settle_stream(meter)
            upstream = self.upstream
            if upstream is not None:
                upstream.resume()
                upstream.deadline = gw.wheel.now + TRAIL_S
            self._conclude(lambda client: client.end(out))
            return
        down.chunk(out)
        if not self._progress_frames and meter.frames:
            # The provider has read the input and text reaches the client: a crash from here on can be billed.
            begun = self.progress(self.first_ns)
            if begun is not None:
                gw.journal.append(begun)
                gw.tick.touch()

    def _only_comments(self, out: bytes) -> bool:
        """Comments are no reply: a failure after them is still an HTTP error, unless the client has waited for long."""
        if b"data:" in out or self.asked.route.array or self.kind.medium:
            return False
        return self.gw.clock_ns() - self.sent_ns < COMMIT_S * 1e9

    def _start(self, down: Downstream) -> None:
        self._started = True
        self.gw.streams.add(self)
        down.begin(200, self._reply_headers(self._own_type(_JSON if self.asked.route.array else _SSE)))

    def _own_type(self, usual: bytes) -> bytes:
        """Sound, subtitles and the like keep the provider's content type."""
        if not self.kind.medium or not self.content_type:
            return usual
        return b"content-type: %b\r\n" % self.content_type

    def beat(self, now: float) -> None:
        """Keeps a silent stream's connection alive: proxies between here and the client know no patience."""
        route = self.asked.route
        if self.kind.medium and not self.content_type.startswith(SSE):
            return
        if self.reply_bytes != self._beat_bytes:
            self._beat_bytes, self._beat_at = self.reply_bytes, now
        elif now - self._beat_at >= BEAT_S and self.down is not None and not self.settled:
            self._beat_at = now
            self.down.beat(_BEATS.get(route.protocol, b": keep-alive\n\n"))

    def _break_off(self, down: Downstream, meter: Meter, out: bytes) -> None:
        """The provider reports a failure inside its stream: the text before it is the client's, its words are not.

        Before any text it is an HTTP error, for no status has been sent yet.
        """
        shaper = self.passage.shaper
        if shaper is not None:
            self._break_off_shaped(down, meter, shaper, out)
            return
        at = out.rfind(meter.error[:256])
        ends = [out.rfind(blank, 0, at) + len(blank) for blank in (b"\n\n", b"\r\n\r\n") if blank in out[:at]]
        if at >= 0 and ends and (self._started or meter.frames):
            if not self._started:
                self._start(down)
            down.chunk(out[: max(ends)])
        self._abandon(classify(self.offer.vendor, 200, b'{"error":%b}' % meter.error, {}))

    def _break_off_shaped(self, down: Downstream, meter: Meter, shaper: Shaper, out: bytes) -> None:
        try:
            said = shaper.frames(out)
        except ProviderFault:
            said = b""
        if said and (self._started or meter.frames):
            if not self._started:
                self._start(down)
            down.chunk(said)
        self._abandon(classify(self.offer.vendor, 200, b'{"error":%b}' % meter.error, {}))

    def on_end(self) -> None:
        self.upstream = None
        if self.settled:
            self._finish()
            return
        meter = self.meter
        if meter is None:
            self._end_whole(b"".join(self._parts))
        else:
            self._end_stream(meter)

    def on_cut(self, fault: ProviderFault) -> None:
        upstream, self.upstream = self.upstream, None
        if self.settled:
            self._finish()
            return
        if (
            upstream is not None
            and not upstream.fresh
            and not upstream.received
            and fault.fault == "cut"
            and self._body
            and not self.resent
            and self.down is not None
        ):
            # A kept connection that the server had closed while it was idle: no byte of a reply came. The request goes
            # out once more on a new connection; the reading says so, for the provider may have seen it twice.
            self.resent = True
            self.gw.pool_of(self.offer).want(self, fresh=True)
            return
        if self.meter is not None and self.meter.finished and self.down is not None and fault.fault == "cut":
            self._end_stream(self.meter)  # all the text came; only the closing line is missing
            return
        self._fail(Fault(kind=fault.fault, message=fault.say))

    # -- ends

    def _end_whole(self, body: bytes) -> None:
        vendor = self.offer.vendor
        if self.status != 200:
            self._fail(classify(vendor, self.status, body, self._fault_headers))
            return
        reply = self._facts(body)
        if reply.error:
            self._fail(classify(vendor, 200, body, {}))
            return
        if reply.malformed:
            self._fail(Fault(kind="garbage", message="the reply is not the JSON that this protocol asks for"))
            return
        self.upstream_model = reply.model
        failure = vendor.finish.get(reply.finish_reasons[-1], "") if reply.finish_reasons else ""
        outcome = "ok" if failure in NO_FAILURES else "upstream_error"
        content_type, shaper = self._own_type(_JSON), self.passage.shaper
        if self.down is None:
            outcome = "client_left"
        elif shaper is not None:
            try:
                if self.ask.stream:
                    body, content_type = shaper.whole_as_stream(body), _JSON if self.asked.route.array else _SSE
                else:
                    body = shaper.whole(body)
            except ProviderFault as broken:
                self._fail(Fault(kind=broken.fault, message=broken.say))
                return
        fault = failure if outcome == "upstream_error" else ""
        self._settle(outcome, fault=fault, usages=reply.usages, tier=reply.service_tier, text_bytes=reply.text_bytes)
        headers = self._reply_headers(content_type)
        self._conclude(lambda client: client.reply(200, headers, body))

    def _facts(self, body: bytes) -> Facts:
        medium = self.kind.medium
        if not medium:
            return self.kind.facts(body)
        facts: Facts = media.ENDPOINTS[medium].read_reply(body, self.content_type.decode("latin-1"))
        self.units = facts.units
        return facts

    def _end_stream(self, meter: Meter) -> None:
        rest = meter.close()
        if meter.error:
            self._fail(classify(self.offer.vendor, 200, b'{"error":%b}' % meter.error, {}))
        elif not (meter.finished or meter.done):  # well framed, but neither a finish reason nor [DONE] came
            self._fail(Fault(kind="cut", message="the stream ended before it was complete"))
        elif self.down is None:
            self._settle("client_left")
            self._conclude(None)
        else:
            shaper = self.passage.shaper
            if shaper is not None:
                try:
                    rest = shaper.frames(rest) + shaper.end()
                except ProviderFault as broken:
                    self._fail(Fault(kind=broken.fault, message=broken.say))
                    return
            if not self._started:
                self._start(self.down)
            self._settle_stream(meter)
            self._conclude(lambda client: client.end(rest))

    def _settle_stream(self, meter: Meter) -> None:
        """A finish reason can name a failure after 200 (DeepSeek, Zhipu, OpenRouter); a filter's or a length limit's
        word is the client's to read."""
        failure = self.offer.vendor.finish.get(meter.finish, "")
        failed = failure not in NO_FAILURES
        self._settle("upstream_error" if failed else "ok", fault=failure if failed else "")

    def _fail(self, fault: Fault, *, unsent: bool = False) -> None:
        """The attempt failed: a reading, and an answer in the client's own protocol."""
        refusal = refusals.Draining() if self._stopping else client_view(fault)
        started = self._started
        if self.down is None and self.delivered_frames >= 0:
            outcome = "client_left"  # it had left before; what the provider did then is the fault's to say
        else:
            outcome = {"timeout": "timeout", "cut": "upstream_cut"}.get(fault.kind, "upstream_error")
        answered = self.status != 0 and not started and fault.kind not in ("cut", "timeout", "garbage")
        protocol = self.asked.route.protocol
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
        gw.journal.append(reading)
        offer = self.offer
        series = offer.series.get(self.endpoint)
        if series is None:
            series = offer.series[self.endpoint] = gw.metrics.series(offer.model, offer.name, self.endpoint)
        first_ns = self.first_ns
        gw.metrics.count_call(series, outcome, reading.meters, end_ns - self.accepted_ns, first_ns - self.accepted_ns)

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
        return b"%bx-baseload-call-id: %b\r\nx-baseload-offer: %b\r\n%b%b" % (
            kind, self.id.encode(), self.offer.name_bytes, request_id, date_line(self.first_ns),
        )  # fmt: skip

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
        meter = self.meter
        self.delivered_frames = meter.frames if meter is not None else 0
        self.delivered_text = meter.text_bytes if meter is not None else 0
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
        return Progress(self.id, 1, at_ns, meter.frames, meter.text_bytes)
