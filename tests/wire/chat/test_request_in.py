"""A chat request read into the canonical form: every member finds its place, or is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.body import open_body
from baseload.wire.canon.request import (
    Choice,
    Format,
    Media,
    Opaque,
    Refused,
    Request,
    Text,
    Thinking,
    Thought,
    ToolCall,
    ToolResult,
    Turn,
)
from baseload.wire.canon.signature import seal
from baseload.wire.chat import request_in
from baseload.wire.raw import ABSENT

USER = {"role": "user", "content": "hi"}


def read(*messages: Any, **members: Any) -> Request:
    body = {"model": "m", "messages": list(messages) or [USER], **members}
    return request_in.read(open_body(json.dumps(body).encode()))


def parts(*content: Any) -> list[Any]:
    return read({"role": "user", "content": list(content)}).turns[0].parts


def refused(*messages: Any, **members: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(*messages, **members)
    return caught.value


def test_the_members_of_a_request():
    request = read(
        stream=True,
        max_tokens=7,
        max_completion_tokens=9,
        temperature=0.5,
        top_p=1,
        top_k=4,
        stop="end",
        n=2,
        seed=2**40,
        presence_penalty=0.1,
        frequency_penalty=-0.2,
        logit_bias={"50256": -100},
        logprobs=True,
        top_logprobs=3,
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        verbosity="low",
        parallel_tool_calls=False,
    )
    assert (request.protocol, request.model, request.stream) == ("chat", "m", True)
    assert request.max_output == 9
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (0.5, 1.0, 4, ("end",))
    assert (request.n, request.seed) == (2, 2**40)
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, -0.2)
    assert bytes(request.logit_bias) == b'{"50256": -100}'
    assert (request.logprobs, request.top_logprobs, request.user) == (True, 3, "u")
    assert bytes(request.metadata) == b'{"a": "b"}'
    assert (request.tier, request.cache_key, request.verbosity, request.parallel) == ("flex", "k", "low", False)
    assert request.others == {}


def test_null_is_absent_and_defaults_said_aloud_are_nothing():
    names = [
        "max_tokens",
        "temperature",
        "stop",
        "n",
        "seed",
        "logit_bias",
        "tools",
        "tool_choice",
        "response_format",
        "user",
        "stream",
    ]
    plain = read()
    assert read(**dict.fromkeys(names)) == plain
    assert read(store=False, modalities=["text"], logit_bias={}, metadata={}, stream_options=None) == plain
    assert plain.turns == [Turn("user", [Text(text="hi")])]


def test_stop_may_be_many():
    assert read(stop=["a", "b"]).stop == ("a", "b")


def test_what_has_no_canonical_meaning_is_kept_by_name():
    request = read(
        {"role": "user", "content": "x", "weight": 1},
        {"role": "assistant", "content": "y", "partial": True, "refusal": None, "annotations": [], "audio": None},
        store=True,
        modalities=["text", "audio"],
        audio={"voice": "v"},
        prediction={"type": "content"},
        min_p=0.1,
    )
    assert set(request.others) == {
        "messages.0.weight",
        "messages.1.partial",
        "store",
        "modalities",
        "audio",
        "prediction",
        "min_p",
    }
    assert bytes(request.others["min_p"]) == b"0.1"


def test_system_prompts_survive_in_any_position():
    request = read(
        {"role": "system", "content": "a"},
        USER,
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": "c", "name": "ann"},
        {"role": "system", "content": "d"},
    )
    assert [(turn.role, turn.name) for turn in request.turns] == [
        ("system", ""),
        ("user", ""),
        ("developer", ""),
        ("user", "ann"),
        ("system", ""),
    ]
    assert request.turns[2].parts == [Text(text="b")]


def test_images_survive():
    assert parts(
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,QUJD"}},
        {"type": "image_url", "image_url": "data:image/svg+xml,%3Csvg%2F%3E"},
        {"type": "image_url", "image_url": {"url": "QUJD"}},
    ) == [
        Media(kind="image", url="https://x.example/a.png", detail="high"),
        Media(kind="image", mime="image/png", data="QUJD"),
        Media(kind="image", mime="image/svg+xml", data="PHN2Zy8+"),
        Media(kind="image", data="QUJD"),
    ]


def test_sounds_files_and_videos():
    assert parts(
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "file", "file": {"filename": "a.PDF", "file_data": "QUJD"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video_url", "video_url": {"url": "https://x.example/v.mp4"}},
        {"type": "hologram", "x": 1},
    ) == [
        Media(kind="audio", mime="audio/mpeg", data="QUJD"),
        Media(kind="document", mime="application/pdf", data="QUJD", name="a.pdf"),
        Media(kind="document", mime="application/pdf", data="QUJD", name="a.PDF"),
        Media(kind="document", file="file-1"),
        Media(kind="video", url="https://x.example/v.mp4"),
        Opaque(protocol="chat", what="hologram", raw=Raw(b'{"type": "hologram", "x": 1}')),
    ]


def test_cache_marks_of_either_kind():
    marked = {"type": "text", "text": "x"}
    found = parts(
        marked | {"cache_control": {"type": "ephemeral"}},
        marked | {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
        marked | {"prompt_cache_breakpoint": {"mode": "explicit"}},
        marked | {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        marked | {"cache_control": None},
    )
    assert [part.cache for part in found] == ["5m", "1h", "30m", "12h", ""]
    request = read(
        {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}},
        {"role": "user", "content": [marked | {"prompt_cache_breakpoint": {"mode": "explicit"}}]},
        prompt_cache_options={"mode": "explicit", "ttl": "12h"},
        tools=[{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}],
    )
    assert [turn.parts[0].cache for turn in request.turns] == ["5m", "12h"]
    assert request.tools[0].cache == "5m"


def call(id_: str, name: str = "f", arguments: str | None = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id_: str, content: Any = "r", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content, **more}


def test_parallel_tool_calls_survive():
    request = read(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call("a", "f"), call("b", "g", '{"x": 1}')]},
        result("b", "2"),
        result("a", [{"type": "text", "text": "1"}]),
    )
    assert request.turns[1].parts == [
        ToolCall(id="a", name="f", arguments="{}"),
        ToolCall(id="b", name="g", arguments='{"x": 1}'),
    ]
    assert request.turns[2:] == [
        Turn(
            "user",
            [
                ToolResult(id="b", content=[Text(text="2")], name="g"),
                ToolResult(id="a", content=[Text(text="1")], name="f"),
            ],
        )
    ]


def test_tool_results_survive_in_order_with_what_stands_between():
    """Pitfall 6: merging or moving is the writer's matter, who knows what its protocol wants."""
    request = read(
        {"role": "assistant", "tool_calls": [call("a"), call("b")]},
        result("a"),
        {"role": "user", "content": "between"},
        result("b"),
        {"role": "user", "content": "after"},
    )
    kinds = [[type(part).__name__ for part in turn.parts] for turn in request.turns[1:]]
    assert kinds == [["ToolResult"], ["Text"], ["ToolResult"], ["Text"]]


def test_pitfall_04_arguments():
    """Empty, invalid, with large integers and in their order: arguments are the text that came."""
    for arguments in ("", "{", '{"b": 12345678901234567890, "a": 1e400}', "\u0000 no json"):
        request = read({"role": "assistant", "tool_calls": [call("a", arguments=arguments)]})
        assert request.turns[0].parts == [ToolCall(id="a", name="f", arguments=arguments)]
    assert read({"role": "assistant", "tool_calls": [call("a", arguments=None)]}).turns[0].parts[0].arguments == ""
    calls = b'[{"function":{"name":"f","arguments":{"b":1,"a":2.50}}}]'
    body = b'{"model":"m","messages":[{"role":"assistant","tool_calls":%b}]}' % calls
    made = request_in.read(open_body(body)).turns[0].parts[0]
    assert made == ToolCall(id="call_0_0", name="f", arguments='{"b":1,"a":2.50}')


def test_old_functions_are_tools():
    request = read(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x":1}'}},
        {"role": "function", "name": "f", "content": "7"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    made, answer = request.turns[1].parts[0], request.turns[2].parts[0]
    assert isinstance(made, ToolCall)
    assert isinstance(answer, ToolResult)
    assert (made.name, made.arguments) == ("f", '{"x":1}')
    assert (answer.id, answer.name, answer.content) == (made.id, "f", [Text(text="7")])
    assert request.tools[0].name == "f"
    assert bytes(request.tools[0].schema) == b'{"type": "object"}'
    assert request.choice == Choice("tool", ("f",))


def test_pitfall_19_ids_that_were_missing_are_the_same_in_the_next_request():
    talk = [
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": ""}}]},
        {"role": "assistant", "function_call": {"name": "g", "arguments": ""}},
        {"role": "function", "name": "g", "content": "7"},
        {"role": "function", "name": "h", "content": "8"},
    ]
    assert read(*talk).turns == read(*talk, USER).turns[:-1]


def test_custom_and_built_in_tools():
    custom = {"type": "custom", "custom": {"name": "c", "description": "d", "format": {"type": "text"}}}
    own = {"type": "builtin_function", "function": {"name": "$web_search"}}
    request = read(
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "c", "input": "x y"}}]},
        tools=[custom, own],
        web_search_options={"search_context_size": "low"},
    )
    assert request.turns[0].parts == [ToolCall(id="a", name="c", arguments="x y", kind="custom")]
    assert [(tool.name, tool.kind, tool.protocol) for tool in request.tools] == [
        ("c", "custom", "chat"),
        ("builtin_function", "builtin", "chat"),
        ("web_search_options", "builtin", "chat"),
    ]
    assert json.loads(bytes(request.tools[0].raw)) == custom
    assert bytes(request.tools[2].raw) == b'{"search_context_size": "low"}'


@pytest.mark.parametrize(
    ("sent", "want"),
    [
        ("auto", Choice("auto")),
        ("none", Choice("none")),
        ("required", Choice("required")),
        ("any", Choice("required")),
        ({"type": "function", "function": {"name": "f"}}, Choice("tool", ("f",))),
        ({"type": "custom", "custom": {"name": "c"}}, Choice("tool", ("c",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            Choice("required", ("f",)),
        ),
    ],
)
def test_tool_choice_survives(sent: Any, want: Choice):
    assert read(tool_choice=sent).choice == want


def test_json_schema_survives():
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    form = read(
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    ).format
    assert form is not None
    assert (form.kind, form.name, form.strict) == ("schema", "n", True)
    assert bytes(form.schema) == json.dumps(schema).encode()
    assert read(response_format={"type": "json_object"}).format == Format(kind="json")
    assert read(response_format={"type": "text"}).format == Format(kind="text")


@pytest.mark.parametrize(
    ("members", "want"),
    [
        ({"reasoning_effort": "high"}, Thought(effort="high")),
        ({"reasoning_effort": "none"}, Thought(mode="off")),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Thought(mode="on", budget=2048)),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, Thought(mode="off", effort="high")),
        ({"thinking": {"type": "adaptive"}}, Thought(mode="adaptive")),
        ({"thinking": {"type": "auto"}}, None),
        ({"enable_thinking": True, "thinking_budget": 500}, Thought(mode="on", budget=500)),
        ({"enable_thinking": False}, Thought(mode="off")),
        ({"reasoning": {"effort": "low", "exclude": True}}, Thought(effort="low", show=False)),
        ({"reasoning": {"max_tokens": 900, "enabled": True}}, Thought(mode="on", budget=900)),
        ({"reasoning": {"effort": "none"}}, Thought(mode="off")),
        ({"chat_template_kwargs": {"enable_thinking": True}}, Thought(mode="on")),
        ({}, None),
    ],
)
def test_pitfall_17_effort_budget_toggle(members: dict[str, Any], want: Thought | None):
    request = read(**members)
    assert request.thought == want
    assert request.others == {}


def test_what_else_stands_in_a_template_is_named():
    assert set(read(chat_template_kwargs={"enable_thinking": True, "x": 1}).others) == {"chat_template_kwargs"}


def assistant(**members: Any) -> list[Any]:
    return read({"role": "assistant", **members}).turns[0].parts


def test_thinking_of_earlier_turns():
    assert assistant(content="a", reasoning_content="t") == [Thinking(text="t"), Text(text="a")]
    assert assistant(content="a", reasoning="t", reasoning_content=None) == [Thinking(text="t"), Text(text="a")]
    assert assistant(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]) == [
        Thinking(text="t")
    ]
    assert assistant(content="", tool_calls=[call("a")], reasoning_content="t") == [
        Thinking(text="t"),
        ToolCall(id="a", name="f", arguments="{}"),
    ]


def test_pitfall_01_thinking_signatures_survive():
    """OpenRouter's form: said under two names, in order, and what came beside a signature comes back beside it."""
    found = assistant(
        content="a",
        reasoning="t1",
        reasoning_details=[
            {"type": "reasoning.text", "text": "t1", "signature": "S1", "format": None, "index": 0},
            {"type": "reasoning.summary", "summary": "s", "index": 1},
            {"type": "reasoning.encrypted", "data": "D", "id": "rs_1", "format": "openai-responses-v1", "index": 2},
        ],
    )
    assert found == [
        Thinking(text="t1", signature="S1"),
        Thinking(text="s", summary=True),
        Thinking(signature='{"signature":"D","id":"rs_1","format":"openai-responses-v1"}', redacted=True, id="rs_1"),
        Text(text="a"),
    ]


def test_pitfall_02_a_sealed_signature_says_whose_it_is():
    sealed = seal("anthropic/claude", "SIG")
    hidden = seal("anthropic/claude", "DATA", redacted=True)
    alone = seal("gemini/pro", "G")
    found = assistant(
        content="ab",
        reasoning_content="t",
        reasoning_details=[
            {"type": "reasoning.text", "text": "t", "signature": sealed, "index": 0},
            {"type": "reasoning.encrypted", "data": hidden, "index": 1},
            {"type": "reasoning.encrypted", "data": alone, "index": 2, "offset": 1},
        ],
    )
    assert found == [
        Thinking(text="t", signature="SIG", origin="anthropic/claude"),
        Thinking(signature="DATA", redacted=True, origin="anthropic/claude"),
        Text(text="a"),
        Thinking(signature="G", origin="gemini/pro"),
        Text(text="b"),
    ]


def test_a_thought_stands_before_the_call_it_names():
    """`before` is ours; OpenRouter has the call's id in `id` (Gemini's signatures)."""
    found = assistant(
        tool_calls=[call("a"), call("b"), call("c")],
        reasoning_details=[
            {"type": "reasoning.encrypted", "data": "B", "id": "b", "index": 0},
            {"type": "reasoning.text", "text": "t", "before": "c", "index": 1},
            {"type": "reasoning.text", "text": "first", "before": "gone", "index": 2},
        ],
    )
    assert [(getattr(part, "text", "") or getattr(part, "signature", "") or part.id) for part in found] == [
        "first", "a", "B", "b", "t", "c",
    ]  # fmt: skip


def test_pieces_of_a_streamed_thought_are_put_together():
    found = assistant(
        content="a",
        reasoning_details=[
            {"type": "reasoning.text", "text": "one ", "index": 0},
            {"type": "reasoning.text", "text": "thought", "index": 0},
            {"type": "reasoning.text", "signature": "S", "index": 0},
            {"type": "reasoning.text", "text": "two", "index": 1},
        ],
    )
    assert found[:2] == [Thinking(text="one thought", signature="S"), Thinking(text="two")]


def test_refusals_citations_and_spoken_replies_survive():
    note = {"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "x"}}
    found = assistant(content="a", refusal="no", annotations=[note], audio={"id": "audio_1"})
    assert isinstance(found[0], Text)
    assert (found[0].text, found[0].citations_of) == ("a", "chat")
    assert [json.loads(bytes(raw)) for raw in found[0].citations] == [note]
    assert found[1:] == [Refused(text="no"), Media(kind="audio", file="audio_1")]
    assert assistant(content=[{"type": "refusal", "refusal": "no"}]) == [Refused(text="no")]


def test_an_error_of_a_tool_is_known_where_a_client_says_it():
    turns = read({"role": "assistant", "tool_calls": [call("a")]}, result("a", "boom", is_error=True)).turns
    assert turns[1].parts == [ToolResult(id="a", content=[Text(text="boom")], name="f", is_error=True)]


@pytest.mark.parametrize(
    ("messages", "members", "param"),
    [
        ([USER], {"model": None}, "model"),
        ([USER], {"model": 3}, "model"),
        ([USER], {"messages": None}, "messages"),
        ([USER], {"messages": {}}, "messages"),
        ([3], {}, "messages.0"),
        ([{"content": "x"}], {}, "messages.0.role"),
        ([{"role": "robot"}], {}, "messages.0.role"),
        ([{"role": "user", "content": 3}], {}, "messages.0.content"),
        ([{"role": "user", "content": [{"text": "x"}]}], {}, "messages.0.content.0.type"),
        ([USER, {"role": "user", "content": [{"type": "text"}]}], {}, "messages.1.content.0.text"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], {}, "messages.0.content.0.image_url"),
        ([{"role": "user", "content": [{"type": "file", "file": {}}]}], {}, "messages.0.content.0.file.file_id"),
        ([{"role": "tool", "content": "x"}], {}, "messages.0.tool_call_id"),
        ([result("a", [{"type": "refusal", "refusal": "x"}])], {}, "messages.0.content.0"),
        ([{"role": "assistant", "tool_calls": [{"id": "a"}]}], {}, "messages.0.tool_calls.0.function"),
        ([{"role": "assistant", "tool_calls": 3}], {}, "messages.0.tool_calls"),
        ([{"role": "assistant", "reasoning_details": [3]}], {}, "messages.0.reasoning_details"),
        ([USER], {"temperature": "warm"}, "temperature"),
        ([USER], {"stop": 3}, "stop"),
        ([USER], {"stop": ["a", 3]}, "stop.1"),
        ([USER], {"n": 0}, "n"),
        ([USER], {"seed": 1.5}, "seed"),
        ([USER], {"tools": [{"type": "function"}]}, "tools.0.function"),
        ([USER], {"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
        ([USER], {"tool_choice": "sometimes"}, "tool_choice"),
        ([USER], {"tool_choice": {}}, "tool_choice.name"),
        ([USER], {"response_format": {"type": "xml"}}, "response_format.type"),
        ([USER], {"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ([USER], {"reasoning_effort": 3}, "reasoning_effort"),
        ([USER], {"logit_bias": []}, "logit_bias"),
        ([USER], {"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ],
)
def test_a_refusal_names_the_member_at_fault(messages: list[Any], members: dict[str, Any], param: str):
    assert refused(*messages, **members).param == param


def test_half_a_surrogate_is_refused_before_us_or_by_us():
    body = b'{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}'
    with pytest.raises(Refusal):
        request_in.read(open_body(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "model",
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "stop",
        "n",
        "seed",
        "logit_bias",
        "thinking",
        "reasoning",
        "metadata",
        "response_format",
        "prompt_cache_options",
        "web_search_options",
        "stream",
        "chat_template_kwargs",
    ]
)
MEMBER = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "image_url",
        "file",
        "input_audio",
        "tool_calls",
        "function_call",
        "reasoning_details",
        "annotations",
        "audio",
        "tool_call_id",
        "name",
        "refusal",
        "cache_control",
        "custom",
        "function",
        "id",
        "arguments",
    ]
)
ROLE = st.sampled_from(["user", "assistant", "tool", "function", "system", "x"])


@st.composite
def odd_messages(draw: st.DrawFn) -> Any:
    def one(depth: int = 0) -> Any:
        if depth > 2 or draw(st.integers(0, 3)) == 0:
            return draw(JSON)
        if draw(st.booleans()):
            return [one(depth + 1) for _ in range(draw(st.integers(0, 2)))]
        found = {draw(MEMBER): one(depth + 1) for _ in range(draw(st.integers(0, 3)))}
        return found | {"type": draw(st.sampled_from(["text", "image_url", "file", "custom", "function"]))}

    return [
        {"role": draw(ROLE)} | {draw(MEMBER): one() for _ in range(draw(st.integers(0, 4)))}
        for _ in range(draw(st.integers(0, 3)))
    ]


@settings(max_examples=300, deadline=None)
@given(messages=odd_messages(), members=st.dictionaries(NAMES, JSON, max_size=4))
def test_hostile_requests_are_read_or_refused(messages: Any, members: dict[str, Any]):
    body = {"model": "m", "messages": messages} | members
    try:
        request = request_in.read(open_body(json.dumps(body).encode()))
    except Refusal as refusal:
        param = refusal.param
    else:
        param = request.model
        assert request.metadata is ABSENT or bytes(request.metadata)[:1] == b"{"
    assert param
