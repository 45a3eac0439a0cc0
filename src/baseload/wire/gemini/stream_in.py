"""A generateContent stream of a provider -> canonical events.

In:     frames, or bytes cut anywhere, then `close()`.
Out:    events in the order of `canon/events.py`. A frame that is no JSON raises `ProviderFault("garbage")`.

Pieces of one kind in a row are one block. A function call comes whole, or in `partialArgs`: then its block is open
while they come and its arguments are one piece at the end. A signature on anything but a thought is a thinking block of
its own, without text, before the block that it belongs to.
`Finished` waits for the end of the body: some endpoints repeat a finishReason on every object. Usage goes out with the
first object that has it and again at the end. A body that ends without a finish, or after an error, ends without
`Ended`: it broke off.
Holds:  nothing but the open block's kind, and arguments that come in pieces.
"""

from __future__ import annotations

from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import (
    AnyEvent,
    Beat,
    Cited,
    Closed,
    Counted,
    Delta,
    Ended,
    Finished,
    Opened,
    Signed,
    Started,
)
from baseload.wire.gemini import logprobs
from baseload.wire.gemini.finish import reason_of
from baseload.wire.gemini.frames import Cutter
from baseload.wire.gemini.media import standard
from baseload.wire.gemini.meter import CANDIDATES_MAX
from baseload.wire.gemini.partial import PartialArguments
from baseload.wire.gemini.shapes import (
    Call,
    Candidate,
    Chunk,
    Part,
    citations_of,
    decode_chunk,
    is_error,
    objects_in,
    payload_of,
)
from baseload.wire.raw import ABSENT, FAILED, NULL
from baseload.wire.usage import normalise

_BRACE = 0x7B


class StreamIn:
    """See the module. `feed` and `close` return events."""

    __slots__ = ("_blocked", "_choices", "_counted", "_cutter", "_failed", "_first", "_last", "_started", "_target")

    def __init__(self, target: Target) -> None:
        self._target = target
        self._cutter = Cutter()
        self._choices: dict[int, _Choice] = {}
        self._started = False
        self._failed = False  # an error came: nothing is told after it
        self._blocked = ""
        self._first = b""  # usage report
        self._last = ABSENT
        self._counted = b""

    def feed(self, piece: bytes) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for frame in self._cutter.feed(piece):
            self._frame(frame, events)
        return events

    def close(self, *, whole: bool = False) -> list[AnyEvent]:
        """The end of the body. `whole`: it was a reply that is no stream, so what has no finishReason is done too."""
        events: list[AnyEvent] = []
        rest = self._cutter.close()
        if payload_of(rest) is not None:
            try:
                self._frame(rest, events)
            except ProviderFault:
                return events  # half a frame: the connection was lost within it
        if self._failed or self._cutter.broken:
            return events
        choices = self._choices
        if self._blocked and not choices:
            choices[0] = _Choice(0)
            choices[0].native = self._blocked
        done = bool(choices) and (whole or all(choice.native for choice in choices.values()))
        for choice in choices.values():
            choice.shut(events)
            if done:
                choice.finish(events, blocked=self._blocked)
        self._count(events)
        if done:
            events.append(Ended())
        return events

    def take(self, chunk: Chunk) -> list[AnyEvent]:
        """One object that is read already."""
        events: list[AnyEvent] = []
        self._chunk(chunk, events)
        return events

    def _frame(self, frame: bytes, events: list[AnyEvent]) -> None:
        if self._failed:
            return
        payload = payload_of(frame)
        if payload is None:
            if not (events and isinstance(events[-1], Beat)):
                events.append(Beat())
            return
        try:
            if payload[:1] == b"{":
                chunk = decode_chunk(payload)
                if chunk.error is ABSENT:  # nearly every frame
                    self._chunk(chunk, events)
                    return
                chunks = [chunk]
            else:
                chunks = [decode_chunk(each) for each in objects_in(payload)]
        except FAILED:
            raise ProviderFault("garbage", "a frame of the reply is no JSON object", sent=True) from None
        for chunk in chunks:
            if chunk.error is not ABSENT and is_error(chunk.error):
                self._failed = True  # the meter has the error
                return
            self._chunk(chunk, events)

    def _chunk(self, chunk: Chunk, events: list[AnyEvent]) -> None:
        candidates = chunk.candidates or ()
        feedback = chunk.prompt_feedback
        blocked = "" if feedback is None else feedback.block_reason or ""
        if not self._started and (candidates or blocked or chunk.response_id):
            self._started = True
            events.append(Started(id=chunk.response_id or "", model=chunk.model_version or ""))
        usage = chunk.usage_metadata
        if usage is not ABSENT and memoryview(usage)[0] == _BRACE:
            self._last = usage
            if not self._first:
                self._first = bytes(usage)
            if self._started and not self._counted:
                self._count(events)
        if blocked and not candidates:
            self._blocked = blocked
        for place, candidate in enumerate(candidates):
            index = place if candidate.index is None else candidate.index
            choice = self._choices.get(index)
            if choice is None:
                if not 0 <= index < CANDIDATES_MAX:
                    raise ProviderFault("garbage", f"a candidate has the index {index}", sent=True)
                choice = self._choices[index] = _Choice(index)
            choice.take(candidate, events)

    def _count(self, events: list[AnyEvent]) -> None:
        last = bytes(self._last)
        if not last or last == self._counted or not self._started:
            return
        self._counted = last
        usage = normalise("gemini", self._target.dialect, [self._first, last])
        if usage.meters:
            events.append(Counted(meters=usage.meters, tier=str(usage.select.get("tier", ""))))


class _Choice:
    """One candidate: which block is open, what it is, and how it ended."""

    __slots__ = ("_block", "_called", "_cited", "_kind", "_partial", "index", "native")

    def __init__(self, index: int) -> None:
        self.index = index
        self.native = ""  # the last finishReason
        self._block = -1
        self._kind = ""  # of the open block; "" = none
        self._called = False
        self._partial: PartialArguments | None = None
        self._cited: set[bytes] = set()

    def take(self, candidate: Candidate, events: list[AnyEvent]) -> None:
        content = candidate.content
        probabilities = candidate.logprobs_result
        if probabilities is not ABSENT:
            probabilities = logprobs.to_content(probabilities)
        for part in (content.parts if content is not None else None) or ():
            if self._part(part, probabilities, events):
                probabilities = ABSENT
        if candidate.citation_metadata is not ABSENT and self._kind == "text":
            self._cite(candidate.citation_metadata, events)
        if candidate.finish_reason and candidate.finish_reason != "FINISH_REASON_UNSPECIFIED":
            self.native = candidate.finish_reason

    def shut(self, events: list[AnyEvent]) -> None:
        """Closes the open block."""
        if self._partial is not None:
            partial, self._partial = self._partial, None
            events.append(Delta(choice=self.index, block=self._block, text=partial.text()))
        if self._kind:
            self._kind = ""
            events.append(Closed(choice=self.index, block=self._block))

    def finish(self, events: list[AnyEvent], *, blocked: str) -> None:
        native = self.native or "STOP"
        reason = "filter" if blocked and native == blocked else reason_of(native, called=self._called)
        events.append(Finished(choice=self.index, reason=reason, native=native))

    def _part(self, part: Part, probabilities: Raw, events: list[AnyEvent]) -> bool:
        """Whether the probabilities went with it."""
        text, proof = part.text, part.thought_signature
        if part.thought and text is not None:
            if text:
                self._delta("thinking", text, ABSENT, events)
            if proof:
                self._sign(proof, events)
            return False
        if proof:
            self.shut(events)
            self._sign(proof, events)
        if text:
            self._delta("text", text, probabilities, events)
            return True
        call, blob, file = part.function_call, part.inline_data, part.file_data
        if call is not None:
            self._call(call, events)
        elif blob is not None and blob.data:
            self._open(Opened(block=0, kind="media", name=blob.mime_type or "image"), events)
            events.append(Delta(choice=self.index, block=self._block, text=standard(blob.data)))
            self.shut(events)
        elif file is not None and file.file_uri:
            self._open(Opened(block=0, kind="media", name=file.mime_type or "image", url=file.file_uri), events)
            self.shut(events)
        return False

    def _open(self, opened: Opened, events: list[AnyEvent]) -> None:
        self.shut(events)
        self._block += 1
        self._kind = opened.kind
        opened.choice, opened.block = self.index, self._block
        events.append(opened)

    def _delta(self, kind: str, text: str, probabilities: Raw, events: list[AnyEvent]) -> None:
        if self._kind != kind:
            self._open(Opened(block=0, kind=kind), events)
        events.append(Delta(choice=self.index, block=self._block, text=text, logprobs=probabilities))

    def _sign(self, proof: str, events: list[AnyEvent]) -> None:
        if self._kind != "thinking":
            self._open(Opened(block=0, kind="thinking"), events)
        events.append(Signed(choice=self.index, block=self._block, signature=proof))
        self.shut(events)

    def _call(self, call: Call, events: list[AnyEvent]) -> None:
        self._called = True
        pieces = call.partial_args is not ABSENT
        if not (self._partial is not None and not call.name):
            self._open(Opened(block=0, kind="tool", id=call.id or ids.invent(), name=call.name or ""), events)
            if pieces or call.will_continue:
                self._partial = PartialArguments()
        if self._partial is not None:
            if pieces:
                self._partial.put(call.partial_args)
            if not call.will_continue:
                self.shut(events)
            return
        if call.args is not ABSENT and call.args != NULL:
            events.append(Delta(choice=self.index, block=self._block, text=bytes(call.args).decode("utf-8", "replace")))
        self.shut(events)

    def _cite(self, metadata: Raw, events: list[AnyEvent]) -> None:
        for raw in citations_of(metadata):
            key = bytes(raw)
            if key not in self._cited and len(self._cited) < CANDIDATES_MAX:
                self._cited.add(key)
                events.append(Cited(choice=self.index, block=self._block, protocol="gemini", raw=raw))
