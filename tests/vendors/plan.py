"""The order in which a stream says an answer, in no protocol's words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.vendors.answers import Answer

Kind = Literal["think", "sign", "text", "call", "args", "error"]


@dataclass(frozen=True)
class Step:
    """`call` opens a tool call, `args` is a piece of its arguments (`at`: which call); `sign` follows the thoughts;
    `error` is a failure, and the last step."""

    kind: Kind
    text: str = ""
    at: int = 0


def plan(
    said: Answer, pieces: Iterator[str] | None = None, error_after: int | None = None, *, mix: bool = False
) -> Iterator[Step]:
    """The steps of one choice. `pieces`: other text; `error_after`: a failure after so many pieces of text and
    arguments, or behind the last of them; `mix`: fragments of two calls may take turns."""
    for word in said.thoughts:
        yield Step("think", word)
    if said.reasoning:
        yield Step("sign")
    count = 0
    for step in _content(said, pieces, mix and said.interleave):
        if error_after is not None and step.kind != "call" and count >= error_after:
            break
        count += step.kind != "call"
        yield step
    if error_after is not None:
        yield Step("error")


def _content(said: Answer, pieces: Iterator[str] | None, mix: bool) -> Iterator[Step]:
    for piece in said.pieces if pieces is None else pieces:
        yield Step("text", piece)
    if mix:
        yield from (Step("call", at=at) for at, _ in enumerate(said.calls))
        for row in range(max((len(call.fragments) for call in said.calls), default=0)):
            for at, call in enumerate(said.calls):
                if row < len(call.fragments):
                    yield Step("args", call.fragments[row], at)
        return
    for at, call in enumerate(said.calls):
        yield Step("call", at=at)
        for fragment in call.fragments:
            yield Step("args", fragment, at)
