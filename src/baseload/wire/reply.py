"""Reads a whole (not streamed) reply of `chat`, `completions` or `embeddings`. Never raises: garbage is a fact too.

In:     the body bytes. Out: `Reply`. HTTP 200 does not mean success: see `Reply.error`.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.meter import _ABSENT, _FAILED, is_error, is_failed_base_resp, is_flat_error


class _Message(msgspec.Struct, gc=False):
    content: Raw = _ABSENT
    reasoning_content: Raw = _ABSENT
    reasoning: Raw = _ABSENT
    refusal: Raw = _ABSENT
    tool_calls: Raw = _ABSENT


class _Choice(msgspec.Struct, gc=False):
    finish_reason: Raw = _ABSENT
    message: Raw = _ABSENT
    text: Raw = _ABSENT
    usage: Raw = _ABSENT


class _Body(msgspec.Struct, gc=False):
    usage: Raw = _ABSENT
    model: Raw = _ABSENT
    service_tier: Raw = _ABSENT
    id: Raw = _ABSENT
    choices: Raw = _ABSENT
    data: Raw = _ABSENT
    error: Raw = _ABSENT
    code: Raw = _ABSENT
    message: Raw = _ABSENT
    base_resp: Raw = _ABSENT
    timings: Raw = _ABSENT


_decode = msgspec.json.Decoder(_Body).decode
_decode_choices = msgspec.json.Decoder(list[_Choice]).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_str = msgspec.json.Decoder(str).decode
_NULL = b"null"


class Reply(msgspec.Struct, gc=False):
    """What a whole reply says about itself."""

    usage: bytes = b""  # the provider's object, byte for byte; b"" = none
    usages: list[bytes] = []  # the same for `usage.normalise`, with llama.cpp's timings where they stand beside it
    model: str = ""
    service_tier: str = ""
    id: str = ""
    error: bytes = b""  # an error in a 200 body: the `error` value, the `base_resp`, or the whole flat object
    finish_reasons: tuple[str, ...] = ()
    text_bytes: int = 0  # about the bytes of generated text, for counting where usage is missing
    malformed: bool = False  # not a JSON object


def read_reply(endpoint: str, body: bytes) -> Reply:
    """Facts of a reply body. `endpoint` decides where generated text stands."""
    try:
        found = _decode(body)
    except _FAILED:
        try:
            found = _decode(half_surrogates_masked(body))
        except _FAILED:
            return Reply(malformed=True)
    reply = Reply(model=_text(found.model), service_tier=_text(found.service_tier), id=_text(found.id))
    choices: list[_Choice] = []
    if endpoint != "embeddings" and found.choices is not _ABSENT:
        try:
            choices = _decode_choices(found.choices)
        except _FAILED:
            choices = []
    usages: list[bytes] = []
    if choices:
        reply.finish_reasons = tuple(
            [
                reason
                for choice in choices
                if choice.finish_reason is not _ABSENT and (reason := _text(choice.finish_reason))
            ]
        )
        for choice in choices:
            if choice.usage is not _ABSENT and (raw := bytes(choice.usage)).startswith(b"{"):
                usages.append(raw)
                break
    raw = bytes(found.usage)
    if raw.startswith(b"{"):
        usages.append(raw)
    if usages:
        reply.usage = usages[-1]
        timings = bytes(found.timings)
        if timings.startswith(b"{"):
            usages.append(b'{"timings":' + timings + b"}")
        reply.usages = usages
    else:
        reply.text_bytes = sum(map(_text_bytes, choices))
    if is_error(found.error):
        reply.error = bytes(found.error)
    elif found.base_resp is not _ABSENT and is_failed_base_resp(found.base_resp):
        reply.error = bytes(found.base_resp)
    elif not choices and bytes(found.data) in (b"", _NULL) and is_flat_error(found.code, found.message):
        reply.error = body.strip()
    return reply


def _text(raw: Raw) -> str:
    if raw is _ABSENT:
        return ""
    try:
        return _decode_str(raw)
    except _FAILED:
        return ""


def _text_bytes(choice: _Choice) -> int:
    parts = [choice.text]
    try:
        message = _decode_message(choice.message)
        parts += [message.content, message.reasoning_content or message.reasoning, message.refusal, message.tool_calls]
    except _FAILED:
        pass
    return sum(len(part) - 2 for part in parts if len(part) > 2 and bytes(part) != _NULL)
