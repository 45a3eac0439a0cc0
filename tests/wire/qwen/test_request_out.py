"""Canonical requests -> DashScope's native bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from baseload.wire.canon.carry import Target, Uncarried
from baseload.wire.canon.request import (
    AnyPart,
    Choice,
    Format,
    Media,
    Opaque,
    Refused,
    Request,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from baseload.wire.qwen.request_out import needs_multimodal, write
from tests.wire.wishes import WISHES

TARGET = Target(protocol="qwen", dialect="dashscope", model="qwen-plus", thought="budget", cache_marks=True)
WEATHER = Tool(name="weather", description="Tells it.", schema=Raw(b'{"type":"object","properties":{"z":{},"a":{}}}'))
HI = Turn("user", [Text(text="Hi")])


def user(*parts: AnyPart) -> Turn:
    return Turn("user", list(parts))


def said(*parts: AnyPart) -> Turn:
    return Turn("assistant", list(parts))


def request(*turns: Turn, protocol: str = "chat", **more: Any) -> Request:
    return Request(protocol=protocol, model="m", turns=list(turns) or [HI], **more)


def body(*turns: Turn, target: Target = TARGET, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(write(request(*turns, **more), target).body)
    return found


def messages(*turns: Turn, target: Target = TARGET) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(*turns, target=target)["input"]["messages"]
    return found


def parameters(target: Target = TARGET, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = body(HI, target=target, **more)["parameters"]
    del found["result_format"]
    return found


def dropped(*turns: Turn, target: Target = TARGET, **more: Any) -> tuple[str, ...]:
    return write(request(*turns, **more), target).dropped


def refused(*turns: Turn, target: Target = TARGET, **more: Any) -> str:
    with pytest.raises(Uncarried) as caught:
        write(request(*turns, **more), target)
    assert caught.value.param
    return caught.value.param


def test_the_whole_request():
    found = body(
        Turn("developer", [Text(text="Be brief.")]),
        HI,
        stream=True,
        max_output=100,
        temperature=0.5,
        top_p=0.9,
        top_k=20,
        seed=7,
        stop=("END",),
        presence_penalty=0.1,
        n=2,
        tools=[WEATHER],
        choice=Choice("tool", ("weather",)),
        parallel=True,
    )
    assert found == {
        "model": "qwen-plus",
        "input": {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]},
        "parameters": {
            "result_format": "message",
            "incremental_output": True,
            "max_tokens": 100,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 20,
            "stop": ["END"],
            "seed": 7,
            "presence_penalty": 0.1,
            "n": 2,
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "weather",
                        "description": "Tells it.",
                        "parameters": {"type": "object", "properties": {"z": {}, "a": {}}},
                    },
                }
            ],
            "parallel_tool_calls": True,
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        },
    }


def test_pieces_are_asked_for_in_streams_only():
    assert parameters() == {}
    assert parameters(stream=True) == {"incremental_output": True}


def test_parallel_tool_calls_and_their_results_survive_in_order():
    found = messages(
        HI,
        said(
            Text(text="So"),
            ToolCall(id="a", name="f", arguments='{"n": 12345678901234567890}'),
            ToolCall(id="b", name="g"),
        ),
        user(Text(text="and"), ToolResult(id="a", content=[Text(text="1")]), ToolResult(id="b", content=[])),
    )
    assert found[1:] == [
        {
            "role": "assistant",
            "content": "So",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "index": 0,
                    "function": {"name": "f", "arguments": '{"n": 12345678901234567890}'},
                },
                {"id": "b", "type": "function", "index": 1, "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "content": "1", "tool_call_id": "a"},
        {"role": "tool", "content": "", "tool_call_id": "b"},
        {"role": "user", "content": "and"},
    ]


def test_an_object_as_a_result_survives():
    found = messages(HI, said(ToolCall(id="a", name="f")), user(ToolResult(id="a", content=[], value=Raw(b'{"n": 1}'))))
    assert found[2]["content"] == '{"n": 1}'


def test_a_failed_result_is_named_for_there_is_no_place_to_say_so():
    turns = [HI, said(ToolCall(id="a", name="f")), user(ToolResult(id="a", content=[], is_error=True))]
    assert dropped(*turns) == ("messages.2.is_error",)


def test_pitfall_01_reasoning_goes_back():
    found = messages(HI, said(Thinking(text="Hm."), Text(text="Yes")), HI)
    assert found[1] == {"role": "assistant", "content": "Yes", "reasoning_content": "Hm."}


@pytest.mark.parametrize(
    "thinking",
    [
        Thinking(text="Hm.", signature="sig"),
        Thinking(text="Hm.", origin="anthropic/x"),
        Thinking(signature="AAEC", redacted=True),
    ],
)
def test_pitfall_02_thinking_of_others_stays_away(thinking: Thinking):
    turns = [HI, said(thinking, Text(text="Yes"))]
    assert messages(*turns)[1] == {"role": "assistant", "content": "Yes"}
    beside = "reasoning_details" if thinking.signature else "reasoning_content"
    assert dropped(*turns) == (f"messages.1.{beside}",)


def test_images_survive_and_make_every_content_a_list():
    picture = Media(kind="image", mime="image/png", data="QUJD")
    found = messages(
        Turn("system", [Text(text="S")]),
        user(Text(text="see"), picture, Media(kind="image", url="https://example.org/a.png")),
        said(ToolCall(id="a", name="f")),
        user(ToolResult(id="a", content=[Text(text="1")])),
    )
    assert [message["content"] for message in found] == [
        [{"text": "S"}],
        [{"text": "see"}, {"image": "data:image/png;base64,QUJD"}, {"image": "https://example.org/a.png"}],
        [],
        [{"text": "1"}],
    ]


def test_media_belong_at_the_other_door():
    assert not needs_multimodal(request(HI))
    assert not needs_multimodal(request(user(Media(kind="document", text="x"))))
    assert needs_multimodal(request(user(Media(kind="image", data="QQ=="))))
    assert needs_multimodal(request(user(ToolResult(id="a", content=[Media(kind="image", data="QQ==")]))))


def test_pitfall_19_cache_marks_survive():
    turns = [Turn("system", [Text(text="S", cache="5m")]), HI]
    assert messages(*turns)[0]["content"] == [{"text": "S", "cache_control": {"type": "ephemeral"}}]
    assert dropped(*turns) == ()
    assert dropped(Turn("system", [Text(text="S", cache="1h")]), HI) == ("messages.0.content.0",)
    plain = Target(protocol="qwen", dialect="dashscope", model="m")
    assert messages(*turns, target=plain)[0]["content"] == "S"
    assert dropped(*turns, target=plain) == ("messages.0.content.0",)


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="document", mime="application/pdf", data="QUJD"),
        Media(kind="image", file="file-1"),
        Media(kind="image"),
        Opaque(protocol="messages", what="server_tool_use", raw=Raw(b"{}")),
    ],
)
def test_what_has_no_place_is_refused_by_its_place(part: AnyPart):
    assert refused(HI, user(Text(text="x"), part)) == "messages.1.content.1"


@pytest.mark.parametrize(
    ("thought", "how", "expected", "named"),
    [
        (Thought(mode="off"), "budget", {"enable_thinking": False}, False),
        (Thought(mode="on"), "budget", {"enable_thinking": True}, False),
        (Thought(budget=500), "budget", {"enable_thinking": True, "thinking_budget": 500}, False),
        (Thought(effort="high"), "budget", {"enable_thinking": True, "thinking_budget": 16384}, False),
        (Thought(effort="high"), "toggle", {"enable_thinking": True}, True),
        (Thought(mode="on"), "toggle", {"enable_thinking": True}, False),
        (Thought(effort="high"), "effort", {"reasoning_effort": "high"}, False),
        (Thought(budget=9000), "effort", {"reasoning_effort": "medium"}, False),
        (Thought(effort="high"), "none", {}, True),
        (Thought(mode="off"), "none", {}, False),
        (Thought(show=True), "budget", {}, False),
    ],
)
def test_pitfall_17_the_four_families_of_thinking(thought: Thought, how: str, expected: dict[str, Any], named: bool):
    target = Target(protocol="qwen", dialect="dashscope", model="m", thought=how)
    assert parameters(target, thought=thought) == expected
    assert dropped(HI, target=target, thought=thought) == (("reasoning_effort",) if named else ())


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice("auto"), "auto"),
        (Choice("none"), "none"),
        (Choice("tool", ("now",)), {"type": "function", "function": {"name": "now"}}),
        (Choice("required", ("now",)), {"type": "function", "function": {"name": "now"}}),
    ],
)
def test_tool_choice_survives(choice: Choice, expected: Any):
    assert parameters(tools=[WEATHER, Tool(name="now")], choice=choice)["tool_choice"] == expected


def test_any_of_several_tools_cannot_be_forced():
    assert refused(HI, tools=[WEATHER, Tool(name="now")], choice=Choice("required")) == "tool_choice"


@pytest.mark.parametrize("kind", ["builtin", "custom"])
def test_pitfall_27_other_tools_are_refused(kind: str):
    assert refused(HI, tools=[WEATHER, Tool(name="x", kind=kind, protocol="responses")]) == "tools.1"


def test_json_output_survives():
    assert parameters(format=Format(kind="json")) == {"response_format": {"type": "json_object"}}
    schema = Raw(b'{"type":"object", "required":["b","a"]}')
    found = parameters(format=Format(kind="schema", name="answer", schema=schema, strict=True))
    assert found["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object", "required": ["b", "a"]}, "strict": True},
    }
    plain = Target(protocol="qwen", dialect="dashscope", model="m", schema=False)
    assert refused(HI, target=plain, format=Format(kind="schema", schema=schema)) == "response_format"


def test_logprobs_survive():
    assert parameters(logprobs=True, top_logprobs=3) == {"logprobs": True, "top_logprobs": 3}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 5}, "n"),
        ({"logit_bias": Raw(b'{"1":2}')}, "logit_bias"),
        ({"others": {"conversation": Raw(b'"x"')}}, "conversation"),
    ],
)
def test_pitfall_15_what_the_answer_depends_on_is_refused(more: dict[str, Any], param: str):
    assert refused(HI, **more) == param


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"frequency_penalty": 1.0}, ("frequency_penalty",)),
        ({"user": "u", "metadata": Raw(b'{"a":"b"}'), "verbosity": "low"}, ("verbosity", "user", "metadata")),
        ({"cache_key": "k", "tier": "flex"}, ("service_tier", "prompt_cache_key")),
        ({"temperature": 2.0}, ("temperature",)),
        ({"top_p": 0.0}, ("top_p",)),
        ({"others": {"prediction": Raw(b"{}")}}, ("prediction",)),
        ({"tools": [Tool(name="f", strict=True, cache="5m")]}, ("tools.0.strict", "tools.0")),
    ],
)
def test_wishes_are_dropped_and_named(more: dict[str, Any], names: tuple[str, ...]):
    assert dropped(HI, **more) == names


def test_what_an_offer_does_not_take_is_named():
    target = Target(protocol="qwen", dialect="dashscope", model="m", unsupported=("seed", "logprobs"))
    assert dropped(HI, target=target, seed=1) == ("seed",)
    assert refused(HI, target=target, logprobs=True) == "logprobs"


TEXTS = st.text(max_size=8)
TEXT = st.builds(Text, text=TEXTS, cache=st.sampled_from(["", "5m", "1h"]))
MEDIA = st.builds(
    Media,
    kind=st.sampled_from(["image", "audio", "video", "document"]),
    data=st.sampled_from(["", "QUJD"]),
    url=st.sampled_from(["", "https://a.example/b.png"]),
    text=TEXTS,
)
PARTS = st.one_of(
    TEXT,
    MEDIA,
    st.builds(Thinking, text=TEXTS, signature=TEXTS, redacted=st.booleans()),
    st.builds(ToolCall, id=st.text(min_size=1, max_size=9), name=st.sampled_from(["f", "g"]), arguments=TEXTS),
    st.builds(ToolResult, id=st.text(min_size=1, max_size=9), content=st.lists(st.one_of(TEXT, MEDIA), max_size=2)),
    st.builds(Refused, text=TEXTS),
)
ROLES = st.sampled_from(["system", "developer", "user", "assistant"])


@given(
    st.lists(st.builds(Turn, ROLES, st.lists(PARTS, max_size=4)), max_size=5),
    st.sampled_from(["chat", "responses", "messages", "gemini"]),
    st.booleans(),
    WISHES,
)
def test_fuzz_every_conversation_is_written_or_refused(turns: list[Turn], protocol: str, marks: bool, wishes: Any):
    target = Target(protocol="qwen", dialect="dashscope", model="m", cache_marks=marks)
    made = Request(protocol=protocol, model="m", turns=turns, **wishes)
    param: str | None = "written"
    try:
        found = json.loads(write(made, target).body)["input"]["messages"]
    except Uncarried as why:
        found, param = [], why.param
    assert param
    assert {message["role"] for message in found} <= {"system", "user", "assistant", "tool"}
    assert len({type(message["content"]) for message in found}) <= 1, "all strings or all lists"
