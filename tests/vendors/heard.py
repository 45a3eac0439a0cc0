"""What a simulated model hears: a conversation in no protocol's words. Each `speak/` module fills it from its body.

Not the gateway's canonical form, and on purpose: the simulators are written from the vendors' documents alone.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Media:
    """An image, document or sound: `size` bytes of `mime`, or `url`."""

    kind: str
    mime: str = ""
    size: int = 0
    url: str = ""

    @property
    def words(self) -> str:
        """How the model speaks of it."""
        return f"{self.kind} {self.url}" if self.url else f"{self.kind} {self.mime} of {self.size} bytes"


@dataclass(frozen=True)
class Tool:
    name: str
    schema: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    text: str
    error: bool = False


@dataclass
class Heard:
    """The last turn is everything behind the last word of the assistant."""

    model: str = ""
    texts: list[str] = field(default_factory=list)  # of all turns, in order
    turns: int = 0
    last: list[str] = field(default_factory=list)  # texts of the last turn
    results: list[Result] = field(default_factory=list)  # of the last turn, in order
    media: list[Media] = field(default_factory=list)  # of the last turn
    media_count: int = 0  # of all turns
    calls: int = 0  # tool calls of earlier turns
    tools: list[Tool] = field(default_factory=list)
    choice: str = "auto"  # auto | none | required | =NAME
    parallel: bool = True
    schema: dict[str, Any] | None = None
    json_only: bool = False
    think: bool = False
    show: bool = True  # thinking text is wanted in the reply
    stop: tuple[str, ...] = ()
    limit: int | None = None
    n: int = 1
    marks: list[str] = field(default_factory=list)  # lifetimes of cache marks
    logprobs: bool = False

    def turn(self, role: str) -> None:
        """A turn of `role` begins."""
        self.turns += 1
        if role in ("assistant", "model"):
            self.last, self.results, self.media = [], [], []

    def say(self, text: str, role: str = "user") -> None:
        """A text of the turn."""
        self.texts.append(text)
        if role not in ("system", "developer", "assistant", "model") and text:
            self.last.append(text)

    def see(self, media: Media) -> None:
        self.media.append(media)
        self.media_count += 1

    def result(self, text: str, error: bool = False) -> None:
        self.texts.append(text)
        self.results.append(Result(text, error))


def as_bytes(data: str) -> int:
    """How many bytes a base64 text is; -1 where it is none."""
    try:
        return len(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return -1


def by_data_url(kind: str, url: str) -> Media:
    """Media given by a data: URL or another URL."""
    if not url.startswith("data:"):
        return Media(kind, url=url)
    head, _, data = url[5:].partition(",")
    return Media(kind, head.partition(";")[0], as_bytes(data))


def text_of(value: Any) -> str:
    """A tool's result as words: text as it is, an object of one text member as that text, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        (only,) = value.values()
        return text_of(only)
    return json.dumps(value, ensure_ascii=False)


def words_of(stop: Any) -> tuple[str, ...]:
    """`stop` of a request: a text, a list, or nothing."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def names(text: str) -> frozenset[str]:
    """The words of a text, as a set of names."""
    return frozenset(text.split())
