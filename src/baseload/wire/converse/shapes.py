"""The shapes of Converse replies and stream events, as msgspec structs: what they do not name is skipped.

Also what the names in them mean here: stop reasons, and failures as JSON that a provider's error table can classify.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.eventstream import Message
from baseload.wire.raw import ABSENT, FAILED

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool",
    "max_tokens": "length",
    "model_context_window_exceeded": "context",
    "content_filtered": "filter",
    "guardrail_intervened": "filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
"""stopReason -> canonical reason (protocols.md 9). An unknown one is a normal stop; its word stays in `native`."""


class ReasoningText(msgspec.Struct, gc=False):
    text: str | None = None
    signature: str | None = None


class Reasoning(msgspec.Struct, gc=False):
    """In a reply `reasoningText`; in a delta `text` or `signature`; in both `redactedContent` (base64)."""

    reasoningText: ReasoningText | None = None
    text: str | None = None
    signature: str | None = None
    redactedContent: str | None = None


class ToolUse(msgspec.Struct, gc=False):
    toolUseId: str = ""
    name: str = ""
    input: Raw = ABSENT  # an object in a reply, a piece of JSON text in a delta
    type: str | None = None


class Source(msgspec.Struct, gc=False):
    bytes: str | None = None
    s3Location: Raw = ABSENT


class Image(msgspec.Struct, gc=False):
    format: str = ""
    source: Source | None = None


class Delta(msgspec.Struct, gc=False):
    text: str | None = None
    toolUse: ToolUse | None = None
    reasoningContent: Reasoning | None = None
    citation: Raw = ABSENT
    image: Image | None = None


class Start(msgspec.Struct, gc=False):
    toolUse: ToolUse | None = None
    toolResult: Raw = ABSENT
    image: Image | None = None


class Tier(msgspec.Struct, gc=False):
    type: str | None = None


class Extra(msgspec.Struct, gc=False):
    """additionalModelResponseFields; we ask for the stop sequence that matched (`request_out`)."""

    stop_sequence: str | None = None


class Router(msgspec.Struct, gc=False):
    invokedModelId: str | None = None


class Trace(msgspec.Struct, gc=False):
    promptRouter: Router | None = None


class Event(msgspec.Struct, gc=False):
    """The payload of any event; its kind stands in the message's headers."""

    contentBlockIndex: int = 0
    delta: Delta | None = None
    start: Start | None = None
    stopReason: str | None = None
    additionalModelResponseFields: Raw = ABSENT
    usage: Raw = ABSENT
    serviceTier: Tier | None = None
    trace: Trace | None = None


class Cited(msgspec.Struct, gc=False):
    content: list[dict[str, Raw]] | None = None
    citations: list[Raw] | None = None


class Content(msgspec.Struct, gc=False):
    """A block of a reply: one of these."""

    text: str | None = None
    toolUse: ToolUse | None = None
    reasoningContent: Reasoning | None = None
    citationsContent: Cited | None = None
    image: Image | None = None


class Said(msgspec.Struct, gc=False):
    content: list[Raw] | None = None


class Output(msgspec.Struct, gc=False):
    message: Said | None = None


class Body(msgspec.Struct, gc=False):
    output: Output | None = None
    stopReason: str | None = None
    usage: Raw = ABSENT
    serviceTier: Tier | None = None
    trace: Trace | None = None
    additionalModelResponseFields: Raw = ABSENT
    message: Raw = ABSENT  # of an error
    type: Raw = msgspec.field(default=ABSENT, name="__type")


decode_body = msgspec.json.Decoder(Body).decode
decode_content = msgspec.json.Decoder(Content).decode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_extra = msgspec.json.Decoder(Extra).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def decode_event(payload: bytes) -> Event:
    """Raises one of `FAILED`. Half of a surrogate pair, which no string can hold, is read as another character."""
    try:
        return _decode_event(payload)
    except FAILED:
        masked = half_surrogates_masked(payload)
        if masked is payload:
            raise
        return _decode_event(masked)


def string(raw: Raw) -> str:
    """The string in a JSON value; "" where it is none."""
    try:
        return _decode_str(raw)
    except FAILED:
        return ""


def stop_sequence(extra: Raw) -> str:
    """The stop sequence that matched, where the model says it."""
    if extra is ABSENT:
        return ""
    try:
        return _decode_extra(extra).stop_sequence or ""
    except FAILED:
        return ""


def failure(message: Message) -> bytes:
    """The failure that a message inside a 200 stream is, as `{"code", "message", ...}`; b"" = it is an event.

    `:message-type` exception has its class in `:exception-type` ("throttlingException") and JSON as its payload;
    `:message-type` error has `:error-code` and `:error-message`. The class is written as the HTTP API writes it
    ("ThrottlingException"), so that one row of an error table serves both.
    """
    headers = message.headers
    kind = headers.get(":message-type")
    if kind == "exception":
        return coded(message.payload, str(headers.get(":exception-type", "")))
    if kind == "error":
        said = _encode({"message": str(headers.get(":error-message", ""))})
        return coded(said, str(headers.get(":error-code", "")))
    return b""


def coded(body: bytes, code: str) -> bytes:
    """An AWS error body with its class as `code` in front; the class stands in a header (`x-amzn-ErrorType`).

    "aws.api#ThrottlingException:http://..." is shortened to the bare name.
    """
    code = code.partition(":")[0].rpartition("#")[2]
    code = code[:1].upper() + code[1:]
    try:
        members = _decode_members(body)
    except FAILED:
        members = {"message": Raw(_encode(body[:4000].decode("utf-8", "replace")))}
    if "message" not in members and "Message" in members:
        members["message"] = members.pop("Message")
    members.setdefault("message", Raw(b'""'))
    members.pop("code", None)
    return _encode({"code": code or "UnknownException", **members})
