"""Killed between any two bytes, by a model and for real: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway.journal.kit import NOW_NS, SMALL, Fuse, Killed, hold, kill, progress, read_all, reading, refused

from baseload.gateway.journal.entries import Hold, Progress, Reading, Refused
from baseload.gateway.journal.recovery import open_journal
from baseload.gateway.journal.writer import JournalWriter


class Model:
    """The dumb second opinion: lists and a dict."""

    def __init__(self) -> None:
        self.safe: list[object] = []  # flush said True
        self.waiting: list[object] = []
        self.calls = 0

    def open(self, entries: list[object]) -> dict[str, tuple[Hold, Progress | None]]:
        live: dict[str, tuple[Hold, Progress | None]] = {}
        for entry in entries:
            if isinstance(entry, Hold):
                live[entry.call] = entry, None
            elif isinstance(entry, Progress) and entry.call in live:
                live[entry.call] = live[entry.call][0], entry
            elif isinstance(entry, Reading):
                live.pop(entry.call, None)
        return live


def step(op: int, pick: int, model: Model, writer: JournalWriter) -> None:
    """One thing a gateway may append. A reading ends a call that lives in the log as appended so far."""
    alive = sorted(model.open(model.safe + model.waiting))
    if op == 0 or not alive:
        model.calls += 1
        entry: object = hold(model.calls, request_bytes=pick)
    elif op == 1:
        entry = reading(alive[pick % len(alive)], raw_usage=b"u" * (pick % 300))
    elif op == 2:
        entry = progress(alive[pick % len(alive)], pick, pick * 3)
    else:
        model.calls += 1
        entry = refused(model.calls)
    writer.append(entry)  # type: ignore[arg-type]
    model.waiting.append(entry)


def audit_after_kill(directory: Path, model: Model) -> JournalWriter:
    """Recovers and compares everything with the model, which from then on knows what the journal knows."""
    writer = open_journal(directory, "g1", NOW_NS + 10, segment_bytes=SMALL)
    there = read_all(directory)
    lost = [
        entry for entry in there if isinstance(entry, Reading) and entry.outcome == "lost" and entry not in model.safe
    ]
    before = there[: len(there) - len(lost)]
    assert before[: len(model.safe)] == model.safe, "an acknowledged entry is missing, doubled or changed"
    kept = before[len(model.safe) :]
    assert kept == model.waiting[: len(kept)], "what was in flight is a prefix of what was appended"
    expected = model.open(before)
    assert [(entry.call, entry.delivered_output) for entry in lost] == [
        (call, max(seen.frames, seen.text_bytes // 4, 1) if seen and seen.frames else 0)
        for call, (_, seen) in expected.items()
    ]
    assert there[len(before) :] == lost
    model.safe, model.waiting = there, []
    return writer


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_sequence_of_appends_flushes_and_kills_keeps_what_was_acknowledged(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    with pytest.MonkeyPatch.context() as patch:
        run(random.Random(data.draw(st.integers(0, 2**32))), directory, Fuse(patch), data.draw(st.integers(1, 6)))


def run(choose: random.Random, directory: Path, fuse: Fuse, kills: int) -> None:
    model = Model()
    writer = open_journal(directory, "g1", NOW_NS, segment_bytes=SMALL)
    for _ in range(kills):
        for _ in range(choose.randrange(12)):
            for _ in range(choose.choice((0, 1, 3, 60))):
                step(choose.choice((0, 0, 1, 1, 2, 3)), choose.randrange(1, 900), model, writer)
            assert writer.flush()
            model.safe, model.waiting = model.safe + model.waiting, []
        for _ in range(choose.choice((1, 5, 70))):
            step(choose.choice((0, 0, 1, 2, 3)), choose.randrange(1, 900), model, writer)
        fuse.left = choose.randrange(writer.unflushed_bytes + 20)
        try:
            writer.flush()
        except Killed:
            pass
        else:
            model.safe, model.waiting = model.safe + model.waiting, []
        fuse.left = None
        kill(writer)
        if choose.random() < 0.5:  # the recovery is killed as well
            fuse.left = choose.randrange(800)
            with contextlib.suppress(Killed):
                kill(open_journal(directory, "g1", NOW_NS + 9, segment_bytes=SMALL))
            fuse.left = None
        writer = audit_after_kill(directory, model)
    assert writer.close()
    last = read_all(directory)
    held = [(entry.call, entry.attempt) for entry in last if isinstance(entry, Hold)]
    ended = [(entry.call, entry.attempt) for entry in last if isinstance(entry, Reading)]
    assert len(set(held)) == len(held)
    assert sorted(held) == sorted(ended), "each hold has exactly one reading"
    assert sum(isinstance(entry, Refused) for entry in last) == len({e.call for e in last if isinstance(e, Refused)})


def test_a_kill_at_every_byte_of_a_flush_over_two_rotations(tmp_path: Path) -> None:
    """The flush that seals two segments, cut at each of its bytes, renames and truncations."""
    total = None
    cut = 0
    while total is None or cut <= total:
        directory = tmp_path / str(cut)
        with pytest.MonkeyPatch.context() as patch:
            fuse = Fuse(patch)
            model = Model()
            writer = open_journal(directory, "g1", NOW_NS, segment_bytes=SMALL)
            for pick in range(12):
                step(0, pick, model, writer)
            assert writer.flush()
            model.safe, model.waiting = model.waiting, []
            for pick in range(30):
                step(1 if pick % 2 else 0, pick, model, writer)
            total = writer.unflushed_bytes + 6
            fuse.left = cut
            try:
                writer.flush()
                model.safe, model.waiting = model.safe + model.waiting, []
            except Killed:
                pass
            fuse.left = None
            kill(writer)
            audit_after_kill(directory, model).close()
        cut += 1 if cut < 40 else 23


CHILD = """
import os, struct, sys, time
from pathlib import Path
from baseload.gateway.journal.recovery import open_journal
from tests.gateway.journal.kit import hold, reading, SMALL
writer = open_journal(Path(sys.argv[1]), "g1", time.time_ns(), segment_bytes=SMALL * 16, fsync=sys.argv[3])
number = int(sys.argv[2])
while True:
    for _ in range(5):
        writer.append(hold(number))
        if number % 7:
            writer.append(reading(number))
        number += 1
    assert writer.flush()
    os.write(1, struct.pack("<q", number))
"""


@pytest.mark.parametrize("fsync", ["off", "group"])
def test_lesson_39_and_47_a_real_sigkill_loses_no_acknowledged_entry(tmp_path: Path, fsync: str) -> None:
    choose, acknowledged = random.Random(7), 0
    for _ in range(5):
        arguments = [sys.executable, "-c", CHILD, str(tmp_path), str(acknowledged), fsync]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as child:
            assert child.stdout is not None
            for _ in range(choose.randrange(1, 400)):
                child.stdout.read(8)
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read()
            rest = rest[: len(rest) // 8 * 8]
        assert child.returncode == -signal.SIGKILL
        known = int.from_bytes(rest[-8:], "little") if rest else None
        there = read_all(tmp_path, 1000)
        held = [int(entry.call) for entry in there if isinstance(entry, Hold)]
        read = {int(entry.call) for entry in there if isinstance(entry, Reading)}
        assert held == list(range(len(held))), "in order, each once"
        assert known is None or len(held) >= known
        assert read >= {number for number in range(known or 0) if number % 7}
        acknowledged = len(held)
    open_journal(tmp_path, "g1", NOW_NS).close()
    there = read_all(tmp_path, 1000)
    held = [entry.call for entry in there if isinstance(entry, Hold)]
    ended = [entry.call for entry in there if isinstance(entry, Reading)]
    assert sorted(held) == sorted(ended), "every call that was killed has one record that says so"
    assert {entry.outcome for entry in there if isinstance(entry, Reading) and int(entry.call) % 7 == 0} == {"lost"}


def test_lesson_39_kill_with_1000_open_holds_ends_all_of_them_from_the_last_segment(tmp_path: Path) -> None:
    writer = open_journal(tmp_path, "g1", NOW_NS, segment_bytes=2**17)
    for number in range(1000):
        writer.append(hold(number))
        writer.flush()
    for number in range(3000):  # push them out of the last segments: only the carry knows them now
        writer.append(refused(f"r{number}"))
        writer.flush()
    assert writer.rotations >= 2
    kill(writer)
    writer = open_journal(tmp_path, "g1", NOW_NS)
    assert writer.open_holds == 0
    lost = [entry for entry in read_all(tmp_path, 500) if isinstance(entry, Reading)]
    assert [entry.call for entry in lost] == [str(number) for number in range(1000)]
    writer.close()
