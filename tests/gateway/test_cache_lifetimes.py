"""Which lifetime a cache write is billed by, where the provider does not say: the one that was written to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from baseload.gateway.passage import written_ttl
from tests.gateway import odd
from tests.gateway.harness import Home, Running, exchange, gateway, post, price

HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
REPLIES: dict[str, dict[str, Any]] = {
    "messages": {
        "id": "m", "type": "message", "role": "assistant", "model": "up", "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5, "cache_creation_input_tokens": 100},
    },
    "converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 108, "cacheWriteInputTokens": 100},
    },
    "chat": {
        "id": "c", "object": "chat.completion", "model": "up",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 103, "completion_tokens": 5, "total_tokens": 108,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100},
        },
    },
}  # fmt: skip
DIALECTS = {"messages": "anthropic", "converse": "bedrock", "chat": "openai"}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Running]]:
    home = Home(tmp_path_factory.mktemp("lifetimes"))
    home.prices = [price(number, model) for number, model in enumerate(REPLIES, 1)]
    with (
        odd.provider(_server("messages")) as messages,
        odd.provider(_server("converse")) as converse,
        odd.provider(_server("chat")) as chat,
    ):
        for number, (door, url) in enumerate((("messages", messages), ("converse", converse), ("chat", chat)), 1):
            home.offer(url, door, dialect=DIALECTS[door], endpoints=(door,), prices=(number,))
        with gateway(home) as running:
            yield home, running


def _server(door: str) -> odd.Handler:
    return odd.replies(odd.whole(json.dumps(REPLIES[door]).encode()))


def written(grid: tuple[Home, Running], path: str, body: dict[str, Any]) -> dict[str, int]:
    home, running = grid
    before = len(home.readings())
    reply = exchange(running, post(path, {"max_tokens": 50, **body}))
    assert reply.status == 200, reply.body
    reading = home.wait_readings(before + 1)[-1]
    return {name: count for name, count in reading.meters.items() if name.startswith("cache_write")}


def said(text: str, **mark: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text, **mark}]}]}


@pytest.mark.parametrize("door", ["messages", "converse"])
def test_a_block_marked_for_an_hour_is_billed_as_an_hour(door: str, grid: tuple[Home, Running]) -> None:
    assert written(grid, "/v1/chat/completions", {"model": door, **said("x", **HOUR)}) == {"cache_write_1h": 100}
    told_less = {"model": door, "prompt_cache_options": {"ttl": "5m"}, **said("x", **HOUR)}
    assert written(grid, "/v1/chat/completions", told_less) == {"cache_write_1h": 100}, "5m was not what was written"


@pytest.mark.parametrize("door", ["messages", "converse"])
def test_a_lifetime_is_billed_as_it_was_rounded(door: str, grid: tuple[Home, Running]) -> None:
    asked = {"model": door, "prompt_cache_options": {"ttl": "30m"}, **said("x", prompt_cache_breakpoint={})}
    assert written(grid, "/v1/chat/completions", asked) == {"cache_write_1h": 100}


def test_a_mark_that_was_left_out_bills_nothing_of_its_own(grid: tuple[Home, Running]) -> None:
    """OpenAI caches by itself, by its own lifetime."""
    assert written(grid, "/v1/messages", {"model": "chat", **said("x", **HOUR)}) == {"cache_write_30m": 100}


def test_a_clients_own_words_are_no_marks() -> None:
    text = json.dumps({"text": json.dumps({"a": 1, **HOUR}, separators=(",", ":"))}, separators=(",", ":"))
    assert written_ttl(text.encode()) == ""
    assert written_ttl(b'{"input":{"name":"a","ttl":"12h"}}') == ""
