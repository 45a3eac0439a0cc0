"""A client's Messages request as canonical: what each member means, and what a refusal says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.body import open_body
from baseload.wire.canon import ids
from baseload.wire.canon.request import (
    Choice,
    Format,
    Media,
    Opaque,
    Request,
    Text,
    Thinking,
    Thought,
    ToolCall,
    ToolResult,
)
from baseload.wire.canon.signature import seal
from baseload.wire.messages import GUARDED, request_in

USER = {"role": "user", "content": "hi"}


def read(**members: Any) -> Request:
    body = {"model": "m", "max_tokens": 100, "messages": [USER], **members}
    return request_in.read(open_body(json.dumps(body).encode(), GUARDED))


def parts(*blocks: Any, role: str = "user") -> list[Any]:
    return read(messages=[{"role": role, "content": list(blocks)}]).turns[0].parts


def refused(**members: Any) -> Refusal:
    with pytest.raises(Refusal) as info:
        read(**members)
    return info.value


def test_plain_members():
    found = read(
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stop_sequences=["a", "b"],
        metadata={"user_id": "u1"},
        service_tier="standard_only",
        stream=True,
    )
    assert (found.protocol, found.model, found.max_output, found.stream) == ("messages", "m", 100, True)
    assert (found.temperature, found.top_p, found.top_k, found.stop) == (0.5, 0.9, 3, ("a", "b"))
    assert (found.user, found.tier, found.others) == ("u1", "standard_only", {})


def test_system_prompts_in_any_position_survive():
    found = read(
        system=[{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        messages=[USER, {"role": "system", "content": "late"}, USER],
    )
    assert [turn.role for turn in found.turns] == ["system", "user", "system", "user"]
    assert found.turns[0].parts == [Text(text="a", cache="1h")]
    assert found.turns[2].parts == [Text(text="late")]
    assert read(system="s").turns[0].parts == [Text(text="s")]


def test_images_survive():
    assert parts(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}, "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ) == [
        Media(kind="image", mime="image/png", data="iVBO"),
        Media(kind="image", url="https://x/y.png", cache="5m"),
        Media(kind="image", file="file_1"),
    ]


def test_documents_survive():
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
    assert parts(
        {"type": "document", "source": pdf, "title": "T"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "chunk"}]}},
    ) == [
        Media(kind="document", mime="application/pdf", data="JVBE", name="T"),
        Media(kind="document", mime="text/plain", text="words"),
        Media(kind="document", url="https://x/y.pdf"),
        Media(kind="document", mime="text/plain", text="chunk"),
    ]


def test_parallel_tool_calls_and_their_results_survive_in_order():
    found = read(
        messages=[
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "ok"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": 12345678901234567890}},
                    {"type": "tool_use", "id": ids.safe("functions.g:0"), "name": "g", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": ids.safe("functions.g:0"),
                        "content": "r2",
                        "is_error": True,
                    },
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [
                            {"type": "text", "text": "r1"},
                            {"type": "image", "source": {"type": "url", "url": "https://x"}},
                        ],
                    },
                    {"type": "tool_result", "tool_use_id": "t1"},
                ],
            },
        ]
    )
    assert found.turns[1].parts == [
        Text(text="ok"),
        ToolCall(id="t1", name="f", arguments='{"b": 1, "a": 12345678901234567890}'),
        ToolCall(id="functions.g:0", name="g", arguments="{}"),
    ]
    assert found.turns[2].parts == [
        ToolResult(id="functions.g:0", content=[Text(text="r2")], is_error=True),
        ToolResult(id="t1", content=[Text(text="r1"), Media(kind="image", url="https://x")]),
        ToolResult(id="t1", content=[]),
    ]


def test_thinking_signatures_survive():
    assert parts(
        {"type": "thinking", "thinking": "a", "signature": "native"},
        {"type": "redacted_thinking", "data": "native"},
        {"type": "thinking", "thinking": "b", "signature": seal("v/m", "sealed")},
        {"type": "redacted_thinking", "data": seal("v/m", "data", redacted=True)},
        {"type": "thinking", "thinking": "", "signature": seal("v/m", "s", text="exact")},
        {"type": "thinking", "thinking": "c", "signature": seal("v/m", "s")[:-5] + "!"},
        role="assistant",
    ) == [
        Thinking(text="a", signature="native"),
        Thinking(signature="native", redacted=True),
        Thinking(text="b", signature="sealed", origin="v/m"),
        Thinking(signature="data", redacted=True, origin="v/m"),
        Thinking(text="exact", signature="s", origin="v/m"),
        Thinking(text="c"),
    ]


def test_citations_survive():
    (part,) = parts({"type": "text", "text": "a", "citations": [{"type": "char_location", "x": 1}]}, role="assistant")
    assert (part.citations_of, [json.loads(bytes(raw)) for raw in part.citations]) == (
        "messages",
        [{"type": "char_location", "x": 1}],
    )


def test_what_only_this_protocol_knows_stays_itself():
    blocks = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]},
        {"type": "container_upload", "file_id": "f"},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "f"}]},
    ]
    found = parts(*blocks)
    assert all(isinstance(part, Opaque) and part.protocol == "messages" for part in found)
    assert [json.loads(bytes(part.raw)) for part in found] == blocks
    assert found[-1].what == "tool_result.tool_reference"


def test_a_search_result_of_a_tool_is_read_as_text():
    block = {"type": "search_result", "source": "https://s", "title": "T", "content": [{"type": "text", "text": "x"}]}
    found = read(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": [block | {"citations": {"enabled": True}}]}
                ],
            }
        ]
    )
    assert found.turns[0].parts[0].content == [Text(text="T\nhttps://s\nx")]
    assert list(found.others) == ["messages.0.content.0.content.citations"]


def test_tools_survive():
    schema = {"type": "object", "properties": {"z": {"type": "integer"}, "a": {}}}
    found = read(
        tools=[
            {"name": "f", "description": "d", "input_schema": schema, "strict": True, "defer_loading": True},
            {"type": "custom", "name": "g", "input_schema": schema, "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        ]
    )
    f, g, web = found.tools
    assert (f.name, f.description, f.strict, f.kind, bytes(f.schema)) == (
        "f",
        "d",
        True,
        "function",
        json.dumps(schema).encode(),
    )
    assert (g.cache, g.kind) == ("5m", "function")
    assert (web.name, web.kind, web.protocol, json.loads(bytes(web.raw))["max_uses"]) == (
        "web_search",
        "builtin",
        "messages",
        3,
    )
    assert {name: bytes(raw) for name, raw in found.others.items()} == {"tools.0.defer_loading": b"true"}


@pytest.mark.parametrize(
    ("given", "choice", "parallel"),
    [
        ({"type": "auto"}, Choice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, Choice("required"), False),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, Choice("tool", ("f",)), True),
        ({"type": "none"}, Choice("none"), None),
    ],
)
def test_tool_choice_survives(given: Any, choice: Choice, parallel: bool | None):
    found = read(tool_choice=given)
    assert (found.choice, found.parallel) == (choice, parallel)


@pytest.mark.parametrize(
    ("members", "thought"),
    [
        ({}, None),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            Thought(mode="on", budget=2048, show=True),
        ),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}},
            Thought(mode="adaptive", effort="high", show=False),
        ),
        ({"thinking": {"type": "disabled"}}, Thought(mode="off")),
        ({"output_config": {"effort": "low"}}, Thought(effort="low")),
    ],
)
def test_effort_and_budget_survive(members: dict[str, Any], thought: Thought | None):
    assert read(**members).thought == thought


@pytest.mark.parametrize("member", ["output_config", "output_format"])
def test_json_schema_output_survives(member: str):
    form = {"type": "json_schema", "schema": {"type": "object"}}
    found = read(**{member: {"format": form} if member == "output_config" else form})
    assert found.format == Format(kind="schema", schema=Raw(b'{"type": "object"}'))


def test_members_without_a_canonical_meaning_are_kept_by_name():
    found = read(
        speed="fast",
        inference_geo="us",
        container={"id": "c"},
        context_management={"edits": []},
        mcp_servers=[],
        cache_control={"type": "ephemeral"},
        diagnostics=None,
        output_config={"new": 1},
        thinking={"type": "between_tools"},
    )
    assert sorted(found.others) == [
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "output_config.new",
        "speed",
        "thinking.type",
    ]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": [7]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [USER, {"role": "user", "content": 7}]}, "messages.1.content"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
            "messages.0.content.0.source",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "f"}]}]},
            "messages.0.content.0.id",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "f", "input": 1}]}
                ]
            },
            "messages.0.content.0.input",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages.0.content.0.tool_use_id"),
        ({"system": 7}, "system"),
        ({"system": [{"type": "image", "source": {"type": "url", "url": "u"}}]}, "system"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "much"}}, "thinking.type"),
        ({"output_config": {"effort": 3}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"top_k": -1}, "top_k"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
)
def test_a_refusal_names_the_member(members: dict[str, Any], param: str):
    assert refused(**members).param == param


def test_deep_nesting_is_a_refusal():
    block: Any = {"type": "text", "text": "x"}
    for _ in range(400):
        block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    try:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": [block]}]}).encode()
    except RecursionError:
        pytest.fail("the test itself nests too deeply")
    with pytest.raises(Refusal):
        request_in.read(open_body(body, GUARDED))


def test_half_a_surrogate_is_a_refusal():
    body = b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d"}]}'
    with pytest.raises(Refusal, match="surrogate"):
        request_in.read(open_body(body, GUARDED))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "source", "id", "name", "input", "cache_control", "role", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TYPES = st.sampled_from(
    ["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result", "x"]
)
BLOCK = st.builds(
    lambda kind, rest: {**rest, "type": kind}, TYPES, st.dictionaries(st.text(max_size=3), JSON, max_size=2)
)


@settings(max_examples=80, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "model": st.just("m"),
            "messages": st.lists(
                st.fixed_dictionaries({"role": st.just("user"), "content": st.lists(BLOCK | JSON, max_size=3) | JSON}),
                max_size=3,
            )
            | JSON,
        },
        optional=dict.fromkeys(
            ("system", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences"), JSON
        ),
    )
)
def test_nothing_but_a_refusal_escapes(body: dict[str, Any]):
    try:
        request_in.read(open_body(json.dumps(body).encode(), GUARDED))
    except Refusal as why:
        refusal = why
    else:
        return
    assert refusal.param or refusal.code in ("ambiguous_member", "invalid_json")
