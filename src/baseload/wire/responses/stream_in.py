"""A provider's Responses stream -> canonical events.

In:     bytes cut anywhere (or whole frames), then `close()`. Out: events in the order `canon/events.py` promises.
A block is a content part of a message, a reasoning item (its summary parts, or its text, joined), or a call. What a
vendor leaves out is made up for: a block whose `added` never came opens with its first delta, and text that came in no
delta is taken from the `done` events, or from the terminal event's output.
Built-in call items and events of unknown types are a sign of life (`Beat`) and nothing else: see `reply_in.py`.
A failed response ends in no `Finished` and no `Ended`: the meter finds the failure.
Holds:  one unfinished frame, a line for each item of the reply, at most ITEMS_MAX. Never the text.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.body import half_surrogates_masked
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
from baseload.wire.canon.ids import invent
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.responses.reply_in import meters_of, reason_of, reasoning_text
from baseload.wire.responses.shapes import TERMINAL, Item, Response, item_of, items_of, payload_of, response_of
from baseload.wire.sse import FRAME_MAX, FrameCutter, data_of

ITEMS_MAX = 16_384
"""Items and content parts of one reply."""

_GENERATED = ("function_call", "custom_tool_call")


class _Delta(msgspec.Struct, gc=False):
    """What nearly every frame is read for."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    logprobs: Raw = ABSENT


class _Event(_Delta, gc=False):
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    annotation: Raw = ABSENT
    item: Raw = ABSENT
    response: Raw = ABSENT


_decode = msgspec.json.Decoder(_Event).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode
_CR = 13


class _Block:
    __slots__ = ("cited", "kind", "length", "number", "part")

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.kind = kind  # of `Opened`; for reasoning what its deltas are: "summary" | "said" | ""
        self.length = 0  # characters that went out
        self.part = 0  # reasoning: the part that goes on
        self.cited = 0


class StreamIn:
    """See the module."""

    __slots__ = ("_blocks", "_called", "_closed", "_cutter", "_ended", "_ids", "_next", "_out", "_started", "_target")

    def __init__(self, target: Target, cap: int = FRAME_MAX) -> None:
        self._target = target
        self._cutter = FrameCutter(cap)
        self._out: list[AnyEvent] = []
        self._started = self._ended = self._called = False
        self._next = 0  # number of the next block
        self._blocks: dict[tuple[int, int], _Block] = {}  # open ones, by output and content index (-1 = the item)
        self._closed: dict[int, set[int]] = {}
        self._ids: dict[int, str] = {}  # of reasoning items: their encrypted content is good under it only

    def feed(self, piece: bytes) -> list[AnyEvent]:
        """The events of the frames that this piece completes. Raises `ProviderFault("garbage")`."""
        if piece[-2:] == b"\n\n" and not self._cutter.pending and _CR not in piece and not _blank(piece):
            frames = piece[:-2].split(b"\n\n")
        else:
            frames = self._cutter.feed(piece)
        for frame in frames:
            self._frame(frame)
        out, self._out = self._out, []
        return out

    def close(self) -> list[AnyEvent]:
        """The end of the body: a last frame without its blank line counts, if it is whole: else the stream was cut."""
        rest = self._cutter.close()
        if rest:
            with suppress(ProviderFault):
                self._frame(rest)
        out, self._out = self._out, []
        return out

    def _frame(self, frame: bytes) -> None:
        try:
            event = _decode_delta(payload_of(frame))
        except FAILED:
            self._frame_slowly(frame)
            return
        take = _DELTAS.get(event.type)
        if take is None or self._ended:
            self._frame_slowly(frame)
        else:
            take(self, event)

    def _frame_slowly(self, frame: bytes) -> None:
        payload = data_of(frame)
        if payload is None or not (payload := payload.strip()):
            self._out.append(Beat())
            return
        if self._ended or payload == b"[DONE]":
            return
        event = _read(payload)
        kind = event.type
        if kind in TERMINAL:
            self._end(kind, event)
            return
        take = _TAKERS.get(kind)
        if take is not None:
            take(self, event)
        elif event.response is not ABSENT and not self._started:
            self._begin(_response(event))
        else:
            self._out.append(Beat())

    # What a reply begins and ends with.

    def _begin(self, response: Response | None = None) -> None:
        if self._started:
            return
        self._started = True
        found = response or Response()
        self._out.append(Started(id=found.id or "", model=found.model or ""))

    def _end(self, kind: str, event: _Event) -> None:
        response = _response(event)
        self._begin(response)
        if not self._next:  # a vendor that streams no items
            for index, raw in enumerate(items_of(response.output)):
                self._item_done(index, item_of(raw))
        for block in list(self._blocks):
            self._close(block)
        meters = meters_of(response, self._target)
        if meters is not None:
            self._out.append(Counted(meters=meters, tier=response.service_tier or ""))
        self._ended = True
        if kind in ("response.failed", "response.cancelled"):
            return
        if not response.status and response.incomplete_details is None:
            response.status = kind.rpartition(".")[2]
        self._out.append(Finished(reason=reason_of(response, self._called), native=response.finish))
        self._out.append(Ended())

    # Blocks.

    def _open(self, key: tuple[int, int], kind: str, item: Item | None = None, summary: bool = False) -> _Block | None:
        """The open block of this place, opened now if need be; None where it is over."""
        block = self._blocks.get(key)
        if block is not None:
            return block
        if key[1] in self._closed.get(key[0], ()):
            return None
        if self._next >= ITEMS_MAX:
            raise ProviderFault("garbage", f"The provider's reply has more than {ITEMS_MAX} items.", sent=True)
        self._begin()
        block = self._blocks[key] = _Block(self._next, kind)
        self._next += 1
        opened = Opened(block=block.number, kind=kind, summary=summary)
        if kind == "tool":
            self._called = True
            item = item or Item()
            opened.id, opened.name = item.call_id or item.id or invent(), item.name or ""
            opened.custom = item.type == "custom_tool_call"
        elif kind == "thinking":
            opened.id = (item.id if item is not None else None) or self._ids.get(key[0], "")
        self._out.append(opened)
        return block

    def _close(self, key: tuple[int, int]) -> None:
        block = self._blocks.pop(key, None)
        if block is not None:
            self._closed.setdefault(key[0], set()).add(key[1])
            self._out.append(Closed(block=block.number))

    def _say(self, block: _Block, text: str, logprobs: Raw = ABSENT) -> None:
        if text:
            block.length += len(text)
            self._out.append(Delta(block=block.number, text=text, logprobs=logprobs))

    # Messages.

    def _text_delta(self, event: _Delta) -> None:
        block = self._open((event.output_index, event.content_index), "text")
        if block is not None and event.delta:
            self._say(block, event.delta, _filled(event.logprobs))

    def _text_done(self, event: _Event) -> None:
        self._whole((event.output_index, event.content_index), "text", event.text, event.logprobs)

    def _refusal_delta(self, event: _Delta) -> None:
        block = self._open((event.output_index, event.content_index), "refusal")
        if block is not None and event.delta:
            self._say(block, event.delta)

    def _refusal_done(self, event: _Event) -> None:
        self._whole((event.output_index, event.content_index), "refusal", event.refusal)

    def _whole(self, key: tuple[int, int], kind: str, text: str | None, logprobs: Raw = ABSENT) -> None:
        """The whole text of a part: taken where no delta of it came."""
        block = self._open(key, kind) if text else self._blocks.get(key)
        if block is not None and text and not block.length:
            self._say(block, text, _filled(logprobs))

    def _annotation(self, event: _Event) -> None:
        block = self._blocks.get((event.output_index, event.content_index))
        if block is not None and event.annotation is not ABSENT:
            self._cite(block, event.annotation)

    def _cite(self, block: _Block, raw: Raw) -> None:
        block.cited += 1
        self._out.append(Cited(block=block.number, protocol="responses", raw=Raw(bytes(raw))))

    def _part_done(self, event: _Event) -> None:
        """Its item's `done` closes it: annotations may be only there."""

    # Reasoning.

    def _summary_delta(self, event: _Delta) -> None:
        self._think(event, "summary", event.summary_index)

    def _reasoning_delta(self, event: _Delta) -> None:
        self._think(event, "said", event.content_index)

    def _think(self, event: _Delta, form: str, part: int) -> None:
        if not event.delta:
            return
        block = self._open((event.output_index, -1), "thinking", summary=form == "summary")
        if block is None:
            return
        if not block.length:
            block.kind = form
        elif block.kind != form:
            return  # both forms of one thinking: the first one that came is told
        elif part != block.part:
            self._say(block, "\n\n")
        block.part = part
        self._say(block, event.delta)

    # Calls.

    def _arguments_delta(self, event: _Delta) -> None:
        block = self._blocks.get((event.output_index, -1))
        if block is not None and block.kind == "tool" and event.delta:
            self._say(block, event.delta)

    def _arguments_done(self, event: _Event) -> None:
        block = self._blocks.get((event.output_index, -1))
        if block is not None and block.kind == "tool" and not block.length:
            self._say(block, event.arguments or event.input or "")

    # Items.

    def _added(self, event: _Event) -> None:
        self._begin()
        item, index = item_of(event.item), event.output_index
        self._closed.pop(index, None)  # a vendor may leave the index out: then each item begins anew at 0
        for key in [key for key in self._blocks if key[0] == index]:
            self._close(key)
        if item.type in _GENERATED:
            self._open((index, -1), "tool", item)
            return
        if item.type == "reasoning" and item.id and len(self._ids) < ITEMS_MAX:
            self._ids[index] = item.id
        if item.type not in ("message", "reasoning"):
            self._out.append(Beat())

    def _done(self, event: _Event) -> None:
        self._item_done(event.output_index, item_of(event.item))

    def _item_done(self, index: int, item: Item) -> None:
        if item.type == "message":
            for at, part in enumerate(item.content or ()):
                key = (index, at)
                refused = part.type == "refusal"
                if not refused and part.type not in ("output_text", "text"):
                    continue
                if refused:
                    self._whole(key, "refusal", part.refusal)
                else:
                    self._whole(key, "text", part.text, part.logprobs)
                block = self._blocks.get(key)
                if block is not None:
                    for raw in (part.annotations or ())[block.cited :]:
                        self._cite(block, raw)
                self._close(key)
            for key in [key for key in self._blocks if key[0] == index]:
                self._close(key)
        elif item.type == "reasoning":
            self._reasoning_done((index, -1), item)
        elif item.type in _GENERATED:
            block = self._open((index, -1), "tool", item)
            if block is not None and not block.length:
                self._say(block, item.arguments or item.input or "")
            self._close((index, -1))
        else:
            self._out.append(Beat())

    def _reasoning_done(self, key: tuple[int, int], item: Item) -> None:
        text, summary = reasoning_text(item)
        if not text and not item.encrypted_content and key not in self._blocks:
            return
        block = self._open(key, "thinking", item, summary)
        if block is None:
            return
        if not block.length:
            self._say(block, text)
        if item.encrypted_content:  # whole only here
            self._out.append(Signed(block=block.number, signature=item.encrypted_content))
        self._close(key)


_DELTAS: dict[str, Callable[[StreamIn, _Delta], None]] = {
    "response.output_text.delta": StreamIn._text_delta,
    "response.refusal.delta": StreamIn._refusal_delta,
    "response.reasoning_summary_text.delta": StreamIn._summary_delta,
    "response.reasoning_text.delta": StreamIn._reasoning_delta,
    "response.function_call_arguments.delta": StreamIn._arguments_delta,
    "response.custom_tool_call_input.delta": StreamIn._arguments_delta,
}
_TAKERS: dict[str, Callable[[StreamIn, _Event], None]] = {
    **_DELTAS,
    "response.output_text.done": StreamIn._text_done,
    "response.output_text.annotation.added": StreamIn._annotation,
    "response.refusal.done": StreamIn._refusal_done,
    "response.content_part.done": StreamIn._part_done,
    "response.function_call_arguments.done": StreamIn._arguments_done,
    "response.custom_tool_call_input.done": StreamIn._arguments_done,
    "response.output_item.added": StreamIn._added,
    "response.output_item.done": StreamIn._done,
}


def _blank(piece: bytes) -> bool:
    """Whether there may be a frame in it that is a blank line alone."""
    return piece[:1] == b"\n" or b"\n\n\n" in piece


def _read(payload: bytes) -> _Event:
    try:
        return _decode(payload)
    except FAILED:
        pass
    try:
        return _decode(half_surrogates_masked(payload))
    except FAILED:
        pass
    try:
        # An event nobody here knows may have a `delta` that is no text; one of ours may not.
        kind = _decode_kind(payload).type
    except FAILED:
        kind = "response.output_text.delta"
    if kind in _TAKERS or kind in TERMINAL:
        raise ProviderFault("garbage", "The provider's stream has a frame that cannot be read.", sent=True)
    return _Event(type=kind)


class _Kind(msgspec.Struct, gc=False):
    type: str = ""


_decode_kind = msgspec.json.Decoder(_Kind).decode


def _response(event: _Event) -> Response:
    try:
        return response_of(event.response)
    except FAILED:
        return Response()


def _filled(raw: Raw) -> Raw:
    """The bytes of a list that has something in it."""
    text = bytes(raw)
    return Raw(text) if text[:1] == b"[" and text[1:-1].strip() else ABSENT
