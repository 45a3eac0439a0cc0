"""A native DashScope stream -> canonical events.

In:     bytes cut anywhere, then `close()`. Out: events in the order of `canon/events.py`; tool blocks of a choice may
        overlap, as their fragments come by `index`.
Frames carry pieces, because the request asks for `incremental_output`. There is no terminator: `Ended` comes from
`close`, where every choice that began has ended.
Holds:  one unfinished frame, and a few numbers for each choice and tool call.
Raises `ProviderFault("garbage")` for a frame that is no JSON object of this shape, and for endless choices or calls.
A failure inside the stream is the meter's to find: here nothing follows it.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import AnyEvent, Beat, Closed, Counted, Delta, Ended, Finished, Opened, Started
from baseload.wire.qwen.meter import CHOICES_MAX
from baseload.wire.qwen.reply_in import USAGE, reason_of
from baseload.wire.qwen.shapes import Call, Choice, cut, decode_frame, finish_of, is_object, json_text, payload_of
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.sse import FRAME_MAX, FrameCutter
from baseload.wire.usage import normalise

CALLS_MAX = 4096
"""Tool calls of one choice."""


class StreamIn:
    def __init__(self, target: Target, cap: int = FRAME_MAX) -> None:
        self._target = target
        self._cap = cap
        self._cutter = FrameCutter(cap)
        self._started = False
        self._over = False  # a failure came, or the end
        self._choices: dict[int, _Choice] = {}

    def feed(self, data: bytes) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for frame in cut(self._cutter, data, self._cap):
            self._take(frame, events)
        return events

    def close(self) -> list[AnyEvent]:
        """The end of the body. A last frame without its blank line counts; one that was cut inside says nothing."""
        events: list[AnyEvent] = []
        rest = self._cutter.close()
        if rest:
            with suppress(ProviderFault):
                self._take(rest, events)
        if not self._over and self._choices and all(choice.finished for choice in self._choices.values()):
            events.append(Ended())
        self._over = True
        return events

    def _take(self, frame: bytes, events: list[AnyEvent]) -> None:
        if self._over:
            return
        payload = payload_of(frame)
        if payload is None:
            if frame.strip():
                events.append(Beat())
            return
        try:
            found = decode_frame(payload)
            if found.fails():
                self._over = True
                return
            first = not self._started
            if first:
                self._started = True
                events.append(Started(id=found.request_id or ""))
            ends = False
            for choice in found.output.answers() if found.output is not None else ():
                ends = self._of(choice.index or 0).take(choice, events) or ends
        except FAILED as why:
            raise ProviderFault("garbage", f"a frame of the reply cannot be read: {why}", sent=True) from None
        # Every frame counts; who writes the reply needs the first count and the last.
        if is_object(found.usage) and (first or ends or self._all_ended()):
            meters = normalise(USAGE, self._target.dialect, bytes(found.usage)).meters
            if meters:
                events.append(Counted(meters=meters))

    def _all_ended(self) -> bool:
        return all(choice.finished for choice in self._choices.values())

    def _of(self, number: int) -> _Choice:
        found = self._choices.get(number)
        if found is None:
            if not 0 <= number < CHOICES_MAX:
                raise ProviderFault("garbage", f"the reply has a choice of the number {number}", sent=True)
            found = self._choices[number] = _Choice(number)
        return found


class _Choice:
    __slots__ = ("_block", "_calls", "_kind", "_number", "_open", "finished")

    def __init__(self, number: int) -> None:
        self._number = number
        self._block = -1  # the last block's number
        self._kind = ""  # of the open block: "text", "thinking" or ""
        self._calls: dict[int, int] = {}  # index of a tool call -> its block
        self._open: list[int] = []  # blocks of tool calls
        self.finished = False

    def take(self, choice: Choice, events: list[AnyEvent]) -> bool:
        """Events of one frame for this choice; True where it ends with it."""
        if self.finished:
            return False
        message = choice.message
        if message is not None:
            logprobs = ABSENT
            if choice.logprobs is not None and bytes(choice.logprobs.content).startswith(b"["):
                logprobs = msgspec.Raw(bytes(choice.logprobs.content))
            if message.reasoning_content:
                self._say("thinking", message.reasoning_content, events)
            if text := message.text():
                self._say("text", text, events, logprobs)
            for piece in message.content if isinstance(message.content, list) else ():
                if piece.image:
                    self._close_text(events)
                    self._opened(Opened(block=0, kind="media", name="image", url=piece.image), events)
                    events.append(Closed(choice=self._number, block=self._block))
            for at, call in enumerate(message.tool_calls or ()):
                self._call(at, call, events)
        native = finish_of(choice)
        if not native:
            return False
        self._close_text(events)
        events += [Closed(choice=self._number, block=block) for block in self._open]
        events.append(Finished(choice=self._number, reason=reason_of(native, bool(self._calls)), native=native))
        self.finished = True
        return True

    def _say(self, kind: str, text: str, events: list[AnyEvent], logprobs: msgspec.Raw = ABSENT) -> None:
        if self._kind != kind:
            self._close_text(events)
            self._opened(Opened(block=0, kind=kind), events)
            self._kind = kind
        events.append(Delta(choice=self._number, block=self._block, text=text, logprobs=logprobs))

    def _call(self, at: int, call: Call, events: list[AnyEvent]) -> None:
        """A fragment: id and name count in the first of an index only (protocols.md, pitfall 5)."""
        if call.function is None:
            return
        index = at if call.index is None else call.index
        block = self._calls.get(index)
        if block is None:
            if len(self._calls) >= CALLS_MAX:
                raise ProviderFault("garbage", f"the reply has more than {CALLS_MAX} tool calls", sent=True)
            self._close_text(events)
            opened = Opened(block=0, kind="tool", id=call.id or ids.invent(), name=call.function.name or "")
            self._opened(opened, events)
            block = self._calls[index] = self._block
            self._open.append(block)
        if text := json_text(call.function.arguments):
            events.append(Delta(choice=self._number, block=block, text=text))

    def _opened(self, opened: Opened, events: list[AnyEvent]) -> None:
        self._block += 1
        opened.choice, opened.block = self._number, self._block
        events.append(opened)

    def _close_text(self, events: list[AnyEvent]) -> None:
        if self._kind:
            events.append(Closed(choice=self._number, block=self._block))
            self._kind = ""
