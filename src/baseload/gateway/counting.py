"""How many tokens a request has, before it is sent: `count_tokens`, `:countTokens`, `/v1/responses/input_tokens`.

In:     an understood request. Out: the provider's own count where it counts in the client's protocol, else an estimate
        from the request's texts, marked `x-baseload-count: estimated`.
Nothing is generated, held or billed: no vendor charges for counting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from baseload.errors import ProviderFault
from baseload.gateway.asked import Asked
from baseload.gateway.doors import Door
from baseload.gateway.errand import Errand
from baseload.gateway.head import value_of
from baseload.gateway.http_text import date_line
from baseload.gateway.passage import anthropic_headers, upstream_query
from baseload.providers.faults import Fault, classify, client_view
from baseload.wire import messages, responses
from baseload.wire.estimate import tokens_of
from baseload.wire.gemini import count
from baseload.wire.protocols import CLIENTS
from baseload.wire.raw import FAILED

if TYPE_CHECKING:
    from baseload.gateway.catalog import Offer
    from baseload.gateway.core import Gateway
    from baseload.gateway.downstream import Downstream

_JSON = b"content-type: application/json\r\n"

_ANSWERS: dict[str, Callable[[int], bytes]] = {
    "messages": lambda tokens: b'{"input_tokens":%d}' % tokens,
    "responses": lambda tokens: b'{"object":"response.input_tokens","input_tokens":%d}' % tokens,
    "gemini": count.reply,
}


class _Counted(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    totalTokens: int | None = None


_decode = msgspec.json.Decoder(_Counted).decode


def _is_count(reply: bytes) -> bool:
    """A server that answers every path by generating must not do so here: nobody would pay for it."""
    try:
        found = _decode(reply)
    except FAILED:
        return False
    return found.input_tokens is not None or found.totalTokens is not None


class Counting:
    def __init__(self, gateway: Gateway) -> None:
        self._gw = gateway

    def serve(self, connection: Downstream, asked: Asked) -> None:
        """Raises Refusal as a call of the same model would."""
        found = self._gw.dispatcher.open(asked, connection.accepted_ns)
        decision = found.decide()
        if decision is None or decision.offer is None:
            raise found.none_eligible()
        offer = decision.offer
        protocol = asked.route.endpoint
        way = offer.ways.get(f"{protocol}_count") if offer.doors[protocol] == protocol else None
        if way is None:
            self._estimate(connection, asked, offer)
        else:
            self._ask(connection, asked, offer, way)

    def _estimate(self, connection: Downstream, asked: Asked, offer: Offer) -> None:
        protocol = asked.route.endpoint
        read = count.read if protocol == "gemini" else CLIENTS[protocol].request_in
        tokens = tokens_of(read(asked.members), offer.bytes_per_token)
        head = _JSON + b"x-baseload-count: estimated\r\n" + date_line(self._gw.clock_ns())
        connection.reply(200, head, _ANSWERS[protocol](tokens))

    def _ask(self, connection: Downstream, asked: Asked, offer: Offer, way: Door) -> None:
        gw, protocol, model = self._gw, asked.route.endpoint, offer.upstream_model
        origin = way.target.origin
        if protocol == "messages":
            body = messages.patch(asked.members, asked.ask, model, origin)
        elif protocol == "responses":
            previous = asked.pinned.native if asked.pinned is not None else None
            body = responses.patch(asked.members, asked.ask, model, origin, previous)
        else:
            body = count.patch(asked.members, asked.ask, model, origin)
        headers = anthropic_headers(asked.head) if protocol == "messages" else None
        query = upstream_query(asked.head.query) if protocol == "messages" else ""

        def ready() -> None:
            head = way.head(False, body, gw.clock_ns(), headers=headers, query=query)
            head = b"%b%d\r\n\r\n" % (head, len(body))
            errand = Errand(gw.pool_of(offer), gw.wheel, head, body, done, failed)
            connection.served = errand
            errand.start()

        def done(status: int, head: bytes, low: bytes, reply: bytes) -> None:
            if status == 200:
                if _is_count(reply):
                    connection.reply(200, _JSON + date_line(gw.clock_ns()), reply)
                else:
                    refuse(Fault(kind="garbage", message="the reply to a count holds no number of tokens"))
                return
            if status == 401 and way.token is not None:
                way.token.forget()  # revoked before its time
            said = {name: value_of(head, low, name.encode()).decode("latin-1") for name in offer.fault_headers}
            refuse(classify(offer.vendor, status, reply, said))

        def failed(fault: ProviderFault) -> None:
            refuse(Fault(kind=fault.fault, message=fault.say))

        def refuse(fault: Fault) -> None:
            gw.refuse(connection, connection.head, client_view(fault), model=asked.ask.model)

        token = way.token
        if token is not None and not token.fresh(gw.clock_ns()):
            gw.tokens.want(token, offer.provider, ready, failed)
        else:
            ready()
