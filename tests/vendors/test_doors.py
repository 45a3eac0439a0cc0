"""The vendors' other doors and quirks: Azure, DashScope's own, Ark, rerank, images, sound, models, chat in depth."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import openai
import pytest

from tests.vendors import Fault, Simulator, failure, kinds, start
from tests.vendors.failures_more import QWEN
from tests.vendors.schemas import BIG, instance

SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}, "big": {"type": "integer"}}}
TOOLS = [
    {"type": "function", "function": {"name": "look", "parameters": SCHEMA}},
    {"type": "function", "function": {"name": "wait", "parameters": {"type": "object", "properties": {}}}},
]
PNG = "data:image/png;base64,AAAA"


def chat(text: Any = "hi", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


CLIENT = httpx.Client(verify=False)  # one for all: each makes a TLS context


def post(vendor: Simulator, path: str, body: Any, **headers: str) -> httpx.Response:
    return CLIENT.post(f"{vendor.url}{path}", json=body, headers={"authorization": "Bearer k", **headers})


def lines(reply: httpx.Response) -> list[Any]:
    found = [line.partition(":")[2].strip() for line in reply.text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in found if line != "[DONE]"]


# --- chat in depth

LATER_IDS: dict[str, set[str | None]] = {
    "openai": {None}, "moonshot": {None}, "dashscope": {""}, "minimax": {"call_1"},
}  # fmt: skip
"""What stands in the later fragments of a call; nothing where calls come whole."""


@pytest.mark.parametrize("name", ["openai", "dashscope", "minimax", "moonshot", "zhipu", "ollama"])
@pytest.mark.parametrize("text", ["use look and wait", "use look and wait interleave"])
def test_parallel_calls_stream_in_fragments_as_each_vendor_sends_them(name: str, text: str) -> None:
    with start(name) as vendor, openai.OpenAI(base_url=vendor.base_url, api_key="k") as client:
        plain = client.chat.completions.create(**chat(text, tools=TOOLS)).choices[0].message.tool_calls
        deltas = [
            call
            for frame in lines(post(vendor, "/v1/chat/completions", chat(text, tools=TOOLS, stream=True)))
            for choice in frame["choices"]
            for call in choice["delta"].get("tool_calls") or ()
        ]
        merged: dict[int, list[str]] = {}
        for call in deltas:
            if call["index"] not in merged:
                merged[call["index"]] = [call["id"], call["function"]["name"], ""]
            merged[call["index"]][2] += call["function"]["arguments"]
        assert [[call.id, call.function.name, call.function.arguments] for call in plain] == list(merged.values())
        assert json.loads(merged[0][2]) == {"place": f"echo {text}", "big": BIG}
        assert merged[1][2] == "{}"
        order = [call["index"] for call in deltas]
        assert (order == sorted(order)) == ("interleave" not in text or name in ("zhipu", "ollama"))
        later = [call.get("id") for call in deltas if call["index"] == 0][1:]
        assert set(later) == LATER_IDS.get(name, set())
        history = [
            {"role": "assistant", "content": None, "tool_calls": [call.to_dict() for call in plain]},
            *({"role": "tool", "tool_call_id": call.id, "content": f"r{n}"} for n, call in enumerate(plain)),
        ]
        again = chat(text, tools=TOOLS)
        again["messages"] += history
        assert client.chat.completions.create(**again).choices[0].message.content == "results r0 and r1"
        again["messages"].pop()
        with pytest.raises(openai.BadRequestError, match="tool_call_id"):
            client.chat.completions.create(**again)


def test_chat_answers_by_schema_images_stop_logprobs_and_refusal() -> None:
    with start("openai") as vendor, openai.OpenAI(base_url=vendor.base_url, api_key="k") as client:

        def said(text: Any, **more: Any) -> Any:
            return client.chat.completions.create(**chat(text, **more)).choices[0]

        form = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
        assert json.loads(said("hi", response_format=form).message.content) == {"place": "echo hi", "big": BIG}
        pictures = [
            {"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PNG}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ]  # fmt: skip
        assert said(pictures).message.content == (
            "echo see saw image image/png of 3 bytes saw image https://example.com/a.png"
        )
        assert said("a b c", stop="b").message.content == "echo a"
        assert [one.token for one in said("a", logprobs=True).logprobs.content] == ["echo", " a"]
        assert said("refuse").message.refusal == "echo refuse"
        assert said("use look", tools=TOOLS, tool_choice="none").message.content == "echo use look"
        assert said("hi", tools=TOOLS, tool_choice="required").message.tool_calls[0].function.name == "look"
        assert len(said("use look and wait", tools=TOOLS, parallel_tool_calls=False).message.tool_calls) == 1
        assert said("narrate and use wait", tools=TOOLS).message.content == "echo narrate and use wait"


def test_thinking_is_switched_on_in_each_vendors_words_and_may_have_to_come_back() -> None:
    for name, switch, field in (
        ("deepseek", {"thinking": {"type": "enabled"}}, "reasoning_content"),
        ("dashscope", {"enable_thinking": True}, "reasoning_content"),
        ("vllm", {"chat_template_kwargs": {"enable_thinking": True}}, "reasoning"),
        ("openrouter", {"reasoning": {"effort": "high"}}, "reasoning"),
    ):
        with start(name) as vendor:
            message = post(vendor, "/v1/chat/completions", chat(**switch)).json()["choices"][0]["message"]
            assert message[field] == "let me see", name
            assert field not in post(vendor, "/v1/chat/completions", chat()).json()["choices"][0]["message"]
    with start("deepseek", reasoning_back=True) as vendor:
        body = chat("use wait", tools=TOOLS, thinking={"type": "enabled"})
        message = post(vendor, "/v1/chat/completions", body).json()["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "r"}
        whole = {**body, "messages": [*body["messages"], message, result]}
        assert post(vendor, "/v1/chat/completions", whole).status_code == 200
        del message["reasoning_content"]
        refused = post(vendor, "/v1/chat/completions", whole)
        assert refused.status_code == 400
        assert "reasoning_content is missing" in refused.text


def test_quirks_that_refuse() -> None:
    image = [{"type": "image_url", "image_url": {"url": PNG}}]
    bare = [{"type": "image_url", "image_url": {"url": "AAAA"}}]
    rows: list[tuple[str, dict[str, Any], int]] = [
        ("moonshot", chat(n=2), 400),
        ("moonshot", chat(n=1), 200),
        ("zhipu", chat(image), 400),
        ("zhipu", chat(bare), 200),
        ("zhipu", chat(temperature=1), 400),
        ("zhipu", chat(temperature=0.9), 200),
        ("openai", chat(image, n=2), 200),
        ("openai", chat([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]), 400),
        ("dashscope", chat([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]), 200),
        ("deepseek", {"model": "m", "messages": [{"role": "developer", "content": "a"}]}, 400),
        ("openai", {"model": "m", "messages": [{"role": "developer", "content": "a"}]}, 200),
    ]
    for name, body, status in rows:
        with start(name) as vendor:
            assert post(vendor, "/v1/chat/completions", body).status_code == status, (name, body)


def test_minimax_thinks_in_tags_or_apart() -> None:
    with start("minimax") as vendor:
        for split, expected in ((False, "<think>\nlet me see\n</think>\n\necho think"), (True, "echo think")):
            body = chat("think", reasoning_split=split)
            message = post(vendor, "/v1/chat/completions", body).json()["choices"][0]["message"]
            deltas = [
                frame["choices"][0]["delta"]
                for frame in lines(post(vendor, "/v1/chat/completions", {**body, "stream": True}))
            ]
            assert message["content"] == "".join(delta.get("content", "") for delta in deltas) == expected
            apart = "".join(part["text"] for delta in deltas for part in delta.get("reasoning_details", ()))
            assert apart == ("let me see" if split else "")


def test_cache_breakpoints_are_written_for_half_an_hour() -> None:
    part = {"type": "text", "text": "word " * 40, "prompt_cache_breakpoint": True}
    with start("openai") as vendor:
        usage = post(vendor, "/v1/chat/completions", chat([part])).json()["usage"]
        assert usage["prompt_tokens_details"]["cache_write_tokens"] == 10
        item = {"role": "user", "content": [{**part, "type": "input_text"}]}
        details = post(vendor, "/v1/responses", {"model": "m", "input": [item]}).json()["usage"]["input_tokens_details"]
        assert details["cache_write_tokens_details"] == {"ttl_30m_tokens": 10}


def test_ark_endpoints_answer_in_another_models_name() -> None:
    with start("volcengine") as vendor:
        assert vendor.provider_url.endswith("/api/v3")
        for model, told in (("ep-20260101-abcde", "doubao-seed-1-6-251015"), ("doubao", "doubao-260101")):
            assert post(vendor, "/api/v3/chat/completions", {**chat(), "model": model}).json()["model"] == told


# --- Azure


def test_azure_has_two_doors() -> None:
    with start("azure", key="right") as vendor:
        client = openai.OpenAI(base_url=vendor.provider_url, api_key="right")
        assert client.chat.completions.create(**chat()).choices[0].message.content == "echo hi"
        url = f"{vendor.url}/openai/deployments/d/chat/completions"
        for query, headers, status in (
            ("?api-version=2024-10-21", {"api-key": "right"}, 200), ("", {"api-key": "right"}, 404),
            ("?api-version=2024-10-21", {"api-key": "wrong"}, 401),
        ):  # fmt: skip
            assert httpx.post(url + query, json=chat(), headers=headers).status_code == status
        old = openai.AzureOpenAI(azure_endpoint=vendor.url, api_key="right", api_version="2024-10-21", max_retries=0)
        chunks = list(old.chat.completions.create(**chat(stream=True)))
        assert chunks[0].choices == []
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "echo hi"
        vendor.script("filtered")
        with pytest.raises(openai.BadRequestError) as caught:
            old.chat.completions.create(**chat())
        assert caught.value.code == "content_filter"
    with start("azure_deployments") as vendor:
        assert httpx.post(f"{vendor.provider_url}/v1/chat/completions", json=chat(), headers={"api-key": "k"}).is_error
        path = "/deployments/d/embeddings?api-version=2024-10-21"
        made = httpx.post(vendor.provider_url + path, json={"input": ["a", "b"]}, headers={"api-key": "k"}).json()
        assert (made["model"], len(made["data"])) == ("d", 2)


# --- DashScope's native door

QWEN_PATH = "/api/v1/services/aigc/text-generation/generation"


def native(text: str = "count the cached stars", **parameters: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "q", "input": {"messages": messages}, "parameters": {"result_format": "message", **parameters}}


def test_qwen_native_plain_and_both_kinds_of_stream() -> None:
    sse = {"x-dashscope-sse": "enable"}
    with start("dashscope") as vendor:
        plain = post(vendor, QWEN_PATH, native(enable_thinking=True)).json()
        pieces = lines(post(vendor, QWEN_PATH, native(incremental_output=True), **sse))
        whole = lines(post(vendor, QWEN_PATH, native(), **sse))
        called = lines(
            post(vendor, QWEN_PATH, native("use wait and look", tools=TOOLS, incremental_output=True), **sse)
        )
    message = plain["output"]["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("echo count the cached stars", "let me see")
    assert plain["usage"] == {
        "input_tokens": 7, "output_tokens": 8, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": 3},
    }  # fmt: skip
    texts = [frame["output"]["choices"][0]["message"]["content"] for frame in pieces]
    assert "".join(texts) == "echo count the cached stars"
    assert [frame["output"]["choices"][0]["message"]["content"] for frame in whole][-2:] == ["".join(texts)] * 2
    assert [frame["usage"]["output_tokens"] for frame in pieces] == [1, 2, 3, 4, 5, 5]
    assert [frame["output"]["choices"][0]["finish_reason"] for frame in pieces] == ["null"] * 5 + ["stop"]
    calls = [frame["output"]["choices"][0]["message"].get("tool_calls") for frame in called]
    names = [call[0]["function"]["name"] for call in calls if call]
    assert [name for name in names if name] == ["wait", "look"]


def test_qwen_native_fails_in_its_own_words_also_with_200() -> None:
    with start("dashscope") as vendor:
        for kind in QWEN:
            vendor.script(kind)
            reply = post(vendor, QWEN_PATH, native())
            status, body, _ = failure("dashscope", kind, "qwen")
            assert (reply.status_code, reply.content) == (status, body)
            assert set(reply.json()) == {"code", "message", "request_id"}
        vendor.script(Fault(error_after=1))
        streamed = post(vendor, QWEN_PATH, native(incremental_output=True), **{"x-dashscope-sse": "enable"})
        assert "event:error" in streamed.text
        assert lines(streamed)[-1]["code"] == "InternalError"
        assert post(vendor, QWEN_PATH, chat()).status_code == 400
        assert "no_money/2" in kinds("dashscope")


# --- around the conversation


@pytest.mark.parametrize(
    ("name", "path", "inside"),
    [
        ("dashscope", "/compatible-api/v1/reranks", ("usage", "total_tokens")),
        ("siliconflow", "/v1/rerank", ("meta", "tokens", "input_tokens")),
        ("vllm", "/v1/rerank", ("usage", "total_tokens")),
        ("llamacpp", "/v1/rerank", ("usage", "total_tokens")),
    ],
)
def test_rerank_in_each_vendors_shape(name: str, path: str, inside: tuple[str, ...]) -> None:
    body = {"model": "r", "query": "red star", "documents": ["a blue star", "a red star", "nothing"], "top_n": 2}
    with start(name) as vendor:
        reply = post(vendor, path, body).json()
    assert [(item["index"], item["relevance_score"]) for item in reply["results"]] == [(1, 1.0), (0, 0.5)]
    found: Any = reply
    for step in inside:
        found = found[step]
    assert found == 6 + 7


def test_images_speech_and_transcriptions() -> None:
    with start("openai") as vendor, openai.OpenAI(base_url=vendor.base_url, api_key="k") as client:
        drawn = client.images.generate(model="gpt-image-1", prompt="a red star", n=2)
        assert [base64.b64decode(item.b64_json)[:4] for item in drawn.data] == [b"\x89PNG"] * 2
        assert (drawn.usage.input_tokens, drawn.usage.output_tokens) == (3, 2112)
        sound = client.audio.speech.create(model="tts-1", voice="alloy", input="hello")
        assert (len(sound.content), sound.response.headers["content-type"]) == (500, "audio/mpeg")
        with pytest.raises(UnicodeDecodeError):
            sound.content.decode()
        file = ("a.wav", b"\r\n--RIFF\x00\xff" * 3)
        heard = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file)
        assert heard.text == "heard a.wav of 30 bytes"
        assert (heard.usage.type, heard.usage.input_tokens, heard.usage.output_tokens) == ("tokens", 30, 5)
        timed = client.audio.transcriptions.create(model="whisper-1", file=file)
        assert (timed.usage.type, timed.usage.seconds) == ("duration", 30)
        events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file, stream=True))
        assert "".join(event.delta for event in events[:-1]) == events[-1].text == heard.text
        assert httpx.post(f"{vendor.base_url}/audio/transcriptions", json={}).status_code == 400


def test_models_and_endpoints_that_a_vendor_does_not_have() -> None:
    with start("openai", models=("a", "b")) as vendor, openai.OpenAI(base_url=vendor.base_url, api_key="k") as client:
        assert [model.id for model in client.models.list()] == ["a", "b"]
        assert client.models.retrieve("b").id == "b"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("c")
    for name, path in (("qianfan", "/v2/responses"), ("ollama", "/v1/messages"), ("anthropic", "/v1/chat/completions")):
        with start(name) as vendor:
            assert post(vendor, path, chat()).status_code in (400, 404), name


def test_an_instance_of_a_schema() -> None:
    schema = {
        "$defs": {"leaf": {"enum": ["x", "y"]}},
        "properties": {
            "leaf": {"$ref": "#/$defs/leaf"}, "maybe": {"anyOf": [{"type": "null"}, {"type": "number"}]},
            "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 2}, "kind": {"const": 4},
            "many": {"type": ["null", "integer"], "minimum": 9}, "short": {"type": "STRING", "maxLength": 2},
        },
    }  # fmt: skip
    assert instance(schema, "text") == {
        "leaf": "x", "maybe": 1.5, "list": [True, True], "kind": 4, "many": 9, "short": "te",
    }  # fmt: skip
