"""The usage object of an answer, in each protocol's own semantics (protocols.md, section 7). Pure."""

from __future__ import annotations

from typing import Any

from tests.vendors.answers import Answer


def usage(dialect: str, said: Answer, frames: int | None = None) -> dict[str, Any]:
    """Of chat and completions. `frames`: running totals after so many frames of text (None: the whole)."""
    output = said.completion_tokens if frames is None else frames
    report: dict[str, Any] = {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": output,
        "total_tokens": said.prompt_tokens + output,
    }
    hit, thought = said.cached_tokens, min(said.reasoning_tokens, output)
    details: dict[str, Any] = {
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
            if said.written:
                written = said.written_tokens
                report["prompt_tokens_details"] |= {
                    "cache_creation": {"ephemeral_5m_input_tokens": written},
                    "cache_creation_input_tokens": written,
                    "cache_type": "ephemeral",
                }
        case _:
            if said.written:
                details["prompt_tokens_details"]["cache_write_tokens"] = said.written_tokens
            report |= details
    return report


def responses(said: Answer) -> dict[str, Any]:
    """Input includes cache reads and writes; reasoning is inside the output."""
    return {
        "input_tokens": said.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": said.cached_tokens,
            "cache_write_tokens": said.written_tokens,
            **({"cache_write_tokens_details": {"ttl_30m_tokens": said.written_tokens}} if said.written else {}),
        },
        "output_tokens": said.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
        "total_tokens": said.prompt_tokens + said.completion_tokens,
    }


def messages(said: Answer, dialect: str = "anthropic") -> dict[str, Any]:
    """Input excludes cache reads and writes; these are split by lifetime."""
    split = {"5m": 0, "1h": 0} | dict(said.written)
    report: dict[str, Any] = {
        "input_tokens": said.fresh_tokens,
        "cache_creation_input_tokens": said.written_tokens,
        "cache_read_input_tokens": said.cached_tokens,
        "output_tokens": said.completion_tokens,
    }
    if dialect == "anthropic":
        report["cache_creation"] = {
            "ephemeral_5m_input_tokens": split["5m"],
            "ephemeral_1h_input_tokens": split["1h"],
        }
        report |= {"service_tier": "standard", "inference_geo": "global"}
    return report


def gemini(said: Answer, output: int | None = None, thoughts: int | None = None) -> dict[str, Any]:
    """Thoughts are outside `candidatesTokenCount`. `output`, `thoughts`: running totals."""
    output = said.text_tokens * said.choices if output is None else output
    thoughts = said.reasoning_tokens if thoughts is None else thoughts
    report: dict[str, Any] = {"promptTokenCount": said.prompt_tokens}
    if said.cached_tokens:
        report["cachedContentTokenCount"] = said.cached_tokens
    if output:
        report["candidatesTokenCount"] = output
    if thoughts:
        report["thoughtsTokenCount"] = thoughts
    report["totalTokenCount"] = said.prompt_tokens + output + thoughts
    report["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": said.prompt_tokens}]
    return report


def converse(said: Answer) -> dict[str, Any]:
    """Input excludes cache reads and writes; the total has everything; reasoning is inside the output."""
    report: dict[str, Any] = {
        "inputTokens": said.fresh_tokens,
        "outputTokens": said.completion_tokens,
        "totalTokens": said.prompt_tokens + said.completion_tokens,
        "cacheReadInputTokens": said.cached_tokens,
        "cacheWriteInputTokens": said.written_tokens,
    }
    if said.written:
        report["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in said.written]
    return report


def qwen(said: Answer, output: int | None = None) -> dict[str, Any]:
    """DashScope's native spelling. `output`: running total."""
    output = said.completion_tokens if output is None else output
    return {
        "input_tokens": said.prompt_tokens,
        "output_tokens": output,
        "total_tokens": said.prompt_tokens + output,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
        "output_tokens_details": {"reasoning_tokens": min(said.reasoning_tokens, output)},
    }
