"""What a client gets, read by our own readers and by the client's official library; and the checkers of the order.

In:     bytes for a client. Out: a canonical `Reply`; or what the library's user sees, as (thinking, text, calls).
"""

from __future__ import annotations

import json
from typing import Any

from google.genai import types
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from baseload.wire.canon.events import Reply
from baseload.wire.canon.fold import fold
from baseload.wire.canon.request import Refused, Text, Thinking, ToolCall
from baseload.wire.protocols import PROVIDERS
from tests.wire.cross import says
from tests.wire.cross.sources import target
from tests.wire.gemini import order as gemini_order
from tests.wire.messages import order as messages_order
from tests.wire.messages import sdk as messages_sdk
from tests.wire.responses import order as responses_order

Seen = tuple[str, str, list[Any]]


def whole(protocol: str, body: bytes) -> Reply:
    return PROVIDERS[protocol].reply_in(body, target(protocol))


def streamed(protocol: str, stream: bytes, size: int = 0) -> Reply:
    """Folded; `size`: it comes in pieces of so many bytes."""
    reader = PROVIDERS[protocol].stream_in(target(protocol))
    step = size or len(stream) or 1
    events = [event for at in range(0, len(stream), step) for event in reader.feed(stream[at : at + step])]
    return fold([*events, *reader.close()])


def check(protocol: str, stream: bytes) -> None:
    """The order of a client's stream."""
    if protocol == "messages":
        messages_order.check(stream)
    elif protocol == "responses":
        responses_order.check(stream)
    elif protocol == "gemini":
        gemini_order.check_sse(stream)
    else:
        check_chat(stream)


def check_chat(stream: bytes) -> None:
    """Role first, then deltas, one finish a choice and nothing of it after, usage last, [DONE] at the very end."""
    assert stream.endswith(b"\n\n")
    frames = [frame for frame in stream.split(b"\n\n") if frame and not frame.startswith(b":")]
    assert frames.pop() == b"data: [DONE]"
    begun: set[int] = set()
    done: set[int] = set()
    tools: dict[int, int] = {}
    usage = False
    for frame in frames:
        chunk = json.loads(frame.removeprefix(b"data: "))
        ChatCompletionChunk.model_validate(chunk)
        assert not usage, "a chunk after the usage"
        if not chunk["choices"]:
            usage = chunk["usage"] is not None
            assert usage, "a chunk that says nothing"
            continue
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            assert index not in done, "a delta after the finish reason"
            assert (delta.get("role") == "assistant") == (index not in begun), "the role stands in the first chunk only"
            begun.add(index)
            for call in delta.get("tool_calls", ()):
                known = tools.setdefault(index, 0)
                assert call["index"] <= known, "calls come by number"
                assert ("id" in call) == (call["index"] == known), "the id stands in the first fragment only"
                tools[index] = max(known, call["index"] + 1)
            if choice["finish_reason"]:
                done.add(index)
    assert begun == done, "a choice without its end"


def seen(protocol: str, body: bytes, *, stream: bool) -> Seen:
    """What the official library's user sees of the first answer."""
    return _SEEN[protocol](body, stream)


def meant(reply: Reply) -> Seen:
    """The same of a canonical reply."""
    parts = reply.answers[0].parts
    return (
        "".join([part.text for part in parts if isinstance(part, Thinking)]),
        "".join([part.text for part in parts if isinstance(part, Text | Refused)]),
        [_call(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCall)],
    )


def _chat(body: bytes, stream: bool) -> Seen:
    if stream:
        state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
        for frame in body.split(b"\n\n"):
            if frame.startswith(b"data: {"):
                state.handle_chunk(ChatCompletionChunk.model_validate_json(frame[6:]))
        made = ChatCompletion.model_validate(state.current_completion_snapshot.model_dump())
    else:
        made = ChatCompletion.model_validate_json(body)
    message = made.choices[0].message
    calls: list[Any] = []
    for call in message.tool_calls or ():
        assert call.type == "function"
        calls.append(_call(call.id, call.function.name, call.function.arguments))
    text = (message.content or "") + (message.refusal or "")
    return getattr(message, "reasoning_content", None) or "", text, calls


def _responses(body: bytes, stream: bool) -> Seen:
    made = responses_order.accumulate(body) if stream else Response.model_validate_json(body)
    if stream and made.status != "completed":  # the library's snapshot has no summaries: its users take the event's
        made = Response.model_validate(responses_order.events_of(body)[-1]["response"])
    thoughts, texts, calls = "", "", list[Any]()
    for item in made.output:
        if item.type == "reasoning":
            thoughts += "".join(part.text for part in item.summary)
        elif item.type == "message":
            texts += "".join(part.text if part.type == "output_text" else part.refusal for part in item.content)
        elif item.type == "function_call":
            calls.append(_call(item.call_id, item.name, item.arguments))
    return thoughts, texts, calls


def _messages(body: bytes, stream: bool) -> Seen:
    made = messages_sdk.streamed(body, 7) if stream else messages_sdk.whole(body)
    thoughts = "".join(block.thinking for block in made.content if block.type == "thinking")
    texts = "".join(block.text for block in made.content if block.type == "text")
    calls = [_call(block.id, block.name, json.dumps(block.input)) for block in made.content if block.type == "tool_use"]
    return thoughts, texts, calls


def _gemini(body: bytes, stream: bool) -> Seen:
    objects = gemini_order.check_sse(body) if stream else gemini_order.check([json.loads(body)])
    thoughts, texts, calls = "", "", list[Any]()
    for one in objects:
        for candidate in types.GenerateContentResponse.model_validate(one).candidates or ():
            for part in (candidate.content.parts if candidate.content else None) or ():
                if candidate.index:
                    continue
                if part.function_call is not None:
                    call = part.function_call
                    calls.append(_call(call.id or "", call.name or "", json.dumps(call.args)))
                elif part.thought:
                    thoughts += part.text or ""
                else:
                    texts += part.text or ""
    return thoughts, texts, calls


def _call(id_: str, name: str, arguments: str) -> Any:
    return says.native(id_), name, json.loads(arguments)


_SEEN = {"chat": _chat, "responses": _responses, "messages": _messages, "gemini": _gemini}
