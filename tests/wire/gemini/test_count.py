"""countTokens, both ways."""

from __future__ import annotations

import json

import pytest
from google.genai import types

from baseload.errors import ProviderFault, Refusal
from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target
from baseload.wire.canon.request import Request, Text, Tool, Turn
from baseload.wire.canon.signature import seal
from baseload.wire.gemini import count
from tests.wire.gemini.sdk import Sdk


def members(body: object):
    return open_body(json.dumps(body).encode(), count.GUARDED)


WHOLE = {
    "model": "models/asked",
    "contents": [{"parts": [{"text": "hi"}]}],
    "systemInstruction": {"parts": [{"text": "be"}]},
    "tools": [{"functionDeclarations": [{"name": "f"}]}],
}


def test_contents_alone():
    request = count.read(members({"contents": [{"parts": [{"text": "hi"}]}]}), "m")
    assert [turn.parts for turn in request.turns] == [[Text(text="hi")]]


@pytest.mark.parametrize("name", ["generateContentRequest", "generate_content_request"])
def test_a_whole_request(name):
    request = count.read(members({name: WHOLE}), "m")
    assert [turn.role for turn in request.turns] == ["system", "user"]
    assert [tool.name for tool in request.tools] == ["f"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": [], "generateContentRequest": {}}, "contents"),
        ({"generateContentRequest": []}, "generateContentRequest"),
    ],
)
def test_what_cannot_be_counted(body, param):
    with pytest.raises(Refusal) as refused:
        (count.read_ask(members(body), "m"), count.read(members(body), "m"))
    assert refused.value.param == param


def test_the_model_is_replaced_wherever_it_stands():
    body = members({"generateContentRequest": WHOLE, "model": "asked"})
    found = json.loads(count.patch(body, count.read_ask(body, "asked"), "upstream", "gemini/upstream"))
    assert found["model"] == "upstream"
    assert found["generateContentRequest"] == {**WHOLE, "model": "models/upstream"}
    without = {name: value for name, value in WHOLE.items() if name != "model"}
    body = members({"generateContentRequest": without})
    found = json.loads(count.patch(body, count.read_ask(body, "m"), "up", "gemini/up"))
    assert found["generateContentRequest"]["model"] == "models/up"


def test_seals_are_opened_here_too():
    sealed = seal("gemini/up", "native")
    contents = [{"parts": [{"text": "a", "thoughtSignature": sealed}]}]
    for body in ({"contents": contents}, {"generateContentRequest": {"contents": contents}}):
        raw = members(body)
        found = count.patch(raw, count.read_ask(raw, "m"), "up", "gemini/up")
        assert b'"thoughtSignature":"native"' in found


def test_a_body_for_a_provider():
    request = Request(
        protocol="messages",
        model="m",
        turns=[Turn("system", [Text(text="be")]), Turn("user", [Text(text="hi")])],
        tools=[Tool(name="f")],
    )
    written = count.write(request, Target(protocol="gemini", dialect="gemini", model="up"))
    inner = json.loads(written.body)["generateContentRequest"]
    assert inner["model"] == "models/up"
    assert inner["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    flat = json.loads(count.write(request, Target(protocol="gemini", dialect="vertex", model="up")).body)
    assert {"contents", "systemInstruction", "tools"} == flat.keys()


def test_the_reply_both_ways():
    body = count.reply(12, 3)
    assert json.loads(body) == {"totalTokens": 12, "cachedContentTokenCount": 3}
    types.CountTokensResponse.model_validate(json.loads(body))
    assert count.read_reply(body) == 12
    assert count.read_reply(b"{}") == 0, "Google's JSON leaves a zero out"
    sdk = Sdk(count.reply(7))
    assert sdk.client.models.count_tokens(model="m", contents="hi").total_tokens == 7
    assert count.read(open_body(sdk.bodies[0], count.GUARDED)).turns[0].parts == [Text(text="hi")]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"totalTokens":"x"}', b'{"totalTokens":-1}', b'{"error":{"code":400}}'])
def test_garbage(body):
    with pytest.raises(ProviderFault):
        count.read_reply(body)
