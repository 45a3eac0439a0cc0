"""Journals of gateways elsewhere: their bytes are written here as they come, and acknowledged when they are on disk.

In:     pieces of segments, each with its offset. Out: segments in HOME/journal/NAME, as the gateway's own reader sees
        them; how far each goes. Settlement reads them like any other.
A piece that was written before is not written again; a gap is refused, with the offset that is wanted.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec

from baseload.errors import Refusal
from baseload.gateway.journal.reader import segments
from baseload.gateway.journal.segment import file_name

_MARK = "identity"


class Shipped(msgspec.Struct, array_like=True):
    """How far a journal is here: its last segment and that one's length."""

    segment: int
    offset: int


class Shipments:
    """One writer a journal; requests of one gateway come one after another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def reached(self, name: str, mark: str) -> Shipped:
        """Where to go on. Raises Refusal where another journal of that name is here."""
        directory = self._directory(name, mark)
        known = segments(directory)
        if not known:
            return Shipped(0, 0)
        return Shipped(known[-1], (directory / file_name(known[-1])).stat().st_size)

    def write(self, name: str, mark: str, segment: int, offset: int, data: bytes) -> Shipped:
        """A piece. On disk when this returns. Raises Refusal for a gap."""
        with self._lock:
            here = self.reached(name, mark)
            directory = self._folder / name
            length = here.offset if segment == here.segment else 0
            if segment < here.segment or (segment == here.segment and offset + len(data) <= length):
                return here
            fresh = segment > here.segment
            if (fresh and offset) or (not fresh and offset > length) or (here.segment and segment > here.segment + 1):
                raise Refusal(f"A piece is missing: {here.segment}:{here.offset} is wanted.", code="journal_gap",
                              status=409)  # fmt: skip
            path = directory / file_name(segment)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(data)[length - offset :] if not fresh else memoryview(data)
                at = length
                while view:
                    done = os.pwrite(handle, view, at)
                    at, view = at + done, view[done:]
                os.fsync(handle)
            finally:
                os.close(handle)
            return Shipped(segment, at)

    def _directory(self, name: str, mark: str) -> Path:
        if not mark.isalnum():
            raise Refusal("A journal needs its mark.", code="journal_mark")
        directory = self._folder / name
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / _MARK
        if not path.exists():
            path.write_text(mark + "\n")
        if path.read_text().strip() != mark:
            raise Refusal(
                f"Another journal of gateway {name} is here: was its home replaced?",
                "Retire it and invite it anew under another name.", code="journal_other", status=409,
            )  # fmt: skip
        return directory
