"""The last hour minute by minute, counted by the database: the same on both."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from sqlalchemy import Engine

from baseload.control.services.health_grid import MINUTE_NS, MINUTES, last_hour
from baseload.ledger.settle import Settler
from tests.ledger import support as s

NOW = s.T0 + 59 * MINUTE_NS + 30 * s.SECOND


def test_attempts_and_failures_by_minute_and_provider(engine: Engine, tmp_path: Path) -> None:
    s.configure(engine)
    told = (  # minute, offer, outcome
        (0, s.USD_OFFER, "ok"), (0, s.USD_OFFER, "upstream_error"), (0, s.CNY_OFFER, "client_left"),
        (59, s.OWN_OFFER, "ok"), (59, s.OWN_OFFER, "lost"), (-1, s.USD_OFFER, "upstream_error"),
    )  # fmt: skip
    readings = [
        s.reading(f"c{n}", offer=offer, outcome=outcome, accepted_ns=s.T0 + minute * MINUTE_NS + n, input=1, output=1)
        for n, (minute, offer, outcome) in enumerate(told)
    ]
    s.journal(tmp_path / "g1", *readings)
    Settler(engine).drain(tmp_path / "g1", "g1")
    found = last_hour(SimpleNamespace(engine=engine), NOW)  # type: ignore[arg-type]
    lines = {line["name"]: line for line in found["providers"]}
    assert len(lines["vendor"]["cells"]) == MINUTES
    assert lines["vendor"]["cells"][0] == (3, 1)
    assert lines["vendor"]["cells"][1:] == [(0, 0)] * (MINUTES - 1)  # what is older than an hour is not in it
    assert lines["engine"]["cells"][59] == (2, 1)
    assert (lines["engine"]["attempts"], lines["engine"]["failed"]) == (2, 1)
    assert found["whole"]
