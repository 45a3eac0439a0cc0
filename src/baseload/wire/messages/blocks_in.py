"""Content blocks of a request -> canonical parts.

In:     the raw `content` of a message, a tool result or `system`, and how it is called in refusals.
Out:    parts. What has no canonical meaning beside a block that has one is put into `others` under its full name, so
        that whoever writes the request knows what is lost; a block that only this protocol knows becomes `Opaque`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember
from baseload.wire.canon import ids
from baseload.wire.canon.request import AnyPart, Media, Opaque, Text, Thinking, ToolCall, ToolResult
from baseload.wire.canon.signature import MARK, unseal
from baseload.wire.raw import ABSENT, FAILED, NULL

Others = dict[str, Raw]
_MARK = MARK.decode()
_QUOTE, _ARRAY, _OBJECT = 0x22, 0x5B, 0x7B


class _Block(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    source: Raw = ABSENT
    content: Raw = ABSENT
    id: str = ""
    name: str = ""
    input: Raw = ABSENT
    tool_use_id: str = ""
    is_error: bool | None = None
    thinking: str = ""
    signature: str | None = None
    data: str = ""
    cache_control: Raw = ABSENT
    citations: Raw = ABSENT
    title: str | None = None
    context: Raw = ABSENT
    transformations: Raw = ABSENT
    caller: Raw = ABSENT


class _Source(msgspec.Struct, gc=False):
    type: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    content: Raw = ABSENT


class _Mark(msgspec.Struct, gc=False):
    ttl: str | None = None


class _Switch(msgspec.Struct, gc=False):
    enabled: bool | None = None


class _Caller(msgspec.Struct, gc=False):
    type: str = ""


_str = msgspec.json.Decoder(str).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_block = msgspec.json.Decoder(_Block).decode
_search = msgspec.json.Decoder(dict[str, Raw]).decode
_source = msgspec.json.Decoder(_Source).decode
_mark = msgspec.json.Decoder(_Mark).decode
_switch = msgspec.json.Decoder(_Switch).decode
_caller = msgspec.json.Decoder(_Caller).decode


def invalid(param: str, why: object = "", fix: str = "") -> InvalidMember:
    """The refusal of a member with an impossible value; `why` may be what the decoder says."""
    say = f"{param} cannot be read: {why}." if str(why) else f"{param} cannot be read."
    return InvalidMember(say, fix or f"Send {param} as the Messages API takes it.", code="invalid_type", param=param)


def parts_of(raw: Raw, param: str, others: Others) -> list[AnyPart]:
    """The parts of a content value: a string or an array of blocks."""
    first = memoryview(raw)[0]
    if first not in (_QUOTE, _ARRAY):
        raise invalid(param, "it must be a string or an array of blocks")
    try:
        if first == _QUOTE:
            return [Text(text=_str(raw))]
        items = _list(raw)
    except FAILED as why:
        raise invalid(param, why) from None
    return [part_of(item, f"{param}.{at}", others) for at, item in enumerate(items)]


def part_of(raw: Raw, param: str, others: Others) -> AnyPart:
    """One block."""
    try:
        block = _block(raw)
    except FAILED as why:
        raise invalid(param, why) from None
    reader = _READERS.get(block.type)
    if reader is None:
        return Opaque(protocol="messages", what=block.type, raw=raw, cache=cache_of(block.cache_control))
    part = reader(block, raw, param, others)
    if block.cache_control is not ABSENT:
        part.cache = cache_of(block.cache_control)
    return part


def cache_of(raw: Raw) -> str:
    """The lifetime of a cache mark; "" where there is none. Five minutes where it says none."""
    if raw is ABSENT or raw == NULL:
        return ""
    try:
        return _mark(raw).ttl or "5m"
    except FAILED:
        return "5m"


def _text(block: _Block, raw: Raw, param: str, others: Others) -> AnyPart:
    if block.text is None:
        raise invalid(f"{param}.text", "it is missing")
    citations: tuple[Raw, ...] = ()
    if block.citations is not ABSENT and block.citations != NULL:
        try:
            citations = tuple(_list(block.citations))
        except FAILED as why:
            raise invalid(f"{param}.citations", why) from None
    return Text(text=block.text, citations=citations, citations_of="messages" if citations else "")


def _image(block: _Block, raw: Raw, param: str, others: Others) -> AnyPart:
    _leave(others, f"{param}.transformations", block.transformations)
    return _media("image", _source_of(block, param))


def _document(block: _Block, raw: Raw, param: str, others: Others) -> AnyPart:
    source = _source_of(block, param)
    _leave(others, f"{param}.context", block.context)
    if _is_on(block.citations):
        _leave(others, f"{param}.citations", block.citations)
    name = block.title or ""
    if source.type == "text":
        return Media(kind="document", mime=source.media_type or "text/plain", text=source.data, name=name)
    if source.type == "content":
        parts = parts_of(source.content, f"{param}.source.content", others) if source.content is not ABSENT else []
        texts = [part.text for part in parts if isinstance(part, Text)]
        if len(texts) < len(parts):
            return Opaque(protocol="messages", what="document", raw=raw)
        return Media(kind="document", mime="text/plain", text="\n".join(texts), name=name)
    media = _media("document", source)
    media.name = name
    return media


def _media(kind: str, source: _Source) -> Media:
    return Media(kind=kind, mime=source.media_type, data=source.data, url=source.url, file=source.file_id)


def _source_of(block: _Block, param: str) -> _Source:
    if block.source is ABSENT:
        raise invalid(f"{param}.source", "it is missing")
    try:
        source = _source(block.source)
    except FAILED as why:
        raise invalid(f"{param}.source", why) from None
    if not (source.data or source.url or source.file_id or source.type in ("text", "content")):
        raise invalid(f"{param}.source", "it holds no data, url or file_id")
    return source


def _tool_use(block: _Block, raw: Raw, param: str, others: Others) -> AnyPart:
    if not block.id or not block.name:
        raise invalid(f"{param}.{'name' if block.id else 'id'}", "it is missing")
    arguments = ""
    if block.input is not ABSENT and block.input != NULL:
        if memoryview(block.input)[0] != _OBJECT:
            raise invalid(f"{param}.input", "it must be an object")
        arguments = bytes(block.input).decode()
    if block.caller is not ABSENT and _kind_of(block.caller) not in ("", "direct"):
        _leave(others, f"{param}.caller", block.caller)
    return ToolCall(id=ids.native(block.id), name=block.name, arguments=arguments)


def _tool_result(block: _Block, raw: Raw, param: str, others: Others) -> AnyPart:
    if not block.tool_use_id:
        raise invalid(f"{param}.tool_use_id", "it is missing")
    content: list[Text | Media] = []
    if block.content is not ABSENT and block.content != NULL:
        for part in parts_of(block.content, f"{param}.content", others):
            if isinstance(part, Opaque) and part.what == "search_result":
                part = _found(part.raw, f"{param}.content", others)
            if not isinstance(part, Text | Media):  # a tool reference, a browser's state: nobody else knows them
                what = part.what if isinstance(part, Opaque) else "block"
                return Opaque(protocol="messages", what=f"tool_result.{what}", raw=raw)
            content.append(part)
    return ToolResult(id=ids.native(block.tool_use_id), content=content, is_error=bool(block.is_error))


def _found(raw: Raw, param: str, others: Others) -> Text | Opaque:
    """A search result inside a tool result: title, source and text are what a model reads of it."""
    try:
        members = _search(raw)
        head = [_str(members[name]) for name in ("title", "source") if name in members]
        parts = parts_of(members["content"], f"{param}.content", others)
    except (KeyError, *FAILED) as why:
        raise invalid(param, why) from None
    _leave(others, f"{param}.citations", members.get("citations", ABSENT))
    return Text(text="\n".join([*head, *(part.text for part in parts if isinstance(part, Text))]))


def _thinking(block: _Block, raw: Raw, param: str, others: Others) -> AnyPart:
    return _thought(block.signature or "", block.thinking, redacted=False)


def _redacted(block: _Block, raw: Raw, param: str, others: Others) -> AnyPart:
    return _thought(block.data, "", redacted=True)


def _thought(signature: str, text: str, *, redacted: bool) -> Thinking:
    """Thinking with its origin; a damaged seal is nobody's signature."""
    sealed = unseal(signature)
    if sealed is not None:
        return Thinking(
            text=text if sealed.text is None else sealed.text,
            signature=sealed.signature,
            redacted=sealed.redacted,
            origin=sealed.origin,
        )
    if signature.startswith(_MARK):
        return Thinking(text=text)
    return Thinking(text=text, signature=signature, redacted=redacted)


_Reader = Callable[[_Block, Raw, str, Others], AnyPart]
_READERS: dict[str, _Reader] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}


def _leave(others: Others, param: str, raw: Raw) -> None:
    if raw is not ABSENT and raw != NULL:
        others[param] = raw


def _is_on(raw: Raw) -> bool:
    if raw is ABSENT or raw == NULL:
        return False
    try:
        return bool(_switch(raw).enabled)
    except FAILED:
        return True


def _kind_of(raw: Raw) -> str:
    if raw == NULL:
        return ""
    try:
        return _caller(raw).type
    except FAILED:
        return "?"
