"""Appends to the journal: one write a tick, rotation, and no call accepted that the disk could not account for.

In:     entries, in order, from one thread; the clock as an argument or a function.
Out:    segments (`segment.py`). `flush()` says whether all that was appended is in the file; only then may the gateway
        let the effects out (send to the provider, last byte to the client).

An entry is encoded when it is appended and written by the next `flush`, at an offset that moves only when the whole
write succeeded: a failed write is repeated with the same bytes at the same place, so nothing is lost, doubled, or left
half. A full segment is sealed in memory, with its follower's opening (header and the holds open at that point); the
follower gets its name only when those bytes and its entries so far are in its file, so a kill leaves one or the other.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from baseload.errors import Refusal
from baseload.gateway.journal.entries import AnyEntry, Carry, Hold, Progress, Reading
from baseload.gateway.journal.live import Live
from baseload.gateway.journal.lock import DirectoryLock
from baseload.gateway.journal.reader import live_at_end, segments
from baseload.gateway.journal.segment import CLOSE, FRAME_HEAD, Position, encode, file_name, frame, opening, pack_head
from baseload.gateway.journal.space import Allocate, NextSegment
from baseload.gateway.journal.sync import GroupSync

SEGMENT_BYTES = 64 * 2**20
RESERVE_BYTES = 2**20  # readings of about 4,000 running calls
SEGMENT_BYTES_MIN = 4096

_crc = zlib.crc32
_pwrite = os.pwrite


class JournalWriter:
    """The one writer of a directory. Not thread-safe: the event loop owns it.

    `accepting` is False while a new call could not be accounted for (disk full, writes failing): refuse it with
    `refusal()`, go on with the calls that run. `live` are the holds open so far (None: read from the directory);
    `first` are entries that become visible together with the new segment, or not at all.
    """

    def __init__(
        self,
        directory: Path,
        gateway: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        fsync: str = "off",
        fsync_interval_s: float = 0.01,
        allocate: Allocate = os.posix_fallocate,
        live: Live | None = None,
        first: Iterable[AnyEntry] = (),
        lock: DirectoryLock | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        if fsync not in ("off", "group"):
            raise ValueError(f'fsync is "off" or "group", not {fsync!r}')
        self.directory = directory
        self.gateway = gateway
        self.accepting = True
        self.fault = ""  # why the last write failed, "" = it did not
        self.entries = 0  # appended since the start
        self.bytes_written = 0
        self.rotations = 0
        self._segment_bytes = max(segment_bytes, SEGMENT_BYTES_MIN)
        self._reserve = min(reserve_bytes, self._segment_bytes // 4)
        self._clock = clock
        self._wall_ns = wall_ns
        self._buffer = bytearray()
        self._sealed: list[bytearray] = []  # full segments' last bytes, not written yet (normally none)
        self._sizes: list[int] = []  # file size of the segment that follows each of `_sealed`
        self._write_tried_s: float | None = None
        self.recovered: object = None  # what `open_journal` found (a `recovery.Recovered`), for the log and the metrics
        self._lock = lock if lock is not None else DirectoryLock(directory, gateway)
        self._next = NextSegment(directory, self._segment_bytes, allocate)
        try:
            self._begin(live, first)
        except BaseException:
            self._next.discard()
            self._lock.release()
            raise
        self._sync = GroupSync(directory, fsync_interval_s) if fsync == "group" else None
        if self._sync is not None:
            self._sync.begin(self._fd)

    def _begin(self, live: Live | None, first: Iterable[AnyEntry]) -> None:
        """Always a new segment: what an earlier writer left is never written to again."""
        self._next.discard()
        known = segments(self.directory)
        live = live if live is not None else live_at_end(self.directory)
        self._sequence = known[-1] + 1 if known else 1
        start = bytearray(opening(self.gateway, self._sequence, self._wall_ns(), live.carry()))
        for entry in first:
            start += frame(entry)
            live.apply(entry)
        size = max(self._segment_bytes, 2 * len(start))
        if not self._next.prepare(size):
            raise self._no_start(self._next.error)
        try:
            _write_all(self._next.fd, start, 0)
            self._fd = self._next.publish(self.directory / file_name(self._sequence))
        except OSError as error:
            raise self._no_start(error) from error
        self._holds, self._progress, self._live = live.holds, live.progress, live
        self._started(len(start), size)
        self._room = size - len(start) - len(CLOSE)

    def _started(self, offset: int, size: int) -> None:
        self._offset = offset  # of the next byte to write
        self._prepare_at = size * 3 // 4
        self.bytes_written += offset

    # --- the hot path ---

    def append(self, entry: AnyEntry) -> None:
        """Encodes `entry` into memory; no system call. It counts once `flush` has said True."""
        payload = encode(entry)
        size = len(payload)
        room = self._room - size - FRAME_HEAD
        if room < 0:
            self._seal(size + FRAME_HEAD)
            room = self._room - size - FRAME_HEAD
        self._room = room
        buffer = self._buffer
        buffer += pack_head(size, _crc(payload))
        buffer += payload
        self.entries += 1
        kind = type(entry)
        if kind is Reading:
            key = (entry.call, entry.attempt)  # type: ignore[union-attr]
            self._holds.pop(key, None)
            if self._progress:
                self._progress.pop(key, None)
        elif kind is Hold:
            self._holds[entry.call, entry.attempt] = entry  # type: ignore[union-attr, assignment]
        elif kind is Progress:
            key = (entry.call, entry.attempt)  # type: ignore[union-attr]
            if key in self._holds:
                self._progress[key] = entry  # type: ignore[assignment]

    def flush(self) -> bool:
        """Writes all that was appended, with one system call. True: it is in the file, a kill cannot lose it any more.

        False: the disk refuses; the entries are kept and written by the next call. What they account for must wait.
        """
        if self._sealed:
            return self._flush_over()
        buffer = self._buffer
        if buffer:
            if not self._write(self._fd, buffer, self._offset):
                return False
            self._offset += len(buffer)
            self.bytes_written += len(buffer)
            buffer.clear()
            if self._sync is not None:
                self._sync.written()
        if self._offset > self._prepare_at and not self._next.ready:
            self._next.prepare_again(self._clock())
            self._reckon()
        return True

    # --- the disk is full, or fails ---

    def check_accepting(self, now_s: float) -> bool:
        """`accepting`, after a new try (at most one a second of `now_s`, any steady clock) to get room or to write."""
        if self.accepting and (self._next.ready or self._offset <= self._prepare_at):
            return True
        if self.fault and (self._write_tried_s is None or abs(now_s - self._write_tried_s) >= 1.0):
            self._write_tried_s = now_s
            self.flush()
        if self._offset > self._prepare_at or self._sealed:
            self._next.prepare_again(now_s, self._sizes[0] if self._sizes else 0)
            if self._sealed and self._next.ready:
                self._flush_over()
        self._reckon()
        return self.accepting

    def refusal(self) -> Refusal:
        """What a new call is told while `accepting` is False."""
        if self.fault:
            return Refusal(
                f"This gateway cannot write its journal ({self.fault}), so it takes no new calls.",
                f"Repair the disk that holds {self.directory}; the gateway goes on by itself.",
                code="journal_failing",
                status=503,
                retry_after_s=5.0,
            )
        return self._full(self._next.error)

    def _full(self, error: OSError | None) -> Refusal:
        reason = error.strerror if error is not None else "No space left on device"
        return Refusal(
            f"This gateway has no room for its journal ({reason}), so it takes no new calls; running calls go on.",
            f"Free {self._segment_bytes} bytes on the disk that holds {self.directory}; the gateway goes on by itself.",
            code="journal_full",
            status=503,
            retry_after_s=5.0,
        )

    def _no_start(self, error: OSError | None) -> Refusal:
        reason = error.strerror if error is not None else "No space left on device"
        return Refusal(
            f"The gateway cannot begin its journal in {self.directory}: {reason}.",
            f"It needs {self._segment_bytes} bytes there (the journal's segment size); free them and start again.",
            code="journal_full",
            status=503,
        )

    def _reckon(self) -> None:
        self.accepting = not self.fault and (self._next.ready or self._room >= self._reserve) and not self._sealed

    def _write(self, fd: int, data: bytearray, offset: int) -> bool:
        try:
            _write_all(fd, data, offset)
        except OSError as error:
            self.fault = error.strerror or str(error)
            self.accepting = False
            return False
        if self.fault:
            self.fault = ""
            self._reckon()
        return True

    # --- rotation ---

    def _seal(self, needs: int) -> None:
        """The segment is full: what comes next belongs to its follower, which begins with the holds open now."""
        self._sealed.append(self._buffer)
        sequence = self._sequence + len(self._sealed)
        self._buffer = bytearray(opening(self.gateway, sequence, self._wall_ns(), self._live.carry()))
        # a huge carry must not fill the segment by itself, or each entry would begin another one
        size = max(self._segment_bytes, 2 * len(self._buffer) + needs + len(CLOSE))
        self._sizes.append(size)
        self._room = size - len(self._buffer) - len(CLOSE)

    def _flush_over(self) -> bool:
        """Writes across one or more ends of segment. Every step can fail and is then repeated as it was."""
        while self._sealed:
            rest = self._sealed[0]
            if rest:
                if not self._write(self._fd, rest, self._offset):
                    return False
                self._offset += len(rest)
                self.bytes_written += len(rest)
                self._sealed[0] = bytearray()
            size = self._sizes[0]
            following = self._sealed[1] if len(self._sealed) > 1 else self._buffer
            if not self._next.prepare_again(self._clock(), size):
                self.accepting = False
                return False
            if not self._write(self._next.fd, following, 0):
                return False
            try:
                fd = self._next.publish(self.directory / file_name(self._sequence + 1))
            except OSError as error:
                self.fault = error.strerror or str(error)
                self.accepting = False
                return False
            self._end_segment()
            self._fd = fd
            self._sequence += 1
            self.rotations += 1
            self._started(len(following), size)
            if self._sync is not None:
                self._sync.begin(fd)
            self._sealed.pop(0)
            self._sizes.pop(0)
            if self._sealed:
                self._sealed[0] = bytearray()
            else:
                self._buffer.clear()
        if self._offset > self._prepare_at and not self._next.ready:
            self._next.prepare_again(self._clock())
        self._reckon()
        return True

    def _end_segment(self) -> None:
        """Close marker and real length. May fail: a segment with a follower is known to be over."""
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, CLOSE, self._offset)
            os.ftruncate(self._fd, self._offset + len(CLOSE))
        if self._sync is not None:
            self._sync.retire(self._fd)
        else:
            os.close(self._fd)

    # --- the rest ---

    @property
    def position(self) -> Position:
        """Where the next entry will be written, if nothing waits for `flush`."""
        return Position(self._sequence, self._offset)

    @property
    def closed(self) -> bool:
        """Nothing will be written any more; the last segment has its real length."""
        return self._fd < 0

    @property
    def unflushed_bytes(self) -> int:
        """Appended and not in the file yet."""
        return len(self._buffer) + sum(map(len, self._sealed))

    @property
    def open_holds(self) -> int:
        """Calls that have a hold and no reading yet."""
        return len(self._holds)

    @property
    def sync_fault(self) -> str:
        """The last error of group fsync, "" = none: what a power loss may take is then more than one interval."""
        return self._sync.fault if self._sync is not None else ""

    def carry(self) -> Carry:
        """The holds open now, as a new segment would begin."""
        return self._live.carry()

    def close(self) -> bool:
        """Flushes, closes the segment, lets the next writer in. False: not all was written; it is kept, try again."""
        if self._fd < 0:
            return True
        if not self.flush():
            return False
        self._end_segment()
        self._fd = -1
        if self._sync is not None:
            self._sync.stop()
        self._next.discard()
        self._lock.release()
        return True


def _write_all(fd: int, data: bytearray, offset: int) -> None:
    """One pwrite; more only where the kernel took a part. Raises OSError."""
    done = _pwrite(fd, data, offset)
    while done < len(data):
        more = _pwrite(fd, bytes(data[done:]), offset + done)
        if more == 0:
            raise OSError(28, "No space left on device")
        done += more
