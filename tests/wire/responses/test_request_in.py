"""A client's Responses request in canonical form: what survives, what is kept aside, what is refused by name."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.body import open_body
from baseload.wire.canon.carry import MEMBERS
from baseload.wire.canon.ids import safe
from baseload.wire.canon.request import (
    Choice,
    Media,
    Opaque,
    Refused,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from baseload.wire.canon.signature import seal
from baseload.wire.responses import GUARDED
from baseload.wire.responses.request_in import read
from tests.wire.responses import codex


def request(**members: Any) -> Request:
    body = json.dumps({"model": "m", "input": "hi", **members}).encode()
    return read(open_body(body, GUARDED))


def turns(*items: dict[str, Any], **members: Any) -> list[Turn]:
    return request(input=list(items), **members).turns


def test_a_string_is_one_user_turn():
    assert request().turns == [Turn("user", [Text(text="hi")])]


def test_system_and_developer_prompts_survive_in_any_position():
    found = turns(
        {"role": "user", "content": "a"},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "b"}]},
        {"role": "system", "content": "c"},
        instructions="first",
    )
    assert [(turn.role, turn.parts[0]) for turn in found] == [
        ("system", Text(text="first")),
        ("user", Text(text="a")),
        ("developer", Text(text="b")),
        ("system", Text(text="c")),
    ]


def test_images_files_and_sounds_survive():
    [turn] = turns(
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "see", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
                {"type": "input_image", "image_url": "data:image/jpeg;base64,/9j/", "detail": "high"},
                {"type": "input_image", "image_url": "https://example.org/a.png"},
                {"type": "input_image", "file_id": "file-1", "detail": "auto"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
                {"type": "input_file", "file_data": "eA==", "filename": "b.txt", "prompt_cache_breakpoint": {}},
                {"type": "input_file", "file_url": "https://example.org/c.pdf"},
                {"type": "input_file", "file_id": "file-2"},
                {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
            ],
        }
    )
    assert turn.parts == [
        Text(text="see", cache="12h"),
        Media(kind="image", mime="image/jpeg", data="/9j/", detail="high"),
        Media(kind="image", url="https://example.org/a.png"),
        Media(kind="image", file="file-1", detail="auto"),
        Media(kind="document", mime="application/pdf", data="JVBE", name="a.pdf"),
        Media(kind="document", mime="text/plain", data="eA==", name="b.txt", cache="30m"),
        Media(kind="document", url="https://example.org/c.pdf"),
        Media(kind="document", file="file-2"),
        Media(kind="audio", mime="audio/mpeg", data="UklG"),
    ]


def test_parallel_tool_calls_survive():
    found = turns(
        {"role": "user", "content": "go"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok", "annotations": []}]},
        {
            "type": "function_call",
            "id": "fc_9",
            "call_id": "a",
            "name": "f",
            "arguments": '{"b":9007199254740993,"a":1}',
        },
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": ""},
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** x"},
        {"type": "function_call_output", "call_id": "b", "output": "second"},
        {
            "type": "function_call_output",
            "call_id": "a",
            "output": [
                {"type": "input_text", "text": "first"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
            ],
        },
        {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
        {"role": "user", "content": "and?"},
    )
    assert [turn.role for turn in found] == ["user", "assistant", "user", "user"]
    assert found[1].parts == [
        Text(text="ok"),
        ToolCall(id="a", name="f", arguments='{"b":9007199254740993,"a":1}'),
        ToolCall(id="b", name="g"),
        ToolCall(id="c", name="patch", arguments="*** x", kind="custom"),
    ]
    assert found[2].parts == [
        ToolResult(id="b", name="g", content=[Text(text="second")]),
        ToolResult(
            id="a",
            name="f",
            content=[Text(text="first"), Media(kind="image", mime="image/png", data="iVBO")],
        ),
        ToolResult(id="c", name="patch", content=[Text(text="done")]),
    ]


def test_pitfall_03_only_the_call_id_links_and_a_strange_one_comes_back():
    strange = "functions.get weather:0"
    [first, second] = turns(
        {"type": "function_call", "id": "x", "call_id": safe(strange), "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "id": "y", "call_id": safe(strange), "output": ""},
    )
    assert isinstance(first.parts[0], ToolCall)
    assert isinstance(second.parts[0], ToolResult)
    assert first.parts[0].id == second.parts[0].id == strange


def test_thinking_survives_with_its_signature():
    sealed = seal("anthropic/claude", "sig+/=", text="exact\u00a0text ")
    hidden = seal("anthropic/claude", "data", text="", redacted=True)
    [turn] = turns(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "short"}],
            "encrypted_content": sealed,
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": hidden},
        {
            "type": "reasoning",
            "id": "rs_3",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": "gAAAA",
        },
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "raw"}]},
        {"type": "reasoning", "id": "rs_5", "summary": []},
        {"role": "assistant", "content": "so"},
    )
    assert turn.role == "assistant"
    assert turn.parts == [
        Thinking(text="exact\u00a0text ", signature="sig+/=", origin="anthropic/claude"),
        Thinking(signature="data", redacted=True, origin="anthropic/claude"),
        Thinking(text="a\n\nb", signature="gAAAA", summary=True, id="rs_3"),
        Thinking(text="raw"),
        Thinking(id="rs_5"),
        Text(text="so"),
    ]


def test_refusals_and_citations_survive():
    note = {"type": "url_citation", "start_index": 0, "end_index": 1, "url": "https://example.org", "title": "t"}
    [turn] = turns(
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "x", "annotations": [note], "logprobs": []},
                {"type": "refusal", "refusal": "no"},
            ],
        }
    )
    text, refused = turn.parts
    assert isinstance(text, Text)
    assert (json.loads(bytes(text.citations[0])), text.citations_of) == (note, "responses")
    assert refused == Refused(text="no")


def test_what_only_responses_knows_is_kept_as_it_is():
    items = [
        {"type": "item_reference", "id": "msg_7"},
        {"id": "msg_8"},
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search"}, "content": 7},
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
        {"type": "compaction", "encrypted_content": "x"},
        {"type": "from_the_future", "role": 7},
    ]
    found = [part for turn in turns(*items) for part in turn.parts]
    assert all(isinstance(part, Opaque) and part.protocol == "responses" for part in found)
    assert [json.loads(bytes(part.raw)) for part in found if isinstance(part, Opaque)] == items
    assert [part.what for part in found if isinstance(part, Opaque)] == [
        "item_reference",
        "item_reference",
        "web_search_call",
        "computer_call_output",
        "compaction",
        "from_the_future",
    ]
    [turn] = turns({"role": "user", "content": [{"type": "input_video", "url": "x"}]})
    assert isinstance(turn.parts[0], Opaque)
    assert turn.parts[0].what == "input_video"


def test_tools_and_tool_choice_survive():
    found = request(
        tools=[
            {"type": "function", "name": "f", "description": "d", "parameters": {"z": 1, "a": 2}, "strict": True},
            {"type": "function", "name": "g", "parameters": None, "strict": None},
            {"type": "custom", "name": "patch", "format": {"type": "text"}},
            {"type": "web_search"},
            {"type": "namespace", "name": "crm", "tools": []},
        ],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
    )
    f, g, patch, search, namespace = found.tools
    assert (f.name, f.description, bytes(f.schema), f.strict, f.kind) == (
        "f",
        "d",
        b'{"z": 1, "a": 2}',
        True,
        "function",
    )
    assert (g.name, bytes(g.schema), g.strict) == ("g", b"", None)
    assert (patch.kind, patch.name, patch.protocol) == ("custom", "patch", "responses")
    assert (search.kind, search.name, namespace.kind) == ("builtin", "web_search", "builtin")
    assert (found.choice, found.parallel) == (Choice("tool", ("f",)), False)


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("auto", Choice("auto")),
        ("none", Choice("none")),
        ("required", Choice("required")),
        ({"type": "custom", "name": "p"}, Choice("tool", ("p",))),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            Choice("required", ("f",)),
        ),
        ({"type": "web_search_preview"}, None),
        ({"type": "mcp", "server_label": "x", "name": "y"}, None),
    ],
)
def test_tool_choice(said: object, choice: Choice | None):
    found = request(tool_choice=said)
    assert found.choice == choice
    assert ("tool_choice" in found.others) == (choice is None)


def test_json_schema_output_survives():
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    found = request(
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"}
    )
    assert found.format is not None
    assert (found.format.kind, found.format.name, found.format.strict) == ("schema", "n", True)
    assert bytes(found.format.schema) == json.dumps(schema).encode()
    assert found.verbosity == "low"
    assert request(text={"format": {"type": "json_object"}}).format.kind == "json"  # type: ignore[union-attr]


def test_effort_and_summary_survive():
    thought = request(reasoning={"effort": "xhigh", "summary": "detailed"}).thought
    assert thought is not None
    assert (thought.mode, thought.effort, thought.show, thought.summary) == ("on", "xhigh", True, "detailed")
    off = request(reasoning={"effort": "none"}).thought
    assert off is not None
    assert off.mode == "off"
    assert request(reasoning={"effort": None}).thought is None


def test_settings_survive():
    found = request(
        max_output_tokens=9,
        temperature=1,
        top_p=0.5,
        top_logprobs=3,
        user="old",
        safety_identifier="new",
        metadata={"k": "v"},
        service_tier="flex",
        prompt_cache_key="key",
        stream=True,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
    )
    assert (found.max_output, found.temperature, found.top_p, found.stream) == (9, 1.0, 0.5, True)
    assert (found.logprobs, found.top_logprobs, found.user) == (True, 3, "new")
    assert (bytes(found.metadata), found.tier, found.cache_key) == (b'{"k": "v"}', "flex", "key")
    assert found.others == {}


def test_pitfall_26_state_is_kept_aside_for_the_table():
    found = request(
        previous_response_id="resp_1",
        conversation={"id": "c"},
        background=True,
        store=True,
        prompt={"id": "p"},
        truncation="auto",
        max_tool_calls=3,
        include=["web_search_call.results"],
        context_management=[],
        prompt_cache_options={"ttl": "12h"},
        moderation={"model": "x"},
    )
    assert set(found.others) == {
        "previous_response_id",
        "conversation",
        "background",
        "store",
        "prompt",
        "truncation",
        "max_tool_calls",
        "include",
        "context_management",
        "prompt_cache_options",
        "moderation",
    }
    assert {MEMBERS[name] for name in ("previous_response_id", "conversation", "background")} == {"state"}
    assert found.others["store"] == Raw(b"true")


def test_what_is_so_anyway_is_no_loss():
    found = request(
        store=False,
        background=False,
        truncation="disabled",
        previous_response_id=None,
        conversation=None,
        stream_options={"include_obfuscation": False},
        include=["reasoning.encrypted_content"],
        metadata={},
        max_tool_calls=None,
    )
    assert found.others == {}


def test_codex_requests_are_read_whole():
    found = read(open_body(codex.request(), GUARDED))
    assert [turn.role for turn in found.turns] == [
        "system",
        "developer",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert len(found.tools) == len(codex.TOOLS)
    assert found.turns[0].parts == [Text(text=codex.INSTRUCTIONS)]
    assert set(found.others) == {"client_metadata"}
    call = found.turns[3].parts[1]
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"zeta":"a/b","n":9007199254740993}'


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": [7]}, "input[0]"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "a", "name": 7}]}, "input[0]"),
        (
            {"input": [{"type": "function_call_output", "call_id": "a", "output": [{"type": "refusal"}]}]},
            "input[0].output[0]",
        ),
        ({"input": [{"type": "reasoning", "summary": 3}]}, "input[0]"),
        ({"input": [{"type": "reasoning", "content": 3}]}, "input[0].content"),
        ({"tools": 3}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"text": 3}, "text"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format"),
        ({"reasoning": 3}, "reasoning"),
        ({"include": 3}, "include"),
        ({"metadata": 3}, "metadata"),
        ({"instructions": 3}, "instructions"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_logprobs": "x"}, "top_logprobs"),
        ({"parallel_tool_calls": 3}, "parallel_tool_calls"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
    ],
)
def test_what_is_broken_is_refused_by_name(members: dict[str, Any], param: str):
    with pytest.raises(Refusal) as caught:
        request(**members)
    assert caught.value.param == param


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "text", "summary", "output", "call_id", "name", "image_url", "format"]
            ),
            inner
            | st.sampled_from(["message", "reasoning", "function_call", "function_call_output", "user", "input_image"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "input",
                "tools",
                "tool_choice",
                "text",
                "reasoning",
                "include",
                "metadata",
                "instructions",
                "top_logprobs",
                "user",
                "stream",
                "temperature",
                "store",
                "prompt",
            ]
        ),
        json_values,
    )
)
def test_hostile_members_are_read_or_refused(members: dict[str, Any]):
    body = json.dumps({"model": "m", "input": [members], **members}).encode()
    with contextlib.suppress(Refusal):  # nothing else may be raised
        read(open_body(body, GUARDED))


def test_deep_nesting_is_no_crash():
    body = b'{"model":"m","input":[{"role":"user","content":[' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"]}]}"
    assert isinstance(read(open_body(body, GUARDED)).turns[0].parts[0], Opaque)
    deeper = b'{"model":"m","input":' + b"[" * 5000 + b"]" * 5000 + b"}"
    with pytest.raises(Refusal):
        read(open_body(deeper, GUARDED))
