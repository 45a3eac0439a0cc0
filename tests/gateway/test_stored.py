"""Responses that a provider keeps: found again at that provider, by the account that made them, and by nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from baseload.gateway import snapshot as snapshots
from baseload.gateway.snapshot import AccountRow, KeyRow
from baseload.gateway.vault import key_prefix
from tests.gateway.harness import KEY, Home, Reply, Running, exchange, gateway, get, post, price
from tests.gateway.through import CLIENTS, offer, sse
from tests.vendors import Fault, Simulator, start

OTHER = "sk-bl-otherotherotherotherotherother"


class TwoAccounts(Home):
    """A home in which a second account has a key."""

    def publish(self) -> None:
        super().publish()
        path = self.path / "snapshot.msgpack"
        row = snapshots.read(path)
        account = AccountRow(id=8, name="other", tariff=3)
        key = KeyRow(id=6, account=8, hash=self.vault.key_hash(OTHER.encode()), prefix=key_prefix(OTHER))
        snapshots.write(path, msgspec.structs.replace(row, accounts=[*row.accounts, account], keys=[*row.keys, key]))


class Grid:
    """Model `m` at two providers that keep replies, of which the second is the dearer; and at a chat door."""

    def __init__(self, running: Running, cheap: Simulator, dear: Simulator, chat: Simulator) -> None:
        self.running, self.cheap, self.dear, self.chat = running, cheap, dear, chat

    def send(self, request: bytes) -> Reply:
        return exchange(self.running, request)

    def ask(self, model: str, *, stream: bool = False, **more: Any) -> Reply:
        return self.send(CLIENTS["responses"].ask(model, "words=3", stream=stream, **more))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    home = TwoAccounts(tmp_path_factory.mktemp("stored"))
    home.prices = [price(1), price(2, output="9"), price(3, output="20")]
    with start() as cheap, start() as dear, start() as chat:
        offer(home, cheap, "responses", model="m")
        offer(home, dear, "responses", model="m", prices=(2,))
        offer(home, dear, "responses", model="dear", prices=(2,))
        home.offers[2] = msgspec.structs.replace(home.offers[2], provider=2)  # the same account at the same vendor
        offer(home, chat, "chat", model="c", prices=(3,))
        with gateway(home) as running:
            yield Grid(running, cheap, dear, chat)


def stored(grid: Grid, model: str = "dear") -> str:
    reply = grid.ask(model, store=True)
    assert reply.status == 200
    return str(reply.json()["id"])


@pytest.mark.parametrize("stream", [False, True])
def test_pitfall_26_a_conversation_goes_on_where_it_is_kept_though_another_is_cheaper(stream: bool, grid: Grid) -> None:
    assert grid.ask("m").headers["x-baseload-offer"] == "m@p1", "the cheaper one, if nothing is kept"
    first = stored(grid)
    native = grid.dear.requests[-1]
    reply = grid.ask("m", stream=stream, previous_response_id=first)
    assert reply.headers["x-baseload-offer"] == "m@p2"
    sent = grid.dear.requests[-1].json["previous_response_id"]
    assert sent != first
    assert first.startswith(sent)
    assert grid.dear.requests[-1].number > native.number
    frames = sse(reply.body) if stream else [{"response": reply.json()}]
    shown = [frame["response"] for frame in frames if "response" in frame]
    assert {each["previous_response_id"] for each in shown} == {first}, "the client sees its own id"
    (second,) = {each["id"] for each in shown}
    third = grid.ask("m", previous_response_id=second)
    assert (third.status, third.headers["x-baseload-offer"]) == (200, "m@p2")


def test_reading_listing_cancelling_and_deleting(grid: Grid) -> None:
    first = stored(grid)
    found = grid.send(get(f"/v1/responses/{first}"))
    assert (found.status, found.json()["id"], found.json()["status"]) == (200, first, "completed")
    items = grid.send(get(f"/v1/responses/{first}/input_items?limit=5&order=asc&evil=1"))
    assert (items.status, items.json()["object"]) == (200, "list")
    asked = grid.dear.requests[-1].path
    assert "limit=5" in asked
    assert "evil" not in asked
    cancelled = grid.send(post(f"/v1/responses/{first}/cancel", b""))
    assert cancelled.status in (200, 400), "what is over cannot be cancelled, says the provider"
    assert grid.dear.requests[-1].path.endswith("/cancel")
    assert (streamed := grid.send(get(f"/v1/responses/{first}?stream=true"))).status == 400, streamed.body
    gone = grid.send(get(f"/v1/responses/{first}", method="DELETE"))
    assert (gone.status, gone.json()["id"]) == (200, first)
    for request in (get(f"/v1/responses/{first}"), get(f"/v1/responses/{first}", method="DELETE")):
        reply = grid.send(request)
        assert (reply.status, reply.json()["error"]["code"]) == (404, "response_not_found")
    reply = grid.ask("m", previous_response_id=first)
    assert reply.status in (400, 404), "its provider knows it no more"
    assert grid.running.home.wait_readings(len(grid.running.home.readings()))


def test_ids_of_others_and_invented_ones_lead_nowhere(grid: Grid) -> None:
    first = stored(grid)
    native, _, mac = first.rpartition("_")
    asked = len(grid.dear.requests) + len(grid.cheap.requests)
    forged = (
        native, f"{native}_{'0' * 16}", f"{first}0", first.replace("_bl2_", "_bl1_"), f"x{first}", "resp_1", "x" * 1000,
        f"{native}_{mac[::-1]}",
    )  # fmt: skip
    for id_ in forged:
        assert id_ != first
        reply = grid.send(get(f"/v1/responses/{id_}"))
        assert (reply.status, reply.json()["error"]["code"]) == (404, "response_not_found"), id_
        reply = grid.ask("m", previous_response_id=id_)
        assert (reply.status, reply.json()["error"]["param"]) == (400, "previous_response_id"), id_
    mine = CLIENTS["responses"].ask("m", "hi", stream=False, previous_response_id=first)
    for request in (
        get(f"/v1/responses/{first}", key=OTHER),
        get(f"/v1/responses/{first}", key=OTHER, method="DELETE"),
        get(f"/v1/responses/{first}/input_items", key=OTHER),
    ):
        assert grid.send(request).status == 404
    assert grid.send(mine.replace(KEY.encode(), OTHER.encode())).status == 400
    assert grid.send(get(f"/v1/responses/{first}", key="sk-bl-nobody")).status == 401
    assert len(grid.dear.requests) + len(grid.cheap.requests) == asked, "no provider heard of any of it"


def test_a_reply_whose_provider_is_gone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as one, start() as two:
        offer(home, one, "responses", model="m")
        with gateway(home) as running:
            grid = Grid(running, one, two, one)
            first = stored(grid, "m")
            home.offers.clear()
            home.providers.clear()
            home.offers, home.providers = [], []
            offer(home, two, "responses", model="m")
            row, provider = home.offers[0], home.providers[0]
            home.offers[0] = msgspec.structs.replace(row, id=9, provider=9, name="m@p9")
            home.providers[0] = msgspec.structs.replace(provider, id=9, name="p9")
            home.publish()
            running.wait(lambda: grid.ask("m").headers.get("x-baseload-offer") == "m@p9")
            assert grid.send(get(f"/v1/responses/{first}")).status == 404
            reply = grid.ask("m", previous_response_id=first)
            assert (reply.status, reply.json()["error"]["param"]) == (400, "previous_response_id")
            assert not any("previous_response_id" in (request.json or {}) for request in two.requests)


def test_state_that_nobody_could_meter_or_find_again_is_refused(grid: Grid) -> None:
    for member, value in (("conversation", "conv_1"), ("conversation", {"id": "conv_1"}), ("background", True)):
        for model in ("m", "c"):
            reply = grid.ask(model, **{member: value})
            assert (reply.status, reply.json()["error"]["param"]) == (400, member)
    assert grid.ask("m", background=False, conversation=None).status == 200
    first = stored(grid)
    reply = grid.ask("c", previous_response_id=first)
    assert (reply.status, reply.json()["error"]["param"]) == (400, "previous_response_id"), "its provider has no c"


def test_a_translated_reply_is_not_kept_and_says_so(grid: Grid) -> None:
    reply = grid.ask("c", store=True)
    assert (reply.status, reply.json()["store"], reply.headers["x-baseload-dropped"]) == (200, False, "store")
    assert grid.send(get(f"/v1/responses/{reply.json()['id']}")).status == 404
    assert "x-baseload-dropped" not in grid.ask("c", store=False).headers
    lossless = CLIENTS["responses"].ask("c", "hi", stream=False, extra="x-baseload-lossless: true\r\n", store=True)
    refused = grid.send(lossless)
    assert (refused.status, refused.json()["error"]["param"]) == (400, "store")


@pytest.mark.parametrize("fault", [Fault(error_after=3), Fault(cut_at=4200, words=40)])
def test_an_error_of_ours_bears_the_number_that_comes_next(fault: Fault, grid: Grid) -> None:
    grid.cheap.script(fault)
    frames = sse(grid.ask("m", stream=True).body)
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert frames[-1]["type"] == "error"
    assert "output_text.delta" in json.dumps(frames[-2])


@pytest.mark.parametrize("previous", [5, True, {}, ["resp_1"]])
def test_what_is_no_id_at_all_is_refused(previous: Any, grid: Grid) -> None:
    reply = grid.ask("m", previous_response_id=previous)
    assert reply.status == 400
    assert reply.json()["error"]["param"] == "previous_response_id"
