"""What can be watched from outside: metrics, traces at a real collector's door, logs; and no secret in any of them."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import promql_parser
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.e2e.grid import Grid, home_with, up
from tests.gateway.harness import Running, chat, exchange, post
from tests.vendors import Simulator, start

from baseload.control.spans import Names, ids, of_attempt, of_call

ROOT = Path(__file__).parents[2]
SECRET = "sk-vendor-must-never-be-seen"


class Collector:
    """Takes OTLP over HTTP; `status` is what it answers."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.headers: list[str | None] = []
        self.status = 200
        outer = self

        class Door(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if outer.status == 200:
                    outer.take(body, self.headers.get("x-token"))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body: bytes, token: str | None) -> None:
        self.headers.append(token)
        for batch in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {one.value.string_value for one in batch.resource.attributes if one.key == "service.name"}
            for scope in batch.scope_spans:
                self.spans += scope.spans

    def of(self, call: str, wanted: int, within_s: float = 20.0) -> list[Any]:
        trace = ids(call, 0)[0].to_bytes(16, "big")
        until = time.monotonic() + within_s
        while True:
            found = [span for span in self.spans if span.trace_id == trace]
            if len(found) >= wanted:
                return found
            assert time.monotonic() < until, found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def vendors() -> Iterator[list[Simulator]]:
    with start("openai", models=("m",)) as one, start("deepseek", models=("m",)) as two:
        yield [one, two]


@pytest.fixture(scope="module")
def grid(
    tmp_path_factory: pytest.TempPathFactory, vendors: list[Simulator], collector: Collector
) -> Iterator[Grid]:  # fmt: skip
    text = f"""
[engine]
enabled = false
[telemetry]
otlp_url = "{collector.url}"
service = "my-grid"
headers = {{ x-token = "file:HOME/otlp.key" }}
"""
    for number, vendor in enumerate(vendors):
        dialect = ("openai", "deepseek")[number]
        text += f"""
[[providers]]
name = "{dialect}"
from = "{dialect}"
base_url = "{vendor.base_url}"
credential = "file:HOME/vendor.key"
[[offers]]
model = "m"
provider = "{dialect}"
price = {{ rate = {{ input = "{number + 1}", output = "10", cache_read = "1" }} }}
"""
    home = home_with(tmp_path_factory.mktemp("observe"), text, vendor_key=SECRET, otlp_key="collector-token")
    with up(home, env={"BASELOAD_LOG_FORMAT": "json"}) as started:
        time.sleep(1.5)  # the tracer's cursor stands where it was switched on
        yield started


def ask(grid: Grid, key: str = "", **more: Any) -> tuple[int, str]:
    port = int(grid.base_url.rpartition(":")[2].partition("/")[0])
    running = Running(None, port, grid.process)  # type: ignore[arg-type]
    reply = exchange(running, post("/v1/chat/completions", chat("m", **more), key=key or grid.key))
    return reply.status, reply.headers["x-baseload-call-id"]


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_call_is_a_span_and_its_attempts_are_its_children(
    grid: Grid, vendors: list[Simulator], collector: Collector
) -> None:  # fmt: skip
    vendors[0].script("overloaded")  # the cheaper one fails: a second attempt takes over
    status, call = ask(grid, stream=True)
    assert status == 200
    spans = {attributes(span).get("baseload.attempt", 0): span for span in collector.of(call, 3)}
    root, first, second = spans[0], spans[1], spans[2]
    assert (root.name, first.name) == ("chat m", "chat m")
    assert root.parent_span_id == b""
    assert first.parent_span_id == second.parent_span_id == root.span_id
    assert root.start_time_unix_nano <= first.start_time_unix_nano <= second.start_time_unix_nano
    assert root.end_time_unix_nano >= second.end_time_unix_nano
    assert first.status.code == 2
    assert attributes(first)["error.type"] == "overloaded"
    assert second.status.code == 0
    assert [event.name for event in second.events] == ["gen_ai.first_chunk"]
    record = grid.settled([call])[0]["attempts"][-1]
    told = attributes(second)
    assert told["gen_ai.usage.output_tokens"] == record["meters"]["output_total"]
    assert told["gen_ai.provider.name"] == "deepseek"
    assert told["baseload.cost.nano"] == record["cost"]["nano"]
    assert attributes(root)["baseload.call"] == call
    assert attributes(root)["baseload.attempts"] == 2
    assert attributes(root)["baseload.account"] == "default"
    assert collector.services == {"my-grid"}
    assert set(collector.headers) == {"collector-token"}


def test_a_collector_that_is_away_gets_them_later_once(grid: Grid, collector: Collector) -> None:
    collector.status = 503
    calls = [ask(grid)[1] for _ in range(3)]
    time.sleep(1.5)
    assert all(span.trace_id != ids(calls[0], 0)[0].to_bytes(16, "big") for span in collector.spans)
    collector.status = 200
    for call in calls:
        assert len(collector.of(call, 2, within_s=60)) == 2
    assert all(status == 200 for status, _ in [ask(grid)])  # and calls never waited


def test_metrics_of_the_control_plane_are_for_who_may_read(grid: Grid) -> None:
    import httpx

    url = f"{grid.facts['control_url']}/api/metrics"
    assert httpx.get(url).status_code == 401
    token = grid.json("tokens", "create", "scraper", "--role", "auditor")["token"]["token"]
    ask(grid)
    text = httpx.get(url, headers={"authorization": f"Bearer {token}"}).text
    assert re.search(r"^baseload_readings_total [1-9]", text, re.M)
    assert "baseload_settlement_lag_seconds" in text


def names_in(query: str) -> set[str]:
    return set(re.findall(r"\b((?:baseload|gen_ai)_[a-z_]+)(?=[\[{ )>/=<]|$)", re.sub(r"by \([^)]*\)", "", query)))


def test_every_metric_of_the_board_and_the_alerts_is_there(grid: Grid) -> None:
    import httpx

    grid.run("budgets", "add", "5", "--account", "default")
    token = grid.json("tokens", "create", "board", "--role", "auditor")["token"]["token"]
    ask(grid)
    port = grid.base_url.rpartition(":")[2].partition("/")[0]
    seen = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    seen += httpx.get(f"{grid.facts['control_url']}/api/metrics", headers={"authorization": f"Bearer {token}"}).text
    there = set(re.findall(r"^# HELP (\S+)", seen, re.M))
    there |= {f"{name}_bucket" for name in there} | {re.sub(r"(?<!_total)$", "_total", name) for name in there}
    board = json.loads((ROOT / "deploy/grafana/baseload.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    for query in [*queries, *(rule["expr"] for rule in rules)]:
        promql_parser.parse(query.replace("$__rate_interval", "5m"))
        assert names_in(query), query
        assert names_in(query) <= there, query
    page = (ROOT / "docs/observability.md").read_text()
    for name in re.findall(r"^# HELP (\S+)", seen, re.M):
        if not name.startswith("python_"):
            assert name.removesuffix("_total") in page, f"{name} is not in docs/observability.md"


def test_board_and_alerts_are_what_the_tables_say() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools/dashboards.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_logs_are_json_and_hold_no_secret(grid: Grid, vendors: list[Simulator]) -> None:
    vendors[0].script("bad_key", "overloaded", "rate_limited")
    vendors[1].script("bad_key", "no_money")
    for _ in range(3):
        ask(grid)
    ask(grid, key="sk-bl-wrong-key-of-a-client")
    found = ""
    for path in sorted((grid.home / "logs").glob("*.log")):
        text = path.read_text()
        found += text
        for line in text.splitlines():
            said = json.loads(line)
            assert {"time", "level", "message"} <= set(said)
    assert '"process": "control"' in found
    assert '"process": "gateway g0"' in found
    for secret in (SECRET, grid.key, "sk-bl-wrong-key-of-a-client", "collector-token"):
        assert secret not in found


def test_ids_are_the_same_again_and_a_lost_name_is_no_fault() -> None:
    assert ids("call_a", 1) == ids("call_a", 1) != ids("call_a", 2)
    assert ids("call_a", 1)[0] == ids("call_a", 2)[0] != ids("call_b", 1)[0]
    row = SimpleNamespace(
        call="call_a", attempt=1, meters='{"input_uncached": 3}', endpoint="images", upstream_model="", model="m",
        stream=False, status=0, outcome="failed", fault="", upstream_id="", cost_nano=None, sent_ns=0, accepted_ns=5,
        first_ns=-1, end_ns=4, output_provenance="missing", key=1, charge_nano=None,
    )  # fmt: skip
    span = of_attempt(row, Names("", "#9", "", ""))
    assert (span.start_ns, span.end_ns, span.error, span.name) == (5, 5, "failed", "images m")
    assert of_call([row], Names("", "#9", "", "")).attributes["baseload.outcome"] == "failed"
