"""Lists of models as the official clients read them, page by page."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import anthropic.types
import openai.types
import pytest
from anthropic.pagination import SyncPage as AnthropicPage
from google.genai import types as genai
from openai.pagination import SyncPage as OpenAIPage

from baseload.wire.ask import InvalidMember
from baseload.wire.listing import (
    Listed,
    anthropic_list,
    anthropic_one,
    gemini_list,
    gemini_one,
    openai_list,
    openai_one,
)

ROW = Listed(
    id="qwen-plus",
    created_s=1_760_000_000,
    owned_by="dashscope",
    context_max=131_072,
    output_max=8_192,
    endpoints=("chat", "embeddings"),
)
ROWS = [Listed(id=f"m{at:03}", endpoints=("chat",)) for at in range(45)]


def test_openai_shape_is_what_its_client_reads():
    page = OpenAIPage[openai.types.Model].model_validate_json(openai_list([ROW, ROWS[0]]), strict=True)
    assert [model.id for model in page.data] == ["qwen-plus", "m000"]
    assert json.loads(openai_one(ROW)) == {
        "id": "qwen-plus",
        "object": "model",
        "created": 1_760_000_000,
        "owned_by": "dashscope",
    }
    assert openai.types.Model.model_validate_json(openai_one(ROWS[0]), strict=True).owned_by == "baseload"


def test_anthropic_shape_is_what_its_client_reads():
    model = anthropic.types.ModelInfo.model_validate_json(anthropic_one(ROW), strict=True)
    assert (model.id, model.type, model.display_name, model.lifecycle) == ("qwen-plus", "model", "qwen-plus", "active")
    assert model.created_at == datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)
    assert (model.max_input_tokens, model.max_tokens) == (131_072, 8_192)
    unknown = anthropic.types.ModelInfo.model_validate_json(anthropic_one(ROWS[0]), strict=True)
    assert (unknown.max_input_tokens, unknown.max_tokens) == (None, None)
    page = AnthropicPage[anthropic.types.ModelInfo].model_validate_json(anthropic_list(ROWS), strict=True)
    assert len(page.data) == 20
    assert (page.has_more, page.first_id, page.last_id) == (True, "m000", "m019")


def test_gemini_shape_is_what_its_client_reads():
    raw = json.loads(gemini_one(ROW))
    assert raw["supportedGenerationMethods"] == [
        "generateContent",
        "streamGenerateContent",
        "countTokens",
        "embedContent",
        "batchEmbedContents",
    ]
    model = genai.Model.model_validate({name: raw[name] for name in raw if name != "supportedGenerationMethods"})
    assert (model.name, model.display_name) == ("models/qwen-plus", "qwen-plus")
    assert (model.input_token_limit, model.output_token_limit) == (131_072, 8_192)
    assert "inputTokenLimit" not in json.loads(gemini_one(ROWS[0]))


def test_gemini_methods_follow_what_a_model_serves():
    def methods(*endpoints: str) -> list[str]:
        return json.loads(gemini_one(Listed(id="m", endpoints=endpoints)))["supportedGenerationMethods"]

    for endpoint in ("chat", "responses", "messages", "gemini", "converse", "qwen"):
        assert "generateContent" in methods(endpoint)
    assert methods("gemini_embed") == ["embedContent", "batchEmbedContents"]
    assert methods("rerank", "images") == []


def _ids(body: bytes) -> list[str]:
    return [model["id"] for model in json.loads(body)["data"]]


def test_anthropic_pages_forward_meet_every_model_once():
    seen: list[str] = []
    after = ""
    while True:
        page = json.loads(anthropic_list(ROWS, "20", after))
        seen += [model["id"] for model in page["data"]]
        if not page["has_more"]:
            break
        after = page["last_id"]
    assert seen == [row.id for row in ROWS]


def test_anthropic_pages_backward_are_the_ones_just_before():
    page = json.loads(anthropic_list(ROWS, 10, before_id="m015"))
    assert [model["id"] for model in page["data"]] == [f"m{at:03}" for at in range(5, 15)]
    assert page["has_more"]
    page = json.loads(anthropic_list(ROWS, 10, before_id="m005"))
    assert [model["id"] for model in page["data"]] == [f"m{at:03}" for at in range(5)]
    assert not page["has_more"]


@pytest.mark.parametrize(("limit", "count"), [(None, 20), ("", 20), ("1", 1), (1000, 45), ("45", 45)])
def test_anthropic_page_sizes(limit, count):
    assert len(_ids(anthropic_list(ROWS, limit))) == count


def test_an_empty_list_is_a_list():
    assert json.loads(anthropic_list([])) == {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert json.loads(gemini_list([])) == {"models": []}
    assert json.loads(openai_list([])) == {"object": "list", "data": []}
    assert json.loads(anthropic_list(ROWS, after_id="m044"))["data"] == []


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "²", "9" * 40, 0])
def test_a_wrong_page_size_names_the_member(limit):
    with pytest.raises(InvalidMember) as refusal:
        anthropic_list(ROWS, limit)
    assert refusal.value.param == "limit"


def test_cursors_that_name_nothing_are_refused():
    for call, param in (
        (lambda: anthropic_list(ROWS, after_id="gone"), "after_id"),
        (lambda: anthropic_list(ROWS, before_id="gone"), "before_id"),
        (lambda: anthropic_list(ROWS, after_id="m001", before_id="m003"), "before_id"),
        (lambda: gemini_list(ROWS, page_token="%%%"), "pageToken"),
        (lambda: gemini_list(ROWS, page_token="Z29uZQ=="), "pageToken"),
        (lambda: gemini_list(ROWS, page_token="é"), "pageToken"),
        (lambda: gemini_list(ROWS, "-5"), "pageSize"),
    ):
        with pytest.raises(InvalidMember) as refusal:
            call()
        assert refusal.value.param == param


def test_gemini_pages_meet_every_model_once():
    rows = [*ROWS, Listed(id="qwen/ü:1", endpoints=("chat",)), Listed(id="z")]
    seen: list[str] = []
    token = ""
    while True:
        page = json.loads(gemini_list(rows, "7", token))
        seen += [model["name"] for model in page["models"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert seen == [f"models/{row.id}" for row in rows]


def test_gemini_sizes_zero_and_too_large_are_taken_as_its_own_api_does():
    assert len(json.loads(gemini_list(ROWS * 30, 0))["models"]) == 50
    assert len(json.loads(gemini_list(ROWS * 30, "5000"))["models"]) == 1000
