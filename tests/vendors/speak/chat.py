"""Chat completions (and completions and embeddings) as OpenAI's and as each compatible vendor's.

How requests are heard and what is refused: `chat_heard.py`. Here: the whole reply, and the frames of a stream.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

from tests.vendors import counts
from tests.vendors.answers import Answer, Call, embedding
from tests.vendors.dialects import CREATED
from tests.vendors.speak.chat_heard import check, hear, hear_inputs, hear_prompt, inputs
from tests.vendors.visit import SSE, Made, Visit, dump, frame
from tests.vendors.visit import whole as as_json


def serve(visit: Visit) -> Made:
    """POST chat/completions, completions, embeddings."""
    body, dialect = visit.body, visit.dialect
    if visit.endpoint == "chat":
        check(visit)
    heard = {"chat": hear, "completions": hear_prompt, "embeddings": hear_inputs}[visit.endpoint](body)
    said = visit.said(heard)
    if visit.endpoint == "embeddings":
        return as_json(_embeddings(visit, said))
    if body.get("stream"):
        return Made(SSE, stream(visit, said))
    blank = (b"\n",) * (dialect.blank_lines if visit.fault.beats is None else visit.fault.beats)
    return Made("application/json", iter((*blank, dump(whole(visit, said)))))


def model_of(visit: Visit) -> str:
    """The model that the reply names. Ark's endpoint ids stand for a model."""
    model = str(visit.body.get("model") or visit.found.get("model", ""))
    return "doubao-seed-1-6-251015" if model.startswith("ep-") else f"{model}{visit.dialect.model_suffix}"


def _embeddings(visit: Visit, said: Answer) -> dict[str, Any]:
    body = visit.body
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text, body)}
        for index, text in enumerate(inputs(body))
    ]
    tokens = max(said.prompt_tokens, 1)
    usage = visit.report({"prompt_tokens": tokens, "total_tokens": tokens})
    return {"object": "list", "data": data, "model": model_of(visit), **({"usage": usage} if usage is not None else {})}


def _vector(text: str, body: dict[str, Any]) -> Any:
    numbers = embedding(text, body.get("dimensions") or 8)
    if body.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    return numbers


def whole(visit: Visit, said: Answer) -> dict[str, Any]:
    """A reply that is not streamed."""
    dialect = visit.dialect
    usage = visit.report(counts.usage(dialect.name, said))
    choices = [_choice_of(visit, said, index) for index in range(said.choices)]
    reply: dict[str, Any] = {
        "id": f"{dialect.id_prefix}{visit.number}",
        "object": "chat.completion" if visit.endpoint == "chat" else "text_completion",
        "created": CREATED,
        "model": model_of(visit),
        "choices": choices,
        **({"usage": usage} if usage is not None else {}),
        **dialect.reply_extra,
    }
    if dialect.name == "minimax":
        reply["base_resp"] = {"status_code": 0, "status_msg": ""}
    if dialect.name == "llamacpp":
        reply["timings"] = timings(said)
    if dialect.name.startswith("azure"):
        reply["prompt_filter_results"] = FILTERED
    return reply


def _choice_of(visit: Visit, said: Answer, index: int) -> dict[str, Any]:
    finish = finish_of(said)
    if visit.endpoint == "completions":
        return {"text": said.text, "index": index, "logprobs": None, "finish_reason": finish}
    dialect = visit.dialect
    message: dict[str, Any] = {"role": "assistant", "content": said.content or (None if said.calls else "")}
    if said.refused:
        message |= {"content": None, "refusal": said.text} if dialect.name == "openai" else {"content": ""}
    if said.reasoning:
        _think(visit, message, said)
    if said.calls:
        message["tool_calls"] = [
            {
                "id": call_id(visit, call),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in said.calls
        ]
    if said.cited:
        message["annotations"] = [_citation(said)]
    logprobs = {"content": [token(piece) for piece in said.pieces], "refusal": None} if said.logprobs else None
    choice = {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}
    if dialect.name.startswith("azure"):
        choice["content_filter_results"] = CLEAN
    return choice


def _think(visit: Visit, message: dict[str, Any], said: Answer) -> None:
    if not visit.dialect.think_tags:
        message[visit.dialect.reasoning_field] = said.thought
    elif visit.body.get("reasoning_split"):
        message["reasoning_details"] = _details(said.thought)
    else:
        message["content"] = f"<think>\n{said.thought}\n</think>\n\n{message['content'] or ''}"


def _details(text: str) -> list[dict[str, Any]]:
    return [
        {"type": "reasoning.text", "id": "reasoning-text-1", "format": "MiniMax-response-v1", "index": 0, "text": text}
    ]


def finish_of(said: Answer) -> str:
    return "length" if said.finish == "context" else said.finish


def call_id(visit: Visit, call: Call) -> str:
    return visit.dialect.call_id.format(number=call.number, name=call.name, index=call.number - 1)


def token(piece: str) -> dict[str, Any]:
    """Logprob of a piece of text."""
    return {"token": piece, "logprob": -0.5, "bytes": list(piece.encode()), "top_logprobs": []}


def stream(visit: Visit, said: Answer) -> Iterator[bytes]:
    """The events of a stream, one at a time."""
    body, dialect = visit.body, visit.dialect
    options = body.get("stream_options") or {}
    asked = bool(options.get("include_usage"))
    each = bool(options.get("continuous_usage_stats") or options.get("chunk_include_usage"))
    chat = visit.endpoint == "chat"
    base: dict[str, Any] = {
        "id": f"{dialect.id_prefix}{visit.number}",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": CREATED,
        "model": model_of(visit),
        **dialect.reply_extra,
    }
    usage = visit.report(counts.usage(dialect.name, said))
    sent = 0

    def chunk(choice: dict[str, Any]) -> bytes:
        more: dict[str, Any] = {"usage": None} if asked and dialect.null_usage and usage is not None else {}
        if each and usage is not None:
            more = {"usage": counts.usage(dialect.name, said, sent)}
        return frame({**base, "choices": [choice], **more})

    def choice(delta: dict[str, Any], index: int, finish: str | None = None) -> dict[str, Any]:
        if not chat:
            return {"text": delta.get("content", ""), "index": index, "logprobs": None, "finish_reason": finish}
        made: dict[str, Any] = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        if said.logprobs and delta.get("content"):
            made["logprobs"] = {"content": [token(delta["content"])], "refusal": None}
        if dialect.name.startswith("azure"):
            made["content_filter_results"] = CLEAN
        return made

    for _ in range(visit.beats):
        yield f": {dialect.comment or 'keep-alive'}\n\n".encode()
    if dialect.name.startswith("azure"):
        yield frame({**base, "id": "", "choices": [], "prompt_filter_results": FILTERED})
    if chat:
        yield from (chunk(choice({"role": "assistant", "content": ""}, index)) for index in range(said.choices))
    if said.refused and chat and dialect.name == "openai":
        yield from (chunk(choice({"refusal": said.text}, index)) for index in range(said.choices))
    for step in visit.steps(said, mix=True):
        if step.kind == "error":
            yield stream_error(visit, base)
            return
        delta = _delta(visit, said, step.kind, step.text, step.at)
        if delta is None:
            continue
        for index in range(said.choices):
            sent += step.kind in ("think", "text", "args")
            yield chunk(choice(delta, index))
    if said.cited and chat:
        yield chunk(choice({"annotations": [_citation(said)]}, 0))
    last = finish_of(said)
    yield from _ending(visit, base, said, asked, usage, chunk, [choice({}, i, last) for i in range(said.choices)])
    if not visit.fault.no_done:
        yield b"data: [DONE]\n\n"


def _delta(visit: Visit, said: Answer, kind: str, text: str, at: int) -> dict[str, Any] | None:
    dialect = visit.dialect
    if kind in ("think", "sign"):
        return _thought(visit, kind, text)
    if kind == "text":
        return {"content": text}
    if kind not in ("call", "args"):
        return None
    call = said.calls[at]
    ident = {"id": call_id(visit, call), "type": "function"}
    if dialect.whole_calls:
        whole_call = {"index": at, **ident, "function": {"name": call.name, "arguments": call.arguments}}
        return {"tool_calls": [whole_call]} if kind == "call" else None
    if kind == "call":
        return {"tool_calls": [{"index": at, **ident, "function": {"name": call.name, "arguments": ""}}]}
    later: dict[str, Any] = {"index": at, "function": {"arguments": text}}
    if dialect.later_ids == "empty":
        later = {"index": at, "id": "", "type": "function", "function": {"name": "", "arguments": text}}
    elif dialect.later_ids == "repeated":
        later = {"index": at, **ident, "function": {"name": call.name, "arguments": text}}
    return {"tool_calls": [later]}


def _thought(visit: Visit, kind: str, text: str) -> dict[str, Any] | None:
    """A piece of thinking ("think") or its end ("sign")."""
    tags = visit.dialect.think_tags and not visit.body.get("reasoning_split")
    if kind == "sign":
        return {"content": "\n</think>\n\n"} if tags else None
    if tags:
        return {"content": text if text.startswith(" ") else f"<think>\n{text}"}
    return {"reasoning_details": _details(text)} if visit.dialect.think_tags else {visit.dialect.reasoning_field: text}


def _ending(
    visit: Visit, base: dict[str, Any], said: Answer, asked: bool, usage: Any, chunk: Any, finals: list[dict[str, Any]]
) -> Iterator[bytes]:
    dialect = visit.dialect
    reports = usage is not None and (asked or dialect.usage_always)
    more: dict[str, Any] = {"timings": timings(said)} if dialect.name == "llamacpp" else {}
    for index, last in enumerate(finals):
        final = index == len(finals) - 1
        if reports and final and dialect.usage_at == "choice":
            last["usage"] = usage
        if reports and final and dialect.usage_at == "finish":
            yield frame({**base, "choices": [last], "usage": usage})
        elif more and not reports and final:
            yield frame({**base, "choices": [last], **more})
        else:
            yield chunk(last)
    if reports and (dialect.usage_at == "extra" or (dialect.usage_at == "choice" and asked)):
        yield frame({**base, "choices": [], "usage": usage, **more})


def stream_error(visit: Visit, base: dict[str, Any]) -> bytes:
    """How a failure looks after a 200 and some frames."""
    match visit.dialect.name:
        case "openrouter":
            choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
            error = {"code": 502, "message": "Provider disconnected"}
            return frame({**base, "error": error, "choices": [choice]})
        case "deepseek":
            choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "insufficient_system_resource"}
            return frame({**base, "choices": [choice]})
        case "minimax":
            return frame({"base_resp": {"status_code": 1033, "status_msg": "system error"}})
    error = {"message": "The server had an error", "type": "server_error", "param": None, "code": None}
    return frame({"error": error})


def timings(said: Answer) -> dict[str, Any]:
    """What llama.cpp adds to its last chunk."""
    fresh = said.prompt_tokens - said.cached_tokens
    return {"cache_n": said.cached_tokens, "prompt_n": fresh, "predicted_n": said.completion_tokens}


def _citation(said: Answer) -> dict[str, Any]:
    place = {"start_index": 0, "end_index": len(said.text), "title": "A page", "url": "https://example.com/a"}
    return {"type": "url_citation", "url_citation": place}


CLEAN = {"hate": {"filtered": False, "severity": "safe"}}
FILTERED = [{"prompt_index": 0, "content_filter_results": CLEAN}]
