"""How much work owned engines have, as they say themselves: whoever else uses them is in it, too.

In:     an engine's metrics page (`Vendor.load`), asked every POLL_S while calls run there, else every IDLE_S.
Out:    `Capacity.heard_load` of its offers: running and waiting requests.

An engine that has no such page is asked again after ABSENT_S; until then only our own attempts are known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from baseload.errors import ProviderFault
from baseload.gateway.errand import Errand

if TYPE_CHECKING:
    from baseload.gateway.catalog import Catalog, Offer
    from baseload.gateway.core import Gateway

POLL_S, IDLE_S, ABSENT_S = 0.5, 5.0, 60.0
PAGE_MAX = 1024 * 1024
_LINE = re.compile(
    rb"^([a-zA-Z_:][a-zA-Z0-9_:]{0,200})(?:\{[^\n]*\})?[ \t]+([0-9]{1,15}(?:\.[0-9]{1,9})?)[ \t]*$", re.M
)


def read_page(page: bytes, running: str, waiting: str) -> tuple[int, int] | None:
    """(running, waiting) requests of a page in Prometheus' text format, over all its models; None = it says none."""
    sums: dict[bytes, float] = {}
    wanted = (running.encode(), waiting.encode())
    for name, value in _LINE.findall(page[:PAGE_MAX]):
        if name in wanted:
            sums[name] = sums.get(name, 0.0) + float(value)
    if wanted[1] not in sums:
        return None
    return int(sums.get(wanted[0], 0.0)), int(sums[wanted[1]])


class Loads:
    def __init__(self, gateway: Gateway) -> None:
        self._gw = gateway
        self._next: dict[int, float] = {}  # provider -> when it is asked again
        self._asked: set[int] = set()
        self._of: Catalog | None = None
        self._engines: dict[int, list[Offer]] = {}  # by provider, of that catalog
        gateway.wheel.every_step.append(self._step)

    def _step(self, now: float) -> None:
        if self._gw.draining:
            return
        if self._gw.catalog is not self._of:
            self._of = self._gw.catalog
            self._engines = {}
            for offers in self._of.models.values():
                for offer in offers:
                    if not offer.trouble and offer.vendor.load is not None:
                        self._engines.setdefault(offer.provider.id, []).append(offer)
        for provider, offers in self._engines.items():
            if provider not in self._asked and now >= self._next.get(provider, 0.0):
                self._ask(provider, offers, now)

    def _ask(self, provider: int, offers: list[Offer], now: float) -> None:
        gw, offer = self._gw, offers[0]
        busy = any(one.health.in_flight for one in offers)
        self._next[provider] = now + (POLL_S if busy else IDLE_S)
        facts = offer.vendor.load
        assert facts is not None
        parts = urlsplit(offer.provider.base_url)
        path = facts.path[1:] if facts.path.startswith("//") else parts.path.rstrip("/") + facts.path
        way = next(iter(offer.ways.values()))
        auth = way.access.lines("GET", parts.netloc, path, b"", gw.clock_ns()).decode("latin-1")
        wants = "accept: text/plain\r\naccept-encoding: identity\r\n\r\n"
        head = f"GET {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n{auth}{wants}"

        def done(status: int, reply_head: bytes, low: bytes, page: bytes) -> None:
            self._asked.discard(provider)
            found = read_page(page, facts.running, facts.waiting) if status == 200 else None
            if found is None:
                self._next[provider] = gw.wheel.now + ABSENT_S
                return
            at_ns = gw.clock_ns()
            for one in offers:
                one.capacity.heard_load(at_ns, *found)

        def failed(fault: ProviderFault) -> None:
            self._asked.discard(provider)
            self._next[provider] = gw.wheel.now + IDLE_S

        self._asked.add(provider)
        Errand(gw.pool_of(offer), gw.wheel, head.encode("latin-1"), b"", done, failed).start()
