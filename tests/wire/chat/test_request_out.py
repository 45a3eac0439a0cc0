"""The canonical form written as a chat request: every vendor's dialect, and what each cannot carry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from baseload.wire.canon.carry import Target, Uncarried, Written
from baseload.wire.canon.ids import safe
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
from baseload.wire.chat import request_out

OPENAI = Target(protocol="chat", dialect="openai", model="up", unsupported=("top_k",), reasoning_back=False)
DEEPSEEK = Target(
    protocol="chat", dialect="deepseek", model="v4", developer=False, max_tokens_name="max_tokens", reasoning_back=True
)
QWEN = Target(protocol="chat", dialect="dashscope", model="qwen", developer=False, thought="budget", cache_marks=True)
ZHIPU = Target(
    protocol="chat",
    dialect="zhipu",
    model="glm",
    developer=False,
    max_tokens_name="max_tokens",
    thought="toggle",
    schema=False,
    image_bare=True,
    reasoning_back=False,
    unsupported=("n", "logprobs", "top_k"),
)


def toggled(dialect: str) -> Target:
    return Target(protocol="chat", dialect=dialect, model="up", thought="toggle")


def request(*turns: Turn, protocol: str = "messages", **members: Any) -> Request:
    return Request(protocol=protocol, model="m", turns=list(turns) or [Turn("user", [Text(text="hi")])], **members)


def write(made: Request, target: Target = OPENAI) -> tuple[dict[str, Any], tuple[str, ...]]:
    written: Written = request_out.write(made, target)
    return json.loads(written.body), written.dropped


def messages(*turns: Turn, target: Target = OPENAI, **members: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = write(request(*turns, **members), target)[0]["messages"]
    return found


def user(*parts: AnyPart) -> Turn:
    return Turn("user", list(parts))


def assistant(*parts: AnyPart) -> Turn:
    return Turn("assistant", list(parts))


def test_a_plain_request():
    body, dropped = write(request(max_output=9, stream=True))
    assert body == {
        "model": "up",
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert dropped == ()
    assert write(request(max_output=9), DEEPSEEK)[0]["max_tokens"] == 9


def test_every_setting_survives():
    body, dropped = write(
        request(
            protocol="chat",
            temperature=0.5,
            top_p=0.9,
            n=2,
            seed=2**40,
            stop=("a", "b"),
            presence_penalty=0.1,
            frequency_penalty=0.2,
            logit_bias=Raw(b'{"1": -1}'),
            logprobs=True,
            top_logprobs=2,
            user="u",
            metadata=Raw(b'{"a":"b"}'),
            cache_key="k",
            verbosity="low",
            tier="flex",
            others={"min_p": Raw(b"0.10")},
        )
    )
    assert dropped == ()
    assert body.keys() - {"model", "messages"} == {
        "temperature", "top_p", "n", "seed", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
        "top_logprobs", "user", "metadata", "prompt_cache_key", "verbosity", "service_tier", "min_p",
    }  # fmt: skip
    assert (body["seed"], body["stop"], body["service_tier"]) == (2**40, ["a", "b"], "flex")


def test_what_the_vendor_refuses_is_dropped_and_named_in_the_clients_words():
    made = request(protocol="gemini", top_k=5, temperature=0.5, others={"labels": Raw(b"{}")})
    body, dropped = write(made, OPENAI)
    assert "top_k" not in body
    assert dropped == ("generationConfig.topK", "labels")
    with pytest.raises(Uncarried) as caught:
        write(request(protocol="gemini", n=2), ZHIPU)
    assert caught.value.param == "generationConfig.candidateCount"
    lossless = Target(protocol="chat", dialect="openai", lossless=True, unsupported=("seed",))
    with pytest.raises(Uncarried) as caught:
        write(request(protocol="chat", seed=1), lossless)
    assert caught.value.param == "seed"


@pytest.mark.parametrize("member", ["modalities", "previous_response_id", "cachedContent", "container"])
def test_members_the_answer_depends_on_are_refused(member: str):
    with pytest.raises(Uncarried) as caught:
        write(request(others={member: Raw(b'"x"')}))
    assert caught.value.param == member


def test_pitfall_08_system_and_developer():
    turns = [Turn("developer", [Text(text="d")]), user(Text(text="u")), Turn("system", [Text(text="s")])]
    assert [message["role"] for message in messages(*turns)] == ["developer", "user", "system"]
    assert [message["role"] for message in messages(*turns, target=DEEPSEEK)] == ["system", "user", "system"]


def test_pitfall_09_images():
    shown = user(
        Text(text="see"),
        Media(kind="image", mime="image/png", data="QUJD", detail="low"),
        Media(kind="image", url="https://x.example/a"),
    )
    content = messages(shown)[0]["content"]
    assert content == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a"}},
    ]
    assert messages(shown, target=ZHIPU)[0]["content"][1]["image_url"]["url"] == "QUJD"
    data_only = Target(protocol="chat", image_url=False)
    with pytest.raises(Uncarried) as caught:
        messages(shown, target=data_only)
    assert caught.value.param == "messages.0.content.2"


@pytest.mark.parametrize(
    ("data", "mime"), [("iVBORw0KGgoA", "image/png"), ("/9j/AA", "image/jpeg"), ("UklGRx", "image/webp")]
)
def test_an_image_of_unknown_type_is_known_by_its_first_bytes(data: str, mime: str):
    content = messages(user(Media(kind="image", data=data)))[0]["content"]
    assert content[0]["image_url"]["url"].startswith(f"data:{mime};base64,")


def test_pdfs_and_sounds_survive():
    content = messages(
        user(
            Media(kind="document", mime="application/pdf", data="QUJD", name="a.pdf"),
            Media(kind="document", text="plain", name="note"),
            Media(kind="audio", mime="audio/mpeg", data="QUJD"),
        )
    )[0]["content"]
    assert content == [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "text", "text": "note\n\nplain"},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
    ]


@pytest.mark.parametrize(
    ("part", "protocol"),
    [
        (Media(kind="document", file="file_1"), "messages"),
        (Media(kind="document", url="https://x.example/a.pdf"), "messages"),
        (Media(kind="audio", url="gs://x"), "gemini"),
        (Media(kind="video", data="QUJD"), "gemini"),
        (Media(kind="image", file="file_1"), "responses"),
        (Opaque(protocol="messages", what="search_result", raw=Raw(b"{}")), "messages"),
    ],
)
def test_what_has_no_place_is_refused(part: AnyPart, protocol: str):
    with pytest.raises(Uncarried) as caught:
        messages(user(part), protocol=protocol)
    assert caught.value.param
    assert caught.value.param.endswith(".0.content.0")


def test_pitfall_19_cache_marks_go_where_they_are_taken():
    turns = [Turn("system", [Text(text="s", cache="1h")]), user(Text(text="u", cache="5m"))]
    assert [message["content"] for message in messages(*turns, target=QWEN)] == [
        [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        [{"type": "text", "text": "u", "cache_control": {"type": "ephemeral"}}],
    ]
    body, dropped = write(request(*turns), OPENAI)
    assert [message["content"] for message in body["messages"]] == ["s", "u"]
    assert dropped == ("system.0", "messages.0.content.0")


def test_pitfall_19_the_same_conversation_is_the_same_bytes():
    made = request(user(Text(text="a")), assistant(ToolCall(id="a", name="f")), user(ToolResult(id="a", content=[])))
    assert request_out.write(made, QWEN).body == request_out.write(made, QWEN).body


CALLS = assistant(ToolCall(id="a", name="f", arguments='{"b": 12345678901234567890}'), ToolCall(id="b", name="g"))


def test_parallel_tool_calls_survive():
    found = messages(
        CALLS,
        user(
            ToolResult(id="a", content=[Text(text="1")]), ToolResult(id="b", content=[Text(text="2"), Text(text="3")])
        ),
    )
    assert found == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"b": 12345678901234567890}'},
                },
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [{"type": "text", "text": "2"}, {"type": "text", "text": "3"}],
        },
    ]


def test_results_come_right_after_the_call_whatever_stood_before_them():
    found = messages(CALLS, user(Text(text="look"), ToolResult(id="a", content=[Text(text="1")]), Text(text="!")))
    assert [message["role"] for message in found] == ["assistant", "tool", "user"]
    assert [part["text"] for part in found[2]["content"]] == ["look", "!"]


def test_images_in_tool_results_follow_in_a_user_message():
    """Pitfall 9: a tool message carries text only."""
    image = Media(kind="image", mime="image/png", data="QUJD")
    found = messages(
        CALLS, user(ToolResult(id="a", content=[image]), ToolResult(id="b", content=[Text(text="2"), image]))
    )
    assert [message["role"] for message in found] == ["assistant", "tool", "tool", "user"]
    assert [message["content"] for message in found[1:3]] == ["The result is in the next user message.", "2"]
    shown = [part.get("text") or part["image_url"]["url"][:15] for part in found[3]["content"]]
    assert shown == ["Result of tool call a:", "data:image/png;", "Result of tool call b:", "data:image/png;"]


def test_a_failed_result_keeps_its_content_and_loses_its_flag():
    turns = (
        CALLS,
        user(
            ToolResult(id="a", content=[Text(text="boom")], is_error=True),
            ToolResult(id="b", content=[], is_error=True),
        ),
    )
    body, dropped = write(request(*turns))
    assert [message["content"] for message in body["messages"][1:]] == ["boom", "error"]
    assert dropped == ("messages.1.content.0.is_error", "messages.1.content.1.is_error")


def test_a_result_that_is_an_object_is_its_json():
    found = messages(CALLS, user(ToolResult(id="a", content=[], value=Raw(b'{"x": 1.0}'))), protocol="gemini")
    assert found[1]["content"] == '{"x": 1.0}'


def test_pitfall_03_tool_ids_are_the_providers_own():
    id_ = safe("functions.f:0")
    found = messages(assistant(ToolCall(id=id_, name="f")), user(ToolResult(id=id_, content=[])))
    assert found[0]["tool_calls"][0]["id"] == found[1]["tool_call_id"] == "functions.f:0"


def test_tools_and_their_order_survive():
    schema = Raw(b'{"type":"object","properties":{"b":{},"a":{}},"x":1.50}')
    made = request(
        tools=[Tool(name="f", description="d", schema=schema, strict=True), Tool(name="g")],
        choice=Choice("required"),
        parallel=False,
    )
    written = request_out.write(made, OPENAI)
    assert bytes(schema) in written.body
    body = json.loads(written.body)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f", "g"]
    assert body["tools"][0]["function"]["strict"] is True
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)


def test_tool_choice_survives():
    tools = [Tool(name="f"), Tool(name="g")]
    assert write(request(tools=tools, choice=Choice("tool", ("g",))))[0]["tool_choice"] == {
        "type": "function",
        "function": {"name": "g"},
    }
    allowed = request(tools=tools, choice=Choice("auto", ("g",)))
    assert write(allowed)[0]["tool_choice"]["allowed_tools"]["tools"] == [
        {"type": "function", "function": {"name": "g"}}
    ]
    body = write(allowed, QWEN)[0]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == "auto"
    assert "tool_choice" not in write(request(choice=Choice("auto")))[0]
    k2 = Target(protocol="chat", dialect="moonshot", unsupported=("tool.choice",))
    with pytest.raises(Uncarried):
        write(request(tools=tools, choice=Choice("required")), k2)
    assert write(request(tools=tools, choice=Choice("auto")), k2)[0]["tool_choice"] == "auto"


def test_pitfall_27_built_in_tools_stay_at_home():
    own = Tool(name="web_search_options", kind="builtin", protocol="chat", raw=Raw(b'{"a":1}'))
    assert write(request(protocol="chat", tools=[own]))[0]["web_search_options"] == {"a": 1}
    with pytest.raises(Uncarried) as caught:
        write(request(tools=[Tool(name="web_search", kind="builtin", protocol="messages", raw=Raw(b"{}"))]))
    assert caught.value.param == "tools.0"


def test_custom_tools_of_responses_are_nested_in_chat():
    flat = Raw(b'{"type":"custom","name":"c","format":{"type":"grammar","syntax":"lark","definition":"x"}}')
    made = request(
        assistant(ToolCall(id="a", name="c", arguments="x y", kind="custom")),
        protocol="responses",
        tools=[Tool(name="c", kind="custom", protocol="responses", raw=flat)],
    )
    body = write(made)[0]
    assert body["tools"] == [
        {
            "type": "custom",
            "custom": {"name": "c", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
        }
    ]
    assert body["messages"][0]["tool_calls"][0] == {
        "id": "a",
        "type": "custom",
        "custom": {"name": "c", "input": "x y"},
    }
    with pytest.raises(Uncarried):
        write(made, Target(protocol="chat", dialect="deepseek", unsupported=("tool.custom",)))


def test_pitfall_18_json_schema_survives_or_is_refused():
    form = Format(kind="schema", schema=Raw(b'{"type":"object"}'), strict=True)
    assert write(request(format=form))[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": {"type": "object"}, "strict": True},
    }
    assert write(request(format=Format(kind="json")), ZHIPU)[0]["response_format"] == {"type": "json_object"}
    with pytest.raises(Uncarried) as caught:
        write(request(format=form), ZHIPU)
    assert caught.value.param == "output_config.format"


@pytest.mark.parametrize(
    ("thought", "target", "want"),
    [
        (Thought(effort="high"), OPENAI, {"reasoning_effort": "high"}),
        (Thought(mode="off"), OPENAI, {"reasoning_effort": "none"}),
        (Thought(mode="on", budget=9000), OPENAI, {"reasoning_effort": "medium"}),
        (Thought(mode="on"), OPENAI, {"reasoning_effort": "medium"}),
        (Thought(mode="adaptive"), OPENAI, {}),
        (Thought(effort="low"), DEEPSEEK, {"reasoning_effort": "high"}),
        (Thought(effort="max"), DEEPSEEK, {"reasoning_effort": "max"}),
        (Thought(mode="off"), DEEPSEEK, {"thinking": {"type": "disabled"}}),
        (Thought(mode="on", budget=5000), QWEN, {"enable_thinking": True, "thinking_budget": 5000}),
        (Thought(effort="low"), QWEN, {"enable_thinking": True, "thinking_budget": 2048}),
        (Thought(mode="off"), QWEN, {"enable_thinking": False}),
        (Thought(mode="on"), ZHIPU, {"thinking": {"type": "enabled"}}),
        (Thought(budget=0), ZHIPU, {"thinking": {"type": "disabled"}}),
        (Thought(mode="off"), toggled("vllm"), {"chat_template_kwargs": {"enable_thinking": False}}),
        (Thought(mode="on"), toggled("sglang"), {"chat_template_kwargs": {"enable_thinking": True}}),
        (Thought(mode="off"), toggled("llamacpp"), {"chat_template_kwargs": {"enable_thinking": False}}),
        (Thought(mode="off"), toggled("qianfan"), {"enable_thinking": False}),
        (
            Thought(budget=5000),
            Target(protocol="chat", thought="adaptive"),
            {"thinking": {"type": "enabled", "budget_tokens": 5000}},
        ),
        (Thought(mode="adaptive"), Target(protocol="chat", thought="adaptive"), {"thinking": {"type": "adaptive"}}),
    ],
)
def test_pitfall_17_effort_budget_toggle(thought: Thought, target: Target, want: dict[str, Any]):
    body, dropped = write(request(thought=thought), target)
    assert {name: body[name] for name in body.keys() - {"model", "messages"}} == want
    assert dropped == ()


def test_a_wish_without_a_setting_is_named():
    assert write(request(thought=Thought(effort="low")), ZHIPU)[1] == ("thinking",)
    assert write(request(thought=Thought(mode="off")), Target(protocol="chat", thought="none"))[1] == ("thinking",)
    assert write(request(protocol="responses", thought=Thought(summary="detailed")))[1] == ("reasoning.summary",)


def test_pitfall_15_temperature_is_clamped_and_named():
    body, dropped = write(request(temperature=0.0), ZHIPU)
    assert (body["temperature"], dropped) == (0.01, ("temperature",))
    assert write(request(temperature=1.9), OPENAI) == (write(request(temperature=1.9), OPENAI)[0], ())


def test_pitfall_11_too_many_stop_sequences():
    body, dropped = write(request(stop=tuple("abcdef")), OPENAI)
    assert (body["stop"], dropped) == (list("abcd"), ("stop_sequences",))
    assert write(request(stop=tuple("abcdef")), DEEPSEEK)[0]["stop"] == list("abcdef")


def test_the_users_id_has_its_vendors_name():
    assert write(request(user="u"), DEEPSEEK)[0]["user_id"] == "u"
    assert write(request(user="u"), OPENAI)[0]["user"] == "u"


def test_tiers_of_other_protocols():
    assert write(request(protocol="gemini", tier="standard"))[0]["service_tier"] == "default"
    assert write(request(protocol="converse", tier="odd")) == (
        {"model": "up", "messages": [{"role": "user", "content": "hi"}]},
        ("tier",),
    )


THOUGHT = Thinking(text="t", signature="SIG", origin="deepseek/v4")


def test_pitfall_01_reasoning_goes_back_to_who_wants_it():
    turns = (user(Text(text="q")), assistant(THOUGHT, Text(text="a")), assistant(Text(text="b")))
    found, dropped = write(request(*turns), DEEPSEEK)
    assert found["messages"][1] == {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "t",
        "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "SIG", "index": 0}],
    }
    assert found["messages"][2]["reasoning_content"] == "", "DeepSeek and Moonshot answer 400 without the member"
    assert dropped == ()
    off = write(request(*turns, thought=Thought(mode="off")), DEEPSEEK)[0]
    assert "reasoning_content" not in off["messages"][2]


def test_pitfall_02_signatures_of_others_are_left_out_and_named():
    foreign = Thinking(text="t", signature="SIG", origin="anthropic/claude")
    found, dropped = write(request(assistant(foreign, Text(text="a"))), DEEPSEEK)
    assert found["messages"][0] == {"role": "assistant", "content": "a", "reasoning_content": "t"}
    assert dropped == ("messages.0.content.0",)
    unsealed = Thinking(text="t", signature="SIG")
    assert "reasoning_details" not in messages(assistant(unsealed), target=DEEPSEEK, protocol="messages")[0]
    assert "reasoning_details" in messages(assistant(unsealed), target=DEEPSEEK, protocol="chat")[0]
    hidden = Thinking(signature="DATA", redacted=True, origin="anthropic/claude")
    found, dropped = write(request(assistant(hidden, Text(text="a"))), OPENAI)
    assert found["messages"][0] == {"role": "assistant", "content": "a"}
    assert dropped == ("messages.0.content.0",)


def test_a_signature_goes_back_with_what_came_beside_it():
    packed = '{"signature":"D","id":"rs_1","format":"openai-responses-v1"}'
    own = Target(protocol="chat", dialect="openrouter", model="x", reasoning_back=False)
    part = Thinking(signature=packed, redacted=True, id="rs_1", origin="openrouter/x")
    assert messages(assistant(part), target=own)[0]["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "D", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
    ]


def test_thinking_nobody_wants_is_named():
    assert write(request(assistant(Thinking(text="t"), Text(text="a"))), OPENAI)[1] == ("messages.0.content.0",)


def test_refusals_survive():
    turn = assistant(Refused(text="no"))
    assert messages(turn)[0] == {"role": "assistant", "content": None, "refusal": "no"}
    assert messages(turn, target=QWEN)[0]["content"] == "no"


def test_pitfall_07_an_empty_turn_is_still_a_message():
    assert messages(assistant())[0] == {"role": "assistant", "content": ""}
    assert messages(user())[0] == {"role": "user", "content": ""}


def test_an_end_users_id_of_a_coding_agent_fits_openai():
    long = "user_" + "a" * 64 + "_account__session_" + "b" * 36
    found, dropped = write(request(user=long, cache_key=long))
    assert len(found["user"]) == len(found["prompt_cache_key"]) == 64
    assert found["user"] != write(request(user=long + "c"))[0]["user"]
    assert write(request(user="u-1"))[0]["user"] == "u-1"
    assert dropped == ()
