"""Turns -> `messages[]` of a chat request, for one provider.

In:     turns, their protocol, the target, the losses. Out: messages in order.
- A turn's tool results become `tool` messages, before its other parts: chat wants them right after the call.
- A `tool` message carries text only. Images and documents in a result follow in a `user` message after the last result
  of the turn, each headed by the id of its call; a result without any text says where to look.
- A failed result (`is_error`) has no flag in chat: its content stays exactly as it is, an empty one says "error", and
  the flag is reported as dropped. A prefix would change what the tool said.
- Thinking: the text as `reasoning_content` where the vendor wants it back, a signature in `reasoning_details` where it
  is this target's own. All other thinking is reported as lost.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from baseload.wire.canon import ids
from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.names import places
from baseload.wire.canon.request import AnyPart, Media, Place, Refused, Request, Thinking, ToolCall, ToolResult, Turn
from baseload.wire.chat.parts_out import Members, content_part, mark
from baseload.wire.chat.reasoning import SUMMARY, type_of, unpack
from baseload.wire.raw import ABSENT

_WITH_REFUSALS = ("openai", "azure", "azure_deployments")


class MessageWriter:
    def __init__(self, request: Request, target: Target, loss: Loss) -> None:
        self._protocol = request.protocol
        self._target = target
        self._loss = loss
        self._places = places(request)
        self._thinks = request.thought is None or request.thought.mode != "off"
        self._messages: list[Members] = []

    def write(self, turns: list[Turn]) -> list[Members]:
        for turn, place in zip(turns, self._places, strict=True):
            if turn.role == "assistant":
                self._assistant(turn, place)
            elif turn.role == "user":
                self._user(turn, place)
            else:
                role = turn.role if turn.role != "developer" or self._target.developer else "system"
                self._add(role, turn, turn.parts, place.parts, place)
        return self._messages

    def _user(self, turn: Turn, place: Place) -> None:
        shown: list[Members | Raw] = []
        rest: list[AnyPart] = []
        names: list[str] = []
        for part, name in zip(turn.parts, place.parts, strict=True):
            if isinstance(part, ToolResult):
                shown += self._result(part, name)
            else:
                rest.append(part)
                names.append(name)
        if shown:
            self._messages.append({"role": "user", "content": shown})
        if rest or not turn.parts:
            self._add("user", turn, rest, names, place)

    def _result(self, result: ToolResult, param: str) -> list[Members | Raw]:
        """Adds the `tool` message; gives what has to follow in a user message."""
        texts: list[Members] = []
        shown: list[Members | Raw] = []
        for part in result.content:
            made = content_part(part, param, self._protocol, self._target, self._loss)
            if isinstance(made, dict) and made["type"] == "text":  # also a document given as text
                texts.append(made)
            elif made is not None:
                shown.append(made)
        if not result.content and result.value is not ABSENT:  # Gemini's result is an object
            texts.append({"type": "text", "text": bytes(result.value).decode()})
        if result.is_error:
            self._loss.lose("other", f"{param}.is_error")
            if not texts and not shown:
                texts.append({"type": "text", "text": "error"})
        id_ = ids.native(result.id)
        if shown:
            shown.insert(0, {"type": "text", "text": f"Result of tool call {id_}:"})
            if not texts:
                texts.append({"type": "text", "text": "The result is in the next user message."})
        if result.cache:
            if not texts:
                texts.append({"type": "text", "text": ""})
            mark(texts[-1], result.cache, param, self._target, self._loss)
        self._messages.append({"role": "tool", "tool_call_id": id_, "content": _flat(texts)})
        return shown

    def _add(self, role: str, turn: Turn, parts: list[AnyPart], names: list[str], place: Place) -> None:
        content: list[Members | Raw] = []
        for part, name in zip(parts, names, strict=True):
            if isinstance(part, Thinking):
                self._loss.lose("thinking", name)
                continue
            if isinstance(part, ToolCall):
                self._loss.lose("part", name, f"{name} is a tool call outside of an assistant's turn.")
                continue
            made = content_part(part, name, self._protocol, self._target, self._loss)
            if made is not None:
                content.append(made)
        message: Members = {"role": role, "content": _flat(content)}
        self._name(message, turn, place.turn)
        self._messages.append(message)

    def _assistant(self, turn: Turn, place: Place) -> None:
        said: list[Members | Raw] = []
        refusals: list[str] = []
        calls: list[Members] = []
        thoughts: list[tuple[str, Thinking]] = []
        spoken: Members = {}  # an earlier spoken reply
        for part, name in zip(turn.parts, place.parts, strict=True):
            if isinstance(part, Thinking):
                thoughts.append((name, part))
            elif isinstance(part, ToolCall):
                calls.append(self._call(part, name))
            elif isinstance(part, Refused) and self._target.dialect in _WITH_REFUSALS:
                refusals.append(part.text)
            elif isinstance(part, Refused):
                said.append({"type": "text", "text": part.text})
            elif isinstance(part, ToolResult):
                self._loss.lose("part", name, f"{name} is a tool's result inside an assistant's turn.")
            elif isinstance(part, Media) and part.kind == "audio" and part.file and self._protocol == "chat":
                spoken = {"audio": {"id": part.file}}
            else:
                made = content_part(part, name, self._protocol, self._target, self._loss)
                if made is not None:
                    said.append(made)
        message: Members = {"role": "assistant", "content": _run_on(said)} | spoken
        if refusals:
            message["refusal"] = "".join(refusals)
        self._think(message, thoughts, [part.id for part in turn.parts if isinstance(part, ToolCall)])
        if calls:
            message["tool_calls"] = calls
        elif message["content"] is None and not refusals and not spoken:
            message["content"] = ""
        self._name(message, turn, place.turn)
        self._messages.append(message)

    def _call(self, call: ToolCall, param: str) -> Members:
        id_ = ids.native(call.id)
        if call.kind == "custom":
            made: Members = {"id": id_, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
        else:
            arguments = call.arguments or "{}"  # "" is not JSON: strict vendors refuse it
            made = {"id": id_, "type": "function", "function": {"name": call.name, "arguments": arguments}}
        if call.cache:
            self._loss.lose("cache", param)
        return made

    def _think(self, message: Members, thoughts: list[tuple[str, Thinking]], calls: list[str]) -> None:
        text: list[str] = []
        details: list[Members] = []
        for name, thought in thoughts:
            own = bool(thought.signature) and self._own(thought)
            if thought.signature and not own:
                self._loss.lose("thinking", name)
            if own:
                details.append(_detail(thought, len(details)))
            if thought.text and not thought.redacted:
                if self._target.reasoning_back:
                    text.append(thought.text)
                elif not own:
                    self._loss.lose("thinking", name)
        if text:
            message["reasoning_content"] = "".join(text)
        elif self._target.reasoning_back and self._thinks:
            # DeepSeek wants the member on every assistant turn in thinking mode, Moonshot on those with calls (pitfall
            # 1); of a turn that another model made without thinking there is none to give.
            message["reasoning_content"] = ""
        if details:
            message["reasoning_details"] = details

    def _own(self, thought: Thinking) -> bool:
        if thought.origin:
            return thought.origin == self._target.origin
        return self._protocol == "chat"

    def _name(self, message: Members, turn: Turn, param: str) -> None:
        if turn.name:
            if "name" in self._target.unsupported:
                self._loss.lose("name", f"{param}.name")
            else:
                message["name"] = turn.name


def _detail(thought: Thinking, index: int) -> Members:
    kind = type_of(thought.redacted or not thought.text, thought.summary)
    packed = unpack(thought.signature)
    made: Members = {"type": kind}
    if thought.text and not thought.redacted:
        made["summary" if kind == SUMMARY else "text"] = thought.text
    made["signature" if made.keys() != {"type"} else "data"] = packed.signature
    if packed.id or thought.id:
        made["id"] = packed.id or thought.id
    if packed.format:
        made["format"] = packed.format
    made["index"] = index
    return made


def _flat(parts: list[Any]) -> str | list[Any]:
    """A string where there is one plain text: the only form that every vendor takes."""
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _run_on(parts: list[Any]) -> str | list[Any] | None:
    """An assistant's texts as one, as a reply in chat would have been; a list where more than plain text is in it."""
    if not parts:
        return None
    if all(isinstance(part, dict) and part.keys() == {"type", "text"} for part in parts):
        return "".join(part["text"] for part in parts)
    return parts
