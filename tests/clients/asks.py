"""The same question by each official library, whole or streamed through its own accumulator: text and finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from google.genai import types

from tests.clients.grid import Grid


class Said(NamedTuple):
    text: str
    finish: str  # in the library's own word


def openai_chat(grid: Grid, name: str, text: str, *, stream: bool = False, retries: int = 0, **more: Any) -> Said:
    client = grid.openai(retries)
    asked: Any = {"model": name, "messages": [{"role": "user", "content": text}], **more}
    if not stream:
        choice = client.chat.completions.create(**asked).choices[0]
    else:
        with client.chat.completions.stream(**asked) as events:
            for _ in events:
                pass
            choice = events.get_final_completion().choices[0]
    return Said(choice.message.content or choice.message.refusal or "", choice.finish_reason)


def openai_responses(grid: Grid, name: str, text: str, *, stream: bool = False, retries: int = 0, **more: Any) -> Said:
    client = grid.openai(retries)
    asked: Any = {"model": name, "input": text, **more}
    if not stream:
        reply = client.responses.create(**asked)
    else:
        with client.responses.stream(**asked) as events:
            for _ in events:
                pass
            reply = events.get_final_response()
    why = reply.incomplete_details.reason if reply.incomplete_details else None
    return Said(reply.output_text, why or reply.status or "")


def anthropic(grid: Grid, name: str, text: str, *, stream: bool = False, retries: int = 0, **more: Any) -> Said:
    client = grid.anthropic(retries)
    asked: Any = {"model": name, "max_tokens": 500, "messages": [{"role": "user", "content": text}], **more}
    if not stream:
        reply: Any = client.messages.create(**asked)
    else:
        with client.messages.stream(**asked) as events:
            reply = events.get_final_message()
    return Said("".join(getattr(block, "text", "") for block in reply.content), reply.stop_reason or "")


def gemini(grid: Grid, name: str, text: str, *, stream: bool = False, **config: Any) -> Said:
    asked: Any = {"model": name, "contents": text, "config": types.GenerateContentConfig(**config)}
    models = grid.google.models
    chunks = list(models.generate_content_stream(**asked)) if stream else [models.generate_content(**asked)]
    finish = next(_finishes(chunks), "")
    return Said("".join(chunk.text or "" for chunk in chunks), finish)


def _finishes(chunks: list[types.GenerateContentResponse]) -> Iterator[str]:
    for chunk in chunks:
        for candidate in chunk.candidates or ():
            if candidate.finish_reason is not None:
                yield candidate.finish_reason.value
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason is not None:
            yield chunk.prompt_feedback.block_reason.value


ASKS: dict[str, Callable[..., Said]] = {
    "chat": openai_chat,
    "responses": openai_responses,
    "messages": anthropic,
    "gemini": gemini,
}
