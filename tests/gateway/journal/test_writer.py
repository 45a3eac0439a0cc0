"""Appending, rotation, a full or failing disk, the lock, group fsync."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gateway.journal.kit import NOW_NS, SMALL, hold, kill, progress, read_all, reading, refused, segment_path

from baseload.errors import Refusal
from baseload.gateway.journal import writer as writer_module
from baseload.gateway.journal.entries import Carry, Hold, Reading
from baseload.gateway.journal.reader import read_from, segments
from baseload.gateway.journal.recovery import open_journal
from baseload.gateway.journal.segment import CLOSE
from baseload.gateway.journal.writer import JournalWriter


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalWriter]:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    yield writer
    assert writer.close()


def test_nothing_is_written_before_flush_and_all_of_it_with_one_system_call(
    journal: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []

    def counted(fd: int, data: bytes, offset: int) -> int:
        writes.append(len(data))
        return os.pwrite(fd, data, offset)

    monkeypatch.setattr(writer_module, "_pwrite", counted)
    entries = [hold("a"), progress("a", 1, 4), reading("a"), refused("b")]
    for entry in entries:
        journal.append(entry)
    assert read_all(journal.directory) == []
    assert journal.unflushed_bytes > 0
    assert journal.flush()
    assert len(writes) == 1
    assert journal.flush(), "nothing to write: no call"
    assert len(writes) == 1
    assert read_all(journal.directory) == entries
    assert (journal.unflushed_bytes, journal.entries, journal.open_holds) == (0, 4, 0)


def test_rotation_closes_truncates_and_starts_with_the_open_holds(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    writer.append(hold("stays"))
    writer.append(progress("stays", 1, 4))
    writer.append(progress("stays", 2, 9))
    for number in range(300):
        writer.append(hold(number))
        writer.append(reading(number))
        writer.flush()
    numbers = segments(tmp_path)
    assert len(numbers) > 10
    for number in numbers[:-1]:
        data = segment_path(tmp_path, number).read_bytes()
        assert data.endswith(CLOSE)
        assert len(data) <= SMALL
    assert segment_path(tmp_path, numbers[-1]).stat().st_size == SMALL, "room is reserved ahead"
    found, _ = read_from(tmp_path, None, 10_000)
    carries = [entry for _, entry in found if isinstance(entry, Carry)]
    assert len(carries) == len(numbers)
    for carry in carries[1:]:
        assert hold("stays") in carry.holds
        assert carry.progress == [progress("stays", 2, 9)]
        assert len(carry.holds) <= 2
    assert writer.close()
    assert segment_path(tmp_path, numbers[-1]).read_bytes().endswith(CLOSE)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n:010d}.seg" for n in numbers] + ["identity", "lock"]


def test_a_carry_larger_than_a_segment_gets_a_segment_that_holds_it(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    for number in range(500):
        writer.append(hold(number))
        assert writer.flush()
    assert len(segments(tmp_path)) < 20, "each entry must not begin a segment of its own"
    assert [entry.call for entry in read_all(tmp_path) if isinstance(entry, Hold)] == [str(n) for n in range(500)]
    assert writer.close()


def test_progress_of_an_ended_call_does_not_live_on(journal: JournalWriter) -> None:
    for number in range(50):
        journal.append(hold(number))
        journal.append(reading(number))
        journal.append(progress(number, 5, 20))
    assert journal.carry() == Carry([], [])


def test_two_gateways_never_share_a_journal(journal: JournalWriter) -> None:
    with pytest.raises(Refusal, match=f"in use by process {os.getpid()} .gateway g1") as told:
        open_journal(journal.directory, "g2", NOW_NS)
    assert told.value.code == "journal_in_use"
    code = "import sys; from pathlib import Path; from baseload.gateway.journal.writer import JournalWriter as W"
    code += "; W(Path(sys.argv[1]), 'g2')"
    other = subprocess.run([sys.executable, "-c", code, journal.directory], capture_output=True, text=True, check=False)
    assert f"in use by process {os.getpid()}" in other.stderr
    journal.append(hold("still works"))
    assert journal.flush()


def test_a_writer_without_recovery_carries_the_open_holds_of_the_one_before(tmp_path: Path) -> None:
    for number in range(3):
        writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
        assert writer.open_holds == number
        writer.append(hold(number))
        assert writer.flush()
        kill(writer)


def test_leftovers_of_a_killed_rotation_are_removed(tmp_path: Path) -> None:
    (tmp_path / "next.tmp").write_bytes(b"half an opening" + bytes(10_000))
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    writer.append(refused(1))
    assert writer.close()
    assert read_all(tmp_path) == [refused(1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0000000001.seg", "identity", "lock"]


class Disk:
    """An allocate hook: a disk with `free` bytes."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.asked = 0

    def __call__(self, fd: int, offset: int, length: int) -> None:
        self.asked += 1
        more = length - os.fstat(fd).st_size
        if more > self.free:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.free -= more
        os.posix_fallocate(fd, offset, length)


class Mounted:
    """A real file system of `size` bytes, all but `free` of them taken."""

    def __init__(self, path: Path, size: int, free: int) -> None:
        self.path, self.filler = path, path / "filler"
        with open(self.filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size - free)

    def __call__(self, fd: int, offset: int, length: int) -> None:
        os.posix_fallocate(fd, offset, length)


BIG = 65_536


def live_through_a_full_disk(directory: Path, allocate: object, make_room: object) -> None:
    """Room for a segment and a half: new calls are refused in time, running ones go on, all comes back with room."""
    now_s = 100.0
    options = {"segment_bytes": BIG, "reserve_bytes": 8192, "allocate": allocate, "clock": lambda: now_s}
    writer = JournalWriter(directory, "g1", **options)  # type: ignore[arg-type]
    running: list[int] = []
    accepted = 0
    while writer.accepting:
        writer.append(hold(accepted))
        running.append(accepted)
        accepted += 1
        if len(running) > 20:
            writer.append(reading(running.pop(0)))
        assert writer.flush()
        assert accepted < 1000
    assert writer.rotations == 0
    said = writer.refusal()
    assert (said.status, said.code, said.retry_after_s) == (503, "journal_full", 5.0)
    assert "No space left on device" in said.say
    for number in running:
        writer.append(reading(number))
        assert writer.flush(), "calls that run have their room reserved"
    asked = getattr(allocate, "asked", 0)
    for tenth in range(10):
        assert not writer.check_accepting(100.0 + tenth / 10)
    assert getattr(allocate, "asked", 0) <= asked + 1, "at most one try a second"
    make_room()  # type: ignore[operator]
    now_s = 102.0
    assert writer.check_accepting(now_s)
    for number in range(accepted, accepted + 1000):
        writer.append(hold(number))
        writer.append(reading(number))
        assert writer.flush()
        now_s += 0.01
        assert writer.check_accepting(now_s)
    assert writer.rotations > 1
    assert writer.close()
    there = read_all(directory)
    assert [int(e.call) for e in there if isinstance(e, Hold)] == list(range(accepted + 1000))
    assert sorted(int(e.call) for e in there if isinstance(e, Reading)) == list(range(accepted + 1000))


def test_a_full_disk_refuses_new_calls_and_keeps_the_running_ones(tmp_path: Path) -> None:
    disk = Disk(BIG * 3 // 2)
    live_through_a_full_disk(tmp_path, disk, lambda: setattr(disk, "free", 2**30))


def test_a_really_full_file_system_does_the_same(tmp_path: Path) -> None:
    """A tmpfs where the test may mount one; elsewhere the kernel's limit on the size of files."""
    point = tmp_path / "small"
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(point)], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        try:
            disk = Mounted(point, 4 * 2**20, BIG * 3 // 2 + 16_384)
            live_through_a_full_disk(point / "journal", disk, lambda: os.truncate(disk.filler, 0))
        finally:
            subprocess.run(["umount", str(point)], check=True)
        return
    code = (
        "import resource, sys; from pathlib import Path; from baseload.errors import Refusal\n"
        "from baseload.gateway.journal.writer import JournalWriter\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: JournalWriter(Path(sys.argv[1]), 'g1', segment_bytes=65_536)\n"
        "except Refusal as said: assert said.code == 'journal_full', said\n"
        "else: raise SystemExit('accepted')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(point)], check=True)


def test_a_start_on_a_full_disk_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"cannot begin its journal.*No space left"):
        open_journal(tmp_path, "g1", NOW_NS, allocate=Disk(10))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["identity", "lock"]
    open_journal(tmp_path, "g1", NOW_NS).close()


def test_a_disk_full_beyond_the_reserve_keeps_entries_in_memory_until_there_is_room(tmp_path: Path) -> None:
    disk, clock = Disk(BIG * 3 // 2), [0.0]
    writer = JournalWriter(tmp_path, "g1", segment_bytes=BIG, allocate=disk, clock=lambda: clock[0])
    number = 0
    while writer.flush():
        writer.append(refused(number))
        number += 1
        assert number < 5000
    for _ in range(2500):  # more than another whole segment
        writer.append(refused(number))
        number += 1
    assert not writer.flush()
    assert not writer.accepting
    assert not writer.close(), "what waits must not be thrown away"
    disk.free = 2**30
    clock[0] = 5.0
    assert writer.check_accepting(5.0)
    assert writer.unflushed_bytes == 0
    assert [int(entry.call) for entry in read_all(tmp_path, 500)] == list(range(number))  # type: ignore[union-attr]
    assert writer.close()


class Flaky:
    """A disk whose writes fail or stop short as told: an errno, minus the bytes not written, or 0 = works."""

    def __init__(self, *script: int) -> None:
        self.script = list(script)

    def __call__(self, fd: int, data: bytes, offset: int) -> int:
        what = self.script.pop(0) if self.script else 0
        if what > 0:
            raise OSError(what, os.strerror(what))
        return os.pwrite(fd, bytes(data)[: -what or None], offset)


@pytest.mark.parametrize(
    "script",
    [
        (errno.EIO,),
        (errno.ENOSPC, errno.ENOSPC, errno.EIO),
        (-1, errno.EIO),
        (-100, -3, errno.ENOSPC, -50, errno.EIO),
        (-7, -7, -7),
    ],
)
def test_failed_and_short_writes_are_repeated_without_loss_or_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: tuple[int, ...]
) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    flaky = Flaky(*script)
    monkeypatch.setattr(writer_module, "_pwrite", flaky)
    number, refusals = 0, 0
    while flaky.script or number < 40:
        writer.append(refused(number))
        number += 1
        if not writer.flush():
            refusals += 1
            assert not writer.accepting
            assert writer.refusal().status == 503
            assert writer.refusal().code == "journal_failing"
        read_all(tmp_path, torn=(torn := []))
        assert torn == []
    assert refusals == sum(what > 0 for what in script)
    assert writer.flush()
    assert writer.accepting
    assert not writer.fault
    assert read_all(tmp_path) == [refused(index) for index in range(number)]
    assert writer.close()


def test_a_write_error_is_tried_again_also_when_no_call_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL)
    monkeypatch.setattr(writer_module, "_pwrite", Flaky(errno.EIO, errno.EIO))
    writer.append(refused(1))
    assert not writer.flush()
    assert not writer.check_accepting(10.0)
    assert not writer.check_accepting(10.5)
    assert writer.check_accepting(11.1)
    assert read_all(tmp_path) == [refused(1)]
    assert writer.close()


@pytest.mark.parametrize("failing", range(1, 7))
def test_errors_at_any_step_of_a_rotation_are_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """The n-th system call of a rotation fails once: write, allocate, rename or the closing of the old segment."""
    calls = [-100]  # the start is not under test

    def fail_once(name: str) -> None:
        real = getattr(os, name)

        def wrapped(*args: object, **more: object) -> object:
            calls[0] += 1
            if calls[0] == failing:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **more)

        monkeypatch.setattr(os, name, wrapped)

    def allocate(fd: int, offset: int, length: int) -> None:
        calls[0] += 1
        if calls[0] == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.posix_fallocate(fd, offset, length)

    clock = [0.0]
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL, allocate=allocate, clock=lambda: clock[0])
    calls[0] = 0
    for name in ("pwrite", "rename", "ftruncate"):
        fail_once(name)
    monkeypatch.setattr(writer_module, "_pwrite", lambda *args: os.pwrite(*args))
    for number in range(200):
        writer.append(refused(number))
        if number % 90 == 0:
            writer.flush()
    for _ in range(3):
        clock[0] += 2.0
        writer.flush()
    assert calls[0] > 6
    assert writer.accepting
    assert writer.close()
    assert read_all(tmp_path) == [refused(number) for number in range(200)]


def test_group_fsync_syncs_in_the_background_and_at_the_end(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "g1", segment_bytes=SMALL, fsync="group", fsync_interval_s=0.001)
    sync = writer._sync
    assert sync is not None
    for number in range(200):
        writer.append(refused(number))
        assert writer.flush()
    deadline = time.monotonic() + 10
    while sync._dirty and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not sync._dirty
    assert sync.syncs > 0
    assert writer.close()
    assert not sync._retired
    assert not sync._thread.is_alive()
    assert writer.sync_fault == ""
    assert read_all(tmp_path) == [refused(number) for number in range(200)]


def test_group_fsync_reports_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("baseload.gateway.journal.sync.os.fdatasync", failing)
    writer = JournalWriter(tmp_path, "g1", fsync="group", fsync_interval_s=0.001)
    writer.append(refused(1))
    assert writer.flush()
    assert writer.close()
    assert "Input/output error" in writer.sync_fault


def test_closing_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for fsync in ("off", "group"):
        writer = JournalWriter(tmp_path / fsync, "g1", segment_bytes=SMALL, fsync=fsync)
        for number in range(300):
            writer.append(refused(number))
            writer.flush()
        assert writer.close()
        assert writer.close(), "twice is once"
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_unknown_fsync_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not 'always'"):
        JournalWriter(tmp_path, "g1", fsync="always")
