"""A chat request read, written for OpenAI and read again means the same; so does any request of another protocol.

Everything that chat can say is generated; what it cannot carry is tested by name in `test_request_out.py`.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target
from baseload.wire.canon.request import Request, Text, ToolResult
from baseload.wire.chat import request_in, request_out

OPENAI = Target(protocol="chat", dialect="openai", model="m", cache_marks=True)
QWEN = Target(
    protocol="chat", dialect="dashscope", model="m", thought="budget", cache_marks=True, max_tokens_name="max_tokens"
)

WORDS = st.text(max_size=8)
SOME = st.text(min_size=1, max_size=8)
MARK = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}])
TEXT = st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, SOME, MARK)
IMAGE = st.builds(
    lambda url, detail: {"type": "image_url", "image_url": {"url": url, **detail}},
    st.sampled_from(["https://x.example/a.png", "data:image/png;base64,QUJD"]),
    st.sampled_from([{}, {"detail": "high"}]),
)
FILE = st.just({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}})
SOUND = st.just({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}})
ARGUMENTS = st.sampled_from(["{}", '{"b": 12345678901234567890, "a": 1.50}', "{", "null", '{"x":"\\ud83d\\ude00"}'])


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["system", "developer", "user", "assistant", "tools"]))
        if kind in ("system", "developer"):
            said.append({"role": kind, "content": draw(WORDS | st.lists(TEXT, min_size=1, max_size=2))})
        elif kind == "user":
            content = draw(WORDS | st.lists(TEXT | IMAGE | FILE | SOUND, min_size=1, max_size=3))
            said.append({"role": "user", "content": content} | draw(st.sampled_from([{}, {"name": "ann"}])))
        elif kind == "assistant":
            thought = draw(st.sampled_from([{}, {"reasoning_content": "t"}]))
            said.append({"role": "assistant", "content": draw(SOME)} | thought)
        else:
            ids = [f"call_{turn}_{at}" for at in range(draw(st.integers(1, 3)))]
            calls = [
                {"id": id_, "type": "function", "function": {"name": "f", "arguments": draw(ARGUMENTS)}} for id_ in ids
            ]
            said.append({"role": "assistant", "content": draw(st.none() | SOME), "tool_calls": calls})
            for id_ in draw(st.permutations(ids)):
                content = draw(SOME | st.lists(TEXT, min_size=2, max_size=3))
                said.append({"role": "tool", "tool_call_id": id_, "content": content})
            said.append({"role": "user", "content": "go on"})
    return said


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "stream": st.booleans(),
        "max_completion_tokens": st.integers(1, 9999),
        "temperature": st.sampled_from([0.0, 0.7, 2.0]),
        "top_p": st.sampled_from([0.1, 1.0]),
        "n": st.integers(1, 3),
        "seed": st.integers(-(2**40), 2**40),
        "stop": st.lists(SOME, min_size=1, max_size=4),
        "presence_penalty": st.sampled_from([-1.5, 0.5]),
        "frequency_penalty": st.sampled_from([-1.5, 0.5]),
        "logit_bias": st.just({"1": -100}),
        "logprobs": st.just(True),
        "top_logprobs": st.integers(0, 20),
        "user": SOME,
        "metadata": st.just({"a": "b"}),
        "service_tier": st.sampled_from(["auto", "flex"]),
        "prompt_cache_key": SOME,
        "verbosity": st.sampled_from(["low", "high"]),
        "reasoning_effort": st.sampled_from(["none", "low", "max"]),
        "store": st.booleans(),
        "prediction": st.just({"type": "content", "content": "x"}),
        "response_format": st.sampled_from(
            [
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "n", "schema": {"b": 1, "a": 2}, "strict": True}},
            ]
        ),
    },
)
TOOLS = [
    {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
    },
    {"type": "function", "function": {"name": "g"}},
    {"type": "custom", "custom": {"name": "c"}},
]
CHOICES = [
    "auto",
    "none",
    "required",
    {"type": "function", "function": {"name": "g"}},
    {"type": "custom", "custom": {"name": "c"}},
    {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]},
    },
]
TOOLING = st.fixed_dictionaries(
    {"tools": st.just(TOOLS)}, optional={"tool_choice": st.sampled_from(CHOICES), "parallel_tool_calls": st.booleans()}
) | st.just({})


def read(body: dict[str, Any] | bytes) -> Request:
    return request_in.read(open_body(body if isinstance(body, bytes) else json.dumps(body).encode()))


@settings(max_examples=250, deadline=None)
@given(messages=conversations(), members=SETTINGS, tooling=TOOLING)
def test_chat_to_chat_keeps_the_meaning(
    messages: list[dict[str, Any]], members: dict[str, Any], tooling: dict[str, Any]
):
    first = read({"model": "m", "messages": messages, **members, **tooling})
    written = request_out.write(first, OPENAI)
    assert written.dropped == ()
    second = read(written.body)
    assert second == first
    assert request_out.write(second, OPENAI).body == written.body, "a second hop changes nothing"


@settings(max_examples=100, deadline=None)
@given(messages=conversations())
def test_calls_and_results_stay_together_for_every_dialect(messages: list[dict[str, Any]]):
    """Right after the message with the calls stand its results, one each, in their order."""
    first = read({"model": "m", "messages": messages})
    body = json.loads(request_out.write(first, QWEN).body)
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            continue
        assert waiting == []
        waiting = [call["id"] for call in message.get("tool_calls", [])]
    results = [part for turn in first.turns for part in turn.parts if isinstance(part, ToolResult)]
    told = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    assert [_texts(content) for content in told] == [
        [part.text for part in result.content if isinstance(part, Text)] for result in results
    ]


def _texts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content]
