"""One file a protocol: how its requests are heard, what it refuses, and how it says an answer, whole and streamed."""

from __future__ import annotations

from typing import Any

from tests.vendors.heard import Heard
from tests.vendors.speak import chat_heard, converse, gemini, messages, qwen, responses

__all__ = ["hear"]

HEARING = {
    "chat": chat_heard.hear,
    "completions": chat_heard.hear_prompt,
    "embeddings": chat_heard.hear_inputs,
    "responses": responses.hear,
    "messages": messages.hear,
    "gemini": gemini.hear,
    "converse": converse.hear,
    "qwen": qwen.hear,
}


def hear(endpoint: str, body: dict[str, Any], **more: Any) -> Heard:
    """What the model hears in a request body."""
    return HEARING[endpoint](body, **more)
