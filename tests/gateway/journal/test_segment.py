"""Any bytes at all: a frame is read, waited for, or called damaged; nothing raises, nothing loops."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.gateway.journal.kit import NOW_NS, hold, progress, reading, refused, segment_path

from baseload.gateway.journal.entries import Carry
from baseload.gateway.journal.reader import Position, Torn, end_position, read_from, read_to_end
from baseload.gateway.journal.recovery import open_journal, recover
from baseload.gateway.journal.segment import (
    CLOSE,
    CLOSED,
    DAMAGED,
    END,
    ENTRY,
    MAGIC,
    SHORT,
    frame,
    frame_at,
    opening,
    pack_head,
)

ENTRIES = (hold("a"), progress("a", 3, 40), reading("a"), refused("b"), Carry([hold("a")], [progress("a", 3, 40)]))


def framed(payload: bytes) -> bytes:
    return pack_head(len(payload), zlib.crc32(payload)) + payload


def test_every_kind_of_entry_comes_back_as_it_went_in() -> None:
    for entry in ENTRIES:
        data = frame(entry)
        what = frame_at(b"x" * 100 + data, 100)
        assert (what.state, what.entry, what.end) == (ENTRY, entry, 100 + len(data))


def test_every_cut_of_a_frame_is_short_and_every_flipped_bit_is_noticed() -> None:
    data = frame(ENTRIES[2])
    for cut in range(1, len(data)):
        assert frame_at(data[:cut], 0).state == SHORT, cut
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert frame_at(bytes(flipped) + bytes(8), 0).state in (DAMAGED, SHORT, END), bit


def test_zeros_are_the_end_so_far_and_the_close_marker_is_told_from_damage() -> None:
    assert frame_at(bytes(64), 0).state == END
    assert frame_at(CLOSE, 0).state == CLOSED
    assert frame_at(b"\xff" * 8, 0).state == DAMAGED


HOSTILE = [
    b"\xdd\xff\xff\xff\xff",  # an array of four thousand million
    b"\x9f" * 5000,  # arrays in arrays
    b"\x92\x01\xdb\xff\xff\xff\xff",  # a string longer than the world
    msgspec.msgpack.encode([5, [[1]] * 3, []]),  # a carry of what are no holds
    msgspec.msgpack.encode([99, "from a later version"]),
    msgspec.msgpack.encode([1, b"\xff\xfe"]),
    b"\x93\x02\xa2\xff\xfe\x01",  # text that is not UTF-8
    b"\xc1",
]


def test_hostile_payloads_with_a_right_checksum_are_damage() -> None:
    for payload in HOSTILE:
        assert frame_at(framed(payload), 0).state == DAMAGED, payload[:20]


def test_a_later_version_may_append_fields() -> None:
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(refused("b")))
    assert frame_at(framed(msgspec.msgpack.encode([*fields, "new", 7])), 0).entry == refused("b")


def check_reading_survives(directory: Path) -> None:
    """Reads a directory of anything by every function; each must come to an end."""
    torn: list[Torn] = []
    position, rounds = None, 0
    while True:
        found, onward = read_from(directory, position, 5, torn.append)
        assert position is None or onward >= position
        if not found:
            break
        assert onward != position
        position, rounds = onward, rounds + 1
        assert rounds < 10_000
    for number in (1, 2):
        read_to_end(directory, number, lambda entry: None, torn.append)
    read_from(directory, Position(1, 13), 100, torn.append)
    read_from(directory, Position(9, 2**62), 100, torn.append)
    end_position(directory)
    recover(directory, "g1", NOW_NS)
    open_journal(directory, "g1", NOW_NS, segment_bytes=4096).close()


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=3000), st.binary(max_size=300), st.booleans())
@example(b"".join(framed(p) for p in HOSTILE), b"", True)
@example(pack_head(2**28, 1) + b"x" * 50, b"", True)
@example(CLOSE * 30, CLOSE, True)
def test_segments_of_hostile_bytes_never_raise_nor_loop(
    tmp_path_factory: object, first: bytes, second: bytes, sound_start: bool
) -> None:
    directory = tmp_path_factory.mktemp("hostile")  # type: ignore[attr-defined]
    start = opening("g1", 1, NOW_NS, Carry([], [])) if sound_start else MAGIC
    segment_path(directory, 1).write_bytes(start + first)
    segment_path(directory, 2).write_bytes(second)
    (directory / "0000000003.seg.bak").write_bytes(first)
    (directory / "x.seg").write_bytes(first)
    check_reading_survives(directory)


def test_sound_segments_with_random_bytes_overwritten_never_raise_and_only_lose_what_was_hit(tmp_path: Path) -> None:
    choose = random.Random(11)
    frames = [frame(entry) for number in range(60) for entry in (hold(number), reading(number))]
    start = opening("g1", 1, NOW_NS, Carry([], []))
    whole = start + b"".join(frames) + CLOSE
    for round_ in range(60):
        directory = tmp_path / str(round_)
        directory.mkdir()
        hurt = bytearray(whole)
        at = choose.randrange(len(start), len(whole) - 8)
        hurt[at] ^= choose.randrange(1, 256)
        segment_path(directory, 1).write_bytes(hurt)
        segment_path(directory, 2).write_bytes(opening("g1", 2, NOW_NS, Carry([], [])) + frame(refused("last")))
        torn: list[Torn] = []
        found, _ = read_from(directory, None, 1000, torn.append)
        offset, index = len(start), 0
        while offset + len(frames[index]) <= at:
            offset, index = offset + len(frames[index]), index + 1
        assert [torn[0].segment, torn[0].offset, len(torn)] == [1, offset, 1]
        assert found[-1][1] == refused("last")
        # a hit checksum or payload loses one entry; a hit length loses the rest of its segment
        expected = len(frames) - 1 if at - offset >= 4 else index
        assert len(found) == expected + 3
        assert torn[0].lost == (len(frames[index]) if at - offset >= 4 else len(whole) - offset)
        check_reading_survives(directory)
