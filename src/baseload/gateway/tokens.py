"""Access tokens that expire: fetched when the first call needs one, and by one call only.

In:     a `GoogleToken` that is not fresh, and who waits for it. Out: `ready()` or `failed(fault)` for each of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from baseload.errors import ProviderFault, Refusal
from baseload.gateway.doors import GoogleToken
from baseload.gateway.errand import Errand
from baseload.gateway.snapshot import ProviderRow

if TYPE_CHECKING:
    from baseload.gateway.core import Gateway

log = logging.getLogger("baseload.gateway")

TELL_AGAIN_S = 600.0

Waiter = tuple[Callable[[], None], Callable[[ProviderFault], None]]


class Tokens:
    def __init__(self, gateway: Gateway) -> None:
        self._gw = gateway
        self._waiting: dict[GoogleToken, list[Waiter]] = {}
        self._told: WeakKeyDictionary[GoogleToken, float] = WeakKeyDictionary()

    def want(
        self, token: GoogleToken, row: ProviderRow, ready: Callable[[], None], failed: Callable[[ProviderFault], None]
    ) -> None:
        """`row`: the provider whose limits and trust root hold for the token server too."""
        waiting = self._waiting.get(token)
        if waiting is not None:
            waiting.append((ready, failed))
            return
        self._waiting[token] = [(ready, failed)]
        try:
            url, body = token.request(self._gw.clock_ns())
            parts = urlsplit(url)
            head = (
                f"POST {parts.path or '/'} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
                f"content-type: application/x-www-form-urlencoded\r\naccept: application/json\r\n"
                f"accept-encoding: identity\r\nuser-agent: baseload\r\ncontent-length: {len(body)}\r\n\r\n"
            ).encode("latin-1")
            pool = self._gw.pool_at(f"{parts.scheme}://{parts.netloc}", row)
        except (Refusal, OSError, ValueError) as error:
            self._answer(token, ProviderFault("bad_key", f"no token can be asked for: {error}"))
            return
        Errand(
            pool, self._gw.wheel, head, body,
            lambda status, head, low, body: self._took(token, status, body),
            lambda fault: self._answer(token, fault),
        ).start()  # fmt: skip

    def _took(self, token: GoogleToken, status: int, body: bytes) -> None:
        try:
            token.take(body, self._gw.clock_ns())
        except ProviderFault as fault:
            now = self._gw.wheel.now
            if now >= self._told.get(token, 0.0):  # each call asks again: a client that repeats must not fill the log
                self._told[token] = now + TELL_AGAIN_S
                log.warning("no token for %s (status %d): %s", token.account.client_email, status, fault.say)
            self._answer(token, fault)
            return
        self._told.pop(token, None)
        self._answer(token, None)

    def _answer(self, token: GoogleToken, fault: ProviderFault | None) -> None:
        for ready, failed in self._waiting.pop(token, []):
            if fault is None:
                ready()
            else:
                failed(fault)
