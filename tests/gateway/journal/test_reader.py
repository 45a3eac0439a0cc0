"""A reader beside a writer waits where the file is unfinished, moves on where it is closed, reports what is damaged."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from tests.gateway.journal.kit import NOW_NS, SMALL, hold, kill, read_all, reading, refused, segment_path

from baseload.gateway.journal.entries import Carry, Hold, Reading
from baseload.gateway.journal.reader import Position, Torn, end_position, read_from, segments
from baseload.gateway.journal.recovery import open_journal, recover
from baseload.gateway.journal.segment import CLOSE, frame, opening
from baseload.gateway.journal.writer import JournalWriter


def test_an_empty_or_absent_directory_has_no_entries(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "none"):
        assert read_from(directory, None, 10) == ([], Position(1, 0))
        assert segments(directory) == []
        assert end_position(directory) is None


def test_positions_lead_on_from_any_entry_and_any_limit(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    for number in range(100):
        writer.append(refused(number))
    writer.flush()
    everything, end = read_from(tmp_path, None, 10_000)
    calls = [entry for _, entry in everything]
    for index, (position, _) in enumerate(everything):
        again, onward = read_from(tmp_path, position, 10_000)
        assert [entry for _, entry in again] == calls[index:]
        assert onward == end
    for limit in (1, 2, 3, 50):
        assert len(read_all(tmp_path, limit)) == 100
    assert end == end_position(tmp_path) == writer.position
    assert read_from(tmp_path, end, 10) == ([], end)
    writer.append(refused("one more"))
    writer.flush()
    assert [entry for _, entry in read_from(tmp_path, end, 10)[0]] == [refused("one more")]
    writer.close()


def test_every_unfinished_tail_of_the_live_segment_is_waited_for(tmp_path: Path) -> None:
    """However far the kernel has got with a write, a reader sees whole entries only, and no damage."""
    start = opening("g1", 1, NOW_NS, Carry([], [])) + frame(hold("a"))
    tail = frame(reading("a"))  # its last byte is no zero, as unwritten ones are
    path = segment_path(tmp_path, 1)
    for cut in range(len(tail)):
        path.write_bytes(start + tail[:cut] + bytes(500))
        torn: list[Torn] = []
        found, position = read_from(tmp_path, None, 10, torn.append)
        assert [type(entry) for _, entry in found] == [Carry, Hold], cut
        assert (position, torn) == (Position(1, len(start)), []), cut
        path.write_bytes(start + tail[:cut])
        assert read_from(tmp_path, None, 10, torn.append) == (found, position)
        path.write_bytes(start + tail + bytes(500))
        assert [entry for _, entry in read_from(tmp_path, position, 10)[0]] == [reading("a")]


def test_every_torn_tail_of_a_segment_with_a_follower_is_reported_and_passed(tmp_path: Path) -> None:
    start = opening("g1", 1, NOW_NS, Carry([], [])) + frame(hold("a"))
    tail = frame(reading("a"))
    segment_path(tmp_path, 2).write_bytes(opening("g1", 2, NOW_NS, Carry([], [])) + frame(hold("b")) + CLOSE)
    for cut in range(len(tail)):
        for padding in (b"", bytes(300)):
            segment_path(tmp_path, 1).write_bytes(start + tail[:cut] + padding)
            torn: list[Torn] = []
            found, position = read_from(tmp_path, None, 10, torn.append)
            assert [type(entry) for _, entry in found] == [Carry, Hold, Carry, Hold], cut
            assert position.segment == 2
            lost = len(tail[:cut].rstrip(b"\0"))
            assert [(t.segment, t.offset, t.lost) for t in torn] == ([(1, len(start), lost)] if lost else []), cut


def test_a_segment_its_writer_could_not_close_is_no_damage(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    writer.append(refused(1))
    writer.flush()
    kill(writer)
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    writer.append(refused(2))
    writer.flush()
    torn: list[Torn] = []
    assert read_all(tmp_path, torn=torn) == [refused(1), refused(2)]
    assert torn == []
    writer.close()


def test_a_missing_segment_and_a_vanished_journal_are_reported(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    for number in range(200):
        writer.append(refused(number))
    writer.flush()
    writer.close()
    os.unlink(segment_path(tmp_path, 2))
    torn: list[Torn] = []
    found, end = read_from(tmp_path, None, 10_000, torn.append)
    assert [(t.segment, t.lost) for t in torn] == [(2, -1)]
    assert end.segment == segments(tmp_path)[-1]
    assert len(found) > 50
    torn.clear()
    assert read_from(tmp_path, Position(40, 8), 10, torn.append) == ([], Position(40, 8))
    assert "beyond the end" in torn[0].why


def test_damage_is_logged_when_nobody_asks_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    segment_path(tmp_path, 1).write_bytes(b"not a segment")
    segment_path(tmp_path, 2).write_bytes(opening("g1", 2, NOW_NS, Carry([], [])) + CLOSE)
    read_from(tmp_path, None, 10)
    assert "segment 1, byte 0: not a journal segment" in caplog.text


def test_an_entry_longer_than_a_block_is_read(tmp_path: Path) -> None:
    big = reading("a", raw_usage=os.urandom(3 * 2**20))
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    writer.append(hold("a"))
    writer.append(big)
    writer.append(refused("b"))
    assert writer.flush()
    assert read_all(tmp_path, 1) == [hold("a"), big, refused("b")]
    writer.close()
    assert read_all(tmp_path, 1000) == [hold("a"), big, refused("b")]


def test_a_reader_beside_a_writer_sees_everything_once_and_in_order(tmp_path: Path) -> None:
    total, done = 6000, threading.Event()

    def write() -> None:
        writer = open_journal(tmp_path, "g1", NOW_NS, segment_bytes=SMALL * 4)
        for number in range(total):
            writer.append(hold(number))
            if number % 3 == 0:
                writer.flush()
            writer.append(reading(number))
        writer.flush()
        writer.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    torn: list[Torn] = []
    position, held, read = None, [], []
    while True:
        last_round = done.is_set()
        found, position = read_from(tmp_path, position, 100, torn.append)
        held += [int(entry.call) for _, entry in found if isinstance(entry, Hold)]
        read += [int(entry.call) for _, entry in found if isinstance(entry, Reading)]
        if last_round and not found:
            break
    thread.join()
    assert torn == []
    assert held == read == list(range(total))


def test_recovery_cuts_every_torn_tail_and_says_how_much(tmp_path: Path) -> None:
    start = opening("g1", 1, NOW_NS, Carry([], [])) + frame(refused("a"))
    tail = frame(refused("b"))
    for cut in range(len(tail) + 1):
        directory = tmp_path / str(cut)
        directory.mkdir()
        path = segment_path(directory, 1)
        path.write_bytes(start + tail[:cut] + bytes(1000))
        found = recover(directory, "g1", NOW_NS)
        whole = cut == len(tail)
        lost = 0 if whole else len(tail[:cut].rstrip(b"\0"))
        assert (found.cut.lost if found.cut else 0) == lost
        assert path.read_bytes() == (start + tail if whole else start) + CLOSE
        assert sorted(kept.name for kept in directory.glob("*.cut")) == (
            [f"0000000001.{len(start)}.cut"] if lost else []
        )
        assert recover(directory, "g1", NOW_NS).cut is None
        assert read_all(directory) == [refused("a"), refused("b")][: 1 + whole]


def test_recovery_keeps_sound_entries_behind_a_flipped_byte(tmp_path: Path) -> None:
    frames = [frame(hold("a")), frame(reading("a")), frame(hold("b"))]
    start = opening("g1", 1, NOW_NS, Carry([], []))
    hurt = bytearray(start + b"".join(frames) + bytes(100))
    hurt[len(start) + len(frames[0]) + 30] ^= 1
    segment_path(tmp_path, 1).write_bytes(hurt)
    found = recover(tmp_path, "g1", NOW_NS)
    assert found.cut is None
    assert [(torn.offset, torn.lost) for torn in found.damaged] == [(len(start) + len(frames[0]), len(frames[1]))]
    assert [entry.call for entry in found.lost] == ["a", "b"], "the hold whose reading was hit is open again"
