"""Metrics of the control plane, in Prometheus' text: what the database knows, read when it is asked.

In:     a context. Out: text (exposition format 0.0.4), by prometheus_client. Behind the door: a token with `grid.read`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import func, select

from baseload import store
from baseload.control.context import Context
from baseload.control.services.health import lag_s
from baseload.ledger import purses
from baseload.store import tables as t

MEDIA = CONTENT_TYPE_PLAIN_0_0_4


class Books(Collector):
    """Figures of this process, of one consistent picture of the database, and of the purses."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def describe(self) -> list[Metric]:
        return []  # nothing is read before somebody asks

    def collect(self) -> Iterator[Metric]:
        context, now_ns = self._context, time.time_ns()
        current = context.publisher.current()
        yield GaugeMetricFamily("baseload_settlement_lag_seconds", "Since every journal was settled to its end.",
                                value=lag_s(context, now_ns))  # fmt: skip
        yield GaugeMetricFamily("baseload_settlement_failures", "Steps of settlement that failed in a row.",
                                value=context.state.settle_failures)  # fmt: skip
        yield GaugeMetricFamily("baseload_config_ok", "1 = the configuration file is in force.",
                                value=int(context.state.config_ok))  # fmt: skip
        yield GaugeMetricFamily("baseload_snapshot_age_seconds", "Since the snapshot in force was made.",
                                value=(now_ns - current.made_ns) / 1e9 if current else 0)  # fmt: skip
        yield GaugeMetricFamily("baseload_snapshot_published", "Version of the snapshot that was published last.",
                                value=current.version if current else 0)  # fmt: skip
        with store.reading(context.engine) as connection:
            number = connection.execute(select(func.coalesce(func.max(t.readings.c.id), 0))).scalar_one()
            yield CounterMetricFamily("baseload_readings", "Readings that were settled.", value=number)
            holds = t.open_holds.c
            found = connection.execute(
                select(holds.currency, func.count(), func.min(holds.accepted_ns)).group_by(holds.currency)
            ).all()
            open_holds = GaugeMetricFamily("baseload_open_holds", "Holds without a reading.", labels=["currency"])
            oldest = GaugeMetricFamily("baseload_oldest_hold_seconds", "Age of the oldest.", labels=["currency"])
            for currency, count, since_ns in found:
                open_holds.add_metric([currency], count)
                oldest.add_metric([currency], (now_ns - since_ns) / 1e9)
            yield open_holds
            yield oldest
            opened = GaugeMetricFamily("baseload_readings_open", "Readings without a price or usage.", labels=["state"])
            reading = t.readings.c
            unsettled = select(reading.state, func.count()).where(reading.state.in_(("unmetered", "unpriced")))
            for state, count in connection.execute(unsettled.group_by(reading.state)):
                opened.add_metric([state], count)
            yield opened
            lease = t.leases.c
            out = GaugeMetricFamily("baseload_leases_out", "Leases at gateways.", labels=["state"])
            query = select(lease.state, func.count()).where(lease.state != "home").group_by(lease.state)
            for state, count in connection.execute(query):
                out.add_metric([state], count)
            yield out
            names = {row.id: row.name for row in connection.execute(select(t.accounts.c.id, t.accounts.c.name))}
        labels = ["account", "purse", "currency"]
        left = GaugeMetricFamily("baseload_purse_available", "What a purse may still spend.", labels=labels)
        funds = GaugeMetricFamily("baseload_purse_funds", "What a purse has, or its limit.", labels=labels)
        for one in purses.states(context.engine, now_ns, None):
            label = [names.get(one.purse.account, ""), one.purse.name, one.purse.currency]
            left.add_metric(label, one.available_nano / 1e9)
            funds.add_metric(label, one.funds_nano / 1e9)
        yield left
        yield funds


def render(context: Context) -> bytes:
    registry = CollectorRegistry()
    registry.register(Books(context))
    return generate_latest(registry)
