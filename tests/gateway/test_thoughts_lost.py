"""A conversation goes on after the gateway that remembered its thinking is gone, or behind another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.harness import Home, Running, exchange, gateway, post
from tests.vendors import AWS_ID, AWS_SECRET, start

TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
DOORS = {
    # dialect -> (door, upstream model, credential, what the second request goes without)
    "anthropic": ("messages", "claude-haiku-4-5", "sk-test", "reasoning_effort"),
    "bedrock": ("converse", "anthropic.claude-haiku-4-5-20251001-v1:0", f"{AWS_ID}:{AWS_SECRET}", "reasoning_effort"),
    "gemini": ("gemini", "gemini-3-pro", "sk-test", ""),
    "openai": ("responses", "gpt-5-mini", "sk-test", ""),
}


def ask(running: Running, turns: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """(the assistant's message, what was left out) of one chat call."""
    body = {"model": "m", "messages": turns, "tools": [TOOL], "reasoning_effort": "high", "max_completion_tokens": 4000}
    reply = exchange(running, post("/v1/chat/completions", body))
    assert reply.status == 200, reply.body
    return reply.json()["choices"][0]["message"], reply.headers.get("x-baseload-dropped", "")


@pytest.mark.parametrize("dialect", DOORS)
def test_thinking_that_nobody_remembers_is_gone_and_the_conversation_is_not(
    dialect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, model, key, left_out = DOORS[dialect]
    monkeypatch.setenv("KEY_OF_VENDOR", key)
    home = Home(tmp_path)
    with start(dialect) as vendor:
        home.offer(
            vendor.provider_url, dialect=dialect, endpoints=(door,), upstream_model=model,
            credential="env:KEY_OF_VENDOR",
        )  # fmt: skip
        question = {"role": "user", "content": "think and use look"}
        with gateway(home) as running:
            said, dropped = ask(running, [question])
            assert dropped == ""
            (call,) = said["tool_calls"]
            # what a chat client sends back that knows no `reasoning_details`
            turns = [
                question,
                {"role": "assistant", "content": said["content"], "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
            ]
            kept, dropped = ask(running, turns)
            assert (kept["content"], dropped) == ("results sunny", "")
            remembered = json.dumps(vendor.requests[-1].json)
        with gateway(home) as running:  # the other process remembers nothing
            lost, dropped = ask(running, turns)
            assert (lost["content"], dropped) == ("results sunny", left_out)
            assert json.dumps(vendor.requests[-1].json) != remembered
