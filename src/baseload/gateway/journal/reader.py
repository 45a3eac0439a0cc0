"""Reads a journal from a position, also while it is being written. Stateless: every call opens what it needs.

In:     a directory of segments, of which the last may be growing.
Out:    entries with their positions, and where to go on. Damage is reported as `Torn` and passed over, never raised.

Only the last segment can grow. At its end an unfinished or bad frame means "wait". A segment that has a follower was
written to its end before the follower got its name, so a bad frame in it is damage: what can be read after it is read.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from baseload.gateway.journal.entries import AnyEntry, Carry
from baseload.gateway.journal.live import Live
from baseload.gateway.journal.segment import (
    CLOSED,
    DAMAGED,
    DATA_AT,
    END,
    ENTRY,
    FRAME_HEAD,
    FRAME_MAX,
    HEADER,
    MAGIC,
    SHORT,
    Frame,
    Position,
    Torn,
    decode_entry,
    file_name,
    frame_at,
    unpack_head,
    written_length,
)

__all__ = ["Position", "Report", "Torn", "end_position", "live_at_end", "read_from", "read_to_end", "segments"]

Report = Callable[[Torn], None]
Found = list[tuple[Position, AnyEntry]]
# How reading a segment ended: enough entries | more may come | close marker | finished without one (a crash, or damage)
Ending = Literal["limit", "wait", "closed", "cut"]

BLOCK_MIN, BLOCK_MAX = 2**16, 2**22
ENTRY_BYTES_GUESS = 320  # a reading; decides how much is read for `limit` entries, not what is returned
CHUNK = 20_000  # entries held at once by those who read a whole segment

_log = logging.getLogger("baseload.journal")
_crc = zlib.crc32


def log_torn(torn: Torn) -> None:
    """The default `report`."""
    _log.error("journal segment %d, byte %d: %s (%d bytes lost)", torn.segment, torn.offset, torn.why, torn.lost)


def silent(torn: Torn) -> None:
    """A `report` for those who only look."""


def segments(directory: Path) -> list[int]:
    """Numbers of the segments there are, ascending; [] where there is no such directory."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(
        int(name[:-4]) for name in names if len(name) == 14 and name.endswith(".seg") and name[:10].isdecimal()
    )


def read_from(
    directory: Path, position: Position | None, limit: int, report: Report = log_torn
) -> tuple[Found, Position]:
    """Up to `limit` entries from `position` on (None: from the oldest), each with its own position, and where to go on.

    Fewer than `limit` (also none) means: no more for now. `Carry` entries are returned too; they repeat open holds and
    account for nothing. `report` is told of each damage that is passed over.
    """
    found: Found = []
    if position is None:
        oldest = segments(directory)
        position = Position(oldest[0] if oldest else 1, 0)
    number, offset, finished = position.segment, position.offset, False
    while True:
        offset, ending = _read_segment(directory, number, offset, limit, finished, found, report)
        if ending == "limit":
            break
        known = segments(directory)
        later = [other for other in known if other > number]
        if not later:
            if number not in known and (known or position > Position(1, 0)):
                report(Torn(number, offset, -1, "the position is beyond the end of this journal"))
            break
        if not finished and ending == "wait":
            finished = (
                True  # its last bytes came before its follower's name: what was unfinished a moment ago is final now
            )
            continue
        if later[0] != number + 1:
            report(Torn(number + 1, 0, -1, f"segments {number + 1} to {later[0] - 1} are missing"))
        number, offset, finished = later[0], 0, len(later) > 1
    return found, Position(number, offset)


def _read_segment(
    directory: Path, number: int, offset: int, limit: int, finished: bool, found: Found, report: Report
) -> tuple[int, Ending]:
    """Adds entries of one segment to `found`; returns where to go on. `finished`: nothing will be added to it."""
    try:
        fd = os.open(directory / file_name(number), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return offset, "cut" if finished else "wait"
    try:
        if offset < DATA_AT:
            if os.pread(fd, DATA_AT, 0) != MAGIC:
                if finished:
                    report(Torn(number, 0, os.fstat(fd).st_size, "not a journal segment of this format"))
                return 0, "cut" if finished else "wait"
            offset = DATA_AT
        want = min(max((limit - len(found)) * ENTRY_BYTES_GUESS, BLOCK_MIN), BLOCK_MAX)
        while len(found) < limit:
            block = os.pread(fd, want, offset)
            at = _sound_entries(block, offset, number, limit, found)
            what = frame_at(block, at, offset)
            here = offset + at
            if what.state == HEADER:
                here = offset + what.end
            elif what.state == CLOSED:
                return here, "closed"
            elif what.state != ENTRY and not _goes_on(fd, here, what, at, len(block)):
                if not finished:
                    return here, "wait"
                if what.state == END and os.pread(fd, FRAME_HEAD, here).strip(b"\0"):
                    offset = here  # it was written after the block was read
                    continue
                here = _pass_damage(fd, number, here, what, at, report)
                if here < 0:
                    return -here, "cut"
            elif at == 0:
                want = max(want, what.end)  # a frame longer than the block
            offset = here
        return offset, "limit"
    finally:
        os.close(fd)


def _sound_entries(block: bytes, base: int, number: int, limit: int, found: Found) -> int:
    """The fast path: decodes sound entries until something else comes. Returns the index in `block` of what comes."""
    at, last, add, room = 0, len(block) - FRAME_HEAD, found.append, limit - len(found)
    view = memoryview(block)
    if base == DATA_AT:
        return 0  # the header
    try:
        while at <= last and room > 0:
            length, checksum = unpack_head(block, at)
            end = at + FRAME_HEAD + length
            payload = view[at + FRAME_HEAD : end]
            if not 0 < length <= FRAME_MAX or _crc(payload) != checksum:  # also where the block ends within the frame
                break
            add((Position(number, base + at), decode_entry(payload)))
            room -= 1
            at = end
    except Exception:  # whatever the decoder says of hostile bytes, `frame_at` looks again and calls it damage
        return at
    return at


def _goes_on(fd: int, here: int, what: Frame, at: int, block_size: int) -> bool:
    """Whether only the block ended here, and the file has what is missing."""
    left = os.fstat(fd).st_size - here
    if what.state == SHORT:
        return left >= max(what.end - at, FRAME_HEAD)
    return what.state == END and at == block_size and left > 0


def _pass_damage(fd: int, number: int, here: int, what: Frame, at: int, report: Report) -> int:
    """Offset of the sound frame after a damaged one; where there is none, minus the offset: the segment is over."""
    length = what.end - at
    if what.state == DAMAGED and length > 0:
        head = os.pread(fd, FRAME_HEAD, here + length)
        if len(head) == FRAME_HEAD:
            follower = frame_at(head, 0, here + length)
            if follower.state == SHORT and follower.end <= os.fstat(fd).st_size - here - length:
                follower = frame_at(os.pread(fd, follower.end, here + length), 0, here + length)
            if follower.state in (ENTRY, CLOSED):
                report(Torn(number, here, length, "a damaged entry"))
                return here + length
    size = os.fstat(fd).st_size
    lost = written_length(os.pread(fd, size - here, here)) if size > here else 0
    if lost:
        report(Torn(number, here, lost, "the rest of the segment cannot be read"))
    return -here


def read_to_end(
    directory: Path,
    number: int,
    each: Callable[[AnyEntry], object],
    report: Report = log_torn,
    first: list[AnyEntry] | None = None,
) -> tuple[int, bool]:
    """Gives every readable entry of a segment nobody writes to `each`. Returns its end and whether it was closed.

    `first` receives the first entry, which must be a `Carry` in a segment whose beginning is sound.
    """
    offset = 0
    while True:
        found: Found = []
        offset, ending = _read_segment(directory, number, offset, CHUNK, True, found, report)
        for _, entry in found:
            each(entry)
        if first is not None and not first:
            first += [entry for _, entry in found[:1]]
        if ending != "limit":
            return offset, ending == "closed"


def end_position(directory: Path, start: Position | None = None) -> Position | None:
    """Where the next entry will be, as far as the journal can be read now; None for an empty one.

    Reads the last segment (from `start`, where that lies in it): not for every tick.
    """
    known = segments(directory)
    if not known:
        return None
    position = start if start is not None and start.segment == known[-1] else Position(known[-1], 0)
    while True:
        found, position = read_from(directory, position, CHUNK, silent)
        if len(found) < CHUNK:
            return position


def live_at_end(directory: Path, report: Report = silent) -> Live:
    """The holds open at the end of a journal nobody writes. Reads the last segment, more if its start is lost."""
    live = Live()
    known = segments(directory)
    for start in reversed(known):
        first: Found = []
        _read_segment(directory, start, 0, 1, True, first, silent)
        if (first and isinstance(first[0][1], Carry)) or start == known[0]:
            for number in known[known.index(start) :]:
                read_to_end(directory, number, live.apply, report)
            break
    return live
