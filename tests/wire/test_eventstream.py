"""AWS's event-stream framing: agrees with botocore, survives every cut, notices every damage."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.eventstream import HEADERS_MAX, EventCutter, Message, write

STREAM = [
    ({":message-type": "event", ":event-type": "messageStart"}, b'{"role":"assistant"}'),
    ({":message-type": "event", ":event-type": "contentBlockDelta"}, '{"delta":{"text":"h\u00f6\u4f60"}}'.encode()),
    ({"yes": True, "no": False, "small": -5, "large": 2**40, "bin": b"\0\xff", "": ""}, b""),
    ({}, b"x" * 70_000),
]
WHOLE = b"".join(write(headers, payload) for headers, payload in STREAM)


def test_reads_what_it_writes():
    assert [(m.headers, m.payload) for m in EventCutter().feed(WHOLE)] == STREAM
    assert b"".join(m.raw for m in EventCutter().feed(WHOLE)) == WHOLE


def test_agrees_with_botocore():
    buffer = EventStreamBuffer()
    buffer.add_data(WHOLE)
    assert [(event.headers, event.payload) for event in buffer] == STREAM


def test_reads_every_type_of_header_as_botocore_does():
    values = {
        "t": b"\0",
        "f": b"\1",
        "byte": b"\2\xfb",
        "short": b"\3" + struct.pack("!h", -300),
        "int": b"\4" + struct.pack("!i", -70_000),
        "long": b"\5" + struct.pack("!q", -(2**40)),
        "bytes": b"\6\0\3abc",
        "text": b"\7\0\2\xc3\xb6",
        "time": b"\x08" + struct.pack("!q", 1_700_000_000_123),
        "uuid": b"\x09" + bytes(range(16)),
    }
    raw = message(b"".join(bytes((len(name),)) + name.encode() + value for name, value in values.items()))
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    assert EventCutter().feed(raw)[0].headers == next(iter(buffer)).headers
    assert EventCutter().feed(raw)[0].headers["time"] == 1_700_000_000_123


def test_where_the_network_cuts_cannot_change_what_is_read():
    short = b"".join(write(headers, payload) for headers, payload in STREAM[:3])
    expected = EventCutter().feed(short)
    assert len(expected) == 3
    for cut in range(len(short) + 1):
        cutter = EventCutter()
        assert cutter.feed(short[:cut]) + cutter.feed(short[cut:]) == expected, f"cut at byte {cut}"
    cutter = EventCutter()
    assert [m for at in range(len(short)) for m in cutter.feed(short[at : at + 1])] == expected
    assert cutter.close() == b""


def test_a_lost_connection_leaves_the_unfinished_rest():
    cutter = EventCutter()
    cutter.feed(WHOLE[:-5])
    assert cutter.close() == write(*STREAM[3])[:-5]
    assert cutter.close() == b""


def test_every_damaged_byte_is_noticed():
    raw = write({":event-type": "messageStop"}, b'{"stopReason":"end_turn"}')
    for at in range(len(raw)):
        cutter = EventCutter()
        with pytest.raises(ProviderFault) as caught:
            cutter.feed(raw[:at] + bytes((raw[at] ^ 0x41,)) + raw[at + 1 :])
        assert caught.value.fault == "garbage"


def test_what_came_whole_before_the_damage_is_given_out_first():
    good, bad = write({"a": "b"}, b"{}"), bytearray(write({"c": "d"}, b"{}"))
    bad[-1] ^= 1
    cutter = EventCutter()
    assert [m.raw for m in cutter.feed(good + bytes(bad) + good)] == [good]
    assert cutter.damaged
    for _ in range(2):
        with pytest.raises(ProviderFault, match="CRC"):
            cutter.feed(good)


def test_a_message_beyond_the_cap_is_refused_by_its_length_alone():
    prelude = struct.pack("!II", 2**31, 0)
    cutter = EventCutter(cap=1000)
    with pytest.raises(ProviderFault, match="exceeds 1000 bytes"):
        cutter.feed(prelude + struct.pack("!I", crc32(prelude)))


def test_lesson_53_a_message_of_20_mb_passes():
    raw = write({"a": "b"}, b"x" * 20_000_000)
    cutter = EventCutter()
    found = [m for at in range(0, len(raw), 65_536) for m in cutter.feed(raw[at : at + 65_536])]
    assert [len(m.payload) for m in found] == [20_000_000]


@pytest.mark.parametrize(
    "headers",
    [
        b"\3abc",  # ends inside
        b"\1a\x0a",  # unknown type
        b"\1a\7\0\x09x",  # a value that is longer than the headers
        b"\1\xff\0",  # a name that is no UTF-8
        b"\1a\0\1a\1",  # twice the same name
    ],
)
def test_headers_that_cannot_be_read(headers: bytes):
    with pytest.raises(ProviderFault, match="headers"):
        EventCutter().feed(message(headers))


def test_a_header_length_that_does_not_fit_its_message():
    for total, claimed in ((32, 17), (32, 2**32 - 1), (2 * HEADERS_MAX, HEADERS_MAX + 1)):
        prelude = struct.pack("!II", total, claimed)
        with pytest.raises(ProviderFault, match="bytes of headers"):
            EventCutter().feed(prelude + struct.pack("!I", crc32(prelude)) + bytes(20))


@given(st.binary(max_size=200), st.integers(1, 30))
def test_fuzz_strangers_bytes(data: bytes, step: int):
    cutter = EventCutter(cap=10_000)
    found: list[Message] = []
    said = "garbage"
    try:
        for at in range(0, len(data), step):
            found += cutter.feed(data[at : at + step])
    except ProviderFault as fault:
        said = fault.fault
    assert said == "garbage"
    assert len(cutter.close()) <= len(data)


@given(
    st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=50), st.booleans(), st.binary(max_size=50))),
    st.binary(max_size=300),
)
def test_fuzz_round_trip_with_botocore(headers: dict[str, str | bool | bytes], payload: bytes):
    raw = write(headers, payload)
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    theirs = next(iter(buffer))
    assert EventCutter().feed(raw) == [(headers, payload, raw)]
    assert (theirs.headers, theirs.payload) == (headers, payload)


def message(headers: bytes) -> bytes:
    prelude = struct.pack("!II", 16 + len(headers), len(headers))
    raw = prelude + struct.pack("!I", crc32(prelude)) + headers
    return raw + struct.pack("!I", crc32(raw))
