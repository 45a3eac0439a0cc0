"""The shape of DashScope's native replies; a stream's frames have the same one. What is not named here is skipped.

A reply is `{output{choices[{index, finish_reason, message{content, reasoning_content, tool_calls[]}}]}, usage,
request_id}`, in the older form `output{text, finish_reason}`. Vision models send content as a list of `{text}`.
A choice that goes on has the finish reason "null", as a word. A failure is flat: `{code, message, request_id}`, also
with status 200 (vendors.md 3.1).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.sse import FrameCutter, data_of

FINISHES = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool",
    "content_filter": "filter",
    "stop_sequence": "stop_sequence",
}
"""finish_reason -> canonical reason. An unknown one is a normal stop; its word stays in `native`."""


class Piece(msgspec.Struct, gc=False):
    text: str | None = None
    image: str | None = None


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Raw = ABSENT


class Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Message(msgspec.Struct, gc=False):
    content: str | list[Piece] | None = None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None

    def text(self) -> str:
        content = self.content
        if isinstance(content, str):
            return content
        return "".join([piece.text or "" for piece in content or ()])


class Logprobs(msgspec.Struct, gc=False):
    content: Raw = ABSENT


class Choice(msgspec.Struct, gc=False):
    index: int | None = None
    message: Message | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Output(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None
    text: str | None = None
    finish_reason: str | None = None

    def answers(self) -> list[Choice]:
        """The choices; the older form is one of them."""
        if self.choices:
            return self.choices
        if self.text is None and self.finish_reason is None:
            return []
        return [Choice(message=Message(content=self.text), finish_reason=self.finish_reason)]


class Frame(msgspec.Struct, gc=False):
    output: Output | None = None
    usage: Raw = ABSENT
    request_id: str | None = None
    code: Raw = ABSENT
    message: Raw = ABSENT

    def fails(self) -> bool:
        """A code that is a word, and nothing to show."""
        shown = self.output is not None and bool(self.output.answers())
        return not shown and bytes(self.code) not in _NO_CODE and self.message is not ABSENT


_LF, _CR = 10, 13  # `in` with an int is one memchr
_NO_CODE = (b"", b"null", b'""', b"0", b'"0"', b"200", b'"200"')
_decode = msgspec.json.Decoder(Frame).decode
_decode_str = msgspec.json.Decoder(str).decode


def decode_frame(payload: bytes) -> Frame:
    """Raises one of `FAILED`. Half of a surrogate pair, which no string can hold, is read as another character."""
    try:
        return _decode(payload)
    except FAILED:
        masked = half_surrogates_masked(payload)
        if masked is payload:
            raise
        return _decode(masked)


def cut(cutter: FrameCutter, piece: bytes, cap: int) -> list[bytes]:
    """The frames that a piece completes; nearly every piece is one whole frame that ends in LF LF."""
    end = len(piece) - 2
    if not cutter.pending and 2 <= end < cap and piece.find(b"\n\n") == end and _CR not in piece:
        return [piece]
    return cutter.feed(piece)


def payload_of(frame: bytes) -> bytes | None:
    """The data of a frame; None where it has none. The usual one is the last line, after id, event and a comment."""
    if not frame.startswith(b"data"):
        at = frame.find(b"\ndata:")
        payload = frame[at + 6 :].strip()
        if at > 0 and _LF not in payload and _CR not in payload:
            return payload or None
    found = data_of(frame)
    return found.strip() or None if found is not None else None


def finish_of(choice: Choice) -> str:
    """The provider's word; "" while the choice goes on."""
    reason = choice.finish_reason
    return "" if reason is None or reason == "null" else reason


def json_text(raw: Raw) -> str:
    """Arguments as JSON text: a string holds it, an object is it."""
    if raw is ABSENT or bytes(raw) == b"null":
        return ""
    if bytes(raw).startswith(b'"'):
        return _decode_str(raw)
    return bytes(raw).decode()


def is_object(raw: Raw) -> bool:
    return bytes(raw).startswith(b"{")
