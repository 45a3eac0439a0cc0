"""One request at a simulated vendor and what is made of it: what every `speak/` module takes and returns."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.vendors.answers import Answer, respond
from tests.vendors.dialects import KEEP, Dialect
from tests.vendors.failures_shapes import Failure, dump
from tests.vendors.faults import Fault
from tests.vendors.heard import Heard
from tests.vendors.plan import Step, plan

FLOOD_TEXT = "x" * 65_536
JSON, SSE = "application/json", "text/event-stream; charset=utf-8"


def frame(value: object, newline: bytes = b"\n") -> bytes:
    """One SSE event without a name."""
    return b"data: " + dump(value) + newline * 2


def event(name: str, value: object) -> bytes:
    """One SSE event with its name."""
    return b"event: " + name.encode() + b"\ndata: " + dump(value) + b"\n\n"


class Refused(Exception):
    """The vendor refuses the request."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


@dataclass(frozen=True)
class Made:
    """A reply: content type and the parts of its body, one a frame."""

    kind: str
    parts: Iterator[bytes]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def whole(value: object, status: int = 200, *headers: tuple[str, str]) -> Made:
    return Made(JSON, iter((dump(value),)), status, headers)


@dataclass
class State:
    """What a vendor remembers between requests."""

    responses: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> {"reply": ..., "items": [...]}
    tokens: dict[str, float] = field(default_factory=dict)  # issued bearer tokens -> time.monotonic() of their end
    token_life_s: float = 3600.0
    reasoning_back: bool = False  # chat: assistant turns with tool calls need their reasoning_content
    models: tuple[str, ...] = ("m",)

    def valid(self, token: str) -> bool:
        return self.tokens.get(token, 0.0) > time.monotonic()


@dataclass
class Visit:
    dialect: Dialect
    state: State
    fault: Fault
    number: int  # of the request, from 1
    endpoint: str
    method: str
    path: str  # without the query, percent-decoded
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes  # the body
    found: dict[str, str]  # names of the route in the path
    body: dict[str, Any] = field(default_factory=dict)

    def said(self, heard: Heard) -> Answer:
        """The answer, as the fault wants it."""
        fault = self.fault
        said = respond(heard, fault.words)
        if fault.finish:
            said = dataclasses.replace(said, finish=fault.finish)
        if fault.failure == "filtered":
            said = dataclasses.replace(said, refused=True, finish="content_filter", calls=(), narrated=True)
        if fault.word_bytes:
            said = dataclasses.replace(said, words=tuple(word.ljust(fault.word_bytes, "z") for word in said.words))
        return said

    def steps(self, said: Answer, *, mix: bool = False) -> Iterator[Step]:
        return plan(said, self.flood(), self.fault.error_after, mix=mix)

    def flood(self) -> Iterator[str] | None:
        if not self.fault.flood_bytes:
            return None
        return (FLOOD_TEXT for _ in range(self.fault.flood_bytes // len(FLOOD_TEXT)))

    def report(self, usage: Any) -> Any:
        """The usage to report; None: none at all."""
        return usage if self.fault.usage is KEEP else self.fault.usage

    @property
    def beats(self) -> int:
        """Keep-alives before the first frame."""
        return self.dialect.comments if self.fault.beats is None else self.fault.beats
