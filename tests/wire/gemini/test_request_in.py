"""A Gemini client's request in canonical form."""

from __future__ import annotations

import json

import pytest

from baseload.errors import Refusal
from baseload.wire.body import open_body
from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.request import Media, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from baseload.wire.canon.signature import seal
from baseload.wire.gemini import GUARDED, request_in
from tests.wire.gemini.recorded import TOOLS, gemini_cli
from tests.wire.gemini.sdk import Sdk


def read(body: object) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request_in.read(open_body(raw, GUARDED), "m", True)


def parts(*items: object, role: str = "user") -> list:
    return read({"contents": [{"role": role, "parts": list(items)}]}).turns[0].parts


def test_model_and_stream_are_the_urls():
    request = read({"contents": [{"parts": [{"text": "hi"}]}]})
    assert (request.protocol, request.model, request.stream) == ("gemini", "m", True)
    assert [(turn.role, turn.parts) for turn in request.turns] == [("user", [Text(text="hi")])]


def test_the_system_instruction_is_the_first_turn():
    request = read({"system_instruction": {"parts": [{"text": "a"}, {"text": "b"}]}, "contents": []})
    assert [(turn.role, turn.parts) for turn in request.turns] == [("system", [Text(text="a"), Text(text="b")])]


def test_generation_config_whole():
    request = read(
        {
            "contents": [],
            "generationConfig": {
                "temperature": 0.5,
                "topP": 0.9,
                "topK": 4.0,
                "candidateCount": 2,
                "maxOutputTokens": 77,
                "stopSequences": ["x", "y"],
                "seed": 5,
                "presencePenalty": 0.1,
                "frequencyPenalty": -0.2,
                "responseLogprobs": True,
                "logprobs": 3,
                "speechConfig": {"languageCode": "de"},
            },
            "labels": {"team": "a"},
            "serviceTier": "FLEX",
        }
    )
    assert (request.temperature, request.top_p, request.top_k, request.n) == (0.5, 0.9, 4, 2)
    assert (request.max_output, request.stop, request.seed) == (77, ("x", "y"), 5)
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, -0.2)
    assert (request.logprobs, request.top_logprobs) == (True, 3)
    assert bytes(request.metadata) == b'{"team": "a"}'
    assert request.tier == "flex"
    assert list(request.others) == ["generationConfig.speechConfig"]


@pytest.mark.parametrize(
    ("config", "expect"),
    [
        ({"thinkingBudget": 0}, ("off", "", None, None)),
        ({"thinkingBudget": -1, "includeThoughts": True}, ("adaptive", "", None, True)),
        ({"thinking_budget": 512, "include_thoughts": False}, ("on", "", 512, False)),
        ({"thinkingLevel": "HIGH"}, ("", "high", None, None)),
    ],
)
def test_effort_and_budget(config, expect):
    thought = read({"contents": [], "generationConfig": {"thinkingConfig": config}}).thought
    assert thought is not None
    assert (thought.mode, thought.effort, thought.budget, thought.show) == expect


def test_json_schema_output():
    schema = {"type": "object", "properties": {"a": {"const": 12345678901234567890}}, "additionalProperties": False}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    wanted = read({"contents": [], "generationConfig": config}).format
    assert wanted is not None
    assert (wanted.kind, bytes(wanted.schema)) == ("schema", json.dumps(schema).encode())
    config = {"responseMimeType": "application/json"}
    assert read({"contents": [], "generationConfig": config}).format.kind == "json"  # type: ignore[union-attr]
    assert read({"contents": [], "generationConfig": {"responseMimeType": "text/plain"}}).format is None


def test_an_openapi_schema_becomes_json_schema():
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "enum": ["A", "B"], "nullable": True},
            "list": {"type": "ARRAY", "minItems": "1", "items": {"any_of": [{"type": "INTEGER"}, {"type": "NUMBER"}]}},
        },
        "propertyOrdering": ["type", "list"],
        "required": ["list"],
    }
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    request = read({"contents": [], "generationConfig": config})
    assert request.format is not None
    assert json.loads(bytes(request.format.schema)) == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["A", "B", None]},
            "list": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "integer"}, {"type": "number"}]}},
        },
        "required": ["list"],
    }
    assert list(request.others) == ["generationConfig.responseSchema.propertyOrdering"]


def test_tools_and_tool_choice():
    request = read(
        {
            "contents": [],
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "a", "description": "d", "parameters": {"type": "OBJECT"}},
                        {"name": "b", "parameters_json_schema": {"$ref": "#/x", "z": 1, "a": 2}},
                        {"name": "c", "behavior": "BLOCKING"},
                    ]
                },
                {"google_search": {}},
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a", "b"]}},
        }
    )
    assert [(tool.name, tool.kind, bytes(tool.schema)) for tool in request.tools] == [
        ("a", "function", b'{"type":"object"}'),
        ("b", "function", b'{"$ref": "#/x", "z": 1, "a": 2}'),
        ("c", "function", b""),
        ("googleSearch", "builtin", b""),
    ]
    assert (request.tools[3].protocol, bytes(request.tools[3].raw)) == ("gemini", b'{"googleSearch":{}}')
    assert request.choice is not None
    assert (request.choice.mode, request.choice.names) == ("required", ("a", "b"))
    assert list(request.others) == ["tools.0.functionDeclarations.2.behavior"]


@pytest.mark.parametrize(
    ("config", "expect"),
    [
        ({"mode": "AUTO"}, ("auto", ())),
        ({"mode": "NONE"}, ("none", ())),
        ({"mode": "any"}, ("required", ())),
        ({"mode": "ANY", "allowed_function_names": ["f"]}, ("tool", ("f",))),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, ("auto", ("f",))),
    ],
)
def test_tool_choice_modes(config, expect):
    choice = read({"contents": [], "tool_config": {"function_calling_config": config}}).choice
    assert choice is not None
    assert (choice.mode, choice.names) == expect


def test_parallel_calls_without_ids_are_linked_by_name_and_order():
    request = read(
        {
            "contents": [
                {
                    "role": "model",
                    "parts": [
                        {"functionCall": {"name": "f", "args": {"n": 1}}},
                        {"functionCall": {"name": "g", "args": {}}},
                        {"functionCall": {"name": "f", "args": {"n": 2}}},
                    ],
                },
                {
                    "role": "function",
                    "parts": [
                        {"functionResponse": {"name": "f", "response": {"output": "one"}}},
                        {"functionResponse": {"name": "f", "response": {"output": "two"}}},
                        {"functionResponse": {"name": "g", "response": {"error": "bad"}}},
                    ],
                },
            ]
        }
    )
    calls = [part for part in request.turns[0].parts if isinstance(part, ToolCall)]
    results = [part for part in request.turns[1].parts if isinstance(part, ToolResult)]
    assert len({call.id for call in calls}) == 3
    assert [result.id for result in results] == [calls[0].id, calls[2].id, calls[1].id]
    assert [result.content[0].text for result in results] == ["one", "two", "bad"]
    assert [result.is_error for result in results] == [False, False, True]


def test_pitfall_19_invented_ids_are_the_same_in_every_later_turn():
    body = json.loads(gemini_cli())
    whole = read(body)
    body["contents"] = body["contents"][:7]
    shorter = read(body)
    assert whole.turns[: len(shorter.turns)] == shorter.turns


def test_ids_of_their_own_are_kept_and_found():
    request = read(
        {
            "contents": [
                {
                    "role": "model",
                    "parts": [
                        {"functionCall": {"id": "call_1", "name": "f"}},
                        {"functionCall": {"id": "x y", "name": "f"}},
                        {"functionCall": {"name": "f"}},
                    ],
                },
                {
                    "parts": [
                        {"functionResponse": {"id": "x y", "name": "f", "response": {}}},
                        {"functionResponse": {"name": "f", "response": {}}},
                        {"functionResponse": {"id": "of nobody", "name": "f", "response": {}}},
                    ]
                },
            ]
        }
    )
    calls = [part.id for part in request.turns[0].parts if isinstance(part, ToolCall)]
    assert calls[:2] == ["call_1", "x y"]
    assert len(set(calls)) == 3
    results = [part.id for part in request.turns[1].parts if isinstance(part, ToolResult)]
    assert results == ["x y", "call_1", calls[2]]


def test_pitfall_04_arguments_keep_order_and_digits():
    raw = b'{"z": 12345678901234567890, "a": {"y":1e2, "x":[ ]}}'
    body = b'{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":' + raw + b"}}]}]}"
    call = read(body).turns[0].parts[0]
    assert isinstance(call, ToolCall)
    assert call.arguments == raw.decode()
    assert parts({"functionCall": {"name": "f"}}, role="model")[0].arguments == ""


def test_results_in_every_form():
    def result(response: object) -> ToolResult:
        return parts({"functionResponse": {"name": "f", "response": response}})[0]

    assert result({"output": {"a": 1}}).content == [Text(text='{"a": 1}')]
    assert result({"temp": 3, "output": 2}).content == [Text(text='{"temp": 3, "output": 2}')]
    assert result(None).content == [Text(text="{}")]
    assert bytes(result({"result": 4}).value) == b'{"result": 4}'
    made = parts(
        {
            "functionResponse": {
                "name": "f",
                "response": {"output": "see"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
            }
        }
    )[0]
    assert made.content == [Text(text="see"), Media(kind="image", mime="image/png", data="AAAA")]


def test_media_in_every_form():
    found = parts(
        {"inlineData": {"mime_type": "image/png", "data": "__7_"}},
        {"inline_data": {"mimeType": "application/pdf", "data": "JVBERi0", "displayName": "a.pdf"}},
        {"fileData": {"fileUri": "https://example.com/a.JPG?x=1"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/a"}},
        {
            "fileData": {
                "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                "mimeType": "audio/mpeg",
            }
        },
        {"fileData": {"fileUri": "https://youtu.be/abc"}},
    )
    assert found == [
        Media(kind="image", mime="image/png", data="//7/"),
        Media(kind="document", mime="application/pdf", data="JVBERi0=", name="a.pdf"),
        Media(kind="image", mime="image/jpeg", url="https://example.com/a.JPG?x=1"),
        Media(kind="video", mime="video/mp4", file="gs://bucket/a"),
        Media(kind="audio", mime="audio/mpeg", file="https://generativelanguage.googleapis.com/v1beta/files/abc"),
        Media(kind="video", mime="video/mp4", url="https://youtu.be/abc"),
    ]


def test_parts_that_only_google_knows_are_opaque():
    found = parts({"executable_code": {"code": "1+1", "language": "PYTHON"}}, {"toolCall": {"id": "x"}}, role="model")
    assert [(part.protocol, part.what) for part in found if isinstance(part, Opaque)] == [
        ("gemini", "executableCode"),
        ("gemini", "toolCall"),
    ]
    assert json.loads(bytes(found[0].raw)) == {"executableCode": {"code": "1+1", "language": "PYTHON"}}


def test_thinking_signatures_stand_before_their_part():
    found = parts(
        {"text": "hm", "thought": True},
        {"functionCall": {"name": "f"}, "thoughtSignature": "QUJD"},
        {"functionCall": {"name": "f"}},
        {"text": "", "thoughtSignature": "REVG"},
        role="model",
    )
    assert found[0] == Thinking(text="hm")
    assert found[1] == Thinking(signature="QUJD")
    assert [part.name for part in found[2:4]] == ["f", "f"]
    assert found[4] == Thinking(signature="REVG")


def test_a_sealed_signature_brings_its_thinking_again():
    sealed = seal("anthropic/claude", "sig", text="Hmm, exactly.")
    whole = [Thinking(text="Hmm, exactly.", signature="sig", origin="anthropic/claude"), Text(text="x")]
    assert parts({"text": "x", "thoughtSignature": sealed}, role="model") == whole
    shown = [{"text": "Hmm, ", "thought": True}, {"text": "exactly.", "thought": True}]
    assert parts(*shown, {"text": "x", "thoughtSignature": sealed}, role="model") == whole
    bare = seal("anthropic/claude", "sig", text=None)
    assert parts(*shown, {"text": "x", "thoughtSignature": bare}, role="model") == whole
    redacted = seal("anthropic/claude", "blob", redacted=True)
    assert parts(
        {"text": "", "thoughtSignature": redacted}, {"text": "x", "thoughtSignature": sealed}, role="model"
    ) == [
        Thinking(signature="blob", origin="anthropic/claude", redacted=True),
        *whole,
    ]


def test_a_reply_kept_piece_by_piece_is_one_turn():
    """Google's chat classes keep one content a piece of the stream."""
    request = read(
        {
            "contents": [
                {"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"text": "th", "thought": True}]},
                {"role": "model", "parts": [{"text": "ink", "thought": True}]},
                {"role": "model", "parts": [{"text": "He"}]},
                {"role": "model", "parts": [{"text": "llo"}]},
                {"role": "model", "parts": [{"text": "", "thoughtSignature": "QUJD"}]},
                {"role": "user", "parts": [{"text": "b"}]},
            ]
        }
    )
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user"]
    assert request.turns[1].parts == [Thinking(text="think"), Text(text="Hello"), Thinking(signature="QUJD")]


def test_state_and_safety_are_lost_by_the_table():
    request = read({"contents": [], "cached_content": "cachedContents/x", "safetySettings": [{"category": "X"}]})
    loss = Loss(Target(protocol="chat"))
    with pytest.raises(Refusal) as refused:
        loss.lose("other", "cachedContent")
    assert refused.value.param == "cachedContent"
    assert list(request.others) == ["safetySettings", "cachedContent"]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"responseModalities": ["TEXT", "IMAGE"]}, "generationConfig.responseModalities"),
        ({"responseMimeType": "text/x.enum"}, "generationConfig.responseMimeType"),
    ],
)
def test_what_the_answer_depends_on_is_refused(config, name):
    request = read({"contents": [], "generationConfig": config})
    assert list(request.others) == [name]
    with pytest.raises(Refusal):
        Loss(Target(protocol="chat")).lose("other", name)
    assert read({"contents": [], "generationConfig": {"responseModalities": ["TEXT"]}}).others == {}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": [1]}, "contents.0"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents.0.role"),
        ({"contents": [{"parts": {}}]}, "contents.0.parts"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents.0.parts.0.text"),
        ({"contents": [{"parts": [{"inline_data": {"data": 1}}]}]}, "contents.0.parts.0.inline_data.data"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents.0.parts.0.functionCall.name"),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": []}}]}]},
            "contents.0.parts.0.functionResponse.response",
        ),
        ({"contents": [{"parts": [{}]}]}, "contents.0.parts.0"),
        ({"contents": [{"parts": [{"mimeType": "a", "mime_type": "b"}]}]}, "contents.0.parts.0.mime_type"),
        ({"contents": [], "tools": [{"functionDeclarations": [{}]}]}, "tools.0.functionDeclarations.0.name"),
        (
            {"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "X"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        ({"contents": [], "systemInstruction": {"parts": [{"inlineData": {}}]}}, "systemInstruction.parts.0"),
        ({"contents": [], "systemInstruction": "x"}, "systemInstruction"),
        ({"contents": [], "tools": [], "toolConfig": {}, "tool_config": {}}, "tool_config"),
    ],
)
def test_a_refusal_names_the_member_in_the_clients_spelling(body, param):
    with pytest.raises(Refusal) as refused:
        read(body)
    assert refused.value.param == param
    assert refused.value.status == 400


def test_the_cli_is_read_whole():
    request = read(gemini_cli())
    assert [tool.name for tool in request.tools] == TOOLS
    assert len(request.turns) == 1 + 3 + 12
    assert request.others == {}
    calls = [part for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)]
    assert all("12345678901234567890" in call.arguments for call in calls)


def test_what_googles_own_library_sends_is_read():
    from google.genai import types

    sdk = Sdk()
    sdk.client.models.generate_content(
        model="m",
        contents=[
            types.Content(role="user", parts=[types.Part.from_bytes(data=b"\xff\xfe\xff", mime_type="image/png")]),
            types.Content(
                role="user", parts=[types.Part.from_uri(file_uri="https://a.test/x.png", mime_type="image/png")]
            ),
        ],
        config=types.GenerateContentConfig(
            system_instruction="be brief",
            top_k=4,
            response_schema={"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
            response_mime_type="application/json",
            thinking_config=types.ThinkingConfig(thinking_budget=-1, include_thoughts=True),
            tools=[
                types.Tool(
                    function_declarations=[
                        types.FunctionDeclaration(name="f", parameters_json_schema={"type": "object"})
                    ]
                )
            ],
        ),
    )
    request = read(sdk.bodies[0])
    assert request.turns[0].parts == [Text(text="be brief")]
    assert request.turns[1].parts == [Media(kind="image", mime="image/png", data="//7/")]
    assert request.top_k == 4
    assert request.thought is not None
    assert (request.thought.mode, request.thought.show) == ("adaptive", True)
    assert bytes(request.tools[0].schema) == b'{"type": "object"}'
    assert request.format is not None
    assert json.loads(bytes(request.format.schema))["type"] == "object"
    assert request.others == {}
