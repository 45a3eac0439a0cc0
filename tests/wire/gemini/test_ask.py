"""What a generateContent request asks, and the bytes that go upstream."""

from __future__ import annotations

import json
import re

import pytest
from google.genai import types

from baseload.errors import Refusal
from baseload.wire.body import close_body, open_body
from baseload.wire.canon.signature import seal
from baseload.wire.gemini import GUARDED, patch, read_ask
from tests.wire.gemini.recorded import gemini_cli
from tests.wire.gemini.sdk import Sdk

HERE = "gemini/gemini-2.5-pro"


def ask(body: object, stream: bool = False):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_ask(open_body(raw, GUARDED), "m", stream)


def patched(body: object, model: str = "gemini-2.5-pro", origin: str = HERE) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    members = open_body(raw, GUARDED)
    return patch(members, read_ask(members, "m", False), model, origin)


def test_model_and_stream_are_the_urls():
    found = ask({"contents": [], "stream": True}, stream=False)
    assert (found.model, found.stream) == ("m", False)
    assert ask({"contents": []}, stream=True).stream


def test_generation_config_decides_the_hold():
    found = ask(
        {
            "contents": [],
            "generationConfig": {"maxOutputTokens": 100, "candidateCount": 3, "thinkingConfig": {"thinkingBudget": 0}},
        }
    )
    assert (found.max_output, found.n, found.thinking) == (100, 3, False)


@pytest.mark.parametrize(
    ("thinking", "expect"),
    [
        ({"thinkingBudget": -1}, True),
        ({"thinking_budget": 512}, True),
        ({"thinkingLevel": "LOW"}, True),
        ({"includeThoughts": True}, None),
        (None, None),
    ],
)
def test_thinking(thinking, expect):
    assert ask({"contents": [], "generationConfig": {"thinkingConfig": thinking}}).thinking is expect


def test_snake_case_is_read_too():
    found = ask({"contents": [], "generation_config": {"max_output_tokens": 7, "candidate_count": 2}})
    assert (found.max_output, found.n) == (7, 2)


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [], "generationConfig": {}, "generation_config": {}},
        {"contents": [], "generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}},
        {"contents": [], "generationConfig": {"maxoutputtokens": 9}},
        {"contents": [], "GenerationConfig": {"maxOutputTokens": 9}},
    ],
)
def test_two_spellings_of_one_member_are_refused(body):
    with pytest.raises(Refusal) as refused:
        ask(body)
    assert refused.value.status == 400
    assert refused.value.param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": "hello"}, "contents"),
        ({"contents": [], "generationConfig": []}, "generationConfig"),
        ({"contents": [], "generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"contents": [], "generationConfig": {"maxOutputTokens": "x"}}, "generationConfig.maxOutputTokens"),
        ({"contents": [], "generationConfig": {"maxOutputTokens": 1.5}}, "generationConfig.maxOutputTokens"),
        ({"contents": [], "generationConfig": {"maxOutputTokens": 2**31}}, "generationConfig.maxOutputTokens"),
        ({"contents": [], "generation_config": {"candidate_count": -1}}, "generation_config.candidate_count"),
        ({"contents": [], "generationConfig": {"maxOutputTokens": 1e400}}, "generationConfig.maxOutputTokens"),
        (
            {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": []}}},
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
    ],
)
def test_a_refusal_names_the_member_in_the_clients_spelling(body, param):
    with pytest.raises(Refusal) as refused:
        ask(json.dumps(body).replace("Infinity", "1e400").encode())
    assert refused.value.param == param


@pytest.mark.parametrize("raw", ['"12"', "12", "12.0", "1.2e1"])
def test_protobufs_spellings_of_a_whole_number(raw):
    assert ask(b'{"contents":[],"generationConfig":{"maxOutputTokens":%s}}' % raw.encode()).max_output == 12


def test_the_cli_passes_byte_for_byte():
    body = gemini_cli()
    assert len(body) > 31_000
    members = open_body(body, GUARDED)
    out = open_body(patched(body, origin="anywhere"), GUARDED)
    assert list(out) == list(members)
    for name, value in members.items():
        assert bytes(out[name]) == bytes(value), name


def test_only_a_model_in_the_body_is_replaced():
    body = (
        b'{ "model" : "models/asked", "contents" :[ {"parts":[{"text":"\\u00e9 12345678901234567890"}]} ],"x": 1e400}'
    )
    out = patched(body)
    assert json.loads(out)["model"] == "models/gemini-2.5-pro"
    assert b'[ {"parts":[{"text":"\\u00e9 12345678901234567890"}]} ]' in out
    assert b"1e400" in out
    assert json.loads(patched({"model": "asked", "contents": []}))["model"] == "gemini-2.5-pro"


@pytest.mark.parametrize(
    "config",
    [
        b'{"maxOutputTokens":5,"maxOutputTokens":90000, "seed":  7}',
        b'{"maxOutputTokens":5,"maxOutput\\u0054okens":90000, "seed":  7}',
    ],
)
def test_a_limit_said_twice_goes_out_once_as_it_was_read(config):
    body = b'{"contents":[],"generationConfig":' + config + b"}"
    assert ask(body).max_output == 90000
    out = patched(body)
    assert out.count(b"90000") == 1
    assert b":5" not in out
    assert b"7" in out


def test_a_signature_of_this_origin_is_unsealed():
    sealed = seal(HERE, "native+sig/==", text="thought")
    body = {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": sealed}]}]}
    part = json.loads(patched(body))["contents"][0]["parts"][0]
    assert part == {"functionCall": {"name": "f"}, "thoughtSignature": "native+sig/=="}


def test_pitfall_02_another_makers_signature_is_removed_from_its_part():
    sealed = seal("anthropic/claude", "sig")
    other = b'{"text":  "kept\\u00e9 as is", "thoughtSignature":"bmF0aXZl"}'
    body = (
        b'{"contents":[{"role":"model","parts":[{"text":"a","thought_signature":"' + sealed.encode() + b'"},' + other
    ) + b']},  {"role" : "user","parts":[{"text":"b"}]}]}'
    out = patched(body)
    contents = json.loads(out)["contents"]
    assert contents[0]["parts"][0] == {"text": "a"}
    assert other in out, "the part beside it keeps its bytes"
    assert b'{"role" : "user","parts":[{"text":"b"}]}' in out


def test_from_gemini_3_on_a_foreign_call_is_excused():
    sealed = seal("anthropic/claude", "sig")
    body = {"contents": [{"parts": [{"functionCall": {"name": "f"}, "thoughtSignature": sealed}, {"text": "x"}]}]}
    part = json.loads(patched(body, model="gemini-3-pro-preview"))["contents"][0]["parts"][0]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in json.loads(patched(body))["contents"][0]["parts"][0]


def test_a_seal_survives_googles_own_library():
    """It decodes a signature and sends it back in the URL-safe alphabet."""
    native = "".join(chr(33 + number % 90) for number in range(500))
    sealed = seal(HERE, native, text="\U0001f600?>~" * 50)
    assert re.search("[+/]", sealed)
    part = types.Part.model_validate({"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": sealed})
    sdk = Sdk()
    sdk.client.models.generate_content(model="m", contents=[types.Content(role="model", parts=[part])])
    body = sdk.bodies[0]
    assert sealed.encode() not in body
    out = json.loads(patched(body))
    assert out["contents"][0]["parts"][0]["thoughtSignature"] == native


@pytest.mark.parametrize("contents", ["x", [1], [{"parts": 3}], [{"parts": [[]]}], {"parts": [{"text": "x"}]}])
def test_odd_contents_with_a_mark_are_left_to_the_provider(contents):
    body = {"contents": [contents, "YmxzaWcx", {"parts": [{"text": "YmxzaWcx"}, "YmxzaWcx"]}], "n": 1}
    assert json.loads(patched(body)) == body


def test_members_are_not_changed():
    members = open_body(json.dumps({"model": "a", "contents": [], "generationConfig": {"seed": 1}}).encode(), GUARDED)
    before = close_body(members)
    patch(members, read_ask(members, "m", True), "b", HERE)
    assert close_body(members) == before
