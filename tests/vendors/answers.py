"""What a simulated model answers: a function of the request alone, so that a test can compute what must come out. Pure.

A word is a token. The prompt has the words of all texts and 3 more a message; the answer repeats the last text after
"echo", cut by `max_tokens`. Words in the prompt switch things on:

    cached    half of the prompt is a cache hit
    think     (or a model of that name) three words of reasoning, counted in the output
    tool      with `tools` in the request: the first function is called with the last text as its argument
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

REASONING = ("let", "me", "see")
EMBEDDING_SIZE = 8


@dataclass(frozen=True)
class Answer:
    """`words` of text, one token and (streamed) one frame each; `choices` times the same."""

    words: tuple[str, ...]
    prompt_tokens: int
    cached_tokens: int = 0
    reasoning: tuple[str, ...] = ()
    finish: str = "stop"
    choices: int = 1
    tool: str = ""  # name of the function called instead of text

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def completion_tokens(self) -> int:
        return (len(self.words) + len(self.reasoning)) * self.choices

    @property
    def pieces(self) -> list[str]:
        """The text as a stream brings it."""
        return [word if not index else f" {word}" for index, word in enumerate(self.words)]


def answer(body: dict[str, Any], endpoint: str = "chat", words: int | None = None) -> Answer:
    """The answer to a request body. `words`: so many instead of an echo."""
    texts = _texts(body, endpoint)
    prompt = " ".join(texts).split()
    tokens = len(prompt) + (3 * len(texts) if endpoint == "chat" else 0)
    if endpoint == "embeddings":
        return Answer((), max(tokens, 1))
    said = ["echo", *(texts[-1].split() if texts else ())] if words is None else [f"w{n}" for n in range(words)]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    cut = isinstance(limit, int) and limit < len(said)
    tools = body.get("tools") or []
    calls = endpoint == "chat" and bool(tools) and "tool" in prompt
    return Answer(
        words=tuple(said[:limit] if cut else said),
        prompt_tokens=tokens,
        cached_tokens=tokens // 2 if "cached" in prompt else 0,
        reasoning=REASONING if "think" in prompt or "think" in str(body.get("model", "")) else (),
        finish="tool_calls" if calls else "length" if cut else "stop",
        choices=body.get("n") or 1,
        tool=tools[0]["function"]["name"] if calls else "",
    )


def usage(dialect: str, said: Answer, frames: int | None = None) -> dict[str, Any]:
    """The usage object of a dialect. `frames`: running totals after so many frames of text (None: the whole)."""
    output = said.completion_tokens if frames is None else frames
    report: dict[str, Any] = {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": output,
        "total_tokens": said.prompt_tokens + output,
    }
    hit, thought = said.cached_tokens, min(len(said.reasoning) * said.choices, output)
    details = {
        "prompt_tokens_details": {"cached_tokens": hit},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    match dialect:
        case "deepseek":
            report |= {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": said.prompt_tokens - hit, **details}
        case "moonshot":
            report |= {"cached_tokens": hit}
        case "vllm":
            report |= {"prompt_tokens_details": {"cached_tokens": hit} if hit else None}
        case "sglang":
            report |= {"reasoning_tokens": thought, "prompt_tokens_details": {"cached_tokens": hit} if hit else None}
        case "llamacpp":
            report |= {"prompt_tokens_details": {"cached_tokens": hit}}
        case "ollama" | "minimax" | "qianfan":
            pass
        case "openrouter":
            cost = (said.prompt_tokens - hit + 4 * output) / 1e6
            report |= {"cost": cost, "is_byok": False, "cost_details": {"upstream_inference_cost": None}, **details}
        case "dashscope":
            report |= {
                "prompt_tokens_details": {"text_tokens": said.prompt_tokens, "cached_tokens": hit},
                "completion_tokens_details": {"reasoning_tokens": thought, "text_tokens": output},
            }
        case _:
            report |= details
    return report


def embedding(text: str) -> list[float]:
    """A vector that depends on the text only; the numbers are exact in float32."""
    data = text.encode()
    return [sum(data[index::EMBEDDING_SIZE]) / 256 for index in range(EMBEDDING_SIZE)]


def inputs(body: dict[str, Any]) -> list[str]:
    """What an embeddings request asks for, as texts (token ids become words)."""
    given = body.get("input", "")
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [item if isinstance(item, str) else " ".join(map(str, item)) for item in given]


def _texts(body: dict[str, Any], endpoint: str) -> list[str]:
    if endpoint == "embeddings":
        return inputs(body)
    if endpoint == "completions":
        prompt = body.get("prompt", "")
        return [prompt] if isinstance(prompt, str) else [str(item) for item in prompt]
    return [_text(message.get("content")) for message in body.get("messages", ())]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return "" if content is None else json.dumps(content)
