"""A storm: providers fail in every way, in turn and together, and no client sees it while one of them is healthy."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path

from baseload.gateway.journal.entries import Hold, Reading
from tests.gateway.harness import Home, chat, exchange, gateway, post, price
from tests.vendors import Fault, failure, start

FAST = {"first_byte_timeout_s": 0.5, "idle_timeout_s": 0.5, "connect_timeout_s": 1.0}
JSON = (("content-type", "application/json"),)


def said(kind: str) -> Fault:
    status, body, _ = failure("openai", kind)
    return Fault(status=status, body=body, headers=JSON)


WEATHER = [
    Fault(),
    said("rate_limited"), said("overloaded"), said("bad_key"), said("no_money"), said("not_found"),
    Fault(status=529), Fault(status=500), Fault(delay_s=0.1), Fault(stall="before_head"), Fault(close="before_head"),
    Fault(close="before_head", reset=True), Fault(cut_at=40), Fault(stall="body", stall_at=10),
    Fault(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Fault(body=b"<html>busy</html>", headers=(("content-type", "text/html"),)),
    Fault(body=b'{"error":{"message":"Busy","code":"overloaded"}}', headers=JSON), Fault(error_after=0),
]  # fmt: skip
PHASES, PHASE_S, CLIENTS = 14, 0.8, 8


def test_no_client_sees_a_storm_while_one_offer_is_healthy(tmp_path: Path) -> None:
    """Ten minutes of weather in twelve seconds: timeouts and phases are fifty times as short."""
    rng, home = random.Random(20261125), Home(tmp_path)
    home.prices = [price(number, input_=str(number), output=str(number)) for number in range(1, 6)]
    bad: list[str] = []
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    with start() as a, start() as b, start() as c, start() as d, start() as calm:
        for number, vendor in enumerate((a, b, c, d, calm), 1):
            home.offer(vendor.base_url, prices=(number,), **FAST)
        with gateway(home, health=True) as running:

            def client(number: int) -> None:
                local = random.Random(number)
                while not stop.is_set():
                    stream = local.random() < 0.5
                    reply = exchange(running, post("/v1/chat/completions", chat(stream=stream)))
                    whole = reply.status == 200 and b"echo" in reply.body
                    if stream:
                        whole = whole and b"data: [DONE]" in reply.body and b'"error"' not in reply.body
                    outcomes[reply.headers.get("x-baseload-offer", "none")] += 1
                    if not whole:
                        bad.append(f"{reply.status} {reply.body[:300]!r}")

            threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for _ in range(PHASES):
                for vendor in (a, b, c, d):
                    vendor.always = WEATHER[0] if rng.random() < 0.45 else rng.choice(WEATHER)
                time.sleep(PHASE_S)
            stop.set()
            for thread in threads:
                thread.join(30)
            running.wait(lambda: holds_and_readings(home)[0] == holds_and_readings(home)[1])
        entries = home.journal()
    assert not bad, f"{len(bad)} of {sum(outcomes.values())}: {bad[:3]}"
    assert len(outcomes) >= 3, "those that came back served again"
    # Every attempt is accounted for, once, and each call's last one is what its client got.
    readings = [entry for entry in entries if isinstance(entry, Reading)]
    attempts = Counter((entry.call, entry.attempt) for entry in readings)
    assert set(attempts.values()) == {1}
    assert attempts.keys() == {(entry.call, entry.attempt) for entry in entries if isinstance(entry, Hold)}
    last = {entry.call: entry for entry in sorted(readings, key=lambda entry: entry.attempt)}
    assert len(last) == sum(outcomes.values())
    assert all(entry.outcome == "ok" and entry.status == 200 for entry in last.values())
    superseded = [entry for entry in readings if "superseded" in entry.flags]
    assert len(superseded) == len(readings) - len(last)
    assert len(superseded) > 5  # how many depends on how soon breakers open
    assert all("not_charged" in entry.flags for entry in superseded)
    assert len(superseded) < len(last) // 2, "retries do not multiply a storm"


def holds_and_readings(home: Home) -> tuple[int, int]:
    entries = home.journal()
    return sum(isinstance(entry, Hold) for entry in entries), sum(isinstance(entry, Reading) for entry in entries)
