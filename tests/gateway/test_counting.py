"""How long a request is: told by the provider where it counts in that protocol, else estimated and marked so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import odd
from tests.gateway.harness import Home, Reply, Running, chat, exchange, gateway, post
from tests.gateway.through import offer
from tests.vendors import Fault, Simulator, start

TEXT = "one two three"
ASKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "messages": (
        "/v1/messages/count_tokens", {"model": "M", "messages": [{"role": "user", "content": TEXT}]}, "input_tokens",
    ),
    "gemini": ("/v1beta/models/M:countTokens", {"contents": [{"parts": [{"text": TEXT}]}]}, "totalTokens"),
    "responses": ("/v1/responses/input_tokens", {"model": "M", "input": TEXT}, "input_tokens"),
}  # fmt: skip
VENDORS = {"messages": "anthropic", "gemini": "gemini", "responses": "openai"}
EXACT = 6  # three words and three for the turn: as the simulated vendors count


class Grid:
    def __init__(self, running: Running, vendors: dict[str, Simulator]) -> None:
        self.running, self.vendors = running, vendors

    def count(self, protocol: str, model: str, **more: Any) -> Reply:
        path, body, _ = ASKS[protocol]
        body = {**body, **({"model": model} if "model" in body else {}), **more}
        return exchange(self.running, post(path.replace("M:", f"{model}:"), body))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    home = Home(tmp_path_factory.mktemp("counting"))
    with start("anthropic") as messages, start("gemini") as gemini, start("openai") as responses:
        vendors = {"messages": messages, "gemini": gemini, "responses": responses}
        for door, vendor in vendors.items():
            offer(home, vendor, door)
        with gateway(home) as running:
            yield Grid(running, vendors)


@pytest.mark.parametrize("protocol", ASKS)
def test_the_provider_counts_in_its_own_protocol(protocol: str, grid: Grid) -> None:
    asked = len(grid.vendors[protocol].requests)
    reply = grid.count(protocol, protocol)
    assert (reply.status, reply.json()[ASKS[protocol][2]]) == (200, EXACT), reply.body
    assert "x-baseload-count" not in reply.headers
    (request,) = grid.vendors[protocol].requests[asked:]
    assert f"up-{protocol}" in request.path + str(request.json)
    assert request.headers.get("anthropic-version", "2023-06-01") == "2023-06-01"


@pytest.mark.parametrize("protocol", ASKS)
def test_elsewhere_it_is_estimated_and_nobody_is_asked(protocol: str, grid: Grid) -> None:
    for door in VENDORS:
        if door == protocol:
            continue
        asked = len(grid.vendors[door].requests)
        reply = grid.count(protocol, door)
        assert (reply.status, reply.headers["x-baseload-count"]) == (200, "estimated")
        assert 1 <= reply.json()[ASKS[protocol][2]] <= 40
        assert len(grid.vendors[door].requests) == asked


@pytest.mark.parametrize("protocol", ASKS)
def test_a_provider_that_cannot_count_now(protocol: str, grid: Grid) -> None:
    vendor = grid.vendors[protocol]
    for fault, status in (
        (Fault(failure="rate_limited"), {"messages": 429, "gemini": 429, "responses": 429}),
        (Fault(failure="overloaded"), {"messages": 529, "gemini": 503, "responses": 503}),
        (Fault(failure="bad_key"), {"messages": 529, "gemini": 503, "responses": 503}),
        (Fault(close="before_head"), {"messages": 502, "gemini": 502, "responses": 502}),
    ):
        vendor.script(*[fault] * (2 if fault.close else 1))  # a kept connection that closes is tried once more
        reply = grid.count(protocol, protocol)
        vendor._script.clear()
        assert reply.status == status[protocol], (fault, reply.body)
        assert "error" in reply.json()
    assert grid.count(protocol, protocol).json()[ASKS[protocol][2]] == EXACT
    assert grid.running.home.readings() == [], "counting is no call"


@pytest.mark.parametrize("protocol", ASKS)
def test_what_cannot_be_counted_is_refused_as_a_call_would_be(protocol: str, grid: Grid) -> None:
    assert grid.count(protocol, "nothing").status == 404
    path, _, _ = ASKS[protocol]
    broken = exchange(grid.running, post(path.replace("M:", f"{protocol}:"), b"{]"))
    assert broken.status == 400
    anonymous = exchange(grid.running, post(path.replace("M:", f"{protocol}:"), b"{}", key=""))
    assert anonymous.status == 401


def test_vertex_counts_with_a_token_of_its_service_account(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("vertex") as vendor:
        offer(home, vendor, "gemini", model="vertex")
        with gateway(home) as running:
            grid = Grid(running, {})
            reply = grid.count("gemini", "vertex")
            assert (reply.status, reply.json()["totalTokens"]) == (200, EXACT), reply.body
            vendor.expire_tokens()
            assert [grid.count("gemini", "vertex").status for _ in range(2)] == [503, 200], "a new one is fetched"
            del vendor.requests[2:]
            assert [request.path.rpartition("/")[2] for request in vendor.requests] == [
                "token",
                "up-vertex:countTokens",
            ]
            assert "x-baseload-count" not in reply.headers


@pytest.mark.parametrize("reply", [odd.PLAIN, b"{}", b"[1]", b"no json", b'{"input_tokens":"many"}'])
def test_what_is_no_count_is_given_to_nobody(reply: bytes, tmp_path: Path) -> None:
    """A server that answers every path by generating would do so for nothing."""
    with odd.provider(odd.replies(odd.whole(reply))) as url:
        home = Home(tmp_path)
        home.offer(url, dialect="anthropic", endpoints=("messages",))
        with gateway(home) as running:
            got = exchange(running, post("/v1/messages/count_tokens", chat()))
    assert got.status >= 500
    assert got.json()["type"] == "error"
