"""Gemini's dialect, at Google AI and at Vertex, as google-genai sees it."""

from __future__ import annotations

from typing import Any

import google.auth.transport.requests
import httpx
import pytest
from google import genai
from google.genai import errors, types
from google.oauth2 import service_account

from tests.vendors import Fault, Simulator, answer, failure, kinds, start
from tests.vendors.counts import gemini as usage_of
from tests.vendors.schemas import BIG

SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}, "big": {"type": "integer"}}}
TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name="look", parameters_json_schema=SCHEMA),
            types.FunctionDeclaration(name="wait", parameters_json_schema={"type": "object", "properties": {}}),
        ]
    )
]
THINK = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
BODY = {"contents": [{"role": "user", "parts": [{"text": "count the cached stars"}]}]}
KEY = {"x-goog-api-key": "k"}


def sdk(vendor: Simulator, **options: Any) -> genai.Client:
    return genai.Client(api_key="k", http_options=types.HttpOptions(base_url=vendor.url, **options))


def test_text_plain_and_streamed() -> None:
    said = answer(BODY, "gemini", model="g")
    with start("gemini") as vendor:
        client = sdk(vendor)
        plain = client.models.generate_content(model="g", contents="count the cached stars")
        chunks = list(client.models.generate_content_stream(model="g", contents="count the cached stars"))
        assert (
            client.models.count_tokens(model="g", contents="count the cached stars").total_tokens == said.prompt_tokens
        )
        raw = httpx.post(f"{vendor.provider_url}/models/g:generateContent", json=BODY, headers=KEY).json()
    assert plain.text == "".join(chunk.text or "" for chunk in chunks) == said.text == "echo count the cached stars"
    assert plain.candidates is not None
    assert plain.candidates[0].finish_reason == "STOP"
    assert raw["usageMetadata"] == usage_of(said)
    totals = [chunk.usage_metadata.candidates_token_count for chunk in chunks if chunk.usage_metadata]
    assert totals == [1, 2, 3, 4, 5, 5]
    for last in (plain.usage_metadata, chunks[-1].usage_metadata):
        assert last is not None
        assert (last.prompt_token_count, last.cached_content_token_count, last.total_token_count) == (7, 3, 12)


def test_a_stream_without_sse_is_a_json_array() -> None:
    with start("gemini") as vendor:
        url = f"{vendor.provider_url}/models/g:streamGenerateContent"
        array = httpx.post(url, json=BODY, headers=KEY).json()
        sse = httpx.post(f"{url}?alt=sse&key=k", json=BODY)
    assert sse.headers["content-type"].startswith("text/event-stream")
    assert sse.text.count("data: ") == len(array) == 6
    assert "".join(p["text"] for item in array for p in item["candidates"][0]["content"].get("parts", ())) == (
        "echo count the cached stars"
    )
    assert array[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_and_thought_signatures_go_round(streamed: bool) -> None:
    config = types.GenerateContentConfig(tools=TOOLS, thinking_config=THINK)
    ask = types.Content(role="user", parts=[types.Part(text="use look and wait")])
    with start("gemini") as vendor:
        client = sdk(vendor)
        if streamed:
            chunks = list(client.models.generate_content_stream(model="g", contents=[ask], config=config))
            parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]
        else:
            reply = client.models.generate_content(model="g", contents=[ask], config=config)
            parts = list(reply.candidates[0].content.parts)
        calls = [part for part in parts if part.function_call]
        assert "".join(part.text for part in parts if part.thought) == "let me see"
        assert [call.function_call.args for call in calls] == [{"place": "echo use look and wait", "big": BIG}, {}]
        assert [bool(call.thought_signature) for call in calls] == [True, False]
        answers = types.Content(
            role="user",
            parts=[
                types.Part.from_function_response(name="look", response={"output": "sun"}),
                types.Part.from_function_response(name="wait", response={"error": "late"}),
            ],
        )

        def again(model: str = "g") -> Any:
            contents = [ask, types.Content(role="model", parts=calls), answers]
            return client.models.generate_content(model=model, contents=contents, config=config)

        assert again().text == "results sun and error late"
        with pytest.raises(errors.ClientError, match="Corrupted thought signature"):
            again("other")
        calls[0] = types.Part(function_call=calls[0].function_call)
        assert again().candidates[0].finish_reason == "MISSING_THOUGHT_SIGNATURE"


def test_ids_of_calls_must_fit_where_they_are_given() -> None:
    body: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": "use wait ids"}]}],
        "tools": [{"functionDeclarations": [{"name": "wait"}]}],
    }
    with start("gemini") as vendor:
        url = f"{vendor.provider_url}/models/g:generateContent"
        content = httpx.post(url, json=body, headers=KEY).json()["candidates"][0]["content"]
        ident = content["parts"][0]["functionCall"]["id"]
        for given, status in ((ident, 200), ("other", 400)):
            response = {"id": given, "name": "wait", "response": {"result": "r"}}
            turns = [*body["contents"], content, {"role": "user", "parts": [{"functionResponse": response}]}]
            assert httpx.post(url, json={**body, "contents": turns}, headers=KEY).status_code == status


def test_a_call_of_an_unknown_signature_is_marked_as_google_documents_it() -> None:
    body: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": "think use wait"}]}],
        "tools": [{"functionDeclarations": [{"name": "wait"}]}],
    }
    with start("gemini") as vendor:
        url = f"{vendor.provider_url}/models/g:generateContent"
        for mark, status in (("skip_thought_signature_validator", 200), ("anything", 400)):
            call = {"functionCall": {"name": "wait", "args": {}}, "thoughtSignature": mark}
            response = {"name": "wait", "response": {"result": "r"}}
            turns = [
                *body["contents"],
                {"role": "model", "parts": [call]},
                {"role": "user", "parts": [{"functionResponse": response}]},
            ]
            assert httpx.post(url, json={**body, "contents": turns}, headers=KEY).status_code == status


def test_the_signature_of_a_text_comes_in_a_last_part_with_empty_text() -> None:
    config = types.GenerateContentConfig(thinking_config=THINK)
    with start("gemini") as vendor:
        client = sdk(vendor)
        chunks = list(client.models.generate_content_stream(model="g", contents="hi", config=config))
        (part,) = chunks[-1].candidates[0].content.parts
        assert (part.text or "") == ""
        assert part.thought_signature
        usage = chunks[-1].usage_metadata
        assert (usage.thoughts_token_count, usage.candidates_token_count, usage.total_token_count) == (3, 2, 4 + 5)


def test_what_the_answer_depends_on() -> None:
    with start("gemini") as vendor:
        client = sdk(vendor)

        def ask(contents: Any, **config: Any) -> Any:
            return client.models.generate_content(
                model="g", contents=contents, config=types.GenerateContentConfig(**config)
            )

        seen = ask(["see", types.Part.from_bytes(data=b"123", mime_type="image/png"), types.Part.from_uri(
            file_uri="gs://a/b.pdf", mime_type="application/pdf")])  # fmt: skip
        assert seen.text == "echo see saw image image/png of 3 bytes saw document gs://a/b.pdf"
        assert ask("hi", response_mime_type="application/json", response_json_schema=SCHEMA).text == (
            f'{{"place": "echo hi", "big": {BIG}}}'
        )
        assert len(ask("hi", candidate_count=3).candidates) == 3
        assert ask("a b x", stop_sequences=["x"]).text == "echo a b"
        assert ask("a b c", max_output_tokens=2).candidates[0].finish_reason == "MAX_TOKENS"
        assert ask("refuse").candidates[0].finish_reason == "SAFETY"
        only = types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["wait"])
        )
        called = ask("hi", tools=TOOLS, tool_config=only).candidates[0].content.parts
        assert [part.function_call.name for part in called] == ["wait"]
        assert ask("hi", system_instruction="be brief").usage_metadata.prompt_token_count == 1 + 2 + 6


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"contents": []}, "contents is not specified"),
    ({**BODY, "messages": []}, "messages"),
    ({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]}, "valid role"),
    ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
    ({"contents": [{"role": "user", "parts": [{"image_url": "a"}]}]}, "imageUrl"),
    (
        {"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {"a": 1}}}]}]},
        "number of function response parts",
    ),
]


@pytest.mark.parametrize(("body", "say"), REFUSED)
def test_what_is_refused(body: dict[str, Any], say: str) -> None:
    with start("gemini") as vendor:
        reply = httpx.post(f"{vendor.provider_url}/models/g:generateContent", json=body, headers=KEY)
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert say in reply.json()["error"]["message"]


def test_failures_before_and_inside_a_stream() -> None:
    with start("gemini") as vendor:
        client = sdk(vendor)
        for kind in kinds("gemini"):
            vendor.script(kind)
            with pytest.raises(errors.APIError) as caught:
                client.models.generate_content(model="g", contents="a")
            assert caught.value.code == failure("gemini", kind)[0], kind
        vendor.script(Fault(error_after=1), "filtered", "filtered")
        reply = httpx.post(f"{vendor.provider_url}/models/g:streamGenerateContent?alt=sse", json=BODY, headers=KEY)
        assert reply.text.rstrip().splitlines()[-1].startswith('data: {"error":{"code":503')
        blocked = client.models.generate_content(model="g", contents="a")
        assert (blocked.candidates, blocked.prompt_feedback.block_reason) == (None, "SAFETY")
        (only,) = client.models.generate_content_stream(model="g", contents="a")
        assert only.prompt_feedback.block_reason == "SAFETY"


def test_embeddings_and_models() -> None:
    with start("gemini", models=("a", "b", "c")) as vendor:
        client = sdk(vendor, api_version="v1beta")
        made = client.models.embed_content(model="e", contents=["one", "two"], config={"output_dimensionality": 3})
        assert [len(item.values) for item in made.embeddings] == [3, 3]
        one = httpx.post(
            f"{vendor.provider_url}/models/e:embedContent", json={"content": {"parts": [{"text": "one"}]}}, headers=KEY
        ).json()
        assert len(one["embedding"]["values"]) == 8
        first = httpx.get(f"{vendor.provider_url}/models?pageSize=2", headers=KEY).json()
        rest = httpx.get(f"{vendor.provider_url}/models?pageToken={first['nextPageToken']}", headers=KEY).json()
        assert [model["name"] for model in first["models"] + rest["models"]] == ["models/a", "models/b", "models/c"]
        assert client.models.get(model="b").name == "models/b"
        assert httpx.get(f"{vendor.provider_url}/models/z", headers=KEY).status_code == 404


# --- Vertex


def test_vertex_wants_a_token_that_its_own_endpoint_issued() -> None:
    with start("vertex") as vendor:
        url = f"{vendor.provider_url}/models/g:generateContent"
        assert httpx.post(url, json=BODY, headers={"authorization": "Bearer made-up"}).status_code == 401
        scope = ["https://www.googleapis.com/auth/cloud-platform"]
        account = service_account.Credentials.from_service_account_info(vendor.account, scopes=scope)
        account.refresh(google.auth.transport.requests.Request())
        bearer = {"authorization": f"Bearer {account.token}"}
        reply = httpx.post(url, json=BODY, headers=bearer)
        assert reply.json()["usageMetadata"]["trafficType"] == "ON_DEMAND"
        vendor.expire_tokens()
        assert httpx.post(url, json=BODY, headers=bearer).status_code == 401
        client = genai.Client(
            vertexai=True, project="p-1", location="us-central1", credentials=account,
            http_options=types.HttpOptions(base_url=vendor.url),
        )  # fmt: skip
        account.refresh(google.auth.transport.requests.Request())
        assert client.models.generate_content(model="g", contents="hi").text == "echo hi"


def test_vertex_refuses_a_token_request_that_is_not_right() -> None:
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    with start("vertex") as vendor:
        other = {**vendor.account, "client_email": "other@p-1.iam.gserviceaccount.com"}
        account = service_account.Credentials.from_service_account_info(other, scopes=["a"])
        with pytest.raises(google.auth.exceptions.RefreshError, match="account not found"):
            account.refresh(google.auth.transport.requests.Request())
        narrow = service_account.Credentials.from_service_account_info(vendor.account, scopes=["a"])
        with pytest.raises(google.auth.exceptions.RefreshError, match="Invalid OAuth scope"):
            narrow.refresh(google.auth.transport.requests.Request())
        for form in ({"grant_type": grant, "assertion": "a.b.c"}, {"grant_type": "password"}):
            assert httpx.post(f"{vendor.url}/token", data=form).status_code == 400
