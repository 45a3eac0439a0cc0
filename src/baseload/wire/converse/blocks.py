"""Turns of a conversation -> Converse's `system` and `messages`.

In:     canonical turns. Out: lists to encode; losses through `Loss`.
Users and the assistant speak in turn: neighbours of one role become one message; results of tools stand first in the
message after their calls; blank text is left out, since it is refused (protocols.md, pitfalls 6 and 7). System turns
are taken to the front, where this protocol has its only place for them, and that is named (pitfall 8).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.canon import ids
from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.names import places
from baseload.wire.canon.request import AnyPart, Media, Opaque, Refused, Request, Text, Thinking, ToolCall, ToolResult
from baseload.wire.converse import media
from baseload.wire.raw import ABSENT, FAILED

Block = dict[str, Any]

_HOUR = {"type": "default", "ttl": "1h"}
_CACHED = {"5m": {"type": "default"}, "30m": _HOUR, "1h": _HOUR}  # the next longer lifetime; an hour is the longest
_LEGAL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}\Z")  # botocore, ToolUseId

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


class Conversation:
    """Built by `read`: what the request's turns become."""

    def __init__(self, request: Request, target: Target, loss: Loss) -> None:
        self.system: list[Block] = []
        self.messages: list[Block] = []
        self.tools_used: dict[str, None] = {}  # names of tools that were called in it
        self._request = request
        self._target = target
        self._loss = loss
        self._names = media.Names()
        self._results: list[Block] = []  # of the message being built; they go before the rest
        self._rest: list[Block] = []
        self._role = ""

    def read(self) -> None:
        late = False
        for turn, place in zip(self._request.turns, places(self._request), strict=True):
            if turn.name:
                self._loss.lose("name", f"{place.turn}.name")
            if turn.role in ("system", "developer"):
                before = len(self.system)
                self._read_system(turn.parts, place.parts)
                if late and len(self.system) > before:
                    self._loss.lose("other", f"{place.turn}.role")  # it stands elsewhere now
                continue
            late = True
            role = "assistant" if turn.role == "assistant" else "user"
            if role != self._role:
                self._end_message()
                self._role = role
            for part, param in zip(turn.parts, place.parts, strict=True):
                self._take(part, param)
        self._end_message()
        if not self.messages and self.system:  # a conversation cannot be empty here
            self.messages, self.system = [{"role": "user", "content": self.system}], []
            self._loss.lose("other", f"{places(self._request)[0].turn}.role")

    def _end_message(self) -> None:
        content = self._results + self._rest
        if content:
            if self.messages and self.messages[-1]["role"] == self._role:
                self.messages[-1]["content"] += content  # what stood between was empty
            else:
                self.messages.append({"role": self._role, "content": content})
        self._results, self._rest = [], []

    def _read_system(self, parts: list[AnyPart], params: list[str]) -> None:
        for part, param in zip(parts, params, strict=True):
            if isinstance(part, Text):
                if part.text.strip():
                    self.system.append({"text": part.text})
                    self.system += self.cache_point(part.cache, param)
            elif isinstance(part, Media):
                self._loss.lose("media." + part.kind, param)
            else:
                self._loss.lose("part", param)

    def _take(self, part: AnyPart, param: str) -> None:
        if isinstance(part, ToolResult):
            if self._role == "assistant":
                self._loss.lose("part", param, f"{param} is a tool's result inside an assistant's turn.")
            self._results.append(self._result(part, param))
            self._results += self.cache_point(part.cache, param)
            return
        block = self._block(part, param)
        if block is not None:
            self._rest.append(block)
            if not isinstance(part, Thinking):
                self._rest += self.cache_point(part.cache, param)

    def _block(self, part: AnyPart, param: str) -> Block | None:
        if isinstance(part, Text):
            if part.citations:
                self._loss.lose("citations", param)
            return {"text": part.text} if part.text.strip() else None
        if isinstance(part, Refused):
            return {"text": part.text} if part.text.strip() else None
        if isinstance(part, Media):
            if self._role == "assistant":
                self._loss.lose("media." + part.kind, param, f"{param}: the assistant's own media cannot be sent back.")
                return None
            return media.block(part, param, self._names, self._loss)
        if isinstance(part, Thinking):
            return self._thinking(part, param)
        if isinstance(part, ToolCall):
            return self._call(part, param)
        if isinstance(part, Opaque):
            self._loss.lose("part", param, f"{param} ({part.what}) is known in the protocol {part.protocol} only.")
        return None

    def _thinking(self, part: Thinking, param: str) -> Block | None:
        """Thinking goes back to its maker only: unsigned or others' is refused by models that check it (pitfall 2).

        The client never speaks this protocol, so thinking without an origin is another maker's.
        """
        if part.origin != self._target.origin or self._role != "assistant":
            self._loss.lose("thinking", param)
            return None
        if part.redacted:
            return {"reasoningContent": {"redactedContent": part.signature}}
        text: Block = {"text": part.text}
        if part.signature:
            text["signature"] = part.signature
        return {"reasoningContent": {"reasoningText": text}}

    def _call(self, part: ToolCall, param: str) -> Block | None:
        if self._role != "assistant":
            self._loss.lose("part", param, f"{param} is a tool call outside of an assistant's turn.")
        if part.kind != "function":
            self._loss.lose("tool.custom", param)
        self.tools_used[part.name] = None
        return {"toolUse": {"toolUseId": legal_id(part.id), "name": part.name, "input": arguments(part.arguments)}}

    def _result(self, part: ToolResult, param: str) -> Block:
        content: list[Block] = []
        if part.value is not ABSENT and _is_object(part.value):
            content.append({"json": part.value})
        for number, piece in enumerate(part.content):
            if isinstance(piece, Media):
                found = media.block(piece, f"{param}.content.{number}", self._names, self._loss)
                content += [found] if found is not None else []
            elif piece.text.strip() and not (content and "json" in content[0]):  # the object says it already
                content.append({"text": piece.text})
        result: Block = {"toolUseId": legal_id(part.id), "content": content or [{"json": {}}]}
        if part.is_error:
            result["status"] = "error"
        return {"toolResult": result}

    def cache_point(self, ttl: str, param: str) -> list[Block]:
        """The block that marks a cache behind a part; none where the part has no mark."""
        if not ttl:
            return []
        if "cache" in self._target.unsupported:
            self._loss.lose("cache", param)
            return []
        if ttl not in _CACHED:
            self._loss.lose("cache", param)
        return [{"cachePoint": _CACHED.get(ttl, _HOUR)}]


def legal_id(id_: str) -> str:
    """The provider's own id of a call; one that it could not have made is replaced, the same way every time."""
    own = ids.native(id_)
    if _LEGAL_ID.match(own):
        return own
    return "call_" + hashlib.sha256(own.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def arguments(text: str) -> Raw:
    """The object in the JSON text of a call, byte for byte: "" is {}; what is no object is shown as the text it was.

    INVALID_JSON is what the makers of the models served here put such a text under.
    """
    raw = text.strip().encode()
    if raw in (b"", b"null"):
        return Raw(b"{}")
    if _is_object(Raw(raw)):
        return Raw(raw)
    return Raw(msgspec.json.encode({"INVALID_JSON": text}))


def _is_object(raw: Raw) -> bool:
    try:
        _decode_members(raw)
    except FAILED:
        return False
    return True
