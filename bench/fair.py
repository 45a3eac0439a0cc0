"""How much a flood of one account delays another: `python -m bench.fair`. Target: at most 20 % at the median.

One offer with PLACES places in front of a mock that answers in WORK_S. Account B asks one call after another; account
A does nothing, then floods with FLOOD clients that ask again at once. Both share the places; the queue is fair. What B
can expect: with the flood it waits for one place to become free, that is about WORK_S / PLACES more.
Loopback only, about 20 s.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from baseload.dispatch.policy import Limits
from baseload.gateway import snapshot
from baseload.gateway.vault import Vault, key_prefix, new_key
from baseload.money.price import PriceRow
from bench.system import Trouble

PLACES, WORK_S, FLOOD, CALLS, ROUNDS = 16, 0.1, 64, 40, 3
REPLY = json.dumps({
    "id": "x", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
}).encode()  # fmt: skip
BODY = json.dumps({"model": "m", "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]}).encode()


async def mock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(size)
            await asyncio.sleep(WORK_S)
            head_out = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REPLY)
            writer.write(head_out + REPLY)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


def home_of(folder: Path, url: str) -> list[str]:
    """Two accounts with a key each."""
    vault = Vault.open(folder, create=True)
    keys = [new_key(), new_key()]
    rate = {"input": "1", "cache_read": "1", "output": "1"}
    snapshot.write(folder / "snapshot.msgpack", snapshot.Snapshot(
        format=snapshot.FORMAT, version=1, made_ns=time.time_ns(),
        accounts=[snapshot.AccountRow(id=number, name=f"a{number}", tariff=1) for number in (1, 2)],
        keys=[snapshot.KeyRow(id=number, account=number, hash=vault.key_hash(key.encode()), prefix=key_prefix(key))
              for number, key in enumerate(keys, 1)],
        providers=[snapshot.ProviderRow(id=1, name="p", kind="vendor", dialect="openai", base_url=url)],
        offers=[snapshot.OfferRow(id=1, name="m@p", model="m", provider=1, upstream_model="m", endpoints=("chat",),
                                  cost_prices=(1,), limits=Limits(concurrent=PLACES))],
        tariffs=[snapshot.TariffRow(id=1, name="t", margin_ppm=0)],
        prices=[PriceRow(id=1, book="cost:m", model="m", currency="USD", rate=rate)],
    ))  # fmt: skip
    return keys


async def ask(port: int, key: str, times: list[float], stop: asyncio.Event, calls: int = 0) -> None:
    """One client: `calls` calls, 0 = until it is stopped."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
    ).encode()
    done = 0
    while not stop.is_set() and (not calls or done < calls):
        began = time.perf_counter()
        writer.write(head + BODY)
        reply = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in reply.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(size)
        if not reply.startswith(b"HTTP/1.1 200"):
            raise Trouble(f"a call failed: {reply[:200]!r}")
        times.append(time.perf_counter() - began)
        done += 1
    writer.close()


async def measure(port: int, keys: list[str]) -> tuple[float, float]:
    """Seconds a call of B takes at the median: alone, and beside the flood."""
    alone: list[float] = []
    await ask(port, keys[1], alone, asyncio.Event(), CALLS)
    stop, beside = asyncio.Event(), list[float]()
    flood = [asyncio.create_task(ask(port, keys[0], [], stop)) for _ in range(FLOOD)]
    await asyncio.sleep(4 * WORK_S)
    await ask(port, keys[1], beside, asyncio.Event(), CALLS)
    stop.set()
    await asyncio.gather(*flood)
    return statistics.median(alone), statistics.median(beside)


async def run() -> list[tuple[float, float]]:
    server = await asyncio.start_server(mock, "127.0.0.1", 0, limit=2**20)
    port = server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="baseload-fair-") as name:
        folder = Path(name)
        os.chmod(folder, 0o700)
        keys = home_of(folder, f"http://127.0.0.1:{port}/v1")
        probe = await asyncio.start_server(mock, "127.0.0.1", 0)
        own = probe.sockets[0].getsockname()[1]
        probe.close()
        words = [sys.executable, "-m", "baseload.gateway", "--home", name, "--id", "g0", "--host", "127.0.0.1"]
        with open(folder / "log", "wb") as log:
            child = subprocess.Popen([*words, "--port", str(own)], stdout=log, stderr=log)
        try:
            for _ in range(200):
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", own)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
            else:
                raise Trouble(f"the gateway did not start: {(folder / 'log').read_text()[-500:]}")
            return [await measure(own, keys) for _ in range(ROUNDS)]
        finally:
            child.terminate()
            child.wait(20)
            server.close()


def main() -> None:
    found = asyncio.run(run())
    for alone, beside in found:
        print(f"alone {alone * 1000:6.1f} ms   beside the flood {beside * 1000:6.1f} ms   x{beside / alone:.2f}")
    print(f"median x{statistics.median(beside / alone for alone, beside in found):.2f} (target at most x1.20)")


if __name__ == "__main__":
    main()
