"""What a Messages request asks, and what of its bytes may change on the way to a provider of the same protocol."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import Refusal
from baseload.wire.body import open_body
from baseload.wire.canon.signature import seal
from baseload.wire.messages import GUARDED, patch, read_ask

HI = '"messages":[{"role":"user","content":"hi"}]'


def members(text: str | bytes):
    return open_body(text.encode() if isinstance(text, str) else text, GUARDED)


def ask(text: str, counting: bool = False):
    return read_ask(members(text), counting=counting)


def test_what_is_read():
    found = ask('{"model":"m","max_tokens":7,"stream":true,' + HI + "}")
    assert (found.model, found.stream, found.max_output, found.n, found.wants_usage) == ("m", True, 7, 1, True)
    assert (found.thinking, found.cache_ttl) == (None, "")


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ('{"max_tokens":1,' + HI + "}", "model"),
        ('{"model":"","max_tokens":1,' + HI + "}", "model"),
        ('{"model":3,"max_tokens":1,' + HI + "}", "model"),
        ('{"model":"m","max_tokens":1}', "messages"),
        ('{"model":"m","max_tokens":1,"messages":"hi"}', "messages"),
        ('{"model":"m",' + HI + "}", "max_tokens"),
        ('{"model":"m","max_tokens":null,' + HI + "}", "max_tokens"),
        ('{"model":"m","max_tokens":-1,' + HI + "}", "max_tokens"),
        ('{"model":"m","max_tokens":1.5,' + HI + "}", "max_tokens"),
        ('{"model":"m","max_tokens":99999999999,' + HI + "}", "max_tokens"),
        ('{"model":"m","max_tokens":1,"stream":"yes",' + HI + "}", "stream"),
    ],
)
def test_a_refusal_names_the_member(text: str, param: str):
    with pytest.raises(Refusal) as refused:
        ask(text)
    assert refused.value.param == param


def test_counting_needs_no_limit():
    assert ask('{"model":"m",' + HI + "}", counting=True).model == "m"


def test_filling_the_cache_only_is_no_call_without_a_limit():
    assert ask('{"model":"m","max_tokens":0,' + HI + "}").max_output == 1


@pytest.mark.parametrize(
    ("thinking", "said"),
    [
        ('{"type":"enabled","budget_tokens":1024}', True),
        ('{"type":"adaptive"}', True),
        ('{"type":"between_tools"}', True),
        ('{"type":"disabled"}', False),
        ('{"type":"new"}', None),
        ("null", None),
        ("7", None),
    ],
)
def test_thinking(thinking: str, said: bool | None):
    assert ask('{"model":"m","max_tokens":7,"thinking":' + thinking + "," + HI + "}").thinking is said


@pytest.mark.parametrize("twin", ["Max_Tokens", "MODEL", "stre\\u0061m ", "speed\\u0000x"])
def test_a_name_that_another_reader_takes_for_a_price_is_refused(twin: str):
    with pytest.raises(Refusal) as refused:
        members('{"model":"m","max_tokens":1,"' + twin + '":1,' + HI + "}")
    assert refused.value.code == "ambiguous_member"


MARK = '"cache_control":{"type":"ephemeral","ttl":"1h"}'


@pytest.mark.parametrize(
    "body",
    [
        f'{{{MARK},"messages":[]',
        f'{{"system":[{{"type":"text","text":"x",{MARK}}}],"messages":[]',
        f'{{"tools":[{{"name":"f",{MARK}}}],"messages":[]',
        f'{{"messages":[{{"role":"user","content":[{{"type":"text","text":"x", {MARK} }}]}}]',
        f'{{"messages":[{{"role":"user","content":[{{"type":"tool_result","content":[{{"type":"text",{MARK}}}]}}]}}]',
        f'{{"messages":[{{"role":"user","content":"a"}},7,{{"role":"user","content":[null,{{"type":"text",{MARK}}}]}}]',
    ],
)
def test_an_hour_of_cache_is_seen_wherever_it_may_stand(body: str):
    assert ask(body + ',"model":"m","max_tokens":1}').cache_ttl == "1h"


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(MARK),
        json.dumps([{"type": "text", "text": MARK}]),
        json.dumps([{"type": "tool_use", "id": "a", "name": "b", "input": json.loads("{" + MARK + "}")}]),
        json.dumps([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "5m"}}, "1h"]),
        '[{"type":"text","text":"x","cache_control":"1h"}]',
    ],
)
def test_an_hour_in_a_text_or_a_tools_input_is_none(content: str):
    assert ask('{"model":"m","max_tokens":1,"messages":[{"role":"user","content":' + content + "}]}").cache_ttl == ""


BODY = (
    '{ "model" : "m", "max_tokens": 64,"messages":[ {"role":"user", "content":"caf\\u00e9 \\/ 1e400"} ,\n'
    '{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"n": 12345678901234567890, '
    '"model":"x"}}]}],"speed":"fast", "unknown":{"a" : [1,2 ]}}'
)


def test_only_the_model_changes():
    out = patch(members(BODY), ask(BODY), "up/stream")
    for value in (
        '[ {"role":"user", "content":"caf\\u00e9 \\/ 1e400"} ,\n{"role":"assistant"',
        '{"n": 12345678901234567890, "model":"x"}',
        '{"a" : [1,2 ]}',
    ):
        assert value.encode() in out
    want = json.loads(BODY) | {"model": "up/stream"}
    assert json.loads(out) == want
    assert list(json.loads(out)) == list(want)


def think(signature: str, text: str = "hm") -> str:
    return f'{{"type":"thinking", "thinking":{json.dumps(text)} , "signature":"{signature}"}}'


def redacted(data: str) -> str:
    return f'{{"data":"{data}","type":"redacted_thinking"}}'


TAIL = '{"type":"text", "text":"a  \\"b\\\\" }'


def conversation(*blocks: str) -> bytes:
    return (
        '{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"} , { "role" : "assistant","content": [ '
        + " , ".join(blocks)
        + ' ] , "extra":[1, 2]},{"role":"user","content":"go"}]}'
    ).encode()


def sent(body: bytes, origin: str) -> bytes:
    return patch(members(body), read_ask(members(body)), "m", origin)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_pitfall_02_a_seal_of_another_model_is_cut_out_and_nothing_else(position: int):
    blocks = [TAIL, TAIL]
    blocks.insert(position, think(seal("x/y", "SIG")))
    out = sent(conversation(*blocks), "anthropic/claude")
    want = json.loads(conversation(TAIL, TAIL))
    assert json.loads(out) == want
    assert out.count(TAIL.encode()) == 2
    assert b'{ "role" : "assistant","content": [' in out
    assert b'] , "extra":[1, 2]}' in out


def test_thinking_signatures_survive_the_way_back_to_their_maker():
    body = conversation(
        think(seal("a/b", "EqQ+/=")), think(seal("c/d", "no")), redacted(seal("a/b", "DATA", redacted=True)), TAIL
    )
    assert sent(body, "a/b") == conversation(think("EqQ+/="), redacted("DATA"), TAIL).replace(b": [", b": [")


def test_a_native_signature_is_not_touched():
    body = conversation(think("EqQBCgIYAhIM"), think(seal("x/y", "S")), TAIL)
    assert sent(body, "a/b") == conversation(think("EqQBCgIYAhIM"), TAIL)


def test_a_turn_of_nothing_but_sealed_thinking_goes_with_it():
    body = conversation(think(seal("x/y", "S")), redacted(seal("x/y", "D")))
    assert [turn["role"] for turn in json.loads(sent(body, "a/b"))["messages"]] == ["user", "user"]


def test_an_exact_text_in_the_seal_comes_back():
    body = conversation(think(seal("a/b", "S", text="the whole\nthought"), text=""), TAIL)
    block = json.loads(sent(body, "a/b"))["messages"][1]["content"][0]
    assert block == {"type": "thinking", "thinking": "the whole\nthought", "signature": "S"}


def test_a_seal_quoted_in_a_text_stays():
    quoted = json.dumps({"type": "text", "text": '"signature":"{}"'.format(seal("x/y", "S"))})
    body = conversation(quoted, think(seal("x/y", "S")))
    assert sent(body, "a/b") == conversation(quoted)


def test_without_an_origin_no_seal_is_good():
    assert sent(conversation(think(seal("", "S")), TAIL), "") == conversation(TAIL)


def test_lesson_56_a_large_image_beside_sealed_thinking_costs_no_memory():
    image = '{"type":"image","source":{"type":"base64","data":"' + "A" * 8_000_000 + '"}}'
    escapes = json.dumps({"type": "text", "text": "\n" * 500_000})
    body = conversation(image, escapes, think(seal("x/y", "S")))
    tracemalloc.start()
    out = sent(body, "a/b")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out == conversation(image, escapes)
    assert peak < 12 * len(body)


SEALED = {
    "ours": {"type": "thinking", "thinking": "t", "signature": seal("a/b", "S/+=")},
    "theirs": {"type": "thinking", "thinking": '"signature":"x"', "signature": seal("c/d", "S")},
    "data": {"type": "redacted_thinking", "data": seal("a/b", "D", redacted=True)},
    "other data": {"type": "redacted_thinking", "data": seal("c/d", "D", redacted=True)},
    "quoted": {"type": "text", "text": f'{{"type":"thinking","signature":"{seal("a/b", "S")}"}}'},
    "input": {"type": "tool_use", "input": {"type": "thinking", "signature": seal("c/d", "S")}},
    "text": {"type": "text", "text": '\\"[{,:}]'},
}
OPENED = {
    "ours": {"type": "thinking", "thinking": "t", "signature": "S/+="},
    "data": {"type": "redacted_thinking", "data": "D"},
    "theirs": None,
    "other data": None,
}
NAMES = st.lists(st.lists(st.sampled_from(sorted(SEALED)), min_size=1, max_size=5), max_size=4)


@settings(max_examples=100, deadline=None)
@given(NAMES, st.sampled_from([None, 0, 2]), st.sampled_from([(",", ":"), (" , ", " : ")]), st.booleans())
def test_any_mixture_of_blocks_is_opened_as_a_plain_reader_would(
    names: list[list[str]], indent: int | None, separators: tuple[str, str], ascii_only: bool
):
    turns = [{"content": [SEALED[name] for name in turn], "role": "assistant", "é": [1]} for turn in names]
    want = [
        {"content": kept, "role": "assistant", "é": [1]}
        for turn in names
        if (kept := [block for name in turn if (block := OPENED.get(name, SEALED[name])) is not None])
    ]
    body = {"model": "m", "max_tokens": 1, "messages": turns}
    text = json.dumps(body, indent=indent, separators=separators, ensure_ascii=ascii_only)
    assert json.loads(sent(text.encode(), "a/b"))["messages"] == want
