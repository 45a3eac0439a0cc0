"""The usage reports of one stream: that of `message_start`, and the cumulative ones of `message_delta`.

In:     raw usage objects as they come. Out: the list that `wire.usage.normalise` merges, oldest first.
Holds:  the first and at most three more: beyond that the two oldest deltas become one, per field the later.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.raw import FAILED, NULL

_REPORTS_MAX = 3
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


class Reports:
    __slots__ = ("_later", "_start")

    def __init__(self) -> None:
        self._start = b""
        self._later: list[bytes] = []

    def start(self, raw: bytes) -> None:
        """The report of message_start; only the first counts."""
        self._start = self._start or raw

    def add(self, raw: bytes) -> None:
        if not self._later or raw != self._later[-1]:
            self._later.append(raw)
        if len(self._later) > _REPORTS_MAX:
            self._later[:2] = [_merged(self._later[0], self._later[1])]

    @property
    def all(self) -> list[bytes]:
        """Oldest first. message_start's `output_tokens` is left out: it is a placeholder (usage_vectors.json, u052)."""
        if not self._start:
            return list(self._later)
        try:
            start = _members(self._start)
        except FAILED:
            return [self._start, *self._later]
        start.pop("output_tokens", None)
        return [_encode(start), *self._later]


def _merged(old: bytes, new: bytes) -> bytes:
    """One report of two, per field the later that says something."""
    try:
        members = _members(old)
        members.update({name: value for name, value in _members(new).items() if value != NULL})
    except FAILED:
        return new
    return _encode(members)
