"""One call between two protocols: what the pieces do together and no piece shows alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target, Uncarried, View
from baseload.wire.canon.request import Thinking
from baseload.wire.translation import Translation

VIEW = View(model="m", id="c1", created_s=1, origin="gemini/up")


class Kept(dict[str, list[Thinking]]):
    """Where thinking is kept, as the gateway's store."""

    def put(self, call_id: str, thoughts: list[Thinking]) -> None:
        self[call_id] = list(thoughts)

    def get(self, call_id: str) -> list[Thinking]:  # type: ignore[override]
        return super().get(call_id, [])


def sent(translation: Translation, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(translation.request(open_body(json.dumps(body).encode()), "up", False).body)
    return found


@pytest.mark.parametrize("id_", ["call_1", "functions.look:0"])
def test_pitfall_01_thinking_is_found_again_by_an_id_of_any_characters(id_: str):
    """A chat client that keeps nothing of the thinking: the result of the call brings its signature back."""
    target = Target(protocol="gemini", dialect="gemini", model="up")
    kept = Kept()
    call = {"functionCall": {"id": id_, "name": "look", "args": {}}, "thoughtSignature": "c2ln"}
    reply = {"candidates": [{"content": {"parts": [call]}, "finishReason": "STOP"}]}
    whole = json.loads(Translation("chat", target, VIEW, kept).whole(json.dumps(reply).encode()))
    message = whole["choices"][0]["message"]
    del message["reasoning_details"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sun"}
    body = {"model": "m", "messages": [{"role": "user", "content": "look"}, message, result]}
    back = sent(Translation("chat", target, VIEW, kept), body)
    assert back["contents"][1]["parts"] == [call]
    assert back["contents"][2]["parts"][0]["functionResponse"]["id"] == id_


@pytest.mark.parametrize("provider", ["chat", "responses", "gemini", "converse", "qwen"])
def test_pitfall_16_a_call_that_only_fills_a_cache_is_no_call_without_a_limit(provider: str):
    body = {"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(Uncarried) as caught:
        sent(Translation("messages", Target(protocol=provider, model="up"), VIEW), body)
    assert caught.value.param == "max_tokens"
