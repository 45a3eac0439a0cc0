"""Requests of coding agents, written by hand in their shape: dozens of tools, long histories, members of their own.

Where client and provider speak the same protocol every member's value arrives byte for byte; where they do not, the
conversation arrives in meaning: texts in order, tools by name and schema, results linked to their calls.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Raw

from tests.clients.grid import Grid
from tests.gateway.harness import KEY
from tests.wire.responses.codex import request as codex_request

TOOLS = 40
TURNS = 12
BETAS = "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14"


def schema(number: int) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "file_path": {
                "type": "string",
                "description": f"The path that tool {number} works on. " + "Details. " * 20,
            },
            "limit": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740993},
        },
        "required": ["file_path"],
        "additionalProperties": False,
    }


def claude_code(model: str) -> bytes:
    """Claude Code's: cache marks on system and the last turn, metadata, members that come and go."""
    mark = {"cache_control": {"type": "ephemeral"}}
    messages: list[dict[str, Any]] = []
    for turn in range(TURNS):
        text = f"step {turn}: \u00e9\U0001f600 " + "look at the file and say what you see. " * 20
        messages.append({"role": "user", "content": [{"type": "text", "text": text}]})
        call = {"type": "tool_use", "id": f"toolu_{turn:024d}", "name": "Tool0", "input": {"file_path": f"/src/{turn}"}}
        said = {"type": "text", "text": f"I look at step {turn}."}
        messages.append({"role": "assistant", "content": [said, call]})
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": f"content of {turn}", "is_error": False}
        messages.append({"role": "user", "content": [result]})
    messages[-1]["content"].append({"type": "text", "text": "and now the end", **mark})
    body = {
        "model": model,
        "max_tokens": 32000,
        "system": [{"type": "text", "text": "You are an agent. " * 200, **mark}, {"type": "text", "text": "cwd: /src"}],
        "tools": [
            {"name": f"Tool{number}", "description": "Does things. " * 60, "input_schema": schema(number)}
            for number in range(TOOLS)
        ],
        "messages": messages,
        "metadata": {"user_id": "user_0123_account__session_4567"},
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "stream": True,
        "temperature": 1,
    }
    return json.dumps(body, ensure_ascii=False, separators=(", ", ": ")).encode()


def members(body: bytes) -> dict[str, bytes]:
    return {name: bytes(raw) for name, raw in members_raw(body).items()}


def members_raw(body: bytes) -> dict[str, Raw]:
    return msgspec.json.decode(body, type=dict[str, Raw])


def send(grid: Grid, path: str, body: bytes, **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
    return httpx.post(f"{grid.running.url}{path}", content=body, headers=sent, timeout=60)


def test_claude_code_arrives_byte_for_byte(grid: Grid):
    assert httpx.head(f"{grid.running.url}/").status_code == 200  # its first request
    body = claude_code("messages")
    assert len(body) > 60_000
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": BETAS, "x-app": "cli", "user-agent": "claude-cli/2"}
    reply = send(grid, "/v1/messages?beta=true", body, **headers)
    assert reply.status_code == 200, reply.text
    assert "event: message_stop" in reply.text
    came = grid.vendors["messages"].requests[-1]
    sent, arrived = members(body), members(came.body)
    assert list(arrived) == list(sent)
    assert {name for name in sent if sent[name] != arrived[name]} == {"model"}
    assert came.path.endswith("/messages?beta=true")
    assert came.headers["anthropic-beta"] == BETAS
    assert "x-app" not in came.headers  # only Anthropic's own headers go on
    assert KEY not in came.head.decode("latin-1")


@pytest.mark.parametrize("name", ["chat", "responses", "gemini", "converse", "qwen", "deepseek"])
def test_claude_code_reaches_every_other_protocol_in_meaning(grid: Grid, name: str):
    reply = send(grid, "/v1/messages?beta=true", claude_code(name), **{"anthropic-version": "2023-06-01"})
    assert reply.status_code == 200, reply.text
    assert "message_stop" in reply.text
    text = grid.vendors[name].requests[-1].body.decode()
    value = json.loads(text)
    places = [text.find(f"step {turn}: ") for turn in range(TURNS)]
    assert -1 not in places
    assert places == sorted(places)
    results = [text.find(f"content of {turn}") for turn in range(TURNS)]
    assert all(asked < came for asked, came in zip(places, results, strict=True))
    assert results == sorted(results)
    assert all(f"Tool{number}" in text for number in range(TOOLS))
    assert "9007199254740993" in text
    assert "\U0001f600" in json.dumps(value, ensure_ascii=False)
    assert "context_management" in reply.headers["x-baseload-dropped"]


def test_codex_arrives_byte_for_byte(grid: Grid):
    body = msgspec.json.encode({**members_raw(codex_request()), "model": "responses"})
    reply = send(grid, "/v1/responses", body)
    # the simulated vendor looks into what it is given: it issued no such encrypted reasoning, and says so
    assert reply.json()["error"]["code"] == "invalid_encrypted_content"
    sent, arrived = members(body), members(grid.vendors["responses"].requests[-1].body)
    assert list(arrived) == list(sent)
    assert {name for name in sent if sent[name] != arrived[name]} == {"model"}
