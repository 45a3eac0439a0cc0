"""A provider's whole chat reply -> canonical form.

In:     the body (after `facts.read_reply` has found no error in it), the target. Out: `Reply`.
Raises `ProviderFault("garbage")` for what is no reply.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import AnyPart, Media, Refused, Text, ToolCall
from baseload.wire.chat import loose, pieces
from baseload.wire.chat.facts import read_reply
from baseload.wire.chat.parts_in import media_of
from baseload.wire.chat.reasoning import place
from baseload.wire.chat.words import finish_of
from baseload.wire.raw import ABSENT, NULL
from baseload.wire.usage import normalise


def read(body: bytes, target: Target) -> Reply:
    chunk = pieces.read(body)
    if not chunk.choices:
        raise ProviderFault("garbage", "the reply has no choices", sent=True)
    if chunk.rough:
        for choice in chunk.choices:
            _heal(choice.message or choice.delta)
    facts = read_reply("chat", body)
    meters = normalise("openai-chat", target.dialect, facts.usages).meters if facts.usages else {}
    return Reply(
        id=chunk.id or "",
        model=chunk.model or "",
        answers=[_answer(choice) for choice in _ordered(chunk.choices)],
        meters=meters or None,
        tier=chunk.service_tier or facts.service_tier,
    )


def _heal(message: pieces.Piece | None) -> None:
    """Halves of surrogate pairs that stand alone become U+FFFD: nothing comes after them here."""
    if message is None:
        return
    for holder in (message, message.function_call, *(message.reasoning_details or ())):
        _heal_one(holder)
    for call in message.tool_calls or ():
        _heal_one(call.function)
        _heal_one(call.custom)


def _heal_one(holder: msgspec.Struct | None) -> None:
    for name in () if holder is None else holder.__struct_fields__:
        found = getattr(holder, name)
        if isinstance(found, str):
            setattr(holder, name, loose.complete(found))


def _ordered(choices: list[pieces.Choice]) -> list[pieces.Choice]:
    """By their index where all have one."""
    if all(choice.index is not None for choice in choices):
        return sorted(choices, key=lambda choice: choice.index or 0)
    return choices


def _answer(choice: pieces.Choice) -> Answer:
    message = choice.message or choice.delta or pieces.Piece()
    calls = _calls(message)
    said: list[AnyPart] = []
    content = message.content or ""
    if content:
        cited = tuple(message.annotations or ())
        said.append(Text(text=content, citations=cited, citations_of="chat" if cited else ""))
    said += _media(message)
    if message.refusal:
        said.append(Refused(text=message.refusal))
    plain = message.reasoning_content or message.reasoning or ""
    native = choice.finish_reason or ""
    logprobs = ABSENT if choice.logprobs is None or choice.logprobs.content == NULL else choice.logprobs.content
    answer = Answer(
        parts=place(plain, message.reasoning_details or [], said, calls, ours=False),
        reason=finish_of(native, bool(calls)),
        native=native,
        logprobs=logprobs,
    )
    stopped = stop_sequence(choice)
    if stopped and answer.reason == "stop":
        answer.reason, answer.stop_sequence = "stop_sequence", stopped
    return answer


def stop_sequence(choice: pieces.Choice) -> str:
    """The one that matched, where an engine says it: vLLM, SGLang. A number there is a token."""
    for raw in (choice.stop_reason, choice.matched_stop):
        if raw is not ABSENT and (found := loose.text(raw)):
            return found
    return ""


def _calls(message: pieces.Piece) -> list[ToolCall]:
    calls: list[ToolCall] = []
    for call in message.tool_calls or ():
        id_ = call.id or ids.invent()
        function, custom = call.function, call.custom
        if custom is not None and custom.name:
            calls.append(ToolCall(id=id_, name=custom.name, arguments=custom.input or "", kind="custom"))
        elif function is not None:
            arguments = function.arguments or ""
            calls.append(ToolCall(id=id_, name=function.name or "", arguments=arguments))
    function = message.function_call
    if function is not None and (function.name or function.arguments):
        arguments = function.arguments or ""
        calls.append(ToolCall(id=ids.invent(), name=function.name or "", arguments=arguments))
    return calls


def _media(message: pieces.Piece) -> list[AnyPart]:
    """OpenRouter's `images`, OpenAI's `audio`."""
    found: list[AnyPart] = []
    for image in loose.items(message.images):
        url = loose.text(loose.members(loose.members(image).get("image_url")).get("url"))
        if url:
            found.append(media_of("image", url))
    audio: dict[str, Raw] = loose.members(message.audio)
    if audio:
        data, transcript = loose.text(audio.get("data")), loose.text(audio.get("transcript"))
        found.append(Media(kind="audio", data=data, file=loose.text(audio.get("id")), text=transcript))
    return found
