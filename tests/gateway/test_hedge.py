"""A second attempt when the first is late: one answer, and both are metered and billed truthfully (lesson 65)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from baseload.dispatch.policy import Policy
from baseload.gateway.journal.entries import Hold, Reading
from tests.gateway.harness import Home, Reply, Running, chat, exchange, gateway, post, price
from tests.vendors import Fault, Simulator, start

LATE = Fault(delay_s=1.2)


class Pair:
    """Two offers; the first, the cheaper one, is known to answer at once."""

    def __init__(self, home: Home, running: Running, first: Simulator, second: Simulator) -> None:
        self.home, self.running, self.first, self.second = home, running, first, second
        for _ in range(12):
            assert self.ask().headers["x-baseload-offer"] == "m@p1"

    def ask(self, **more: object) -> Reply:
        return exchange(self.running, post("/v1/chat/completions", chat(stream=True, **more)))

    def readings(self, call: str, count: int) -> list[Reading]:
        found: list[Reading] = []

        def there() -> bool:
            found[:] = [entry for entry in self.home.readings() if entry.call == call]
            return len(found) == count

        self.running.wait(there)
        holds = [entry.attempt for entry in self.home.journal() if isinstance(entry, Hold) and entry.call == call]
        assert sorted(holds) == sorted(entry.attempt for entry in found) == list(range(1, count + 1))
        return sorted(found, key=lambda entry: entry.attempt)


@pytest.fixture(params=["stops", "continues"])
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    home = Home(tmp_path, policies={"quick": Policy(hedge=True)}, account_policies=("quick",))
    home.prices = [price(1), price(2, input_="9", output="9")]
    with start() as first, start() as second:
        home.offer(first.base_url, abort=request.param)
        home.offer(second.base_url, prices=(2,), abort=request.param)
        with gateway(home) as running:
            yield Pair(home, running, first, second)


def test_the_second_wins_when_the_first_is_late(pair: Pair) -> None:
    pair.first.script(LATE)
    began = time.monotonic()
    reply = pair.ask()
    took = time.monotonic() - began
    assert (reply.status, reply.headers["x-baseload-offer"]) == (200, "m@p2")
    assert reply.body.count(b"data: [DONE]") == 1
    assert took < 1.1, "it did not wait for the first"
    lost, won = pair.readings(reply.headers["x-baseload-call-id"], 2)
    assert (won.offer, won.outcome, won.status) == (2, "ok", 200)
    assert {"hedge_lost", "not_charged"} <= set(lost.flags)
    assert (lost.offer, lost.outcome, lost.delivered_output) == (1, "client_left", 0)
    assert pair.ask().status == 200, "the grid is as before"


def test_the_first_wins_when_it_comes_after_all(pair: Pair) -> None:
    pair.first.script(Fault(delay_s=0.4))
    pair.second.script(Fault(delay_s=1.5))
    reply = pair.ask()
    assert reply.headers["x-baseload-offer"] == "m@p1"
    won, lost = pair.readings(reply.headers["x-baseload-call-id"], 2)
    assert (won.outcome, won.flags) == ("ok", ())
    assert "hedge_lost" in lost.flags


@pytest.mark.parametrize("who", ["first", "second"])
def test_when_one_fails_the_other_answers_and_nobody_tells_the_client(pair: Pair, who: str) -> None:
    failing, other = (pair.first, pair.second) if who == "first" else (pair.second, pair.first)
    failing.script(Fault(delay_s=0.5, status=500))
    other.script(Fault(delay_s=0.9))
    reply = pair.ask()
    assert reply.status == 200
    assert b'"error"' not in reply.body
    readings = pair.readings(reply.headers["x-baseload-call-id"], 2)
    outcomes = {entry.offer: entry.outcome for entry in readings}
    assert sorted(outcomes.values()) == ["ok", "upstream_error"]
    assert outcomes[1] == ("upstream_error" if who == "first" else "ok")


def test_when_both_fail_the_client_is_told_once(pair: Pair) -> None:
    pair.first.script(Fault(delay_s=0.5, status=500))
    pair.second.script(Fault(delay_s=0.9, status=500))
    reply = pair.ask()
    assert reply.status == 503
    assert len(pair.readings(reply.headers["x-baseload-call-id"], 2)) == 2


def test_a_client_that_leaves_ends_both(pair: Pair) -> None:
    pair.first.script(LATE)
    pair.second.script(LATE)
    with pair.running.connect() as sock:
        sock.sendall(post("/v1/chat/completions", chat(stream=True)))
        pair.second.wait(1)
    pair.home.wait_readings(14)
    last = pair.home.readings()[-2:]
    assert {entry.offer for entry in last} == {1, 2}
    assert {entry.outcome for entry in last} == {"client_left"}
    assert len({entry.call for entry in last}) == 1


def test_a_gateway_that_stops_answers_once(pair: Pair) -> None:
    pair.first.script(Fault(delay_s=1.5))
    pair.second.script(Fault(delay_s=1.5))
    with pair.running.connect() as sock:
        sock.sendall(post("/v1/chat/completions", chat(stream=True)))
        pair.second.wait(1)
        pair.running.stop()
        data = b""
        while piece := sock.recv(65536):
            data += piece
    assert data.count(b"HTTP/1.1 ") == 1
    assert len(pair.home.wait_readings(14)) == 14


def test_without_the_policy_or_for_a_whole_reply_there_is_one_attempt(pair: Pair) -> None:
    pair.first.script(Fault(delay_s=0.6), Fault(delay_s=0.6))
    assert pair.ask(baseload={"hedge": False}).headers["x-baseload-offer"] == "m@p1"
    whole = exchange(pair.running, post("/v1/chat/completions", chat()))
    assert whole.headers["x-baseload-offer"] == "m@p1"
    assert not pair.second.requests
