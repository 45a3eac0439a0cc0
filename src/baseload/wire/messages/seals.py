"""Thinking that came back sealed, in a body that is otherwise forwarded as it came.

In:     the raw `messages` of a request, and whose signatures are good where it goes.
Out:    the same bytes with that thinking unsealed and everybody else's cut out and named (`canon/signature.py`); the
        client got it from a provider of another protocol, to which the conversation has gone back, or has not.
Nothing else changes, not a space: what stands before it may be in the provider's cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from msgspec import Raw

from baseload.wire.canon.signature import MARK, Sealed, unseal
from baseload.wire.raw import ABSENT, FAILED

_SECRETS = {"thinking": "signature", "redacted_thinking": "data"}
"""Block type -> its member that may be sealed."""

# Possessive: a string of 20 MB (an image) leaves nothing on the matcher's stack.
_token = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}:,]', re.DOTALL)


class _Turn(msgspec.Struct, gc=False):
    role: str = ""
    type: str = ""  # of a block
    content: Raw = ABSENT


_turn = msgspec.json.Decoder(_Turn).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_str = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_Span = tuple[int, int]
_Edit = Callable[[bytes, int], bytes | None]


def opened_here(messages: Raw, origin: str, lost: list[str]) -> Raw:
    """The messages with what is sealed for `origin` as its maker wants it, and no other sealed block: `lost` gets its
    name."""
    whole = bytes(messages)
    try:
        items = _list(whole)
    except FAILED:
        return messages
    return Raw(_edited_array(whole, items, lambda item, at: _message(item, f"messages.{at}", origin, lost)))


def unproven(messages: Raw) -> bool:
    """Whether the assistant's last turn called tools without the thinking that led to them: then the vendor does not
    think by a budget about their results."""
    try:
        turns = [_turn(item) for item in _list(messages)]
        last = next((bytes(turn.content) for turn in reversed(turns) if turn.role == "assistant"), b"")
        kinds = [_turn(block).type for block in _list(last)] if last[:1] == b"[" else []
    except FAILED:
        return False
    return "tool_use" in kinds and kinds[0] not in _SECRETS


def _message(message: bytes, at: str, origin: str, lost: list[str]) -> bytes | None:
    """None = nothing is left of it: providers refuse a message without content."""
    span = _members(message).get("content")
    if span is None:
        return message
    content = message[span[0] : span[1]]
    try:
        blocks = _list(content)
    except FAILED:
        return message
    edited = _edited_array(content, blocks, lambda block, number: _block(block, f"{at}.content.{number}", origin, lost))
    if edited == content:
        return message
    if edited.translate(None, b" \t\r\n") == b"[]":
        return None
    return message[: span[0]] + edited + message[span[1] :]


def _block(block: bytes, name: str, origin: str, lost: list[str]) -> bytes | None:
    spans = _members(block)
    kind = _text(block, spans.get("type"))
    at = spans.get(_SECRETS.get(kind, ""))
    sealed = unseal(_text(block, at)) if at is not None else None
    if sealed is None or at is None:
        return block
    if not origin or sealed.origin != origin:
        lost.append(name)
        return None
    return _unsealed(block, at, spans.get("thinking"), sealed)


def _unsealed(block: bytes, at: _Span, thinking: _Span | None, sealed: Sealed) -> bytes:
    changes = [(at, _encode(sealed.signature))]
    if sealed.text is not None and thinking is not None:
        changes.append((thinking, _encode(sealed.text)))
    for (begin, end), value in sorted(changes, reverse=True):
        block = block[:begin] + value + block[end:]
    return block


def _edited_array(whole: bytes, items: list[Raw], edit: _Edit) -> bytes:
    """The array with each element that carries a seal edited; one that becomes None goes with the comma before it.

    An element's bytes cannot occur earlier than where it stands, once the search begins behind the one before it:
    between them are only white space and a comma.
    """
    pieces: list[bytes] = []
    end = 1  # of the element before; first of all the bracket
    head = b""
    for number, item in enumerate(items):
        text = bytes(item)
        begin = whole.index(text, end)
        gap, end = whole[end:begin], begin + len(text)
        head = head or whole[:begin]
        edited = edit(text, number) if MARK in text else text
        if edited is not None:
            pieces += (gap if pieces else b"", edited)
    return b"".join([head or whole[:1], *pieces, whole[end:]])


def _members(raw: bytes) -> dict[str, _Span]:
    """Where the values of an object's members stand; of duplicates the last, as other readers take it."""
    if raw[:1] != b"{":
        return {}
    spans: dict[str, _Span] = {}
    depth = 0
    name = ""
    begin = -1
    key = b""
    for token in _token.finditer(raw):
        mark = token[0][:1]
        if mark == b'"':
            if depth == 1 and begin < 0:
                key = token[0]
        elif mark in b"[{":
            depth += 1
        elif mark == b":":
            if depth == 1:
                name, begin = _str(key), token.end()
        else:
            if depth == 1 and begin >= 0:  # a comma or the closing brace ends the value
                spans[name] = _trimmed(raw, begin, token.start())
                begin = -1
            if mark in b"]}":
                depth -= 1
    return spans


def _trimmed(raw: bytes, begin: int, end: int) -> _Span:
    value = raw[begin:end]
    begin += len(value) - len(value.lstrip())
    return begin, begin + len(value.strip())


def _text(raw: bytes, span: _Span | None) -> str:
    if span is None:
        return ""
    try:
        return _str(raw[span[0] : span[1]])
    except FAILED:
        return ""
