"""What a member of the canonical request is called in the protocol that it was read from: refusals and reports use it.

In:     a protocol and a field of `Request`, or the request's turns and parts. Out: the client's own words, e.g.
        `generationConfig.stopSequences`, `messages.2.content.0`.
"""

from __future__ import annotations

from baseload.wire.canon.request import Place, Refused, Request, Thinking, ToolCall, ToolResult, Turn

_CONFIG = "generationConfig."

_NAMES: dict[str, dict[str, str]] = {
    "chat": {
        "max_output": "max_completion_tokens",
        "choice": "tool_choice",
        "parallel": "parallel_tool_calls",
        "format": "response_format",
        "thought": "reasoning_effort",
        "tier": "service_tier",
        "cache_key": "prompt_cache_key",
        "turns": "messages",
    },
    "responses": {
        "max_output": "max_output_tokens",
        "choice": "tool_choice",
        "parallel": "parallel_tool_calls",
        "format": "text.format",
        "verbosity": "text.verbosity",
        "thought": "reasoning",
        "tier": "service_tier",
        "cache_key": "prompt_cache_key",
        "logprobs": "include",
        "user": "safety_identifier",
        "turns": "input",
    },
    "messages": {
        "max_output": "max_tokens",
        "stop": "stop_sequences",
        "choice": "tool_choice",
        "parallel": "tool_choice.disable_parallel_tool_use",
        "format": "output_config.format",
        "thought": "thinking",
        "tier": "service_tier",
        "user": "metadata.user_id",
        "turns": "messages",
    },
    "gemini": {
        "max_output": _CONFIG + "maxOutputTokens",
        "temperature": _CONFIG + "temperature",
        "top_p": _CONFIG + "topP",
        "top_k": _CONFIG + "topK",
        "stop": _CONFIG + "stopSequences",
        "n": _CONFIG + "candidateCount",
        "seed": _CONFIG + "seed",
        "presence_penalty": _CONFIG + "presencePenalty",
        "frequency_penalty": _CONFIG + "frequencyPenalty",
        "logprobs": _CONFIG + "responseLogprobs",
        "top_logprobs": _CONFIG + "logprobs",
        "format": _CONFIG + "responseSchema",
        "thought": _CONFIG + "thinkingConfig",
        "choice": "toolConfig",
        "tier": "serviceTier",
        "turns": "contents",
    },
}


def name_of(protocol: str, field: str) -> str:
    """The client's word for a field of `Request`; the field's own name where they are the same."""
    return _NAMES.get(protocol, {}).get(field, field)


def places(request: Request) -> list[Place]:
    """What the client calls each turn of the request and each part of it, e.g. `messages.2` and `messages.2.content.0`.

    Readers of protocols whose turns are not ours one by one have said it. Chat's tool messages that follow each other
    are one turn here, so they are counted one by one; Anthropic has a member of its own for the system's turn.
    """
    said = request.places
    if len(said) == len(request.turns) and all(
        len(place.parts) == len(turn.parts) for place, turn in zip(said, request.turns, strict=True)
    ):
        return said
    word = name_of(request.protocol, "turns")
    chat = request.protocol == "chat"
    found: list[Place] = []
    number = 0
    for at, turn in enumerate(request.turns):
        if at == 0 and turn.role == "system" and request.protocol == "messages":
            found.append(Place("system", [f"system.{part}" for part in range(len(turn.parts))]))
            continue
        found.append((_chat if chat else _listed)(f"{word}.{number}", turn))
        results = sum(isinstance(part, ToolResult) for part in turn.parts) if chat else 0
        if results > 1:
            found[-1].parts[:] = [f"{word}.{number + each}" for each in range(results)] + found[-1].parts[results:]
        number += results or 1
    return found


def _listed(at: str, turn: Turn) -> Place:
    return Place(at, [f"{at}.content.{part}" for part in range(len(turn.parts))])


def _chat(at: str, turn: Turn) -> Place:
    """Thinking, refusals and calls stand beside the content of their message; a result is a message."""
    content = calls = 0
    parts: list[str] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            parts.append(at)
        elif isinstance(part, ToolCall):
            parts.append(f"{at}.tool_calls.{calls}")
            calls += 1
        elif isinstance(part, Thinking):
            parts.append(f"{at}.{'reasoning_details' if part.signature else 'reasoning_content'}")
        elif isinstance(part, Refused):
            parts.append(f"{at}.refusal")
        else:
            parts.append(f"{at}.content.{content}")
            content += 1
    return Place(at, parts)
