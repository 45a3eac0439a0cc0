"""Refusals and `x-baseload-dropped` name a member by the client's own word, whoever the provider is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target, Uncarried
from baseload.wire.protocols import CLIENTS, PROVIDERS

Body = dict[str, Any]
URL = "https://example.org/a.png"
TARGETS = ("chat", "responses", "messages", "gemini", "converse", "qwen")


def written(client: str, provider: str, body: Body) -> tuple[str, ...]:
    """What is lost on the way, by name."""
    request = CLIENTS[client].request_in(open_body(json.dumps(body).encode()))
    target = Target(protocol=provider, model="m", image_url=False, developer=False, reasoning_back=False)
    return PROVIDERS[provider].request_out(request, target).dropped


def refused(client: str, provider: str, body: Body) -> str:
    with pytest.raises(Uncarried) as caught:
        written(client, provider, body)
    assert caught.value.param is not None
    return caught.value.param


def chat(*messages: Body) -> Body:
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    return {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "a", **call}, {"id": "b", **call}]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": "2"},
            *messages,
        ],
    }


@pytest.mark.parametrize("provider", [each for each in TARGETS if each != "chat"])
def test_chat_counts_every_tool_message(provider: str):
    image = {"type": "image_url", "image_url": {"url": URL}}
    body = chat({"role": "user", "content": [{"type": "text", "text": "this"}, image]})
    assert refused("chat", provider, body) == "messages.5.content.1"


@pytest.mark.parametrize("provider", ["messages", "gemini", "converse", "qwen"])
def test_chat_names_a_participant_and_foreign_thinking(provider: str):
    thought = {"type": "reasoning.text", "text": "t", "signature": "s"}
    said = {"role": "assistant", "content": "x", "reasoning_content": "t", "reasoning_details": [thought]}
    lost = written("chat", provider, chat(said, {"role": "user", "name": "bob", "content": "go"}))
    assert {"messages.5.reasoning_details", "messages.6.name"} <= set(lost)


@pytest.mark.parametrize("provider", ["messages", "gemini", "converse"])
def test_pitfall_08_a_system_message_that_moves_is_named(provider: str):
    assert written("chat", provider, chat({"role": "system", "content": "late"})) == ("messages.5.role",)


@pytest.mark.parametrize("provider", [each for each in TARGETS if each != "messages"])
def test_messages_does_not_count_its_system_prompt(provider: str):
    image = {"type": "image", "source": {"type": "url", "url": URL}}
    body = {
        "model": "m",
        "max_tokens": 9,
        "system": "s",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "this"}, image]}],
    }
    assert refused("messages", provider, body) == "messages.0.content.1"


@pytest.mark.parametrize("provider", ["chat", "responses", "gemini"])
def test_messages_names_a_block_of_its_system_prompt(provider: str):
    mark = {"type": "ephemeral"}
    body = {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": mark}],
        "messages": [{"role": "user", "content": "u"}],
    }
    (lost,) = written("messages", provider, body)
    assert lost.startswith("system.1")


@pytest.mark.parametrize("provider", [each for each in TARGETS if each != "responses"])
def test_responses_names_the_item(provider: str):
    body = {
        "model": "m",
        "instructions": "s",
        "input": [
            {"role": "user", "content": "u"},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "1"},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": URL}],
            },
        ],
    }
    assert refused("responses", provider, body) == "input[3].content[1]"
    body["input"][3] = {"type": "item_reference", "id": "x"}
    assert refused("responses", provider, body) == "input[3]"


@pytest.mark.parametrize("provider", [each for each in TARGETS if each != "gemini"])
def test_gemini_counts_contents_that_a_library_keeps_in_pieces(provider: str):
    image = {"file_data": {"mime_type": "image/png", "file_uri": URL}}
    body = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "u"}]},
            {"role": "model", "parts": [{"text": "one "}]},
            {"role": "model", "parts": [{"text": "two"}]},
            {"role": "user", "parts": [{"text": "this"}, image]},
        ],
    }
    assert refused("gemini", provider, body) == "contents.3.parts.1"


TEXT = {"role": "user", "content": "u"}
TOOL = {"name": "f", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    ("client", "body", "named"),
    [
        ("chat", {"tools": [{"type": "function", "function": {**TOOL, "new": 1}}]}, "tools.0.function.new"),
        ("chat", {"tools": [{"type": "function", "function": TOOL, "new": 1}]}, "tools.0.new"),
        ("responses", {"tools": [{"type": "function", **TOOL, "new": 1}]}, "tools[0].new"),
        ("responses", {"reasoning": {"effort": "low", "new": 1}}, "reasoning.new"),
        ("responses", {"text": {"new": 1}}, "text.new"),
        ("messages", {"thinking": {"type": "adaptive", "new": 1}}, "thinking.new"),
        ("messages", {"tool_choice": {"type": "auto", "new": 1}}, "tool_choice.new"),
        ("messages", {"output_config": {"effort": "low", "new": 1}}, "output_config.new"),
        (
            "gemini",
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": 9, "new": 1}}},
            "generationConfig.thinkingConfig.new",
        ),
        (
            "gemini",
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}, "willContinue": True}}]}]},
            "contents.0.parts.0.functionResponse.willContinue",
        ),
    ],
)
def test_what_nobody_knows_inside_a_member_is_named(client: str, body: Body, named: str):
    plain: dict[str, Body] = {
        "chat": {"model": "m", "messages": [TEXT]},
        "responses": {"model": "m", "input": [TEXT]},
        "messages": {"model": "m", "max_tokens": 9, "messages": [TEXT]},
        "gemini": {"contents": [{"parts": [{"text": "u"}]}]},
    }
    for provider in TARGETS:
        if provider != client:
            assert named in written(client, provider, plain[client] | body), provider
