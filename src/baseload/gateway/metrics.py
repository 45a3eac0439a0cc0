"""Counters and histograms of the data plane, and their Prometheus text (exposition format 0.0.4).

In:     `count_call` once a finished attempt, `count_refusal` once a refusal, gauges read at scrape time.
Out:    text. Own buckets and renderer: prometheus_client costs 4.7 us a call and stalls the loop at a scrape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from baseload.providers import otel

BUCKETS_S, FIRST_S = otel.DURATION_S, otel.FIRST_S
_BUCKETS_NS = tuple(int(bound * 1e9) for bound in BUCKETS_S)
_FIRST_NS = tuple(int(bound * 1e9) for bound in FIRST_S)
_INPUT = frozenset(
    ("input_uncached", "cache_read", "cache_write_5m", "cache_write_30m", "cache_write_1h", "cache_write_12h")
)


class Series:
    """One (model, offer, endpoint): every number a finished attempt adds to."""

    __slots__ = (
        "duration",
        "duration_ns",
        "first",
        "first_ns",
        "input",
        "labels",
        "otel",
        "outcomes",
        "output",
        "tokens",
    )

    def __init__(self, labels: str, otel_labels: str) -> None:
        self.labels = labels
        self.otel = otel_labels  # the same, in the words of OpenTelemetry's conventions
        self.outcomes: dict[str, int] = {}
        self.tokens: dict[str, int] = {}
        self.duration = [0] * (len(BUCKETS_S) + 1)
        self.first = [0] * (len(FIRST_S) + 1)
        self.input = [0] * (len(otel.TOKENS) + 1)
        self.output = [0] * (len(otel.TOKENS) + 1)
        self.duration_ns = 0
        self.first_ns = 0


class Metrics:
    """Bounded: a series exists per configured offer and endpoint, a refusal counter per stable code."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], Series] = {}
        self._refusals: dict[tuple[str, int], int] = {}
        self.failovers = 0  # attempts that took over from one that failed
        self.hedges = 0  # second attempts begun because the first was late

    def series(self, model: str, offer: str, endpoint: str, provider: str = "") -> Series:
        key = (model, offer, endpoint)
        found = self._series.get(key)
        if found is None:
            labels = f'model="{_escape(model)}",offer="{_escape(offer)}",endpoint="{endpoint}"'
            told = (
                f'gen_ai_operation_name="{otel.operation(endpoint)}",gen_ai_request_model="{_escape(model)}",'
                f'gen_ai_provider_name="{_escape(otel.provider(provider) or "unknown")}",offer="{_escape(offer)}"'
            )
            found = self._series[key] = Series(labels, told)
        return found

    def count_call(self, series: Series, outcome: str, meters: dict[str, int], took_ns: int, first_ns: int) -> None:
        """Nanoseconds since the request's first byte, by the wall clock; `first_ns` < 0 = no reply byte came."""
        outcomes = series.outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        tokens, read = series.tokens, 0
        for meter, count in meters.items():
            tokens[meter] = tokens.get(meter, 0) + count
            if meter in _INPUT:
                read += count
        series.duration[bisect_left(_BUCKETS_NS, took_ns)] += 1
        series.duration_ns += took_ns
        if first_ns >= 0:
            series.first[bisect_left(_FIRST_NS, first_ns)] += 1
            series.first_ns += first_ns
        if read:
            series.input[bisect_left(otel.TOKENS, read)] += 1
        if written := meters.get("output_total", 0):
            series.output[bisect_left(otel.TOKENS, written)] += 1

    def count_refusal(self, code: str, status: int) -> None:
        self._refusals[code, status] = self._refusals.get((code, status), 0) + 1

    def render(self, gauges: Iterable[tuple[str, str, str, float]]) -> bytes:
        """`gauges`: (name, type, help, value)."""
        out: list[str] = []
        for name, kind, text, value in gauges:
            out.append(_about(name, kind, text) + f"{name} {value:g}\n")
        rows = list(self._series.values())
        out.append(_about("baseload_calls_total", "counter", "Attempts that ended, by outcome."))
        for row in rows:
            for outcome, number in row.outcomes.items():
                out.append(f'baseload_calls_total{{{row.labels},outcome="{outcome}"}} {number}\n')
        out.append(_about("baseload_tokens_total", "counter", "Metered tokens by kind."))
        for row in rows:
            for meter, number in row.tokens.items():
                out.append(f'baseload_tokens_total{{{row.labels},kind="{meter}"}} {number}\n')
        out.append(_about("baseload_call_duration_seconds", "histogram", "First request byte to last reply byte."))
        for row in rows:
            _histogram(out, "baseload_call_duration_seconds", row.labels, row.duration, row.duration_ns / 1e9)
        out.append(_about("baseload_first_byte_seconds", "histogram", "First request byte to first reply byte."))
        for row in rows:
            _histogram(out, "baseload_first_byte_seconds", row.labels, row.first, row.first_ns / 1e9, FIRST_S)
        self._conventions(out, rows)
        out.append(_about("baseload_refusals_total", "counter", "Requests refused, by code."))
        for (code, status), number in self._refusals.items():
            out.append(f'baseload_refusals_total{{code="{code}",status="{status}"}} {number}\n')
        return "".join(out).encode()

    def _conventions(self, out: list[str], rows: list[Series]) -> None:
        """The same by OpenTelemetry's names, for boards that know those."""
        name = "gen_ai_client_operation_duration_seconds"
        out.append(_about(name, "histogram", "GenAI operation duration."))
        for row in rows:
            _histogram(out, name, row.otel, row.duration, row.duration_ns / 1e9)
        name = "gen_ai_client_operation_time_to_first_chunk_seconds"
        out.append(_about(name, "histogram", "Time to the first piece of the reply."))
        for row in rows:
            _histogram(out, name, row.otel, row.first, row.first_ns / 1e9, FIRST_S)
        name = "gen_ai_client_token_usage"
        out.append(_about(name, "histogram", "Tokens of an operation, input and output."))
        for row in rows:
            read = sum(row.tokens.get(meter, 0) for meter in _INPUT)
            written = row.tokens.get("output_total", 0)
            _histogram(out, name, f'{row.otel},gen_ai_token_type="input"', row.input, read, otel.TOKENS)
            _histogram(out, name, f'{row.otel},gen_ai_token_type="output"', row.output, written, otel.TOKENS)


def _about(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _histogram(
    out: list[str], name: str, labels: str, counts: list[int], total: float, bounds: Sequence[float] = BUCKETS_S
) -> None:
    running = 0
    for bound, number in zip((*bounds, None), counts, strict=True):
        running += number
        edge = "+Inf" if bound is None else f"{bound}"
        out.append(f'{name}_bucket{{{labels},le="{edge}"}} {running}\n')
    out.append(f"{name}_sum{{{labels}}} {total:.12g}\n{name}_count{{{labels}}} {running}\n")


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
