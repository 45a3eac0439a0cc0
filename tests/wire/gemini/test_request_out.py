"""The canonical form as a body of generateContent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.canon.carry import Target
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
from baseload.wire.gemini import request_out

TARGET = Target(protocol="gemini", dialect="gemini", model="gemini-2.5-flash", thought="budget")
NEWEST = Target(protocol="gemini", dialect="gemini", model="gemini-3-pro-preview", thought="effort")


def write(target: Target = TARGET, **more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    more.setdefault("turns", [Turn("user", [Text(text="hi")])])
    written = request_out.write(Request(**{"protocol": "chat", "model": "m", **more}), target)
    body = json.loads(written.body)
    for content in body["contents"]:
        types.Content.model_validate(content)
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    types.ToolConfig.model_validate(body.get("toolConfig", {}))
    return body, written.dropped


def contents(*turns: Turn, target: Target = TARGET, **more: Any) -> list[dict[str, Any]]:
    return write(target, turns=list(turns), **more)[0]["contents"]


def test_system_prompts_in_any_position_survive():
    body, dropped = write(
        turns=[
            Turn("system", [Text(text="a")]),
            Turn("user", [Text(text="hi")]),
            Turn("developer", [Text(text="b"), Text(text="")]),
            Turn("user", [Text(text="you")]),
        ]
    )
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "hi"}, {"text": "you"}]}]
    assert dropped == ("messages.2.role",)


def test_a_system_prompt_alone_is_what_is_asked():
    body, _ = write(turns=[Turn("system", [Text(text="a")])])
    assert body == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}


def test_pitfall_07_alternation_is_merged():
    found = contents(
        Turn("user", [Text(text="a")]),
        Turn("user", [Text(text="b")]),
        Turn("assistant", [Text(text="")]),
        Turn("assistant", [Text(text="c"), Refused(text="no")]),
    )
    assert found == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}, {"text": "no"}]},
    ]


def test_images_survive():
    found = contents(
        Turn(
            "user",
            [
                Media(kind="image", mime="image/png", data="AAAA", detail="auto"),
                Media(kind="image", data="iVBORw0KGgoAAAA="),
                Media(kind="image", url="https://a.test/x.webp"),
                Media(kind="image", url="data:image/gif;base64,R0lGODlh_w"),
                Media(kind="document", mime="application/pdf", data="JVBERi0x"),
                Media(kind="document", text="plain", name="a"),
            ],
        )
    )
    assert found[0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoAAAA="}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://a.test/x.webp"}},
        {"inlineData": {"mimeType": "image/gif", "data": "R0lGODlh/w=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}},
        {"inlineData": {"mimeType": "text/plain", "data": "cGxhaW4="}},
    ]


def test_pitfall_09_media_that_cannot_go_is_refused():
    closed = Target(protocol="gemini", image_url=False)
    for part, target in (
        (Media(kind="image", url="https://a.test/x.png"), closed),
        (Media(kind="document", file="file_123"), TARGET),
        (Media(kind="image"), TARGET),
    ):
        with pytest.raises(Refusal) as refused:
            contents(Turn("user", [Text(text="x"), part]), target=target)
        assert refused.value.param == "messages.0.content.1"
    _, dropped = write(turns=[Turn("user", [Media(kind="image", data="AAAA", detail="high")])])
    assert dropped == ("messages.0.content.0.detail",)


def test_parallel_tool_calls_survive_with_results_in_order():
    found = contents(
        Turn(
            "assistant",
            [
                Text(text="look"),
                ToolCall(id="c1", name="f", arguments='{"z":12345678901234567890,"a":1}'),
                ToolCall(id="c2", name="g"),
            ],
        ),
        Turn("user", [ToolResult(id="c1", content=[Text(text="one")])]),
        Turn(
            "user",
            [Text(text="and now?"), ToolResult(id="c2", content=[Text(text="two")], is_error=True)],
        ),
    )
    assert found[0]["parts"] == [
        {"text": "look"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"z": 12345678901234567890, "a": 1}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
    ]
    assert found[1] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
            {"functionResponse": {"id": "c2", "name": "g", "response": {"error": "two"}}},
            {"text": "and now?"},
        ],
    }


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("", "{}"),
        ("  ", "{}"),
        ('{"b":1,"a":{"n":12345678901234567890}}', '{"b":1,"a":{"n":12345678901234567890}}'),
        ('{"a":', '{"arguments":"{\\"a\\":"}'),
        ("[1, 2]", '{"arguments":[1, 2]}'),
        ('"x"', '{"arguments":"x"}'),
        ("[" * 5000, '{"arguments":"' + "[" * 5000 + '"}'),
    ],
)
def test_pitfall_04_arguments(text, args):
    turn = Turn("assistant", [ToolCall(id="c", name="f", arguments=text)])
    body = request_out.write(Request(protocol="chat", model="m", turns=[turn]), TARGET).body
    assert ('"args":' + args + "}").encode() in body


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("sunny", {"output": "sunny"}),
        ('{"t": 3}', {"t": 3}),
        ('{"output": 3}', {"output": '{"output": 3}'}),
        ('{"t": ', {"output": '{"t": '}),
        ("[1]", {"output": "[1]"}),
        ("", {"output": ""}),
    ],
)
def test_results_are_objects(text, response):
    found = contents(Turn("user", [ToolResult(id="c", content=[Text(text=text)], name="f")]))
    assert found[0]["parts"][0]["functionResponse"]["response"] == response


def test_images_in_a_result_stand_beside_it():
    result = ToolResult(id="c", name="f", content=[Text(text="a"), Media(kind="image", mime="image/png", data="AAAA")])
    found = contents(Turn("user", [result]))
    assert [list(part) for part in found[0]["parts"]] == [["functionResponse"], ["inlineData"]]


def test_tools_keep_their_schema_byte_for_byte():
    schema = b'{"type":"object", "$defs":{"x":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/x"}},"z":1e400}'
    tool = Tool(name="f", description="d", schema=Raw(schema), strict=False)
    turns = [Turn("user", [Text(text="x")])]
    body = request_out.write(Request(protocol="chat", model="m", turns=turns, tools=[tool]), TARGET).body
    assert b'{"name":"f","description":"d","parametersJsonSchema":' + schema + b"}" in body


def test_tools_that_cannot_go():
    _, dropped = write(tools=[Tool(name="f", strict=True, cache="5m"), Tool(name="g")])
    assert dropped == ("tools.0.strict", "tools.0.cache_control")
    for kind in ("builtin", "custom"):
        with pytest.raises(Refusal) as refused:
            write(tools=[Tool(name="g"), Tool(name="web_search", kind=kind, protocol="responses")])
        assert refused.value.param == "tools.1"
    body, _ = write(
        protocol="gemini",
        tools=[Tool(name="googleSearch", kind="builtin", protocol="gemini", raw=Raw(b'{"googleSearch":{}}'))],
    )
    assert body["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (Choice("auto"), {"mode": "AUTO"}),
        (Choice("none"), {"mode": "NONE"}),
        (Choice("required"), {"mode": "ANY"}),
        (Choice("required", ("f", "g")), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
        (Choice("tool", ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (Choice("auto", ("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice_survives(choice, config):
    body, _ = write(tools=[Tool(name="f"), Tool(name="g")], choice=choice)
    assert body["toolConfig"] == {"functionCallingConfig": config}
    assert "toolConfig" not in write(choice=choice)[0]


def test_json_schema_output_survives():
    schema = b'{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}'
    body, dropped = write(format=Format(kind="schema", schema=Raw(schema), strict=True, name="x"))
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": json.loads(schema),
    }
    assert dropped == ()
    assert write(format=Format(kind="json"))[0]["generationConfig"] == {"responseMimeType": "application/json"}
    assert "generationConfig" not in write(format=Format(kind="text"))[0]
    with pytest.raises(Refusal) as refused:
        write(Target(protocol="gemini", schema=False), format=Format(kind="schema", schema=Raw(schema)))
    assert refused.value.param == "response_format"


def test_a_reference_with_neighbours_moves_into_an_anyof():
    schema = {
        "type": "object",
        "properties": {"$ref": {"$ref": "#/$defs/c", "description": "d", "default": 1}, "b": {"$ref": "#/$defs/c"}},
        "$defs": {"c": {"enum": [12345678901234567890]}},
    }
    body, _ = write(format=Format(kind="schema", schema=Raw(json.dumps(schema).encode())))
    written = body["generationConfig"]["responseJsonSchema"]
    assert written["properties"]["$ref"] == {"description": "d", "default": 1, "anyOf": [{"$ref": "#/$defs/c"}]}
    assert written["properties"]["b"] == {"$ref": "#/$defs/c"}
    assert written["$defs"] == schema["$defs"]


@pytest.mark.parametrize(
    ("thought", "budget", "level"),
    [
        (Thought(mode="off"), {"thinkingBudget": 0}, {"thinkingLevel": "MINIMAL"}),
        (Thought(mode="adaptive"), {"thinkingBudget": -1, "includeThoughts": True}, {"includeThoughts": True}),
        (
            Thought(mode="on", budget=2048),
            {"thinkingBudget": 2048, "includeThoughts": True},
            {"thinkingLevel": "LOW", "includeThoughts": True},
        ),
        (
            Thought(effort="high", show=False),
            {"thinkingBudget": 16384},
            {"thinkingLevel": "HIGH"},
        ),
        (Thought(show=True), {"includeThoughts": True}, {"includeThoughts": True}),
        (Thought(), None, None),
        (None, None, None),
    ],
)
def test_effort_and_budget_survive(thought, budget, level):
    for target, expect in ((TARGET, budget), (NEWEST, level)):
        config = write(target, thought=thought)[0].get("generationConfig", {}).get("thinkingConfig")
        assert config == expect
    types.ThinkingConfig.model_validate(budget or {})


def test_a_level_that_is_only_nearly_met_is_named():
    assert write(NEWEST, thought=Thought(effort="max"))[1] == ("reasoning_effort",)
    assert write(NEWEST, thought=Thought(mode="off"))[1] == ("reasoning_effort",)
    assert write(Target(protocol="gemini", thought="none"), thought=Thought(effort="low"))[1] == ("reasoning_effort",)


def test_sampling_survives():
    body, dropped = write(
        temperature=0.1,
        top_p=0.2,
        top_k=3,
        max_output=4,
        seed=5,
        presence_penalty=0.6,
        frequency_penalty=0.7,
        n=2,
        stop=("a", "b"),
        logprobs=True,
        top_logprobs=5,
        tier="flex",
    )
    assert body["generationConfig"] == {
        "temperature": 0.1,
        "topP": 0.2,
        "topK": 3,
        "maxOutputTokens": 4,
        "seed": 5,
        "presencePenalty": 0.6,
        "frequencyPenalty": 0.7,
        "candidateCount": 2,
        "stopSequences": ["a", "b"],
        "responseLogprobs": True,
        "logprobs": 5,
    }
    assert body["serviceTier"] == "flex"
    assert dropped == ()


def test_pitfall_15_what_is_lost_is_named_in_the_clients_words():
    body, dropped = write(
        user="u",
        cache_key="k",
        verbosity="low",
        parallel=False,
        metadata=Raw(b'{"a":"b"}'),
        tier="scale",
        stop=tuple("abcdef"),
        turns=[Turn("user", [Text(text="x", cache="5m")], "bob")],
        others={"store": Raw(b"true"), "moderation": Raw(b"{}"), "prediction": Raw(b'{"type":"content"}')},
    )
    assert set(dropped) == {
        "user",
        "prompt_cache_key",
        "verbosity",
        "parallel_tool_calls",
        "metadata",
        "service_tier",
        "stop",
        "messages.0.content.0.cache_control",
        "messages.0.name",
        "store",
        "prediction",
    }
    assert body["generationConfig"]["stopSequences"] == list("abcde")


@pytest.mark.parametrize(
    ("field", "more", "param"),
    [
        ("n", {"n": 2}, "n"),
        ("logprobs", {"logprobs": True}, "logprobs"),
        ("logit_bias", {"logit_bias": Raw(b'{"1":2}')}, "logit_bias"),
    ],
)
def test_what_the_dialect_refuses_is_refused_here(field, more, param):
    target = Target(protocol="gemini", unsupported=(field,))
    with pytest.raises(Refusal) as refused:
        write(target, **more)
    assert refused.value.param == param


def test_what_the_dialect_refuses_is_dropped_where_that_is_harmless():
    target = Target(protocol="gemini", unsupported=("seed", "stop", "top_k"))
    body, dropped = write(target, seed=1, stop=("a",), top_k=4)
    assert "generationConfig" not in body
    assert dropped == ("top_k", "seed", "stop")


def test_nothing_is_dropped_where_the_client_said_lossless():
    with pytest.raises(Refusal):
        write(Target(protocol="gemini", lossless=True), user="u")


def test_thinking_signatures_return_to_their_part():
    found = contents(
        Turn(
            "assistant",
            [
                Thinking(text="hm", origin="", signature=""),
                Thinking(signature="QUJD", origin=TARGET.origin),
                ToolCall(id="c", name="f"),
                Text(text="so"),
                Thinking(signature="REVG", origin=TARGET.origin),
            ],
        )
    )
    assert found[0]["parts"] == [
        {"text": "hm", "thought": True},
        {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "QUJD"},
        {"text": "so"},
        {"text": "", "thoughtSignature": "REVG"},
    ]


def test_two_signatures_in_a_row_are_both_kept():
    proofs = [Thinking(signature=each, origin=TARGET.origin) for each in ("QUJD", "REVG")]
    found = contents(Turn("assistant", [*proofs, Text(text="x")]))
    assert found[0]["parts"] == [{"text": "", "thoughtSignature": "QUJD"}, {"text": "x", "thoughtSignature": "REVG"}]


def test_pitfall_02_another_models_thinking_does_not_go_there():
    thinking = [
        Thinking(text="secret", signature="sig", origin="anthropic/claude"),
        Thinking(signature="blob", origin=TARGET.origin, redacted=True),
        Thinking(text="of nobody", signature="unsealed"),
        Thinking(text="plain"),
    ]
    body, dropped = write(turns=[Turn("assistant", [*thinking, Text(text="x")])])
    assert body["contents"] == [{"role": "model", "parts": [{"text": "x"}]}]
    assert dropped == ("messages.0.reasoning_details", "messages.0.reasoning_content")


def test_a_signature_of_the_protocol_itself_is_kept():
    turn = Turn("assistant", [Thinking(text="t"), Thinking(signature="QUJD"), Text(text="x")])
    assert contents(turn, protocol="gemini")[0]["parts"] == [
        {"text": "t", "thought": True},
        {"text": "x", "thoughtSignature": "QUJD"},
    ]


def test_from_gemini_3_on_unsigned_calls_are_excused():
    turn = Turn("assistant", [ToolCall(id="a", name="f"), ToolCall(id="b", name="f")])
    signatures = [part.get("thoughtSignature") for part in contents(turn, target=NEWEST)[0]["parts"]]
    assert signatures == ["skip_thought_signature_validator", None]
    assert all("thoughtSignature" not in part for part in contents(turn)[0]["parts"])
    signed = Turn("assistant", [Thinking(signature="QUJD", origin=NEWEST.origin), *turn.parts])
    signatures = [part.get("thoughtSignature") for part in contents(signed, target=NEWEST)[0]["parts"]]
    assert signatures == ["QUJD", None]


def test_parts_that_only_another_protocol_knows_are_refused():
    opaque = Opaque(protocol="messages", what="search_result", raw=Raw(b"{}"))
    with pytest.raises(Refusal) as refused:
        contents(Turn("user", [opaque]))
    assert refused.value.param == "messages.0.content.0"
    own = Opaque(protocol="gemini", what="executableCode", raw=Raw(b'{"executableCode":{"code":"1"}}'))
    assert contents(Turn("assistant", [own]))[0]["parts"] == [{"executableCode": {"code": "1"}}]


def test_citations_of_earlier_turns_are_named_as_lost():
    _, dropped = write(turns=[Turn("assistant", [Text(text="x", citations=(Raw(b"{}"),), citations_of="messages")])])
    assert dropped == ("messages.0.content.0",)


@pytest.mark.parametrize(
    ("model", "thought", "budget"),
    [
        ("gemini-2.5-flash", Thought(mode="on", budget=31_999), 24_576),  # a coding agent's largest
        ("gemini-2.5-flash", Thought(mode="off"), 0),
        ("gemini-2.5-flash-lite", Thought(mode="on", budget=100), 512),
        ("gemini-2.5-pro", Thought(effort="max"), 32_768),
        ("gemini-2.5-pro", Thought(mode="off"), 128),
        ("gemini-2.5-pro", Thought(mode="adaptive"), -1),
        ("gemini-9-new", Thought(mode="on", budget=99_999), 99_999),
    ],
)
def test_pitfall_17_a_budget_is_one_that_the_model_takes(model: str, thought: Thought, budget: int):
    target = Target(protocol="gemini", dialect="gemini", model=model, thought="budget")
    body, dropped = write(target=target, thought=thought)
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == budget
    asked = thought.budget or {"max": 65_536}.get(thought.effort, 0 if thought.mode == "off" else -1)
    assert dropped == (() if budget == asked else ("reasoning_effort",))
