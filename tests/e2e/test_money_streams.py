"""A hard account's stream ends at zero as its protocol ends a reply that reached its limit of tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.money import MoneyGrid, money_grid
from tests.gateway.harness import Reply, post, read_reply
from tests.vendors import start

WORDS = 4000
OFFER = """
[[providers]]
name = "{name}"
from = "{name}"
base_url = "{url}"
credential = "env:SIM_KEY"
[[offers]]
model = "m-{name}"
provider = "{name}"
{endpoints}
price = {{ currency = "USD", rate = {{ input = "1", output = "10", cache_read = "1" }} }}
"""
CLIENTS = ("chat", "completions", "messages", "responses", "gemini", "array")
PROVIDERS = ("openai", "anthropic", "gemini")
PAIRS = [
    (client, provider) for client in CLIENTS for provider in PROVIDERS
    if client != "completions" or provider == "openai"
]  # fmt: skip


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoneyGrid]:
    with (
        start("openai", words=WORDS, models=("m-openai",)) as one,
        start("anthropic", words=WORDS, models=("m-anthropic",)) as two,
        start("gemini", words=WORDS, models=("m-gemini",)) as three,
    ):
        text = "[engine]\nenabled = false\n"
        doors = 'endpoints = ["chat", "completions", "responses"]'
        for name, vendor, endpoints in (("openai", one, doors), ("anthropic", two, ""), ("gemini", three, "")):
            text += OFFER.format(name=name, url=vendor.base_url, endpoints=endpoints)
        for client, provider in PAIRS:
            text += f'[[accounts]]\nname = "{client}-{provider}"\nfunding = "prepaid"\n'
        with money_grid(tmp_path_factory.mktemp("streams"), text, limits=("lease_wait_s=2",)) as grid:
            yield grid


def ask(grid: MoneyGrid, client: str, model: str, key: str) -> Reply:
    said = [{"role": "user", "content": "tell me more"}]
    contents = [{"role": "user", "parts": [{"text": "tell me more"}]}]
    path, body = {
        "chat": ("/v1/chat/completions", {"messages": said, "stream_options": {"include_usage": True}}),
        "completions": ("/v1/completions", {"prompt": "tell me more"}),
        "messages": ("/v1/messages", {"messages": said, "max_tokens": 100_000}),
        "responses": ("/v1/responses", {"input": "tell me more"}),
        "gemini": (f"/v1beta/models/{model}:streamGenerateContent?alt=sse", {"contents": contents}),
        "array": (f"/v1beta/models/{model}:streamGenerateContent", {"contents": contents}),
    }[client]
    if client not in ("gemini", "array"):
        body |= {"model": model, "stream": True}
    with grid.running().connect(30) as sock:
        sock.sendall(post(path, body, key=key))
        return read_reply(sock)


def frames(body: bytes) -> list[Any]:
    lines = [line[5:].strip() for line in body.decode().splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def ended(client: str, body: bytes) -> None:
    """The proper end of a reply that reached a limit of tokens."""
    if client == "array":
        found = json.loads(body)
        assert found[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"
        return
    said = frames(body)
    assert not [frame for frame in said if frame.get("error")]
    if client in ("chat", "completions"):
        assert body.endswith(b"data: [DONE]\n\n")
        reasons = [choice["finish_reason"] for frame in said for choice in frame["choices"] if choice["finish_reason"]]
        assert reasons == ["length"]
        if client == "chat":
            assert said[-1]["usage"]["completion_tokens"] > 0
    elif client == "messages":
        kinds = [frame["type"] for frame in said]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert kinds.count("content_block_start") == kinds.count("content_block_stop")
        assert said[-2]["delta"]["stop_reason"] == "max_tokens"
    elif client == "responses":
        last = said[-1]
        assert last["type"] == "response.incomplete"
        assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
        text = "".join(frame["delta"] for frame in said if frame["type"] == "response.output_text.delta")
        whole = last["response"]["output"][-1]["content"][0]["text"]
        assert whole == text
        numbers = [frame["sequence_number"] for frame in said]
        assert numbers == sorted(set(numbers))
    else:
        assert said[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_stream_ends_cleanly_when_the_money_does(grid: MoneyGrid, client: str, provider: str) -> None:
    account = f"{client}-{provider}"
    key = grid.key(account)
    body = {"account": account, "amount": "0.012", "kind": "topup", "key": account}
    grid.client.post("/api/payments", body)
    reply = ask(grid, client, f"m-{provider}", key)
    assert reply.status == 200, reply.body
    assert reply.complete
    ended(client, reply.body)
    call = reply.headers["x-baseload-call-id"]
    found = grid.wait(
        lambda: (one := grid.client.get(f"/api/calls/{call}")["call"])["state"] != "running" and one["attempts"] and one
    )
    attempt = found["attempts"][0]
    assert attempt["outcome"] == "stopped"
    assert "out_of_money" in attempt["flags"]
    # the money went into the stream, but for a read or two of many frames, and not a nano-unit more
    purse = grid.wait(lambda: (one := grid.purse(account))["spent"] != "0.00" and one)
    assert 0.002 <= float(purse["spent"]) <= 0.012


def test_the_book_is_sound_after_all_of_them(grid: MoneyGrid) -> None:
    grid.settled()
    assert (found := [one for one in grid.check() if one["check"] != "cost_reported"]) == [], found
