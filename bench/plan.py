"""What every measure works from: how long and how often, the rig, the order of turns.

One proxy has load at a time. The order alternates from round to round, so that a machine that warms up or slows down
favours neither. What comes first in each measure is a warm-up, and thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bench.figures import Row
from bench.rig import Proxy, Rig
from bench.system import Spent


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and counts. The defaults take about four minutes on two cores."""

    rounds: int = 5
    load_s: int = 3  # wrk takes whole seconds
    body_s: int = 2
    stream_s: float = 2.5
    stream_rounds: int = 5
    streams: int = 64
    interval_ms: int = 8  # 64 streams: 8,000 frames a second
    translated_interval_ms: int = 16  # 64 streams: 4,000 frames a second, so that no core is full
    latency_s: float = 1.5
    half_s: float = 2.0
    idle_streams: int = 10_000
    idle_warm: int = 200
    settlement_calls: int = 60_000


QUICK = Plan(
    rounds=3, load_s=1, body_s=1, stream_s=0.8, stream_rounds=2, latency_s=0.3, half_s=0.5, idle_streams=2_000,
    settlement_calls=12_000,
)  # fmt: skip


class Result(msgspec.Struct, frozen=True):
    rows: list[Row]
    remarks: list[str] = []


class Bench:
    """What measures share: the rig and what earlier ones found."""

    def __init__(self, rig: Rig, plan: Plan) -> None:
        self.rig = rig
        self.plan = plan
        self.capacity: dict[str, float] = {}  # calls a second, by proxy

    def turns(self, rounds: int) -> Iterator[Proxy]:
        """nginx, Baseload, Baseload, nginx, nginx, ..."""
        for number in range(rounds):
            yield from self.rig.both if number % 2 == 0 else reversed(self.rig.both)

    def spent(self, spent: Spent) -> Spent:
        self.rig.foreign.append(spent.foreign)
        return spent
