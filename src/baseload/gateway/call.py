"""The life of one call: what is asked -> offer -> hold -> provider -> relay -> reading. A chain of callbacks, no task.

In:     a whole request of a known caller; the provider's reply, piece by piece.
Out:    bytes to the client; a `Hold` before the provider sees a byte, a `Reading` before the client sees the last one.
Holds:  per stream one unfinished frame; a reply that is not streamed is held whole (Limits.reply_max).

Every attempt that was begun ends in exactly one `Reading` (`_settle`), whatever happens: end, cut, time-out, refusal by
the provider, or a client that leaves. What is billed then is decided by `baseload.gateway.reckon`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.gateway.catalog import MILLION, Key, Offer
from baseload.gateway.head import value_of
from baseload.gateway.http_text import date_line
from baseload.gateway.journal.entries import Hold, Progress
from baseload.gateway.reckon import reading_of
from baseload.providers.faults import Fault, classify, client_view
from baseload.wire import refusals
from baseload.wire.chat import Ask, StreamMeter, patch_request, read_reply
from baseload.wire.envelope import openai_stream_error

if TYPE_CHECKING:
    from baseload.dispatch.rates import RowRates
    from baseload.gateway.core import Gateway
    from baseload.gateway.downstream import Downstream
    from baseload.gateway.upstream import Upstream

_JSON = b"content-type: application/json\r\n"
_SSE = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
NO_FAILURES = ("", "filtered", "too_long")  # finish reasons of these classes are an answer that the client reads
HOLD_S = 3600  # a hold that nobody settled releases itself


class Call:
    """One attempt to serve a client's request at one offer."""

    # Most calls keep most of these, so they are set on the class and not 20 times a call.
    sent_ns = first_ns = 0
    status = 0
    request_bytes = reply_bytes = 0
    upstream: Upstream | None = None
    upstream_id = upstream_model = ""
    meter: StreamMeter | None = None
    delivered_frames = delivered_text = -1  # what the client had when it left; -1 = it did not
    settled = False
    resent = False
    _body = b""
    _drain_until = 0.0
    _retry_headers: Mapping[str, str] = MappingProxyType({})
    _parts_size = 0
    _progress_frames = 0
    _started = False
    hold: Hold

    def __init__(self, gw: Gateway, down: Downstream, key: Key, endpoint: str, ask: Ask, offer: Offer) -> None:
        self.gw = gw
        self.down: Downstream | None = down
        self.key = key
        self.endpoint = endpoint
        self.ask = ask
        self.offer = offer
        self.id = gw.new_id()
        self.accepted_ns = down.accepted_ns
        self._parts: list[bytes] = []

    # -- the client's request

    def begin(self, members: dict[str, Raw], body_size: int, cost: RowRates, charge: RowRates | None) -> None:
        """Writes the hold and hands the request to the provider once the hold is in the journal."""
        gw, offer, ask, key = self.gw, self.offer, self.ask, self.key
        self.request_bytes = body_size
        self._body = patch_request(self.endpoint, members, ask, offer.upstream_model)
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
        if self.endpoint == "embeddings":
            nano = rates[0] * input_tokens // MILLION + 1
        else:
            limit = offer.output_bound
            if 0 < ask.max_output < limit:
                limit = ask.max_output
            nano = (rates[0] * input_tokens + rates[1] * limit * ask.n) // MILLION + 1
        if charge is None:
            nano += nano * self.key.tariff.margin_ppm // MILLION
        return nano

    def _ask_connection(self) -> None:
        if not self.settled:  # the client may have left meanwhile
            self.gw.pool_of(self.offer).want(self)

    def on_connected(self, connection: Upstream) -> None:
        if self.settled:  # the client left while the connection was being made
            connection.pool.give_back(connection)
            return
        gw = self.gw
        self.upstream = connection
        if not self.sent_ns:
            self.sent_ns = gw.clock_ns()
        head = self.offer.heads[self.endpoint]
        body = self._body
        deadline = gw.wheel.now + self.offer.provider.first_byte_timeout_s
        connection.send(self, b"%b%d\r\n\r\n" % (head, len(body)), body, deadline)

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
        streamed = self.ask.stream and value_of(head, low, b"content-type")[:17].lower() == b"text/event-stream"
        if status == 200:
            if streamed:
                self.meter = StreamMeter(strip=not self.ask.wants_usage)
        else:
            names = {*self.offer.vendor.retry_headers, "retry-after", "retry-after-ms"}
            self._retry_headers = {name: value_of(head, low, name.encode()).decode("latin-1") for name in names}

    def on_piece(self, piece: bytes) -> None:
        self.reply_bytes += len(piece)
        meter = self.meter
        if meter is None:
            self._parts.append(piece)
            self._parts_size += len(piece)
            if self._parts_size > self.gw.limits.reply_max:
                self._abandon(
                    Fault(kind="garbage", message=f"the reply is longer than {self.gw.limits.reply_max} bytes")
                )
            return
        try:
            out = meter.feed(piece)
        except ProviderFault as fault:
            self._abandon(Fault(kind=fault.fault, message=fault.say))
            return
        down = self.down
        if down is None:
            if self.reply_bytes > self.gw.limits.drain_bytes_max or self.gw.wheel.now > self._drain_until:
                self._stop_provider()
            return
        if self.settled:  # after [DONE] nothing that a client needs comes
            return
        if not self._started:
            if meter.error and not meter.frames:
                return  # a failure instead of a stream: it becomes an HTTP error when the reply ends
            if not out:
                return
            self._started = True
            self.gw.streams.add(self)
            down.begin(200, self._reply_headers(_SSE))
            # The provider has read the input and something reaches the client: a crash from here on can be billed.
            begun = self.progress(self.first_ns)
            if begun is not None:
                self.gw.journal.append(begun)
                self.gw.tick.touch()
        if meter.error:
            self._break_off(meter, out)
        elif meter.done:
            # the client may stop reading at [DONE]: the reading comes first
            self._settle_stream(meter)
            self.gw.tick.after_flush(lambda: self.down.chunk(out) if self.down is not None else None)
        else:
            down.chunk(out)

    def _break_off(self, meter: StreamMeter, out: bytes) -> None:
        """The provider reports a failure inside its stream: the text before it is the client's, its words are not."""
        at = out.rfind(meter.error[:256])
        ends = (out.rfind(blank, 0, at) + len(blank) for blank in (b"\n\n", b"\r\n\r\n") if blank in out[:at])
        if self.down is not None:
            self.down.chunk(out[: max(ends, default=0)] if at >= 0 else b"")
        self._abandon(classify(self.offer.vendor, 200, b'{"error":%b}' % meter.error, {}))

    def on_end(self) -> None:
        self.upstream = None
        meter = self.meter
        if meter is None:
            self._end_whole(b"".join(self._parts))
        else:
            self._end_stream(meter)

    def on_cut(self, fault: ProviderFault) -> None:
        upstream, self.upstream = self.upstream, None
        if self.settled:
            self._end_settled()
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
            self._fail(classify(vendor, self.status, body, self._retry_headers))
            return
        reply = read_reply(self.endpoint, body)
        if reply.error:
            self._fail(classify(vendor, 200, body, {}))
            return
        if reply.malformed:
            self._fail(Fault(kind="garbage", message="the reply is not the JSON that this protocol asks for"))
            return
        self.upstream_model = reply.model
        failure = vendor.finish.get(reply.finish_reasons[-1], "") if reply.finish_reasons else ""
        outcome = "ok" if failure in NO_FAILURES else "upstream_error"
        if self.down is None:
            outcome = "client_left"
        fault = failure if outcome == "upstream_error" else ""
        self._settle(outcome, fault=fault, usages=reply.usages, tier=reply.service_tier, text_bytes=reply.text_bytes)
        down = self.down
        if down is None:
            self._finish()
            self.gw.tick.touch()
            return
        headers = self._reply_headers(_JSON)

        def release() -> None:
            if self.down is not None:
                self.down.reply(200, headers, body)
            self._finish()

        self.gw.tick.after_flush(release)

    def _end_stream(self, meter: StreamMeter) -> None:
        rest = meter.close()
        if not self.settled:
            if meter.error or not (meter.frames or meter.finished or meter.done):
                error = meter.error or b'{"error":{"message":"the stream ended before it began"}}'
                fault = classify(self.offer.vendor, 200, error, {})
                if not meter.error:
                    fault = Fault(kind="cut", message="the stream ended before it began")
                self._fail(fault)
                return
            if self.down is None:
                self._settle("client_left")
            else:
                self._settle_stream(meter)
        self._end_settled(rest)

    def _settle_stream(self, meter: StreamMeter) -> None:
        """A finish reason can name a failure after 200 (DeepSeek, Zhipu, OpenRouter); a filter's or a length limit's
        word is the client's to read."""
        failure = self.offer.vendor.finish.get(meter.finish, "")
        failed = failure not in NO_FAILURES
        self._settle("upstream_error" if failed else "ok", fault=failure if failed else "")

    def _end_settled(self, rest: bytes = b"") -> None:
        """The reading is written: let the client have the end of its stream."""
        if self.down is None:
            self._finish()
            self.gw.tick.touch()
            return

        def release() -> None:
            if self.down is not None:
                self.down.end(rest)
            self._finish()

        self.gw.tick.after_flush(release)

    def _fail(self, fault: Fault, *, unsent: bool = False) -> None:
        """The attempt failed: a reading, and an answer in the client's own protocol."""
        refusal = client_view(fault)
        started = self._started
        outcome = {"timeout": "timeout", "cut": "upstream_cut"}.get(fault.kind, "upstream_error")
        answered = self.status != 0 and not started and fault.kind not in ("cut", "timeout", "garbage")
        self._settle(outcome, fault=fault.kind, status=200 if started else refusal.status, unsent=unsent or answered)
        if self.down is None:
            self._finish()
            self.gw.tick.touch()
            return

        def release() -> None:
            if self.down is not None:
                if started:
                    self.down.end(openai_stream_error(refusal.say, refusal.code))
                else:
                    self.gw.answer_refusal(self.down, refusal, self.id, self.offer)
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
        self._parts.clear()
        if self.down is None:
            gw.drains.discard(self)

    def _reply_headers(self, kind: bytes) -> bytes:
        request_id = f"x-request-id: {self.upstream_id}\r\n".encode("latin-1", "replace") if self.upstream_id else b""
        return b"%bx-baseload-call-id: %b\r\nx-baseload-offer: %b\r\n%b%b" % (
            kind, self.id.encode(), self.offer.name_bytes, request_id, date_line(self.first_ns),
        )  # fmt: skip

    def shut(self) -> None:
        """The gateway stops and cannot wait for this call any longer."""
        if not self.settled:
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
        if self.settled:
            return
        meter = self.meter
        self.delivered_frames = meter.frames if meter is not None else 0
        self.delivered_text = meter.text_bytes if meter is not None else 0
        upstream = self.upstream
        if upstream is None:  # the hold is being flushed or a connection is being made: nothing has been sent
            self.gw.pool_of(self.offer).forget(self)
            self._settle("client_left", unsent=True)
            self._finish()
            self.gw.tick.touch()
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
        self._finish()
        self.gw.tick.touch()

    def progress(self, at_ns: int) -> Progress | None:
        """What was relayed since the last time, for the journal; None = nothing new."""
        meter = self.meter
        if meter is None or self.settled or meter.frames == self._progress_frames:
            return None
        self._progress_frames = meter.frames
        return Progress(self.id, 1, at_ns, meter.frames, meter.text_bytes)
