"""Deletes segments that nobody needs any more."""

from __future__ import annotations

from pathlib import Path

from baseload.gateway.journal.reader import Position, segments
from baseload.gateway.journal.segment import file_name


def prune(directory: Path, upto: Position, keep_s: float, now_s: float) -> list[int]:
    """Deletes closed segments wholly before the settled position `upto` and last written more than `keep_s` ago.

    `now_s`: wall clock, seconds since the epoch. Returns the numbers deleted; the oldest goes first, so that a kill in
    between leaves no gap. The last segment always stays: the next number and the open holds come from it.
    """
    deleted: list[int] = []
    for number in segments(directory)[:-1]:
        path = directory / file_name(number)
        if number >= upto.segment or path.stat().st_mtime > now_s - keep_s:
            break
        path.unlink()
        for kept in directory.glob(f"{path.stem}.*.cut"):
            kept.unlink()
        deleted.append(number)
    return deleted
