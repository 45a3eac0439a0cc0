"""A client's generateContent request -> the canonical form.

In:     the members of the body; model and stream come from the URL. Out: `Request`, or a refusal that names the member.
Both spellings of a member are read (`names.py`). Ids: Google's calls and results are often linked by name and order
alone, so a call without an id gets one by its number in the conversation: the same in every later turn, so that
a provider's prompt cache still finds the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember
from baseload.wire.canon.request import Choice, Format, Place, Request, Text, Thought, Tool, Turn
from baseload.wire.gemini.names import Members, opened
from baseload.wire.gemini.parts_in import Calls, add
from baseload.wire.gemini.schema import from_openapi
from baseload.wire.raw import ABSENT

ROLES = {"": "user", "user": "user", "model": "assistant", "function": "user", "tool": "user"}
_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}
_NAMES = "model contents systemInstruction tools toolConfig generationConfig labels serviceTier safetySettings"
_READ = frozenset(_NAMES.split())
_CONFIG_NAMES = """
temperature topP topK candidateCount maxOutputTokens stopSequences responseMimeType responseSchema responseJsonSchema
responseModalities responseLogprobs logprobs presencePenalty frequencyPenalty seed thinkingConfig
"""
_CONFIG = frozenset(_CONFIG_NAMES.split())
_encode = msgspec.json.Encoder().encode
_JSON = "application/json"


def read(members: Mapping[str, Raw], model: str = "", stream: bool = False) -> Request:
    """The request in canonical form. What has no place there is in `others`, under its path."""
    body = Members(dict(members))
    others: dict[str, Raw] = {}
    places: list[Place] = []
    turns = _system(body, places) + _turns(body, others, places)
    request = Request(protocol="gemini", model=model, turns=turns, places=places, stream=stream, others=others)
    request.tools = _tools(body, others)
    request.choice = _choice(body, others)
    request.metadata = body.get("labels") or ABSENT
    request.tier = body.text("serviceTier").lower()
    safety = body.get("safetySettings")
    if safety is not None and bytes(safety) != b"[]":
        others["safetySettings"] = safety
    _rest(body, _READ, others)
    config = body.object("generationConfig")
    if config is not None:
        _config(request, config, others)
    return request


def _config(request: Request, config: Members, others: dict[str, Raw]) -> None:
    request.temperature = config.number("temperature")
    request.top_p = config.number("topP")
    request.top_k = config.whole("topK")
    request.n = config.whole("candidateCount") or 1
    request.max_output = config.whole("maxOutputTokens")
    request.stop = tuple(config.strings("stopSequences"))
    request.seed = config.whole("seed")
    request.presence_penalty = config.number("presencePenalty")
    request.frequency_penalty = config.number("frequencyPenalty")
    request.logprobs = bool(config.flag("responseLogprobs"))
    request.top_logprobs = config.whole("logprobs")
    request.format = _format(config, others)
    request.thought = _thought(config, others)
    modalities = config.strings("responseModalities")
    if any(each.upper() not in ("TEXT", "MODALITY_UNSPECIFIED") for each in modalities):
        others["generationConfig.responseModalities"] = config.get("responseModalities") or ABSENT
    _rest(config, _CONFIG, others)


def _rest(members: Members, read: frozenset[str], others: dict[str, Raw]) -> None:
    """What is left under its path. The top level keeps Google's own spelling: `carry.MEMBERS` knows some of them."""
    for name in members:
        if name not in read:
            others[members.param(name) if members.at else name] = members.get(name) or ABSENT


def _system(body: Members, places: list[Place]) -> list[Turn]:
    content = body.object("systemInstruction")
    if content is None:
        return []
    texts = []
    place = Place(content.at, [])
    for part in content.objects("parts"):
        if "text" not in part:
            raise InvalidMember(
                f"{part.at} is no text; a system instruction is text only.",
                "Send its text, or move the part into contents.",
                param=part.at,
            )
        if text := part.text("text"):
            texts.append(Text(text=text))
            place.parts.append(part.at)
    if not texts:
        return []
    places.append(place)
    return [Turn("system", list(texts))]


def _turns(body: Members, others: dict[str, Raw], places: list[Place]) -> list[Turn]:
    raw = body.get("contents")
    if raw is not None and memoryview(raw)[0] == 0x7B:
        contents = [opened(raw, body.param("contents"))]
    else:
        contents = body.objects("contents")
    turns: list[Turn] = []
    found: list[Place] = []
    calls = Calls()
    for content in contents:
        word = content.text("role")
        try:
            role = ROLES[word]
        except KeyError:
            param = content.param("role")
            raise InvalidMember(
                f"{param} is {word[:100]!a}; it must be user or model.",
                "Send user or model; a system prompt goes into systemInstruction.",
                param=param,
            ) from None
        # Libraries keep a streamed reply as one content a piece: together they are one turn.
        joined = role == "assistant" and bool(turns) and turns[-1].role == role
        if not joined:
            turns.append(Turn(role, []))
            found.append(Place(content.at, []))
        for part in content.objects("parts"):
            parts, names = turns[-1].parts, found[-1].parts
            add(parts, part, calls, others, joined=joined)
            names += [part.at] * (len(parts) - len(names))  # a part may become two, or continue the one before it
            joined = False
    places += [place for place, turn in zip(found, turns, strict=True) if turn.parts]
    return [turn for turn in turns if turn.parts]


def _tools(body: Members, others: dict[str, Raw]) -> list[Tool]:
    tools: list[Tool] = []
    for tool in body.objects("tools"):
        for declared in tool.objects("functionDeclarations"):
            tools.append(_function(declared, others))
        for name in tool:
            if name != "functionDeclarations":
                raw = Raw(_encode({name: tool.get(name)}))
                tools.append(Tool(name=name, kind="builtin", protocol="gemini", raw=raw))
    return tools


def _function(declared: Members, others: dict[str, Raw]) -> Tool:
    name = declared.text("name")
    if not name:
        param = declared.param("name")
        raise InvalidMember(f"{param} is missing.", "Name the function.", param=param)
    schema = declared.get("parametersJsonSchema")
    if schema is None:
        schema = declared.get("parameters")
        if schema is not None:
            at = declared.param("parameters")
            schema = from_openapi(schema, lambda keyword: _note(others, f"{at}.{keyword}"))
    for extra in declared:
        if extra not in ("name", "description", "parameters", "parametersJsonSchema"):
            others[declared.param(extra)] = declared.get(extra) or ABSENT
    return Tool(name=name, description=declared.text("description"), schema=schema or ABSENT)


def _note(others: dict[str, Raw], path: str) -> None:
    others[path] = Raw(b"true")


def _choice(body: Members, others: dict[str, Raw]) -> Choice | None:
    config = body.object("toolConfig")
    if config is None:
        return None
    _rest(config, frozenset(("functionCallingConfig",)), others)
    calling = config.object("functionCallingConfig")
    if calling is None:
        return None
    _rest(calling, frozenset(("mode", "allowedFunctionNames")), others)
    word = calling.text("mode").upper()
    names = tuple(calling.strings("allowedFunctionNames"))
    if word in ("", "MODE_UNSPECIFIED"):
        return Choice("auto", names) if names else None
    try:
        mode = _MODES[word]
    except KeyError:
        param = calling.param("mode")
        raise InvalidMember(
            f"{param} is {word[:100]!a}, which is not known.", "Send AUTO, ANY, NONE or VALIDATED.", param=param
        ) from None
    if word == "VALIDATED":  # that arguments keep to their schema is nowhere else asked for in this way
        others[calling.param("mode")] = calling.get("mode") or ABSENT
    if mode == "required" and len(names) == 1:
        mode = "tool"
    return Choice(mode, names)


def _format(config: Members, others: dict[str, Raw]) -> Format | None:
    mime = config.text("responseMimeType").lower()
    schema = config.get("responseJsonSchema")
    if schema is None:
        schema = config.get("responseSchema")
        if schema is not None:
            at = config.param("responseSchema")
            schema = from_openapi(schema, lambda keyword: _note(others, f"{at}.{keyword}"))
    if mime in ("", "text/plain") or mime != _JSON:
        if mime not in ("", "text/plain"):
            others["generationConfig.responseMimeType"] = config.get("responseMimeType") or ABSENT
        return None
    return Format(kind="json") if schema is None else Format(kind="schema", schema=schema)


def _thought(config: Members, others: dict[str, Raw]) -> Thought | None:
    thinking = config.object("thinkingConfig")
    if thinking is None:
        return None
    _rest(thinking, frozenset(("includeThoughts", "thinkingBudget", "thinkingLevel")), others)
    thought = Thought(show=thinking.flag("includeThoughts"))
    budget = thinking.whole("thinkingBudget")
    level = thinking.text("thinkingLevel").lower()
    if level and level != "thinking_level_unspecified":
        thought.effort = level
    if budget is not None:
        if budget == 0:
            thought.mode = "off"
        elif budget < 0:
            thought.mode = "adaptive"
        else:
            thought.mode, thought.budget = "on", budget
    return thought
