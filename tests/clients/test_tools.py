"""Tools over several turns, and thinking that must come back unchanged, by the official Python libraries.

The simulated vendors check what comes back: results for every call, in order, and the signatures they issued.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from tests.clients.grid import NAMES, Grid

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"place": {"type": "string"}, "big": {"type": "integer"}}}
TOOLS = ("look", "wait")
ASK = "use look and wait"
RESULTS = {"look": "sun", "wait": "noon"}
BIG = 2**53 + 1  # the simulated models put it into every member of that name


def quoted(text: str) -> bool:
    """The model has been given both results, in the order of its calls."""
    return text.find("sun") >= 0 and text.find("noon") > text.find("sun")


CHAT_TOOLS: Any = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in TOOLS]


def chat_message(grid: Grid, name: str, messages: Any, *, stream: bool, **more: Any) -> dict[str, Any]:
    """The assistant's message, put together as this library does it."""
    client = grid.openai()
    asked: Any = {"model": name, "messages": messages, "tools": CHAT_TOOLS, **more}
    if not stream:
        return client.chat.completions.create(**asked).choices[0].message.model_dump(exclude_none=True)
    with client.chat.completions.stream(**asked) as events:
        for _ in events:
            pass
        return events.get_final_completion().choices[0].message.model_dump(exclude_none=True)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", NAMES)
def test_openai_chat_calls_tools_and_hands_in_results(grid: Grid, name: str, stream: bool):
    messages: Any = [{"role": "user", "content": ASK}]
    message = chat_message(grid, name, messages, stream=stream)
    calls = message["tool_calls"]
    assert [call["function"]["name"] for call in calls] == list(TOOLS)
    assert all(json.loads(call["function"]["arguments"])["big"] == BIG for call in calls)
    assert f'"big":{BIG}' in calls[0]["function"]["arguments"].replace(" ", "")
    kept = {key: message[key] for key in ("role", "content", "tool_calls", "reasoning_content") if key in message}
    for call in kept["tool_calls"]:
        for extra in ("index", "parsed_arguments"):
            call.pop(extra, None)
            call["function"].pop(extra, None)
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": RESULTS[call["function"]["name"]]} for call in calls
    ]
    last = chat_message(grid, name, [*messages, kept, *results], stream=stream)
    assert quoted(last["content"])


@pytest.mark.parametrize("name", NAMES)
def test_openai_responses_calls_tools_and_hands_in_results(grid: Grid, name: str):
    client = grid.openai()
    tools: Any = [{"type": "function", "name": tool, "parameters": SCHEMA, "strict": False} for tool in TOOLS]
    said: Any = [{"role": "user", "content": ASK}]
    asked: Any = {"model": name, "tools": tools, "store": False, "include": ["reasoning.encrypted_content"]}
    with client.responses.stream(input=said, **asked) as stream:
        for _ in stream:
            pass
        reply = stream.get_final_response()
    calls = [item for item in reply.output if item.type == "function_call"]
    assert [call.name for call in calls] == list(TOOLS)
    said += [item.model_dump(exclude_none=True) for item in reply.output]
    for item in said:
        item.pop("parsed_arguments", None)
    said += [{"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]} for call in calls]
    assert quoted(client.responses.create(input=said, **asked).output_text)


@pytest.mark.parametrize("thinking", [False, True], ids=["plain", "thinking"])
@pytest.mark.parametrize("name", NAMES)
def test_anthropic_calls_tools_and_hands_in_results(grid: Grid, name: str, thinking: bool):
    client = grid.anthropic()
    asked: Any = {
        "model": name,
        "max_tokens": 4000,
        "tools": [{"name": tool, "input_schema": SCHEMA} for tool in TOOLS],
    }
    if thinking:
        asked["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    messages: Any = [{"role": "user", "content": ASK}]
    with client.messages.stream(messages=messages, **asked) as stream:
        reply = stream.get_final_message()
    calls = [block for block in reply.content if block.type == "tool_use"]
    assert [call.name for call in calls] == list(TOOLS)
    assert reply.stop_reason == "tool_use"
    assert calls[0].input["big"] == BIG
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in reply.content]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": RESULTS[call.name]} for call in calls
            ],
        },
    ]
    last = client.messages.create(messages=messages, **asked)
    assert quoted("".join(getattr(block, "text", "") for block in last.content))


@pytest.mark.parametrize("name", NAMES)
def test_gemini_calls_tools_and_hands_in_results(grid: Grid, name: str):
    declared: Any = [{"name": tool, "parameters_json_schema": SCHEMA} for tool in TOOLS]
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=declared)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=ASK)])]
    reply = grid.google.models.generate_content(model=name, contents=contents, config=config)
    calls = reply.function_calls or []
    assert [call.name for call in calls] == list(TOOLS)
    assert reply.candidates is not None
    contents.append(reply.candidates[0].content)
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"output": RESULTS[call.name or ""]}
            )
        )
        for call in calls
    ]
    contents.append(types.Content(role="user", parts=results))
    assert quoted(grid.google.models.generate_content(model=name, contents=contents, config=config).text or "")


SIGNERS = ("responses", "messages", "gemini", "vertex", "converse")


@pytest.mark.parametrize("kept", [True, False], ids=["sent back", "forgotten"])
@pytest.mark.parametrize("name", SIGNERS)
def test_pitfall_01_reasoning_of_a_chat_client_comes_back_to_its_maker(grid: Grid, name: str, kept: bool):
    """`forgotten`: the client sends back what OpenAI's own types know, and the gateway remembers the rest."""
    messages: Any = [{"role": "user", "content": f"think and {ASK}"}]
    message = chat_message(grid, name, messages, stream=False, reasoning_effort="low")
    assert message.get("reasoning_details"), message
    names = ("role", "content", "tool_calls") + (("reasoning_content", "reasoning_details") if kept else ())
    said = {key: message[key] for key in names if key in message}
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": RESULTS[call["function"]["name"]]}
        for call in message["tool_calls"]
    ]
    raw = grid.openai().chat.completions.with_raw_response.create(
        model=name, messages=[*messages, said, *results], tools=CHAT_TOOLS, reasoning_effort="low"
    )
    assert quoted(raw.parse().choices[0].message.content or "")
    assert "messages" not in raw.headers.get("x-baseload-dropped", "")
    body = grid.vendors[name].requests[-1].body
    marks = {"responses": b"encrypted_content", "messages": b"signature", "converse": b"signature"}
    assert marks.get(name, b"thoughtSignature") in body


def test_pitfall_02_a_signature_stays_with_its_model(grid: Grid):
    messages: Any = [{"role": "user", "content": f"think and {ASK}"}]
    message = chat_message(grid, "gemini", messages, stream=False, reasoning_effort="low")
    said = {key: message[key] for key in ("role", "content", "tool_calls", "reasoning_details") if key in message}
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": RESULTS[call["function"]["name"]]}
        for call in message["tool_calls"]
    ]
    raw = grid.openai().chat.completions.with_raw_response.create(
        model="messages", messages=[*messages, said, *results], tools=CHAT_TOOLS
    )
    assert quoted(raw.parse().choices[0].message.content or "")
    assert "reasoning_details" in raw.headers["x-baseload-dropped"]
    details = message["reasoning_details"]
    signatures = [found for detail in details if (found := detail.get("signature") or detail.get("data"))]
    assert signatures
    sent = grid.vendors["messages"].requests[-1].body
    assert not any(signature.encode() in sent for signature in signatures)
