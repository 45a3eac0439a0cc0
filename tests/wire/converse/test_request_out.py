"""Canonical requests -> Converse bodies; each one is checked against AWS's own service model."""

from __future__ import annotations

import base64
import json
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator
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
from baseload.wire.converse.request_out import write
from tests.wire.wishes import WISHES

TARGET = Target(protocol="converse", dialect="bedrock", model="us.anthropic.claude", thought="budget", image_url=False)
WEATHER = Tool(name="weather", description="Tells it.", schema=Raw(b'{"type":"object","properties":{"z":{},"a":{}}}'))
HI = Turn("user", [Text(text="Hi")])
PNG = "iVBORw0KGgoAAAANSUhEUg=="


@cache
def input_shape() -> Shape:
    model = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
    return model.operation_model("ConverseStream").input_shape


def legal(body: bytes) -> dict[str, Any]:
    """The body, once AWS's model of the request has taken it, every member of it known there."""
    members: dict[str, Any] = json.loads(body)
    shape = input_shape()
    report = ParamValidator().validate({"modelId": "m", **members}, shape)
    assert not report.has_errors(), report.generate_report()
    known(members, shape)
    return members


def known(value: Any, shape: Shape) -> None:
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        assert value.keys() <= shape.members.keys()
        for name, inner in value.items():
            known(inner, shape.members[name])
    elif shape.type_name == "list":
        for inner in value:
            known(inner, shape.member)


def body(*turns: Turn, target: Target = TARGET, **more: Any) -> dict[str, Any]:
    return legal(write(Request(protocol="chat", model="m", turns=list(turns), **more), target).body)


def dropped(*turns: Turn, target: Target = TARGET, protocol: str = "chat", **more: Any) -> tuple[str, ...]:
    written = write(Request(protocol=protocol, model="m", turns=list(turns) or [HI], **more), target)
    legal(written.body)
    return written.dropped


def refused(*turns: Turn, target: Target = TARGET, protocol: str = "chat", **more: Any) -> str:
    with pytest.raises(Uncarried) as caught:
        write(Request(protocol=protocol, model="m", turns=list(turns) or [HI], **more), target)
    assert caught.value.param
    return caught.value.param


def user(*parts: AnyPart) -> Turn:
    return Turn("user", list(parts))


def said(*parts: AnyPart) -> Turn:
    return Turn("assistant", list(parts))


def test_the_whole_request():
    found = body(
        Turn("system", [Text(text="Be brief.", cache="1h")]),
        HI,
        tools=[WEATHER],
        choice=Choice("required"),
        max_output=100,
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
        tier="flex",
    )
    assert found == {
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "weather",
                        "description": "Tells it.",
                        "inputSchema": {"json": {"type": "object", "properties": {"z": {}, "a": {}}}},
                    }
                }
            ],
            "toolChoice": {"any": {}},
        },
        "serviceTier": {"type": "flex"},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }


def test_the_model_is_not_in_the_body():
    assert body(HI) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def test_system_prompts_in_any_position_survive():
    found = body(Turn("system", [Text(text="one")]), HI, Turn("developer", [Text(text="two"), Text(text="")]))
    assert found["system"] == [{"text": "one"}, {"text": "two"}]
    assert len(found["messages"]) == 1


def test_pitfall_08_late_system_messages_are_moved_and_named():
    assert dropped(HI, Turn("system", [Text(text="two")])) == ("messages.1.role",)
    assert dropped(Turn("system", [Text(text="one")]), HI, Turn("system", [Text(text=" ")])) == ()


def test_a_conversation_of_system_text_alone_is_not_empty():
    found = body(Turn("system", [Text(text="one", cache="5m")]))
    assert found == {"messages": [{"role": "user", "content": [{"text": "one"}, {"cachePoint": {"type": "default"}}]}]}


def test_parallel_tool_calls_survive():
    calls = said(ToolCall(id="a", name="weather", arguments='{"city":"P"}'), ToolCall(id="b", name="now"))
    results = user(ToolResult(id="a", content=[Text(text="21")]), ToolResult(id="b", content=[Text(text="noon")]))
    found = body(HI, calls, results, tools=[WEATHER])
    assert found["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "a", "name": "weather", "input": {"city": "P"}}},
        {"toolUse": {"toolUseId": "b", "name": "now", "input": {}}},
    ]
    assert found["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "a", "content": [{"text": "21"}]}},
        {"toolResult": {"toolUseId": "b", "content": [{"text": "noon"}]}},
    ]


def test_pitfall_04_arguments_keep_their_bytes():
    text = '{ "z": 1, "a": 12345678901234567890, "z2": 1.10 }'
    request = Request(protocol="chat", model="m", turns=[HI, said(ToolCall(id="a", name="f", arguments=text))])
    written = write(request, TARGET).body
    legal(written)
    assert text.encode() in written


@pytest.mark.parametrize("text", ["{", "[1]", "plain", '"x"', "NaN"])
def test_pitfall_04_arguments_that_are_no_object_do_not_crash(text: str):
    found = body(HI, said(ToolCall(id="a", name="f", arguments=text)))
    assert found["messages"][1]["content"][0]["toolUse"]["input"] == {"INVALID_JSON": text}


def test_the_schema_keeps_its_bytes():
    schema = b'{"type":"object", "properties":{"n":{"maximum":12345678901234567890}}}'
    request = Request(protocol="chat", model="m", turns=[HI], tools=[Tool(name="f", schema=Raw(schema))])
    assert schema in write(request, TARGET).body


def test_pitfall_06_results_come_first_in_one_message():
    turns = [
        HI,
        said(ToolCall(id="a", name="f"), ToolCall(id="b", name="f")),
        user(ToolResult(id="a", content=[Text(text="1")])),
        user(Text(text="by the way")),
        user(ToolResult(id="b", content=[Text(text="2")], cache="5m")),
    ]
    content = body(*turns)["messages"][2]["content"]
    assert [next(iter(block)) for block in content] == ["toolResult", "toolResult", "cachePoint", "text"]


def test_pitfall_07_alternation_is_kept_and_empty_text_left_out():
    found = body(
        HI,
        user(Text(text="")),
        user(Text(text="more")),
        said(Text(text="")),
        user(Text(text="!")),
        said(Refused(text="No.")),
    )
    assert found["messages"] == [
        {"role": "user", "content": [{"text": "Hi"}, {"text": "more"}, {"text": "!"}]},
        {"role": "assistant", "content": [{"text": "No."}]},
    ]


def test_pitfall_03_ids_of_other_providers_are_made_legal_and_still_link():
    odd = "functions.weather:0/" + "x" * 80
    found = body(HI, said(ToolCall(id=odd, name="f")), user(ToolResult(id=odd, content=[Text(text="1")])))
    used = found["messages"][1]["content"][0]["toolUse"]["toolUseId"]
    assert used == found["messages"][2]["content"][0]["toolResult"]["toolUseId"]
    assert body(HI, said(ToolCall(id="functions.f:0", name="f")))["messages"][1]["content"][0]["toolUse"][
        "toolUseId"
    ] == ("functions.f:0")


def test_tool_errors_and_objects_and_empty_results_survive():
    found = body(
        HI,
        said(ToolCall(id="a", name="f"), ToolCall(id="b", name="f"), ToolCall(id="c", name="f")),
        user(
            ToolResult(id="a", content=[Text(text="broken")], is_error=True),
            ToolResult(id="b", content=[], value=Raw(b'{"n":1}')),
            ToolResult(id="c", content=[Text(text="")]),
        ),
    )
    results = [block["toolResult"] for block in found["messages"][2]["content"]]
    assert results == [
        {"toolUseId": "a", "content": [{"text": "broken"}], "status": "error"},
        {"toolUseId": "b", "content": [{"json": {"n": 1}}]},
        {"toolUseId": "c", "content": [{"json": {}}]},
    ]


def test_images_survive():
    found = body(
        user(Media(kind="image", mime="image/jpeg", data="QUJD"), Media(kind="image", data=PNG)),
        user(Media(kind="image", mime="image/webp", url="s3://bucket/key")),
    )
    assert found["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": {"bytes": "QUJD"}}},
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/key"}}}},
    ]


def test_images_in_tool_results_survive():
    result = ToolResult(id="a", content=[Text(text="see"), Media(kind="image", mime="image/png", data=PNG)])
    found = body(HI, said(ToolCall(id="a", name="f")), user(result))
    assert found["messages"][2]["content"][0]["toolResult"]["content"] == [
        {"text": "see"},
        {"image": {"format": "png", "source": {"bytes": PNG}}},
    ]


def test_pitfall_09_images_by_url_are_refused_by_their_place():
    turns = [HI, user(Text(text="see"), Media(kind="image", url="https://example.org/a.png"))]
    assert refused(*turns) == "messages.1.content.1"
    system = Turn("system", [Text(text="x")])
    assert refused(system, *turns, protocol="messages") == "messages.1.content.1"


def test_places_are_named_as_the_client_counts_them():
    picture = user(Media(kind="image", url="https://example.org/a.png"))
    results = user(ToolResult(id="a", content=[]), ToolResult(id="b", content=[]))
    turns = [
        Turn("system", [Text(text="s")]),
        HI,
        said(ToolCall(id="a", name="f"), ToolCall(id="b", name="f")),
        results,
    ]
    assert refused(*turns, picture) == "messages.5.content.0", "each result is a message in chat"
    assert refused(*turns, picture, protocol="messages") == "messages.3.content.0"


@pytest.mark.parametrize("given", [b"{}", b"null", b'{"properties":{}}'])
def test_a_schema_that_does_not_say_its_type_is_an_objects(given: bytes):
    """Bedrock refuses a tool whose schema is of no type, or of another."""
    tool = body(HI, tools=[Tool(name="f", schema=Raw(given))])["toolConfig"]["tools"][0]["toolSpec"]
    assert tool["inputSchema"]["json"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="image", mime="image/tiff", data="QUJD"),
        Media(kind="image", data="QUJD"),
        Media(kind="image", mime="image/png"),
        Media(kind="image", file="file-1"),
        Media(kind="audio", mime="audio/midi", data="QUJD"),
        Opaque(protocol="messages", what="server_tool_use", raw=Raw(b"{}")),
        ToolCall(id="a", name="f"),
    ],
)
def test_what_has_no_place_is_refused(part: AnyPart):
    assert refused(user(part), protocol="messages") == "messages.0.content.0"


def test_documents_survive_with_legal_names():
    pdf = Media(kind="document", mime="application/pdf", data="JVBERi0=", name="Q3_report (final).pdf")
    found = body(user(Text(text="Read"), pdf, pdf, Media(kind="document", text="Grüße", name="a  b/c")))
    documents = [block["document"] for block in found["messages"][0]["content"][1:]]
    assert [(one["format"], one["name"]) for one in documents] == [
        ("pdf", "Q3-report (final)"),
        ("pdf", "Q3-report (final) (2)"),
        ("txt", "a b-c"),
    ]
    assert base64.b64decode(documents[2]["source"]["bytes"]).decode() == "Grüße"


def test_audio_and_video_survive():
    found = body(
        user(Media(kind="audio", mime="audio/wav", data="QQ=="), Media(kind="video", mime="video/mp4", data="QQ=="))
    )
    assert [next(iter(block)) for block in found["messages"][0]["content"]] == ["audio", "video"]


def test_the_assistants_own_media_cannot_go_back():
    assert refused(HI, said(Media(kind="image", mime="image/png", data=PNG))) == "messages.1.content.0"


def test_thinking_with_its_signature_survives_to_its_maker():
    own = [
        Thinking(text="Hm.", signature="sig", origin=TARGET.origin),
        Thinking(signature="AAEC", redacted=True, origin=TARGET.origin),
    ]
    turns = [HI, said(*own, ToolCall(id="a", name="f")), user(ToolResult(id="a", content=[Text(text="1")]))]
    found = body(*turns, thought=Thought(budget=2000))
    assert found["messages"][1]["content"][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "AAEC"}},
    ]
    assert found["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2000}}


@pytest.mark.parametrize("origin", ["", "bedrock/another", "anthropic/us.anthropic.claude"])
def test_pitfall_02_thinking_of_others_stays_away(origin: str):
    turns = [HI, said(Thinking(text="Hm.", signature="sig", origin=origin), Text(text="Yes"))]
    assert dropped(*turns) == ("messages.1.reasoning_details",)
    assert body(*turns)["messages"][1]["content"] == [{"text": "Yes"}]


def test_pitfall_01_a_tool_loop_whose_thinking_did_not_travel_goes_on_without():
    turns = [
        HI,
        said(Thinking(text="Hm.", signature="sig", origin="anthropic/x"), ToolCall(id="a", name="f")),
        user(ToolResult(id="a", content=[Text(text="1")])),
    ]
    assert "additionalModelRequestFields" not in body(*turns, thought=Thought(mode="on", budget=2000))
    assert dropped(*turns, thought=Thought(mode="on", budget=2000)) == (
        "messages.1.reasoning_details",
        "reasoning_effort",
    )


@pytest.mark.parametrize(
    ("thought", "how", "limit", "fields", "effort", "named"),
    [
        (Thought(effort="high"), "budget", None, {"type": "enabled", "budget_tokens": 16384}, None, False),
        (Thought(mode="on"), "budget", None, {"type": "enabled", "budget_tokens": 8192}, None, False),
        (Thought(budget=500), "budget", None, {"type": "enabled", "budget_tokens": 1024}, None, True),
        (Thought(budget=9000), "budget", 4000, {"type": "enabled", "budget_tokens": 3000}, None, True),
        (Thought(budget=9000), "budget", 900, None, None, True),
        (Thought(mode="off"), "budget", None, {"type": "disabled"}, None, False),
        (Thought(show=True), "budget", None, None, None, False),
        (Thought(mode="adaptive", effort="low"), "adaptive", None, {"type": "adaptive"}, "low", False),
        (Thought(effort="medium"), "effort", None, None, "medium", False),
        (Thought(effort="minimal"), "effort", None, None, "low", True),
        (Thought(budget=16384), "effort", None, None, "high", False),
        (Thought(mode="off"), "effort", None, None, None, True),
        (Thought(effort="high"), "none", None, None, None, True),
        (Thought(mode="off"), "none", None, None, None, False),
    ],
)
def test_pitfall_17_effort_and_budget(
    thought: Thought, how: str, limit: int | None, fields: dict[str, Any] | None, effort: str | None, named: bool
):
    target = Target(protocol="converse", dialect="bedrock", model="m", thought=how)
    found = body(HI, target=target, thought=thought, max_output=limit)
    assert found.get("additionalModelRequestFields", {}).get("thinking") == fields
    assert found.get("outputConfig", {}).get("effort") == effort
    assert dropped(HI, target=target, thought=thought, max_output=limit) == (("reasoning_effort",) if named else ())


def test_thinking_by_a_budget_takes_no_forced_tool():
    named = dropped(HI, thought=Thought(budget=2000), tools=[WEATHER], choice=Choice("required"))
    assert named == ("reasoning_effort",)


def test_thinking_by_a_budget_takes_no_other_temperature():
    named = dropped(HI, thought=Thought(budget=2000), temperature=0.2, top_k=5)
    assert set(named) == {"temperature", "top_k"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        (Choice("auto"), {"auto": {}}),
        (Choice("required"), {"any": {}}),
        (Choice("tool", ("now",)), {"tool": {"name": "now"}}),
    ],
)
def test_tool_choice_survives(choice: Choice | None, expected: dict[str, Any] | None):
    found = body(HI, tools=[WEATHER, Tool(name="now")], choice=choice)
    assert found["toolConfig"].get("toolChoice") == expected


def test_an_allowed_set_of_tools_survives():
    found = body(HI, tools=[WEATHER, Tool(name="now")], choice=Choice("required", ("now",)))
    assert [tool["toolSpec"]["name"] for tool in found["toolConfig"]["tools"]] == ["now"]


def test_no_tools_at_all_leaves_them_out_and_names_them():
    assert "toolConfig" not in body(HI, tools=[WEATHER], choice=Choice("none"))
    assert dropped(HI, tools=[WEATHER], choice=Choice("none")) == ("tools",)


def test_no_tools_after_calls_is_refused_for_the_calls_need_their_definitions():
    turns = [HI, said(ToolCall(id="a", name="f")), user(ToolResult(id="a", content=[]))]
    assert refused(*turns, tools=[WEATHER], choice=Choice("none")) == "tool_choice"


def test_calls_without_any_tool_offered_define_the_tools_they_used():
    turns = [HI, said(ToolCall(id="a", name="f")), user(ToolResult(id="a", content=[]))]
    assert [tool["toolSpec"]["name"] for tool in body(*turns)["toolConfig"]["tools"]] == ["f"]


@pytest.mark.parametrize("kind", ["builtin", "custom"])
def test_pitfall_27_other_tools_are_refused(kind: str):
    assert refused(HI, tools=[WEATHER, Tool(name="x", kind=kind, protocol="responses")]) == "tools.1"


def test_json_schema_output_survives():
    schema = b'{"type":"object", "required":["b","a"]}'
    found = body(HI, format=Format(kind="schema", name="answer", schema=Raw(schema), strict=True))
    text_format = found["outputConfig"]["textFormat"]
    assert text_format == {
        "type": "json_schema",
        "structure": {"jsonSchema": {"schema": schema.decode(), "name": "answer"}},
    }


def test_pitfall_18_json_without_a_schema_is_refused():
    assert refused(HI, format=Format(kind="json")) == "response_format"
    assert refused(HI, format=Format(kind="json"), protocol="gemini") == "generationConfig.responseSchema"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": Raw(b'{"1":2}')}, "logit_bias"),
        ({"others": {"previous_response_id": Raw(b'"x"')}}, "previous_response_id"),
    ],
)
def test_pitfall_15_what_the_answer_depends_on_is_refused(more: dict[str, Any], param: str):
    assert refused(HI, **more) == param


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"seed": 0}, ("seed",)),
        ({"presence_penalty": 1.0, "frequency_penalty": 0.0}, ("presence_penalty",)),
        ({"user": "u", "metadata": Raw(b'{"a":"b"}'), "verbosity": "low"}, ("verbosity", "user", "metadata")),
        ({"cache_key": "k"}, ("prompt_cache_key",)),
        ({"tier": "scale"}, ("service_tier",)),
        ({"tier": "auto"}, ()),
        ({"parallel": False, "tools": [WEATHER]}, ("parallel_tool_calls",)),
        ({"others": {"prediction": Raw(b"{}")}}, ("prediction",)),
        ({"temperature": 1.5}, ("temperature",)),
    ],
)
def test_wishes_are_dropped_and_named(more: dict[str, Any], names: tuple[str, ...]):
    assert dropped(HI, **more) == names


def test_temperature_is_clamped():
    assert body(HI, temperature=1.5)["inferenceConfig"] == {"temperature": 1.0}


def test_lossless_refuses_every_loss():
    target = Target(protocol="converse", dialect="bedrock", model="m", lossless=True)
    assert refused(HI, target=target, seed=1) == "seed"


def test_what_an_offer_does_not_take_is_named():
    target = Target(protocol="converse", dialect="bedrock", model="m", unsupported=("top_p", "stop", "cache", "top_k"))
    named = dropped(user(Text(text="x", cache="5m")), target=target, top_p=0.5, stop=("a",), top_k=3)
    assert set(named) == {"messages.0.content.0", "top_p", "stop", "top_k"}


def test_cache_marks_survive_at_the_next_longer_lifetime():
    found = body(user(Text(text="a", cache="5m"), Text(text="b", cache="12h")), tools=[Tool(name="f", cache="1h")])
    assert found["messages"][0]["content"] == [
        {"text": "a"},
        {"cachePoint": {"type": "default"}},
        {"text": "b"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
    ]
    assert found["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert dropped(user(Text(text="b", cache="12h"))) == ("messages.0.content.0",)
    assert dropped(user(Text(text="b", cache="30m"))) == ()


@pytest.mark.parametrize(
    ("model", "fields"),
    [("us.anthropic.claude", {"top_k": 7}), ("us.amazon.nova-pro-v1:0", {"inferenceConfig": {"topK": 7}})],
)
def test_top_k_is_a_field_of_the_models_own(model: str, fields: dict[str, Any]):
    target = Target(protocol="converse", dialect="bedrock", model=model)
    assert body(HI, target=target, top_k=7)["additionalModelRequestFields"] == fields


TEXTS = st.text(max_size=8)
MEDIA = st.builds(
    Media,
    kind=st.sampled_from(["image", "document", "audio", "video"]),
    mime=st.sampled_from(["", "image/png", "application/pdf", "video/mp4", "x/y"]),
    data=st.sampled_from(["", "QUJD", PNG]),
    url=st.sampled_from(["", "https://a.example/b.png", "s3://b/k.png"]),
    text=TEXTS,
    name=TEXTS,
)
TEXT = st.builds(Text, text=TEXTS, cache=st.sampled_from(["", "5m", "30m", "1h"]))
PARTS = st.one_of(
    TEXT,
    MEDIA,
    st.builds(
        Thinking, text=TEXTS, signature=TEXTS, redacted=st.booleans(), origin=st.sampled_from(["", TARGET.origin])
    ),
    st.builds(ToolCall, id=st.text(min_size=1, max_size=80), name=st.sampled_from(["f", "g"]), arguments=TEXTS),
    st.builds(ToolResult, id=st.text(min_size=1, max_size=80), content=st.lists(st.one_of(TEXT, MEDIA), max_size=2)),
    st.builds(Refused, text=TEXTS),
)
TURNS = st.lists(
    st.builds(Turn, st.sampled_from(["system", "developer", "user", "assistant"]), st.lists(PARTS, max_size=4)),
    max_size=5,
)


@given(
    TURNS,
    st.sampled_from(["chat", "responses", "messages", "gemini"]),
    st.sampled_from(["budget", "effort", "adaptive"]),
    WISHES,
)
def test_fuzz_every_conversation_is_legal_or_refused(turns: list[Turn], protocol: str, how: str, wishes: Any):
    target = Target(protocol="converse", dialect="bedrock", model="us.anthropic.claude", thought=how)
    request = Request(protocol=protocol, model="m", turns=turns, **wishes)
    try:
        written = write(request, target)
    except Uncarried as why:
        assert why.param  # noqa: PT017
        return
    found = legal(written.body)
    roles = [message["role"] for message in found["messages"]]
    assert all(one != other for one, other in pairwise(roles)), "in turn"
    texts = [block["text"] for message in found["messages"] for block in message["content"] if "text" in block]
    assert all(text.strip() for text in texts)
