"""Canonical request -> the body of a Messages request for a provider.

In:     `Request`, `Target`. Out: `Written`: the body, and the members it could not carry, in the client's words.
Decided here: a JSON object without a schema is refused (this protocol has no such mode, and a hint in the prompt would
be no promise); a set of allowed tools becomes the list of tools itself; sampling beyond the range is clamped and named;
while thinking, only the sampling is sent that the vendor takes then.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.canon.carry import Loss, Target, Written
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Request, Tool
from baseload.wire.canon.schema import object_schema
from baseload.wire.messages.blocks_out import Block, Conversation, is_claude, mark
from baseload.wire.messages.thought_out import Plan, plan
from baseload.wire.raw import ABSENT

MARKS_MAX = 4
"""Cache marks a request may carry (protocols.md, 4.1)."""

_TIERS = {
    "messages": {"auto": "auto", "standard_only": "standard_only"},
    "chat": {"auto": "auto", "default": "standard_only"},
    "responses": {"auto": "auto", "default": "standard_only"},
    "gemini": {"standard": "standard_only", "priority": "auto"},
}
_MODES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}
_WISHES = ("presence_penalty", "frequency_penalty", "logit_bias", "verbosity", "metadata")
_EMPTY = (None, False, "", ABSENT)
_TOP_P_MIN = 0.95  # the least while thinking

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def write(request: Request, target: Target) -> Written:
    loss = Loss(target)
    _lose(request, loss)
    conversation = Conversation(request, target, loss)
    thought = plan(request, target, loss, unproven=conversation.unproven)
    tools = _tools(request, target, loss)
    body: Block = {"model": target.model, "max_tokens": thought.max_tokens}
    if conversation.system:
        body["system"] = conversation.system
    body["messages"] = conversation.messages
    if tools:
        body["tools"] = tools
        choice = _choice(request, target, loss)
        if choice:
            body["tool_choice"] = choice
    if thought.thinking is not None:
        body["thinking"] = thought.thinking
    config = _config(request, target, thought, loss)
    if config:
        body["output_config"] = config
    body |= _sampling(request, target, thought, loss)
    stop = [text for text in request.stop if text.strip()]  # white space alone is refused there
    if "stop" in target.unsupported:
        stop = []
    if len(stop) < len(request.stop):
        loss.lose("stop", name_of(request.protocol, "stop"))
    if stop:
        body["stop_sequences"] = stop
    if request.user and "user" in target.unsupported:
        loss.lose("user", name_of(request.protocol, "user"))
    elif request.user:
        body["metadata"] = {"user_id": request.user}
    if request.tier:
        tier = _TIERS.get(request.protocol, {}).get(request.tier)
        if tier is None or "tier" in target.unsupported:
            loss.lose("tier", name_of(request.protocol, "tier"))
        else:
            body["service_tier"] = tier
    if request.stream:
        body["stream"] = True
    _limit_marks(tools, conversation, loss)
    return Written(body=_encode(body), dropped=loss.dropped)


def _lose(request: Request, loss: Loss) -> None:
    """What this protocol has no member for."""
    if request.n != 1:
        loss.lose("n", name_of(request.protocol, "n"))
    if request.seed is not None:  # 0 is a seed
        loss.lose("seed", name_of(request.protocol, "seed"))
    for field in _WISHES:
        if getattr(request, field) not in _EMPTY:
            loss.lose(field, name_of(request.protocol, field))
    if request.logprobs or request.top_logprobs:
        loss.lose("logprobs", name_of(request.protocol, "logprobs"))
    if request.cache_key:
        loss.lose("cache", name_of(request.protocol, "cache_key"))
    for name in request.others:
        loss.lose("other", name)


def _tools(request: Request, target: Target, loss: Loss) -> list[Block]:
    allowed = request.choice.names if request.choice is not None and request.choice.mode != "tool" else ()
    tools: list[Block] = []
    for at, tool in enumerate(request.tools):
        if allowed and tool.name not in allowed:
            continue
        if tool.kind == "function":
            tools.append(_function(tool, f"tools.{at}", target, loss))
        elif tool.kind == "builtin" and tool.protocol == "messages":
            tools.append(_builtin(tool))
        else:
            loss.lose(f"tool.{tool.kind}", f"tools.{at}")
    return tools


def _function(tool: Tool, param: str, target: Target, loss: Loss) -> Block:
    block: Block = {"name": tool.name}
    if tool.description:
        block["description"] = tool.description
    block["input_schema"] = object_schema(tool.schema)
    if tool.strict:
        if "strict" in target.unsupported:
            loss.lose("strict", f"{param}.strict")
        else:
            block["strict"] = True
    return mark(block, tool.cache)


def _builtin(tool: Tool) -> Block:
    return dict(_members(tool.raw))


def _choice(request: Request, target: Target, loss: Loss) -> Block:
    choice, parallel = request.choice, request.parallel
    if parallel is not None and "parallel" in target.unsupported:
        loss.lose("parallel", name_of(request.protocol, "parallel"))
        parallel = None
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if parallel is False else {}
    block: Block = {"type": _MODES[choice.mode]}
    if choice.mode == "tool":
        block["name"] = choice.names[0]
    if parallel is not None and choice.mode != "none":
        block["disable_parallel_tool_use"] = not parallel
    return block


def _config(request: Request, target: Target, thought: Plan, loss: Loss) -> Block:
    config: Block = {}
    if thought.effort:
        config["effort"] = thought.effort
    form = request.format
    if form is None or form.kind == "text":
        return config
    name = name_of(request.protocol, "format")
    if form.kind == "json" or form.schema is ABSENT:  # also a schema that was not given
        loss.lose("format.json", name)
    elif not target.schema:
        loss.lose("format.schema", name)
    else:
        config["format"] = {"type": "json_schema", "schema": form.schema}
    return config


def _sampling(request: Request, target: Target, thought: Plan, loss: Loss) -> Block:
    """Temperature from 0 to 1. While it thinks, the vendor's own models take no other than 1, and no top_k."""
    sampling: Block = {}
    narrow = thought.on and is_claude(target)
    given: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
    }
    for field, value in given.items():
        if value is None:
            continue
        name = name_of(request.protocol, field)
        if field in target.unsupported:
            loss.lose(field, name)
            continue
        if narrow and not _fits_thinking(field, value):
            loss.lose(field, name)
            continue
        if field == "temperature" and not 0 <= value <= 1:
            loss.lose(field, name)
            value = min(max(value, 0.0), 1.0)
        sampling[field] = value
    return sampling


def _fits_thinking(field: str, value: float) -> bool:
    return value == 1 if field == "temperature" else field == "top_p" and value >= _TOP_P_MIN


def _limit_marks(tools: list[Block], conversation: Conversation, loss: Loss) -> None:
    """Of more cache marks than may be sent the last ones stay: each covers all that stands before it."""
    blocks = [
        *tools,
        *conversation.system,
        *(block for message in conversation.messages for block in message["content"]),
    ]
    marked = [block for block in blocks if "cache_control" in block]
    for block in marked[:-MARKS_MAX]:
        del block["cache_control"]
        loss.lose("cache", conversation.marked.get(id(block), "tools"))
