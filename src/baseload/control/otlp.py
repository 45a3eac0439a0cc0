"""Spans out of the door by OpenTelemetry's own exporter (OTLP over HTTP). Imported where traces are switched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from baseload import __version__
from baseload.control.spans import CLIENT, SERVER, Span
from baseload.errors import Refusal

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KIND = {SERVER: SpanKind.SERVER, CLIENT: SpanKind.CLIENT}
_SCOPE = InstrumentationScope("baseload", __version__)


def exporter(url: str, headers: Mapping[str, str], timeout_s: float) -> OTLPSpanExporter:
    return OTLPSpanExporter(endpoint=url, headers=dict(headers), timeout=timeout_s)


def send(to: OTLPSpanExporter, spans: Sequence[Span], service: str) -> None:
    """Raises Refusal where the collector did not take them."""
    resource = Resource({"service.name": service, "service.version": __version__})
    if to.export([_readable(one, resource) for one in spans]) is not SpanExportResult.SUCCESS:
        raise Refusal("The collector does not take the spans.", "See [telemetry] in baseload.toml.", code="otlp_failed")


def _readable(one: Span, resource: Resource) -> ReadableSpan:
    events = [Event("gen_ai.first_chunk", timestamp=one.first_ns)] if one.first_ns else []
    return ReadableSpan(
        name=one.name,
        context=_context(one.trace_id, one.span_id),
        parent=_context(one.trace_id, one.parent_id) if one.parent_id else None,
        resource=resource,
        attributes=one.attributes,
        events=events,
        kind=_KIND[one.kind],
        instrumentation_scope=_SCOPE,
        status=Status(StatusCode.ERROR, one.error) if one.error else Status(StatusCode.UNSET),
        start_time=one.start_ns,
        end_time=one.end_ns,
    )


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=_SAMPLED)
