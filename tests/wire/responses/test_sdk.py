"""OpenAI's own client on what we write, and what it sends back: several turns with thinking and tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from baseload.errors import Refusal
from baseload.wire.body import open_body
from baseload.wire.canon.carry import View
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.fold import unfold
from baseload.wire.canon.request import Text, Thinking, ToolCall, ToolResult
from baseload.wire.responses import GUARDED, read_ask, reply_out, request_in
from baseload.wire.responses.stream_out import KEEP_ALIVE, StreamOut

VIEW = View(model="asked", id="c0ffee", created_s=1795562403, origin="anthropic/claude")
REPLY = Reply(
    answers=[
        Answer(
            parts=[
                Thinking(text="I should look.", signature="sig=="),
                Text(text="Let me see. "),
                ToolCall(id="a", name="weather", arguments='{"city":"Köln"}'),
                ToolCall(id="b", name="clock", arguments=""),
            ],
            reason="tool",
        )
    ],
    meters={"input_uncached": 5, "cache_read": 2, "output_total": 9, "reasoning": 3},
    tier="default",
)


def client(answer: Callable[[bytes], bytes], sent: list[bytes]) -> openai.OpenAI:
    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        body = answer(request.content)
        kind = "text/event-stream" if body.startswith((b"event:", b":")) else "application/json"
        return httpx.Response(200, content=body, headers={"content-type": kind})

    transport = httpx.MockTransport(handle)
    return openai.OpenAI(api_key="k", base_url="http://localhost/v1", http_client=httpx.Client(transport=transport))


def whole(body: bytes) -> bytes:
    members = open_body(body, GUARDED)
    if read_ask(members).stream:
        out = StreamOut(VIEW)
        return KEEP_ALIVE + out.write(unfold(REPLY))
    return reply_out.write(REPLY, VIEW)


def check(response: Any) -> None:
    assert response.output_text == "Let me see. "
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call", "function_call"]
    assert response.output[0].summary[0].text == "I should look."
    assert (response.output[2].call_id, response.output[2].arguments) == ("a", '{"city":"Köln"}')
    assert (response.usage.input_tokens, response.usage.input_tokens_details.cached_tokens) == (7, 2)
    assert (response.status, response.model, response.service_tier) == ("completed", "asked", "default")


def test_a_whole_reply():
    check(client(whole, []).responses.create(model="m", input="hi"))


def test_a_streamed_reply():
    pieces, final = [], None
    with client(whole, []).responses.stream(model="m", input="hi") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
        final = stream.get_final_response()
    assert pieces == ["Let me see. "]
    check(final)


def test_a_plain_event_stream_ends_without_a_done_mark():
    events = list(client(whole, []).responses.create(model="m", input="hi", stream=True))
    assert events[-1].type == "response.completed"
    check(events[-1].response)


def test_output_sent_back_as_input_keeps_thinking_and_calls():
    """What the library makes of our items when they are the input of the next turn."""
    sent: list[bytes] = []
    speaker = client(whole, sent)
    first = speaker.responses.create(model="m", input="weather?")
    history: list[Any] = [{"role": "user", "content": "weather?"}, *first.output]
    history += [{"type": "function_call_output", "call_id": id_, "output": "ok"} for id_ in ("b", "a")]
    speaker.responses.create(model="m", input=history, store=False, include=["reasoning.encrypted_content"])
    request = request_in.read(open_body(sent[1], GUARDED))
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user"]
    assert request.turns[1].parts == [
        Thinking(text="I should look.", signature="sig==", origin="anthropic/claude"),
        Text(text="Let me see. "),
        ToolCall(id="a", name="weather", arguments='{"city":"Köln"}'),
        ToolCall(id="b", name="clock", arguments="{}"),
    ]
    assert [part.name for part in request.turns[2].parts if isinstance(part, ToolResult)] == ["clock", "weather"]
    assert request.others == {}


def test_a_parsed_answer():
    """`responses.parse` asks for a JSON schema and reads the text by it."""
    from pydantic import BaseModel

    class City(BaseModel):
        name: str
        people: int

    sent: list[bytes] = []
    said = Reply(answers=[Answer(parts=[Text(text='{"name":"Köln","people":1000000}')])])
    parsed = client(lambda body: reply_out.write(said, VIEW), sent).responses.parse(
        model="m", input="city?", text_format=City
    )
    assert parsed.output_parsed == City(name="Köln", people=1_000_000)
    form = request_in.read(open_body(sent[0], GUARDED)).format
    assert form is not None
    assert (form.kind, form.name, form.strict) == ("schema", "City", True)
    assert json.loads(bytes(form.schema))["required"] == ["name", "people"]


def test_pitfall_20_a_broken_stream_is_no_success():
    def broken(body: bytes) -> bytes:
        out = StreamOut(VIEW)
        begun = out.write(unfold(REPLY)[:8])
        return begun + out.fail(Refusal("The provider broke off.", status=502), "c0ffee")

    with pytest.raises(openai.APIError, match="broke off"):
        list(client(broken, []).responses.create(model="m", input="hi", stream=True))
    with client(broken, []).responses.stream(model="m", input="hi") as stream, pytest.raises(openai.APIError):
        stream.get_final_response()
