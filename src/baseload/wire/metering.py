"""What every protocol's readers of replies have in common: the gateway meters by these names and knows no protocol.

In:     nothing. Out: the shape of a stream's meter, and the facts of a whole reply.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Meter(Protocol):
    """Reads a reply stream along. `feed` returns whole frames only, to forward or to translate; see `chat/meter.py`."""

    usage: bytes  # the last report, byte for byte; b"" = none came
    done: bool  # the protocol's own end came: [DONE], message_stop, a terminal event
    finished: bool  # a finish reason came
    finish: str  # the last one, in the provider's words
    error: bytes  # the error inside this 200 stream as raw JSON: what stands at `error`, or the whole flat object
    frames: int  # frames that carried generated text
    text_bytes: int  # UTF-8 bytes of that text
    first_token: bool
    upstream_model: str
    tier: str
    malformed: int

    @property
    def usages(self) -> list[bytes]:
        """Reports for `usage.normalise`, oldest first."""

    def feed(self, piece: bytes) -> bytes:
        """What to forward now. Raises `ProviderFault("garbage")` when a frame exceeds the cap."""

    def close(self) -> bytes:
        """The end of the body: the unfinished rest."""


ERROR_MAX = 64 * 1024
"""Bytes kept of an error inside a stream."""


class Metered:
    """What every meter counts, as it is before anything came. What the words mean in a protocol, its meter says."""

    __slots__ = (
        "done",
        "error",
        "finish",
        "finished",
        "first_token",
        "frames",
        "malformed",
        "text_bytes",
        "tier",
        "upstream_model",
        "usage",
    )

    def __init__(self) -> None:
        self.usage = b""
        self.done = False
        self.finished = False
        self.finish = ""
        self.error = b""
        self.frames = 0
        self.text_bytes = 0
        self.first_token = False  # comments, pings, role chunks and blank lines are none
        self.upstream_model = ""
        self.tier = ""
        self.malformed = 0

    def _fail(self, error: bytes) -> None:
        """Keeps an error: the first is the cause."""
        if not self.error:
            self.error = error[:ERROR_MAX]


class Facts(msgspec.Struct, gc=False):
    """What a whole reply says about itself."""

    usage: bytes = b""  # the provider's object, byte for byte; b"" = none
    usages: list[bytes] = []  # the same for `usage.normalise`, with llama.cpp's timings where they stand beside it
    model: str = ""
    service_tier: str = ""
    id: str = ""
    error: bytes = b""  # an error in a 200 body: the `error` value, the `base_resp`, or the whole flat object
    finish_reasons: tuple[str, ...] = ()
    text_bytes: int = 0  # about the bytes of generated text; only where usage is missing and must be counted
    malformed: bool = False  # not a JSON object
    units: dict[str, int] = {}  # own units counted in the reply, where it reports no usage: {"images": 2}
