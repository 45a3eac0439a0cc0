"""The gateway's other routes: what it serves, how it is, what a call was.

In:     heads without a body.
Out:    `GET /v1/models`, `/v1/models/{id}` (and below `/v1beta`), `/v1/calls/{id}`, `/healthz`, `/readyz`, `/metrics`,
        `/`; stored responses by `stored.py`.

`GET /v1/calls/{id}` is answered by the control plane through its socket in the home, for the database is there; the
gateway only says whose calls may be seen. It is off the path of any call.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from baseload.errors import Refusal
from baseload.gateway.catalog import Key
from baseload.gateway.control_socket import ask_control
from baseload.gateway.head import Head, text_of
from baseload.gateway.http_text import date_line
from baseload.gateway.routing import PATHS, meant, protocol_of, route_of, unknown_method
from baseload.gateway.stored import PREFIX, StoredResponses
from baseload.wire import listing, refusals
from baseload.wire.listing import Listed

if TYPE_CHECKING:
    from baseload.gateway.core import Gateway
    from baseload.gateway.downstream import Downstream

_MODELS = (b"/v1/models", b"/v1beta/models", b"/v1alpha/models", b"/v1beta1/models")
_OPEN = (b"/", b"/healthz", b"/readyz", b"/metrics")
_READ = (b"GET", b"HEAD")
_TEXT = b"content-type: text/plain; charset=utf-8\r\n"
_METRICS = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
SETTLE_WAIT_S = 3.0  # a call may be asked for before settlement (every 0.2 s) has come to it


class _Waiting:
    """A request that a task answers; a client that leaves ends the task."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def client_left(self) -> None:
        self._task.cancel()


class Routes:
    def __init__(self, gateway: Gateway, control: str) -> None:
        self._gw = gateway
        self._control = control
        self._stored = StoredResponses(gateway)
        self._tasks: set[asyncio.Task[None]] = set()

    def decide(self, connection: Downstream, head: Head) -> Refusal | None:
        """A refusal for what is not served, or for a caller who may not ask; None to serve."""
        gw, path = self._gw, head.path
        if path.startswith(PREFIX) and path not in PATHS:
            return self._stored.decide(head) or gw.recognise(connection, head)
        if route_of(path, head.query) is not None:
            return refusals.MethodNotAllowed(head.method.decode("latin-1"), text_of(path), "POST")
        if head.method == b"POST" and unknown_method(path):
            return refusals.RouteNotFound(text_of(path))
        protected = path.startswith((*_MODELS, b"/v1/calls/"))
        if not protected and path not in _OPEN:
            return refusals.RouteNotFound(text_of(path), meant(path))
        if head.method not in _READ:
            return refusals.MethodNotAllowed(head.method.decode("latin-1"), text_of(path), "GET")
        if head.length:
            return refusals.BadRequest("This route takes no body.", "Send no content-length and no chunks.")
        if protected:
            return gw.recognise(connection, head)
        if path == b"/metrics" and not _is_loopback(connection) and gw.recognise(connection, head) is not None:
            return refusals.InvalidKey()  # names of models and offers are no public matter
        return None

    def serve(self, connection: Downstream, head: Head) -> None:
        gw, path = self._gw, head.path
        if path.startswith(PREFIX):
            self._stored.serve(connection, head)
        elif path == b"/healthz":
            connection.reply(200, _TEXT + date_line(gw.clock_ns()), b"ok\n")
        elif path == b"/readyz":
            self._ready(connection)
        elif path == b"/metrics":
            connection.reply(200, _METRICS + date_line(gw.clock_ns()), gw.metrics.render(self._gauges()))
        elif path == b"/":
            self._root(connection, head)
        elif path.startswith(b"/v1/calls/"):
            self._call(connection, text_of(path[len(b"/v1/calls/") :]))
        else:
            prefix = next(prefix for prefix in _MODELS if path.startswith(prefix))
            self._models(connection, head, text_of(path[len(prefix) :]).removeprefix("/"))

    def _root(self, connection: Downstream, head: Head) -> None:
        url = self._gw.catalog.console_url
        if head.method == b"HEAD" or not url:  # Claude Code probes HEAD /
            connection.reply(200, _TEXT + date_line(self._gw.clock_ns()), b"Baseload gateway. API: /v1\n")
        else:
            where = b"location: " + url.encode("latin-1", "replace") + b"\r\n"
            connection.reply(302, _TEXT + where + date_line(self._gw.clock_ns()), url.encode() + b"\n")

    def _ready(self, connection: Downstream) -> None:
        gw = self._gw
        why = "draining" if gw.draining else "" if gw.journal.accepting else "the journal's disk is full"
        body = {"ready": not why, "why": why, "snapshot": gw.catalog.version, "models": len(gw.catalog.models)}
        gw.answer_json(connection, body, 503 if why else 200)

    def _models(self, connection: Downstream, head: Head, wanted: str) -> None:
        """In the caller's own shape: Gemini's by path or key header, Anthropic's by its version header."""
        gw = self._gw
        key = connection.key
        assert isinstance(key, Key)
        made_s = gw.catalog.made_ns // 1_000_000_000
        rows = [
            Listed(
                id=name, created_s=made_s, owned_by=offers[0].provider.name,
                context_max=max(offer.row.context_max for offer in offers),
                output_max=max(offer.row.output_max for offer in offers),
                endpoints=tuple(sorted({each for offer in offers for each in offer.endpoints})),
            )
            for name, offers in sorted(gw.catalog.named().items())
            if not key.models or name in key.models
        ]  # fmt: skip
        protocol = protocol_of(head.path, head.low)
        if wanted:
            row = next((row for row in rows if row.id == wanted), None)
            if row is None:
                gw.refuse(connection, head, gw.catalog.no_model(wanted, key))
                return
            one = {"messages": listing.anthropic_one, "gemini": listing.gemini_one}.get(protocol, listing.openai_one)
            self._json(connection, one(row))
            return
        query = {name: values[-1] for name, values in parse_qs(head.query.decode("latin-1")).items()}
        try:
            if protocol == "messages":
                body = listing.anthropic_list(
                    rows, query.get("limit"), query.get("after_id", ""), query.get("before_id", "")
                )
            elif protocol == "gemini":
                body = listing.gemini_list(rows, query.get("pageSize"), query.get("pageToken", ""))
            else:
                body = listing.openai_list(rows)
        except Refusal as refusal:
            gw.refuse(connection, head, refusal)
            return
        self._json(connection, body)

    def _json(self, connection: Downstream, body: bytes) -> None:
        connection.reply(200, b"content-type: application/json\r\n" + date_line(self._gw.clock_ns()), body)

    def _call(self, connection: Downstream, call: str) -> None:
        key = connection.key
        assert isinstance(key, Key)
        task = self._gw.loop.create_task(self._ask_call(connection, call, key))
        connection.served = _Waiting(task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_call(self, connection: Downstream, call: str, key: Key) -> None:
        gw = self._gw
        until = gw.loop.time() + SETTLE_WAIT_S
        try:
            if not call.isascii() or not call.replace("_", "").isalnum() or len(call) > 64:
                raise refusals.CallNotFound(call[:64])
            while True:
                status, body = await ask_control(self._control, f"/api/internal/calls/{call}?account={key.account.id}")
                # its hold may be settled before its reading is: wait for that, unless it really runs
                ended = b'"state":"running"' not in body or any(running.id == call for running in gw.calls)
                if status == 200 and (ended or gw.loop.time() > until):
                    connection.reply(200, b"content-type: application/json\r\n" + date_line(gw.clock_ns()), body)
                    return
                if gw.loop.time() > until:
                    raise refusals.CallNotFound(call)
                await asyncio.sleep(0.1)
        except Refusal as refusal:
            gw.refuse(connection, connection.head, refusal)

    def _gauges(self) -> list[tuple[str, str, str, float]]:
        gw = self._gw
        return [
            ("baseload_connections", "gauge", "Open client connections.", len(gw.connections)),
            ("baseload_calls_running", "gauge", "Attempts that have not ended.", len(gw.calls)),
            ("baseload_calls_waiting", "gauge", "Calls that wait for a place.", len(gw.admission.queue)),
            ("baseload_offers_out", "gauge", "Offers out of service, by credential.", gw.dispatcher.out()),
            ("baseload_streams_running", "gauge", "Streams being relayed.", len(gw.streams)),
            ("baseload_drains_running", "gauge", "Replies read on after their client left.", len(gw.drains)),
            ("baseload_snapshot_version", "gauge", "Version of the snapshot in force.", gw.catalog.version),
            ("baseload_journal_accepting", "gauge", "1 = new calls fit into the journal.", int(gw.journal.accepting)),
            ("baseload_lease_asks_total", "counter", "Questions for leases.", gw.bank.asks),
            ("baseload_lease_waits_total", "counter", "Calls that waited for a lease.", gw.bank.waits),
            ("baseload_lease_refusals_total", "counter", "Calls refused for want of money.", gw.bank.refused),
            ("baseload_failovers_total", "counter", "Attempts that took over from a failed one.", gw.metrics.failovers),
            ("baseload_hedges_total", "counter", "Second attempts because the first was late.", gw.metrics.hedges),
            (
                "baseload_snapshot_age_seconds",
                "gauge",
                "Since the snapshot in force was made.",
                (gw.clock_ns() - gw.catalog.made_ns) / 1e9,
            ),
            ("baseload_journal_open_holds", "gauge", "Holds without a reading.", gw.journal.open_holds),
        ]


def _is_loopback(connection: Downstream) -> bool:
    peer = connection.transport.get_extra_info("peername")
    return bool(peer) and ipaddress.ip_address(peer[0]).is_loopback
