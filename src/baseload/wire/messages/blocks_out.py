"""Canonical parts -> content blocks of a request for a provider.

In:     the turns of a `Request`. Out: `system` blocks and `messages`, as dicts with raw JSON where JSON came.
What cannot be carried is told to `Loss` in the client's words. The rules of this protocol that others do not have:
user and assistant in turn, all tool results of a turn in one user message and first in it, no empty text (protocols.md,
pitfalls 6 and 7), system text above the conversation only (8), an object as a tool's input (4).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

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
)
from baseload.wire.raw import ABSENT, FAILED

Block = dict[str, Any]

_SYSTEM = frozenset(("system", "developer"))
_PDF = "application/pdf"
_KEPT_1H = frozenset(("1h", "30m", "12h"))

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def mark(block: Block, cache: str) -> Block:
    """The block with its cache mark. Lifetimes there are: five minutes and an hour; the next longer one is taken."""
    if cache:
        block["cache_control"] = {"type": "ephemeral", "ttl": "1h"} if cache in _KEPT_1H else {"type": "ephemeral"}
    return block


def input_of(arguments: str, *, custom: bool = False) -> Raw:
    """A tool's input as an object: "" and null are empty; what is no object is shown as the text it was.

    The vendor's own way to give an invalid input back to a model is an object with INVALID_JSON.
    """
    text = arguments.strip()
    if custom:
        return Raw(_encode({"input": arguments}))
    if text in ("", "null"):
        return Raw(b"{}")
    try:
        raw = text.encode()
        _members(raw)
    except (*FAILED, UnicodeEncodeError):
        return Raw(_encode({"INVALID_JSON": arguments.encode(errors="replace").decode()}))
    return Raw(raw)


def is_claude(target: Target) -> bool:
    """Whether the rules of the vendor's own models hold, and not only the protocol's."""
    return target.dialect == "anthropic" or "claude" in target.model


class Conversation:
    """Writes the turns of one request; see the module."""

    def __init__(self, request: Request, target: Target, loss: Loss) -> None:
        self._request = request
        self._target = target
        self._loss = loss
        self.system: list[Block] = []
        self.messages: list[Block] = []
        self.marked: dict[int, str] = {}  # id of a block with a cache mark -> the part's name
        self.unproven = False  # the last assistant turn called tools, and its thinking is not there to prove it
        self._write()

    def good(self, part: Thinking) -> bool:
        """Whether the target's own model made it. Claude proves its thinking; other models may sign nothing."""
        if not part.origin:
            return bool(part.signature) and self._request.protocol == self._target.protocol
        if part.origin != self._target.origin:
            return False
        return bool(part.signature or (part.text and not is_claude(self._target)))

    def _write(self) -> None:
        late = False
        found = places(self._request)
        for turn, place in zip(self._request.turns, found, strict=True):
            if turn.role in _SYSTEM:
                blocks = self._system(turn.parts, place.parts)
                self.system += blocks
                if late and blocks:
                    self._loss.lose("other", f"{place.turn}.role")  # it stands elsewhere now
                continue
            late = True
            if turn.name:
                self._loss.lose("name", f"{place.turn}.name")
            role = "assistant" if turn.role == "assistant" else "user"
            blocks = [
                block for part, name in zip(turn.parts, place.parts, strict=True) for block in self._part(part, name)
            ]
            if blocks and self.messages and self.messages[-1]["role"] == role:
                self.messages[-1]["content"] += blocks
            elif blocks:
                self.messages.append({"role": role, "content": blocks})
        if not self.messages and self.system:  # a conversation cannot be empty here
            self.messages.append({"role": "user", "content": self.system})
            self.system = []
            self._loss.lose("other", f"{found[0].turn}.role")
        for message in self.messages:
            self._order(message)

    def _order(self, message: Block) -> None:
        blocks = message["content"]
        if message["role"] == "user":
            blocks.sort(key=lambda block: block["type"] != "tool_result")
            return
        kinds = [block["type"] for block in blocks]
        self.unproven = "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking")

    def _system(self, parts: list[AnyPart], names: list[str]) -> list[Block]:
        blocks: list[Block] = []
        for part, name in zip(parts, names, strict=True):
            if isinstance(part, Text | Refused):
                blocks += self._part(part, name)
            else:
                self._loss.lose(f"media.{part.kind}" if isinstance(part, Media) else "part", name)
        return blocks

    def _part(self, part: AnyPart, name: str) -> list[Block]:
        blocks = _WRITERS[type(part)](self, part, name)
        self._note(blocks, name)
        return blocks

    def _note(self, blocks: list[Block], name: str) -> None:
        for block in blocks:
            if "cache_control" in block:
                self.marked[id(block)] = name

    def _text(self, part: Text | Refused, name: str) -> list[Block]:
        if not part.text.strip():
            return []
        block: Block = {"type": "text", "text": part.text}
        if isinstance(part, Text) and part.citations:
            if part.citations_of == "messages":
                block["citations"] = list(part.citations)
            else:
                self._loss.lose("citations", name)
        return [mark(block, part.cache)]

    def _media(self, part: Media, name: str) -> list[Block]:
        if part.kind not in ("image", "document"):
            self._loss.lose(f"media.{part.kind}", name)
            return []
        if part.detail and part.detail != "auto":
            self._loss.lose("detail", f"{name}.detail")
        source = self._source(part, name)
        if source is None:
            return []
        block: Block = {"type": part.kind, "source": source}
        if part.kind == "document" and part.name:
            block["title"] = part.name
        return [mark(block, part.cache)]

    def _source(self, part: Media, name: str) -> Block | None:
        if part.data:
            if part.kind == "image":
                return {"type": "base64", "media_type": mime_of(part), "data": part.data}
            return self._document(part, name)
        if part.url:
            if self._target.image_url:
                return {"type": "url", "url": part.url}
            self._loss.lose("media.url", name)
        elif part.file:
            if self._request.protocol == "messages":
                return {"type": "file", "file_id": part.file}
            self._loss.lose("media.file", name)
        elif part.text:
            return {"type": "text", "media_type": "text/plain", "data": part.text}
        return None

    def _document(self, part: Media, name: str) -> Block | None:
        mime = part.mime.partition(";")[0].strip().lower() or _PDF
        if mime == _PDF:
            return {"type": "base64", "media_type": _PDF, "data": part.data}
        if mime.startswith("text/") or mime == "application/json":
            try:
                text = base64.b64decode(part.data, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                pass
            else:
                return {"type": "text", "media_type": "text/plain", "data": text}
        self._loss.lose("media.document", name, f"A document of type {mime[:60]!a} has no place in this protocol.")
        return None

    def _thinking(self, part: Thinking, name: str) -> list[Block]:
        if not self.good(part):
            self._loss.lose("thinking", name)
            return []
        if part.redacted:
            return [{"type": "redacted_thinking", "data": part.signature}]
        return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]

    def _call(self, part: ToolCall, name: str) -> list[Block]:
        block: Block = {
            "type": "tool_use",
            "id": ids.safe(part.id),
            "name": part.name,
            "input": input_of(part.arguments, custom=part.kind == "custom"),
        }
        return [mark(block, part.cache)]

    def _result(self, part: ToolResult, name: str) -> list[Block]:
        block: Block = {"type": "tool_result", "tool_use_id": ids.safe(part.id)}
        content = [
            block for at, inner in enumerate(part.content) for block in self._part(inner, f"{name}.content.{at}")
        ]
        if not content and part.value is not ABSENT and not part.content:
            content = [{"type": "text", "text": bytes(part.value).decode()}]
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            block["content"] = content[0]["text"]
        elif content:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return [mark(block, part.cache)]

    def _opaque(self, part: Opaque, name: str) -> list[Block]:
        if part.protocol == "messages":
            return [{**_members(part.raw), "type": part.what.partition(".")[0]}]
        self._loss.lose("part", name, f"{name} ({part.what}) is known in the protocol {part.protocol} only.")
        return []


_WRITERS: dict[type, Callable[[Conversation, Any, str], list[Block]]] = {
    Text: Conversation._text,
    Refused: Conversation._text,
    Media: Conversation._media,
    Thinking: Conversation._thinking,
    ToolCall: Conversation._call,
    ToolResult: Conversation._result,
    Opaque: Conversation._opaque,
}
