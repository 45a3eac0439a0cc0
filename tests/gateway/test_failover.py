"""A failed attempt is invisible to its client while another offer can serve, and every attempt is accounted for."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from baseload.dispatch.policy import Limits, Policy
from baseload.gateway.journal.entries import Hold, Reading
from tests.gateway.harness import Home, Reply, Running, chat, exchange, gateway, post, price, read_reply
from tests.vendors import Fault, failure, refusing_url, start

FAST = {"first_byte_timeout_s": 0.6, "idle_timeout_s": 0.6, "connect_timeout_s": 1.0}
ELSEWHERE = [
    "rate_limited", "overloaded", "bad_key", "no_money", "not_found",
    Fault(status=500), Fault(close="before_head"), Fault(close="after_head"), Fault(cut_at=60),
    Fault(stall="before_head"),
    Fault(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Fault(body=b"<html>", headers=(("content-type", "text/html"),)),
    Fault(body=b'{"error":{"message":"Busy","code":"overloaded"}}', headers=(("content-type", "application/json"),)),
]  # fmt: skip

_STATUS, _BODY, _ = failure("openai", "rate_limited")
_JSON = ("content-type", "application/json")
BRIEF = Fault(status=_STATUS, body=_BODY, headers=(_JSON, ("retry-after", "1")))
"""Slow down, for a second."""


def two(home: Home, cheap: str, dear: str, **more: Any) -> None:
    """Two offers of a model; the first is the cheaper one."""
    home.prices = [price(1), price(2, input_="9", output="9")]
    home.offer(cheap, **FAST, **more)
    home.offer(dear, prices=(2,), **FAST, **more)


def accounted(home: Home, call: str) -> list[Reading]:
    """The readings of a call, in order; each has its own hold, written before it."""
    entries = [entry for entry in home.journal() if isinstance(entry, Hold | Reading) and entry.call == call]
    holds = [entry.attempt for entry in entries if isinstance(entry, Hold)]
    readings = [entry for entry in entries if isinstance(entry, Reading)]
    assert holds == [entry.attempt for entry in readings] == list(range(1, len(readings) + 1))
    return readings


def ask(running: Running, **more: Any) -> Reply:
    return exchange(running, post("/v1/chat/completions", chat(**more)))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ELSEWHERE, ids=range(len(ELSEWHERE)))
def test_before_the_first_byte_a_failure_is_invisible(fault: Fault | str, stream: bool, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script(fault)
            reply = ask(running, stream=stream)
            assert reply.status == 200, reply.body
            home.wait_readings(2)
    assert b"echo" in reply.body
    assert reply.headers["x-baseload-offer"] == "m@p2"
    assert reply.headers["x-baseload-attempts"] == "2"
    first, second = accounted(home, reply.headers["x-baseload-call-id"])
    assert (first.offer, second.offer) == (1, 2)
    assert {"superseded", "not_charged"} <= set(first.flags)
    assert (first.status, second.status, second.outcome, second.fault) == (0, 200, "ok", "")
    assert first.fault
    assert second.expected_nano >= 0
    assert second.seen


@pytest.mark.parametrize("protocol", ["responses", "messages"])
def test_also_for_a_client_of_another_protocol(protocol: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    ask_ = {
        "responses": ("/v1/responses", b'{"model":"m","input":"hi","stream":true}'),
        "messages": ("/v1/messages", b'{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}'),
    }[protocol]
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script(Fault(status=503))
            reply = exchange(running, post(*ask_))
            home.wait_readings(2)
    assert (reply.status, reply.headers["x-baseload-offer"]) == (200, "m@p2")
    assert len(accounted(home, reply.headers["x-baseload-call-id"])) == 2


@pytest.mark.parametrize("fault", ["filtered", "bad_request"])
def test_what_is_the_clients_to_mend_is_told_at_once(fault: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script(fault)
            reply = ask(running)
            home.wait_readings(1)
            assert ask(running).headers["x-baseload-offer"] == "m@p1", "it counts against nobody"
    assert reply.status == 400
    assert not dear.requests


def test_too_long_goes_only_where_there_is_more_room(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as small, start() as same, start() as large:
        home.prices = [price(1), price(2, input_="3"), price(3, input_="9")]
        home.offer(small.base_url, facts={"context_max": 8000})
        home.offer(same.base_url, prices=(2,), facts={"context_max": 8000})
        home.offer(large.base_url, prices=(3,), facts={"context_max": 32_000})
        with gateway(home, health=True) as running:
            small.script("too_long")
            assert ask(running).headers["x-baseload-offer"] == "m@p3"
            small.script("too_long")
            large.script(Fault(status=500))
            refused = ask(running)
    assert not same.requests
    assert refused.status == 400, "the client can do most with this one"
    assert refused.json()["error"]["code"] == "context_length_exceeded"


def test_another_credential_of_the_same_provider_serves_when_one_is_out_of_money(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST", "sk-first")
    monkeypatch.setenv("SECOND", "sk-second")
    home = Home(tmp_path)
    with start() as vendor:
        home.offer(vendor.base_url, credential="env:FIRST", credentials=("env:SECOND",))
        with gateway(home, health=True) as running:
            vendor.script("no_money")
            first = ask(running)
            second = ask(running)
            home.wait_readings(3)
    assert (first.status, second.status) == (200, 200)
    assert [entry.credential for entry in accounted(home, first.headers["x-baseload-call-id"])] == [0, 1]
    assert [entry.credential for entry in accounted(home, second.headers["x-baseload-call-id"])] == [1]
    keys = [request.headers.get("authorization") for request in vendor.requests]
    assert keys == ["Bearer sk-first", "Bearer sk-second", "Bearer sk-second"]


def test_lesson_62_an_offer_that_keeps_failing_is_left_alone_and_comes_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start(close="before_head") as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            for _ in range(12):
                assert ask(running).status == 200
            asked = len(cheap.requests)
            assert asked == 3, "after three failures nobody asks it"
            cheap.always = Fault()
            time.sleep(2.5)
            back = ask(running)
    assert back.headers["x-baseload-offer"] == "m@p1"


def test_an_address_where_nobody_answers_is_tried_once_for_all_offers_there(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as dear, refusing_url() as nowhere:
        home.prices = [price(1), price(2, input_="9")]
        home.offer(nowhere, **FAST)
        home.offer(nowhere, **FAST)
        home.offer(dear.base_url, prices=(2,), **FAST)
        with gateway(home, health=True) as running:
            reply = ask(running)
    assert reply.headers["x-baseload-attempts"] == "2"
    first, _ = accounted(home, reply.headers["x-baseload-call-id"])
    assert first.fault == "refused_connection"
    assert "may_bill_twice" not in first.flags


def test_an_attempt_that_may_be_billed_twice_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script(Fault(stall="before_head"))
            reply = ask(running)
    first, _ = accounted(home, reply.headers["x-baseload-call-id"])
    assert (first.outcome, first.fault) == ("timeout", "timeout")
    assert "may_bill_twice" in first.flags


def test_lesson_44_who_pays_a_failed_attempt_is_a_declared_rule(tmp_path: Path) -> None:
    home = Home(tmp_path, policies={"own": Policy(failed_attempts="account")}, account_policies=("own",))
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script(Fault(stall="before_head"))
            reply = ask(running)
    first, _ = accounted(home, reply.headers["x-baseload-call-id"])
    assert "superseded" in first.flags
    assert "not_charged" not in first.flags


def test_lesson_59_after_the_first_text_nothing_is_begun_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script(Fault(words=30, cut_at=900))
            reply = ask(running, stream=True)
            (reading,) = home.wait_readings(1)
    assert reply.status == 200
    assert b'"error"' in reply.body
    assert not dear.requests
    assert reading.outcome == "upstream_cut"


def test_attempts_max_and_a_last_failure_that_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path, policies={"one": Policy(attempts_max=1)}, key_policy="one")
    with start(status=500) as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            reply = ask(running)
    assert reply.status == 503
    assert not dear.requests


def test_when_all_fail_the_most_telling_failure_is_the_answer(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script("rate_limited")
            dear.script("bad_key")
            reply = ask(running)
            home.wait_readings(2)
    assert reply.status == 429
    assert reply.json()["error"]["code"] == "rate_limit_exceeded"
    assert len(accounted(home, reply.headers["x-baseload-call-id"])) == 2


def test_under_a_deadline_a_call_waits_and_tries_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as only:
        home.offer(only.base_url)
        with gateway(home, health=True) as running:
            only.script(BRIEF)
            began = time.monotonic()
            reply = ask(running, baseload={"deadline_s": 10})
            took = time.monotonic() - began
            only.script(BRIEF)
            at_once = ask(running)
            home.wait_readings(3)
    assert reply.status == 200
    assert took >= 1.0, "never before the provider said"
    assert len(accounted(home, reply.headers["x-baseload-call-id"])) == 2
    assert at_once.status == 429, "without a deadline the client's own retries are enough"


def test_a_client_that_leaves_while_its_call_waits_ends_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as only:
        home.offer(only.base_url)
        with gateway(home, health=True) as running:
            only.script(BRIEF)
            with running.connect() as sock:
                sock.sendall(post("/v1/chat/completions", chat(baseload={"deadline_s": 10})))
                home.wait_readings(1)
            time.sleep(1.6)
            assert ask(running).status == 200, "the gateway is as before"
            home.wait_readings(2)
    assert len(only.requests) == 2, "nothing was asked for a client that had left"


def test_a_killed_gateway_accounts_for_both_attempts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script(Fault(status=500))
            dear.script(Fault(stall="before_head"))
            with running.connect() as sock:
                sock.sendall(post("/v1/chat/completions", chat()))
                running.wait(lambda: len([e for e in home.journal() if isinstance(e, Hold)]) == 2)
                running.kill()
        with gateway(home, health=True):
            readings = home.wait_readings(2)
    assert [(entry.attempt, entry.outcome) for entry in readings] == [(1, "upstream_error"), (2, "lost")]


def test_limits_of_an_offer_send_the_rest_elsewhere(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url, facts={"limits": Limits(requests_per_minute=3)})
        with gateway(home, args=("--limit", "wait_s=0")) as running:
            offers = Counter(ask(running).headers["x-baseload-offer"] for _ in range(6))
            full = ask(running)
    assert offers == {"m@p1": 3, "m@p2": 3}
    assert full.status == 429
    assert float(full.headers["retry-after"]) >= 1
    assert full.json()["error"]["code"] == "rate_limit_exceeded"


def test_lesson_60_a_conversation_stays_where_its_beginning_is_cached_while_that_is_cheaper(tmp_path: Path) -> None:
    """The first turn goes to the offer that is cheaper without a cache; once it is out for a turn, the next stay."""
    home = Home(tmp_path)
    rate = {"input": "2", "cache_read": "0.1", "output": "1"}
    home.prices = [price(1, input_="1", output="1"), msgspec.structs.replace(price(2), rate=rate)]
    home.prices[0] = msgspec.structs.replace(home.prices[0], rate={"input": "1", "output": "1"})
    talk = [{"role": "user", "content": "long ago " * 1200}]
    with start() as plain, start() as caching:
        home.offer(plain.base_url, prices=(1,))
        home.offer(caching.base_url, prices=(2,))
        with gateway(home) as running:
            first = ask(running, messages=talk, max_tokens=5)
            there = ask(running, messages=talk, max_tokens=5, baseload={"pin": "p2"})
            talk += [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "and then?"}]
            home.wait_readings(2)
            after = ask(running, messages=talk, max_tokens=5)
            home.wait_readings(3)
    assert [reply.headers["x-baseload-offer"] for reply in (first, there, after)] == ["m@p1", "m@p2", "m@p2"]
    (reading,) = accounted(home, after.headers["x-baseload-call-id"])
    assert reading.expected[1] > 1000, "tokens expected from the cache"


def test_what_a_provider_says_is_left_of_its_limit_is_obeyed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    left = (("x-ratelimit-remaining-requests", "1"), ("x-ratelimit-reset-requests", "1m0s"))
    with start() as cheap, start() as dear:
        two(home, cheap.base_url, dear.base_url)
        with gateway(home, health=True) as running:
            cheap.script(Fault(headers=left))
            offers = [ask(running).headers["x-baseload-offer"] for _ in range(4)]
    assert offers == ["m@p1", "m@p1", "m@p2", "m@p2"], "one more request was left"


def test_a_gateway_that_stops_tells_a_call_that_waits(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as only:
        home.offer(only.base_url)
        with gateway(home, health=True) as running:
            only.script(Fault(status=429, body=_BODY, headers=(_JSON, ("retry-after", "8"))))
            with running.connect() as sock:
                sock.sendall(post("/v1/chat/completions", chat(baseload={"deadline_s": 30})))
                home.wait_readings(1)
                time.sleep(0.2)
                began = time.monotonic()
                running.stop()
                reply = read_reply(sock)
                assert time.monotonic() - began < 5
    assert (reply.status, reply.json()["error"]["code"]) == (503, "draining")


def test_under_a_deadline_a_lone_offer_has_all_of_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as only:
        home.offer(only.base_url)
        with gateway(home, health=True) as running:
            only.script(Fault(delay_s=1.4))
            reply = ask(running, baseload={"deadline_s": 2.2})
            (reading,) = home.wait_readings(1)
    assert reply.status == 200
    assert reading.outcome == "ok"


def test_a_hedge_that_is_not_begun_locks_no_credential_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "sk-first")
    monkeypatch.setenv("SECOND", "sk-second")
    home = Home(tmp_path, policies={"quick": Policy(hedge=True)}, account_policies=("quick",))
    status, body, _ = failure("openai", "no_money")
    with start() as vendor:
        home.offer(vendor.base_url, credential="env:FIRST", credentials=("env:SECOND",))
        with gateway(home) as running:
            for _ in range(12):
                assert ask(running, stream=True).status == 200
            vendor.script(Fault(status=status, body=body, headers=(_JSON,), delay_s=0.6))
            reply = ask(running, stream=True)
    assert reply.status == 200
    assert [entry.credential for entry in accounted(home, reply.headers["x-baseload-call-id"])] == [0, 1]
