"""Calls that wait for a place: admitted fairly, refused early, forgotten when their client leaves."""

from __future__ import annotations

import itertools
import json
import threading
import time
from pathlib import Path

from baseload.dispatch.policy import Limits
from tests.gateway.harness import Home, Reply, Running, chat, exchange, gateway, get, post
from tests.vendors import Fault, Simulator, start

ONE = {"limits": Limits(concurrent=1)}


class Crowd:
    """Clients of their own, each in a thread."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.replies: list[tuple[str, Reply, float]] = []
        self._threads: list[threading.Thread] = []

    def ask(self, name: str, **more: object) -> None:
        def one() -> None:
            began = time.monotonic()
            reply = exchange(self.running, post("/v1/chat/completions", chat(text=name, **more)))
            self.replies.append((name, reply, time.monotonic() - began))

        thread = threading.Thread(target=one)
        thread.start()
        self._threads.append(thread)

    def wait(self) -> list[str]:
        for thread in self._threads:
            thread.join(30)
        return [name for name, _, _ in self.replies]


def waiting(running: Running) -> int:
    page = exchange(running, get("/metrics")).body
    return int(float(page.split(b"\nbaseload_calls_waiting ")[1].split(b"\n")[0]))


def occupied(running: Running, vendor: Simulator) -> Crowd:
    """The one place is taken for a while."""
    vendor.script(Fault(delay_s=1.5))
    crowd = Crowd(running)
    crowd.ask("first")
    vendor.wait(1)
    return crowd


def test_calls_beyond_the_places_wait_and_are_served_in_turn(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as vendor:
        home.offer(vendor.base_url, facts=ONE)
        with gateway(home) as running:
            crowd = occupied(running, vendor)
            for number in range(5):
                crowd.ask(f"call {number}")
                running.wait(lambda number=number: waiting(running) == number + 1)
            crowd.wait()
            readings = home.wait_readings(6)
    asked = [json.loads(request.body)["messages"][0]["content"] for request in vendor.requests]
    assert asked == ["first", *(f"call {number}" for number in range(5))]
    assert all(reply.status == 200 for _, reply, _ in crowd.replies)
    starts = sorted((entry.sent_ns, entry.end_ns) for entry in readings)
    assert all(end <= later for (_, end), (later, _) in itertools.pairwise(starts)), "one at a time"


def test_nobody_waits_longer_than_the_limit_and_who_could_not_be_served_is_told_at_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as vendor, start() as slow:
        home.offer(vendor.base_url, facts=ONE)
        home.offer(slow.base_url, "hourly", facts={"limits": Limits(requests_per_day=1)})
        with gateway(home, args=("--limit", "wait_s=1")) as running:
            vendor.script(Fault(delay_s=4.0))
            crowd = Crowd(running)
            crowd.ask("first")
            vendor.wait(1)
            began = time.monotonic()
            late = exchange(running, post("/v1/chat/completions", chat()))
            waited = time.monotonic() - began
            assert exchange(running, post("/v1/chat/completions", chat("hourly"))).status == 200
            began = time.monotonic()
            never = exchange(running, post("/v1/chat/completions", chat("hourly")))
            at_once = time.monotonic() - began
            crowd.wait()
    assert (late.status, late.json()["error"]["code"]) == (503, "overloaded")
    assert 0.8 <= waited < 3.5
    assert never.status == 429
    assert float(never.headers["retry-after"]) > 1
    assert at_once < 0.8


def test_a_client_that_leaves_the_queue_is_asked_for_nowhere_and_billed_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as vendor:
        home.offer(vendor.base_url, facts=ONE)
        with gateway(home) as running:
            crowd = occupied(running, vendor)
            with running.connect() as sock:
                sock.sendall(post("/v1/chat/completions", chat(text="gone")))
                time.sleep(0.2)
            crowd.ask("last")
            assert crowd.wait() == ["first", "last"]
            home.wait_readings(2)
    assert not any(b"gone" in request.body for request in vendor.requests)


def test_one_account_that_fills_the_queue_is_told_to_slow_down(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as vendor:
        home.offer(vendor.base_url, facts=ONE)
        with gateway(home, args=("--limit", "waiting_max=4")) as running:
            crowd = occupied(running, vendor)
            for number in range(2):
                crowd.ask(f"call {number}")
                running.wait(lambda number=number: waiting(running) == number + 1)
            for number in range(2, 4):
                crowd.ask(f"call {number}")
            crowd.wait()
    statuses = sorted(reply.status for _, reply, _ in crowd.replies)
    assert statuses == [200, 200, 200, 429, 429]


def test_a_gateway_that_drains_lets_nobody_wait(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as vendor:
        home.offer(vendor.base_url, facts=ONE)
        with gateway(home) as running:
            vendor.script(Fault(delay_s=1.5))
            crowd = Crowd(running)
            crowd.ask("first")
            vendor.wait(1)
            crowd.ask("waits")
            time.sleep(0.3)
            running.stop()
            crowd.wait()
    assert {name: reply.status for name, reply, _ in crowd.replies} == {"first": 200, "waits": 503}
