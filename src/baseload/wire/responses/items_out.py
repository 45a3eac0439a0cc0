"""Turns -> input items for a provider.

In:     a canonical request, where it goes, and the ledger of losses.
Out:    items as plain values for the encoder, raw JSON inside where it came so.
An assistant's turn becomes its messages, reasoning and calls in their order; a user's its messages and tool outputs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from msgspec import Raw

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

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
_AUDIO_FORMATS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}
_BREAK_TTLS = {"12h": "12h"}  # every other lifetime is nearest to OpenAI's 30 minutes


def call_id(id_: str) -> str:
    """An id that OpenAI takes (64 characters: protocols.md, pitfall 3). Call and output get the same one."""
    if _CALL_ID.match(id_):
        return id_
    return "call_" + hashlib.sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def json_text(arguments: str) -> str:
    """Arguments as they are; "" means none."""
    return arguments if arguments.strip() else "{}"


class ItemWriter:
    """Writes one request's turns."""

    def __init__(self, request: Request, target: Target, loss: Loss) -> None:
        self._request = request
        self._target = target
        self._loss = loss
        self._places = places(request)
        self._custom = {
            part.id
            for turn in request.turns
            for part in turn.parts
            if isinstance(part, ToolCall) and part.kind == "custom"
        }

    def write(self, turns: list[Turn], first: int) -> list[Any]:
        """The items of `turns`; `first` is the number of the first one in the request."""
        items: list[Any] = []
        for turn, place in zip(turns, self._places[first:], strict=True):
            if turn.name:
                self._loss.lose("name", f"{place.turn}.name")
            self._turn(turn, place.parts, items)
        return items

    def _turn(self, turn: Turn, names: list[str], items: list[Any]) -> None:
        role = turn.role
        if role == "developer" and not self._target.developer:
            role = "system"
        content: list[Any] = []

        def flush() -> None:
            if content:
                items.append({"type": "message", "role": role, "content": list(content)})
                content.clear()

        for part, place in zip(turn.parts, names, strict=True):
            item = self._item(part, place)
            if item is not None:
                flush()
                items += item
                continue
            written = self._part(part, place, role == "assistant")
            if written is not None:
                content.append(written)
        flush()

    def _item(self, part: AnyPart, where: str) -> list[Any] | None:
        """The items of a part that is no content of a message; None = it is."""
        if isinstance(part, ToolCall):
            return [self._call(part)]
        if isinstance(part, ToolResult):
            return [self._result(part, where)]
        if isinstance(part, Thinking):
            return self._reasoning(part, where)
        if isinstance(part, Opaque) and part.protocol == "responses" and not _is_content(part):
            return [part.raw]
        return None

    def _call(self, part: ToolCall) -> dict[str, Any]:
        id_ = call_id(part.id)
        if part.kind == "custom":
            return {"type": "custom_tool_call", "call_id": id_, "name": part.name, "input": part.arguments}
        return {"type": "function_call", "call_id": id_, "name": part.name, "arguments": json_text(part.arguments)}

    def _result(self, part: ToolResult, where: str) -> dict[str, Any]:
        kind = "custom_tool_call_output" if part.id in self._custom else "function_call_output"
        self._mark(part, where)
        if part.is_error:
            self._loss.lose("other", f"{where}.is_error")  # the text says it too
        texts = [one for one in part.content if isinstance(one, Text) and not one.cache]
        output: Any
        if not part.content:
            output = "" if part.value == ABSENT else bytes(part.value).decode("utf-8", "replace")
        elif len(part.content) == 1 and texts:
            output = texts[0].text
        else:
            output = [
                found
                for number, one in enumerate(part.content)
                if (found := self._part(one, f"{where}.content.{number}", False)) is not None
            ]
        return {"type": kind, "call_id": call_id(part.id), "output": output}

    def _reasoning(self, part: Thinking, where: str) -> list[Any]:
        ours = part.origin == self._target.origin or (
            not part.origin and self._request.protocol == self._target.protocol
        )
        texts = [{"type": "summary_text", "text": part.text}] if part.text else []
        if part.signature and ours and not part.redacted:
            item = {"type": "reasoning", "summary": texts, "encrypted_content": part.signature}
            # OpenAI refuses encrypted reasoning under another id than its own, and takes it without one.
            return [{"id": part.id, **item} if part.id else item]
        if ours and part.id and not part.origin:  # stored at the provider: its id is enough
            return [{"type": "reasoning", "id": part.id, "summary": texts}]
        if part.text and self._target.reasoning_back and not part.redacted:
            if part.signature:
                self._loss.lose("thinking", where)
            digest = hashlib.sha256(part.text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
            said = [{"type": "reasoning_text", "text": part.text}]
            return [{"type": "reasoning", "id": f"rs_{digest}", "summary": [], "content": said}]
        if part.text or part.signature:
            self._loss.lose("thinking", where)
        return []

    def _part(self, part: AnyPart, where: str, assistant: bool) -> Any:
        """A content part; None where it is left out."""
        if isinstance(part, Text):
            if not part.text and not assistant:
                return None  # refused by many, and says nothing
            written: dict[str, Any] = {"type": "output_text" if assistant else "input_text", "text": part.text}
            if assistant:
                written["annotations"] = self._annotations(part, where)
        elif isinstance(part, Refused):
            written = {"type": "refusal", "refusal": part.text}
        elif isinstance(part, Media):
            if assistant:
                self._loss.lose(f"media.{part.kind}", where)
                return None
            written = self._media(part, where)
        elif isinstance(part, Opaque) and part.protocol == "responses":
            return part.raw
        else:
            what = part.what if isinstance(part, Opaque) else type(part).__name__
            self._loss.lose("part", where, f"{where} is of the type {what}, which only its own protocol knows.")
            return None
        mark = self._mark(part, where)
        return {**written, **mark} if mark else written

    def _annotations(self, part: Text, where: str) -> list[Raw]:
        if part.citations and part.citations_of != "responses":
            self._loss.lose("citations", f"{where}.citations")
            return []
        return list(part.citations)

    def _mark(self, part: AnyPart, where: str) -> dict[str, Any]:
        if not part.cache:
            return {}
        if not self._target.cache_marks or isinstance(part, ToolResult):
            self._loss.lose("cache", f"{where}.{_MARKS.get(self._request.protocol, 'cache_control')}")
            return {}
        return {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": _BREAK_TTLS.get(part.cache, "30m")}}

    def _media(self, part: Media, where: str) -> dict[str, Any]:
        kind = part.kind
        if part.file:
            if self._request.protocol != self._target.protocol:
                self._loss.lose("media.file", where)
            if kind == "image":
                return {"type": "input_image", "file_id": part.file, "detail": part.detail or "auto"}
            return {"type": "input_file", "file_id": part.file}
        if part.url and not self._target.image_url:
            self._loss.lose("media.url", where)
        if kind == "image":
            url = part.url or f"data:{mime_of(part)};base64,{part.data}"
            return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
        if kind == "document":
            return _document(part)
        if kind == "audio" and part.data and part.mime in _AUDIO_FORMATS:
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": _AUDIO_FORMATS[part.mime]}}
        self._loss.lose(f"media.{kind}", where)
        return {}


_MARKS = {"chat": "prompt_cache_breakpoint", "responses": "prompt_cache_breakpoint"}


def _is_content(part: Opaque) -> bool:
    """A part of a message, not an item of its own."""
    return part.what in ("part", "computer_screenshot") or part.what.startswith(("input_", "output_"))


def _document(part: Media) -> dict[str, Any]:
    if part.url:
        return {"type": "input_file", "file_url": part.url}
    mime, data = mime_of(part), part.data
    if not data:  # a document given as text
        mime = part.mime or "text/plain"
        data = base64.b64encode(part.text.encode("utf-8", "replace")).decode()
    name = part.name or ("document.pdf" if mime == "application/pdf" else "document.txt")
    return {"type": "input_file", "filename": name, "file_data": f"data:{mime};base64,{data}"}
