"""The written rule for calls that a crash left open, and that it is applied exactly once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.gateway.journal.kit import NOW_NS, SMALL, hold, kill, progress, read_all, reading, refused, segment_path

from baseload.errors import Refusal
from baseload.gateway.journal.entries import Hold, Progress, Reading
from baseload.gateway.journal.prune import prune
from baseload.gateway.journal.reader import Position, read_from, segments
from baseload.gateway.journal.recovery import count_delivered, open_journal, recover
from baseload.gateway.journal.writer import JournalWriter


def crashed(directory: Path, *entries: object) -> None:
    writer = JournalWriter(directory, "g1", segment_bytes=SMALL)
    for entry in entries:
        writer.append(entry)  # type: ignore[arg-type]
    assert writer.flush()
    kill(writer)


def test_without_progress_nothing_is_proven_and_nothing_is_charged(tmp_path: Path) -> None:
    crashed(tmp_path, hold("a", request_bytes=900))
    (lost,) = recover(tmp_path, "g1", NOW_NS + 60).lost
    assert lost == Reading(
        call="a", attempt=1, account=3, key=4, offer=5, cost_price=6, charge_price=0, tariff=2, model="small",
        endpoint="chat", stream=True, outcome="lost", status=0, fault="", meters={}, input_provenance="missing",
        output_provenance="missing", flags=("recovered", "nothing_proven"), select={}, reported_cost="", raw_usage=b"",
        delivered_output=0, accepted_ns=NOW_NS, sent_ns=NOW_NS, first_ns=0, end_ns=NOW_NS + 60, request_bytes=900,
        reply_bytes=0, upstream_id="", upstream_model="", currency="USD", hold_nano=123_456_789, snapshot=17,
    )  # fmt: skip


def test_lesson_01_with_progress_what_was_delivered_is_estimated_from_the_latest(tmp_path: Path) -> None:
    crashed(tmp_path, hold("a", request_bytes=900), progress("a", 3, 20), progress("a", 10, 220))
    (lost,) = recover(tmp_path, "g1", NOW_NS + 60).lost
    assert lost.meters == {"input_uncached": 225, "output_total": 55}
    assert (lost.input_provenance, lost.output_provenance) == ("estimated", "estimated")
    assert lost.flags == ("recovered", "usage_from_progress")
    assert (lost.delivered_output, lost.reply_bytes, lost.outcome) == (55, 220, "lost")


@pytest.mark.parametrize(
    ("frames", "text_bytes", "output"),
    [(0, 0, None), (1, 0, 1), (1, 3, 1), (10, 12, 10), (10, 40, 10), (10, 41, 10), (1, 4000, 1000), (0, 1, 1)],
)
def test_each_frame_is_a_token_at_least_and_four_bytes_are_one(
    frames: int, text_bytes: int, output: int | None
) -> None:
    meters, given, taken = count_delivered(hold("a", request_bytes=2), progress("a", frames, text_bytes))
    assert meters == ({} if output is None else {"input_uncached": 1, "output_total": output})
    assert {given, taken} == {"missing" if output is None else "estimated"}


def test_a_count_of_its_own_can_be_given(tmp_path: Path) -> None:
    def count(hold: Hold, progress: Progress | None) -> tuple[dict[str, int], str, str]:
        return {"output_total": progress.frames if progress else 0}, "missing", "counted"

    crashed(tmp_path, hold("a"), progress("a", 9, 400))
    (lost,) = recover(tmp_path, "g1", NOW_NS, count=count).lost
    assert (lost.meters, lost.output_provenance, lost.delivered_output) == ({"output_total": 9}, "counted", 9)


def test_only_attempts_without_a_reading_are_ended_and_only_once(tmp_path: Path) -> None:
    crashed(tmp_path, hold("a", 1), reading("a", 1), hold("a", 2), hold("b"), refused("c"), progress("b", 2, 8))
    for later in range(3):
        writer = open_journal(tmp_path, "g1", NOW_NS + later, segment_bytes=SMALL)
        kill(writer)
    ended = [(e.call, e.attempt, e.outcome) for e in read_all(tmp_path) if isinstance(e, Reading)]
    assert ended == [("a", 1, "ok"), ("a", 2, "lost"), ("b", 1, "lost")]


def test_recover_alone_may_run_any_number_of_times(tmp_path: Path) -> None:
    crashed(tmp_path, hold("a"))
    first, second = (recover(tmp_path, "g1", NOW_NS) for _ in range(2))
    assert first.lost == second.lost
    assert first.end == second.end
    assert [type(entry) for entry in read_all(tmp_path)] == [Hold]


def test_the_readings_of_a_recovery_are_there_when_the_writer_is(tmp_path: Path) -> None:
    crashed(tmp_path, *(hold(number) for number in range(200)))
    writer = open_journal(tmp_path, "g1", NOW_NS, segment_bytes=SMALL)
    assert writer.unflushed_bytes == 0
    assert writer.open_holds == 0
    assert len([entry for entry in read_all(tmp_path) if isinstance(entry, Reading)]) == 200
    assert writer.recovered is not None
    writer.close()


def test_a_running_gateway_is_never_recovered(tmp_path: Path) -> None:
    writer = open_journal(tmp_path, "g1", NOW_NS)
    with pytest.raises(Refusal):
        recover(tmp_path, "g1", NOW_NS)
    writer.close()
    assert recover(tmp_path, "g1", NOW_NS).lost == ()


def test_a_last_segment_that_lost_its_beginning_sends_recovery_further_back(tmp_path: Path) -> None:
    crashed(tmp_path, hold("a"), hold("b"), reading("b"))
    crashed(tmp_path, hold("c"))
    path = segment_path(tmp_path, 2)
    path.write_bytes(bytes(path.stat().st_size))  # a power loss kept the name and lost the bytes
    assert [entry.call for entry in recover(tmp_path, "g1", NOW_NS).lost] == ["a"]
    writer = open_journal(tmp_path, "g1", NOW_NS)
    assert [(entry.call, entry.outcome) for entry in read_all(tmp_path) if isinstance(entry, Reading)] == [
        ("b", "ok"), ("a", "lost"),
    ]  # fmt: skip
    writer.close()


def test_lesson_47_a_shutdown_with_a_full_queue_loses_nothing(tmp_path: Path) -> None:
    writer = open_journal(tmp_path, "g1", NOW_NS, segment_bytes=SMALL)
    for number in range(500):
        writer.append(hold(number))
        writer.append(reading(number))
    assert writer.close()
    assert len(read_all(tmp_path)) == 1000
    assert recover(tmp_path, "g1", NOW_NS).lost == ()


def test_prune_deletes_settled_old_segments_only(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    for number in range(300):
        writer.append(refused(number))
        writer.flush()
    numbers = segments(tmp_path)
    now_s = 1_763_000_000.0
    for number in numbers:
        age_s = 1000 if number <= 3 else 10
        os.utime(segment_path(tmp_path, number), (now_s - age_s, now_s - age_s))
    kept = segment_path(tmp_path, 1).with_suffix(".100.cut")
    kept.write_bytes(b"x")
    _, end = read_from(tmp_path, None, 10_000)
    assert prune(tmp_path, Position(1, 50), 0, now_s) == [], "the segment at the position is not wholly settled"
    assert prune(tmp_path, Position(3, 8), 100, now_s) == [1, 2]
    assert not kept.exists()
    assert prune(tmp_path, end, 100, now_s) == [3]
    assert prune(tmp_path, end, 0, now_s) == numbers[3:-1]
    assert segments(tmp_path) == numbers[-1:]
    assert prune(tmp_path, Position(10**6, 0), 0, now_s + 10**6) == [], "the last one carries the numbers on"
    writer.append(refused("more"))
    assert writer.close()
    assert read_from(tmp_path, end, 10)[0][0][1] == refused("more")
    assert open_journal(tmp_path, "g1", NOW_NS).position.segment == numbers[-1] + 1
