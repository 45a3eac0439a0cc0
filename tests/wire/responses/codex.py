"""A request as Codex CLI sends it, built by hand: 40 KB, dozens of tools, a history with reasoning, odd white space."""

from __future__ import annotations

import json
from typing import Any

INSTRUCTIONS = (
    "You are a coding agent running in a terminal. Follow the user's instructions, keep changes small, and explain "
    'commands before you run them. Paths look like "/home/\u00fcser/pr\u00f6jekt"; \u4f60\u597d; tabs\tand \\ stay.\n'
) * 60


def tool(number: int) -> dict[str, Any]:
    return {
        "type": "function",
        "name": f"mcp__server_{number}__do",
        "description": f"Does thing {number}. " + "Takes care of details. " * 8,
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {
                "zeta": {"type": "string", "description": "First by order, last by name"},
                "alpha": {"type": "integer", "maximum": 9007199254740993, "minimum": -1e-7},
                "list": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["zeta"],
            "additionalProperties": False,
        },
    }


TOOLS: list[dict[str, Any]] = [
    *[tool(number) for number in range(36)],
    {"type": "local_shell"},
    {"type": "web_search", "external_web_access": True},
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edits files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
    },
]
INPUT: list[dict[str, Any]] = [
    {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "<permissions>all</permissions>"}],
    },
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix the t\u00e9st \U0001f600"}]},
    {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "**Looking**"}],
        "content": None,
        "encrypted_content": "gAAAAAB" + "x" * 3000,
    },
    {
        "type": "function_call",
        "name": "mcp__server_1__do",
        "arguments": '{"zeta":"a/b","n":9007199254740993}',
        "call_id": "call_1",
    },
    {
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_2",
        "name": "apply_patch",
        "input": "*** Begin Patch\n+x\n*** End Patch",
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "exit 0\n" + "line\n" * 100},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": "ok"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done so far."}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on"}]},
]
BODY: dict[str, Any] = {
    "model": "gpt-5.6-codex",
    "instructions": INSTRUCTIONS,
    "input": INPUT,
    "tools": TOOLS,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "high", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "service_tier": "priority",
    "prompt_cache_key": "019a7b1e-0000-7000-8000-000000000001",
    "text": {"verbosity": "low"},
    "client_metadata": {"x-codex-installation-id": "4f1c", "session": "s-1"},
}


def request() -> bytes:
    """The bytes: members are not written as any encoder of ours would write them."""
    parts = []
    for at, (name, value) in enumerate(BODY.items()):
        text = json.dumps(value, ensure_ascii=at % 2 == 0, indent=1 if name == "input" else None)
        parts.append(f'"{name}"  :{text}')
    return ("{ " + " ,\n".join(parts) + " }\n").encode()
