"""A whole native DashScope reply -> canonical. `read(body, target) -> Reply`; raises `ProviderFault("garbage")`."""

from __future__ import annotations

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import AnyPart, Media, Text, Thinking, ToolCall
from baseload.wire.qwen.shapes import FINISHES, Choice, decode_frame, finish_of, is_object, json_text
from baseload.wire.raw import FAILED
from baseload.wire.usage import normalise

USAGE = "dashscope-native"


def read(body: bytes, target: Target) -> Reply:
    try:
        found = decode_frame(body)
        answers = [_answer(choice) for choice in found.output.answers()] if found.output is not None else []
    except FAILED as why:
        raise ProviderFault("garbage", f"the reply is no DashScope reply: {why}", sent=True) from None
    if not answers:
        raise ProviderFault("garbage", "the reply has no output", sent=True)
    reply = Reply(id=found.request_id or "", answers=answers)
    if is_object(found.usage):
        reply.meters = normalise(USAGE, target.dialect, bytes(found.usage)).meters or None
    return reply


def _answer(choice: Choice) -> Answer:
    parts: list[AnyPart] = []
    message = choice.message
    calls = False
    if message is not None:
        if message.reasoning_content:
            parts.append(Thinking(text=message.reasoning_content))
        if text := message.text():
            parts.append(Text(text=text))
        if isinstance(message.content, list):
            parts += [Media(kind="image", url=piece.image) for piece in message.content if piece.image]
        for call in message.tool_calls or ():
            if call.function is not None:
                arguments = json_text(call.function.arguments)
                parts.append(ToolCall(id=call.id or ids.invent(), name=call.function.name or "", arguments=arguments))
                calls = True
    native = finish_of(choice)
    answer = Answer(parts=parts, reason=reason_of(native, calls), native=native)
    if choice.logprobs is not None and bytes(choice.logprobs.content).startswith(b"["):
        answer.logprobs = choice.logprobs.content
    return answer


def reason_of(native: str, calls: bool) -> str:
    """A reply with tool calls may say "stop" (older models): it waits for their results all the same."""
    reason = FINISHES.get(native, "stop")
    return "tool" if calls and reason == "stop" else reason
