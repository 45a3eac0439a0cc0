"""Canonical parts -> parts of generateContent's contents, for a provider.

A signature is kept only where it is good (`canon/signature.py`): at its own maker, or unsealed in a request of the
protocol itself. A `Thinking` without text belongs to the part after it; Google wants its signature there.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.canon import ids
from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.mime import mime_of
from baseload.wire.canon.request import (
    AnyPart,
    Media,
    Opaque,
    Part,
    Refused,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from baseload.wire.gemini import media
from baseload.wire.gemini.ask import SKIP, needs_signatures
from baseload.wire.raw import ABSENT, FAILED

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_value = msgspec.json.Decoder(Raw).decode
_encode = msgspec.json.Encoder().encode
_BRACE = 0x7B


class Writer:
    """Writes the parts of one request's turns."""

    def __init__(self, protocol: str, target: Target, loss: Loss) -> None:
        self._protocol = protocol
        self._target = target
        self._loss = loss
        self._strict = needs_signatures(target.model)

    def parts(self, turn: Turn, names: list[str]) -> list[dict[str, Any]]:
        """The parts of one turn. `names` are theirs in the client's words."""
        written: list[dict[str, Any]] = []
        proof = ""  # a signature that waits for the part it belongs to
        own = any(isinstance(part, Thinking) and self._is_good(part) for part in turn.parts)
        for part, here in zip(turn.parts, names, strict=True):
            self._marks(part, here)
            if isinstance(part, Thinking):
                if proof:
                    written.append({"text": "", "thoughtSignature": proof})
                    proof = ""
                thought = self._thought(part, here, own=own)
                if thought is None:
                    continue
                if part.text:
                    written.append(thought)
                else:
                    proof = thought["thoughtSignature"]
                continue
            for each in self._one(part, here):
                if proof:
                    each["thoughtSignature"], proof = proof, ""
                written.append(each)
        if proof:
            written.append({"text": "", "thoughtSignature": proof})
        return written

    def excuse(self, parts: list[dict[str, Any]]) -> None:
        """Excuses a missing signature on the first call of a turn, as from Gemini 3 on Google wants it."""
        if not self._strict:
            return
        call = next((part for part in parts if "functionCall" in part), None)
        if call is not None and "thoughtSignature" not in call:
            call["thoughtSignature"] = SKIP

    def _marks(self, part: Part, here: str) -> None:
        if part.cache:
            self._loss.lose("cache", f"{here}.cache_control")

    def _is_good(self, part: Thinking) -> bool:
        if not part.signature or part.redacted:
            return False
        return part.origin == self._target.origin or (not part.origin and self._protocol == self._target.protocol)

    def _thought(self, part: Thinking, here: str, *, own: bool) -> dict[str, Any] | None:
        """A thought part, or one with a signature only; None where it is another model's."""
        thought: dict[str, Any] = {"text": part.text, "thought": True}
        if self._is_good(part):
            return thought | {"thoughtSignature": part.signature}
        if not part.signature and (own or self._protocol == self._target.protocol):
            return thought if part.text else None
        self._loss.lose("thinking", here)
        return None

    def _one(self, part: AnyPart, here: str) -> list[dict[str, Any]]:
        if isinstance(part, Text):
            if part.citations and part.citations_of != "gemini":
                self._loss.lose("citations", here)
            return [{"text": part.text}] if part.text else []
        if isinstance(part, Refused):
            return [{"text": part.text}] if part.text else []
        if isinstance(part, Media):
            found = self._media(part, here)
            return [] if found is None else [found]
        if isinstance(part, ToolCall):
            if part.kind != "function":
                self._loss.lose("tool.custom", here)
            call = {"id": ids.native(part.id), "name": part.name, "args": arguments_object(part.arguments)}
            return [{"functionCall": call}]
        if isinstance(part, ToolResult):
            return self._result(part, here)
        if isinstance(part, Opaque) and part.protocol == "gemini":
            return [dict(_members(part.raw))]
        self._loss.lose("part", here)
        return []

    def _media(self, part: Media, here: str) -> dict[str, Any] | None:
        if part.detail not in ("", "auto"):
            self._loss.lose("detail", f"{here}.detail")
        if part.text and not part.data:
            data = base64.b64encode(part.text.encode("utf-8", "replace")).decode()
            return {"inlineData": {"mimeType": part.mime or "text/plain", "data": data}}
        if part.data:
            return {"inlineData": {"mimeType": mime_of(part), "data": part.data}}
        if part.url:
            inline = media.split_data_url(part.url)
            if inline is not None:
                return {"inlineData": {"mimeType": part.mime or inline[0], "data": media.standard(inline[1])}}
            if not self._target.image_url:
                self._loss.lose("media.url", here)
            return {"fileData": {"mimeType": mime_of(part), "fileUri": part.url}}
        if part.file:
            if self._protocol != "gemini":
                self._loss.lose("media.file", here)
            return {"fileData": {"mimeType": mime_of(part), "fileUri": part.file}}
        self._loss.lose(f"media.{part.kind}", here)
        return None

    def _result(self, part: ToolResult, here: str) -> list[dict[str, Any]]:
        """The function response, and beside it the media of the result."""
        texts = [each.text for each in part.content if isinstance(each, Text)]
        value: Any
        if part.value is not ABSENT and self._protocol == "gemini":
            value = part.value
        elif part.is_error:
            value = {"error": "".join(texts)}
        else:
            value = _result_object("".join(texts) if len(texts) < 2 else "\n".join(texts))
        answer = {"id": ids.native(part.id), "name": part.name or part.id, "response": value}
        written: list[dict[str, Any]] = [{"functionResponse": answer}]
        for number, each in enumerate(part.content):
            self._marks(each, f"{here}.content.{number}")
            if isinstance(each, Media):
                found = self._media(each, f"{here}.content.{number}")
                if found is not None:
                    written.append(found)
        return written


def arguments_object(text: str) -> Raw:
    """Arguments as the object that Google wants; what is none goes in as its member `arguments`."""
    raw = text.encode("utf-8", "replace")
    if not raw.strip():
        return Raw(b"{}")
    try:
        value = _value(raw)
    except FAILED:
        return Raw(_encode({"arguments": raw.decode()}))
    return value if memoryview(value)[0] == _BRACE else Raw(_encode({"arguments": value}))


def _result_object(text: str) -> Any:
    """The result itself where it is an object; `output` with the text else. Google reads `output` and `error`."""
    if text[:1] == "{":
        raw = text.encode("utf-8", "replace")
        try:
            if not {"output", "error"} & _members(raw).keys():
                return Raw(raw)
        except FAILED:
            pass
    return {"output": text}
