"""Parts of a client's contents -> canonical parts; calls and results linked; signatures back from their seals.

A `thoughtSignature` stands on the part it belongs to; the canonical form has it on a `Thinking` before that part. One
that this gateway sealed carries its maker's thinking text too, so it is right even where the client kept no thoughts.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember
from baseload.wire.canon import ids, signature
from baseload.wire.canon.request import AnyPart, Media, Opaque, Text, Thinking, ToolCall, ToolResult
from baseload.wire.gemini import media
from baseload.wire.gemini.ask import EXCUSE
from baseload.wire.gemini.names import Members
from baseload.wire.raw import ABSENT, FAILED

_OPAQUE = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
_DETAIL = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high"}
_KNOWN = frozenset(
    ("text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse", *_OPAQUE)
)
_INSIDE = {
    "functionCall": ("id", "name", "args"),
    "functionResponse": ("id", "name", "response", "parts"),
    "inlineData": ("data", "mimeType", "displayName"),
    "fileData": ("fileUri", "mimeType", "displayName"),
}
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_str = msgspec.json.Decoder(str).decode


class Calls:
    """The function calls of a conversation: gives ids to those without, finds the call that a result answers."""

    def __init__(self) -> None:
        self._count = 0
        self._ids: set[str] = set()
        self._open: list[tuple[str, str]] = []  # id and name of calls without a result, oldest first

    def call(self, id_: str, name: str) -> str:
        self._count += 1
        id_ = ids.native(id_) if id_ else self._invented()
        self._ids.add(id_)
        self._open.append((id_, name))
        return id_

    def result(self, id_: str, name: str) -> str:
        """The id of the call it answers: its own where a call has it, else the oldest open call of that name."""
        id_ = ids.native(id_) if id_ else ""
        at = next((i for i, (known, _) in enumerate(self._open) if known == id_), -1)
        if at < 0 and id_ not in self._ids:
            at = next((i for i, (_, called) in enumerate(self._open) if called == name), -1)
        if at >= 0:
            return self._open.pop(at)[0]
        return id_ or self._invented()

    def _invented(self) -> str:
        number = self._count
        while f"call_{number}" in self._ids:
            number += 1
        self._ids.add(f"call_{number}")
        return f"call_{number}"


def add(parts: list[AnyPart], part: Members, calls: Calls, others: dict[str, Raw], *, joined: bool) -> None:
    """Adds one part to its turn. `joined`: it continues a content that a library cut between two pieces of a stream."""
    text, proof = part.text("thoughtSignature"), None
    if text and text != EXCUSE:
        sealed = signature.unseal(text)
        proof = Thinking(signature=text) if sealed is None else _unsealed(parts, sealed)
    if part.flag("thought") and "text" in part:
        _think(parts, part.text("text"), proof, exact=text != "" and proof is not None and proof.origin != "")
        return
    if proof is not None:
        parts.append(proof)
    found = _content(part, calls)
    for name, known in _INSIDE.items():
        inner = part.object(name) if name in part else None
        for extra in inner or ():
            if inner is not None and extra not in known:
                others[inner.param(extra)] = inner.get(extra) or ABSENT
    if not found and proof is None and "text" not in part:
        raise InvalidMember(f"{part.at} has no content.", "Send text, data or a call in every part.", param=part.at)
    for name in part:
        if name not in _KNOWN and not (name == "mediaResolution" and found and _detail(part, found)):
            others[part.param(name)] = part.get(name) or ABSENT
    last = parts[-1] if parts else None
    if joined and isinstance(found, Text) and isinstance(last, Text):
        last.text += found.text
    elif found is not None:
        parts.append(found)


def _unsealed(parts: list[AnyPart], sealed: signature.Sealed) -> Thinking:
    """The thinking behind a seal. Thoughts just before it that it tells again in full are taken off `parts`."""
    shown = _unsigned(parts)
    text = sealed.text
    if shown is not None and (text is None or (text and text.startswith(shown.text))):
        parts.pop()
        text = text or shown.text
    return Thinking(text=text or "", signature=sealed.signature, redacted=sealed.redacted, origin=sealed.origin)


def _think(parts: list[AnyPart], text: str, proof: Thinking | None, *, exact: bool) -> None:
    """Adds a thought; pieces without a signature are one until one comes."""
    if proof is not None and exact:
        proof.text = proof.text or text
        parts.append(proof)
        return
    shown = _unsigned(parts)
    if shown is not None:
        text = shown.text + text
        parts.pop()
    parts.append(Thinking(text=text, signature="" if proof is None else proof.signature))


def _unsigned(parts: list[AnyPart]) -> Thinking | None:
    last = parts[-1] if parts else None
    return last if isinstance(last, Thinking) and not last.signature else None


def _content(part: Members, calls: Calls) -> AnyPart | None:
    if "text" in part:
        text = part.text("text")
        return Text(text=text) if text else None
    blob = part.object("inlineData")
    if blob is not None:
        return media.of_data(blob.text("data"), blob.text("mimeType"), blob.text("displayName"))
    file = part.object("fileData")
    if file is not None:
        return media.of_uri(file.text("fileUri"), file.text("mimeType"), file.text("displayName"))
    call = part.object("functionCall")
    if call is not None:
        name = _named(call)
        arguments = call.get("args")
        return ToolCall(
            id=calls.call(call.text("id"), name),
            name=name,
            arguments="" if arguments is None else bytes(arguments).decode(),
        )
    answer = part.object("functionResponse")
    if answer is not None:
        return _result(answer, calls)
    for what in _OPAQUE:
        if what in part:
            raw = msgspec.json.encode({what: part.get(what)})
            return Opaque(protocol="gemini", what=what, raw=Raw(raw))
    return None


def _named(call: Members) -> str:
    name = call.text("name")
    if not name:
        param = call.param("name")
        raise InvalidMember(f"{param} is missing.", "Name the function.", param=param)
    return name


def _result(answer: Members, calls: Calls) -> ToolResult:
    """Google: `output` is the result and `error` the error; an object with neither is the result itself."""
    name = _named(answer)
    value = answer.get("response") or Raw(b"{}")
    try:
        response = _members(value)
    except FAILED:
        param = answer.param("response")
        raise InvalidMember(f"{param} must be an object.", 'Send {"output": ...}.', param=param) from None
    is_error = False
    shown = value
    for key in ("output", "error"):
        if response.keys() == {key}:
            shown, is_error = response[key], key == "error"
    content: list[Text | Media] = [Text(text=_plain(shown))]
    for piece in answer.objects("parts"):
        found = _content(piece, calls)
        if isinstance(found, Text | Media):
            content.append(found)
    return ToolResult(
        id=calls.result(answer.text("id"), name), content=content, name=name, is_error=is_error, value=value
    )


def _plain(raw: Raw) -> str:
    try:
        return _str(raw)
    except FAILED:
        return bytes(raw).decode("utf-8", "replace")


def _detail(part: Members, found: AnyPart) -> bool:
    """Takes a part's resolution over as OpenAI's `detail`, where there is a word for it."""
    level = part.object("mediaResolution")
    word = _DETAIL.get(level.text("level")) if level is not None else None
    if word is None or not isinstance(found, Media):
        return False
    found.detail = word
    return True
