"""Canonical tools, tool choice and response format -> members of a chat request.

In:     `Request`, the target, the losses. Out: members of the body.
An allowed set of tools is written as such for OpenAI; for everybody else the list of tools is cut down to it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Request, Tool
from baseload.wire.chat import loose
from baseload.wire.chat.parts_out import Members, mark
from baseload.wire.chat.tools_in import WEB_SEARCH
from baseload.wire.raw import ABSENT

_WITH_ALLOWED = ("openai", "azure", "azure_deployments")
_SCHEMA_NAME = "response"  # chat requires a name, other protocols have none


def tool_members(request: Request, target: Target, loss: Loss) -> Members:
    members: Members = {}
    tools: list[Any] = []
    chosen = request.choice
    cut = chosen is not None and chosen.mode in ("auto", "required") and target.dialect not in _WITH_ALLOWED
    names = chosen.names if chosen is not None and cut else ()
    for at, tool in enumerate(request.tools):
        param = f"tools.{at}"
        if names and tool.name not in names:
            continue
        if tool.kind == "function":
            tools.append(_function(tool, param, target, loss))
        elif tool.kind == "custom":
            made = _custom(tool, param, target, loss)
            if made is not None:
                tools.append(made)
        elif tool.protocol != "chat":
            loss.lose("tool.builtin", param, f"{param} ({tool.name}) runs at providers of its own protocol only.")
        elif tool.name == WEB_SEARCH:
            members[WEB_SEARCH] = tool.raw
        else:
            tools.append(tool.raw)
    if tools:
        members["tools"] = tools
        if request.parallel is not None:
            if "parallel" in target.unsupported or "parallel_tool_calls" in target.unsupported:
                loss.lose("parallel", name_of(request.protocol, "parallel"))
            else:
                members["parallel_tool_calls"] = request.parallel
    return members


def _function(tool: Tool, param: str, target: Target, loss: Loss) -> Members:
    function: Members = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not ABSENT:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        if "strict" in target.unsupported:
            loss.lose("strict", f"{param}.strict")
        else:
            function["strict"] = tool.strict
    made: Members = {"type": "function", "function": function}
    mark(made, tool.cache, param, target, loss)
    return made


def _custom(tool: Tool, param: str, target: Target, loss: Loss) -> Members | Raw | None:
    if "tool.custom" in target.unsupported or tool.protocol not in ("chat", "responses"):
        loss.lose("tool.custom", param)
        return None
    if tool.protocol == "chat":
        return tool.raw
    custom: Members = {"name": tool.name}
    if tool.description:
        custom["description"] = tool.description
    form = loose.members(loose.members(tool.raw).get("format"))
    if loose.text(form.get("type")) == "grammar":  # Responses has syntax and definition one level higher
        grammar = {name: form[name] for name in ("syntax", "definition") if name in form}
        custom["format"] = {"type": "grammar", "grammar": grammar}
    elif form:
        custom["format"] = form
    return {"type": "custom", "custom": custom}


def choice_members(request: Request, target: Target, loss: Loss) -> Members:
    choice = request.choice
    if choice is None or not request.tools:
        return {}
    if choice.mode in ("tool", "required") and "tool.choice" in target.unsupported:
        loss.lose("tool.choice", name_of(request.protocol, "choice"))
        return {}
    kinds = {tool.name: "custom" if tool.kind == "custom" else "function" for tool in request.tools}
    if choice.mode == "tool":
        kind = kinds.get(choice.names[0], "function")
        return {"tool_choice": {"type": kind, kind: {"name": choice.names[0]}}}
    if choice.names and choice.mode != "none" and target.dialect in _WITH_ALLOWED:
        named = [(kinds.get(name, "function"), name) for name in choice.names]
        tools = [{"type": kind, kind: {"name": name}} for kind, name in named]
        return {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}}
    return {"tool_choice": choice.mode}


def format_members(request: Request, target: Target, loss: Loss) -> Members:
    form = request.format
    if form is None:
        return {}
    param = name_of(request.protocol, "format")
    if form.kind == "text":
        return {"response_format": {"type": "text"}} if request.protocol == "chat" else {}
    if form.kind == "json":
        if "format.json" in target.unsupported:
            loss.lose("format.json", param)
            return {}
        return {"response_format": {"type": "json_object"}}
    if not target.schema or "format.schema" in target.unsupported:
        loss.lose("format.schema", param, f"{param}: the chosen provider takes no JSON schema for its replies.")
        return {}
    inner: Members = {"name": form.name or _SCHEMA_NAME}
    if form.description:
        inner["description"] = form.description
    if form.schema is not ABSENT:
        inner["schema"] = form.schema
    if form.strict is not None:
        inner["strict"] = form.strict
    return {"response_format": {"type": "json_schema", "json_schema": inner}}
