"""A client's Responses request -> the canonical form.

In:     the members of the body. Out: `Request`, or a refusal that names the member at fault.
Members that say only what every reply does anyway (`store: false`, `background: false`, `truncation: "disabled"`,
`include: ["reasoning.encrypted_content"]`) are done with here; what has no canonical meaning is in `others`, and the
table in `canon/carry.py` says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember, count, flag, unread, whole
from baseload.wire.canon.request import Choice, Format, Place, Request, Text, Thought, Tool, Turn, link
from baseload.wire.raw import ABSENT, FAILED, NULL
from baseload.wire.responses.items_in import read_items
from baseload.wire.responses.parts_in import broken

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _Format(msgspec.Struct, gc=False):
    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class _TextConfig(msgspec.Struct, gc=False):
    format: _Format | None = None
    verbosity: str | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class _BuiltIn(msgspec.Struct, gc=False):
    type: str


class _Named(msgspec.Struct, gc=False):
    type: str = ""
    name: str | None = None


class _Choice(msgspec.Struct, gc=False):
    type: str = ""
    name: str | None = None
    mode: str | None = None
    tools: list[_Named] | None = None


_KINDS: dict[Any, Callable[[Any], Any]] = {
    kind: msgspec.json.Decoder(kind).decode
    for kind in (str, float, list[str], list[Raw], _Reasoning, _TextConfig, _Tool, _BuiltIn, _Choice)
}
_FORMATS = {"text": "text", "json_object": "json", "json_schema": "schema"}


def read(members: Mapping[str, Raw]) -> Request:
    """The request in canonical form. Raises `Refusal`."""
    request = Request(protocol="responses", model=_as(str, members.get("model", NULL), "model"), turns=[])
    others = request.others = {}
    for name, raw in members.items():
        if raw == NULL:
            continue
        take = _TAKERS.get(name)
        if take is None or not take(request, raw):
            others[name] = raw
    if "instructions" in members:
        _put_instructions(request, members["instructions"])
    link(request)
    return request


def _as(kind: Any, raw: Raw, name: str) -> Any:
    try:
        return _KINDS[kind](raw)
    except FAILED:
        raise broken(name) from None


def _put_instructions(request: Request, raw: Raw) -> None:
    if raw == NULL:
        return
    text = _as(str, raw, "instructions")
    if text:
        request.turns.insert(0, Turn("system", [Text(text=text)]))
        request.places.insert(0, Place("instructions", ["instructions"]))


def _input(request: Request, raw: Raw) -> bool:
    if memoryview(raw)[0] == 0x22:
        request.turns.append(Turn("user", [Text(text=_as(str, raw, "input"))]))
        request.places.append(Place("input", ["input"]))
    else:
        request.turns += read_items(raw, request.places)
    return True


def _tools(request: Request, raw: Raw) -> bool:
    for at, tool in enumerate(_as(list[Raw], raw, "tools")):
        request.tools.append(_tool(tool, f"tools[{at}]", request.others))
    return True


def _tool(raw: Raw, where: str, others: dict[str, Raw]) -> Tool:
    kind = _as(_BuiltIn, raw, where).type
    if kind not in ("function", "custom"):
        return Tool(name=kind, kind="builtin", protocol="responses", raw=raw)
    tool = _as(_Tool, raw, where)
    if not tool.name:
        raise InvalidMember(f"{where} has no name.", "Name the tool.", param=f"{where}.name")
    if kind == "custom":
        return Tool(name=tool.name, description=tool.description or "", kind=kind, protocol="responses", raw=raw)
    others |= unread(raw, _Tool.__struct_fields__, where)
    return Tool(
        name=tool.name,
        description=tool.description or "",
        schema=ABSENT if tool.parameters == NULL else tool.parameters,
        strict=tool.strict,
    )


def _choice(request: Request, raw: Raw) -> bool:
    if memoryview(raw)[0] == 0x22:
        mode = _as(str, raw, "tool_choice")
        if mode not in ("auto", "none", "required"):
            raise InvalidMember(
                "tool_choice must be auto, none, required or an object.", "Send one of them.", param="tool_choice"
            )
        request.choice = Choice(mode)
        return True
    choice = _as(_Choice, raw, "tool_choice")
    if choice.type in ("function", "custom") and choice.name:
        request.choice = Choice("tool", (choice.name,))
        return True
    if choice.type == "allowed_tools" and choice.mode in ("auto", "required"):
        tools = choice.tools or []
        if all(tool.type in ("function", "custom") and tool.name for tool in tools):
            request.choice = Choice(choice.mode, tuple(tool.name for tool in tools if tool.name))
            return True
    return False  # a built-in tool


def _text(request: Request, raw: Raw) -> bool:
    config = _as(_TextConfig, raw, "text")
    request.verbosity = config.verbosity or ""
    request.others |= unread(raw, _TextConfig.__struct_fields__, "text")
    if config.format is not None:
        form = config.format
        kind = _FORMATS.get(form.type)
        if kind is None:
            raise InvalidMember(
                f"text.format.type must be one of {', '.join(_FORMATS)}.", "Send one of them.", param="text.format"
            )
        request.format = Format(
            kind=kind,
            schema=ABSENT if form.schema == NULL else form.schema,
            name=form.name or "",
            description=form.description or "",
            strict=form.strict,
        )
    return True


def _thought(request: Request, raw: Raw) -> bool:
    said = _as(_Reasoning, raw, "reasoning")
    request.others |= unread(raw, _Reasoning.__struct_fields__, "reasoning")
    summary = said.summary or said.generate_summary or ""
    thought = Thought(show=True if summary else None, summary=summary)
    if said.effort == "none":
        thought.mode = "off"
    elif said.effort:
        thought.mode, thought.effort = "on", said.effort
    if thought.mode or summary:
        request.thought = thought
    return True


def _include(request: Request, raw: Raw) -> bool:
    names = _as(list[str], raw, "include")
    if LOGPROBS in names:
        request.logprobs = True
    return all(name in (ENCRYPTED, LOGPROBS) for name in names)


def _top_logprobs(request: Request, raw: Raw) -> bool:
    top = whole("top_logprobs", raw)
    if top:
        request.logprobs, request.top_logprobs = True, top
    return True


def _user(request: Request, raw: Raw) -> bool:
    request.user = _as(str, raw, "safety_identifier")
    return True


def _old_user(request: Request, raw: Raw) -> bool:
    request.user = request.user or _as(str, raw, "user")
    return True


def _only(*values: bytes) -> Callable[[Request, Raw], bool]:
    """Done with, where it says what is so anyway."""
    harmless = frozenset(values)
    return lambda request, raw: bytes(raw) in harmless


def _put(field: str, kind: Any, member: str) -> Callable[[Request, Raw], bool]:
    def take(request: Request, raw: Raw) -> bool:
        setattr(request, field, _as(kind, raw, member))
        return True

    return take


def _flag(field: str, member: str) -> Callable[[Request, Raw], bool]:
    def take(request: Request, raw: Raw) -> bool:
        setattr(request, field, flag(member, raw))
        return True

    return take


def _max_output(request: Request, raw: Raw) -> bool:
    request.max_output = count("max_output_tokens", raw) or None
    return True


def _metadata(request: Request, raw: Raw) -> bool:
    if memoryview(raw)[0] != 0x7B:
        raise broken("metadata")
    if bytes(raw).translate(None, b" \t\r\n") != b"{}":
        request.metadata = raw
    return True


_TAKERS: dict[str, Callable[[Request, Raw], bool]] = {
    # Each takes its member and says whether it is done with; else the member is one of `others`.
    "model": lambda request, raw: True,
    "input": _input,
    "instructions": lambda request, raw: True,
    "stream": _flag("stream", "stream"),
    "stream_options": lambda request, raw: True,  # padding only
    "tools": _tools,
    "tool_choice": _choice,
    "parallel_tool_calls": _flag("parallel", "parallel_tool_calls"),
    "text": _text,
    "reasoning": _thought,
    "include": _include,
    "max_output_tokens": _max_output,
    "temperature": _put("temperature", float, "temperature"),
    "top_p": _put("top_p", float, "top_p"),
    "top_logprobs": _top_logprobs,
    "safety_identifier": _user,
    "user": _old_user,
    "metadata": _metadata,
    "service_tier": _put("tier", str, "service_tier"),
    "prompt_cache_key": _put("cache_key", str, "prompt_cache_key"),
    "store": _only(b"false"),
    "background": _only(b"false"),
    "truncation": _only(b'"disabled"'),
}
