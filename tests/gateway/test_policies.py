"""Policies, groups and fallbacks at the socket: what a call, a key and an account may ask, and what is explained."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from baseload.dispatch.policy import Policy
from baseload.dispatch.seen import decode, order
from baseload.gateway.snapshot import GroupRow
from tests.gateway.harness import Home, Reply, Running, chat, exchange, gateway, get, post, price
from tests.vendors import Fault, Simulator, start


def lines(headers: dict[str, str] | None) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())


@dataclass
class Grid:
    home: Home
    running: Running
    vendors: dict[str, Simulator]

    def ask(self, model: str = "m", headers: dict[str, str] | None = None, **more: Any) -> Reply:
        return exchange(self.running, post("/v1/chat/completions", chat(model, **more), extra=lines(headers)))

    def explain(self, path: str = "", headers: dict[str, str] | None = None, **more: Any) -> Any:
        body = more.pop("body", None) or chat(more.pop("model", "m"), **more)
        reply = exchange(self.running, post(f"/v1/dispatch/explain{path}", body, extra=lines(headers)))
        assert reply.status == 200, reply.body
        return reply.json()


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """Three offers of `m`, by price: cn (weak), eu (strong), us (strong, sees); one of `other`; a group of both."""
    home = Home(tmp_path_factory.mktemp("policies"))
    home.prices = [price(1), price(2, input_="3", output="3"), price(3, input_="9", output="9"), price(4, "other")]
    with start() as cn, start("deepseek") as eu, start() as us, start(models=("m", "other")) as spare:
        weak = {"capabilities": ("tools", "json"), "quality": {"": 300}}
        home.offer(cn.base_url, facts=weak, region="cn", residency="cn")
        home.offer(
            eu.base_url, prices=(2,), dialect="deepseek", region="eu", residency="eu",
            facts={"quality": {"": 600, "code": 900}, "capabilities": ("tools", "json", "schema", "thinking")},
        )  # fmt: skip
        home.offer(us.base_url, prices=(3,), region="us", residency="us", facts={"quality": {"": 700}})
        home.offer(spare.base_url, "other", prices=(4,), region="eu", residency="eu")
        wide = Policy(regions=("cn", "eu", "us"), max_cost="0.5 USD")
        home.policies = {"wide": wide, "grouped": Policy(residency=("eu",))}
        home.account_policies = ("wide",)
        home.groups = [GroupRow(name="auto", models=("m", "other")), GroupRow(name="eu/auto", models=("m",), policy=2)]
        with gateway(home) as running:
            yield Grid(home, running, {"cn": cn, "eu": eu, "us": us, "spare": spare})


WINS = [
    ({}, {}, "m@p1"),
    ({"regions": ["eu", "us"]}, {}, "m@p2"),
    ({}, {"x-baseload-regions": "eu, us"}, "m@p2"),
    ({"regions": ["eu"]}, {"x-baseload-regions": "eu,cn"}, "m@p2"),
    ({"quality_min": 500}, {}, "m@p2"),
    ({"quality_min": 650}, {}, "m@p3"),
    ({"quality_min": 650, "work": "code"}, {}, "m@p2"),
    ({"require": ["vision"]}, {}, "m@p3"),
    ({"not_vendors": ["openai"]}, {}, "m@p2"),
    ({"vendors": ["deepseek"]}, {}, "m@p2"),
    ({"pin": "p3"}, {}, "m@p3"),
    ({}, {"x-baseload-pin": "m@p2"}, "m@p2"),
    ({"residency": ["us"], "objective": "balanced", "weights": {"cost": 2, "first_token": 1, "speed": 0}}, {}, "m@p3"),
]


@pytest.mark.parametrize(("member", "headers", "offer"), WINS, ids=range(len(WINS)))
def test_a_call_says_what_may_serve_it(grid: Grid, member: dict[str, Any], headers: dict[str, str], offer: str) -> None:
    more = {"baseload": member} if member else {}
    reply = grid.ask(headers=headers, **more)
    assert reply.headers["x-baseload-offer"] == offer
    explained = grid.explain(headers=headers, **more)
    assert explained["winner"]["offer"] == offer
    sent = [request for vendor in grid.vendors.values() for request in vendor.requests]
    assert not any(b"baseload" in request.body for request in sent), "no provider sees the member"


def test_a_request_goes_to_an_offer_that_can_do_what_it_shows(grid: Grid) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}]
    assert grid.ask(response_format=schema).headers["x-baseload-offer"] == "m@p2"
    assert grid.ask(messages=image).headers["x-baseload-offer"] == "m@p3"
    assert grid.explain(messages=image)["needs"] == ["vision"]
    words = [{"role": "user", "content": 'what is an "image_url"?'}]
    assert grid.explain(messages=words)["needs"] == []


def test_the_accounts_limits_are_a_ceiling(grid: Grid) -> None:
    refused = grid.ask(baseload={"regions": ["mars"]})
    assert (refused.status, refused.json()["error"]["code"]) == (400, "no_offer_fits")
    assert "regions" in refused.json()["error"]["message"]
    loose = grid.explain(baseload={"regions": ["mars", "cn"], "max_cost": "9 USD"})
    assert loose["policy"]["regions"] == ["cn"]
    assert loose["policy"]["max_cost"] == "0.5 USD"


REFUSED = [
    ({"objektive": "fastest"}, {}, "baseload.objektive", "objective"),
    ({"objective": "best"}, {}, "baseload.objective", ""),
    ({"quality_min": "high"}, {}, "baseload.quality_min", ""),
    ({"consents": ["contributor"]}, {}, "baseload.consents", ""),
    ({"failed_attempts": "us"}, {}, "baseload.failed_attempts", ""),
    ({"resume": True}, {}, "baseload.resume", ""),
    ({"max_cost": "1 GBP"}, {}, "max_cost", ""),
    ({"max_price": {"inptu": "1"}}, {}, "baseload.max_price", ""),
    ({}, {"x-baseload-quality-min": "high"}, "x-baseload-quality-min", ""),
    ({}, {"x-baseload-regoins": "eu"}, "x-baseload-regoins", "regions"),
    ({}, {"x-baseload-weights": "1"}, "x-baseload-weights", ""),
    ({}, {"x-baseload-require": "visoin"}, "x-baseload-require", "vision"),
]


@pytest.mark.parametrize(("member", "headers", "param", "hint"), REFUSED, ids=range(len(REFUSED)))
def test_what_a_call_says_wrongly_is_refused_by_its_name(
    grid: Grid, member: dict[str, Any], headers: dict[str, str], param: str, hint: str
) -> None:
    reply = grid.ask(headers=headers, **({"baseload": member} if member else {}))
    assert reply.status == 400, reply.body
    error = reply.json()["error"]
    assert error["param"] == param
    assert hint in error["message"]


def test_a_member_that_is_no_object_is_refused(grid: Grid) -> None:
    assert grid.ask(baseload=7).json()["error"]["param"] == "baseload"
    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"baseload":{"objective":1}}'
    reply = exchange(grid.running, post("/v1/messages", body))
    assert (reply.status, reply.json()["type"]) == (400, "error")


def test_a_group_lets_dispatch_choose_the_model(grid: Grid) -> None:
    reply = grid.ask("auto")
    assert reply.headers["x-baseload-offer"] == "m@p1"
    other = grid.ask("auto", baseload={"residency": ["eu"]}, max_tokens=5)
    assert (other.headers["x-baseload-offer"], other.headers["x-baseload-model"]) == ("other@p4", "other")
    assert grid.ask("eu/auto").headers["x-baseload-offer"] == "m@p2", "its policy binds"
    listed = exchange(grid.running, get("/v1/models")).json()["data"]
    assert {"auto", "eu/auto", "m", "other"} == {model["id"] for model in listed}
    reading = next(one for one in grid.home.readings() if one.call == other.headers["x-baseload-call-id"])
    assert (reading.model, reading.offer) == ("auto", 4)


def test_fallbacks_serve_when_the_first_model_cannot(grid: Grid) -> None:
    for vendor in ("cn", "eu", "us"):
        grid.vendors[vendor].script(Fault(status=500))
    reply = grid.ask(baseload={"fallbacks": ["nobody", "other"]})
    assert reply.status == 200
    assert (reply.headers["x-baseload-model"], reply.headers["x-baseload-attempts"]) == ("other", "4")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses", "/v1beta/models/m:generateContent"])
def test_every_protocol_can_be_explained(grid: Grid, path: str) -> None:
    bodies = {
        "/v1/messages": b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}',
        "/v1/responses": b'{"model":"m","input":"x","baseload":{"quality_min":500}}',
        "/v1beta/models/m:generateContent": b'{"contents":[{"parts":[{"text":"x"}]}],"baseload":{"pin":"p2"}}',
    }
    found = grid.explain(path, body=bodies[path])
    assert found["endpoint"] in ("messages", "responses", "gemini")
    reply = exchange(grid.running, post(path, bodies[path]))
    assert reply.status == 200, reply.body
    assert reply.headers["x-baseload-offer"] == found["winner"]["offer"]


def test_explanations_equal_decisions_for_random_policies(grid: Grid) -> None:
    rng = random.Random(5)
    refused = 0
    for _ in range(60):
        member: dict[str, Any] = {"objective": rng.choice(["cheapest", "fastest", "balanced"])}
        if rng.random() < 0.5:
            member["regions"] = rng.sample(["cn", "eu", "us"], 2)
        if rng.random() < 0.3:
            member["quality_min"] = rng.randrange(0, 800)
        if rng.random() < 0.2:
            member["max_cost"] = f"0.00{rng.randrange(1, 9)} USD"
        if rng.random() < 0.2:
            member["require"] = [rng.choice(["vision", "schema", "tools"])]
        explained = grid.explain(baseload=member)
        reply = grid.ask(baseload=member)
        if explained["winner"] is None:
            refused += 1
            assert reply.json()["error"]["code"] == explained["refusal"]["code"]
        else:
            assert reply.headers["x-baseload-offer"] == explained["winner"]["offer"], member
    assert refused < 60


def test_what_a_decision_saw_is_in_its_reading(grid: Grid) -> None:
    reply = grid.ask(baseload={"quality_min": 500})
    reading = next(one for one in grid.home.readings() if one.call == reply.headers["x-baseload-call-id"])
    view = decode(reading.seen)
    assert view is not None
    lines = order(view)
    assert [(line.rank, line.offer, bool(line.why_not)) for line in lines] == [
        (1, 2, False),
        (2, 3, False),
        (0, 1, True),
    ]
    assert lines[0].expected <= lines[1].expected
    assert reading.expected_nano == lines[0].expected
    assert len(reading.expected) == 3


def test_an_explanation_shows_charges_by_part_and_sends_nothing(grid: Grid) -> None:
    before = {name: len(vendor.requests) for name, vendor in grid.vendors.items()}
    found = grid.explain(messages=[{"role": "user", "content": "x" * 4000}])
    line = found["models"][0]["order"][0]
    parts = line["expected"]["parts"]
    total = sum(round(float(value) * 1e9) for value in parts.values())
    assert abs(total - line["expected"]["nano"]) <= 2, "20 % margin is in every part"
    assert line["expected"]["currency"] == "USD"
    assert before == {name: len(vendor.requests) for name, vendor in grid.vendors.items()}
    refused = exchange(grid.running, post("/v1/dispatch/explain", chat("nobody")))
    assert refused.status == 404
    assert json.loads(refused.body)["error"]["code"] == "model_not_found"


def test_an_explanation_keeps_the_operators_affairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    home = Home(tmp_path)
    home.prices = [price(1), price(2, input_="9")]
    with start() as poor, start() as rich:
        home.offer(poor.base_url)
        home.offer(rich.base_url, prices=(2,))
        home.offer(rich.base_url, credential="env:NOT_SET")
        with gateway(home, health=True) as running:
            poor.script("no_money")
            exchange(running, post("/v1/chat/completions", chat()))
            reply = exchange(running, post("/v1/dispatch/explain", chat()))
            metrics = exchange(running, get("/metrics")).body
    text = reply.body.decode()
    assert "money" not in text
    assert "NOT_SET" not in text
    order = reply.json()["models"][0]["order"]
    assert [line["offer"] for line in order if line["rank"] == 1] == ["m@p2"]
    assert {line["why_not"] for line in order} >= {"it is not ready"}
    assert b"baseload_offers_out 1" in metrics
