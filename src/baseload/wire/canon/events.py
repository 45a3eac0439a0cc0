"""A reply in no protocol's words: as events while it streams, and whole.

The order a `StreamIn` keeps, for each choice: `Started` once and first; a block is opened, gets its deltas, is closed;
`Finished` once a choice, after its blocks are closed; `Counted` any time, the last one counts; `Ended` once and last.
Blocks of one choice may overlap only where the provider's do (chat's tool calls): a writer that needs them one after
another asks `sequence.py`. `Beat` may come anywhere and says that the provider lives.
A failure inside a stream is no event: the meter finds it and the call ends the stream with `StreamOut.fail`.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.canon.request import AnyPart
from baseload.wire.raw import ABSENT

FINISHES = ("stop", "length", "tool", "filter", "stop_sequence", "context", "pause", "error")
"""Why a choice ended. tool: it waits for tool results. context: the window is full. pause: the provider wants to be
called again (Anthropic's pause_turn). error: it failed in generating (MALFORMED_FUNCTION_CALL, ...)."""


class Event(msgspec.Struct, gc=False, kw_only=True):
    pass


class Started(Event, gc=False, kw_only=True):
    id: str = ""  # the provider's id of the reply
    model: str = ""  # as the provider names it


class Opened(Event, gc=False, kw_only=True):
    """A block begins. `block` numbers grow by one within a choice, from 0."""

    choice: int = 0
    block: int
    kind: str  # "text" | "thinking" | "tool" | "refusal" | "media"
    id: str = ""  # tool: the call's id; thinking: a Responses item's own id
    name: str = ""  # tool; of media the MIME type ("image/png"), or only its kind ("audio") where no type is said
    url: str = ""  # media: where it is, instead of data
    custom: bool = False  # tool: arguments are free text
    redacted: bool = False  # thinking: the signature is a redacted block's data
    summary: bool = False  # thinking: a summary


class Delta(Event, gc=False, kw_only=True):
    """Text of a block; for a tool a piece of its arguments; for media base64 data."""

    choice: int = 0
    block: int
    text: str
    logprobs: Raw = ABSENT  # chat's `logprobs.content` array for this piece


class Signed(Event, gc=False, kw_only=True):
    """The signature (or redacted data, or encrypted content) of a thinking block, whole."""

    choice: int = 0
    block: int
    signature: str


class Cited(Event, gc=False, kw_only=True):
    choice: int = 0
    block: int
    protocol: str
    raw: Raw


class Closed(Event, gc=False, kw_only=True):
    choice: int = 0
    block: int


class Finished(Event, gc=False, kw_only=True):
    choice: int = 0
    reason: str  # of FINISHES
    stop_sequence: str = ""  # the one that matched, where the provider says it
    native: str = ""  # the provider's own word
    detail: Raw = ABSENT  # Anthropic's stop_details


class Counted(Event, gc=False, kw_only=True):
    """Usage so far: disjoint meters of `wire.usage` (inclusive or exclusive is each writer's own matter)."""

    meters: dict[str, int]
    tier: str = ""


class Beat(Event, gc=False, kw_only=True):
    pass


class Ended(Event, gc=False, kw_only=True):
    pass


AnyEvent = Started | Opened | Delta | Signed | Cited | Closed | Finished | Counted | Beat | Ended


class Answer(msgspec.Struct, gc=False, kw_only=True):
    """One choice of a whole reply."""

    parts: list[AnyPart]  # Text, Thinking, ToolCall, Refused, Media, Opaque
    reason: str = "stop"
    stop_sequence: str = ""
    native: str = ""
    detail: Raw = ABSENT
    logprobs: Raw = ABSENT  # chat's `logprobs.content`


class Reply(msgspec.Struct, gc=False, kw_only=True):
    """A whole reply. `meters` is None where the provider reported no usage."""

    id: str = ""
    model: str = ""
    answers: list[Answer] = []
    meters: dict[str, int] | None = None
    tier: str = ""
