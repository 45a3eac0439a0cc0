"""Thinking of another maker in a body that is forwarded as it came: it is left out, and named (pitfall 2)."""

from __future__ import annotations

import json
from typing import Any

from baseload.wire import gemini, messages, responses
from baseload.wire.body import open_body
from baseload.wire.canon.signature import MARK, seal
from baseload.wire.chat import patch_request, read_request

SEALED = seal("anthropic/claude", "sig", text="hm")
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"n": 9007199254740993}'}}


def test_pitfall_02_sealed_thinking_does_not_reach_a_chat_provider():
    own = {"type": "reasoning.text", "text": "t", "signature": "native", "index": 0}
    sealed = {"type": "reasoning.text", "text": "hm", "signature": SEALED, "index": 1}
    said = {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [CALL]}
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": f"quoted: {SEALED}"},
            {**said, "reasoning_details": [sealed]},
            {**said, "reasoning_details": [own, sealed]},
        ],
    }
    members = open_body(json.dumps(body).encode())
    lost: list[str] = []
    sent = json.loads(patch_request("chat", members, read_request("chat", members), "up", lost))
    assert sent["messages"] == [body["messages"][0], said, {**said, "reasoning_details": [own]}]
    assert lost == ["messages.1.reasoning_details", "messages.2.reasoning_details"]


def messages_body(*blocks: Any, thinking: Any) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
    return {
        "model": "m",
        "max_tokens": 5000,
        "thinking": thinking,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": list(blocks)},
            {"role": "user", "content": [result]},
        ],
    }


def forwarded(body: dict[str, Any], origin: str) -> tuple[dict[str, Any], list[str]]:
    members = open_body(json.dumps(body).encode(), messages.GUARDED)
    lost: list[str] = []
    return json.loads(messages.patch(members, messages.read_ask(members), "up", origin, lost)), lost


def test_pitfall_01_a_tool_loop_whose_thinking_is_another_models_goes_on_without_thinking():
    """Anthropic refuses the results of a tool call, while it thinks by a budget, without the thinking before it."""
    sealed = {"type": "thinking", "thinking": "hm", "signature": SEALED}
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    by_budget, adaptive = {"type": "enabled", "budget_tokens": 2048}, {"type": "adaptive"}
    sent, lost = forwarded(messages_body(sealed, use, thinking=by_budget), "anthropic/other")
    assert "thinking" not in sent
    assert sent["messages"][1]["content"] == [use]
    assert lost == ["messages.1.content.0", "thinking"]
    sent, lost = forwarded(messages_body(sealed, use, thinking=adaptive), "anthropic/other")
    assert (sent["thinking"], lost) == (adaptive, ["messages.1.content.0"])
    own = {"type": "thinking", "thinking": "hm", "signature": "native"}
    sent, lost = forwarded(messages_body(own, sealed, use, thinking=by_budget), "anthropic/other")
    assert (sent["thinking"], lost) == (by_budget, ["messages.1.content.1"])
    sent, lost = forwarded(messages_body(sealed, use, thinking=by_budget), "anthropic/claude")
    assert (sent["thinking"], lost) == (by_budget, [])
    assert sent["messages"][1]["content"][0]["signature"] == "sig"


def test_pitfall_02_responses_and_gemini_name_what_they_leave_out():
    item = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": SEALED}
    body = {"model": "m", "input": [{"role": "user", "content": "hi"}, item]}
    members = open_body(json.dumps(body).encode(), responses.GUARDED)
    lost: list[str] = []
    sent = responses.patch(members, responses.read_ask(members), "up", "openai/up", None, lost)
    assert MARK not in sent
    assert lost == ["input[1]"]
    part = {"text": "x", "thoughtSignature": SEALED}
    turns = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "a"}, part]}]
    body = {"contents": turns}
    members = open_body(json.dumps(body).encode(), ())
    lost = []
    sent = gemini.patch(members, gemini.read_ask(members, "m", False), "up", "gemini/up", lost)
    assert MARK not in sent
    assert lost == ["contents.1.parts.1.thoughtSignature"]
