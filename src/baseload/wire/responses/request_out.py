"""A canonical request -> the body for a provider that speaks Responses.

In:     `Request`, `Target`. Out: the body, and the members that were dropped; or a refusal.
Nothing is stored (`store: false`): so encrypted reasoning is asked for, and conversations can go on without the
provider's memory.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.canon import ids
from baseload.wire.canon.carry import Loss, Target, Written
from baseload.wire.canon.effort import effort_of
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Format, Request, Text, Thought, Tool
from baseload.wire.canon.schema import NO_ARGUMENTS
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.responses.items_out import ItemWriter
from baseload.wire.responses.request_in import ENCRYPTED, LOGPROBS

_TIERS = {  # what another protocol calls a service tier
    "messages": {"auto": "auto", "standard_only": "default"},
    "gemini": {"standard": "default", "flex": "flex", "priority": "priority"},
}
_SAME_WORDS = ("chat", "responses")  # protocols with the same metadata and tiers

_encode = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode

_UNSUPPORTED = {  # members a dialect may refuse (`Target.unsupported`) -> (feature, field of `Request`)
    "temperature": ("temperature", "temperature"),
    "top_p": ("top_p", "top_p"),
    "metadata": ("metadata", "metadata"),
    "service_tier": ("tier", "tier"),
    "safety_identifier": ("user", "user"),
    "prompt_cache_key": ("cache", "cache_key"),
    "parallel_tool_calls": ("parallel", "parallel"),
    "reasoning": ("thought", "thought"),
    "top_logprobs": ("logprobs", "logprobs"),
}


def write(request: Request, target: Target) -> Written:
    """The body. Raises `Refusal` for what must not be lost."""
    loss = Loss(target)
    own = request.protocol == "responses"

    def word(field: str) -> str:
        return name_of(request.protocol, field)

    body: dict[str, Any] = {"model": target.model or request.model}
    turns, first = request.turns, 0
    if turns and turns[0].role == "system" and _is_plain(turns[0].parts) and not turns[0].name:
        body["instructions"] = turns[0].parts[0].text  # type: ignore[union-attr]
        turns, first = turns[1:], 1
    body["input"] = ItemWriter(request, target, loss).write(turns, first)
    if not body["input"] and first:  # instructions alone are no input
        del body["instructions"]
        body["input"] = ItemWriter(request, target, loss).write(request.turns, 0)
    if request.stream:
        body["stream"] = True
    if request.tools:
        tools = [_tool(tool, at, request, loss) for at, tool in enumerate(request.tools)]
        body["tools"] = [tool for tool in tools if tool is not None]
    if request.choice is not None:
        body["tool_choice"] = _choice(request)
    if request.parallel is not None:
        body["parallel_tool_calls"] = request.parallel
    text = _text(request, target, loss)
    if text:
        body["text"] = text
    if request.thought is not None:
        reasoning = _reasoning(request.thought, target, loss, word("thought"))
        if reasoning:
            body["reasoning"] = reasoning
    include = [ENCRYPTED]
    if request.logprobs:
        include.append(LOGPROBS)
        if request.top_logprobs:
            body["top_logprobs"] = request.top_logprobs
    if request.max_output is not None:
        body["max_output_tokens"] = request.max_output
    for name in ("temperature", "top_p"):
        if getattr(request, name) is not None:
            body[name] = getattr(request, name)
    if request.user:
        body["safety_identifier"] = ids.short(request.user)
    if request.cache_key:
        body["prompt_cache_key"] = ids.short(request.cache_key)
    if request.metadata != ABSENT:
        if request.protocol in _SAME_WORDS:
            body["metadata"] = request.metadata
        else:
            loss.lose("metadata", "metadata")
    if request.tier:
        tier = request.tier if request.protocol in _SAME_WORDS else _TIERS.get(request.protocol, {}).get(request.tier)
        if tier:
            body["service_tier"] = tier
        else:
            loss.lose("tier", word("tier"))
    _lose_unknown(request, loss, word)
    for name, raw in request.others.items():
        if own:
            if name == "include":
                include += [one for one in msgspec.json.decode(raw, type=list[str]) if one not in include]
                continue
            if "." not in name:
                body[name] = raw
                continue
        loss.lose("other", name)
    body["include"] = include
    body.setdefault("store", False)
    for name in target.unsupported:
        if name in body and name in _UNSUPPORTED:
            feature, field = _UNSUPPORTED[name]
            loss.lose(feature, word(field))
            del body[name]
    return Written(body=_encode(body), dropped=loss.dropped)


def _is_plain(parts: list[Any]) -> bool:
    return len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].cache


def _lose_unknown(request: Request, loss: Loss, word: Any) -> None:
    """What Responses has no member for (protocols.md, 3.1)."""
    if request.n > 1:
        loss.lose("n", word("n"))
    for name in ("stop", "seed", "presence_penalty", "frequency_penalty", "top_k"):
        if getattr(request, name) not in (None, ()):
            loss.lose(name, word(name))
    if request.logit_bias != ABSENT:
        loss.lose("logit_bias", word("logit_bias"))


def _tool(tool: Tool, at: int, request: Request, loss: Loss) -> Any:
    if tool.cache:
        loss.lose("cache", f"tools.{at}.cache_control")
    if tool.kind == "function":
        # Responses means strict where nothing is said; every other protocol means not.
        strict = tool.strict if tool.strict is not None or request.protocol == "responses" else False
        written: dict[str, Any] = {
            "type": "function",
            "name": tool.name,
            "parameters": NO_ARGUMENTS if tool.schema == ABSENT else tool.schema,
            "strict": strict,
        }
        if tool.description:
            written["description"] = tool.description
        return written
    if tool.protocol == "responses":
        return tool.raw
    if tool.kind == "custom":
        flat = _flat_custom(tool) if tool.protocol == "chat" else None
        if flat is not None:
            return flat
        loss.lose("tool.custom", f"tools.{at}")
        return None
    loss.lose("tool.builtin", f"tools.{at}", f"tools.{at} ({tool.name}) is run by its own provider only.")
    return None


def _flat_custom(tool: Tool) -> dict[str, Any] | None:
    """Chat's custom tool has its members one level deeper, and its grammar too."""
    try:
        inner = _decode_members(_decode_members(tool.raw)["custom"])
        flat: dict[str, Any] = {"type": "custom", **{name: inner[name] for name in inner if name != "format"}}
        if "format" in inner:
            form = _decode_members(inner["format"])
            flat["format"] = {"type": form["type"], **(_decode_members(form["grammar"]) if "grammar" in form else {})}
    except (*FAILED, KeyError):
        return None
    return flat


def _choice(request: Request) -> Any:
    choice = request.choice
    assert choice is not None
    custom = {tool.name for tool in request.tools if tool.kind == "custom"}
    named = [{"type": "custom" if name in custom else "function", "name": name} for name in choice.names]
    if choice.mode == "tool" and named:
        return named[0]
    if choice.mode in ("auto", "required") and named:
        return {"type": "allowed_tools", "mode": choice.mode, "tools": named}
    return choice.mode if choice.mode != "tool" else "required"


def _text(request: Request, target: Target, loss: Loss) -> dict[str, Any]:
    text: dict[str, Any] = {}
    if request.format is not None:
        text["format"] = _format(request.format, request, target, loss)
    if request.verbosity:
        if "verbosity" in target.unsupported:
            loss.lose("verbosity", name_of(request.protocol, "verbosity"))
        else:
            text["verbosity"] = request.verbosity
    return text


def _format(form: Format, request: Request, target: Target, loss: Loss) -> dict[str, Any]:
    if form.kind == "text":
        return {"type": "text"}
    if form.kind == "json" or form.schema == ABSENT:
        return {"type": "json_object"}
    if not target.schema:
        loss.lose("format.schema", name_of(request.protocol, "format"))
    written: dict[str, Any] = {"type": "json_schema", "name": form.name or "answer", "schema": form.schema}
    if form.description:
        written["description"] = form.description
    if form.strict is not None:
        written["strict"] = form.strict
    return written


def _reasoning(thought: Thought, target: Target, loss: Loss, param: str) -> dict[str, Any]:
    if target.thought == "none":
        loss.lose("thought", param)
        return {}
    reasoning: dict[str, Any] = {}
    if thought.mode == "off":
        reasoning["effort"] = "none"
    elif thought.effort:
        reasoning["effort"] = thought.effort
    elif thought.budget is not None:
        reasoning["effort"] = effort_of(thought.budget)
    if thought.summary:
        reasoning["summary"] = thought.summary
    elif thought.show and thought.mode != "off":
        reasoning["summary"] = "auto"
    return reasoning
