"""The canonical form -> the body of generateContent for a provider.

In:     `Request`, `Target`. Out: `Written`, or a refusal that names in the client's own words what cannot be carried.
System turns become `systemInstruction`, wherever they stood; turns of one side in a row become one content, with
function responses first (Google wants them right after their calls). Schemas of tools leave byte for byte in
`parametersJsonSchema`; see `schema.py` for the one change to a schema of the output.
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.wire.canon.carry import Loss, Target, Written
from baseload.wire.canon.names import name_of, places
from baseload.wire.canon.request import Request, Text, Tool, Turn, link
from baseload.wire.gemini.parts_out import Writer
from baseload.wire.gemini.schema import for_output
from baseload.wire.gemini.thought_out import thinking_config
from baseload.wire.raw import ABSENT, NULL

STOPS_MAX = 5
"""Google takes no more stop sequences."""

_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority", "default": "standard", "standard": "standard"}
_TIERS |= {"standard_only": "standard", "auto": "", "": "", "on_demand": ""}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}
_SIMPLE = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("max_output", "maxOutputTokens"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
)
_SAYS_NOTHING = (b"null", b"false", b"[]", b"{}", b'""')
_encode = msgspec.json.Encoder().encode


def write(request: Request, target: Target) -> Written:
    """The body. Members that Google has no place for are lost by the table in `canon/carry.py`."""
    loss = Loss(target)
    link(request)
    body: dict[str, Any] = {}
    system, contents = _contents(request, target, loss)
    body["contents"] = contents
    if system:
        body["systemInstruction"] = {"parts": system}
    tools = _tools(request, loss)
    if tools:
        body["tools"] = tools
    config = _tool_config(request)
    if config:
        body["toolConfig"] = config
    generation = _generation(request, target, loss)
    if generation:
        body["generationConfig"] = generation
    tier = _TIERS.get(request.tier)
    if tier is None:
        loss.lose("tier", name_of(request.protocol, "tier"))
    elif tier:
        body["serviceTier"] = tier
    _others(request, body, loss)
    return Written(body=_encode(body), dropped=loss.dropped)


def _contents(request: Request, target: Target, loss: Loss) -> tuple[list[Any], list[Any]]:
    """The system's parts, and the contents."""
    writer = Writer(request.protocol, target, loss)
    system: list[Any] = []
    contents: list[dict[str, Any]] = []
    late = False
    for turn, place in zip(request.turns, places(request), strict=True):
        if turn.name:
            loss.lose("name", f"{place.turn}.name")
        if turn.role in ("system", "developer"):
            found = _system(turn, place.parts, loss)
            if late and found:
                loss.lose("other", f"{place.turn}.role")  # it stands elsewhere now
            system += found
            continue
        late = True
        role = "model" if turn.role == "assistant" else "user"
        if not contents or contents[-1]["role"] != role:
            contents.append({"role": role, "parts": []})
        contents[-1]["parts"] += writer.parts(turn, place.parts)
    for content in contents:
        if content["role"] == "user":
            content["parts"].sort(key=lambda part: "functionResponse" not in part)  # stable: their own order stays
        else:
            writer.excuse(content["parts"])
    contents = [content for content in contents if content["parts"]]
    if not contents and system:  # Google refuses a request without contents
        return [], [{"role": "user", "parts": system}]
    return system, contents


def _system(turn: Turn, names: list[str], loss: Loss) -> list[Any]:
    parts = []
    for part, name in zip(turn.parts, names, strict=True):
        if part.cache:
            loss.lose("cache", f"{name}.cache_control")
        if not isinstance(part, Text):
            loss.lose("part", name)
        elif part.text:
            parts.append({"text": part.text})
    return parts


def _tools(request: Request, loss: Loss) -> list[Any]:
    functions: list[Any] = []
    tools: list[Any] = []
    for number, tool in enumerate(request.tools):
        at = f"tools.{number}"
        if tool.kind == "function":
            functions.append(_function(tool, at, loss))
        elif tool.protocol == "gemini" and tool.kind == "builtin":
            tools.append(tool.raw)
        else:
            loss.lose(f"tool.{tool.kind}", at)
    return [{"functionDeclarations": functions}, *tools] if functions else tools


def _function(tool: Tool, at: str, loss: Loss) -> dict[str, Any]:
    if tool.strict:
        loss.lose("strict", f"{at}.strict")
    if tool.cache:
        loss.lose("cache", f"{at}.cache_control")
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if tool.schema is not ABSENT and tool.schema != NULL:
        declared["parametersJsonSchema"] = tool.schema
    return declared


def _tool_config(request: Request) -> dict[str, Any]:
    choice = request.choice
    if choice is None or not any(tool.kind == "function" for tool in request.tools):
        return {}
    mode = _MODES.get(choice.mode, "AUTO")
    calling: dict[str, Any] = {"mode": mode}
    if choice.names and mode != "NONE":
        # AUTO takes no names; VALIDATED is a free choice among them.
        calling = {"mode": "VALIDATED" if mode == "AUTO" else mode, "allowedFunctionNames": list(choice.names)}
    return {"functionCallingConfig": calling}


def _generation(request: Request, target: Target, loss: Loss) -> dict[str, Any]:
    refused = frozenset(target.unsupported)
    protocol = request.protocol
    config: dict[str, Any] = {}
    for field, name in _SIMPLE:
        value = getattr(request, field)
        if value is None:
            continue
        if field in refused:
            loss.lose(field, name_of(protocol, field))
        else:
            config[name] = value
    if request.n > 1:
        if "n" in refused:
            loss.lose("n", name_of(protocol, "n"))
        config["candidateCount"] = request.n
    if request.stop:
        if "stop" in refused or len(request.stop) > STOPS_MAX:
            loss.lose("stop", name_of(protocol, "stop"))
        if "stop" not in refused:
            config["stopSequences"] = list(request.stop[:STOPS_MAX])
    if request.logprobs:
        if "logprobs" in refused:
            loss.lose("logprobs", name_of(protocol, "logprobs"))
        config["responseLogprobs"] = True
        if request.top_logprobs:
            config["logprobs"] = request.top_logprobs
    config |= _format(request, target, loss)
    thinking = thinking_config(request.thought, target, loss, name_of(protocol, "thought"))
    if thinking:
        config["thinkingConfig"] = thinking
    if request.parallel is False:
        loss.lose("parallel", name_of(protocol, "parallel"))
    if request.logit_bias not in (ABSENT, NULL):
        loss.lose("logit_bias", name_of(protocol, "logit_bias"))
    for field in ("user", "cache_key", "verbosity"):
        if getattr(request, field):
            loss.lose(field.removesuffix("_key"), name_of(protocol, field))
    if request.metadata not in (ABSENT, NULL):
        loss.lose("metadata", name_of(protocol, "metadata"))
    return config


def _format(request: Request, target: Target, loss: Loss) -> dict[str, Any]:
    wanted = request.format
    if wanted is None or wanted.kind == "text":
        return {}
    if wanted.kind == "json":
        return {"responseMimeType": "application/json"}
    if not target.schema:
        loss.lose("format.schema", name_of(request.protocol, "format"))
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    if wanted.schema not in (ABSENT, NULL):
        config["responseJsonSchema"] = for_output(wanted.schema)
    return config


def _others(request: Request, body: dict[str, Any], loss: Loss) -> None:
    for name, raw in request.others.items():
        if request.protocol == "gemini" and "." not in name and name not in body:
            body[name] = raw
        elif bytes(raw) not in _SAYS_NOTHING:
            loss.lose("other", name)
