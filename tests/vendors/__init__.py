"""Simulated vendors: servers on 127.0.0.1 that speak vendors' documented dialects over real sockets and fail on demand.

    with start("deepseek", failure="rate_limited") as vendor:     # every reply fails so
        call(vendor.base_url)

    with start("openai") as vendor:
        vendor.script(Fault(cut_at=300), None, "no_money")    # one cut, one healthy, one 429 as documented
        call(vendor.base_url)
        vendor.requests[0].json["stream_options"]

A request may choose its own fault: header `x-simulate: NAME`, or the model `fault-NAME` (names: `faults.NAMED`, or a
class of `failures.py`). What a healthy reply says: `answers.answer(body)` and `answers.usage(dialect, answer)`.
Server options of `start`: `tls`, `key` (other bearer tokens get 401), `keepalive_requests` (closes after so many).
"""

from __future__ import annotations

from typing import Any

from tests.vendors.answers import Answer, answer, usage
from tests.vendors.dialects import DIALECTS
from tests.vendors.failures import failure, kinds
from tests.vendors.faults import NAMED, Fault
from tests.vendors.simulator import Request, Simulator, refusing_url

__all__ = [
    "DIALECTS", "NAMED", "Answer", "Fault", "Request", "Simulator", "answer", "failure", "kinds", "refusing_url",
    "start", "usage",
]  # fmt: skip


def start(
    dialect: str = "openai", *, tls: bool = False, key: str = "", keepalive_requests: int = 0, **faults: Any
) -> Simulator:
    """A running simulator, a context manager. `faults` are fields of `Fault` and hold for every reply not scripted."""
    return Simulator(DIALECTS[dialect], tls=tls, key=key, keepalive_requests=keepalive_requests, always=Fault(**faults))
