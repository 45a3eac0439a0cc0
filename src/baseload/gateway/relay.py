"""The relay of one reply: the provider's bytes on one side, the client's on the other, facts for the reading between.

In:     the reply's head, its pieces, its end or its cut, as `upstream` tells them.
Out:    bytes to the client, frame by frame as they become whole, in its own protocol (`passage`); one end of the call.
Holds:  one unfinished frame; the opening of a stream (HELD_MAX); a whole reply (Limits.reply_max).

A stream's status goes out with its first generated text and not before: role chunks, `message_start`, pings and
comments wait, for a provider that fails then is an HTTP error with a status of its own in every protocol. They wait
for Limits.commit_s at most, so that nobody sits before a silent connection.
"""

from __future__ import annotations

from baseload.errors import ProviderFault
from baseload.gateway.call import Call
from baseload.gateway.closing import Closing
from baseload.gateway.downstream import Downstream
from baseload.gateway.head import value_of
from baseload.gateway.paying import GROW, Purchase
from baseload.gateway.reckon import count_output
from baseload.gateway.routing import GENERATION
from baseload.gateway.shapers import Gathered, as_stream
from baseload.providers.faults import Fault, classify
from baseload.wire import media, refusals
from baseload.wire.canon.carry import View
from baseload.wire.envelope import status_of
from baseload.wire.metering import Facts, Meter
from baseload.wire.protocols import SSE
from baseload.wire.translation import Translation

_JSON = b"content-type: application/json\r\n"
_SSE = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
NO_FAILURES = ("", "filtered", "too_long")  # finish reasons of these classes are an answer that the client reads
TRAIL_S = 1.0  # how long after [DONE] a provider may take to end its reply and so keep its connection
HELD_MAX = 256 * 1024  # a Responses stream opens with instructions and tools, twice
# A comment breaks google-genai's reader, which takes every line for JSON: a blank line does not.
_BEATS = {"messages": b'event: ping\ndata: {"type": "ping"}\n\n', "gemini": b"\n"}
# What clients wait for as the end, where a provider leaves it out or is cut off between it and the finish reason.
_CLOSINGS = {
    "messages": b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "chat": b"data: [DONE]\n\n",
    "completions": b"data: [DONE]\n\n",
}


class Relay(Call):
    """A call, with what becomes of its provider's reply."""

    _gathered: Gathered | None = None  # a stream came that nobody asked for
    _closing: Closing | None = None  # how a stream whose account may run out of money would end

    def on_reply_head(self, status: int, head: bytes, low: bytes) -> None:
        # A byte of the reply has come: this request will not be sent again, and a stream may be silent for long. What
        # the client asked stays until its reply begins, for another attempt may be needed.
        self._body = self.passage.body = b""
        self.first_ns = self.gw.clock_ns()
        for name in self.offer.id_headers:
            found = value_of(head, low, name)
            if found:
                self.upstream_id = found[:200].decode("latin-1")
                break
        self.status = status
        if self.offer.limit_headers and b"ratelimit" in low:
            names = self.offer.limit_headers
            said = {name: value_of(head, low, name.encode()).decode("latin-1") for name in names}
            self.gw.dispatcher.heard(self.offer, said, self.first_ns)
        if status == 200:
            kind = self.kind
            if b"\r\ncontent-type: application/json" in low and not kind.medium:
                return  # how nearly every reply comes that is no stream
            self.content_type = value_of(head, low, b"content-type")
            if kind.medium:
                self.meter = media.meter_of(kind.medium, self.content_type.decode("latin-1"), self.ask)
            elif self.content_type.lower().startswith(kind.stream_type):
                if self.ask.stream:
                    self.meter = kind.meter(self.passage.shaper is None and not self.ask.wants_usage)
                elif self.endpoint in GENERATION:
                    self.meter = kind.meter(False)
                    door = self.offer.ways[self.passage.door]
                    self._gathered = Gathered(self.endpoint, door.target, self._view(door.target.origin))
        else:
            names = self.offer.fault_headers
            self._fault_headers = {name: value_of(head, low, name.encode()).decode("latin-1") for name in names}

    # -- pieces

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
        before = (meter.frames, meter.text_bytes)
        try:
            out = meter.feed(piece)
        except ProviderFault as fault:
            self._abandon(Fault(kind=fault.fault, message=fault.say))
            return
        if down is None:
            return
        if meter.error:
            self._let_out()
            self._break_off(down, meter, out)
            return
        if self.purchase is not None and not self._is_paid(self.purchase, meter, out, before):
            return
        self._forward(down, meter, out)

    def _forward(self, down: Downstream, meter: Meter, out: bytes) -> None:
        """Whole frames go on to the client."""
        gw = self.gw
        if self._gathered is not None:
            self._gather(self._gathered, meter, out)
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
            if not meter.frames:
                if meter.done and self._failure(meter):  # a failure in the disguise of an empty answer
                    self._abandon(Fault(kind=self._failure(meter)))
                    return
                if not meter.done and self._waits(out):
                    return
            out = self._start(down, out)
        if meter.done:
            # the client may stop reading at [DONE]: the reading comes first
            self._settle_stream(meter)
            self._trail()
            self._conclude(lambda client: client.end(out))
            return
        if self._closing is not None:
            self._closing.see(out)
        down.chunk(out)
        if not self._progress_frames and meter.frames:
            # The provider has read the input and text reaches the client: a crash from here on can be billed.
            begun = self.progress(self.first_ns)
            if begun is not None:
                gw.journal.append(begun)
                gw.tick.touch()

    # -- money: a stream goes on as long as it is paid for

    def _is_paid(self, purchase: Purchase, meter: Meter, out: bytes, before: tuple[int, int]) -> bool:
        """False: these frames wait for money, or the stream has been ended for want of it."""
        if self.held_out is not None:
            self.held_out.append(out)
            return False
        if not self.ask.stream or not self.kind.generates or meter.done or self._gathered is not None:
            return True
        if self._closing is None and not isinstance(self.passage.shaper, Translation):
            door = self.offer.ways[self.passage.door]
            self._closing = Closing(self.endpoint, self.ask.n, door.target, self._view(door.target.origin))
        if not meter.frames or purchase.affords(self._output(meter)):
            self.gw.bank.nudge()
            return True
        self.held_out, self.held_from = [out], before
        if self.upstream is not None:
            self.upstream.pause()
        need = max(purchase.estimate(self._output(meter) + GROW) - purchase.taken.hold, 1)
        self.gw.bank.feed(purchase.taken.pockets(), need, self._fed)
        return False

    def _output(self, meter: Meter) -> int:
        return count_output(self.offer, meter.frames, meter.text_bytes)[0]

    def _fed(self) -> None:
        """The control plane has answered, or did not in time."""
        down, meter, purchase = self.down, self.meter, self.purchase
        if self.settled or self.held_out is None or down is None or meter is None or purchase is None:
            return
        if not purchase.affords(self._output(meter)):
            self._stop_unpaid(down, purchase)
            return
        if self.upstream is not None:
            self.upstream.resume()
        self._let_out()

    def _let_out(self) -> None:
        """What waited goes on."""
        held, self.held_out = self.held_out, None
        if held and self.down is not None and self.meter is not None and not self.settled:
            self._forward(self.down, self.meter, b"".join(held))

    def _stop_unpaid(self, down: Downstream, purchase: Purchase) -> None:
        """No money is left: the client has what was paid for, and a proper end in its protocol."""
        upstream, self.upstream = self.upstream, None
        self.held_out = None
        if upstream is not None:
            upstream.detach()
        self.delivered_frames, self.delivered_text = self.held_from
        self.flags = (*self.flags, "out_of_money")
        if not self._started:
            names = ", ".join(pocket.row.name for pocket in purchase.taken.pockets())
            refusal = refusals.BudgetShort(f"{names[:1].upper()}{names[1:]} is used up.")
            if self.rival is not None:
                self.course.left_to(self.rival)(down)
                self._settle("stopped", status=0)
                self.down = None
                self._finish()
                self.gw.tick.touch()
                return
            self._settle("stopped", status=status_of(self.asked.route.protocol, refusal))
            self._conclude(lambda client: self.gw.answer_refusal(client, refusal, self.id, self.offer))
            return
        given = count_output(self.offer, self.delivered_frames, self.delivered_text)[0]
        asked = int(self.request_bytes / self.offer.bytes_per_token) + 1
        shaper = self.passage.shaper
        if isinstance(shaper, Translation):
            last = shaper.stop({"input_uncached": asked, "output_total": given})
        else:
            assert self._closing is not None
            last = self._closing.end(asked, given)
            if shaper is not None:
                last = shaper.frames(last) + shaper.end()
        self._settle("stopped")
        self._conclude(lambda client: client.end(last))

    def _trail(self) -> None:
        upstream = self.upstream
        if upstream is not None:
            upstream.resume()
            upstream.deadline = self.gw.wheel.now + TRAIL_S

    def _waits(self, out: bytes) -> bool:
        """Keeps what comes before the first text (see above); False = it is too much or has waited for too long."""
        if self.kind.medium or self._parts_size + len(out) > HELD_MAX or self._has_waited():
            return False
        if out:
            self._parts.append(out)
            self._parts_size += len(out)
        self.gw.streams.add(self)  # `beat` looks after it
        return True

    def _has_waited(self) -> bool:
        return self.gw.clock_ns() - self.sent_ns >= self.gw.limits.commit_s * 1e9

    def _start(self, down: Downstream, out: bytes) -> bytes:
        """Sends the status; gives what goes out after it."""
        if self.rival is not None:
            self.course.won(self)
        self._started = True
        self.text_ns = self.gw.clock_ns()
        self.asked.members = None
        self.gw.streams.add(self)
        down.begin(200, self._reply_headers(self._own_type(_JSON if self.asked.route.array else _SSE)))
        if not self._parts:
            return out
        held = b"".join([*self._parts, out])
        self._parts.clear()
        self._parts_size = 0
        return held

    def _own_type(self, usual: bytes) -> bytes:
        """Sound, subtitles and the like keep the provider's content type."""
        if not self.kind.medium or not self.content_type:
            return usual
        return b"content-type: %b\r\n" % self.content_type

    def beat(self, now: float) -> None:
        """Keeps a silent stream's connection alive: proxies between here and the client know no patience."""
        down = self.down
        if down is None or self.settled or (self.kind.medium and not self.content_type.startswith(SSE)):
            return
        if not self._started:
            if self._has_waited():
                down.chunk(self._start(down, b""))
        elif self.reply_bytes != self._beat_bytes:
            self._beat_bytes, self._beat_at = self.reply_bytes, now
        elif now - self._beat_at >= self.gw.limits.beat_s:
            self._beat_at = now
            down.beat(_BEATS.get(self.asked.route.protocol, b": keep-alive\n\n"))

    def _break_off(self, down: Downstream, meter: Meter, out: bytes) -> None:
        """The provider reports a failure inside its stream: the text before it is the client's, its words are not.

        Before any text it is an HTTP error, for no status has been sent yet.
        """
        shaper = self.passage.shaper
        if self.passage.door == self.endpoint:  # a translation has no words for a provider's errors
            out = _before(out, meter.error)
        if self._gathered is not None:
            out = b""
        elif shaper is not None:
            try:
                out = shaper.frames(out)
            except ProviderFault:
                out = b""
        if out and (self._started or meter.frames):
            down.chunk(out if self._started else self._start(down, out))
        self._abandon(classify(self.offer.vendor, 200, b'{"error":%b}' % meter.error, {}))

    # -- ends

    def on_end(self) -> None:
        self._let_out()
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
        self._let_out()
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

    def _end_whole(self, body: bytes) -> None:
        vendor = self.offer.vendor
        if self.status != 200:
            token = self.passage.way.token
            if self.status == 401 and token is not None:
                token.forget()  # revoked before its time: the next call asks for another
            self._fail(classify(vendor, self.status, body, self._fault_headers))
            return
        kind = self.kind
        reply = self._facts(body) if kind.medium else kind.facts(body)
        if reply.error:
            self._fail(classify(vendor, 200, body, {}))
            return
        if reply.malformed:
            self._fail(Fault(kind="garbage", message="the reply is not the JSON that this protocol asks for"))
            return
        self.upstream_model = reply.model
        failure = vendor.finish.get(reply.finish_reasons[-1], "") if reply.finish_reasons else ""
        if failure not in NO_FAILURES and not reply.text_bytes:  # a failure in the disguise of an empty answer
            self._fail(classify(vendor, 200, body, {}))
            return
        outcome = "ok" if failure in NO_FAILURES else "upstream_error"
        content_type = self._own_type(_JSON) if kind.medium else _JSON
        if self.down is None:
            outcome = "client_left"
        elif self.ask.stream or self.passage.shaper is not None:
            try:
                body, content_type = self._shaped(body, content_type)
            except ProviderFault as broken:
                self._fail(Fault(kind=broken.fault, message=broken.say))
                return
        if self.rival is not None:
            self.course.won(self)
        fault = failure if outcome == "upstream_error" else ""
        self._settle(outcome, fault=fault, usages=reply.usages, tier=reply.service_tier, text_bytes=reply.text_bytes)
        headers = self._reply_headers(content_type)
        self._conclude(lambda client: client.reply(200, headers, body))

    def _shaped(self, body: bytes, content_type: bytes) -> tuple[bytes, bytes]:
        """(the client's reply for a whole one of the provider, its content type)."""
        shaper, array = self.passage.shaper, self.asked.route.array
        if not self.ask.stream:
            return (body if shaper is None else shaper.whole(body)), content_type
        if self.passage.door == self.endpoint and self.endpoint in GENERATION and not array:
            # the provider does not stream although it was asked to
            target = self.offer.ways[self.passage.door].target
            body = as_stream(self.endpoint, target, self._view(target.origin), body)
            return (body if shaper is None else shaper.frames(body)), _SSE
        if shaper is None:
            return body, content_type
        return shaper.whole_as_stream(body), _JSON if array else _SSE

    def _view(self, origin: str) -> View:
        return View(
            model=self.ask.model, id=self.id, created_s=self.first_ns // 1_000_000_000,
            origin="" if self.passage.door == self.endpoint else origin, wants_usage=self.ask.wants_usage,
        )  # fmt: skip

    def _facts(self, body: bytes) -> Facts:
        medium = self.kind.medium
        facts: Facts = media.ENDPOINTS[medium].read_reply(body, self.content_type.decode("latin-1"))
        self.units = facts.units
        return facts

    def _end_stream(self, meter: Meter) -> None:
        broken = meter.malformed
        rest = meter.close()
        if meter.malformed > broken:
            rest = b""  # half a frame: no reader could use it
        if meter.error:
            self._fail(classify(self.offer.vendor, 200, b'{"error":%b}' % meter.error, {}))
        elif not (meter.finished or meter.done):  # well framed, but neither a finish reason nor [DONE] came
            self._fail(Fault(kind="cut", message="the stream ended before it was complete"))
        elif self.down is None:
            self._settle("client_left")
            self._conclude(None)
        elif not (self._started or meter.frames) and self._failure(meter):
            self._fail(Fault(kind=self._failure(meter)))
        elif self._gathered is not None:
            self._gather(self._gathered, meter, rest, over=True)
        else:
            shaper = self.passage.shaper
            if shaper is None:
                if not meter.done and self.endpoint in _CLOSINGS:
                    rest += (b"\n\n" if rest else b"") + _CLOSINGS[self.endpoint]
            else:
                try:
                    rest = shaper.frames(rest) + shaper.end()
                except ProviderFault as fault:
                    self._fail(Fault(kind=fault.fault, message=fault.say))
                    return
            if not self._started:
                rest = self._start(self.down, rest)
            self._settle_stream(meter)
            self._conclude(lambda client: client.end(rest))

    def _gather(self, gathered: Gathered, meter: Meter, out: bytes, *, over: bool = False) -> None:
        """A stream that nobody asked for becomes the whole reply that was."""
        try:
            gathered.put(out)
            if not (over or meter.done):
                return
            body = gathered.reply()
        except ProviderFault as fault:
            self._abandon(Fault(kind=fault.fault, message=fault.say))
            return
        if self.passage.shaper is not None and self.passage.door == self.endpoint:
            body = self.passage.shaper.whole(body)
        self._settle_stream(meter)
        self._trail()
        headers = self._reply_headers(_JSON)
        self._conclude(lambda client: client.reply(200, headers, body))

    def _settle_stream(self, meter: Meter) -> None:
        failure = self._failure(meter)
        self._settle("upstream_error" if failure else "ok", fault=failure)

    def _failure(self, meter: Meter) -> str:
        """A finish reason can name a failure after 200 (DeepSeek, Zhipu, OpenRouter); a filter's or a length limit's
        word is the client's to read."""
        failure = self.offer.vendor.finish.get(meter.finish, "")
        return "" if failure in NO_FAILURES else failure


def _before(frames: bytes, error: bytes) -> bytes:
    """The whole frames before the one that holds an error."""
    at = frames.rfind(error[:256])
    ends = [frames.rfind(blank, 0, max(at, 0)) + len(blank) for blank in (b"\n\n", b"\r\n\r\n") if blank in frames[:at]]
    return frames[: max(ends)] if at >= 0 and ends else b""
