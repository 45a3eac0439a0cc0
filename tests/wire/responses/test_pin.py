"""Ids of stored responses: they carry their place, nobody else's are taken, and only their bytes change."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.wire.responses.pin import ID_MAX, Pinner, pin, unpin
from tests.wire.responses.recorded import EVERYTHING, FRAMES, WHOLE, Script, response

SECRET = b"the gateways' common secret"
PINNER = Pinner(7, 42, SECRET)
SEEN = pin("resp_0a1b2c", 7, 42, SECRET)


@given(st.text(min_size=1, max_size=80), st.integers(0, 10**9), st.integers(0, 10**9))
def test_an_id_finds_its_way_back(native: str, offer: int, account: int):
    assert unpin(pin(native, offer, account, SECRET), account, SECRET) == (native, offer)


def test_an_id_is_short_and_safe_in_a_path():
    assert re.fullmatch(r"resp_0a1b2c_bl7_[0-9a-f]{16}", SEEN)
    assert len(pin("resp_" + "0" * 50, 10**6, 1, SECRET)) < 90


def test_pitfall_26_state_belongs_to_one_account_and_one_offer():
    assert unpin(SEEN, 43, SECRET) is None
    assert unpin(SEEN, 42, b"another secret") is None
    for forged in (
        SEEN.replace("_bl7_", "_bl8_"),
        SEEN.replace("_bl7_", "_bl07_"),
        SEEN.replace("0a1b2c", "0a1b2d"),
        SEEN[:-1] + ("0" if SEEN[-1] != "0" else "1"),
        SEEN.upper(),
        SEEN + "\n",
        "resp_0a1b2c",
        "",
        "_bl7_" + SEEN[-16:],
        "x" * (ID_MAX + 1),
    ):
        assert unpin(forged, 42, SECRET) is None, forged


def test_ids_that_are_pinned_twice_are_unpinned_twice():
    twice = pin(SEEN, 1, 2, b"outer")
    inner = unpin(twice, 2, b"outer")
    assert inner == (SEEN, 1)
    assert unpin(inner[0], 42, SECRET) == ("resp_0a1b2c", 7)


def test_only_the_ids_change_in_a_stream():
    pinned = b"".join([PINNER.frame(frame) for frame in FRAMES])
    assert PINNER.frames(EVERYTHING) == pinned
    before = pin("resp_before", 7, 42, SECRET).encode()
    expected = EVERYTHING.replace(b'"id":"resp_0a1b2c"', b'"id":"' + SEEN.encode() + b'"')
    expected = expected.replace(b'"resp_before"', b'"' + before + b'"')
    assert pinned == expected
    assert pinned.count(SEEN.encode()) == 3
    assert b'{\\"id\\":\\"resp_0a1b2c\\"}' in pinned, "what stands in a text stays"


def test_frames_without_a_response_are_the_same_object():
    for frame in FRAMES:
        if b".delta" in frame:
            assert PINNER.frame(frame) is frame


def test_a_whole_reply_and_a_deletion():
    pinned = json.loads(PINNER.whole(WHOLE))
    assert pinned["id"] == SEEN
    assert unpin(pinned["previous_response_id"], 42, SECRET) == ("resp_before", 7)
    original = json.loads(WHOLE)
    pinned["id"], pinned["previous_response_id"] = original["id"], original["previous_response_id"]
    assert pinned == original
    deleted = b'{ "id" : "resp_0a1b2c", "object": "response", "deleted": true }'
    assert PINNER.whole(deleted) == deleted.replace(b"resp_0a1b2c", SEEN.encode())


def test_an_id_that_stands_elsewhere_too_changes_in_its_own_place_only():
    tricky = (
        b'{"metadata":{"id":"resp_0a1b2c","x":["resp_0a1b2c",{"id":"resp_0a1b2c"}]}, "\\u0069d" : "resp_0a1b2c" ,'
        b'"s":"\\"id\\":\\"resp_0a1b2c","n":[[1,2.5e3,true,null]],"previous_response_id":null}'
    )
    changed = PINNER.whole(tricky)
    assert changed == tricky.replace(b'"\\u0069d" : "resp_0a1b2c"', b'"\\u0069d" : "' + SEEN.encode() + b'"')
    frame = b'event: x\ndata: {"type":"x","id":"resp_0a1b2c","response":{"a":{},"id":"resp_0a1b2c"}}\n\n'
    assert PINNER.frame(frame) == frame.replace(b'"id":"resp_0a1b2c"}}', b'"id":"' + SEEN.encode() + b'"}}')


@pytest.mark.parametrize(
    "frame",
    [
        b'data: {"response":',
        b'data: {"response":7}\n\n',
        b'data: {"response":{"id":7}}\n\n',
        b'data: {"response":{"id":""}}\n\n',
        b': "response"\n\n',
        b'data: ["response"]\n\n',
        b'data: {"response":{"id":"\xff"}}\n\n',
    ],
)
def test_what_has_no_id_is_forwarded_as_it_came(frame: bytes):
    assert PINNER.frame(frame) == frame
    assert PINNER.whole(frame) == frame


def test_data_on_several_lines_is_pinned_too():
    frame = b'event: response.created\ndata: {"response":\ndata: {"id":"resp_0a1b2c"}}\n\n'
    assert PINNER.frame(frame) == frame.replace(b"resp_0a1b2c", SEEN.encode())


def test_a_reply_with_half_a_surrogate_pair_is_pinned_too():
    frame = Script().say("completed", response=response("completed")).bytes.replace(b'"auto"', b'"\\ud83d"')
    assert SEEN.encode() in PINNER.frame(frame)
    assert b'"\\ud83d"' in PINNER.frame(frame)
