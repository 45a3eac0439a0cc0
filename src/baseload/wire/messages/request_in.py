"""A client's Messages request -> canonical.

In:     the members of the body (`wire.body.open_body`). Out: `Request`, or a refusal that names the member at fault.
Members without a canonical meaning are in `others` by their full name ("speed", "tools.2.input_examples").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember, flag, unread, whole
from baseload.wire.canon.request import Choice, Format, Request, Text, Thought, Tool, Turn
from baseload.wire.messages.blocks_in import Others, cache_of, invalid, parts_of
from baseload.wire.raw import ABSENT, FAILED, NULL

_T = TypeVar("_T")

_NAMES = """
model messages max_tokens system tools tool_choice thinking output_config output_format temperature top_p top_k
stop_sequences metadata service_tier stream
"""
_READ = frozenset(_NAMES.split())
_ROLES = frozenset(("user", "assistant", "system"))
_MODES = {"auto": "auto", "any": "required", "none": "none", "tool": "tool"}
_THINKING = {"enabled": "on", "adaptive": "adaptive", "between_tools": "adaptive", "disabled": "off"}


class _Message(msgspec.Struct, gc=False):
    role: str
    content: Raw = ABSENT


class _ToolHead(msgspec.Struct, gc=False):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None
    cache_control: Raw = ABSENT


class _ToolChoice(msgspec.Struct, gc=False):
    type: str
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class _ThinkingConfig(msgspec.Struct, gc=False):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _OutputFormat(msgspec.Struct, gc=False):
    type: str
    schema: Raw = ABSENT


_list = msgspec.json.Decoder(list[Raw])
_members = msgspec.json.Decoder(dict[str, Raw])
_message = msgspec.json.Decoder(_Message)
_tool = msgspec.json.Decoder(_ToolHead)
_choice = msgspec.json.Decoder(_ToolChoice)
_thinking = msgspec.json.Decoder(_ThinkingConfig)
_format = msgspec.json.Decoder(_OutputFormat)
_float = msgspec.json.Decoder(float)
_str = msgspec.json.Decoder(str)
_strs = msgspec.json.Decoder(list[str])


def read(members: Mapping[str, Raw]) -> Request:
    try:
        return _read(members)
    except RecursionError:
        raise invalid("messages", "blocks are nested too deeply") from None


def _read(members: Mapping[str, Raw]) -> Request:
    others: Others = {name: raw for name, raw in members.items() if name not in _READ and raw != NULL}
    given = {name: raw for name, raw in members.items() if name in _READ and raw != NULL}
    for name in ("model", "messages"):
        if name not in given:
            raise InvalidMember(
                f"The request has no {name}.", f"Add {name}.", code="missing_required_parameter", param=name
            )
    choice, parallel = _tool_choice(given.get("tool_choice"), others)
    user, metadata = _metadata(given.get("metadata"))
    thought, form = _output(given, others)
    limit = _whole(given, "max_tokens")
    if limit == 0:  # it fills the cache only (protocols.md, 4.1)
        others["max_tokens"] = given["max_tokens"]
    stop = _maybe(given, "stop_sequences", _strs)
    return Request(
        protocol="messages",
        model=_value(given["model"], "model", _str),
        turns=_turns(given, others),
        stream=flag("stream", given.get("stream")),
        tools=_tools(given.get("tools"), others),
        choice=choice,
        parallel=parallel,
        format=form,
        thought=thought,
        max_output=limit or None,
        temperature=_maybe(given, "temperature", _float),
        top_p=_maybe(given, "top_p", _float),
        top_k=_whole(given, "top_k"),
        stop=() if stop is None else tuple(stop),
        user=user,
        metadata=metadata,
        tier=_maybe(given, "service_tier", _str) or "",
        others=others,
    )


def _value(raw: Raw, param: str, decoder: msgspec.json.Decoder[_T]) -> _T:
    try:
        return decoder.decode(raw)
    except FAILED as why:
        raise invalid(param, why) from None


def _maybe(members: Mapping[str, Raw], name: str, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    raw = members.get(name)
    return None if raw is None else _value(raw, name, decoder)


def _whole(members: Mapping[str, Raw], name: str) -> int | None:
    raw = members.get(name)
    if raw is None:
        return None
    value = whole(name, raw)
    if value < 0:
        raise InvalidMember(f"{name} is {value}; it must not be negative.", f"Raise {name}.", param=name)
    return value


def _turns(members: Mapping[str, Raw], others: Others) -> list[Turn]:
    turns: list[Turn] = []
    if "system" in members:
        parts = parts_of(members["system"], "system", others)
        if any(not isinstance(part, Text) for part in parts):
            raise invalid("system", "its blocks must be of type text")
        if parts:
            turns.append(Turn("system", parts))
    messages = _value(members["messages"], "messages", _list)
    for at, raw in enumerate(messages):
        param = f"messages.{at}"
        message = _value(raw, param, _message)
        if message.role not in _ROLES:
            raise invalid(f"{param}.role", "it must be user, assistant or system")
        if message.content is ABSENT:
            raise invalid(f"{param}.content", "it is missing")
        turns.append(Turn(message.role, parts_of(message.content, f"{param}.content", others)))
    return turns


def _tools(raw: Raw | None, others: Others) -> list[Tool]:
    if raw is None:
        return []
    tools = _value(raw, "tools", _list)
    return [_tool_of(item, f"tools.{at}", others) for at, item in enumerate(tools)]


def _tool_of(raw: Raw, param: str, others: Others) -> Tool:
    head = _value(raw, param, _tool)
    cache = cache_of(head.cache_control)
    if head.type not in (None, "custom"):  # versioned server tools, and client tools the vendor defines
        return Tool(name=head.name or str(head.type), kind="builtin", protocol="messages", raw=raw, cache=cache)
    if not head.name:
        raise invalid(f"{param}.name", "it is missing")
    others |= unread(raw, _ToolHead.__struct_fields__, param)
    schema = ABSENT if head.input_schema == NULL else head.input_schema
    return Tool(name=head.name, description=head.description or "", schema=schema, strict=head.strict, cache=cache)


def _tool_choice(raw: Raw | None, others: Others) -> tuple[Choice | None, bool | None]:
    if raw is None:
        return None, None
    head = _value(raw, "tool_choice", _choice)
    others |= unread(raw, _ToolChoice.__struct_fields__, "tool_choice")
    mode = _MODES.get(head.type)
    if mode is None:
        raise invalid("tool_choice.type", "it must be auto, any, tool or none")
    if mode == "tool" and not head.name:
        raise invalid("tool_choice.name", "it is missing")
    parallel = None if head.disable_parallel_tool_use is None else not head.disable_parallel_tool_use
    return Choice(mode, (head.name,) if mode == "tool" else ()), parallel


def _metadata(raw: Raw | None) -> tuple[str, Raw]:
    if raw is None:
        return "", ABSENT
    members = _value(raw, "metadata", _members)
    user = members.pop("user_id", NULL)
    return "" if user == NULL else _value(user, "metadata.user_id", _str), raw if members else ABSENT


def _output(members: Mapping[str, Raw], others: Others) -> tuple[Thought | None, Format | None]:
    """How much to think, and the format of the answer: both may stand in output_config."""
    config = _maybe(members, "output_config", _members) or {}
    said = config.get("effort", NULL)
    effort = "" if said == NULL else _value(said, "output_config.effort", _str)
    raw, param = config.get("format", NULL), "output_config.format"
    if raw == NULL:
        raw, param = members.get("output_format", NULL), "output_format"  # its name before it was released
    others |= unread(config, ("effort", "format"), "output_config")
    form = None
    if raw != NULL:
        head = _value(raw, param, _format)
        if head.type != "json_schema" or head.schema in (ABSENT, NULL):
            raise invalid(param, "it must be a json_schema with its schema")
        others |= unread(raw, _OutputFormat.__struct_fields__, param)
        form = Format(kind="schema", schema=head.schema)
    return _thought(members.get("thinking"), effort, others), form


def _thought(raw: Raw | None, effort: str, others: Others) -> Thought | None:
    if raw is None:
        return Thought(effort=effort) if effort else None
    config = _value(raw, "thinking", _thinking)
    mode = _THINKING.get(config.type)
    if mode is None:
        raise invalid("thinking.type", "it must be enabled, adaptive, between_tools or disabled")
    if config.type == "between_tools":
        others["thinking.type"] = Raw(b'"between_tools"')
    others |= unread(raw, _ThinkingConfig.__struct_fields__, "thinking")
    show = config.display != "omitted" if mode != "off" else None
    return Thought(mode=mode, effort=effort, budget=config.budget_tokens if mode == "on" else None, show=show)
