"""A request's tokens told from its texts, where nobody counts them. An estimate, and said to be one.

In:     a canonical request, bytes per token of the model. Out: tokens.
"""

from __future__ import annotations

from baseload.wire.canon.request import AnyPart, Media, Refused, Request, Text, Thinking, ToolCall, ToolResult

TURN_TOKENS = 4  # role and separators of a turn, in the templates of common models
MEDIA_TOKENS = {"image": 1200, "document": 3000, "audio": 1000, "video": 5000}
"""Tokens of media by kind, about: vendors count them by pixels, pages and seconds, each in its own way."""


def tokens_of(request: Request, bytes_per_token: float) -> int:
    size, extra = 0, 0
    for turn in request.turns:
        extra += TURN_TOKENS
        for part in turn.parts:
            text, media = _weigh(part)
            size += text
            extra += media
    for tool in request.tools:
        size += len(tool.name.encode()) + len(tool.description.encode()) + len(tool.schema) + len(tool.raw)
    if request.format is not None:
        size += len(request.format.schema)
    return int(size / bytes_per_token) + extra + 1


def _weigh(part: AnyPart) -> tuple[int, int]:
    """(bytes of text, tokens of media)."""
    if isinstance(part, Text | Thinking | Refused):
        return len(part.text.encode("utf-8", "replace")), 0
    if isinstance(part, ToolCall):
        return len(part.name.encode("utf-8", "replace")) + len(part.arguments.encode("utf-8", "replace")), 0
    if isinstance(part, Media):
        return (len(part.text.encode("utf-8", "replace")), 0) if part.text else (0, MEDIA_TOKENS.get(part.kind, 1000))
    if isinstance(part, ToolResult):
        weights = [_weigh(inner) for inner in part.content]
        return sum(size for size, _ in weights) + len(part.value), sum(media for _, media in weights)
    return len(part.raw), 0
