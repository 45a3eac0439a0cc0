"""Streams as one JSON array, both ways, cut anywhere."""

from __future__ import annotations

import json

import pytest

from baseload.errors import ProviderFault
from baseload.wire.gemini import ArrayIn, ArrayOut
from tests.wire.gemini.recorded import STREAM, as_array

OBJECTS = [json.loads(frame[6:]) for frame in STREAM.split(b"\n\n") if frame]
ARRAY = as_array(STREAM)


def out(*frames: bytes) -> bytes:
    array = ArrayOut()
    return b"".join(array.frame(frame) for frame in frames) + array.end()


def test_frames_become_one_array():
    frames = [frame + b"\n\n" for frame in STREAM.split(b"\n\n") if frame]
    assert json.loads(out(*frames)) == OBJECTS


def test_an_array_without_elements():
    assert json.loads(out()) == []
    assert json.loads(out(b": comment\n\n")) == []


def test_keep_alives_and_errors_keep_it_valid():
    error = b'{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}'
    body = out(b'data: {"a":1}\n\n', b": keep\n\n", b"\n", b"[" + error + b"]\n\n")
    assert json.loads(body) == [{"a": 1}, json.loads(error)]
    array = ArrayOut()
    assert array.beat() == b""
    assert json.loads(array.element(b"{}") + array.beat() + array.end() + array.end() + array.element(b"{}")) == [{}]


def test_where_the_network_cuts_cannot_change_the_elements():
    for cut in range(len(ARRAY) + 1):
        array = ArrayIn()
        found = array.feed(ARRAY[:cut]) + array.feed(ARRAY[cut:])
        assert [json.loads(one) for one in found] == OBJECTS, f"cut at byte {cut}"
        assert array.closed
        assert array.close() == b""
    array = ArrayIn()
    found = [one for i in range(len(ARRAY)) for one in array.feed(ARRAY[i : i + 1])]
    assert [json.loads(one) for one in found] == OBJECTS
    assert all(b"\n" not in one and b"\r" not in one for one in found)


def test_a_connection_lost_inside_an_element_gives_the_whole_ones_only():
    for cut in range(len(ARRAY)):
        array = ArrayIn()
        found = [json.loads(one) for one in array.feed(ARRAY[:cut])]
        assert found == OBJECTS[: len(found)]


def test_bare_objects_in_a_row_are_elements():
    array = ArrayIn()
    assert array.feed(b'{"a":"}\\"]"}\n{"b":[{}]}') == [b'{"a":"}\\"]"}', b'{"b":[{}]}']


@pytest.mark.parametrize("body", [b"<html>", b"[1,2]", b'["x"]', b"[true]"])
def test_what_is_no_array_of_objects_is_garbage(body):
    with pytest.raises(ProviderFault) as fault:
        ArrayIn().feed(body)
    assert fault.value.fault == "garbage"


def test_memory_is_bounded():
    array = ArrayIn(cap=1000)
    with pytest.raises(ProviderFault):
        [array.feed(b'{"a":"' + b"x" * 50) for _ in range(100)]
    with pytest.raises(ProviderFault):
        ArrayIn(cap=10).feed(b'[{"a":"0123456789"}]')
