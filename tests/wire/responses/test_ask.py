"""What a Responses request asks for, and what of its bytes changes on the way to a provider."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.ask import Ask
from baseload.wire.body import open_body
from baseload.wire.canon.signature import seal
from baseload.wire.responses import GUARDED, patch, read_ask
from tests.wire.responses import codex

HELLO = {"model": "m", "input": "hello"}


def ask(**members: object) -> Ask:
    return read_ask(open_body(json.dumps({**HELLO, **members}).encode(), GUARDED))


def patched(body: bytes, origin: str = "openai/up", previous: str | None = None) -> bytes:
    members = open_body(body, GUARDED)
    return patch(members, read_ask(members), "up", origin, previous)


def test_what_is_asked():
    assert ask() == Ask("m", wants_usage=True)
    assert ask(stream=True, max_output_tokens=99) == Ask("m", True, True, 99)
    assert ask(max_output_tokens=None, stream=None).max_output == 0
    assert ask(prompt_cache_options={"mode": "explicit", "ttl": "12h"}).cache_ttl == "12h"
    assert ask(prompt_cache_options={"ttl": None}).cache_ttl == ""


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        ({"effort": "high"}, True),
        ({"effort": "none"}, False),
        ({"summary": "auto"}, None),
        ({"effort": None}, None),
        (None, None),
        ("high", None),
        ({"effort": 3}, None),
    ],
)
def test_thinking(reasoning: object, thinking: bool | None):
    assert ask(reasoning=reasoning).thinking is thinking


def test_a_request_may_be_about_stored_state_instead_of_an_input():
    for name, value in (("prompt", {"id": "p"}), ("previous_response_id", "resp_1"), ("conversation", "conv_1")):
        members = open_body(json.dumps({"model": "m", name: value}).encode(), GUARDED)
        assert read_ask(members).model == "m"


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": "", "input": "x"}, "model"),
        ({"model": 7, "input": "x"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": None}, "input"),
        ({"model": "m", "input": {"role": "user"}}, "input"),
        ({"model": "m", "input": 7}, "input"),
        ({"model": "m", "input": "x", "stream": "yes"}, "stream"),
        ({"model": "m", "input": "x", "max_output_tokens": "9"}, "max_output_tokens"),
        ({"model": "m", "input": "x", "max_output_tokens": 0}, "max_output_tokens"),
        ({"model": "m", "input": "x", "prompt_cache_options": {"ttl": 3}}, "prompt_cache_options"),
        ({"model": "m", "input": "x", "prompt_cache_options": []}, "prompt_cache_options"),
        ({"model": "m", "input": "x", "maxOutputTokens": 9}, "max_output_tokens"),
        ({"model": "m", "input": "x", "Background": True}, "background"),
        ({"model": "m", "input": "x", "prompt_cache_options": {"TTL": "12h"}}, "prompt_cache_options"),
    ],
)
def test_what_is_refused_names_the_member(members: dict[str, object], param: str):
    with pytest.raises(Refusal) as caught:
        read_ask(open_body(json.dumps(members).encode(), GUARDED))
    assert caught.value.param == param
    assert caught.value.status == 400


def test_codex_requests_pass_unchanged():
    """Every value but the model's leaves byte for byte, and the members keep their order."""
    body = codex.request()
    assert len(body) > 39_000
    came = msgspec.json.decode(body, type=dict[str, Raw])
    went = msgspec.json.decode(patched(body), type=dict[str, Raw])
    assert list(went) == list(came)
    assert {name for name in came if bytes(came[name]) != bytes(went[name])} == {"model"}
    assert bytes(went["model"]) == b'"up"'
    members = open_body(body, GUARDED)
    assert read_ask(members) == Ask("gpt-5.6-codex", True, True, 0, 1, True)


def test_pitfall_26_the_previous_response_goes_under_its_own_id():
    body = b'{"model":"m","input":[ ],"previous_response_id":"resp_1_bl7_0123456789abcdef", "store" : true}'
    want = b'{"model":"up","input":[ ],"previous_response_id":"resp_1","store":true}'
    assert patched(body, previous="resp_1") == want
    assert b"resp_1_bl7" in patched(body)


def test_a_lifetime_that_is_said_twice_goes_out_as_it_was_read():
    body = b'{"model":"m","input":"x","prompt_cache_options":{"ttl":"12h","ttl":"30m","mode":"explicit"}}'
    assert patched(body).endswith(b'"prompt_cache_options":{"ttl":"30m","mode":"explicit"}}')


# Sealed reasoning (protocols.md, pitfalls 1 and 2).

OURS = seal("openai/up", "gAAAA-native==", text="thought")
THEIRS = seal("anthropic/claude", "sig", text="thought")
USER = b'{"role":"user",  "content":"a\\u00e9"}'


def item(encrypted: str) -> bytes:
    return b'{"type":"reasoning", "id":"rs_x","summary":[ ],"encrypted_content":"' + encrypted.encode() + b'"}'


@pytest.mark.parametrize(
    ("items", "want"),
    [
        (b"[ %b ,\n%b ]" % (USER, item(THEIRS)), b"[ %b]" % USER),
        (b"[%b, %b]" % (item(THEIRS), USER), b"[%b]" % USER),
        (b"[%b ,  %b, %b ]" % (USER, item(THEIRS), USER), b"[%b,%b ]" % (USER, USER)),
        (b"[%b]" % item(THEIRS), b"[]"),
        (b"[%b,\t%b]" % (item("native"), item(THEIRS)), b"[%b]" % item("native")),
        (
            b"[%b , %b, %b ]" % (USER, item(OURS), USER),
            b'[%b , {"type":"reasoning","summary":[ ],"encrypted_content":"gAAAA-native=="}, %b ]' % (USER, USER),
        ),
        (b"[%b]" % item(seal("openai/up", "", text="only text")), b"[]"),
        (b"[%b]" % item(OURS[:-8]), b"[%b]" % item(OURS[:-8])),
    ],
)
def test_pitfall_02_signatures_go_to_their_maker_only(items: bytes, want: bytes):
    assert patched(b'{"model":"m","input":' + items + b"}") == b'{"model":"up","input":' + want + b"}"


def test_a_text_that_looks_sealed_stays():
    said = b'[{"role":"user","content":"' + THEIRS.encode() + b'"}, {"type":"reasoning","encrypted_content":7}]'
    assert patched(b'{"model":"m","input":' + said + b"}") == b'{"model":"up","input":' + said + b"}"
    text = b'{"model":"m","input":"' + THEIRS.encode() + b'"}'
    assert patched(text) == text.replace(b'"m"', b'"up"')
