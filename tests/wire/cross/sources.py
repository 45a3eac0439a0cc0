"""Replies as a provider of each protocol sends them, whole and streamed.

chat, responses and messages are written by our own writers, without an origin, as the protocol's own server would;
gemini (whose writer always seals), converse and qwen (which have none) are written here from the documented shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.events import Answer, AnyEvent, Closed, Delta, Finished, Opened, Reply, Signed
from baseload.wire.canon.fold import unfold
from baseload.wire.canon.request import Text, Thinking, ToolCall
from baseload.wire.protocols import CLIENTS
from tests.wire.converse import recorded as aws
from tests.wire.qwen import recorded as qwen

_encode = msgspec.json.Encoder().encode
_DIALECTS = {"chat": "openai", "responses": "openai", "messages": "anthropic", "converse": "bedrock"}
OWN = View(model="up", id="c", created_s=1, wants_usage=True)
_WORDS = {
    "gemini": {"stop": "STOP", "tool": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"},
    "converse": {
        "stop": "end_turn",
        "tool": "tool_use",
        "length": "max_tokens",
        "filter": "content_filtered",
        "stop_sequence": "stop_sequence",
        "context": "model_context_window_exceeded",
    },
    "qwen": {
        "stop": "stop",
        "tool": "tool_calls",
        "length": "length",
        "filter": "content_filter",
        "stop_sequence": "stop_sequence",
    },
}


def target(protocol: str) -> Target:
    return Target(protocol=protocol, dialect=_DIALECTS.get(protocol, protocol), model="up")


def elsewhere(maker: Target) -> Target:
    """Another model of the same protocol: no signature of the first is good there."""
    return replace(maker, model="other")


def raw(value: Any) -> Raw:
    return Raw(_encode(value))


def whole(protocol: str, reply: Reply) -> bytes:
    if protocol in _WHOLES:
        return _encode(_WHOLES[protocol](reply))
    return CLIENTS[protocol].reply_out(reply, OWN)


def stream(protocol: str, reply: Reply, size: int = 5) -> bytes:
    """The stream of the same reply; texts come in pieces of `size` characters."""
    events = in_pieces(unfold(reply), size)
    if protocol in _STREAMS:
        return _STREAMS[protocol](events, reply)
    out = CLIENTS[protocol].stream_out(OWN)
    return b"".join([out.write([event]) for event in events])


def in_pieces(events: list[AnyEvent], size: int) -> list[AnyEvent]:
    found: list[AnyEvent] = []
    for event in events:
        if not isinstance(event, Delta) or len(event.text) <= size:
            found.append(event)
            continue
        for at in range(0, len(event.text), size):
            piece = Delta(choice=event.choice, block=event.block, text=event.text[at : at + size])
            if not at:
                piece.logprobs = event.logprobs
            found.append(piece)
    return found


def _usage(name: str, write: Callable[[dict[str, int]], dict[str, Any]], reply: Reply) -> dict[str, Any]:
    return {} if reply.meters is None else {name: write(reply.meters)}


# Gemini: a call is whole; a signature stands on the part after its thinking.


def _gemini_usage(meters: dict[str, int]) -> dict[str, Any]:
    prompt = meters["input_uncached"] + meters.get("cache_read", 0)
    thoughts = meters.get("reasoning", 0)
    own = meters["output_total"] - thoughts
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": own, "totalTokenCount": prompt + own + thoughts}
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if meters.get("cache_read"):
        usage["cachedContentTokenCount"] = meters["cache_read"]
    return usage


def _gemini_parts(answer: Answer) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    proof = ""
    for part in answer.parts:
        made: dict[str, Any] = {}
        if isinstance(part, Thinking):
            parts.append({"text": part.text, "thought": True})
            proof = part.signature
            continue
        if isinstance(part, Text):
            made = {"text": part.text}
        elif isinstance(part, ToolCall):
            made = {"functionCall": {"id": part.id, "name": part.name, "args": Raw(part.arguments.encode())}}
        if proof:
            made["thoughtSignature"], proof = proof, ""
        parts.append(made)
    if proof:
        parts.append({"text": "", "thoughtSignature": proof})
    return parts


def _gemini_whole(reply: Reply) -> dict[str, Any]:
    candidates = [
        {
            "content": {"role": "model", "parts": _gemini_parts(answer)},
            "finishReason": _WORDS["gemini"][answer.reason],
            "index": at,
        }
        for at, answer in enumerate(reply.answers)
    ]
    body = {"candidates": candidates, "modelVersion": reply.model, "responseId": reply.id}
    return body | _usage("usageMetadata", _gemini_usage, reply)


def _gemini_stream(events: list[AnyEvent], reply: Reply) -> bytes:
    objects: list[dict[str, Any]] = []
    for at, answer in enumerate(reply.answers):
        for part in _gemini_parts(answer):
            for piece in _halves(part):
                objects.append({"candidates": [{"content": {"role": "model", "parts": [piece]}, "index": at}]})
        last = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": _WORDS["gemini"][answer.reason]}
        objects.append({"candidates": [last | {"index": at}]})
    objects[-1] |= _usage("usageMetadata", _gemini_usage, reply)
    names = {"modelVersion": reply.model, "responseId": reply.id}
    return b"".join([b"data: " + _encode(one | names) + b"\r\n\r\n" for one in objects])


def _halves(part: dict[str, Any]) -> list[dict[str, Any]]:
    text = part.get("text", "")
    if len(text) < 2 or "thoughtSignature" in part:
        return [part]
    middle = len(text) // 2
    return [part | {"text": text[:middle]}, part | {"text": text[middle:]}]


# Converse: blocks in order under an index; usage after the stop.


def _converse_usage(meters: dict[str, int]) -> dict[str, Any]:
    read, written = meters.get("cache_read", 0), meters.get("cache_write_5m", 0)
    usage: dict[str, Any] = {"inputTokens": meters["input_uncached"], "outputTokens": meters["output_total"]}
    if read:
        usage["cacheReadInputTokens"] = read
    if written:
        usage |= {"cacheWriteInputTokens": written, "cacheDetails": [{"ttl": "5m", "inputTokens": written}]}
    usage["totalTokens"] = sum((usage["inputTokens"], usage["outputTokens"], read, written))
    return usage


def _stopped(answer: Answer) -> dict[str, Any]:
    end: dict[str, Any] = {"stopReason": _WORDS["converse"][answer.reason]}
    if answer.stop_sequence:
        end["additionalModelResponseFields"] = {"stop_sequence": answer.stop_sequence}
    return end


def _converse_whole(reply: Reply) -> dict[str, Any]:
    answer = reply.answers[0]
    blocks: list[dict[str, Any]] = []
    for part in answer.parts:
        if isinstance(part, Thinking):
            thought = {"text": part.text} | ({"signature": part.signature} if part.signature else {})
            blocks.append({"reasoningContent": {"reasoningText": thought}})
        elif isinstance(part, Text):
            blocks.append({"text": part.text})
        elif isinstance(part, ToolCall):
            use = {"toolUseId": part.id, "name": part.name, "input": Raw(part.arguments.encode())}
            blocks.append({"toolUse": use})
    body = {"output": {"message": {"role": "assistant", "content": blocks}}, **_stopped(answer)}
    return body | _usage("usage", _converse_usage, reply)


def _converse_stream(events: list[AnyEvent], reply: Reply) -> bytes:
    out, kind = [aws.START], ""
    for event in events:
        if isinstance(event, Opened):
            kind = event.kind
            if kind == "tool":
                out.append(aws.tool(event.block, event.id, event.name))
        elif isinstance(event, Delta):
            if kind == "tool":
                out.append(aws.delta(event.block, toolUse={"input": event.text}))
            elif kind == "thinking":
                out.append(aws.delta(event.block, reasoningContent={"text": event.text}))
            else:
                out.append(aws.delta(event.block, text=event.text))
        elif isinstance(event, Signed):
            out.append(aws.delta(event.block, reasoningContent={"signature": event.signature}))
        elif isinstance(event, Closed):
            out.append(aws.stop(event.block))
        elif isinstance(event, Finished):
            out.append(aws.event("messageStop", _stopped(reply.answers[0])))
    out.append(aws.event("metadata", {"metrics": {"latencyMs": 1}} | _usage("usage", _converse_usage, reply)))
    return b"".join(out)


# DashScope: every frame says the usage; a call's id and name come in the first of its fragments.


def _qwen_usage(meters: dict[str, int]) -> dict[str, Any]:
    read, written = meters.get("cache_read", 0), meters.get("cache_write_5m", 0)
    prompt = meters["input_uncached"] + read + written
    usage: dict[str, Any] = {"input_tokens": prompt, "output_tokens": meters["output_total"]}
    usage["total_tokens"] = prompt + meters["output_total"]
    details: dict[str, Any] = {}
    if read:
        details["cached_tokens"] = read
    if written:
        details |= {"cache_creation_input_tokens": written}
        details |= {"cache_creation": {"ephemeral_5m_input_tokens": written}}
    if details:
        usage["prompt_tokens_details"] = details
    if meters.get("reasoning"):
        usage["output_tokens_details"] = {"reasoning_tokens": meters["reasoning"]}
    return usage


def _qwen_frame(choice: dict[str, Any], reply: Reply) -> dict[str, Any]:
    return {"output": {"choices": [choice]}, "request_id": reply.id} | _usage("usage", _qwen_usage, reply)


def _qwen_whole(reply: Reply) -> dict[str, Any]:
    answer = reply.answers[0]
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    for part in answer.parts:
        if isinstance(part, Thinking):
            message["reasoning_content"] = part.text
        elif isinstance(part, Text):
            message["content"] += part.text
        elif isinstance(part, ToolCall):
            calls = message.setdefault("tool_calls", [])
            calls.append(qwen.call(len(calls), part.id, part.name, part.arguments))
    return _qwen_frame({"index": 0, "message": message, "finish_reason": _WORDS["qwen"][answer.reason]}, reply)


def _qwen_stream(events: list[AnyEvent], reply: Reply) -> bytes:
    told: list[dict[str, Any]] = []
    kind, calls = "", -1
    for event in events:
        if isinstance(event, Opened):
            kind = event.kind
            if kind == "tool":
                calls += 1
                told.append({"content": "", "tool_calls": [qwen.call(calls, event.id, event.name, "")]})
        elif isinstance(event, Delta):
            if kind == "tool":
                told.append({"content": "", "tool_calls": [qwen.call(calls, "", None, event.text)]})
            else:
                told.append({"reasoning_content" if kind == "thinking" else "content": event.text})
    frames = [_qwen_frame({"index": 0, "message": message, "finish_reason": "null"}, reply) for message in told]
    last = {"index": 0, "message": {"content": ""}, "finish_reason": _WORDS["qwen"][reply.answers[0].reason]}
    frames.append(_qwen_frame(last, reply))
    return b"".join([qwen.frame(at + 1, one) for at, one in enumerate(frames)])


_WHOLES: dict[str, Callable[[Reply], dict[str, Any]]] = {
    "gemini": _gemini_whole,
    "converse": _converse_whole,
    "qwen": _qwen_whole,
}
_STREAMS: dict[str, Callable[[list[AnyEvent], Reply], bytes]] = {
    "gemini": _gemini_stream,
    "converse": _converse_stream,
    "qwen": _qwen_stream,
}
