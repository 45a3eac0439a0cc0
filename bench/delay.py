"""Measures of added latency: what a proxy adds to the direct way, in the same round."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable

from bench import traffic
from bench.figures import Target, value_row
from bench.latency import ConstantRate, Latency, one_by_one
from bench.plan import Bench, Result
from bench.rig import NGINX, OURS

WARM_S = 0.2


def latency(bench: Bench) -> Result:
    """One connection, one call at a time, against the mock itself."""
    request = traffic.request(bench.rig.key, traffic.chat_body(traffic.MODEL_WHOLE, 1024))

    def once(port: int, seconds: float) -> Latency:
        return one_by_one(port, request, seconds)

    rows = _added(bench, "latency", "1 connection", bench.plan.latency_s, once, (Target(80), Target(250)))
    return Result(rows.rows, [f"latency: {rows.remarks[0]}"])


def half(bench: Bench) -> Result:
    """Calls at a constant rate, half of what Baseload can take on its core."""
    rig, plan = bench.rig, bench.plan
    body = traffic.chat_body(traffic.MODEL_WHOLE, 1024)
    if not bench.capacity:
        wrk = rig.wrk("capacity", body)
        for proxy in rig.both:
            load = wrk.run(proxy.whole_port, 32, 1)
            rig.count(proxy, traffic.MODEL_WHOLE, load.calls)
            bench.capacity[proxy.name] = load.rate
    rate = bench.capacity[OURS] / 2
    request = traffic.request(rig.key, body)
    achieved: list[float] = []

    def once(port: int, seconds: float) -> Latency:
        with contextlib.closing(ConstantRate(port, request, 64)) as client:
            client.run(rate, WARM_S)
            seen = client.run(rate, seconds)
        achieved.append(seen.calls / seen.wall_s)
        return seen

    rows = _added(bench, "half", "half load", plan.half_s, once, (None, None))
    shares = ", ".join(f"{rate / bench.capacity[name]:.0%} of {name}'s throughput" for name in (OURS, NGINX))
    remark = f"half: asked {rate:,.0f} calls/s ({shares}), achieved at least {min(achieved):,.0f}; {rows.remarks[0]}"
    return Result(rows.rows, [remark])


def _added(
    bench: Bench,
    name: str,
    title: str,
    seconds: float,
    once: Callable[[int, float], Latency],
    targets: tuple[Target | None, Target | None],
) -> Result:
    """Rounds of direct, nginx, Baseload; what each proxy adds to the direct way of the same round."""
    rig = bench.rig
    ways = {"direct": rig.direct_port, NGINX: rig.nginx.whole_port, OURS: rig.ours.whole_port}
    proxies = {NGINX: rig.nginx, OURS: rig.ours}
    for port in ways.values():
        once(port, min(WARM_S, seconds))
    seen: dict[str, list[Latency]] = {way: [] for way in ways}
    busy: dict[str, list[float]] = {way: [] for way in proxies}
    for number in range(bench.plan.rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            proxy = proxies.get(way)
            watch = rig.watch(proxy) if proxy is not None else None
            found = once(ways[way], seconds)
            seen[way].append(found)
            if proxy is not None and watch is not None:
                spent = bench.spent(watch.stop())
                busy[way].append(spent.cpu_s / spent.wall_s)
                rig.count(proxy, traffic.MODEL_WHOLE, found.calls)

    def added(way: str, which: str) -> list[float]:
        pairs = zip(seen[way], seen["direct"], strict=True)
        return [getattr(mine, which) - getattr(direct, which) for mine, direct in pairs]

    rows = [
        value_row(
            name, f"added {which}, {title}", "us", added(NGINX, f"{which}_us"), added(OURS, f"{which}_us"), target
        )
        for which, target in zip(("p50", "p99"), targets, strict=True)
    ]
    whole = "; ".join(
        f"{way} {statistics.median(one.p50_us for one in found):,.0f} / "
        f"{statistics.median(one.p99_us for one in found):,.0f}"
        for way, found in seen.items()
    )
    core = ", ".join(f"{way} {statistics.median(shares):.0%}" for way, shares in busy.items())
    return Result(rows, [f"p50 / p99 in us, the client's own cost included: {whole}; of its core used: {core}."])
