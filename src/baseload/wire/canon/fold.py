"""Events -> one whole reply, and back: for a client that wants the whole where the provider streams, and the reverse.

In:     canonical events in the order of a `StreamIn` (blocks may overlap), or a `Reply`.
Out:    `Reply`, or events. `fold(unfold(reply)) == reply`, but for parts that no event describes (see `unfold`).
Holds:  the reply, at most `cap` characters (each piece counted with PIECE_COST); beyond it `ProviderFault("garbage")`.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon.events import (
    Answer,
    AnyEvent,
    Cited,
    Closed,
    Counted,
    Delta,
    Ended,
    Finished,
    Opened,
    Reply,
    Signed,
    Started,
)
from baseload.wire.canon.request import AnyPart, Media, Refused, Text, Thinking, ToolCall
from baseload.wire.raw import ABSENT, NULL

REPLY_MAX = 64 * 2**20
PIECE_COST = 64
CHOICES_MAX = 1024

_MEDIA = ("image", "audio", "video")


class Folder:
    """Collects events into a reply. `reply` may be asked at any time: it is what came so far."""

    __slots__ = ("_answers", "_cap", "_held", "_reply")

    def __init__(self, cap: int = REPLY_MAX) -> None:
        self._cap = cap
        self._held = 0
        self._reply = Reply()
        self._answers: dict[int, _Answer] = {}

    def put(self, events: Iterable[AnyEvent]) -> None:
        for event in events:
            if isinstance(event, Delta):
                self._hold(len(event.text) + len(event.logprobs))
                answer = self._answer(event.choice)
                answer.block(event.block).pieces.append(event.text)
                if event.logprobs not in (ABSENT, NULL):
                    answer.logprobs.append(event.logprobs)
            elif isinstance(event, Opened):
                self._hold(len(event.id) + len(event.name) + len(event.url))
                self._answer(event.choice).open(event)
            elif isinstance(event, Signed):
                self._hold(len(event.signature))
                self._answer(event.choice).block(event.block).signature = event.signature
            elif isinstance(event, Cited):
                self._hold(len(event.raw))
                self._answer(event.choice).block(event.block).cited.append(event)
            elif isinstance(event, Finished):
                self._hold(len(event.detail))
                self._answer(event.choice).finished = event
            elif isinstance(event, Counted):
                self._reply.meters = event.meters
                self._reply.tier = event.tier
            elif isinstance(event, Started):
                self._hold(len(event.id) + len(event.model))
                self._reply.id, self._reply.model = event.id, event.model

    def reply(self) -> Reply:
        reply = self._reply
        last = max(self._answers, default=-1)
        answers = [self._answers[at].answer() if at in self._answers else _missing() for at in range(last + 1)]
        return Reply(id=reply.id, model=reply.model, answers=answers, meters=reply.meters, tier=reply.tier)

    def _answer(self, number: int) -> _Answer:
        try:
            return self._answers[number]
        except KeyError:
            if not 0 <= number < CHOICES_MAX:
                raise _garbage(f"it has a choice number {number}") from None
            self._answers[number] = answer = _Answer()
            return answer

    def _hold(self, size: int) -> None:
        self._held += size + PIECE_COST
        if self._held > self._cap:
            raise _garbage(f"it is larger than {self._cap} characters")


def fold(events: Iterable[AnyEvent], cap: int = REPLY_MAX) -> Reply:
    """The whole reply of a stream's events."""
    folder = Folder(cap)
    folder.put(events)
    return folder.reply()


def unfold(reply: Reply) -> list[AnyEvent]:
    """Started, each answer's blocks one after another and its Finished, Counted, Ended.

    What a stream has no event for is left out: `Opaque` parts, and a medium that is neither data nor a URL.
    """
    events: list[AnyEvent] = [Started(id=reply.id, model=reply.model)]
    for choice, answer in enumerate(reply.answers):
        events += _blocks(choice, answer)
        events.append(
            Finished(
                choice=choice,
                reason=answer.reason,
                stop_sequence=answer.stop_sequence,
                native=answer.native,
                detail=answer.detail,
            )
        )
    if reply.meters is not None:
        events.append(Counted(meters=reply.meters, tier=reply.tier))
    events.append(Ended())
    return events


class _Block:
    __slots__ = ("cited", "opened", "pieces", "signature")

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.pieces: list[str] = []
        self.signature = ""
        self.cited: list[Cited] = []

    def part(self) -> AnyPart:
        opened, text = self.opened, "".join(self.pieces)
        if opened.kind == "tool":
            kind = "custom" if opened.custom else "function"
            return ToolCall(id=opened.id, name=opened.name, arguments=text, kind=kind)
        if opened.kind == "thinking":
            return Thinking(
                text=text, signature=self.signature, redacted=opened.redacted, summary=opened.summary, id=opened.id
            )
        if opened.kind == "refusal":
            return Refused(text=text)
        if opened.kind == "media":
            first, slash, _ = opened.name.partition("/")
            kind = first if first in _MEDIA else "document"
            return Media(kind=kind, mime=opened.name if slash else "", data=text, url=opened.url)
        cited = self.cited
        return Text(
            text=text,
            citations=tuple(event.raw for event in cited),
            citations_of=cited[-1].protocol if cited else "",
        )


class _Answer:
    __slots__ = ("_blocks", "finished", "logprobs")

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self.logprobs: list[Raw] = []
        self.finished: Finished | None = None

    def open(self, event: Opened) -> None:
        if event.block in self._blocks:
            raise _garbage(f"block {event.block} opened twice")
        self._blocks[event.block] = _Block(event)

    def block(self, number: int) -> _Block:
        try:
            return self._blocks[number]
        except KeyError:
            raise _garbage(f"block {number} was never opened") from None

    def answer(self) -> Answer:
        answer = Answer(
            parts=[self._blocks[number].part() for number in sorted(self._blocks)], logprobs=_joined(self.logprobs)
        )
        if self.finished is not None:
            answer.reason = self.finished.reason
            answer.stop_sequence = self.finished.stop_sequence
            answer.native = self.finished.native
            answer.detail = self.finished.detail
        return answer


def _missing() -> Answer:
    """A choice that a provider counted over: nothing came of it."""
    return Answer(parts=[], reason="error")


def _joined(arrays: list[Raw]) -> Raw:
    """JSON arrays, one after another, as one."""
    if len(arrays) < 2:
        return arrays[0] if arrays else ABSENT
    inner = (bytes(array).strip()[1:-1].strip() for array in arrays)
    return Raw(b"[" + b",".join(filter(None, inner)) + b"]")


def _blocks(choice: int, answer: Answer) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    block = 0
    logprobs = ABSENT if answer.logprobs == NULL else answer.logprobs
    for part in answer.parts:
        opened = _opened(part)
        if opened is None:
            continue
        opened.choice, opened.block = choice, block
        events.append(opened)
        text = _text(part)
        if text or logprobs != ABSENT:
            events.append(Delta(choice=choice, block=block, text=text, logprobs=logprobs))
            logprobs = ABSENT  # the array is of the answer, not of a block: it goes with the first piece
        if isinstance(part, Thinking) and part.signature:
            events.append(Signed(choice=choice, block=block, signature=part.signature))
        if isinstance(part, Text):
            events += [Cited(choice=choice, block=block, protocol=part.citations_of, raw=raw) for raw in part.citations]
        events.append(Closed(choice=choice, block=block))
        block += 1
    return events


def _opened(part: AnyPart) -> Opened | None:
    """The event that begins a part; None where a stream has none for it."""
    if isinstance(part, Text):
        return Opened(block=0, kind="text")
    if isinstance(part, ToolCall):
        return Opened(block=0, kind="tool", id=part.id, name=part.name, custom=part.kind == "custom")
    if isinstance(part, Thinking):
        return Opened(block=0, kind="thinking", id=part.id, redacted=part.redacted, summary=part.summary)
    if isinstance(part, Refused):
        return Opened(block=0, kind="refusal")
    if isinstance(part, Media) and (part.data or part.url):
        return Opened(block=0, kind="media", name=part.mime or part.kind, url=part.url)
    return None


def _text(part: AnyPart) -> str:
    if isinstance(part, Text | Thinking | Refused):
        return part.text
    if isinstance(part, ToolCall):
        return part.arguments
    return part.data if isinstance(part, Media) else ""


def _garbage(say: str) -> ProviderFault:
    return ProviderFault("garbage", f"The provider's reply cannot be put together: {say}.")
