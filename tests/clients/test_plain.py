"""Text, schemas and limits by the official Python libraries, through every kind of door."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from google.genai import types

from tests.clients.grid import NAMES, Grid

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
HELLO = "hello there"
NO_SCHEMA = ("deepseek", "qwen")  # they know JSON objects only, or nothing of it


@pytest.mark.parametrize("name", NAMES)
def test_openai_chat(grid: Grid, name: str):
    client = grid.openai()
    role = "system" if name == "deepseek" else "developer"  # forwarded as it came, and unknown there
    messages: Any = [{"role": role, "content": "be kind"}, {"role": "user", "content": HELLO}]
    raw = client.chat.completions.with_raw_response.create(model=name, messages=messages)
    reply = raw.parse()
    assert reply.choices[0].message.content == f"echo {HELLO}"
    assert reply.choices[0].finish_reason == "stop"
    assert name in ("chat", "deepseek", "azure") or reply.model == name  # forwarded bytes keep the provider's name
    reading = grid.reading(raw.headers["x-baseload-call-id"])
    used = reply.usage
    assert used is not None
    assert (used.prompt_tokens, used.completion_tokens) == (
        reading.meters["input_uncached"], reading.meters["output_total"],
    )  # fmt: skip
    text, usage = "", None
    for chunk in client.chat.completions.create(
        model=name, messages=messages, stream=True, stream_options={"include_usage": True}
    ):
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        usage = chunk.usage or usage
    assert text == f"echo {HELLO}"
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (used.prompt_tokens, used.completion_tokens)


@pytest.mark.parametrize("name", NAMES)
def test_openai_responses(grid: Grid, name: str):
    client = grid.openai()
    reply = client.responses.create(model=name, instructions="be kind", input=HELLO)
    assert (reply.output_text, reply.status) == (f"echo {HELLO}", "completed")
    assert name == "responses" or reply.model == name
    with client.responses.stream(model=name, instructions="be kind", input=HELLO) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == f"echo {HELLO}"
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert reply.usage is not None
    assert final.usage is not None
    assert final.usage.total_tokens == reply.usage.total_tokens > 0


@pytest.mark.parametrize("name", NAMES)
def test_anthropic(grid: Grid, name: str):
    client = grid.anthropic()
    asked: Any = {
        "model": name, "max_tokens": 500, "system": "be kind", "messages": [{"role": "user", "content": HELLO}],
    }  # fmt: skip
    reply = client.messages.create(**asked)
    assert [block.text for block in reply.content] == [f"echo {HELLO}"]
    assert (reply.stop_reason, reply.role) == ("end_turn", "assistant")
    assert name == "messages" or reply.model == name
    with client.messages.stream(**asked) as stream:
        streamed = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert streamed == f"echo {HELLO}"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (
        reply.usage.input_tokens, reply.usage.output_tokens,
    )  # fmt: skip
    assert client.messages.count_tokens(model=name, messages=asked["messages"]).input_tokens > 0


@pytest.mark.parametrize("name", NAMES)
def test_gemini(grid: Grid, name: str):
    client = grid.google
    config = types.GenerateContentConfig(system_instruction="be kind")
    reply = client.models.generate_content(model=name, contents=HELLO, config=config)
    assert reply.text == f"echo {HELLO}"
    assert reply.candidates is not None
    assert reply.candidates[0].finish_reason == types.FinishReason.STOP
    chunks = list(client.models.generate_content_stream(model=name, contents=HELLO, config=config))
    assert "".join(chunk.text or "" for chunk in chunks) == f"echo {HELLO}"
    last = chunks[-1].usage_metadata
    assert last is not None
    assert reply.usage_metadata is not None
    assert last.total_token_count == reply.usage_metadata.total_token_count
    assert (client.models.count_tokens(model=name, contents=HELLO).total_tokens or 0) > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_SCHEMA])
def test_json_schema(grid: Grid, name: str):
    asked: Any = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}
    chat = grid.openai().chat.completions.create(
        model=name, messages=[{"role": "user", "content": "weather"}], response_format=asked
    )
    shape: Any = {"format": {"type": "json_schema", "name": "weather", "schema": SCHEMA, "strict": True}}
    response = grid.openai().responses.create(model=name, input="weather", text=shape)
    output: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
    message = grid.anthropic().messages.create(
        model=name, max_tokens=100, messages=[{"role": "user", "content": "weather"}], output_config=output
    )
    gemini = grid.google.models.generate_content(
        model=name,
        contents="weather",
        config=types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SCHEMA),
    )
    said = [chat.choices[0].message.content, response.output_text, message.content[-1].text, gemini.text]  # type: ignore[union-attr]
    for text in said:
        value = json.loads(text or "")
        assert set(value) == {"city", "degrees"}
        assert isinstance(value["degrees"], int)


@pytest.mark.parametrize("name", NAMES)
def test_the_length_limit_is_told_in_each_protocol(grid: Grid, name: str):
    text = "words=50"
    chat = grid.openai().chat.completions.create(
        model=name, messages=[{"role": "user", "content": text}], max_completion_tokens=7
    )
    response = grid.openai().responses.create(model=name, input=text, max_output_tokens=16)
    message = grid.anthropic().messages.create(model=name, max_tokens=7, messages=[{"role": "user", "content": text}])
    gemini = grid.google.models.generate_content(
        model=name, contents=text, config=types.GenerateContentConfig(max_output_tokens=7)
    )
    assert chat.choices[0].finish_reason == "length"
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert message.stop_reason == "max_tokens"
    assert gemini.candidates is not None
    assert gemini.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS


CACHED = ("chat", "responses", "messages", "gemini", "converse")


@pytest.mark.parametrize("name", CACHED)
def test_lesson_20_cache_reads_in_each_clients_own_semantics(grid: Grid, name: str):
    text = "cached " + "word " * 40
    chat = grid.openai().chat.completions.create(model=name, messages=[{"role": "user", "content": text}]).usage
    message = grid.anthropic().messages.create(
        model=name, max_tokens=100, messages=[{"role": "user", "content": text}]
    ).usage  # fmt: skip
    gemini = grid.google.models.generate_content(model=name, contents=text).usage_metadata
    assert chat is not None
    assert chat.prompt_tokens_details is not None
    assert gemini is not None
    read = chat.prompt_tokens_details.cached_tokens
    assert read
    assert read == message.cache_read_input_tokens == gemini.cached_content_token_count
    whole = message.input_tokens + (message.cache_read_input_tokens or 0) + (message.cache_creation_input_tokens or 0)
    assert chat.prompt_tokens == whole == gemini.prompt_token_count


def test_what_is_left_out_is_named(grid: Grid):
    raw = grid.openai().chat.completions.with_raw_response.create(
        model="messages", messages=[{"role": "user", "content": HELLO}], seed=7, presence_penalty=0.5
    )
    named = {item.strip() for item in raw.headers["x-baseload-dropped"].split(",")}
    assert {"seed", "presence_penalty"} <= named
    with pytest.raises(openai.BadRequestError) as refused:
        grid.openai().chat.completions.create(
            model="messages",
            messages=[{"role": "user", "content": HELLO}],
            seed=7,
            extra_headers={"x-baseload-lossless": "true"},
        )
    assert refused.value.param == "seed"
