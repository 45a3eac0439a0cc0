"""Measures of streams: CPU a frame in full flow, and the memory of streams that are open and silent."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from bench import traffic
from bench.figures import Target, ratio_row, value_row
from bench.plan import Bench, Plan, Result
from bench.rig import NGINX, OURS, Proxy, Rig
from bench.streams import Streams
from bench.system import Spent, Trouble, resident_bytes

T = TypeVar("T")


def stream(bench: Bench) -> Result:
    """Streams whose client asks for usage: the frames pass as they are."""
    return _streamed(bench, "stream", "CPU a frame, usage asked for", asked=True)


def strip(bench: Bench) -> Result:
    """Streams whose client does not ask: the gateway asks, and takes usage out of every frame."""
    return _streamed(bench, "strip", "CPU a frame, usage stripped", asked=False)


def _streamed(bench: Bench, name: str, title: str, *, asked: bool) -> Result:
    plan, rig = bench.plan, bench.rig
    for proxy in rig.both:
        run(_check_streams(rig, proxy, asked))
    cpu: dict[str, list[float]] = {NGINX: [], OURS: []}
    rates: dict[str, list[float]] = {NGINX: [], OURS: []}
    for proxy in bench.turns(plan.stream_rounds):
        request = _stream_request(rig, asked, lasting(plan, plan.interval_ms), plan.interval_ms)
        frames, spent = run(window(rig, proxy, plan, request))
        bench.spent(spent)
        cpu[proxy.name].append(spent.cpu_s * 1e6 / frames)
        rates[proxy.name].append(frames / spent.wall_s)
    asked_rate = plan.streams * 1000 / plan.interval_ms
    slow = [f"{name} {min(values):,.0f}" for name, values in rates.items() if min(values) < 0.95 * asked_rate]
    remark = f"{name}: {plan.streams} streams, a frame every {plan.interval_ms} ms each, {asked_rate:,.0f} frames/s"
    remark += f"; not all arrived in time: {', '.join(slow)}." if slow else ", all delivered."
    return Result([ratio_row(name, title, "us", cpu[NGINX], cpu[OURS], Target(1.3))], [remark])


def _stream_request(rig: Rig, asked: bool, frames: int, interval_ms: int) -> bytes:
    options: dict[str, object] = {"stream_options": {"include_usage": True}} if asked else {}
    body = traffic.chat_body(
        traffic.MODEL_STREAM, 1024, stream=True, frames=frames, interval_ms=interval_ms, **options
    )  # fmt: skip
    return traffic.request(rig.key, body)


async def _check_streams(rig: Rig, proxy: Proxy, asked: bool) -> None:
    """Warms up, and holds every stream to its exact number of frames, its end and its usage."""
    frames, number = 25, 32
    streams = Streams(proxy.stream_port, _stream_request(rig, asked, frames, 4))
    try:
        await streams.open(number)
        await streams.ends(10.0)
        rig.count(proxy, traffic.MODEL_STREAM, number)
        # nginx adds no usage where none is asked for; Baseload asks upstream and hides the answer: the same frames
        wanted = frames + 2 + asked  # text, finish reason, [DONE], perhaps usage
        for reader in streams.readers:
            if reader.frames != wanted or b"data: [DONE]\n\n" not in reader.tail:
                raise Trouble(f"{proxy.name}: a stream had {reader.frames} frames instead of {wanted}, or no [DONE]")
            if (b'"usage"' in reader.tail) != asked:
                raise Trouble(f"{proxy.name}: usage in the stream: {not asked}, asked for: {asked}")
    finally:
        await streams.close()


def lasting(plan: Plan, interval_ms: int) -> int:
    """Frames of a stream that does not end within a window."""
    return int((plan.stream_s + 30) * 1000 / interval_ms)


async def window(rig: Rig, proxy: Proxy, plan: Plan, request: bytes, end: bytes = b"\n\n") -> tuple[int, Spent]:
    """(frames, what they cost) of streams in full flow; none begins or ends within the window."""
    streams = Streams(proxy.stream_port, request, end)
    try:
        await streams.open(plan.streams)
        await asyncio.sleep(0.3)
        before = streams.tally.frames
        watch = rig.watch(proxy)
        await asyncio.sleep(plan.stream_s)
        frames = streams.tally.frames - before
        spent = watch.stop()
        streams.check()
        if streams.tally.ended or not frames:
            raise Trouble(f"{proxy.name}: streams stood still or ended within the window")
        return frames, spent
    finally:
        await streams.close()


def memory(bench: Bench) -> Result:
    """Streams that are open and silent, in processes that have just begun: no memory of earlier load is reused."""
    rig, plan = bench.rig, bench.plan
    spare = 512  # listeners, journal, mocks' and runtime's own files
    number = min(plan.idle_streams, (rig.files - spare) // 2)
    growth: dict[str, float] = {}
    for fresh in (rig.fresh_nginx, rig.fresh_gateway):
        proxy = fresh()
        try:
            growth[proxy.name] = run(_idle(rig, proxy, number, plan.idle_warm))
        finally:
            rig.retire(proxy)
    row = value_row(
        "memory", f"memory of an idle stream, {number:,} open", "KB", [growth[NGINX]], [growth[OURS]], Target(8)
    )
    limit = f" (the limit of {rig.files:,} open files allows no more)" if number < plan.idle_streams else ""
    return Result(
        [row], [f"memory: {number:,} streams{limit}; resident memory, the kernel's socket buffers not counted."]
    )


async def _idle(rig: Rig, proxy: Proxy, number: int, warm: int) -> float:
    """KB of resident memory that each further stream adds after the first `warm`."""
    streams = Streams(proxy.stream_port, _stream_request(rig, asked=True, frames=1, interval_ms=0))
    try:
        await streams.open(warm)
        await asyncio.sleep(0.5)
        pids = proxy.child.pids()
        before = resident_bytes(pids)
        await streams.open(number - warm)
        await asyncio.sleep(1.5)
        streams.check()
        return (resident_bytes(pids) - before) / 1024 / (number - warm)
    finally:
        await streams.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    return uvloop.run(work)
