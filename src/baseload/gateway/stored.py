"""Responses that a provider keeps: read, deleted, cancelled, listed, by whoever's account made them.

In:     `GET`, `DELETE /v1/responses/{id}`, `POST .../{id}/cancel`, `GET .../{id}/input_items`.
Out:    the provider's answer with the ids of our own. The id itself says which provider and account
        (`wire.responses.pin`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from baseload.errors import ProviderFault, Refusal
from baseload.gateway.catalog import Key
from baseload.gateway.errand import Errand
from baseload.gateway.head import text_of, value_of
from baseload.gateway.http_text import date_line
from baseload.providers.faults import Fault, classify, client_view
from baseload.wire import refusals
from baseload.wire.responses.pin import Pinner, unpin

if TYPE_CHECKING:
    from baseload.gateway.catalog import Offer
    from baseload.gateway.core import Gateway
    from baseload.gateway.downstream import Downstream
    from baseload.gateway.head import Head

PREFIX = b"/v1/responses/"
_PATH = re.compile(r"/v1/responses/([^/]{1,1024})(/cancel|/input_items)?\Z")
_METHODS = {"": ("GET", "DELETE"), "/cancel": ("POST",), "/input_items": ("GET",)}
_QUERY = re.compile(r"(?:include(?:%5B%5D|\[\])?|limit|order|after|before|starting_after)=[A-Za-z0-9_.%,-]*\Z")


class StoredResponses:
    def __init__(self, gateway: Gateway) -> None:
        self._gw = gateway

    def decide(self, head: Head) -> Refusal | None:
        found = _PATH.match(text_of(head.path))
        if found is None:
            return refusals.RouteNotFound(text_of(head.path))
        allowed, method = _METHODS[found[2] or ""], head.method.decode("latin-1")
        if method not in allowed:
            return refusals.MethodNotAllowed(method, text_of(head.path), " or ".join(allowed))
        return None

    def serve(self, connection: Downstream, head: Head) -> None:
        gw, key = self._gw, connection.key
        assert isinstance(key, Key)
        found = _PATH.match(text_of(head.path))
        assert found is not None
        response_id, tail = found[1], found[2] or ""
        place = unpin(response_id, key.account.id, gw.catalog.pin_secret)
        offer = self._offer(place[1]) if place is not None else None
        if place is None or offer is None:
            gw.refuse(connection, head, refusals.ResponseNotFound(response_id))
            return
        if b"stream=true" in head.query:
            say, fix = "A stored response is not streamed again by this gateway.", "Leave out stream."
            gw.refuse(connection, head, refusals.BadRequest(say, fix))
            return
        native, provider = place
        query = "&".join(item for item in head.query.decode("latin-1").split("&") if _QUERY.match(item))
        way = offer.ways["responses"]
        target = f"/{quote(native, safe='')}{tail}{'?' + query if query else ''}"
        pinner = Pinner(provider, key.account.id, gw.catalog.pin_secret)

        def ready() -> None:
            request = way.other(head.method.decode("latin-1"), target, gw.clock_ns())
            errand = Errand(gw.pool_of(offer), gw.wheel, request, b"", done, failed)
            connection.served = errand
            errand.start()

        def done(status: int, reply_head: bytes, low: bytes, reply: bytes) -> None:
            if status == 200:
                body = reply if tail == "/input_items" else pinner.whole(reply)
                connection.reply(200, b"content-type: application/json\r\n" + date_line(gw.clock_ns()), body)
            elif status == 404:
                gw.refuse(connection, head, refusals.ResponseNotFound(response_id))
            else:
                said = {
                    name: value_of(reply_head, low, name.encode()).decode("latin-1") for name in offer.fault_headers
                }
                gw.refuse(connection, head, client_view(classify(offer.vendor, status, reply, said)))

        def failed(fault: ProviderFault) -> None:
            gw.refuse(connection, head, client_view(Fault(kind=fault.fault, message=fault.say)))

        token = way.token
        if token is not None and not token.fresh(gw.clock_ns()):
            gw.tokens.want(token, offer.provider, ready, failed)
        else:
            ready()

    def _offer(self, provider: int) -> Offer | None:
        """Any offer of the provider with this door: all of them go to the same account there."""
        for offers in self._gw.catalog.models.values():
            for offer in offers:
                if offer.provider.id == provider and "responses" in offer.ways and not offer.trouble:
                    return offer
        return None
