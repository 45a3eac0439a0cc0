"""Simulated vendors: servers on 127.0.0.1 that speak vendors' documented dialects over real sockets and fail on demand.

    with start("deepseek", failure="rate_limited") as vendor:     # every reply fails so
        call(vendor.base_url)

    with start("openai") as vendor:
        vendor.script(Fault(cut_at=300), None, "no_money")    # one cut, one healthy, one 429 as documented
        call(vendor.base_url)
        vendor.requests[0].json["stream_options"]

A request may choose its own fault: header `x-simulate: NAME`, or the model `fault-NAME` (names: `faults.NAMED`, or a
class of `failures.py`). What a healthy reply says: `answers.py`; for a test: `answer(body, endpoint)`, and the usage it
reports: `usage(dialect, answer)` (chat), `counts.messages(answer)` and so on. Which endpoints a vendor has:
`dialects.py`; what it refuses: the `check` functions of `speak/`.

    DIALECTS      vendors that speak chat (most have more doors)
    OTHERS        anthropic, gemini, vertex, bedrock, bedrock_mantle, azure_deployments

Options of `start`: `tls`; `key` (other keys are refused; where a vendor looks for it: `keys.py`); `keepalive_requests`
(closes after so many); `reasoning_back` (chat: 400 where an assistant turn with tool calls came without its
reasoning_content); `token_life_s` (Vertex); `models` (of the list); and every field of `Fault`.
"""

from __future__ import annotations

from typing import Any

from tests.vendors.answers import Answer, answer
from tests.vendors.counts import usage
from tests.vendors.dialects import DIALECTS, OTHERS, VENDORS
from tests.vendors.failures import failure, kinds
from tests.vendors.faults import NAMED, Fault
from tests.vendors.keys import AWS_ID, AWS_SECRET
from tests.vendors.reply import Request
from tests.vendors.simulator import Simulator, refusing_url
from tests.vendors.visit import State

__all__ = [
    "AWS_ID", "AWS_SECRET", "DIALECTS", "NAMED", "OTHERS", "VENDORS", "Answer", "Fault", "Request", "Simulator",
    "answer", "failure", "kinds", "refusing_url", "start", "usage",
]  # fmt: skip


def start(
    dialect: str = "openai",
    *,
    tls: bool = False,
    key: str = "",
    keepalive_requests: int = 0,
    reasoning_back: bool = False,
    token_life_s: float = 3600.0,
    models: tuple[str, ...] = ("m",),
    **faults: Any,
) -> Simulator:
    """A running simulator, a context manager. `faults` are fields of `Fault` and hold for every reply not scripted."""
    state = State(reasoning_back=reasoning_back, token_life_s=token_life_s, models=models)
    always = Fault(**faults)
    return Simulator(
        VENDORS[dialect], tls=tls, key=key, keepalive_requests=keepalive_requests, always=always, state=state
    )
