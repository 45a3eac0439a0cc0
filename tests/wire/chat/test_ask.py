"""Requests of chat, completions and embeddings: what is asked, what is refused, what goes upstream."""

from __future__ import annotations

import json

import pytest

from baseload.errors import Refusal
from baseload.wire.body import open_body
from baseload.wire.chat import Ask, patch_request, read_request


def ask(body: str, endpoint: str = "chat") -> Ask:
    return read_request(endpoint, open_body(body.encode()))


def sent(body: str, model: str = "up/stream", endpoint: str = "chat") -> str:
    members = open_body(body.encode())
    return patch_request(endpoint, members, read_request(endpoint, members), model).decode()


@pytest.mark.parametrize(
    ("body", "want"),
    [
        ('{"model":"m","messages":[]}', Ask("m")),
        ('{"model":"\\u006d\\/x","messages":[]}', Ask("m/x")),
        ('{"model":"m","messages":[],"stream":true}', Ask("m", stream=True)),
        ('{"model":"m","messages":[],"stream":null,"n":null,"max_tokens":null}', Ask("m")),
        ('{"model":"m","messages":[],"stream":true,"stream_options":null}', Ask("m", stream=True)),
        (
            '{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}',
            Ask("m", stream=True, wants_usage=True),
        ),
        (
            '{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":false}}',
            Ask("m", stream=True),
        ),
        ('{"model":"m","messages":[],"stream_options":{"include_usage":true}}', Ask("m")),
        ('{"model":"m","messages":[],"max_tokens":7,"n":2}', Ask("m", max_output=7, n=2)),
        ('{"model":"m","messages":[],"max_completion_tokens":9}', Ask("m", max_output=9)),
        ('{"model":"m","messages":[],"max_completion_tokens":9,"max_tokens":70}', Ask("m", max_output=70)),
        ('{"model":"m","messages":[],"max_tokens":7,"n_predict":12}', Ask("m", max_output=12)),
        ('{"model":"m","messages":[],"max_tokens":7,"n_predict":-1}', Ask("m", max_output=0)),
        ('{"model":"m","messages":[],"n":2,"best_of":5}', Ask("m", n=5)),
        ('{"model":"m","messages":[],"n":1,"n_cmpl":2}', Ask("m", n=2)),
        ('{"model":"m","messages":[],"thinking":{"type":"enabled","budget_tokens":1}}', Ask("m", thinking=True)),
        ('{"model":"m","messages":[],"thinking":{"type":"disabled"}}', Ask("m", thinking=False)),
        ('{"model":"m","messages":[],"thinking":{"type":"auto"}}', Ask("m")),
        (
            '{"model":"m","messages":[],"thinking":{"type":"disabled"},"reasoning_effort":"high"}',
            Ask("m", thinking=False),
        ),
        ('{"model":"m","messages":[],"enable_thinking":false}', Ask("m", thinking=False)),
        ('{"model":"m","messages":[],"reasoning_effort":"none"}', Ask("m", thinking=False)),
        ('{"model":"m","messages":[],"reasoning_effort":"low"}', Ask("m", thinking=True)),
        ('{"model":"m","messages":[],"reasoning":{"enabled":true}}', Ask("m", thinking=True)),
        ('{"model":"m","messages":[],"reasoning":{"effort":"none"}}', Ask("m", thinking=False)),
        ('{"model":"m","messages":[],"chat_template_kwargs":{"enable_thinking":true}}', Ask("m", thinking=True)),
        ('{"model":"m","messages":[],"thinking":7,"reasoning_effort":[]}', Ask("m")),
        ('{"model":"m","messages":[],"prompt_cache_options":{"mode":"explicit","ttl":"1h"}}', Ask("m", cache_ttl="1h")),
        ('{"model":"m","messages":[],"prompt_cache_options":{"mode":"implicit"}}', Ask("m")),
        ('{"model":"m","messages":[],"prompt_cache_options":null}', Ask("m")),
    ],
)
def test_what_a_request_asks(body: str, want: Ask):
    assert ask(body) == want


def test_the_other_endpoints():
    assert ask('{"model":"m","prompt":"x","max_tokens":3,"stream":true}', "completions") == Ask("m", True, max_output=3)
    assert ask('{"model":"m","prompt":["x","y"],"n":3}', "completions") == Ask("m", n=6), "each prompt is answered"
    assert ask('{"model":"m","prompt":[[1,2],[3]]}', "completions") == Ask("m", n=2)
    assert ask('{"model":"m","prompt":[1,2,3]}', "completions") == Ask("m"), "the tokens of one prompt"
    assert ask('{"model":"m","prompt":[]}', "completions") == Ask("m")
    assert ask('{"model":"m","input":[[1,2]]}', "embeddings") == Ask("m")
    assert ask('{"model":"m","input":"x","stream":false}', "embeddings") == Ask("m")


@pytest.mark.parametrize(
    ("endpoint", "body", "param", "code"),
    [
        ("chat", '{"messages":[]}', "model", "missing_required_parameter"),
        ("chat", '{"model":null,"messages":[]}', "model", "invalid_type"),
        ("chat", '{"model":"","messages":[]}', "model", "invalid_type"),
        ("chat", '{"model":["m"],"messages":[]}', "model", "invalid_type"),
        ("chat", '{"model":"m"}', "messages", "missing_required_parameter"),
        ("chat", '{"model":"m","messages":null}', "messages", "invalid_type"),
        ("chat", '{"model":"m","messages":"hi"}', "messages", "invalid_type"),
        ("chat", '{"model":"m","messages":{}}', "messages", "invalid_type"),
        ("completions", '{"model":"m","messages":[]}', "prompt", "missing_required_parameter"),
        ("completions", '{"model":"m","prompt":3}', "prompt", "invalid_type"),
        ("embeddings", '{"model":"m"}', "input", "missing_required_parameter"),
        ("embeddings", '{"model":"m","input":{"a":1}}', "input", "invalid_type"),
        ("embeddings", '{"model":"m","input":"x","stream":true}', "stream", "invalid_value"),
        ("chat", '{"model":"m","messages":[],"stream":"true"}', "stream", "invalid_type"),
        ("chat", '{"model":"m","messages":[],"stream":1}', "stream", "invalid_type"),
        ("chat", '{"model":"m","messages":[],"stream":true,"stream_options":[]}', "stream_options", "invalid_type"),
        (
            "chat",
            '{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":"yes"}}',
            "stream_options",
            "invalid_type",
        ),
        (
            "chat",
            '{"model":"m","messages":[],"stream":true,"stream_options":{"Include_Usage":false}}',
            "stream_options",
            "ambiguous_member",
        ),
        ("chat", '{"model":"m","messages":[],"max_tokens":"5"}', "max_tokens", "invalid_type"),
        ("chat", '{"model":"m","messages":[],"max_tokens":1.5}', "max_tokens", "invalid_type"),
        ("chat", '{"model":"m","messages":[],"max_tokens":true}', "max_tokens", "invalid_type"),
        ("chat", '{"model":"m","messages":[],"max_tokens":0}', "max_tokens", "invalid_value"),
        ("chat", '{"model":"m","messages":[],"max_tokens":-1}', "max_tokens", "invalid_value"),
        ("chat", '{"model":"m","messages":[],"max_tokens":4294967297}', "max_tokens", "invalid_value"),
        ("chat", '{"model":"m","messages":[],"max_tokens":99999999999999999999}', "max_tokens", "invalid_value"),
        ("chat", '{"model":"m","messages":[],"max_completion_tokens":[]}', "max_completion_tokens", "invalid_type"),
        ("chat", '{"model":"m","messages":[],"n":0}', "n", "invalid_value"),
        ("chat", '{"model":"m","messages":[],"n":"2"}', "n", "invalid_type"),
        ("completions", '{"model":"m","prompt":"x","best_of":0}', "best_of", "invalid_value"),
        (
            "chat",
            '{"model":"m","messages":[],"prompt_cache_options":{"ttl":5}}',
            "prompt_cache_options",
            "invalid_value",
        ),
        ("chat", '{"model":"m","messages":[],"prompt_cache_options":"1h"}', "prompt_cache_options", "invalid_type"),
        (
            "chat",
            '{"model":"m","messages":[],"prompt_cache_options":{"ttl":"5m","TTL":"1h"}}',
            "prompt_cache_options",
            "ambiguous_member",
        ),
    ],
)
def test_a_refusal_names_the_member_at_fault(endpoint: str, body: str, param: str, code: str):
    with pytest.raises(Refusal) as caught:
        ask(body, endpoint)
    assert (caught.value.param, caught.value.code, caught.value.status) == (param, code, 400)
    assert caught.value.say
    assert caught.value.fix


def test_the_model_is_replaced_in_its_place_and_all_else_stays():
    body = '{"temperature": 1.10 ,"model":"m","messages":[ {"role":"u","content":"\\u00e9"} ],"x":12345678901234567890}'
    assert sent(body, 'a"b') == (
        '{"temperature":1.10,"model":"a\\"b","messages":[ {"role":"u","content":"\\u00e9"} ],"x":12345678901234567890}'
    )


@pytest.mark.parametrize(
    ("options", "want"),
    [
        (None, '{"include_usage":true}'),
        ("null", '{"include_usage":true}'),
        ("{}", '{"include_usage":true}'),
        ('{"include_usage":false}', '{"include_usage":true}'),
        ('{"include_usage": true}', '{"include_usage":true}'),
        ('{"include_usage":null,"chunk_include_usage": true}', '{"include_usage":true,"chunk_include_usage":true}'),
        (
            '{"include_obfuscation":false,"x":{ "a" : 1.0 }}',
            '{"include_obfuscation":false,"x":{ "a" : 1.0 },"include_usage":true}',
        ),
        ('{"include_usage":true,"include_usage":false}', '{"include_usage":true}'),
        ('{"include_usage":false,"include\\u005fusage":true}', '{"include_usage":true}'),
    ],
)
@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_lesson_04_usage_is_always_asked_for(endpoint: str, options: str | None, want: str):
    extra = "" if options is None else f',"stream_options":{options}'
    body = f'{{"model":"m","messages":[],"prompt":"x","stream":true{extra}}}'
    assert (
        sent(body, "u", endpoint) == f'{{"model":"u","messages":[],"prompt":"x","stream":true,"stream_options":{want}}}'
    )


def test_nothing_is_asked_for_where_no_stream_is():
    assert sent('{"model":"m","messages":[],"stream_options":{"a":1}}', "u") == (
        '{"model":"u","messages":[],"stream_options":{"a":1}}'
    )
    assert sent('{"model":"m","input":"x"}', "u", "embeddings") == '{"model":"u","input":"x"}'


def test_a_cache_lifetime_said_twice_goes_out_once():
    once = '{"model":"m","messages":[],"prompt_cache_options":{ "ttl" : "1h" }}'
    assert sent(once, "m") == once, "not touched"
    for twice in ('{"ttl":"5m","ttl":"1h"}', '{"t\\u0074l":"5m","ttl":"1h"}'):
        out = sent(f'{{"model":"m","messages":[],"prompt_cache_options":{twice}}}')
        assert json.loads(out, object_pairs_hook=list)[2] == ("prompt_cache_options", [("ttl", "1h")])


def test_a_second_attempt_starts_from_the_same_members():
    members = open_body(b'{"model":"m","messages":[],"stream":true,"stream_options":{"x":1}}')
    asked = read_request("chat", members)
    first = patch_request("chat", members, asked, "one")
    assert patch_request("chat", members, asked, "two") == first.replace(b"one", b"two")
    assert bytes(members["stream_options"]) == b'{"x":1}'
