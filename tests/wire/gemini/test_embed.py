"""Embeddings between Google's methods and OpenAI's endpoint, in both official libraries."""

from __future__ import annotations

import base64
import json
import struct

import httpx
import openai
import pytest

from baseload.errors import ProviderFault, Refusal
from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target
from baseload.wire.gemini import embed
from baseload.wire.usage import normalise
from tests.wire.gemini.sdk import Sdk

OPENAI = Target(protocol="embeddings", dialect="openai", model="up")
GOOGLE = Target(protocol="gemini", dialect="gemini", model="up")
VECTORS = [[0.5, -0.25, 1e-3], [1.0, 2.0, 3.0]]


def members(body: object):
    return open_body(json.dumps(body).encode(), embed.GUARDED)


def one(text: str, **more: object) -> dict[str, object]:
    return {"model": "models/asked", "content": {"parts": [{"text": text}]}, **more}


def test_a_batch_for_openai():
    body = {"requests": [one("a", outputDimensionality=3), one("b", output_dimensionality=3)]}
    written = embed.to_openai(members(body), OPENAI, batch=True)
    assert json.loads(written.body) == {
        "model": "up",
        "input": ["a", "b"],
        "encoding_format": "float",
        "dimensions": 3,
    }
    assert written.dropped == ()


def test_one_for_openai():
    body = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "taskType": "RETRIEVAL_QUERY", "title": "t"}
    written = embed.to_openai(members(body), OPENAI, batch=False)
    assert json.loads(written.body)["input"] == ["a\nb"]
    assert written.dropped == ("taskType", "title")
    with pytest.raises(Refusal):
        embed.to_openai(members(body), Target(protocol="embeddings", lossless=True), batch=False)


@pytest.mark.parametrize(
    ("body", "batch", "param"),
    [
        ({"requests": []}, True, "requests"),
        ({"requests": [one("a", outputDimensionality=1), one("b")]}, True, "requests"),
        ({"requests": [{}]}, True, "requests.0.content"),
        ({"content": {"parts": [{"inlineData": {}}]}}, False, "content.parts.0"),
        ({"requests": {}}, True, "requests"),
    ],
)
def test_what_openai_cannot_embed_is_refused(body, batch, param):
    with pytest.raises(Refusal) as refused:
        embed.to_openai(members(body), OPENAI, batch=batch)
    assert refused.value.param == param


def test_openais_reply_for_a_gemini_client():
    data = [{"index": 1, "embedding": VECTORS[1]}, {"index": 0, "embedding": VECTORS[0]}]
    body = json.dumps({"object": "list", "data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}}).encode()
    sdk = Sdk(embed.reply_from_openai(body, batch=True, meters={"input_uncached": 2}))
    found = sdk.client.models.embed_content(model="m", contents=["a", "b"], config={"output_dimensionality": 3})
    assert [each.values for each in found.embeddings or ()] == VECTORS
    sent = open_body(sdk.bodies[0], embed.GUARDED)
    assert json.loads(embed.to_openai(sent, OPENAI, batch=True).body)["input"] == ["a", "b"]
    single = json.dumps({"data": data[:1]}).encode()
    assert json.loads(embed.reply_from_openai(single, batch=False)) == {"embedding": {"values": VECTORS[1]}}
    packed = base64.b64encode(struct.pack("<2f", 0.5, 2.0)).decode()
    body = json.dumps({"data": [{"embedding": packed}]}).encode()
    assert json.loads(embed.reply_from_openai(body, batch=False)) == {"embedding": {"values": [0.5, 2.0]}}


def test_an_openai_client_reaches_gemini_by_its_default_base64():
    """Its Python library asks for base64 and decodes it; the values must come out as they were."""
    google = json.dumps({"embeddings": [{"values": each} for each in VECTORS]}).encode()
    seen = {}

    def answer(request: httpx.Request) -> httpx.Response:
        sent = open_body(request.read(), embed.GUARDED)
        written = embed.from_openai(sent, GOOGLE)
        seen["body"], seen["dropped"], seen["base64"] = (
            json.loads(written.body),
            written.dropped,
            embed.wants_base64(sent),
        )
        return httpx.Response(200, content=embed.reply_to_openai(google, model="m", as_base64=embed.wants_base64(sent)))

    client = openai.OpenAI(
        api_key="k", base_url="http://grid.test/v1", http_client=httpx.Client(transport=httpx.MockTransport(answer))
    )
    found = client.embeddings.create(model="m", input=["a", "b"], dimensions=3, user="u")
    assert seen["base64"] is True
    assert seen["dropped"] == ("user",)
    assert seen["body"] == {
        "requests": [
            {"model": "models/up", "content": {"parts": [{"text": text}]}, "outputDimensionality": 3}
            for text in ("a", "b")
        ]
    }
    assert [each.embedding for each in found.data] == [pytest.approx(each) for each in VECTORS]
    assert found.usage.prompt_tokens == 0
    found = client.embeddings.create(model="m", input="a", encoding_format="float")
    assert seen["base64"] is False
    assert found.data[0].embedding == VECTORS[0]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "m"}, "input"),
        ({"input": []}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1]]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": "a", "dimensions": "x"}, "dimensions"),
    ],
)
def test_what_gemini_cannot_embed_is_refused(body, param):
    with pytest.raises(Refusal) as refused:
        embed.from_openai(members(body), GOOGLE)
    assert refused.value.param == param
    with pytest.raises(Refusal):
        embed.wants_base64(members({"encoding_format": "hex"}))


def test_same_protocol_only_the_model_changes():
    body = {"requests": [one("caf\u00e9", taskType="X"), {"content": {"parts": []}}]}
    ask = embed.read_ask(members(body), "m", batch=True)
    assert ask.model == "m"
    found = json.loads(embed.patch(members(body), "up"))["requests"]
    assert found[0] == {**body["requests"][0], "model": "models/up"}
    assert found[1]["model"] == "models/up"
    body = {"model": "models/asked", "content": {"parts": []}, "taskType": "X"}
    assert json.loads(embed.patch(members(body), "up")) == {**body, "model": "models/up"}
    with pytest.raises(Refusal):
        embed.read_ask(members(body), "m", batch=True)
    with pytest.raises(Refusal):
        embed.patch(members({"requests": [3]}), "up")


def test_usage_is_read_where_it_is():
    body = b'{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":4}}'
    assert normalise("gemini", "gemini", embed.usage_in(body), endpoint="embeddings").meters == {
        "input_uncached": 4,
        "output_total": 0,
    }
    assert embed.usage_in(b'{"embedding":{"values":[1]}}') == b""
    assert embed.usage_in(b"nonsense") == b""


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"embeddings":[{"values":["x"]}]}', b'{"error":{"code":400}}'])
def test_garbage_from_gemini(body):
    with pytest.raises(ProviderFault):
        embed.reply_to_openai(body, model="m", as_base64=True)
    with pytest.raises(ProviderFault):
        embed.reply_to_openai(b'{"embedding":{"values":[1e300]}}', model="m", as_base64=True)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"data":[]}', b'{"data":[{"embedding":"!"}]}', b'{"data":[{"embedding":"AAA="}]}']
)
def test_garbage_from_openai(body):
    with pytest.raises(ProviderFault):
        embed.reply_from_openai(body, batch=False)
