#!/usr/bin/env python3
"""Writes deploy/grafana/baseload.json and deploy/prometheus/alerts.yml from the tables below.

python tools/dashboards.py           write both
python tools/dashboards.py --check   exit 1 where a file is not what this would write
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent / "deploy"
BOARD, ALERTS = ROOT / "grafana/baseload.json", ROOT / "prometheus/alerts.yml"

# title, unit, legend -> query; a panel a row of twelve columns, two beside each other
PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Attempts by outcome", "reqps", {
        "{{outcome}}": "sum by (outcome) (rate(baseload_calls_total[$__rate_interval]))",
    }),
    ("Tokens by kind", "short", {"{{kind}}": "sum by (kind) (rate(baseload_tokens_total[$__rate_interval]))"}),
    ("Time to the first byte", "s", {
        "p50": "histogram_quantile(0.5, sum by (le) (rate(baseload_first_byte_seconds_bucket[$__rate_interval])))",
        "p95": "histogram_quantile(0.95, sum by (le) (rate(baseload_first_byte_seconds_bucket[$__rate_interval])))",
    }),
    ("Duration by model, p95", "s", {
        "{{gen_ai_request_model}}": "histogram_quantile(0.95, sum by (le, gen_ai_request_model) "
        "(rate(gen_ai_client_operation_duration_seconds_bucket[$__rate_interval])))",
    }),
    ("Failed attempts by offer", "percentunit", {
        "{{offer}}": 'sum by (offer) (rate(baseload_calls_total{outcome!~"ok|client_left|stopped"}[$__rate_interval])) '
        "/ sum by (offer) (rate(baseload_calls_total[$__rate_interval]))",
    }),
    ("Failovers and hedges", "reqps", {
        "failovers": "sum(rate(baseload_failovers_total[$__rate_interval]))",
        "hedges": "sum(rate(baseload_hedges_total[$__rate_interval]))",
    }),
    ("Refusals by code", "reqps", {"{{code}}": "sum by (code) (rate(baseload_refusals_total[$__rate_interval]))"}),
    ("Running and waiting", "short", {
        "running": "sum(baseload_calls_running)", "waiting": "sum(baseload_calls_waiting)",
        "streams": "sum(baseload_streams_running)", "offers out": "sum(baseload_offers_out)",
    }),
    ("Settlement lag", "s", {"lag": "max(baseload_settlement_lag_seconds)"}),
    ("Open holds", "short", {
        "at gateways": "sum(baseload_journal_open_holds)", "in the database": "sum(baseload_open_holds)",
    }),
    ("What purses may still spend", "percentunit", {
        "{{account}} {{purse}}": "baseload_purse_available / (baseload_purse_funds > 0)",
    }),
    ("Leases", "short", {
        "asked": "sum(rate(baseload_lease_asks_total[$__rate_interval]))",
        "waited": "sum(rate(baseload_lease_waits_total[$__rate_interval]))",
        "at gateways": "sum(baseload_leases_out)",
    }),
)  # fmt: skip

# name, expression, for how long, how urgent, what to say
RULES = (
    ("BaseloadGatewayNotAccepting", "baseload_journal_accepting == 0", "1m", "page",
     "Gateway {{ $labels.instance }} takes no calls: its journal's disk is full."),
    ("BaseloadSettlementBehind", "max(baseload_settlement_lag_seconds) > 300", "5m", "page",
     "Settlement is behind. Nothing is lost; bills and budgets wait. See baseload doctor."),
    ("BaseloadFailures", 'sum by (offer) (rate(baseload_calls_total{outcome!~"ok|client_left|stopped"}[5m])) '
     "/ sum by (offer) (rate(baseload_calls_total[5m])) > 0.2", "5m", "ticket",
     "More than a fifth of the attempts at {{ $labels.offer }} fail."),
    ("BaseloadNoOffer", 'sum(rate(baseload_refusals_total{status="503"}[5m])) > 0', "5m", "page",
     "Calls are refused because no offer can serve them."),
    ("BaseloadSlowFirstByte", "histogram_quantile(0.95, sum by (le, model) "
     "(rate(baseload_first_byte_seconds_bucket[10m]))) > 10", "10m", "ticket",
     "The first byte of {{ $labels.model }} takes over 10 s at the 95th percentile."),
    ("BaseloadPurseNearlyEmpty", "baseload_purse_available / (baseload_purse_funds > 0) < 0.1", "0m", "ticket",
     "{{ $labels.account }}: {{ $labels.purse }} has less than a tenth left."),
    ("BaseloadPhantomHold", "max(baseload_oldest_hold_seconds) > 3600", "10m", "ticket",
     "A hold is older than an hour: a gateway has stopped and was not recovered. See baseload gateways list."),
    ("BaseloadUnpriced", 'baseload_readings_open{state="unpriced"} > 0', "15m", "ticket",
     "Readings wait for a price: baseload prices check, then baseload ledger resettle."),
    ("BaseloadConfigRefused", "baseload_config_ok == 0", "5m", "ticket",
     "baseload.toml is wrong; the last good state is in force."),
    ("BaseloadSnapshotOld", "baseload_snapshot_version < on() group_left() max(baseload_snapshot_published)", "5m",
     "page",
     "Gateway {{ $labels.instance }} works from an old snapshot."),
)  # fmt: skip


def board() -> str:
    panels: list[dict[str, Any]] = []
    for number, (title, unit, queries) in enumerate(PANELS):
        panels.append({
            "id": number + 1, "type": "timeseries", "title": title,
            "datasource": {"type": "prometheus", "uid": "${source}"},
            "gridPos": {"x": 12 * (number % 2), "y": 8 * (number // 2), "w": 12, "h": 8},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [{"refId": chr(65 + n), "expr": query, "legendFormat": legend}
                        for n, (legend, query) in enumerate(queries.items())],
        })  # fmt: skip
    whole = {
        "title": "Baseload", "uid": "baseload", "schemaVersion": 39, "tags": ["baseload"], "timezone": "browser",
        "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "panels": panels,
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}]},
    }  # fmt: skip
    return json.dumps(whole, indent=2) + "\n"


def alerts() -> str:
    lines = [
        "# Written by tools/dashboards.py. Examples: set the bounds that fit.",
        "groups:",
        "  - name: baseload",
        "    rules:",
    ]
    for name, query, held, urgency, say in RULES:
        lines += [
            f"      - alert: {name}", f"        expr: {json.dumps(query)}", f"        for: {held}",
            "        labels:", f"          severity: {urgency}", "        annotations:",
            f"          summary: {json.dumps(say)}",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(words: list[str]) -> int:
    wrong = 0
    for path, text in ((BOARD, board()), (ALERTS, alerts())):
        if "--check" in words:
            if not path.exists() or path.read_text() != text:
                print(f"{path} is not current: python tools/dashboards.py", file=sys.stderr)
                wrong = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
