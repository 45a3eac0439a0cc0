"""Canonical events -> the client's Responses stream.

In:     events in the order of a `StreamIn`, the `View`. Out: SSE bytes, in the order of protocols.md, 3.3.
Texts and refusals in a row are content parts of one message; a thinking block is a reasoning item (shown as a summary,
sealed in `encrypted_content`), a tool block a call. Every `.done` carries its whole, the terminal event all of it.
Holds:  the reply, because the terminal event repeats it: at most REPLY_MAX bytes (a piece counts PIECE_COST more),
        beyond it `ProviderFault("garbage")`. This is the only protocol that needs it (protocols.md, section 11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault, Refusal
from baseload.wire.canon.carry import View
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
from baseload.wire.canon.ids import safe
from baseload.wire.canon.sequence import Sequencer
from baseload.wire.envelope import error_type
from baseload.wire.raw import ABSENT, NULL
from baseload.wire.responses import answer
from baseload.wire.responses.usage_out import write as write_usage
from baseload.wire.responses.usage_out import write_tools

REPLY_MAX = 32 * 2**20
PIECE_COST = 64
KEEP_ALIVE = b": keep-alive\n\n"

_encode = msgspec.json.Encoder().encode
_EMPTY: list[Any] = []


class _Block:
    """The open block."""

    __slots__ = ("cited", "head", "kind", "logprobs", "opened", "pieces", "place", "signature", "tail")

    def __init__(self, opened: Opened, place: dict[str, Any], delta: str) -> None:
        self.opened = opened
        self.kind = opened.kind
        self.place = place  # item_id, output_index and what else names where it stands
        self.pieces: list[str] = []
        self.cited: list[Cited] = []
        self.logprobs: list[Raw] = []
        self.signature = ""
        self.head = b"" if not delta else _head(delta, place)
        self.tail = b',"logprobs":[],"sequence_number":' if self.kind == "text" else b',"sequence_number":'


class StreamOut:
    """See the module. `response` is the final object once the stream has ended."""

    __slots__ = (
        "_block",
        "_content",
        "_ended",
        "_finished",
        "_held",
        "_meters",
        "_order",
        "_out",
        "_output",
        "_sequence",
        "_spare",
        "_started",
        "_tier",
        "_view",
        "response",
    )

    def __init__(self, view: View) -> None:
        self._view = view
        self._order = Sequencer()
        self._out: list[bytes] = []
        self._sequence = 0
        self._started = self._ended = False
        self._output: list[Raw] = []  # whole items
        self._content: list[Any] | None = None  # of the open message
        self._block: _Block | None = None
        self._finished: Finished | None = None
        self._meters: Mapping[str, int] | None = None
        self._tier = ""
        self._spare: list[Raw] = []  # logprobs that came beside no text: they are of the next one
        self._held = 0
        self.response: dict[str, Any] | None = None

    def write(self, events: Iterable[AnyEvent]) -> bytes:
        """The bytes for the client now."""
        for event in self._order.put(events):
            if not self._ended:
                _WRITERS[type(event)](self, event)
        return self._taken()

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        """Ends the stream with `error` and `response.failed`; what was delivered stays, and is in its output."""
        if self._ended:
            return b""
        self._begin()
        said = f"{refusal} (call {call_id})" if call_id else str(refusal)
        code = refusal.code if refusal.status < 500 else "server_error"  # agents' words for "again, later"
        self._finish("failed", "", {"code": code, "message": said})
        return self._taken()

    def _taken(self) -> bytes:
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    def _emit(self, kind: str, **members: Any) -> None:
        data = _encode({"type": kind, "sequence_number": self._sequence, **members})
        self._sequence += 1
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))

    def _hold(self, size: int) -> None:
        self._held += size + PIECE_COST
        if self._held > REPLY_MAX:
            raise ProviderFault("garbage", f"The reply is larger than {REPLY_MAX} bytes.", sent=True)

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._view.id}_{len(self._output)}"

    # What a reply begins and ends with.

    def _begin(self, event: Started | None = None) -> None:
        if self._started:
            return
        self._started = True
        response = answer.frame_of(self._view)
        self._emit("response.created", response=response)
        self._emit("response.in_progress", response=response)

    def _beat(self, event: Beat) -> None:
        self._out.append(KEEP_ALIVE)

    def _count(self, event: Counted) -> None:
        self._meters, self._tier = event.meters, event.tier

    def _choice_done(self, event: Finished) -> None:
        if event.choice:
            return
        self._finished = event
        status = "incomplete" if answer.STATUSES.get(event.reason, ("",))[0] == "incomplete" else "completed"
        self._close_message(status)

    def _end(self, event: Ended) -> None:
        self._begin()
        self._close_message("completed")
        reason = "stop" if self._finished is None else self._finished.reason
        status, incomplete = answer.STATUSES.get(reason, ("completed", ""))
        error = None
        if status == "failed":
            native = self._finished.native if self._finished is not None else ""
            error = {
                "code": "server_error",
                "message": f"The model's answer broke off ({native or 'no reason given'}).",
            }
        self._finish(status, incomplete, error)

    def _finish(self, status: str, incomplete: str, error: dict[str, Any] | None) -> None:
        self._ended = True
        if error is not None:
            # OpenAI's libraries raise on this event alone; agents (Codex) read response.failed alone.
            kind = error_type(error["code"], 500 if error["code"] == "server_error" else 400)
            self._emit("error", **error, param=None, error={**error, "type": kind, "param": None})
        response = answer.frame_of(self._view)
        response["status"] = status
        response["error"] = error
        response["output"] = self._output
        response["service_tier"] = answer.TIERS.get(self._tier)
        if incomplete:
            response["incomplete_details"] = {"reason": incomplete}
        if self._meters is not None:
            response["usage"] = write_usage(self._meters)
            tools = write_tools(self._meters)
            if tools is not None:
                response["tool_usage"] = tools
        self._emit(f"response.{status}", response=response)
        self.response = response

    # Blocks.

    def _open(self, event: Opened) -> None:
        if event.choice:
            return  # Responses has one choice; more are refused on the way in
        self._begin()
        self._hold(len(event.id) + len(event.name))
        if event.kind in ("text", "refusal"):
            self._open_part(event)
            return
        self._close_message("completed")
        _OPENERS[event.kind](self, event)

    def _open_part(self, event: Opened) -> None:
        if self._content is None:
            self._content = []
            item = answer.message(self._id("msg"), "in_progress", [])
            self._emit("response.output_item.added", output_index=len(self._output), item=item)
        place = {
            "item_id": self._id("msg"),
            "output_index": len(self._output),
            "content_index": len(self._content),
        }
        refusal = event.kind == "refusal"
        part = {"type": "refusal", "refusal": ""} if refusal else answer.text_part("", [], [])
        self._emit("response.content_part.added", **place, part=part)
        self._block = _Block(event, place, "response.refusal.delta" if refusal else "response.output_text.delta")

    def _open_thinking(self, event: Opened) -> None:
        place = {"item_id": self._id("rs"), "output_index": len(self._output)}
        item = {"id": place["item_id"], "type": "reasoning", "summary": []}
        self._emit("response.output_item.added", output_index=place["output_index"], item=item)
        place["summary_index"] = 0
        self._block = _Block(event, place, "response.reasoning_summary_text.delta")

    def _open_tool(self, event: Opened) -> None:
        prefix, delta = _CALLS[event.custom]
        item_id, index = self._id(prefix), len(self._output)
        if event.custom:
            item = answer.custom_call(item_id, safe(event.id), event.name, "")
        else:
            item = answer.call(item_id, safe(event.id), event.name, "") | {"status": "in_progress"}
        self._emit("response.output_item.added", output_index=index, item=item)
        place = {"item_id": item_id, "output_index": index}
        self._block = _Block(event, place, delta)

    def _open_media(self, event: Opened) -> None:
        place = {"item_id": self._id("ig"), "output_index": len(self._output)}
        self._block = _Block(event, place, "")

    def _delta(self, event: Delta) -> None:
        block = self._block
        if event.choice or block is None:
            return
        text = event.text
        self._hold((len(text) if text.isascii() else 4 * len(text)) + len(event.logprobs))
        logprobs = ABSENT if event.logprobs == NULL else event.logprobs
        if block.kind != "text":
            if logprobs != ABSENT:
                self._spare.append(logprobs)
                logprobs = ABSENT
        elif self._spare:
            logprobs = answer.joined([*self._spare, logprobs] if logprobs != ABSENT else self._spare)
            self._spare = []
        if not text and logprobs == ABSENT:
            return
        if not block.pieces and block.kind == "thinking" and self._view.show_thinking:
            part = {"type": "summary_text", "text": ""}
            self._emit("response.reasoning_summary_part.added", **block.place, part=part)
        block.pieces.append(text)
        if not block.head or (block.kind == "thinking" and not self._view.show_thinking):
            return
        tail = block.tail
        if logprobs != ABSENT:
            block.logprobs.append(logprobs)
            tail = b',"logprobs":' + bytes(logprobs) + b',"sequence_number":'
        self._out.append(b"%b%b%b%d}\n\n" % (block.head, _encode(text), tail, self._sequence))
        self._sequence += 1

    def _sign(self, event: Signed) -> None:
        if self._block is not None and not event.choice:
            self._hold(len(event.signature))
            self._block.signature = event.signature

    def _cite(self, event: Cited) -> None:
        if self._block is not None and not event.choice:
            self._hold(len(event.raw))
            self._block.cited.append(event)

    def _close(self, event: Closed) -> None:
        block = self._block
        if event.choice or block is None:
            return
        _CLOSERS[block.kind](self, block, "".join(block.pieces))
        self._block = None

    def _close_text(self, block: _Block, text: str) -> None:
        annotations: list[Any] = []
        for cited in block.cited:
            found = answer.annotation(cited.protocol, cited.raw, len(text))
            if found is not None:
                self._emit(
                    "response.output_text.annotation.added",
                    **block.place,
                    annotation_index=len(annotations),
                    annotation=found,
                )
                annotations.append(found)
        logprobs: Any = answer.joined(block.logprobs) if block.logprobs else _EMPTY
        part = answer.text_part(text, annotations, logprobs)
        self._emit("response.output_text.done", **block.place, text=text, logprobs=logprobs)
        self._part_done(block, part)

    def _close_refusal(self, block: _Block, text: str) -> None:
        self._emit("response.refusal.done", **block.place, refusal=text)
        self._part_done(block, {"type": "refusal", "refusal": text})

    def _part_done(self, block: _Block, part: dict[str, Any]) -> None:
        self._emit("response.content_part.done", **block.place, part=part)
        if self._content is not None:
            self._content.append(part)

    def _close_thinking(self, block: _Block, text: str) -> None:
        if block.pieces and self._view.show_thinking:
            self._emit("response.reasoning_summary_text.done", **block.place, text=text)
            part = {"type": "summary_text", "text": text}
            self._emit("response.reasoning_summary_part.done", **block.place, part=part)
        item_id = block.place["item_id"]
        self._item_done(answer.reasoning(item_id, self._view, text, block.signature, block.opened.redacted))

    def _close_tool(self, block: _Block, text: str) -> None:
        opened, item_id = block.opened, block.place["item_id"]
        if opened.custom:
            self._emit("response.custom_tool_call_input.done", **block.place, input=text)
            self._item_done(answer.custom_call(item_id, safe(opened.id), opened.name, text))
            return
        if not text.strip():  # protocols.md, pitfall 4
            self._delta(Delta(block=0, text="{}"))
            text += "{}"
        self._emit("response.function_call_arguments.done", **block.place, arguments=text, name=opened.name)
        self._item_done(answer.call(item_id, safe(opened.id), opened.name, text))

    def _close_media(self, block: _Block, text: str) -> None:
        """A picture is the result of an image generation; other media have no item, and no reply asks for them."""
        if not block.opened.name.startswith("image/") or not text:
            return
        item = answer.image(block.place["item_id"], text)
        begun = item | {"status": "in_progress", "result": None}
        self._emit("response.output_item.added", output_index=len(self._output), item=begun)
        self._item_done(item)

    def _close_message(self, status: str) -> None:
        if self._content is not None:
            content, self._content = self._content, None
            self._item_done(answer.message(self._id("msg"), status, content))

    def _item_done(self, item: dict[str, Any]) -> None:
        raw = Raw(_encode(item))
        self._emit("response.output_item.done", output_index=len(self._output), item=raw)
        self._output.append(raw)


def _head(kind: str, place: dict[str, Any]) -> bytes:
    """A delta's frame up to its text: the same for every delta of a block."""
    data = _encode({"type": kind, **place})
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), data[:-1])


_CALLS = {
    False: ("fc", "response.function_call_arguments.delta"),
    True: ("ctc", "response.custom_tool_call_input.delta"),
}
_OPENERS: dict[str, Callable[[StreamOut, Opened], None]] = {
    "thinking": StreamOut._open_thinking,
    "tool": StreamOut._open_tool,
    "media": StreamOut._open_media,
}
_CLOSERS: dict[str, Callable[[StreamOut, _Block, str], None]] = {
    "text": StreamOut._close_text,
    "refusal": StreamOut._close_refusal,
    "thinking": StreamOut._close_thinking,
    "tool": StreamOut._close_tool,
    "media": StreamOut._close_media,
}
_WRITERS: dict[type, Callable[[StreamOut, Any], None]] = {
    Started: StreamOut._begin,
    Opened: StreamOut._open,
    Delta: StreamOut._delta,
    Signed: StreamOut._sign,
    Cited: StreamOut._cite,
    Closed: StreamOut._close,
    Finished: StreamOut._choice_done,
    Counted: StreamOut._count,
    Beat: StreamOut._beat,
    Ended: StreamOut._end,
}
