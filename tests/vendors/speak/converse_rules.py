"""What Bedrock Converse refuses with a ValidationException (vendors.md, 3.13; protocols.md, pitfalls 6, 7, 9)."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from tests.vendors.failures_shapes import bedrock
from tests.vendors.heard import names
from tests.vendors.proofs import reveal, signed
from tests.vendors.visit import Refused, Visit

FOREIGN = names(
    "model max_tokens temperature stop n seed tools tool_choice stream response_format contents generationConfig"
)
BLOCKS = names("text image document video toolUse toolResult reasoningContent cachePoint guardContent")
CONFIG = names("maxTokens temperature topP stopSequences")


def check(visit: Visit, model: str) -> None:
    """Raises Refused."""
    body = visit.body
    if found := FOREIGN & set(body):
        _refuse(f"#: extraneous key [{min(found)}] is not permitted")
    if found := set(body.get("inferenceConfig") or {}) - CONFIG:
        _refuse(f"#/inferenceConfig: extraneous key [{min(found)}] is not permitted")
    for block in body.get("system") or ():
        if "text" in block and not block["text"].strip():
            _refuse("The text field in the system content block is blank.")
    messages = body.get("messages") or []
    if not messages:
        _refuse("messages: at least one message is required.")
    tools = (body.get("toolConfig") or {}).get("tools") or []
    _tools(body.get("toolConfig"), tools)
    for number, message in enumerate(messages):
        if message.get("role") != ("user", "assistant")[number % 2]:
            _refuse("A conversation must start with a user message and alternate between user and assistant roles.")
        if not message.get("content"):
            _refuse(f"The content field in the Message object at messages.{number} is empty.")
        for block in message["content"]:
            _block(visit, model, block, f"messages.{number}")
            if {"toolUse", "toolResult"} & set(block) and not tools:
                _refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    _pairs(messages)
    thinking = (body.get("additionalModelRequestFields") or {}).get("thinking") or {}
    choice = (body.get("toolConfig") or {}).get("toolChoice") or {}
    if thinking.get("type") == "enabled" and {"any", "tool"} & set(choice):
        _refuse("Thinking may not be enabled when tool_choice forces tool use.")
    if thinking.get("type") == "enabled" and any("toolResult" in block for block in messages[-1]["content"]):
        first = next(iter(messages[-2]["content"][0]))
        if first != "reasoningContent":
            _refuse(f"Expected `thinking` or `redacted_thinking`, but found `{first}` in the last assistant turn.")
    limit = (body.get("inferenceConfig") or {}).get("maxTokens")
    if thinking.get("type") == "enabled" and limit is not None and thinking.get("budget_tokens", 0) >= limit:
        _refuse("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _tools(config: Any, tools: list[dict[str, Any]]) -> None:
    if config is None:
        return
    if not tools:
        _refuse("toolConfig.tools: at least one tool is required.")
    for tool in tools:
        spec = tool.get("toolSpec")
        if spec and not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", spec.get("name", "")):
            _refuse(f"toolSpec.name {spec.get('name')!r} does not match [a-zA-Z0-9_-]+")
        if spec and not isinstance((spec.get("inputSchema") or {}).get("json"), dict):
            _refuse("toolSpec.inputSchema.json is required")
    choice = config.get("toolChoice")
    if choice is not None and (len(choice) != 1 or not set(choice) <= {"auto", "any", "tool"}):
        _refuse("toolChoice must be one of auto, any, tool.")


def _block(visit: Visit, model: str, block: dict[str, Any], at: str) -> None:
    kinds = set(block)
    if len(kinds) != 1 or not kinds <= BLOCKS:
        _refuse(f"The content block at {at} must have exactly one known member, not {sorted(kinds)}.")
    if "text" in block and not block["text"].strip():
        _refuse(f"The text field in the ContentBlock object at {at} is blank.")
    for kind in ("image", "document", "video"):
        if kind in block:
            _source(block[kind], kind, at)
    if "toolUse" in block:
        use = block["toolUse"]
        if not re.fullmatch(r"[a-zA-Z0-9_.:-]{1,64}", use.get("toolUseId", "")) or not isinstance(
            use.get("input"), dict
        ):
            _refuse(f"toolUse at {at}: toolUseId must match [a-zA-Z0-9_.:-]+, input must be an object.")
    if "toolResult" in block:
        for part in block["toolResult"].get("content", ()):
            if "image" in part:
                _source(part["image"], "image", at)
            if "text" in part and not part["text"]:
                _refuse(f"The text field in the ToolResultContentBlock at {at} is blank.")
    if "reasoningContent" in block:
        _reasoning(visit, model, block["reasoningContent"], at)


def _source(given: dict[str, Any], kind: str, at: str) -> None:
    source = given.get("source") or {}
    if not set(source) <= {"bytes", "s3Location", "text"} or not source or not given.get("format"):
        _refuse(f"The {kind} at {at} needs a format and bytes or an s3Location.")
    if kind == "document" and not re.fullmatch(r"[a-zA-Z0-9 \[\]()-]{1,200}", given.get("name", "")):
        _refuse(f"The document at {at} needs a name of letters, digits, spaces, hyphens, parentheses and brackets.")


def _reasoning(visit: Visit, model: str, block: dict[str, Any], at: str) -> None:
    dialect = visit.dialect.name
    text = block.get("reasoningText")
    if text is not None and not signed(dialect, model, text.get("text", ""), text.get("signature")):
        _refuse(f"{at}: Invalid `signature` in `thinking` block")
    if "redactedContent" in block and reveal(dialect, model, block["redactedContent"]) is None:
        _refuse(f"{at}: Invalid `data` in `redacted_thinking` block")


def _pairs(messages: list[dict[str, Any]]) -> None:
    waiting: list[str] = []
    for message in messages:
        answered = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if sorted(answered) != sorted(waiting):
            _refuse(
                "The number of toolResult blocks differs from the number of toolUse blocks of the previous turn: "
                f"expected {waiting}, found {answered}."
            )
        waiting = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]


def _refuse(message: str) -> NoReturn:
    raise Refused(bedrock(400, "ValidationException", message))
