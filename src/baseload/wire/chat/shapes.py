"""The shapes of chat and completions replies, as msgspec structs: what they do not name is skipped, never built.

A struct lists only what its reader needs, in the order it usually comes, because a name that is not there is compared
with every field. What a type does not fit is read again by the `Loose` shapes, which trust nothing.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.raw import ABSENT, FAILED


class Call(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class Tool(msgspec.Struct, gc=False):
    function: Call | None = None
    custom: Raw = ABSENT


class Detail(msgspec.Struct, gc=False):
    text: str | None = None


class Audio(msgspec.Struct, gc=False):
    data: Raw = ABSENT
    transcript: str | None = None


class Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Tool] | None = None
    function_call: Call | None = None
    reasoning_details: list[Detail] | None = None
    audio: Audio | None = None

    def other_text(self) -> int:
        """UTF-8 bytes of all generated text but `content`; -1 = none (an empty list or string is none)."""
        size, found = 0, False
        reasoning = self.reasoning_content or self.reasoning  # two names of one text where a vendor sends both
        if not reasoning and self.reasoning_details:
            reasoning = "".join([detail.text or "" for detail in self.reasoning_details])
        if reasoning:
            found = True
            size += utf8_len(reasoning)
        if self.refusal:
            found = True
            size += utf8_len(self.refusal)
        for tool in self.tool_calls or ():
            call = tool.function
            if call is not None and (call.name or call.arguments):
                found = True
                size += utf8_len(call.name or "") + utf8_len(call.arguments or "")
            if len(tool.custom) > 2:
                found = True
                size += len(tool.custom)
        call = self.function_call
        if call is not None and (call.name or call.arguments):
            found = True
            size += utf8_len(call.name or "") + utf8_len(call.arguments or "")
        audio = self.audio
        if audio is not None and (audio.transcript or len(audio.data) > 2):
            found = True
            size += utf8_len(audio.transcript or "")
        return size if found else -1


class Choice(msgspec.Struct, gc=False):
    delta: Delta | None = None
    finish_reason: str | None = None
    text: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """What every frame is read for."""

    choices: list[Choice] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


class LooseChoice(msgspec.Struct, gc=False):
    delta: Raw = ABSENT
    message: Raw = ABSENT
    text: Raw = ABSENT
    finish_reason: Raw = ABSENT
    usage: Raw = ABSENT


class Loose(msgspec.Struct, gc=False):
    """Whole replies, frames without text, and frames of a shape nobody wrote down."""

    id: Raw = ABSENT
    model: Raw = ABSENT
    service_tier: Raw = ABSENT
    choices: Raw = ABSENT
    data: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT
    timings: Raw = ABSENT
    base_resp: Raw = ABSENT
    code: Raw = ABSENT
    message: Raw = ABSENT

    def error_in(self, body: bytes) -> bytes:
        """The error that a reply with status 200 carries, b"" = none (protocols.md, section 8).

        `error` if truthy, a `base_resp` with a code other than 0 (MiniMax), or else the whole flat object with `code`
        and `message` and nothing to show (DashScope, SiliconFlow, SGLang).
        """
        if self.error is not ABSENT and is_error(self.error):
            return bytes(self.error)
        if self.base_resp is not ABSENT:
            try:
                if _decode_base_resp(self.base_resp).status_code != 0:
                    return bytes(self.base_resp)
            except FAILED:
                pass
        if (
            self.message is not ABSENT
            and bytes(self.message) not in (b"null", b'""')
            and bytes(self.code) not in _NO_CODE
            and bytes(self.choices) in _NOTHING
            and bytes(self.data) in _NOTHING
        ):
            return body.strip()
        return b""


class _BaseResp(msgspec.Struct, gc=False):
    status_code: int = 0


decode_chunk = msgspec.json.Decoder(Chunk).decode
decode_loose = msgspec.json.Decoder(Loose).decode
decode_choices = msgspec.json.Decoder(list[LooseChoice]).decode
_decode_base_resp = msgspec.json.Decoder(_BaseResp).decode
_decode_str = msgspec.json.Decoder(str).decode
_NO_CODE = (b"", b"null", b"0", b'""', b'"0"', b"200", b'"200"')
_NOTHING = (b"", b"null", b"[]")
_FALSY = (b"", b"null", b"false", b'""', b"{}", b"[]", b"0")


def is_error(raw: Raw) -> bool:
    """Whether the value of a top-level `error` is one: official clients raise on whatever is truthy."""
    return bytes(raw) not in _FALSY


def text_or_empty(raw: Raw) -> str:
    """The string in a JSON value; "" where it is none."""
    if raw is ABSENT:
        return ""
    try:
        return _decode_str(raw)
    except FAILED:
        return ""


def choices_or_none(raw: Raw) -> list[LooseChoice]:
    """The choices in a JSON value; none where it is no list of objects."""
    try:
        return decode_choices(raw)
    except FAILED:
        return []


def timings_report(usage: bytes, timings: Raw) -> bytes:
    """llama.cpp's `timings` as a usage report of its own; b"" where they add nothing.

    They stand beside the usage and say how much of the prompt was cached. Newer servers say it in the usage as well.
    """
    if b'"cached_tokens"' in usage or memoryview(timings)[0] != 0x7B:
        return b""
    return b'{"timings":' + bytes(timings) + b"}"


def utf8_len(text: str) -> int:
    """Length in UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode())
