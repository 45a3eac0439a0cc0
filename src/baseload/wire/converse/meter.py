"""Reads a ConverseStream reply along for the meter. Sans-IO.

In:     body bytes in pieces cut anywhere, then `close()`. Out: whole messages, to translate; the facts as attributes.
Usage comes in `metadata`, after `messageStop`: the reading is not closed there (vector u067). Failures come as messages
inside a 200 (vendors.md 3.13) and become JSON in `error`.
Holds:  one unfinished message, one usage report, one error. Never the reply.
"""

from __future__ import annotations

from baseload.wire.chat.shapes import utf8_len
from baseload.wire.converse.shapes import Delta, Event, decode_event, failure, string
from baseload.wire.eventstream import EventCutter, Message
from baseload.wire.metering import ERROR_MAX, Metered
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.sse import FRAME_MAX


class StreamMeter(Metered):
    """See the module. `feed` pieces, `close` at the end of the body; then read the attributes.

    done            metadata came: nothing follows it
    finished        messageStop came
    finish          its reason
    error           the exception inside this 200 stream, as JSON with `code` and `message`
    upstream_model  only a prompt router says which model it took
    malformed       messages whose payload is no JSON object, and a damaged rest
    """

    __slots__ = ("_cutter",)

    def __init__(self, strip: bool = False, cap: int = FRAME_MAX) -> None:
        """`strip` is there for the shape all meters have: this protocol has no frame that nobody asked for."""
        super().__init__()
        self._cutter = EventCutter(cap)

    @property
    def usages(self) -> list[bytes]:
        """Reports for `usage.normalise`: there is one at most."""
        return [self.usage] if self.usage else []

    def feed(self, piece: bytes) -> bytes:
        """The messages that are whole now. Raises `ProviderFault("garbage")` on damage, and beyond the cap."""
        messages = self._cutter.feed(piece)
        for message in messages:
            self._read(message)
        return messages[0].raw if len(messages) == 1 else b"".join([message.raw for message in messages])

    def close(self) -> bytes:
        """The end of the body: the unfinished rest, which no reader can use."""
        if self._cutter.damaged:
            self.malformed += 1
        return self._cutter.close()

    def _read(self, message: Message) -> None:
        error = failure(message)
        if error:
            self.error = self.error or error[:ERROR_MAX]  # the first is the cause
            return
        try:
            event = decode_event(message.payload)
        except FAILED:
            self.malformed += 1
            return
        if event.delta is not None:
            self._text(_size(event.delta))
        kind = message.headers.get(":event-type")
        if kind == "contentBlockStart":
            start = event.start
            if start is not None and start.toolUse is not None:
                self._text(utf8_len(start.toolUse.name))
        elif kind == "messageStop":
            self.finished, self.finish = True, event.stopReason or ""
        elif kind == "metadata":
            self._metadata(event)

    def _text(self, size: int) -> None:
        if size > 0:
            self.text_bytes += size
            self.frames += 1
            self.first_token = True

    def _metadata(self, event: Event) -> None:
        self.done = self.finished
        if event.usage is not ABSENT and bytes(event.usage).startswith(b"{"):
            self.usage = bytes(event.usage)
        if event.serviceTier is not None:
            self.tier = event.serviceTier.type or self.tier
        if event.trace is not None and event.trace.promptRouter is not None:
            self.upstream_model = event.trace.promptRouter.invokedModelId or ""


def _size(delta: Delta) -> int:
    """UTF-8 bytes of generated text. Signatures and redacted thinking are none: nobody can count tokens in them."""
    size = utf8_len(delta.text or "")
    if delta.reasoningContent is not None:
        size += utf8_len(delta.reasoningContent.text or "")
    if delta.toolUse is not None:
        size += utf8_len(string(delta.toolUse.input))
    return size
