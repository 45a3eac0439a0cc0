"""Entries to write, ways to read them back, and a fuse that kills a writer between any two bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from baseload.gateway.journal import space, writer
from baseload.gateway.journal.entries import AnyEntry, Carry, Hold, Progress, Reading, Refused
from baseload.gateway.journal.reader import Position, Torn, read_from
from baseload.gateway.journal.segment import file_name
from baseload.gateway.journal.writer import JournalWriter

NOW_NS = 1_763_000_000_000_000_000
SMALL = 4096  # bytes a segment: about 25 entries


def hold(call: object, attempt: int = 1, **changed: Any) -> Hold:
    values: dict[str, Any] = {
        "call": str(call), "attempt": attempt, "account": 3, "key": 4, "offer": 5, "cost_price": 6, "charge_price": 0,
        "tariff": 2, "model": "small", "endpoint": "chat", "stream": True, "hold_nano": 123_456_789, "currency": "USD",
        "request_bytes": 400, "accepted_ns": NOW_NS, "expires_ns": NOW_NS + 300 * 10**9, "snapshot": 17,
    }  # fmt: skip
    return Hold(**(values | changed))


def progress(call: object, frames: int, text_bytes: int, attempt: int = 1) -> Progress:
    return Progress(str(call), attempt, NOW_NS + 10**9, frames, text_bytes)


def reading(call: object, attempt: int = 1, **changed: Any) -> Reading:
    values: dict[str, Any] = {
        "call": str(call), "attempt": attempt, "account": 3, "key": 4, "offer": 5, "cost_price": 6, "charge_price": 0,
        "tariff": 2, "model": "small", "endpoint": "chat", "stream": True, "outcome": "ok", "status": 200, "fault": "",
        "meters": {"input_uncached": 13, "output_total": 12}, "input_provenance": "reported",
        "output_provenance": "reported",
        "flags": (), "select": {}, "reported_cost": "", "raw_usage": b'{"prompt_tokens":13,"completion_tokens":12}',
        "delivered_output": -1, "accepted_ns": NOW_NS, "sent_ns": NOW_NS + 1, "first_ns": NOW_NS + 2,
        "end_ns": NOW_NS + 3, "request_bytes": 400, "reply_bytes": 900, "upstream_id": "req-1",
        "upstream_model": "small-1", "currency": "USD", "hold_nano": 123_456_789, "snapshot": 17, "seen": b"seen",
    }  # fmt: skip
    return Reading(**(values | changed))


def refused(call: object) -> Refused:
    return Refused(str(call), 0, 0, "", "chat", "invalid_api_key", 401, NOW_NS, NOW_NS + 5)


def read_all(directory: Path, limit: int = 7, torn: list[Torn] | None = None) -> list[AnyEntry]:
    """Every entry but carries, in order, as a settlement that takes `limit` at a time sees them."""
    position, entries, positions = None, [], []
    while True:
        found, position = read_from(directory, position, limit, [].append if torn is None else torn.append)
        positions += [place for place, _ in found]
        entries += [entry for _, entry in found]
        if len(found) < limit:
            break
    assert positions == sorted(set(positions)), "positions must be unique and ordered: they are the settlement key"
    return [entry for entry in entries if not isinstance(entry, Carry)]


def segment_path(directory: Path, number: int) -> Path:
    return directory / file_name(number)


def kill(victim: JournalWriter) -> None:
    """What the kernel does for a killed process: closes its descriptors, thereby drops its lock. Nothing else."""
    if victim._fd >= 0:
        os.close(victim._fd)
    if victim._next.fd >= 0:
        os.close(victim._next.fd)
    victim._lock.release()
    if victim._sync is not None:
        victim._sync.retire(os.open(os.devnull, os.O_RDONLY))
        victim._sync._fd = -1
        victim._sync.stop()


class Killed(BaseException):
    """The process is gone at this byte."""


class Fuse:
    """Counts every byte written and every rename, truncation; burns at `left` = 0. `left` = None: never."""

    def __init__(self, monkeypatch: Any) -> None:
        self.left: int | None = None
        self._pwrite, self._rename, self._truncate = os.pwrite, os.rename, os.ftruncate
        monkeypatch.setattr(writer, "_pwrite", self.pwrite)
        monkeypatch.setattr(writer.os, "pwrite", self.pwrite)
        monkeypatch.setattr(space.os, "rename", self.rename)
        monkeypatch.setattr(writer.os, "ftruncate", self.truncate)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        if self.left is None:
            return self._pwrite(fd, data, offset)
        part = bytes(data)[: self.left]
        done = self._pwrite(fd, part, offset) if part else 0
        self.left -= done
        if done < len(data):
            raise Killed
        return done

    def rename(self, *names: Path) -> None:
        self._step()
        self._rename(*names)

    def truncate(self, fd: int, length: int) -> None:
        self._step()
        self._truncate(fd, length)

    def _step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1


START = Position(1, 0)
