"""Tools, tool choice, response format and thinking settings of a chat request -> canonical.

In:     members of a request. Out: `Tool`, `Choice`, `Format`, `Thought`. The old `functions` and `function_call` too.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from baseload.wire.ask import InvalidMember, unread
from baseload.wire.canon.request import Choice, Format, Thought, Tool
from baseload.wire.chat.parts_in import cache_of
from baseload.wire.chat.values import (
    QUOTE,
    array,
    boolean,
    first_byte,
    integer,
    needed,
    object_,
    said,
    string,
    string_or,
)
from baseload.wire.raw import ABSENT

WEB_SEARCH = "web_search_options"
"""Name of the built-in tool that chat switches on by this member of the request."""

_MODES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}  # any: Mistral


_TOOL = ("type", "function", "cache_control", "prompt_cache_breakpoint")
_FUNCTION = ("name", "description", "parameters", "strict", "cache_control", "prompt_cache_breakpoint")


def tools_of(members: Mapping[str, Raw], others: dict[str, Raw]) -> list[Tool]:
    """The tools; what nobody knows of a function goes into `others`."""
    tools: list[Tool] = []
    raw = said(members, "tools")
    for at, item in enumerate(() if raw is None else array(raw, "tools")):
        param = f"tools.{at}"
        found = object_(item, param)
        kind = string_or(found, "type", f"{param}.type") or "function"
        if kind == "function":
            others |= unread(found, _TOOL, param)
            tool = _function(needed(found, "function", f"{param}.function"), f"{param}.function", others)
        elif kind == "custom":
            inner = object_(needed(found, "custom", f"{param}.custom"), f"{param}.custom")
            tool = Tool(
                name=string(needed(inner, "name", f"{param}.custom.name"), f"{param}.custom.name"),
                description=string_or(inner, "description", f"{param}.custom.description"),
                kind="custom",
                protocol="chat",
                raw=item,
            )
        else:
            tool = Tool(name=kind, kind="builtin", protocol="chat", raw=item)
        tool.cache = cache_of(found, param, "30m") or tool.cache
        tools.append(tool)
    raw = said(members, "functions")
    for at, item in enumerate(() if raw is None else array(raw, "functions")):
        tools.append(_function(item, f"functions.{at}", others))
    raw = said(members, WEB_SEARCH)
    if raw is not None:
        tools.append(Tool(name=WEB_SEARCH, kind="builtin", protocol="chat", raw=raw))
    return tools


def _function(raw: Raw, param: str, others: dict[str, Raw]) -> Tool:
    found = object_(raw, param)
    others |= unread(found, _FUNCTION, param)
    strict = said(found, "strict")
    schema = said(found, "parameters")
    return Tool(
        name=string(needed(found, "name", f"{param}.name"), f"{param}.name"),
        description=string_or(found, "description", f"{param}.description"),
        schema=ABSENT if schema is None else schema,
        strict=None if strict is None else boolean(strict, f"{param}.strict"),
        cache=cache_of(found, param, "30m"),
    )


def choice_of(members: Mapping[str, Raw]) -> Choice | None:
    for param in ("tool_choice", "function_call"):
        raw = said(members, param)
        if raw is not None:
            return _choice(raw, param)
    return None


def _choice(raw: Raw, param: str) -> Choice:
    if first_byte(raw) == QUOTE:
        return Choice(_mode(string(raw, param), param))
    found = object_(raw, param)
    kind = string_or(found, "type", f"{param}.type")
    if kind == "allowed_tools":
        param = f"{param}.allowed_tools"
        allowed = object_(needed(found, "allowed_tools", param), param)
        mode = _mode(string_or(allowed, "mode", f"{param}.mode") or "auto", f"{param}.mode")
        tools = array(needed(allowed, "tools", f"{param}.tools"), f"{param}.tools")
        return Choice(mode, tuple(_named(object_(tool, f"{param}.tools"), f"{param}.tools") for tool in tools))
    return Choice("tool", (_named(found, param),))


def _named(found: Mapping[str, Raw], param: str) -> str:
    """`{function: {name}}`, `{custom: {name}}`, or `{name}` (the old function_call)."""
    for member in ("function", "custom"):
        raw = said(found, member)
        if raw is not None:
            found, param = object_(raw, f"{param}.{member}"), f"{param}.{member}"
            break
    return string(needed(found, "name", f"{param}.name"), f"{param}.name")


def _mode(word: str, param: str) -> str:
    try:
        return _MODES[word]
    except KeyError:
        say = f"{param} is {word[:40]!r}."
        raise InvalidMember(say, "Use auto, none, required, or an object that names a tool.", param=param) from None


def format_of(members: Mapping[str, Raw]) -> Format | None:
    raw = said(members, "response_format")
    if raw is None:
        return None
    param = "response_format"
    found = object_(raw, param)
    kind = string(needed(found, "type", f"{param}.type"), f"{param}.type")
    if kind == "text":
        return Format(kind="text")
    if kind == "json_object":
        return Format(kind="json")
    if kind != "json_schema":
        say = f"{param}.type is {kind[:40]!r}."
        raise InvalidMember(say, "Use text, json_object or json_schema.", param=f"{param}.type")
    param = f"{param}.json_schema"
    inner = object_(needed(found, "json_schema", param), param)
    strict, schema = said(inner, "strict"), said(inner, "schema")
    return Format(
        kind="schema",
        schema=ABSENT if schema is None else schema,
        name=string_or(inner, "name", f"{param}.name"),
        description=string_or(inner, "description", f"{param}.description"),
        strict=None if strict is None else boolean(strict, f"{param}.strict"),
    )


_TOGGLES = {"enabled": "on", "disabled": "off", "adaptive": "adaptive", "between_tools": "on", "auto": ""}


def thought_of(members: Mapping[str, Raw]) -> tuple[Thought | None, dict[str, Raw]]:
    """How much to think, by OpenAI's member and every vendor's switch; an explicit toggle comes before an effort.

    Second: what a switch's object says beside it (`chat_template_kwargs`), for `others`.
    """
    found = Thought()
    more: dict[str, Raw] = {}
    for name, read in _SWITCHES.items():
        raw = said(members, name)
        if raw is not None:
            more |= read(found, raw, name)
    return (None if found == Thought() else found), more


def _effort(found: Thought, raw: Raw, param: str) -> dict[str, Raw]:
    word = string(raw, param)
    if word == "none":
        found.mode = "off"
    elif word and word != "default":
        found.effort = word
    return {}


def _reasoning(found: Thought, raw: Raw, param: str) -> dict[str, Raw]:
    """OpenRouter's `reasoning{enabled, effort, max_tokens, exclude}`, and Responses' `summary` in it."""
    inner = object_(raw, param)
    if (value := said(inner, "effort")) is not None:
        _effort(found, value, f"{param}.effort")
    if (value := said(inner, "max_tokens")) is not None:
        found.budget = integer(value, f"{param}.max_tokens")
    if (value := said(inner, "enabled")) is not None:
        found.mode = "on" if boolean(value, f"{param}.enabled") else "off"
    if (value := said(inner, "exclude")) is not None:
        found.show = not boolean(value, f"{param}.exclude")
    found.summary = string_or(inner, "summary", f"{param}.summary")
    return {}


def _thinking(found: Thought, raw: Raw, param: str) -> dict[str, Raw]:
    """`thinking{type, budget_tokens}`: DeepSeek, Ark, Moonshot, Zhipu, TokenHub."""
    inner = object_(raw, param)
    kind = string_or(inner, "type", f"{param}.type")
    found.mode = _TOGGLES.get(kind, "")
    if (value := said(inner, "budget_tokens")) is not None:
        found.budget = integer(value, f"{param}.budget_tokens")
    return {}


def _enable(found: Thought, raw: Raw, param: str) -> dict[str, Raw]:
    found.mode = "on" if boolean(raw, param) else "off"
    return {}


def _budget(found: Thought, raw: Raw, param: str) -> dict[str, Raw]:
    found.budget = integer(raw, param)
    return {}


def _template(found: Thought, raw: Raw, param: str) -> dict[str, Raw]:
    """vLLM's and SGLang's way to the chat template: one member of it is known, the rest goes on as it is."""
    inner = object_(raw, param)
    value = inner.pop("enable_thinking", None)
    if value is not None:
        _enable(found, value, f"{param}.enable_thinking")
    return {param: raw} if inner else {}


_SWITCHES = {
    "reasoning_effort": _effort,
    "reasoning": _reasoning,
    "chat_template_kwargs": _template,
    "thinking_budget": _budget,
    "thinking": _thinking,
    "enable_thinking": _enable,
}
