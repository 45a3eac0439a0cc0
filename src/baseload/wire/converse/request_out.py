"""Canonical request -> the body of `converse` and `converse-stream`. `write(request, target) -> Written`.

The body is the same for both; the model and the choice between them stand in the URL. Turns become messages in
`blocks.py`, media in `media.py`, thinking in `thought.py`. What has no place is refused or dropped through `Loss`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.wire.canon.carry import Loss, Target, Written
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Request, Tool
from baseload.wire.canon.schema import object_schema
from baseload.wire.converse import thought
from baseload.wire.converse.blocks import Block, Conversation
from baseload.wire.raw import ABSENT

STOPS_MAX = 2500  # botocore, InferenceConfiguration
_TIERS = {"priority": "priority", "flex": "flex", "reserved": "reserved"}
_USUAL_TIERS = frozenset(("", "auto", "default", "standard", "standard_only", "on_demand"))
_encode = msgspec.json.Encoder().encode


def write(request: Request, target: Target) -> Written:
    """The body. Raises `Uncarried` for what the answer depends on and this protocol has no place for."""
    loss = Loss(target)
    conversation = Conversation(request, target, loss)
    conversation.read()
    thinking = thought.write(request, target, _resumable(conversation.messages), loss)
    body: Block = {"messages": conversation.messages}
    if conversation.system:
        body["system"] = conversation.system
    config = _inference(request, target, thinking.on, loss)
    if config:
        body["inferenceConfig"] = config
    tools = _tools(request, conversation, loss)
    if tools:
        body["toolConfig"] = tools
    output = _output(request, target, loss)
    if thinking.effort:
        output["effort"] = thinking.effort
    if output:
        body["outputConfig"] = output
    if request.tier not in _USUAL_TIERS:
        if request.tier in _TIERS and "tier" not in target.unsupported:
            body["serviceTier"] = {"type": _TIERS[request.tier]}
        else:
            loss.lose("tier", name_of(request.protocol, "tier"))
    fields = thinking.fields | _top_k(request, target, thinking.on, loss)
    if fields:
        body["additionalModelRequestFields"] = fields
    if "stopSequences" in config:
        # Anthropic's models say which one matched; a field that a model does not have is left out of its reply.
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    _lose_the_rest(request, loss)
    return Written(body=_encode(body), dropped=loss.dropped)


def _resumable(messages: list[Block]) -> bool:
    """Whether the model may think: one that waits for results must see the thinking that led to its calls.

    Where that thinking was another model's and did not travel, the call goes without thinking instead of failing.
    """
    if len(messages) < 2 or "toolResult" not in messages[-1]["content"][0]:
        return True
    return "reasoningContent" in messages[-2]["content"][0]


def _inference(request: Request, target: Target, thinking: bool, loss: Loss) -> Block:
    config: Block = {}
    if request.max_output is not None:
        config["maxTokens"] = request.max_output
    for field, name, value in (
        ("temperature", "temperature", request.temperature),
        ("top_p", "topP", request.top_p),
    ):
        if value is None:
            continue
        param = name_of(request.protocol, field)
        if field in target.unsupported or (thinking and field == "temperature" and value != 1):
            loss.lose(field, param)  # with thinking by a budget only the temperature 1 is taken
            continue
        if value > 1:
            loss.lose(field, param)
        config[name] = min(value, 1.0)
    stops = [stop for stop in request.stop if stop]
    if stops and "stop" in target.unsupported:
        loss.lose("stop", name_of(request.protocol, "stop"))
    elif stops:
        if len(stops) > STOPS_MAX:
            loss.lose("stop", name_of(request.protocol, "stop"))
        config["stopSequences"] = stops[:STOPS_MAX]
    return config


def _top_k(request: Request, target: Target, thinking: bool, loss: Loss) -> dict[str, Any]:
    """A field of the model's own; Amazon's models keep it elsewhere."""
    if request.top_k is None:
        return {}
    if thinking or "top_k" in target.unsupported:
        loss.lose("top_k", name_of(request.protocol, "top_k"))
        return {}
    if "amazon.nova" in target.model:
        return {"inferenceConfig": {"topK": request.top_k}}
    return {"top_k": request.top_k}


def _tools(request: Request, conversation: Conversation, loss: Loss) -> Block:
    """`toolConfig`. A conversation with calls in it must define tools, whatever is offered now."""
    choice = request.choice
    offered = request.tools
    if choice is not None and choice.names and choice.mode in ("auto", "required"):
        offered = [tool for tool in offered if tool.name in choice.names]  # the allowed set
    if choice is not None and choice.mode == "none" and offered:
        param = name_of(request.protocol, "choice")
        if conversation.tools_used:
            why = f"{param} none has no counterpart at the chosen provider in a conversation with tool calls."
            loss.lose("tool.choice", param, why)
        loss.lose("other", "tools")  # what is not offered is not called
        return {}
    tools: list[Block] = []
    for at, tool in enumerate(offered):
        tools += _tool(tool, f"tools.{at}", conversation, loss)
    if not tools:
        return (
            {"tools": [_spec(Tool(name=name)) for name in conversation.tools_used]} if conversation.tools_used else {}
        )
    if request.parallel is False:
        loss.lose("parallel", name_of(request.protocol, "parallel"))
    config: Block = {"tools": tools}
    if choice is not None and choice.mode == "tool" and choice.names:
        config["toolChoice"] = {"tool": {"name": choice.names[0]}}
    elif choice is not None and choice.mode == "required":
        config["toolChoice"] = {"any": {}}
    elif choice is not None and choice.mode == "auto":
        config["toolChoice"] = {"auto": {}}
    return config


def _tool(tool: Tool, param: str, conversation: Conversation, loss: Loss) -> list[Block]:
    if tool.kind != "function":
        loss.lose("tool.custom" if tool.kind == "custom" else "tool.builtin", param)
        return []
    return [_spec(tool), *conversation.cache_point(tool.cache, param)]


def _spec(tool: Tool) -> Block:
    spec: Block = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": object_schema(tool.schema)}
    if tool.strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _output(request: Request, target: Target, loss: Loss) -> Block:
    wanted = request.format
    if wanted is None or wanted.kind == "text":
        return {}
    param = name_of(request.protocol, "format")
    if wanted.kind == "json" or wanted.schema is ABSENT:
        loss.lose("format.json", param)  # there is JSON by a schema only
        return {}
    if not target.schema:
        loss.lose("format.schema", param)
        return {}
    described: Block = {"schema": bytes(wanted.schema).decode()}  # as text (botocore, JsonSchemaDefinition)
    if wanted.name:
        described["name"] = wanted.name
    if wanted.description:
        described["description"] = wanted.description
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": described}}}


def _lose_the_rest(request: Request, loss: Loss) -> None:
    asked = {
        "n": request.n > 1,
        "seed": request.seed is not None,
        "presence_penalty": bool(request.presence_penalty),
        "frequency_penalty": bool(request.frequency_penalty),
        "logit_bias": bytes(request.logit_bias) not in (b"", b"null", b"{}"),
        "logprobs": request.logprobs,
        "verbosity": bool(request.verbosity),
        "user": bool(request.user),
        "metadata": bytes(request.metadata) not in (b"", b"null", b"{}"),
    }
    for field, given in asked.items():
        if given:
            loss.lose(field, name_of(request.protocol, field))
    if request.cache_key:
        loss.lose("cache", name_of(request.protocol, "cache_key"))
    for name in request.others:
        loss.lose("other", name)
