"""Turns of a conversation -> DashScope's native messages.

In:     canonical turns. Out: messages to encode; losses through `Loss`.
Content is a string where a request is plain text, and a list of `{text}`, `{image}`, `{audio}`, `{video}` in all
messages of one that has media or cache marks. Results of tools are messages of their own, before what the user says.
`reasoning_content` of earlier turns goes back: thinking models answer 400 without it (protocols.md, pitfall 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from baseload.wire.canon import ids
from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.mime import mime_of
from baseload.wire.canon.names import places
from baseload.wire.canon.request import (
    AnyPart,
    Media,
    Opaque,
    Refused,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from baseload.wire.raw import ABSENT

Message = dict[str, Any]

_MARK = {"type": "ephemeral"}
_TTL = "5m"  # the only lifetime there is
_KINDS = ("image", "audio", "video")


def write(request: Request, target: Target, loss: Loss) -> list[Message]:
    return _Writer(request, target, loss).messages()


def _all_parts(request: Request) -> Iterator[AnyPart]:
    """Every part, those inside results of tools too."""
    for turn in request.turns:
        for part in turn.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.content


class _Writer:
    def __init__(self, request: Request, target: Target, loss: Loss) -> None:
        self._request = request
        self._target = target
        self._loss = loss
        self._marks = target.cache_marks and "cache" not in target.unsupported
        self._lists = any(isinstance(part, Media) or (self._marks and part.cache) for part in _all_parts(request))

    def messages(self) -> list[Message]:
        messages: list[Message] = []
        for turn, place in zip(self._request.turns, places(self._request), strict=True):
            if turn.name:
                self._loss.lose("name", f"{place.turn}.name")
            if turn.role == "assistant":
                messages += self._assistant(turn, place.parts)
            else:
                messages += self._other(turn, place.parts)
        return messages

    def _other(self, turn: Turn, params: list[str]) -> list[Message]:
        """A system turn, or results of tools and what the user says."""
        role = "user" if turn.role == "user" else "system"  # the role `developer` is not known (pitfall 8)
        results: list[Message] = []
        pieces: list[Message] = []
        for part, param in zip(turn.parts, params, strict=True):
            if isinstance(part, ToolResult):
                results.append(self._result(part, param))
            else:
                pieces += self._pieces(part, param)
        return results + ([{"role": role, "content": self._content(pieces)}] if pieces else [])

    def _assistant(self, turn: Turn, params: list[str]) -> list[Message]:
        pieces: list[Message] = []
        calls: list[Message] = []
        thought: list[str] = []
        for part, param in zip(turn.parts, params, strict=True):
            if isinstance(part, ToolCall):
                calls.append(self._call(part, len(calls), param))
            elif isinstance(part, Thinking):
                if self._own(part):
                    thought.append(part.text)
                else:
                    self._loss.lose("thinking", param)
            else:
                pieces += self._pieces(part, param)
        if not (pieces or calls or thought):
            return []
        message: Message = {"role": "assistant", "content": self._content(pieces)}
        if thought:
            message["reasoning_content"] = "".join(thought)
        if calls:
            message["tool_calls"] = calls
        return [message]

    def _own(self, part: Thinking) -> bool:
        """Whether thinking may go back as `reasoning_content`: plain text that is not known to be another model's."""
        if not self._target.reasoning_back or not part.text or part.redacted:
            return False
        return part.origin == self._target.origin or (not part.origin and not part.signature)

    def _call(self, part: ToolCall, index: int, param: str) -> Message:
        if part.kind != "function":
            self._loss.lose("tool.custom", param)
        function = {"name": part.name, "arguments": part.arguments or "{}"}
        return {"id": ids.native(part.id), "type": "function", "index": index, "function": function}

    def _result(self, part: ToolResult, param: str) -> Message:
        pieces: list[Message] = []
        for number, piece in enumerate(part.content):
            pieces += self._pieces(piece, f"{param}.content.{number}")
        if not pieces and part.value is not ABSENT:
            pieces = [{"text": bytes(part.value).decode()}]
        if part.is_error:
            self._loss.lose("other", f"{param}.is_error")
        if pieces:
            self._mark(pieces[-1], part.cache, param)
        return {"role": "tool", "content": self._content(pieces), "tool_call_id": ids.native(part.id)}

    def _pieces(self, part: AnyPart, param: str) -> list[Message]:
        piece: Message
        if isinstance(part, Text | Refused):
            if isinstance(part, Text) and part.citations:
                self._loss.lose("citations", param)
            if not part.text:
                return []
            piece = {"text": part.text}
        elif isinstance(part, Media):
            found = self._media(part, param)
            if found is None:
                return []
            piece = found
        else:
            what = part.what if isinstance(part, Opaque) else type(part).__name__
            self._loss.lose("part", param, f"{param} ({what}) cannot be carried to the chosen provider.")
            return []
        self._mark(piece, part.cache, param)
        return [piece]

    def _media(self, part: Media, param: str) -> Message | None:
        if part.file:
            self._loss.lose("media.file", param)
            return None
        if part.kind == "document" and part.text:
            return {"text": part.text}
        if part.kind not in _KINDS or not (part.data or part.url):
            self._loss.lose("media." + part.kind, param)
            return None
        if part.url and not self._target.image_url:
            self._loss.lose("media.url", param)
            return None
        if part.detail not in ("", "auto"):
            self._loss.lose("detail", param)
        return {part.kind: part.url or f"data:{mime_of(part)};base64,{part.data}"}

    def _mark(self, piece: Message, ttl: str, param: str) -> None:
        if not ttl:
            return
        if not self._marks or ttl != _TTL:
            self._loss.lose("cache", param)
        if self._marks:
            piece["cache_control"] = _MARK

    def _content(self, pieces: list[Message]) -> Any:
        if self._lists:
            return pieces
        return "".join([piece["text"] for piece in pieces])
