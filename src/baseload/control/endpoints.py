"""Which doors an offer may name: the endpoints of the gateway, those that its vendor has, and those it gets by default.

An offer's endpoints are the doors its provider has upstream. A client of any generation protocol reaches an offer with
one of GENERATION, translated where they differ; every other endpoint is served by its own kind only. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from baseload.errors import Refusal
from baseload.money.price import PriceRow
from baseload.providers.vendor import Vendor

Endpoint = Literal[
    "chat", "responses", "messages", "gemini", "converse", "qwen",
    "completions", "embeddings", "gemini_embed", "rerank", "images", "speech", "transcriptions",
]  # fmt: skip
ENDPOINTS: tuple[str, ...] = get_args(Endpoint)
GENERATION = ENDPOINTS[:6]
_EMBEDDING = ("embeddings", "gemini_embed")


def default_endpoints(vendor: Vendor, rows: Sequence[PriceRow] = ()) -> list[str]:
    """What an offer serves where nobody said it: chat, else the vendor's first generation protocol.

    A model whose prices (`rows`) have none for output is an embedding model, where the vendor embeds.
    """
    if rows and not any(meter.startswith("output") for row in rows for meter in row.rate):
        found = [endpoint for endpoint in _EMBEDDING if endpoint in vendor.paths]
        if found and all("input" in row.rate for row in rows):
            return found[:1]
    return [endpoint for endpoint in ENDPOINTS if endpoint in vendor.paths][:1]


def half_priced(endpoints: Iterable[str], rows: Iterable[PriceRow]) -> str:
    """The side ("input", "output") that a price lacks where one of the doors generates; "" = nothing is missing."""
    if not {*GENERATION, "completions"}.intersection(endpoints):
        return ""
    return next((side for row in rows if (side := row.missing_side())), "")


def check_endpoints(vendor: Vendor, endpoints: Iterable[str]) -> None:
    """Raises Refusal for an endpoint that nobody knows, or that the vendor has no path for."""
    for endpoint in endpoints:
        if endpoint not in ENDPOINTS:
            raise _wrong(f"{endpoint!r} is not an endpoint.", f"Known: {', '.join(ENDPOINTS)}.")
        if endpoint not in vendor.paths:
            there = [known for known in ENDPOINTS if known in vendor.paths]
            more = " A client of any protocol reaches it." if endpoint in GENERATION else ""
            raise _wrong(f"{vendor.title} has no {endpoint} endpoint.", f"It has: {', '.join(there)}.{more}")


def _wrong(say: str, fix: str) -> Refusal:
    return Refusal(say, fix, code="endpoint_wrong", status=422, param="endpoints")
