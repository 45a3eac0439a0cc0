"""What a member of the canonical request is called in the protocol that it was read from: refusals and reports use it.

In:     a protocol and a field of `Request`. Out: the client's own word, e.g. `generationConfig.stopSequences`.
"""

from __future__ import annotations

from baseload.wire.canon.request import Request, ToolResult

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


_SYSTEM = {"messages": "system", "gemini": "systemInstruction"}
_PARTS = {"gemini": "parts"}


def places(request: Request) -> list[str]:
    """What the client calls each turn of the request, e.g. `messages.2`.

    Chat's tool messages that follow each other are one turn here, so they are counted one by one. Anthropic and Gemini
    have a member of its own for the system's turn. Items of Responses become parts or turns: all of them are `input`.
    """
    protocol = request.protocol
    word = name_of(protocol, "turns")
    if protocol == "responses":
        return [word] * len(request.turns)
    found: list[str] = []
    number = 0
    for at, turn in enumerate(request.turns):
        if at == 0 and turn.role == "system" and protocol in _SYSTEM:
            found.append(_SYSTEM[protocol])
            continue
        found.append(f"{word}.{number}")
        results = sum(isinstance(part, ToolResult) for part in turn.parts) if protocol == "chat" else 0
        number += results or 1
    return found


def part_of(protocol: str, place: str, number: int) -> str:
    """What the client calls a part of the turn at `place`."""
    if protocol == "responses":
        return place
    return f"{place}.{_PARTS.get(protocol, 'content')}.{number}"
