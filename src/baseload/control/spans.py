"""A settled call as spans: the call, its attempts as children, the first byte as an event. Pure.

In:     readings of attempts. Out: `Span`s by OpenTelemetry's GenAI conventions, with ids made from the call's id: sent
        again after a restart, they are the same spans. No content: there is none in a reading.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from baseload.ledger.calls import SOUND
from baseload.providers import otel

SERVER, CLIENT = 1, 2  # of SpanKind


class Names(NamedTuple):
    """What the ids of a reading are called."""

    account: str
    offer: str
    provider: str
    dialect: str


class Span(NamedTuple):
    name: str
    trace_id: int
    span_id: int
    parent_id: int  # 0 = none
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    first_ns: int  # an event "gen_ai.first_chunk"; 0 = none
    error: str  # "" = fine


def ids(call: str, attempt: int) -> tuple[int, int]:
    """(trace, span) of an attempt; attempt 0 = of the call. Never zero."""
    trace = int.from_bytes(hashlib.sha256(call.encode()).digest()[:16], "big") or 1
    span = int.from_bytes(hashlib.sha256(f"{call}/{attempt}".encode()).digest()[:8], "big") or 1
    return trace, span


def of_attempt(row: Any, names: Names) -> Span:
    """The span of one reading."""
    trace, span = ids(row.call, row.attempt)
    meters = json.loads(row.meters)
    operation = otel.operation(row.endpoint)
    read = sum(
        count for meter, count in meters.items() if meter.startswith(("input_uncached", "cache_read", "cache_write"))
    )
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": operation, "gen_ai.provider.name": otel.provider(names.dialect),
        "gen_ai.request.model": row.upstream_model or row.model, "gen_ai.usage.input_tokens": read,
        "gen_ai.usage.output_tokens": meters.get("output_total", 0), "gen_ai.request.stream": bool(row.stream),
        "http.response.status_code": row.status, "baseload.offer": names.offer, "baseload.provider": names.provider,
        "baseload.attempt": row.attempt, "baseload.outcome": row.outcome,
        "baseload.provenance.output": row.output_provenance,
    }  # fmt: skip
    if meters.get("cache_read"):
        attributes["gen_ai.usage.cache_read.input_tokens"] = meters["cache_read"]
    if meters.get("reasoning"):
        attributes["gen_ai.usage.reasoning.output_tokens"] = meters["reasoning"]
    if row.upstream_id:
        attributes["gen_ai.response.id"] = row.upstream_id
    if row.cost_nano is not None:
        attributes |= {"baseload.cost.nano": row.cost_nano, "baseload.cost.currency": row.cost_currency}
    error = "" if row.outcome in SOUND else row.fault or row.outcome
    if error:
        attributes["error.type"] = error
    start = row.sent_ns or row.accepted_ns
    return Span(
        f"{operation} {row.upstream_model or row.model}", trace, span, ids(row.call, 0)[1], CLIENT, start,
        max(row.end_ns, start), attributes, row.first_ns if row.first_ns > 0 else 0, error,
    )  # fmt: skip


def of_call(rows: list[Any], names: Names) -> Span:
    """The span of a whole call, from all its attempts in order; `names` of the last one."""
    last = rows[-1]
    trace, span = ids(last.call, 0)
    operation = otel.operation(last.endpoint)
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": operation, "gen_ai.request.model": last.model, "baseload.call": last.call,
        "baseload.account": names.account, "baseload.key": last.key, "baseload.attempts": len(rows),
        "baseload.outcome": last.outcome, "http.response.status_code": last.status,
    }  # fmt: skip
    charged = [row for row in rows if row.charge_nano is not None]
    if charged:
        attributes["baseload.charge.nano"] = sum(row.charge_nano for row in charged)
        attributes["baseload.charge.currency"] = charged[-1].charge_currency
    error = "" if last.outcome in SOUND else last.fault or last.outcome
    if error:
        attributes["error.type"] = error
    first = min((row.first_ns for row in rows if row.first_ns > 0 and row.outcome in SOUND), default=0)
    start = min(row.accepted_ns for row in rows)
    end = max(start, *(row.end_ns for row in rows))
    return Span(f"{operation} {last.model}", trace, span, 0, SERVER, start, end, attributes, first, error)
