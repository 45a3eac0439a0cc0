"""Canonical request -> the body of DashScope's native text- and multimodal-generation. `write(request, target)`.

The body is `{model, input{messages}, parameters{...}}`; the two doors differ in their URL only, and a request with
media belongs at the second (`needs_multimodal`). Whether it streams stands in a header (`X-DashScope-SSE: enable`), but
without `incremental_output` each frame would repeat the whole text (vendors.md 3.1).
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.wire.canon.carry import Loss, Target, Written
from baseload.wire.canon.effort import budget_of, effort_of
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Media, Request, Tool, ToolResult
from baseload.wire.canon.schema import NO_ARGUMENTS
from baseload.wire.qwen import turns
from baseload.wire.raw import ABSENT

MULTIMODAL = "qwen_multimodal"  # the door of requests with media
CHOICES_MAX = 4
TEMPERATURE_BELOW = 2.0
_encode = msgspec.json.Encoder().encode
_USUAL_TIERS = frozenset(("", "auto", "default", "standard", "standard_only", "on_demand"))

Parameters = dict[str, Any]


def write(request: Request, target: Target) -> Written:
    """The body. Raises `Uncarried` for what the answer depends on and this protocol has no place for."""
    loss = Loss(target)
    messages = turns.write(request, target, loss)
    parameters: Parameters = {"result_format": "message"}
    if request.stream:
        parameters["incremental_output"] = True
    _sampling(request, target, parameters, loss)
    _thought(request, target, parameters, loss)
    _tools(request, parameters, loss)
    _format(request, target, parameters, loss)
    _lose_the_rest(request, loss)
    body = {"model": target.model or request.model, "input": {"messages": messages}, "parameters": parameters}
    door = MULTIMODAL if needs_multimodal(request) else ""
    return Written(body=_encode(body), dropped=loss.dropped, door=door)


def needs_multimodal(request: Request) -> bool:
    """Whether the request belongs at multimodal-generation, whatever its model."""
    for turn in request.turns:
        for part in turn.parts:
            pieces = part.content if isinstance(part, ToolResult) else [part]
            if any(isinstance(piece, Media) and piece.kind != "document" for piece in pieces):
                return True
    return False


def _sampling(request: Request, target: Target, parameters: Parameters, loss: Loss) -> None:
    wanted: dict[str, tuple[str, Any]] = {
        "max_output": ("max_tokens", request.max_output),
        "temperature": ("temperature", request.temperature),
        "top_p": ("top_p", request.top_p),
        "top_k": ("top_k", request.top_k),
        "stop": ("stop", [stop for stop in request.stop if stop] or None),
        "seed": ("seed", request.seed),
        "presence_penalty": ("presence_penalty", request.presence_penalty),
        "n": ("n", request.n if request.n > 1 else None),
        "logprobs": ("logprobs", request.logprobs or None),
        "top_logprobs": ("top_logprobs", request.top_logprobs if request.logprobs else None),
    }
    for field, (name, value) in wanted.items():
        if value is None:
            continue
        param = name_of(request.protocol, field)
        feature = "logprobs" if field == "top_logprobs" else field
        if field in target.unsupported and field != "max_output":
            loss.lose(feature, param)
            continue
        if field == "n" and value > CHOICES_MAX:
            loss.lose("n", param, f"{param} is {value}; the chosen provider answers {CHOICES_MAX} times at most.")
        elif field == "temperature" and value >= TEMPERATURE_BELOW:
            loss.lose("temperature", param)
            value = 1.99  # the interval is open at 2
        elif field == "top_p" and not 0 < value <= 1:
            loss.lose("top_p", param)
            continue
        parameters[name] = value


def _thought(request: Request, target: Target, parameters: Parameters, loss: Loss) -> None:
    """The four families: effort, budget, toggle, and always on (vendors.md 3.1)."""
    thought = request.thought
    if thought is None:
        return
    param = name_of(request.protocol, "thought")
    if thought.summary not in ("", "auto"):
        loss.lose("thought", f"{param}.summary")  # thinking is told as it is
    if target.thought == "none" or "thought" in target.unsupported:
        if thought.mode != "off":
            loss.lose("thought", param)
        return
    if thought.mode == "off":
        parameters["enable_thinking"] = False
        return
    budget = thought.budget if thought.budget is not None and thought.budget > 0 else None
    if not (thought.mode or thought.effort or budget):
        return  # only how it is shown: it is shown anyway
    if target.thought == "effort":
        if thought.effort or budget:
            parameters["reasoning_effort"] = thought.effort or effort_of(budget or 0)
        else:
            parameters["enable_thinking"] = True
        return
    parameters["enable_thinking"] = True
    if not (budget or thought.effort):
        return
    if target.thought == "budget":
        parameters["thinking_budget"] = budget or budget_of(thought.effort)
    else:
        loss.lose("thought", param)


def _tools(request: Request, parameters: Parameters, loss: Loss) -> None:
    choice = request.choice
    offered = request.tools
    if choice is not None and choice.names and choice.mode in ("auto", "required"):
        offered = [tool for tool in offered if tool.name in choice.names]  # the allowed set
    tools = [_tool(tool, f"tools.{at}", loss) for at, tool in enumerate(offered)]
    if not tools:
        return
    parameters["tools"] = tools
    if request.parallel is not None:
        parameters["parallel_tool_calls"] = request.parallel
    if choice is None:
        return
    if choice.mode in ("auto", "none"):
        parameters["tool_choice"] = choice.mode
        return
    if choice.mode == "tool" and choice.names:
        name = choice.names[0]
    elif len(tools) == 1:
        name = offered[0].name  # some tool must be called, and there is this one
    else:
        param = name_of(request.protocol, "choice")
        loss.lose(
            "tool.choice", param, f"{param}: the chosen provider can be told which tool to call, not to call any."
        )
        return
    parameters["tool_choice"] = {"type": "function", "function": {"name": name}}


def _tool(tool: Tool, param: str, loss: Loss) -> dict[str, Any]:
    if tool.kind != "function":
        loss.lose("tool.custom" if tool.kind == "custom" else "tool.builtin", param)
    if tool.strict:
        loss.lose("strict", f"{param}.strict")
    if tool.cache:
        loss.lose("cache", param)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = NO_ARGUMENTS if tool.schema is ABSENT else tool.schema
    return {"type": "function", "function": function}


def _format(request: Request, target: Target, parameters: Parameters, loss: Loss) -> None:
    wanted = request.format
    if wanted is None or wanted.kind == "text":
        return
    param = name_of(request.protocol, "format")
    if wanted.kind == "json" or wanted.schema is ABSENT:
        parameters["response_format"] = {"type": "json_object"}
    elif not target.schema:
        loss.lose("format.schema", param)
    else:
        described: dict[str, Any] = {"name": wanted.name or "response", "schema": wanted.schema}
        if wanted.description:
            described["description"] = wanted.description
        if wanted.strict is not None:
            described["strict"] = wanted.strict
        parameters["response_format"] = {"type": "json_schema", "json_schema": described}


def _lose_the_rest(request: Request, loss: Loss) -> None:
    asked = {
        "frequency_penalty": bool(request.frequency_penalty),
        "logit_bias": bytes(request.logit_bias) not in (b"", b"null", b"{}"),
        "verbosity": bool(request.verbosity),
        "user": bool(request.user),
        "metadata": bytes(request.metadata) not in (b"", b"null", b"{}"),
        "tier": request.tier not in _USUAL_TIERS,
    }
    for field, given in asked.items():
        if given:
            loss.lose(field, name_of(request.protocol, field))
    if request.cache_key:
        loss.lose("cache", name_of(request.protocol, "cache_key"))
    for name in request.others:
        loss.lose("other", name)
