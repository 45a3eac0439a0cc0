"""Traces: a thread that turns settled readings into spans and sends them by OTLP. Not in the way of any call.

In:     `[telemetry]` of the file, readings by their id from a cursor on. Out: spans at a collector.
The cursor is kept after a batch was taken: a restart sends at most the last batch again, as the same spans. A collector
that is away is asked again with patience; readings wait in the book, and nothing else does. Begins with the calls that
come after it was first switched on.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from sqlalchemy import func, select

from baseload import store
from baseload.control.apply import set_setting, setting
from baseload.control.config import TelemetryConf, load
from baseload.control.context import Context
from baseload.control.spans import Names, Span, of_attempt, of_call
from baseload.errors import Refusal
from baseload.store import tables as t

log = logging.getLogger("baseload.control.tracer")
SETTING = "telemetry_cursor"
BATCH = 500  # readings
REST_S = 1.0
BACKOFF_MAX_S = 60.0
TIMEOUT_S = 10.0
OPEN_NS = 10 * 10**9  # a call that is open so long after a reading goes on with another attempt


class Tracer(threading.Thread):
    """Reads the file each round: switched on or off without a restart."""

    def __init__(self, context: Context) -> None:
        super().__init__(name="tracer", daemon=True)
        self._context = context
        self._exporter: tuple[TelemetryConf, Any] | None = None
        self._failures = 0

    def run(self) -> None:
        while not self._context.stopping.wait(min(REST_S * 2**self._failures, BACKOFF_MAX_S)):
            try:
                while self.round():
                    pass
            except (store.DatabaseAway, Refusal) as trouble:
                self._failed(str(trouble))
            except Exception as error:
                self._failed(f"{type(error).__name__}: {error}")
                log.debug("tracer", exc_info=True)

    def _failed(self, why: str) -> None:
        if self._failures == 0:
            log.warning("traces are not sent now, will be tried again: %s", why)
        self._failures = min(self._failures + 1, 8)

    def round(self) -> bool:
        """Sends one batch. True = there may be more at once."""
        conf = load(self._context.home.config).telemetry
        if not conf.otlp_url:
            return False
        with store.reading(self._context.engine) as connection:
            cursor = setting(connection, SETTING, None)
            newest = connection.execute(select(func.coalesce(func.max(t.readings.c.id), 0))).scalar_one()
        if cursor is None:
            self._keep(newest)
            return False
        spans, upto, more = self._batch(cursor, time.time_ns())
        if spans:
            self._send(conf, spans)
        if upto > cursor:
            self._keep(upto)
        if self._failures:
            log.info("traces are sent again")
        self._failures = 0
        return more

    def _batch(self, cursor: int, now_ns: int) -> tuple[list[Span], int, bool]:
        """(spans, the last reading that is in them, whether there are more)."""
        reading, offer = t.readings.c, t.offers.c
        with store.reading(self._context.engine) as connection:
            query = select(t.readings).where(reading.id > cursor).order_by(reading.id).limit(BATCH)
            rows = connection.execute(query).all()
            calls = {row.call for row in rows}
            still = select(t.open_holds.c.call).where(t.open_holds.c.call.in_(calls))
            running = set(connection.execute(still).scalars())
            attempts: dict[str, list[Any]] = {}
            for row in connection.execute(select(t.readings).where(reading.call.in_(calls)).order_by(reading.attempt)):
                attempts.setdefault(row.call, []).append(row)
            accounts = {row.id: row.name for row in connection.execute(select(t.accounts.c.id, t.accounts.c.name))}
            named = select(offer.id, offer.name, t.providers.c.name.label("provider"), t.providers.c.dialect)
            offers = {
                row.id: row
                for row in connection.execute(named.join(t.providers, t.providers.c.id == offer.provider_id))
            }
        spans: list[Span] = []
        upto = cursor
        for row in rows:
            if row.call in running and now_ns - row.end_ns < OPEN_NS:
                return spans, upto, False  # its end is not settled yet
            which = offers.get(row.offer)
            names = Names(
                accounts.get(row.account, ""), which.name if which else f"#{row.offer}",
                which.provider if which else "", which.dialect if which else "",
            )  # fmt: skip
            spans.append(of_attempt(row, names))
            if row.call not in running and row.id == max(one.id for one in attempts[row.call]):
                spans.append(of_call(attempts[row.call], names))
            upto = row.id
        return spans, upto, len(rows) == BATCH

    def _keep(self, cursor: int) -> None:
        with store.writing(self._context.engine) as connection:
            set_setting(connection, SETTING, cursor)

    def _send(self, conf: TelemetryConf, spans: list[Span]) -> None:
        try:
            from baseload.control import otlp
        except ImportError as error:
            raise Refusal(
                "Traces need the extra `otel`.", 'pip install "baseload[otel]"', code="extra_missing"
            ) from error
        if self._exporter is None or self._exporter[0] != conf:
            headers = {name: self._context.vault.resolve(value) for name, value in conf.headers.items()}
            self._exporter = (conf, otlp.exporter(conf.otlp_url, headers, TIMEOUT_S))
        otlp.send(self._exporter[1], spans, conf.service)
