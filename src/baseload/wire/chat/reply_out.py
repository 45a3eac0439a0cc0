"""A canonical reply -> the body of a chat reply for a client.

In:     `Reply`, `View`. Out: bytes.
Thinking goes out as `reasoning_content` (what clients show) and `reasoning_details` (what they send back, with sealed
signatures); texts run on as one `content`. Raises `ProviderFault("garbage")` where an answer failed in generating: chat
has no finish reason for it (protocols.md, section 9), and any other word would make it look well.
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import View
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import Media, Refused, Text, Thinking, ToolCall
from baseload.wire.chat import usage_out
from baseload.wire.chat.annotations import annotation_of
from baseload.wire.chat.parts_out import data_url
from baseload.wire.chat.reasoning import written
from baseload.wire.chat.words import FINISH_OUT, tier_of
from baseload.wire.raw import ABSENT, NULL

Members = dict[str, Any]

_encode = msgspec.json.Encoder().encode


def write(reply: Reply, view: View) -> bytes:
    body: Members = {
        "id": reply_id(reply.id, view),
        "object": "chat.completion",
        "created": view.created_s,
        "model": view.model,
        "choices": [_choice(at, answer, view) for at, answer in enumerate(reply.answers)],
    }
    if reply.meters:
        body["usage"] = usage_out.write(reply.meters)
    tier = tier_of(reply.tier)
    if tier:
        body["service_tier"] = tier
    return _encode(body)


def reply_id(id_: str, view: View) -> str:
    """The provider's own id of the reply, or one made of the call's."""
    return id_ or f"chatcmpl-{view.id}"


def failed(native: str) -> ProviderFault:
    word = f" ({native})" if native else ""
    return ProviderFault("garbage", f"the provider failed in generating its reply{word}", sent=True)


def _choice(at: int, answer: Answer, view: View) -> Members:
    finish = FINISH_OUT.get(answer.reason)
    if finish is None:
        raise failed(answer.native)
    logprobs = None if answer.logprobs in (ABSENT, NULL) else {"content": answer.logprobs, "refusal": None}
    return {"index": at, "message": _message(answer, view), "logprobs": logprobs, "finish_reason": finish}


def _message(answer: Answer, view: View) -> Members:
    texts, refusals, thoughts = [], [], []
    calls: list[Members] = []
    call_ids: dict[int, str] = {}
    annotations: list[Any] = []
    more: Members = {}
    chars = 0
    for at, part in enumerate(answer.parts):
        if isinstance(part, Text):
            texts.append(part.text)
            end = chars + len(part.text)
            made = [annotation_of(part.citations_of, raw, chars, end) for raw in part.citations]
            annotations += [one for one in made if one is not None]
            chars = end
        elif isinstance(part, ToolCall):
            call_ids[at] = id_ = ids.safe(part.id)
            calls.append(_call(part, id_))
        elif isinstance(part, Thinking):
            if part.text and not part.redacted:
                thoughts.append(part.text)
        elif isinstance(part, Refused):
            refusals.append(part.text)
        elif isinstance(part, Media):
            _show(more, part)
    content = "".join(texts)
    message: Members = {
        "role": "assistant",
        "content": content if texts or not (calls or refusals) else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    if view.show_thinking:
        if thoughts:
            message["reasoning_content"] = "".join(thoughts)
        details = written(answer.parts, view.origin, call_ids)
        if details:
            message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    if annotations:
        message["annotations"] = annotations
    return message | more


def _call(part: ToolCall, id_: str) -> Members:
    if part.kind == "custom":
        return {"id": id_, "type": "custom", "custom": {"name": part.name, "input": part.arguments}}
    return {"id": id_, "type": "function", "function": {"name": part.name, "arguments": part.arguments or "{}"}}


def _show(message: Members, part: Media) -> None:
    """Images as OpenRouter gives them, sound as OpenAI does."""
    if part.kind == "image" and (part.data or part.url):
        url = data_url(part) if part.data else part.url
        message.setdefault("images", []).append({"type": "image_url", "image_url": {"url": url}})
    elif part.kind == "audio" and part.data:
        message["audio"] = {"id": part.file, "data": part.data, "expires_at": 0, "transcript": part.text}
