"""Request bodies: what is not patched leaves byte for byte, and no two readers can see different calls."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.body import GUARDED, MEMBERS_MAX, NAME_MAX, close_body, open_body, patch, raw_value

SPACE = st.text(" \t\r\n", max_size=3)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**40), 10**40),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    ),
    max_leaves=12,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def raw_members(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Members with their values as JSON text, in one of several spellings."""
    members = []
    for name in draw(st.lists(NAMES, max_size=8, unique=True)):
        value = draw(VALUES)
        spelled = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
        members.append((name, spelled))
    return members


def opened_or_skipped(body: bytes) -> dict[str, Raw]:
    try:
        return open_body(body)
    except Refusal as refusal:
        assume(refusal.code != "ambiguous_member")
        raise


@settings(max_examples=150, deadline=None)
@given(raw_members(), st.data())
def test_any_object_keeps_its_values_byte_for_byte(members: list[tuple[str, str]], data: st.DataObject):
    parts = []
    for name, value in members:
        spaces = [data.draw(SPACE) for _ in range(4)]
        key = json.dumps(name, ensure_ascii=data.draw(st.booleans()))
        parts.append(f"{spaces[0]}{key}{spaces[1]}:{spaces[2]}{value}{spaces[3]}")
    body = ("{" + ",".join(parts) + "}").encode()
    found = opened_or_skipped(body)
    want = {name: value.encode() for name, value in members}
    assert {name: bytes(value) for name, value in found.items()} == want
    assert list(found) == [name for name, _ in members]
    closed = close_body(found)
    assert {name: bytes(value) for name, value in open_body(closed).items()} == want
    assert json.loads(closed) == json.loads(body)

    patched = close_body(patch(found, {"model": raw_value("m"), "gone": None}))
    want.pop("gone", None)
    want["model"] = b'"m"'
    assert {name: bytes(value) for name, value in open_body(patched).items()} == want
    for name, value in members:
        if name not in ("model", "gone"):
            assert value.encode() in patched


def test_values_a_careless_reader_would_change():
    values = {
        "big": "123456789012345678901234567890",
        "float": "1.10e+02",
        "escapes": '"\\u00e9\\/\\n \\ud83d\\ude00 <\\u003c>"',
        "space": '{ "a" :\t[1 , 2 ],\n"a": 3}',
        "look": '{"model":"x","stream":true,"usage":null}',
        "empty": "{}",
    }
    body = ("{" + ", ".join(f'"{name}" : {value} ' for name, value in values.items()) + "}").encode()
    out = close_body(patch(open_body(body), {"model": raw_value('a"b\u4f60')}))
    for value in values.values():
        assert value.encode() in out
    assert json.loads(out)["model"] == 'a"b\u4f60'
    assert out.startswith(b'{"big":123456789012345678901234567890,')


def test_lesson_56_a_body_of_20_mb():
    text = b'"' + b"\\u4f60 x" * (20 * 2**20 // 8) + b'"'
    body = b'{"messages":[{"role":"user","content":' + text + b'}],"model":"m"}'
    members = open_body(body)
    out = close_body(patch(members, {"model": raw_value("n")}))
    assert out == body[:-4] + b'"n"}'


def test_patch_leaves_the_original_for_the_next_attempt():
    members = open_body(b'{"model":"a","x":1}')
    once = patch(members, {"model": raw_value("b"), "x": None, "y": raw_value(True)})
    assert close_body(once) == b'{"model":"b","y":true}'
    assert close_body(members) == b'{"model":"a","x":1}'
    assert close_body(patch(members, {"nothing": None})) == b'{"model":"a","x":1}'


def test_a_bytearray_may_be_reused_at_once():
    buffer = bytearray(b'{"model":"a"}')
    members = open_body(buffer)
    buffer.clear()
    assert close_body(members) == b'{"model":"a"}'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[1]", "object"),
        (b'"x"', "object"),
        (b"null", "object"),
        (b"1", "object"),
        (b'{"a":1', "byte 6"),
        (b'{"a":"x', "byte 7"),
        (b'{"a":1} x', "byte 9"),
        (b'{"a":1}{}', "byte 8"),
        (b'{"a":1,}', "byte 7"),
        (b"{'a':1}", "byte 1"),
        (b'{"a":NaN}', "byte 5"),
        (b'{"a":01}', "byte 6"),
        (b'{"a":"\n"}', "byte 6"),
        (b'{"a":"\\x"}', "byte 7"),
        (b'{"a":// c\n1}', "byte 5"),
        (b'{"a":"\xff"}', "byte 6"),
        (b'{"\xc3(":1}', "byte 2"),
        (b'{"a":"\xed\xa0\x80"}', "byte 6"),
        (b'{"a":"\xc0\xaf"}', "byte 6"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        ('{"a":1}'.encode("utf-16"), "UTF-8"),
        (b'{"a":"x\\ud83d"}', "surrogate"),
        (b'{"a":"\\ude00 and more text"}', "surrogate"),
        (b"\x00", "byte 0"),
    ],
)
def test_what_is_not_one_json_object_is_refused(body: bytes, says: str):
    with pytest.raises(Refusal) as caught:
        open_body(body)
    assert (caught.value.code, caught.value.status) == ("invalid_json", 400)
    assert says in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("opener", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("depth", [2_000, 200_000, 4_000_000])
def test_nesting_bombs_are_refused(opener: bytes, depth: int):
    with pytest.raises(Refusal) as caught:
        open_body(b'{"messages":' + opener * (depth // len(opener)))
    assert (caught.value.code, caught.value.status) == ("invalid_json", 400)


def test_ordinary_depth_passes():
    body = b'{"messages":' + b"[" * 300 + b"]" * 300 + b"}"
    assert close_body(open_body(body)) == body


HOSTILE = [
    "Model",
    "MODEL",
    "mODEL",
    "model ",
    " model",
    "model\t",
    "model\u0000",
    "model\u0000x",
    "\u0000model",
    "mod\u0000el",
    "model\u200b",
    "\ufeffmodel",
    "mo\u00addel",
    "\uff4dodel",
    "Stream",
    "\u017ftream",
    "STREAM",
    "s\u200dtream",
    "streamOptions",
    "stream-options",
    "StreamOptions",
    "\u017ftream_options",
    "N",
    "n ",
    "\uff2e",
    "n\u0000",
    "maxTokens",
    "MaxTokens",
    "max_to\u212aens",
    "MAX_TOKENS",
    "max-tokens",
    "maxtokens",
    "maxCompletionTokens",
    "Max_Completion_Tokens",
    "max_completion_tokens\u0000\u0000",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize("escaped", [False, True])
def test_a_member_that_another_reader_could_take_for_one_of_ours_is_refused(name: str, escaped: bool):
    key = json.dumps(name, ensure_ascii=False)
    if escaped:
        key = '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
    for body in (f'{{"model":"cheap",{key}:"dear"}}', f'{{{key}:"dear","model":"cheap"}}', f'{{"a":1,{key}:null}}'):
        with pytest.raises(Refusal) as caught:
            open_body(body.encode())
        assert (caught.value.code, caught.value.status) == ("ambiguous_member", 400)
        assert caught.value.param in GUARDED
        assert repr(caught.value.param) in caught.value.fix


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(GUARDED),
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["\0", " ", "\u200b", "\x7f", "\u2060", "-", "_", "\ufeff"])),
        max_size=4,
    ),
    st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_twins_of_every_make_are_refused(name: str, inserts: list[tuple[int, str]], upper: list[bool]):
    twin = "".join(c.upper() if up else c for c, up in zip(name, upper, strict=False))
    for at, char in inserts:
        twin = twin[:at] + char + twin[at:]
    assume(twin not in GUARDED)
    with pytest.raises(Refusal) as caught:
        open_body(json.dumps({"model": "m", twin: 1}).encode())
    assert caught.value.code == "ambiguous_member"


@pytest.mark.parametrize(
    "name",
    [
        "models",
        "streams",
        "nn",
        "model_id",
        "min_tokens",
        "max_tokens_per_day",
        "max_output_tokens",
        "x",
        "",
        "\u043codel2",
    ],
)
def test_other_names_pass(name: str):
    body = json.dumps({"model": "m", name: 1}, ensure_ascii=False).encode()
    assert json.loads(close_body(open_body(body))) == {"model": "m", name: 1}


def go_reader(body: bytes) -> dict[str, object]:
    """As Go's encoding/json fills a struct: names without regard to case, the last one that fits wins."""
    found: dict[str, object] = {}
    for name, value in json.loads(body, object_pairs_hook=list):
        found[name.casefold()] = value
    return found


def first_wins(body: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in json.loads(body, object_pairs_hook=list):
        found.setdefault(name, value)
    return found


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"cheap","model":"dear"}',
        b'{"model":"cheap","mod\\u0065l":"dear"}',
        b'{"mod\\u0065l":"cheap","x":1,"model":"dear"}',
        b'{"model":"a","model":"b","model":"dear","stream":false,"stream":true}',
        b'{"x":{"model":"n","model":"m"},"model":"cheap","model":"dear"}',
    ],
)
def test_of_duplicates_one_goes_out_and_every_reader_sees_it(body: bytes):
    members = open_body(body)
    assert bytes(members["model"]) == b'"dear"', "the last, as most readers take it"
    out = close_body(members)
    for read in (go_reader, first_wins, json.loads):
        assert read(out)["model"] == "dear"
    pairs = json.loads(out, object_pairs_hook=list)
    assert len(pairs) == len({name for name, _ in pairs})


def test_hostile_names_cannot_cost_much_time():
    with pytest.raises(Refusal, match="characters"):
        open_body(b'{"' + b"m" * (NAME_MAX + 1) + b'":1}')
    many = b",".join(b'"k%d":1' % n for n in range(MEMBERS_MAX + 1))
    with pytest.raises(Refusal, match=f"{MEMBERS_MAX}"):
        open_body(b"{" + many + b"}")
