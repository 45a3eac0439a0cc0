"""Requests and streams of generateContent, written out by hand after Google's documented dialect and its clients."""

from __future__ import annotations

import json
from typing import Any

TOOLS = [
    "read_file",
    "read_many_files",
    "write_file",
    "replace",
    "list_directory",
    "glob",
    "search_file_content",
    "run_shell_command",
    "web_fetch",
    "google_web_search",
    "save_memory",
    "write_todos",
    "codebase_investigator",
    "list_processes",
    "read_background_output",
    "mcp_github_create_issue",
    "mcp_github_get_file",
    "mcp_github_list_commits",
    "mcp_jira_search",
    "mcp_jira_transition",
    "mcp_postgres_query",
    "mcp_postgres_explain",
    "mcp_browser_open",
    "mcp_browser_click",
    "mcp_browser_screenshot",
]


def gemini_cli() -> bytes:
    """What gemini-cli sends in the middle of a task: a long system instruction, dozens of tools, calls and results."""
    system = "You are an interactive CLI agent specializing in software engineering tasks.\n\n" + "\n".join(
        f"- **Rule {number}:** Follow the project's conventions; check 'package.json', \"a.toml\" and \\u2713 {number}."
        for number in range(80)
    )
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "absolute_path": {"type": "string", "description": "Must be absolute, e.g. '/srv/project/file.txt'."},
            "offset": {"type": "number", "description": "0-based line."},
            "edits": {"type": "array", "items": {"$ref": "#/$defs/edit"}, "minItems": 1},
        },
        "$defs": {"edit": {"type": "object", "properties": {"old": {"type": "string"}}, "additionalProperties": False}},
        "required": ["absolute_path"],
        "additionalProperties": False,
    }
    declared = [
        {"name": name, "description": f"{name} does what its name says. " * 6, "parametersJsonSchema": schema}
        for name in TOOLS
    ]
    contents: list[dict[str, Any]] = [
        {"role": "user", "parts": [{"text": "<session_context>Today is Wednesday. OS: linux.</session_context>"}]},
        {"role": "model", "parts": [{"text": "Got it. Thanks for the context!"}]},
        {"role": "user", "parts": [{"text": "Why does `caf\u00e9` break the parser? \U0001f600"}]},
    ]
    for number in range(6):
        call = {"name": "read_file", "args": {"absolute_path": f"/repo/src/{number}.py", "limit": 12345678901234567890}}
        contents.append(
            {"role": "model", "parts": [{"functionCall": call, "thoughtSignature": "CiQB0e2Kb" + "Ab+/" * 40 + "=="}]}
        )
        answer = {"id": f"read_file-{number}", "name": "read_file", "response": {"output": f"line {number}\n" * 12}}
        contents.append({"role": "user", "parts": [{"functionResponse": answer}]})
    body = {
        "contents": contents,
        "systemInstruction": {"role": "user", "parts": [{"text": system}]},
        "tools": [{"functionDeclarations": declared}],
        "generationConfig": {
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192},
        },
    }
    return json.dumps(body, ensure_ascii=False, indent=1).encode()


def sse(*objects: dict[str, Any], end: str = "\n\n") -> bytes:
    return "".join(f"data: {json.dumps(one)}{end}" for one in objects).encode()


def piece(*parts: dict[str, Any], finish: str = "", index: int = 0, **more: Any) -> dict[str, Any]:
    """One object of a stream."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}}
    if finish:
        candidate["finishReason"] = finish
    candidate["index"] = index
    return {"candidates": [candidate], **more, "modelVersion": "gemini-3-pro-preview", "responseId": "r_1"}


SIGNATURE = "Et8BCtwBAdHtim8+/w=="
LAST = "EqkCCqYCAXLI2nx/zA=="

USAGE = [
    {"promptTokenCount": 40, "totalTokenCount": 40},
    {
        "promptTokenCount": 40,
        "cachedContentTokenCount": 16,
        "candidatesTokenCount": 21,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 91,
    },
]

STREAM = sse(
    piece({"text": "Let me ", "thought": True}, usageMetadata=USAGE[0]),
    piece({"text": "think \U0001f600.", "thought": True}),
    piece({"text": "The caf\u00e9 "}),
    piece({"text": 'is "open".\n'}),
    piece(
        {
            "functionCall": {"name": "look", "args": {"b": 12345678901234567890, "a": "}{"}},
            "thoughtSignature": SIGNATURE,
        },
        {"functionCall": {"id": "fc_2", "name": "look", "args": {}}},
    ),
    piece({"text": "", "thoughtSignature": LAST}, finish="STOP", usageMetadata=USAGE[1]),
)
"""Thoughts, text, two calls in parallel of which the first is signed, and a last signature in an empty part."""


def as_array(stream: bytes) -> bytes:
    """The same as the JSON array that comes without alt=sse, printed as Google prints it."""
    objects = [json.loads(frame[6:]) for frame in stream.split(b"\n\n") if frame]
    return ("[" + "\n,\r\n".join(json.dumps(one, indent=2) for one in objects) + "]\n").encode()
