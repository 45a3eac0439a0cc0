"""Owned engines first, until they queue; then the rest goes to rented offers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.dispatch.policy import Limits
from baseload.gateway.loads import read_page
from tests.gateway.harness import Home, chat, exchange, gateway, post, price
from tests.vendors import Fault, start

PAGES = {
    "vllm": b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 4.0
vllm:num_requests_running{engine="1",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} %d.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
""",
    "sglang": b'sglang:num_running_reqs{model_name="m"} 7\nsglang:num_queue_reqs{model_name="m"} %d\n',
    "llamacpp": b"llamacpp:requests_processing 7\nllamacpp:requests_deferred %d\n",
}


def test_pages_are_summed_and_what_says_nothing_says_nothing() -> None:
    page = PAGES["vllm"] % 5
    assert read_page(page, "vllm:num_requests_running", "vllm:num_requests_waiting") == (7, 5)
    assert read_page(b"", "a", "b") is None
    assert read_page(b"b NaN\nb -1\nbb 4\n", "a", "b") is None
    assert read_page(b"b 3", "a", "b") == (0, 3)


@given(st.binary(max_size=2000))
def test_hostile_pages_raise_nothing(page: bytes) -> None:
    read_page(page, "a", "b")
    read_page(page + b"\nb{" + page + b"} 1\n", "a", "b")


@pytest.mark.parametrize("dialect", list(PAGES))
def test_an_engine_that_queues_comes_after_the_rented_offers(dialect: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prices = [price(1, input_="5", output="5"), price(2)]
    with start(dialect) as engine, start() as rented:
        engine.metrics = PAGES[dialect] % 0
        home.offer(engine.base_url, dialect=dialect, kind="engine")
        home.offer(rented.base_url, prices=(2,))
        with gateway(home) as running:

            def served_by() -> str:
                return exchange(running, post("/v1/chat/completions", chat())).headers["x-baseload-offer"]

            assert served_by() == "m@p1", "owned base load that is idle is next to free"
            engine.metrics = PAGES[dialect] % 2
            running.wait(lambda: served_by() == "m@p2", within_s=15)
            engine.metrics = PAGES[dialect] % 0
            running.wait(lambda: served_by() == "m@p1", within_s=15)
    assert engine.polls >= 2


def test_an_engine_without_a_page_is_known_by_our_own_attempts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prices = [price(1, input_="5", output="5"), price(2)]
    with start("vllm") as engine, start() as rented:
        home.offer(engine.base_url, dialect="vllm", kind="engine", facts={"limits": Limits(concurrent=1)})
        home.offer(rented.base_url, prices=(2,))
        with gateway(home) as running:
            engine.script(Fault(delay_s=1.0))
            offers: list[str] = []

            def one() -> None:
                reply = exchange(running, post("/v1/chat/completions", chat()))
                offers.append(reply.headers["x-baseload-offer"])

            slow = threading.Thread(target=one)
            slow.start()
            engine.wait(1)
            one()
            slow.join(10)
            one()
    assert offers == ["m@p2", "m@p1", "m@p1"], "its one place was taken"
    assert engine.polls == 1, "it has no page: it is not asked all the time"


def test_a_lone_engine_takes_more_than_its_places(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("vllm", delay_s=0.3) as engine:
        home.offer(engine.base_url, dialect="vllm", kind="engine", facts={"limits": Limits(concurrent=1)})
        with gateway(home) as running:
            statuses: list[int] = []
            threads = [
                threading.Thread(
                    target=lambda: statuses.append(exchange(running, post("/v1/chat/completions", chat())).status)
                )
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
    assert statuses == [200] * 4, "its own queue takes them"
