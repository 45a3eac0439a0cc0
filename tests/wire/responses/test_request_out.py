"""A canonical request as a Responses body: what survives, what is named as lost, what is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target, Uncarried, Written
from baseload.wire.canon.request import (
    Choice,
    Format,
    Media,
    Opaque,
    Request,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from baseload.wire.responses import GUARDED, read_ask
from baseload.wire.responses.request_in import read
from baseload.wire.responses.request_out import write
from tests.wire.responses import codex
from tests.wire.responses.conversations import conversations

TARGET = Target(protocol="responses", dialect="openai", model="up", reasoning_back=False)
HELLO = Turn("user", [Text(text="hi")])


def written(*turns: Turn, target: Target = TARGET, protocol: str = "messages", **members: Any) -> Written:
    return write(Request(protocol=protocol, model="m", turns=list(turns) or [HELLO], **members), target)


def body(*turns: Turn, **members: Any) -> dict[str, Any]:
    return json.loads(written(*turns, **members).body)


def test_a_plain_question():
    assert body(stream=True) == {
        "model": "up",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


def test_system_prompts_survive_in_any_position():
    found = body(
        Turn("system", [Text(text="a")]), HELLO, Turn("developer", [Text(text="b")]), Turn("system", [Text(text="c")])
    )
    assert found["instructions"] == "a"
    assert [item["role"] for item in found["input"]] == ["user", "developer", "system"]
    plain = Target(protocol="responses", developer=False)
    assert body(HELLO, Turn("developer", [Text(text="b")]), target=plain)["input"][1]["role"] == "system"
    two = body(Turn("system", [Text(text="a"), Text(text="b")]), HELLO)
    assert "instructions" not in two
    assert [part["text"] for part in two["input"][0]["content"]] == ["a", "b"]
    alone = body(Turn("system", [Text(text="a")]))
    assert "instructions" not in alone
    assert alone["input"][0]["role"] == "system"


def test_parallel_tool_calls_and_results_survive_in_order():
    found = body(
        HELLO,
        Turn(
            "assistant",
            [
                Text(text="ok"),
                ToolCall(id="a", name="f", arguments='{"b":9007199254740993,"a":1}'),
                ToolCall(id="b", name="g"),
                ToolCall(id="c", name="p", arguments="*** x", kind="custom"),
            ],
        ),
        Turn(
            "user",
            [
                ToolResult(id="b", content=[Text(text="2")]),
                ToolResult(id="a", content=[]),
                ToolResult(id="c", content=[Text(text="x"), Media(kind="image", mime="image/png", data="iVBO")]),
                Text(text="go on"),
            ],
        ),
    )["input"]
    assert found[1:] == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok", "annotations": []}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"b":9007199254740993,"a":1}'},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "*** x"},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
        {"type": "function_call_output", "call_id": "a", "output": ""},
        {
            "type": "custom_tool_call_output",
            "call_id": "c",
            "output": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"},
            ],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go on"}]},
    ]


def test_pitfall_03_ids_that_openai_refuses_still_link():
    strange = "functions.get weather:0/" + "x" * 80
    call, result = body(
        Turn("assistant", [ToolCall(id=strange, name="f")]), Turn("user", [ToolResult(id=strange, content=[])])
    )["input"]
    assert call["call_id"] == result["call_id"]
    assert len(call["call_id"]) <= 64
    assert call["call_id"].replace("_", "").isalnum()


def test_pitfall_04_invalid_arguments_are_no_crash():
    [item] = body(Turn("assistant", [ToolCall(id="a", name="f", arguments='{"cut":')]))["input"]
    assert item["arguments"] == '{"cut":'


def test_images_documents_and_sounds_survive():
    [item] = body(
        Turn(
            "user",
            [
                Media(kind="image", mime="image/jpeg", data="/9j/", detail="low"),
                Media(kind="image", url="https://example.org/a.png"),
                Media(kind="document", mime="application/pdf", data="JVBE"),
                Media(kind="document", url="https://example.org/c.pdf"),
                Media(kind="document", text="gr\u00fc\u00df", name="note.txt"),
                Media(kind="audio", mime="audio/wav", data="UklG"),
            ],
        )
    )["input"]
    assert item["content"] == [
        {"type": "input_image", "image_url": "data:image/jpeg;base64,/9j/", "detail": "low"},
        {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"},
        {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        {"type": "input_file", "file_url": "https://example.org/c.pdf"},
        {
            "type": "input_file",
            "filename": "note.txt",
            "file_data": "data:text/plain;base64," + base64.b64encode("gr\u00fc\u00df".encode()).decode(),
        },
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
    ]


def test_thinking_signatures_survive_for_their_maker():
    signed = Thinking(text="t", signature="gAAAA", origin="openai/up", summary=True, id="")
    found = written(Turn("assistant", [signed, Text(text="x")]))
    assert json.loads(found.body)["input"][0] == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "t"}],
        "encrypted_content": "gAAAA",
    }
    assert found.dropped == ()


@pytest.mark.parametrize(
    "thought",
    [
        Thinking(text="t", signature="s", origin="anthropic/claude"),
        Thinking(signature="s", origin="gemini/pro"),
        Thinking(text="t", signature="s"),
        Thinking(signature="data", redacted=True, origin="openai/up"),
        Thinking(text="t"),
    ],
)
def test_pitfall_02_signatures_of_others_are_left_out_and_named(thought: Thinking):
    found = written(HELLO, Turn("assistant", [thought, Text(text="x")]))
    assert [item["type"] for item in json.loads(found.body)["input"]] == ["message", "message"]
    assert found.dropped == ("messages.1.content.0",)
    with pytest.raises(Uncarried):
        written(HELLO, Turn("assistant", [thought]), target=msgspec.structs.replace(TARGET, lossless=True))


def test_pitfall_01_thinking_goes_back_as_text_where_the_dialect_wants_it():
    target = Target(protocol="responses", dialect="deepseek", model="v4", reasoning_back=True)
    found = written(Turn("assistant", [Thinking(text="because", origin="deepseek/v4")]), target=target)
    [item] = json.loads(found.body)["input"]
    assert item["content"] == [{"type": "reasoning_text", "text": "because"}]
    assert (item["summary"], item["id"][:3], found.dropped) == ([], "rs_", ())


def test_tools_and_choice_survive():
    found = body(
        tools=[
            Tool(name="f", description="d", schema=Raw(b'{"z":1,"a":2}'), strict=True),
            Tool(name="g"),
            Tool(
                name="p",
                kind="custom",
                protocol="chat",
                raw=Raw(
                    b'{"type":"custom","custom":{"name":"p","description":"d","format":{"type":"grammar","grammar":'
                    b'{"syntax":"lark","definition":"x"}}}}'
                ),
            ),
        ],
        choice=Choice("tool", ("p",)),
        parallel=False,
    )
    assert found["tools"] == [
        {"type": "function", "name": "f", "parameters": {"z": 1, "a": 2}, "strict": True, "description": "d"},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
        {
            "type": "custom",
            "name": "p",
            "description": "d",
            "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
        },
    ]
    assert (found["tool_choice"], found["parallel_tool_calls"]) == ({"type": "custom", "name": "p"}, False)
    assert body(choice=Choice("required", ("f",)))["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "f"}],
    }
    assert body(choice=Choice("none"))["tool_choice"] == "none"


def test_json_schema_output_survives():
    form = Format(kind="schema", schema=Raw(b'{"b":1,"a":2}'), description="d", strict=True)
    found = written(format=form, verbosity="high")
    assert b'"schema":{"b":1,"a":2}' in found.body
    assert json.loads(found.body)["text"] == {
        "format": {
            "type": "json_schema",
            "name": "answer",
            "schema": {"b": 1, "a": 2},
            "description": "d",
            "strict": True,
        },
        "verbosity": "high",
    }
    assert body(format=Format(kind="json"))["text"] == {"format": {"type": "json_object"}}
    with pytest.raises(Uncarried) as caught:
        written(format=form, target=Target(protocol="responses", schema=False))
    assert caught.value.param == "output_config.format"


@pytest.mark.parametrize(
    ("thought", "reasoning"),
    [
        (Thought(mode="off"), {"effort": "none"}),
        (Thought(mode="on", effort="max", summary="detailed"), {"effort": "max", "summary": "detailed"}),
        (Thought(mode="on", budget=20_000, show=True), {"effort": "high", "summary": "auto"}),
        (Thought(mode="adaptive", show=True), {"summary": "auto"}),
        (Thought(mode="on"), None),
    ],
)
def test_pitfall_17_effort_and_budget(thought: Thought, reasoning: dict[str, str] | None):
    assert body(thought=thought).get("reasoning") == reasoning


def test_pitfall_15_settings_that_responses_does_not_have():
    found = written(
        protocol="gemini", stop=("x",), seed=1, presence_penalty=0.5, frequency_penalty=0.5, top_k=3, temperature=1.0
    )
    assert found.dropped == (
        "generationConfig.stopSequences",
        "generationConfig.seed",
        "generationConfig.presencePenalty",
        "generationConfig.frequencyPenalty",
        "generationConfig.topK",
    )
    assert not {"stop", "seed", "presence_penalty", "frequency_penalty", "top_k"} & json.loads(found.body).keys()


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2, "protocol": "chat"}, "n"),
        ({"logit_bias": Raw(b'{"1":2}'), "protocol": "chat"}, "logit_bias"),
        ({"tools": [Tool(name="web_search", kind="builtin", protocol="messages", raw=Raw(b"{}"))]}, "tools.0"),
        ({"tools": [Tool(name="p", kind="custom", protocol="chat", raw=Raw(b"{}"))]}, "tools.0"),
        ({"others": {"container": Raw(b'"c"')}}, "container"),
        ({"others": {"cachedContent": Raw(b'"c"')}, "protocol": "gemini"}, "cachedContent"),
        ({"others": {"modalities": Raw(b'["audio"]')}, "protocol": "chat"}, "modalities"),
    ],
)
def test_what_the_answer_depends_on_is_refused(members: dict[str, Any], param: str):
    with pytest.raises(Uncarried) as caught:
        written(**members)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("part", "feature"),
    [
        (Media(kind="video", data="x", mime="video/mp4"), "video"),
        (Media(kind="audio", url="https://example.org/a.wav"), "audio"),
        (Media(kind="image", file="file_1"), "file"),
        (Opaque(protocol="messages", what="search_result", raw=Raw(b"{}")), "search_result"),
    ],
)
def test_parts_without_a_place_are_refused(part: Media | Opaque, feature: str):
    with pytest.raises(Uncarried) as caught:
        written(Turn("user", [Text(text="a"), part]))
    assert caught.value.param == "messages.0.content.1"


def test_pitfall_19_cache_marks():
    marked = Turn("user", [Text(text="a", cache="5m"), Text(text="b", cache="12h")])
    found = written(marked)
    assert found.dropped == ("messages.0.content.0.cache_control", "messages.0.content.1.cache_control")
    assert b"breakpoint" not in found.body
    kept = body(marked, target=Target(protocol="responses", cache_marks=True))["input"][0]["content"]
    assert [part["prompt_cache_breakpoint"]["ttl"] for part in kept] == ["30m", "12h"]


def test_end_users_tiers_and_metadata():
    found = body(user="u" * 150, cache_key="k", tier="standard_only")
    assert len(found["safety_identifier"]) == 64
    assert found["safety_identifier"] != body(user="u" * 151)["safety_identifier"]
    assert (found["prompt_cache_key"], found["service_tier"]) == ("k", "default")
    assert written(tier="x").dropped == ("service_tier",)
    chats = body(protocol="chat", metadata=Raw(b'{"a":"b"}'), tier="flex")
    assert (chats["metadata"], chats["service_tier"]) == ({"a": "b"}, "flex")
    assert written(metadata=Raw(b'{"a":"b"}')).dropped == ("metadata",)


def test_logprobs_are_asked_for():
    found = body(protocol="chat", logprobs=True, top_logprobs=4)
    assert found["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert found["top_logprobs"] == 4


def test_members_that_a_dialect_refuses_are_left_out():
    target = Target(protocol="responses", unsupported=("temperature", "verbosity", "reasoning", "n"))
    found = written(temperature=1.0, verbosity="low", thought=Thought(mode="on", effort="low"), target=target)
    assert found.dropped == ("verbosity", "temperature", "thinking")
    assert not {"temperature", "text", "reasoning"} & json.loads(found.body).keys()


def test_errors_and_names_are_not_lost_in_silence():
    found = written(Turn("user", [ToolResult(id="a", content=[Text(text="boom")], is_error=True)], name="kim"))
    assert found.dropped == ("messages.0.name", "messages.0.content.0.is_error")
    assert json.loads(found.body)["input"][0]["output"] == "boom"


def test_a_result_that_is_a_value_travels_as_its_text():
    [item] = body(Turn("user", [ToolResult(id="a", content=[], value=Raw(b'{"n":9007199254740993}'))]))["input"]
    assert item["output"] == '{"n":9007199254740993}'


def test_codex_requests_mean_the_same_after_the_canonical_form():
    members = open_body(codex.request(), GUARDED)
    out = json.loads(write(read(members), TARGET).body)
    want = dict(codex.BODY, model="up")
    items = [dict(item) for item in want.pop("input")]
    for item in items:
        if item["type"] == "reasoning":
            del item["content"]  # null
        item.pop("status", None)
        for part in item["content"] if item.get("role") == "assistant" else ():
            item["content"] = [{**part, "annotations": []}]
    assert out.pop("input") == items
    assert out == want


@settings(max_examples=80, deadline=None)
@given(conversations())
def test_round_trips_keep_meaning(request_: Any):
    """Canonical -> Responses -> canonical, and the body's members are ones that the endpoint takes."""
    target = Target(protocol="responses", dialect="openai", model="m")
    out = write(request_, target)
    assert out.dropped == ()
    members = open_body(out.body, GUARDED)
    assert read_ask(members).stream == request_.stream
    back = read(members)
    assert len(back.places) == len(back.turns)
    back.places = []
    assert back == request_


@settings(max_examples=50, deadline=None)
@given(conversations(protocol="chat"))
def test_other_protocols_conversations_become_valid_bodies(request_: Any):
    out = write(request_, TARGET)
    back = read(open_body(out.body, GUARDED))
    assert [tool.name for tool in back.tools] == [tool.name for tool in request_.tools]

    def told(turns: list[Turn]) -> list[object]:
        kept = [part for turn in turns for part in turn.parts if not isinstance(part, Thinking)]
        return [(type(part).__name__, getattr(part, "text", ""), getattr(part, "id", "")) for part in kept]

    assert told(back.turns) == told(request_.turns)
