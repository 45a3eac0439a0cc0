"""Canonical requests for a Messages provider: what survives, what is refused, what is dropped and named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from baseload.wire.canon.carry import Target, Uncarried
from baseload.wire.canon.effort import budget_of
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
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from baseload.wire.messages import request_out

TARGET = Target(protocol="messages", dialect="anthropic", model="claude-x", thought="budget")
USER = Turn("user", [Text(text="hi")])


def write(*turns: Turn, target: Target = TARGET, **members: Any) -> dict[str, Any]:
    return both(*turns, target=target, **members)[0]


def both(*turns: Turn, target: Target = TARGET, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    request = Request(**{"protocol": "chat", "model": "m", "turns": list(turns) or [USER], **members})
    written = request_out.write(request, target)
    return json.loads(written.body), written.dropped


def refused(*turns: Turn, target: Target = TARGET, **members: Any) -> Uncarried:
    with pytest.raises(Uncarried) as info:
        both(*turns, target=target, **members)
    return info.value


def call(id_: str = "t1", arguments: str = "{}", name: str = "f") -> ToolCall:
    return ToolCall(id=id_, name=name, arguments=arguments)


def result(id_: str = "t1", text: str = "r") -> ToolResult:
    return ToolResult(id=id_, content=[Text(text=text)])


TOOLS = [Tool(name="f", schema=Raw(b'{"type":"object"}')), Tool(name="g")]


def test_a_plain_request():
    assert both() == (
        {
            "model": "claude-x",
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        },
        (),
    )


def test_system_prompts_in_any_position_survive():
    body, dropped = both(
        Turn("system", [Text(text="a", cache="1h")]),
        Turn("developer", [Text(text="b"), Text(text=" ")]),
        USER,
    )
    assert body["system"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "b"},
    ]
    assert dropped == ()


def test_pitfall_08_a_late_system_message_is_hoisted_and_named():
    body, dropped = both(USER, Turn("system", [Text(text="late")]), Turn("user", [Text(text="go")]))
    assert body["system"] == [{"type": "text", "text": "late"}]
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert dropped == ("messages.1.role",)


def test_a_conversation_of_system_text_only_is_answered():
    body, dropped = both(Turn("system", [Text(text="be brief")]))
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "be brief"}]}]
    assert "system" not in body
    assert dropped == ("messages.0.role",)


def test_pitfall_06_parallel_results_are_in_one_user_message_and_first():
    body = write(
        USER,
        Turn("assistant", [call("a"), call("b")]),
        Turn("user", [result("a", "1")]),
        Turn("user", [Text(text="by the way")]),
        Turn("user", [result("b", "2")]),
        tools=TOOLS,
    )
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": "2"},
        {"type": "text", "text": "by the way"},
    ]


def test_pitfall_07_neighbours_are_merged_and_empty_text_is_no_block():
    body = write(
        USER,
        Turn("user", [Text(text="")]),
        Turn("assistant", [Text(text="\n"), call()]),
        Turn("assistant", []),
        Turn("assistant", [Text(text="x")]),
        Turn("user", [Text(text="more")]),
    )
    assert [(message["role"], [block["type"] for block in message["content"]]) for message in body["messages"]] == [
        ("user", ["text"]),
        ("assistant", ["tool_use", "text"]),
        ("user", ["text"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "raw"),
    [
        ("", b'"input":{}'),
        (" \n", b'"input":{}'),
        ("null", b'"input":{}'),
        ('{"b":1,"a":12345678901234567890,"c":1.10}', b'"input":{"b":1,"a":12345678901234567890,"c":1.10}'),
        ('{"a":', b'"input":{"INVALID_JSON":"{\\"a\\":"}'),
        ("[1]", b'"input":{"INVALID_JSON":"[1]"}'),
        ('{"a":\ud800}', b'"input":{"INVALID_JSON":"{\\"a\\":?}"}'),
    ],
)
def test_pitfall_04_arguments(arguments: str, raw: bytes):
    request = Request(protocol="chat", model="m", turns=[USER, Turn("assistant", [call(arguments=arguments)])])
    assert raw in request_out.write(request, TARGET).body


@pytest.mark.parametrize("id_", ["functions.f:0", "a b", "", "x" * 100, "\ud800", "blid_x"])
def test_pitfall_03_tool_ids_are_safe_and_link(id_: str):
    body = write(USER, Turn("assistant", [call(id_)]), Turn("user", [result(id_)]))
    used, answered = body["messages"][1]["content"][0]["id"], body["messages"][2]["content"][0]["tool_use_id"]
    assert used == answered
    assert used.replace("_", "").replace("-", "").isalnum()


def test_tool_results_survive():
    body = write(
        Turn(
            "user",
            [
                ToolResult(id="a", content=[Text(text="x"), Media(kind="image", url="https://i")], is_error=True),
                ToolResult(id="b", content=[], value=Raw(b'{"n": 1}')),
                ToolResult(id="c", content=[]),
            ],
        )
    )
    assert body["messages"][0]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image", "source": {"type": "url", "url": "https://i"}},
            ],
            "is_error": True,
        },
        {"type": "tool_result", "tool_use_id": "b", "content": '{"n": 1}'},
        {"type": "tool_result", "tool_use_id": "c"},
    ]


def test_images_survive():
    body, dropped = both(
        Turn(
            "user",
            [
                Media(kind="image", mime="image/webp", data="UklG"),
                Media(kind="image", data="/9j/4AAQ"),
                Media(kind="image", url="https://x", detail="high", cache="30m"),
            ],
        )
    )
    assert [block["source"] for block in body["messages"][0]["content"]] == [
        {"type": "base64", "media_type": "image/webp", "data": "UklG"},
        {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"},
        {"type": "url", "url": "https://x"},
    ]
    assert body["messages"][0]["content"][2]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert dropped == ("messages.0.content.2.detail",)


def test_documents_survive():
    body = write(
        Turn(
            "user",
            [
                Media(kind="document", mime="application/pdf", data="JVBE", name="a.pdf"),
                Media(kind="document", url="https://x/y.pdf"),
                Media(kind="document", text="words"),
                Media(kind="document", mime="text/csv", data="YSxi"),
            ],
        )
    )
    assert body["messages"][0]["content"] == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="audio", data="x"),
        Media(kind="video", url="https://x"),
        Media(kind="image", file="file_1"),
        Media(kind="document", mime="application/msword", data="x"),
        Opaque(protocol="responses", what="item_reference", raw=Raw(b"{}")),
    ],
)
def test_what_has_no_place_here_is_refused_by_name(part: Any):
    why = refused(Turn("user", [part]))
    assert why.param
    assert why.param.startswith("messages.")


def test_a_url_is_refused_where_the_target_takes_data_only():
    target = Target(protocol="messages", model="x", image_url=False)
    assert refused(Turn("user", [Media(kind="image", url="https://x")]), target=target).param == "messages.0.content.0"


def test_thinking_signatures_survive_to_their_maker():
    turn = Turn(
        "assistant",
        [
            Thinking(text="a", signature="S1", origin="anthropic/claude-x"),
            Thinking(signature="D", redacted=True, origin="anthropic/claude-x"),
            Thinking(text="", signature="S2", origin="anthropic/claude-x"),
            Text(text="b"),
        ],
    )
    body, dropped = both(USER, turn)
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "S1"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "text", "text": "b"},
    ]
    assert dropped == ()


@pytest.mark.parametrize(
    "part",
    [
        Thinking(text="a", signature="S", origin="gemini/x"),
        Thinking(text="a", signature="S"),  # native to chat, where no signature is known
        Thinking(text="a", origin="anthropic/claude-x"),
        Thinking(text="a"),
    ],
)
def test_pitfall_02_thinking_of_others_is_left_out_and_named(part: Thinking):
    body, dropped = both(USER, Turn("assistant", [part, Text(text="b")]), Turn("user", [Text(text="c")]))
    assert [block["type"] for block in body["messages"][1]["content"]] == ["text"]
    beside = "reasoning_details" if part.signature else "reasoning_content"
    assert dropped == (f"messages.1.{beside}",)


def test_refusals_survive_as_text():
    body = write(USER, Turn("assistant", [Refused(text="I cannot.")]))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "I cannot."}]


def test_citations_survive_in_their_own_protocol_only():
    own = Text(text="a", citations=(Raw(b'{"type":"char_location"}'),), citations_of="messages")
    other = Text(text="b", citations=(Raw(b'{"type":"url_citation"}'),), citations_of="chat")
    body, dropped = both(USER, Turn("assistant", [own, other]))
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "a", "citations": [{"type": "char_location"}]},
        {"type": "text", "text": "b"},
    ]
    assert dropped == ("messages.1.content.1",)


def test_tools_survive():
    body = write(
        tools=[
            Tool(name="f", description="d", schema=Raw(b'{"type":"object","z":1,"a":2}'), strict=True, cache="5m"),
            Tool(name="g"),
            Tool(name="h", schema=Raw(b'{"properties":{}}'), strict=False),
            Tool(name="i", schema=Raw(b"null")),
            Tool(name="w", kind="builtin", protocol="messages", raw=Raw(b'{"type":"web_search_20250305","name":"w"}')),
        ]
    )
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {
            "name": "f",
            "description": "d",
            "input_schema": {"type": "object", "z": 1, "a": 2},
            "strict": True,
            "cache_control": {"type": "ephemeral"},
        },
        {"name": "g", "input_schema": empty},
        {"name": "h", "input_schema": empty},
        {"name": "i", "input_schema": empty},
        {"type": "web_search_20250305", "name": "w"},
    ]


@pytest.mark.parametrize(
    "tool",
    [
        Tool(name="x", kind="custom", protocol="chat", raw=Raw(b"{}")),
        Tool(name="x", kind="builtin", protocol="responses", raw=Raw(b"{}")),
    ],
)
def test_pitfall_27_other_protocols_tools_are_refused(tool: Tool):
    assert refused(tools=[*TOOLS, tool]).param == "tools.2"


@pytest.mark.parametrize(
    ("choice", "parallel", "want"),
    [
        (None, None, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (Choice("auto"), None, {"type": "auto"}),
        (Choice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (Choice("tool", ("g",)), None, {"type": "tool", "name": "g"}),
        (Choice("none"), False, {"type": "none"}),
    ],
)
def test_tool_choice_survives(choice: Choice | None, parallel: bool | None, want: Any):
    assert write(tools=TOOLS, choice=choice, parallel=parallel).get("tool_choice") == want


def test_an_allowed_set_of_tools_is_the_list_of_tools():
    body = write(tools=TOOLS, choice=Choice("required", ("g",)))
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}


def test_a_choice_without_tools_is_left_out():
    assert "tool_choice" not in write(choice=Choice("none"), parallel=False)


def test_json_schema_output_survives():
    schema = Raw(b'{"type":"object","properties":{"z":{},"a":{}}}')
    request = Request(protocol="chat", model="m", turns=[USER], format=Format(kind="schema", schema=schema, name="n"))
    assert b'"output_config":{"format":{"type":"json_schema","schema":%s}}' % bytes(schema) in (
        request_out.write(request, TARGET).body
    )


def test_a_schema_that_was_not_given_is_refused_and_never_a_broken_body():
    assert refused(format=Format(kind="schema", name="x")).param == "response_format"


def test_pitfall_18_formats_that_cannot_be_had_are_refused():
    assert refused(format=Format(kind="json")).param == "response_format"
    assert refused(format=Format(kind="schema", schema=Raw(b"{}")), target=Target(protocol="messages", schema=False))
    assert "output_config" not in write(format=Format(kind="text"))


@pytest.mark.parametrize(
    ("given", "target", "want"),
    [
        (None, 0, 4096),
        (None, 64_000, 64_000),
        (300, 64_000, 300),
        (0, 0, 0),
    ],
)
def test_pitfall_16_max_tokens_is_always_there(given: int | None, target: int, want: int):
    limits = Target(protocol="messages", model="x", output_max=target)
    assert write(max_output=given, target=limits)["max_tokens"] == want


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh", "max"])
@pytest.mark.parametrize("output_max", [0, 8000, 128_000])
@pytest.mark.parametrize("given", [None, 1500, 20_000])
def test_pitfall_16_max_tokens_is_above_the_thinking_budget(effort: str, output_max: int, given: int | None):
    target = Target(protocol="messages", dialect="anthropic", model="c", thought="budget", output_max=output_max)
    body, dropped = both(thought=Thought(effort=effort), max_output=given, target=target)
    assert dropped == ()
    budget = body["thinking"]["budget_tokens"]
    assert 1024 <= budget < body["max_tokens"]
    assert budget <= budget_of(effort)
    if given is not None:
        assert body["max_tokens"] == given


def test_a_limit_too_small_to_think_turns_thinking_off_and_says_so():
    body, dropped = both(thought=Thought(effort="low"), max_output=500)
    assert "thinking" not in body
    assert (body["max_tokens"], dropped) == (500, ("reasoning_effort",))


@pytest.mark.parametrize(
    ("thought", "way", "thinking", "effort"),
    [
        (Thought(mode="on", budget=9000), "budget", {"type": "enabled", "budget_tokens": 9000}, None),
        (Thought(mode="on", budget=10), "budget", {"type": "enabled", "budget_tokens": 1024}, None),
        (Thought(effort="medium"), "toggle", {"type": "enabled", "budget_tokens": 8192}, None),
        (Thought(mode="adaptive"), "budget", {"type": "enabled", "budget_tokens": 8192}, None),
        (Thought(mode="off"), "budget", {"type": "disabled"}, None),
        (Thought(effort="xhigh"), "adaptive", {"type": "adaptive"}, "xhigh"),
        (Thought(effort="minimal"), "effort", {"type": "adaptive"}, "low"),
        (Thought(mode="on", budget=16_384), "effort", {"type": "adaptive"}, "high"),
        (Thought(mode="on"), "adaptive", {"type": "adaptive"}, None),
        (Thought(mode="off"), "adaptive", {"type": "disabled"}, None),
        (Thought(effort="low", show=True), "effort", {"type": "adaptive", "display": "summarized"}, "low"),
        (
            Thought(mode="on", budget=4096, show=False),
            "budget",
            {"type": "enabled", "budget_tokens": 4096, "display": "omitted"},
            None,
        ),
        (Thought(), "budget", None, None),
        (Thought(mode="off"), "none", None, None),
    ],
)
def test_effort_and_budget_survive(thought: Thought, way: str, thinking: Any, effort: str | None):
    target = Target(protocol="messages", dialect="anthropic", model="c", thought=way)
    body, dropped = both(thought=thought, target=target)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert dropped == ()


def test_a_model_that_cannot_think_says_so():
    target = Target(protocol="messages", model="c", thought="none")
    assert both(thought=Thought(effort="high"), target=target)[1] == ("reasoning_effort",)


LOOP = (USER, Turn("assistant", [call()]), Turn("user", [result()]))
PROVEN = (
    USER,
    Turn("assistant", [Thinking(text="t", signature="S", origin="anthropic/claude-x"), call()]),
    Turn("user", [result()]),
)


@pytest.mark.parametrize("choice", [Choice("required"), Choice("tool", ("f",))])
def test_a_forced_tool_turns_a_thinking_budget_off_and_says_so(choice: Choice):
    body, dropped = both(tools=TOOLS, choice=choice, thought=Thought(effort="high"))
    assert "thinking" not in body
    assert dropped == ("reasoning_effort",)


def test_a_tool_loop_without_its_signed_thinking_turns_a_budget_off_and_says_so():
    body, dropped = both(*LOOP, tools=TOOLS, thought=Thought(effort="high"))
    assert "thinking" not in body
    assert dropped == ("reasoning_effort",)


def test_a_tool_loop_with_its_signed_thinking_thinks_on():
    body, dropped = both(*PROVEN, tools=TOOLS, thought=Thought(effort="high"))
    assert body["thinking"]["type"] == "enabled"
    assert dropped == ()


def test_adaptive_thinking_allows_both():
    target = Target(protocol="messages", dialect="anthropic", model="c", thought="adaptive")
    body, dropped = both(*LOOP, tools=TOOLS, choice=Choice("required"), thought=Thought(effort="high"), target=target)
    assert body["thinking"] == {"type": "adaptive"}
    assert dropped == ()


def test_pitfall_15_sampling():
    body, dropped = both(
        temperature=1.7, top_p=0.5, top_k=4, seed=1, presence_penalty=0.5, verbosity="low", metadata=Raw(b'{"a":"b"}')
    )
    assert (body["temperature"], body["top_p"], body["top_k"]) == (1.0, 0.5, 4)
    assert "metadata" not in body
    assert dropped == ("seed", "presence_penalty", "verbosity", "metadata", "temperature")


def test_while_thinking_the_vendor_takes_little_sampling():
    body, dropped = both(thought=Thought(effort="low"), temperature=0.2, top_p=0.5, top_k=4, max_output=9000)
    assert not {"temperature", "top_p", "top_k"} & body.keys()
    assert dropped == ("temperature", "top_p", "top_k")
    other = Target(protocol="messages", dialect="minimax", model="M3", thought="budget")
    assert both(thought=Thought(effort="low"), temperature=0.2, target=other)[0]["temperature"] == 0.2


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": Raw(b'{"1":2}')}, "logit_bias"),
        ({"others": {"previous_response_id": Raw(b'"r"')}}, "previous_response_id"),
        ({"others": {"modalities": Raw(b'["audio"]')}}, "modalities"),
    ],
)
def test_what_the_answer_depends_on_is_refused(members: dict[str, Any], param: str):
    assert refused(**members).param == param


def test_names_are_the_clients_own():
    _, dropped = both(
        Turn("user", [Text(text="x")]),
        protocol="gemini",
        seed=3,
        temperature=2.0,
        others={"safetySettings": Raw(b"[]")},
    )
    assert dropped == ("generationConfig.seed", "safetySettings", "generationConfig.temperature")


@pytest.mark.parametrize(
    ("protocol", "tier", "want", "dropped"),
    [
        ("chat", "default", "standard_only", ()),
        ("chat", "auto", "auto", ()),
        ("chat", "flex", None, ("service_tier",)),
        ("messages", "standard_only", "standard_only", ()),
    ],
)
def test_service_tier(protocol: str, tier: str, want: str | None, dropped: tuple[str, ...]):
    body, lost = both(protocol=protocol, tier=tier)
    assert (body.get("service_tier"), lost) == (want, dropped)


def test_stop_sequences_survive():
    body, dropped = both(stop=("END", "\n\n"))
    assert body["stop_sequences"] == ["END"]
    assert dropped == ("stop",)


def test_the_end_users_id_survives():
    assert write(user="u-1")["metadata"] == {"user_id": "u-1"}


def test_pitfall_19_of_more_than_four_cache_marks_the_last_stay():
    body, dropped = both(
        Turn("system", [Text(text="s", cache="5m")]),
        Turn("user", [Text(text=str(number), cache="5m") for number in range(4)]),
        tools=[Tool(name="f", cache="1h")],
    )
    assert "cache_control" not in body["tools"][0]
    assert "cache_control" not in body["system"][0]
    assert all("cache_control" in block for block in body["messages"][0]["content"])
    assert dropped == ("tools", "messages.0.content.0")


def test_with_lossless_every_loss_is_a_refusal():
    target = Target(protocol="messages", model="c", lossless=True)
    assert refused(seed=1, target=target).param == "seed"
    assert refused(USER, Turn("system", [Text(text="x")]), target=target).param == "messages.1.role"


def test_pitfall_01_unsigned_thinking_goes_back_to_a_model_that_signs_nothing():
    target = Target(protocol="messages", dialect="deepseek", model="v4", thought="budget")
    turn = Turn("assistant", [Thinking(text="t", origin="deepseek/v4"), call()])
    body, dropped = both(
        USER, turn, Turn("user", [result()]), tools=TOOLS, thought=Thought(effort="high"), target=target
    )
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "t", "signature": ""}
    assert body["thinking"]["type"] == "enabled"
    assert dropped == ()


def test_thinking_by_effort_has_room_for_an_answer_where_nobody_set_a_limit():
    target = Target(protocol="messages", dialect="anthropic", model="c", thought="adaptive")
    assert write(thought=Thought(effort="max"), target=target)["max_tokens"] == budget_of("max") + 4096
    assert write(thought=Thought(mode="on"), target=target)["max_tokens"] == budget_of("high") + 4096
    assert write(thought=Thought(effort="max"), max_output=100, target=target)["max_tokens"] == 100


def test_what_a_dialect_refuses_is_left_out_and_named():
    target = Target(
        protocol="messages", dialect="x", model="y", unsupported=("parallel", "stop", "user", "tier", "top_k", "strict")
    )
    body, dropped = both(
        tools=[Tool(name="f", strict=True)],
        choice=Choice("required"),
        parallel=False,
        stop=("END",),
        user="u",
        tier="auto",
        top_k=3,
        target=target,
    )
    assert body.keys() == {"model", "max_tokens", "messages", "tools", "tool_choice"}
    assert body["tool_choice"] == {"type": "any"}
    assert sorted(dropped) == ["parallel_tool_calls", "service_tier", "stop", "tools.0.strict", "top_k", "user"]
