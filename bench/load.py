"""Measures of calls that are not streamed, under wrk: CPU a call and throughput."""

from __future__ import annotations

import statistics

import msgspec

from bench import traffic
from bench.figures import Target, ratio_row
from bench.plan import Bench, Result
from bench.rig import NGINX, OURS

SATURATED = 0.9  # of what others left of the core: below it the proxy had to wait for client or mock
WARM_S = 1  # wrk takes whole seconds


class _Loaded(msgspec.Struct):
    """Rounds of one proxy."""

    cpu_us: list[float] = []  # a call
    rate: list[float] = []  # calls a second
    busy: list[float] = []  # share of the core it used
    full: list[float] = []  # share of what others left of the core
    kernel: list[float] = []  # share of its CPU time


def small(bench: Bench) -> Result:
    """1 KB requests, 32 connections."""
    seen, remark = _load(bench, "small", 1024, 32, bench.plan.load_s)
    theirs, ours = seen[NGINX], seen[OURS]
    for name, rounds in seen.items():
        bench.capacity[name] = statistics.median(rounds.rate)
    what = "1 KB, 32 connections"
    cpu, rate = Target(2.2, stretch=2.0), Target(0.45, at_most=False, stretch=0.5)
    doubt = "nginx had to wait for client and mock" if NGINX in _unsaturated(seen) else ""
    rows = [
        ratio_row("small", f"CPU a call, {what}", "us", theirs.cpu_us, ours.cpu_us, cpu),
        ratio_row("small", f"calls a second, {what}", "/s", theirs.rate, ours.rate, rate, doubt),
    ]
    return Result(rows, [remark])


def body32k(bench: Bench) -> Result:
    """32 KB requests, 8 connections."""
    seen, remark = _load(bench, "body32k", 32 * 1024, 8, bench.plan.body_s)
    theirs, ours = seen[NGINX], seen[OURS]
    row = ratio_row("body32k", "CPU a call, 32 KB, 8 connections", "us", theirs.cpu_us, ours.cpu_us, Target(2.5))
    return Result([row], [remark])


def _load(bench: Bench, name: str, body: int, connections: int, seconds: int) -> tuple[dict[str, _Loaded], str]:
    """Rounds of `seconds` of `connections` that send `body` bytes, by proxy; and how full the proxies were."""
    rig = bench.rig
    wrk = rig.wrk(name, traffic.chat_body(traffic.MODEL_WHOLE, body))
    seen = {NGINX: _Loaded(), OURS: _Loaded()}
    for proxy in rig.both:
        rig.count(proxy, traffic.MODEL_WHOLE, wrk.run(proxy.whole_port, connections, WARM_S).calls)
    for proxy in bench.turns(bench.plan.rounds):
        watch = rig.watch(proxy)
        load = wrk.run(proxy.whole_port, connections, seconds)
        spent = bench.spent(watch.stop())
        rig.count(proxy, traffic.MODEL_WHOLE, load.calls)
        busy = min(1.0, spent.cpu_s * 1e6 / load.wall_us)
        rounds = seen[proxy.name]
        rounds.cpu_us.append(spent.cpu_s * 1e6 / load.calls)
        rounds.rate.append(load.rate)
        rounds.busy.append(busy)
        rounds.full.append(busy / max(1 - spent.foreign, busy, 0.01))
        rounds.kernel.append(spent.system_s / max(spent.user_s + spent.system_s, 1e-9))
    return seen, f"{name}: {_saturation(seen)}"


def _unsaturated(seen: dict[str, _Loaded]) -> list[str]:
    """Proxies whose throughput says more about client and mock than about them."""
    return [name for name, rounds in seen.items() if statistics.median(rounds.full) < SATURATED]


def _saturation(seen: dict[str, _Loaded]) -> str:
    parts = [
        f"{name} used {statistics.median(rounds.busy):.0%} of its core, {statistics.median(rounds.kernel):.0%} of that "
        "in the kernel"
        for name, rounds in seen.items()
    ]
    idle = _unsaturated(seen)
    more = f" Client and mock, not the proxy, limited the throughput of {' and '.join(idle)}." if idle else ""
    return "; ".join(parts) + "." + more
