"""Input items -> turns.

In:     the raw `input` array. Out: turns in the items' order.
A Responses conversation is flat: what an assistant says, thinks and calls in a row is one assistant turn, tool outputs
in a row are one user turn (parallel results belong together: protocols.md, pitfall 6). Built-in call items, item
references and compactions are kept as `Opaque`: only their own provider knows what they mean.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember
from baseload.wire.canon.ids import native
from baseload.wire.canon.request import AnyPart, Media, Opaque, Place, Text, Thinking, ToolCall, ToolResult, Turn
from baseload.wire.canon.signature import unseal
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.responses.parts_in import broken, read_content

_ROLES = ("user", "assistant", "system", "developer")
_USERS_ITEMS = ("computer_call_output", "mcp_approval_response", "item_reference", "additional_tools")


class _Text(msgspec.Struct, gc=False):
    text: str = ""


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    role: str | None = None
    content: Raw = ABSENT
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: Raw = ABSENT
    summary: list[_Text] | None = None
    encrypted_content: str | None = None


class _Head(msgspec.Struct, gc=False):
    """Of an item that no reader is for, only its type: its members may be of any kind."""

    type: str | None = None
    id: Raw = ABSENT


_decode_item = msgspec.json.Decoder(_Item).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_texts = msgspec.json.Decoder(list[_Text] | None).decode


def read_items(raw: Raw, places: list[Place]) -> list[Turn]:
    """The turns; `places` gets what the client calls each and its parts."""
    try:
        items = _decode_list(raw)
    except FAILED:
        raise broken("input") from None
    turns: list[Turn] = []
    last = ""  # what the open turn takes more of: "assistant", "results", or nothing
    for at, item in enumerate(items):
        where = f"input[{at}]"
        role, gathers, parts = _read(item, where)
        if gathers and gathers == last:
            turns[-1].parts += parts
        else:
            turns.append(Turn(role, parts))
            places.append(Place(where, []))
        single = len(parts) == 1 and not isinstance(parts[0], Text | Media)  # a call, a result: the item itself
        places[-1].parts += [where] if single else [f"{where}.content[{part}]" for part in range(len(parts))]
        last = gathers
    return turns


def _read(raw: Raw, where: str) -> tuple[str, str, list[AnyPart]]:
    """Role, what it gathers with, parts."""
    try:
        head = _decode_head(raw)
    except FAILED:
        raise broken(where) from None
    kind = head.type
    read = _READERS.get(kind or "message")
    if read is None or (kind is None and b'"role"' not in bytes(raw)):
        return _opaque(raw, kind or "item_reference")
    try:
        item = _decode_item(raw)
    except FAILED:
        raise broken(where) from None
    return read(item, where)


def _message(item: _Item, where: str) -> tuple[str, str, list[AnyPart]]:
    role = item.role or ""
    if role not in _ROLES:
        raise InvalidMember(
            f"{where}.role must be one of {', '.join(_ROLES)}.", "Send one of them.", param=f"{where}.role"
        )
    return role, "assistant" if role == "assistant" else "", read_content(item.content, f"{where}.content")


def _call(item: _Item, where: str) -> tuple[str, str, list[AnyPart]]:
    custom = item.type == "custom_tool_call"
    arguments = item.input if custom else item.arguments
    call = ToolCall(
        id=_call_id(item, where),
        name=item.name or "",
        arguments=arguments or "",
        kind="custom" if custom else "function",
    )
    return "assistant", "assistant", [call]


def _result(item: _Item, where: str) -> tuple[str, str, list[AnyPart]]:
    content: list[Text | Media] = []
    for at, part in enumerate(read_content(item.output, f"{where}.output")):
        if not isinstance(part, Text | Media):
            raise InvalidMember(
                f"{where}.output[{at}] is of a type that a tool's output cannot have.",
                "Send input_text, input_image or input_file.",
                param=f"{where}.output[{at}]",
            )
        content.append(part)
    return "user", "results", [ToolResult(id=_call_id(item, where), content=content)]


def _reasoning(item: _Item, where: str) -> tuple[str, str, list[AnyPart]]:
    try:
        said = None if item.content is ABSENT else _decode_texts(item.content)
    except FAILED:
        raise broken(f"{where}.content") from None
    texts, summary = (said, False) if said else (item.summary or [], True)
    text = "\n\n".join([part.text for part in texts])
    encrypted = item.encrypted_content or ""
    sealed = unseal(encrypted)
    if sealed is None:
        thought = Thinking(text=text, signature=encrypted, summary=summary and bool(text), id=item.id or "")
    else:
        thought = Thinking(
            text=text if sealed.text is None else sealed.text,
            signature=sealed.signature,
            redacted=sealed.redacted,
            origin=sealed.origin,
        )
    return "assistant", "assistant", [thought]


def _opaque(raw: Raw, kind: str) -> tuple[str, str, list[AnyPart]]:
    part = Opaque(protocol="responses", what=kind, raw=raw)
    if kind.endswith("_output") or kind in _USERS_ITEMS:
        return "user", "", [part]
    return "assistant", "assistant", [part]


def _call_id(item: _Item, where: str) -> str:
    if not item.call_id:
        raise InvalidMember(
            f"{where} has no call_id.",
            "Add the call_id that links a call and its output.",
            code="missing_required_parameter",
            param=f"{where}.call_id",
        )
    return native(item.call_id)


_READERS: dict[str, Callable[[_Item, str], tuple[str, str, list[AnyPart]]]] = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "reasoning": _reasoning,
}
