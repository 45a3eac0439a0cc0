"""What Anthropic Messages refuses with 400 (protocols.md, 4.1 and pitfalls 1, 3, 6, 7, 15, 16)."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from tests.vendors.failures_shapes import anthropic
from tests.vendors.heard import names
from tests.vendors.proofs import reveal, signed
from tests.vendors.visit import Refused, Visit

FOREIGN = names(
    "n seed logprobs top_logprobs logit_bias presence_penalty frequency_penalty response_format "
    "parallel_tool_calls stop user reasoning_effort max_completion_tokens max_output_tokens "
    "stream_options functions instructions input"
)
"""Members of other protocols: "Extra inputs are not permitted". Others pass, as a newer version may know them."""

_ID = re.compile(r"[a-zA-Z0-9_-]+")


def check(visit: Visit) -> None:
    """Raises Refused."""
    body, own = visit.body, visit.dialect.name == "anthropic"
    counting = visit.endpoint == "messages_count"
    if own and "anthropic-version" not in visit.headers:
        _refuse("anthropic-version: header is required")
    for name in ("model", "messages"):
        if not body.get(name):
            _refuse(f"{name}: Field required")
    if own:
        for name in sorted(FOREIGN & set(body)):
            _refuse(f"{name}: Extra inputs are not permitted")
    limit = body.get("max_tokens")
    if not counting and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        _refuse("max_tokens: Field required")
    if own and not 0 <= (body.get("temperature") or 0) <= 1:
        _refuse("temperature: Input should be less than or equal to 1")
    _thinking(body, limit)
    _marks(body)
    _roles(body["messages"])
    for number, message in enumerate(body["messages"]):
        _content(visit, message, f"messages.{number}")
    _pairs(body["messages"])
    _tools(body)


def _thinking(body: dict[str, Any], limit: Any) -> None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") not in (None, "enabled", "disabled", "adaptive", "between_tools"):
        _refuse("thinking.type: Input should be 'enabled', 'disabled', 'adaptive' or 'between_tools'")
    budget = thinking.get("budget_tokens", 0)
    if thinking.get("type") == "enabled":
        if not isinstance(budget, int) or budget < 1024:
            _refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if isinstance(limit, int) and budget >= limit:
            _refuse("`max_tokens` must be greater than `thinking.budget_tokens`")
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if forced and thinking.get("type") in ("enabled", "adaptive", "between_tools"):
        _refuse("Thinking may not be enabled when tool_choice forces tool use.")
    last = next((message for message in reversed(body["messages"]) if message.get("role") == "assistant"), None)
    waiting = body["messages"][-1].get("content")
    if thinking.get("type") != "enabled" or last is None or not isinstance(waiting, list):
        return
    answers = any(block.get("type") == "tool_result" for block in waiting)
    blocks = last["content"] if isinstance(last["content"], list) else []
    first = blocks[0].get("type") if blocks else "text"
    if answers and first not in ("thinking", "redacted_thinking"):
        _refuse(f"messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`.")


def _marks(body: dict[str, Any]) -> None:
    places = [*(body.get("tools") or ()), *(body["system"] if isinstance(body.get("system"), list) else ())]
    for message in body["messages"]:
        places += message["content"] if isinstance(message.get("content"), list) else ()
    if sum(1 for place in places if place.get("cache_control")) > 4:
        _refuse("A maximum of 4 blocks with cache_control may be provided.")


def _roles(messages: list[dict[str, Any]]) -> None:
    for number, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            _refuse(f"messages.{number}.role: Input should be 'user' or 'assistant'")
    if messages[0]["role"] != "user":
        _refuse("messages: first message must use the user role")


KNOWN = names(
    "text image document search_result tool_use tool_result thinking redacted_thinking server_tool_use "
    "web_search_tool_result container_upload"
)


def _content(visit: Visit, message: dict[str, Any], at: str) -> None:
    content = message.get("content")
    if isinstance(content, str):
        if not content:
            _refuse(f"{at}: all messages must have non-empty content except for the optional final assistant message")
        return
    if not isinstance(content, list) or not content:
        _refuse(f"{at}: all messages must have non-empty content except for the optional final assistant message")
    for number, block in enumerate(content):
        kind = block.get("type")
        if kind not in KNOWN:
            _refuse(f"{at}.content.{number}: Input tag {kind!r} is not one of the expected tags")
        if kind == "text" and not str(block.get("text", "")).strip():
            _refuse(f"{at}.content.{number}: text content blocks must be non-empty")
        if kind == "tool_use" and not (_ID.fullmatch(block.get("id", "")) and isinstance(block.get("input"), dict)):
            _refuse(f"{at}.content.{number}.tool_use: id must match '^[a-zA-Z0-9_-]+$', input must be an object")
        if kind == "tool_result" and isinstance(block.get("content"), list):
            for part in block["content"]:
                if part.get("type") == "text" and not part.get("text"):
                    _refuse(f"{at}.content.{number}: text content blocks must be non-empty")
        if kind in ("thinking", "redacted_thinking"):
            _proof(visit, block, f"{at}.content.{number}")


def _proof(visit: Visit, block: dict[str, Any], at: str) -> None:
    dialect, model = visit.dialect.name, str(visit.body["model"])
    if block["type"] == "thinking" and not signed(dialect, model, block.get("thinking", ""), block.get("signature")):
        _refuse(f"{at}: Invalid `signature` in `thinking` block")
    if block["type"] == "redacted_thinking" and reveal(dialect, model, block.get("data")) is None:
        _refuse(f"{at}: Invalid `data` in `redacted_thinking` block")


def _pairs(messages: list[dict[str, Any]]) -> None:
    """Every call is answered in the next user message, results first. Neighbours of one role count as one."""
    waiting: list[str] = []
    for number, (role, content) in enumerate(_merged(messages)):
        results = [block["tool_use_id"] for block in content if block.get("type") == "tool_result"]
        if role == "user":
            for ident in results:
                if ident not in waiting:
                    _refuse(f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {ident}")
            if missing := [ident for ident in waiting if ident not in results]:
                _refuse(
                    f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                    + ", ".join(missing)
                )
            kinds = [block.get("type") == "tool_result" for block in content]
            if kinds != sorted(kinds, reverse=True):
                _refuse(f"messages.{number}: `tool_result` blocks must come first in the content")
        elif results:
            _refuse(f"messages.{number}: `tool_result` blocks can only be in `user` messages")
        waiting = [block["id"] for block in content if block.get("type") == "tool_use"]
    if waiting:
        _refuse("messages: `tool_use` ids were found without `tool_result` blocks immediately after")


def _merged(messages: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    merged: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        if merged and merged[-1][0] == message["role"]:
            merged[-1][1].extend(blocks)
        else:
            merged.append((message["role"], blocks))
    return merged


def _tools(body: dict[str, Any]) -> None:
    names = [tool.get("name", "") for tool in body.get("tools") or ()]
    for number, tool in enumerate(body.get("tools") or ()):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool.get("name", "")):
            _refuse(f"tools.{number}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if "type" not in tool and not isinstance(tool.get("input_schema"), dict):
            _refuse(f"tools.{number}.input_schema: Field required")
    if len(set(names)) != len(names):
        _refuse("tools: Tool names must be unique.")
    choice = body.get("tool_choice") or {}
    if choice and choice.get("type") not in ("auto", "any", "tool", "none"):
        _refuse("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if choice.get("type") == "tool" and choice.get("name") not in names:
        _refuse(f"Tool '{choice.get('name')}' not found in provided tools")


def _refuse(message: str) -> NoReturn:
    raise Refused(anthropic(400, message))
