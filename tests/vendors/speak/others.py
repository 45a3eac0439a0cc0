"""The endpoints around the conversation: rerank, images, speech, transcriptions, lists of models."""

from __future__ import annotations

import base64
import re
from typing import Any

from tests.vendors.dialects import CREATED
from tests.vendors.failures_shapes import openai
from tests.vendors.visit import SSE, Made, Refused, Visit, frame, whole

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


# --- rerank


def rerank(visit: Visit) -> Made:
    """POST rerank. A document's score: the share of the query's words that are in it."""
    body = visit.body
    inner = body.get("input") if isinstance(body.get("input"), dict) else body
    query, documents = str(inner.get("query", "")), inner.get("documents") or []
    options = body.get("parameters") or body
    words = query.split()
    scores = [sum(word in _text(document).split() for word in words) / max(len(words), 1) for document in documents]
    order = sorted(range(len(documents)), key=lambda index: (-scores[index], index))[: options.get("top_n") or None]
    returns = bool(options.get("return_documents")) or visit.dialect.name == "vllm"
    results = [
        {
            "index": index,
            "relevance_score": scores[index],
            **({"document": {"text": _text(documents[index])}} if returns else {}),
        }
        for index in order
    ]
    tokens = len(words) * len(documents) + sum(len(_text(document).split()) for document in documents)
    return whole(_reranked(visit, results, tokens))


def _reranked(visit: Visit, results: list[dict[str, Any]], tokens: int) -> dict[str, Any]:
    match visit.dialect.name:
        case "dashscope" if "/services/" in visit.path:
            return {
                "output": {"results": results},
                "usage": {"total_tokens": tokens},
                "request_id": f"r-{visit.number}",
            }
        case "dashscope":
            usage = {"total_tokens": tokens}
            return {"object": "list", "results": results, "model": visit.body.get("model"), "usage": usage, "id": "r-1"}
        case "siliconflow":
            billed = {"input_tokens": tokens, "output_tokens": 0}
            meta = {"billed_units": {**billed, "search_units": 0, "classifications": 0}, "tokens": billed}
            return {"id": f"rr-{visit.number}", "results": results, "meta": meta}
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    ident = {"id": f"rerank-{visit.number}"} if visit.dialect.name == "vllm" else {"object": "list"}
    return {**ident, "model": visit.body.get("model"), "results": results, "usage": usage}


def _text(document: Any) -> str:
    return document if isinstance(document, str) else str(document.get("text", ""))


# --- images, speech, transcriptions


def images(visit: Visit) -> Made:
    """POST images/generations: `n` pictures, by data or by URL."""
    body = visit.body
    count = body.get("n") or 1
    by_url = body.get("response_format") == "url" or visit.dialect.name in ("siliconflow", "volcengine")
    one = (
        {"url": f"https://example.com/{visit.number}.png"} if by_url else {"b64_json": base64.b64encode(PIXEL).decode()}
    )
    words = len(str(body.get("prompt", "")).split())
    reply: dict[str, Any] = {"created": CREATED, "data": [one] * count}
    match visit.dialect.name:
        case "volcengine":
            usage = {"generated_images": count, "output_tokens": 4096 * count, "total_tokens": 4096 * count}
            reply |= {"model": body.get("model")}
        case "siliconflow":
            usage = None
            reply |= {"images": [one] * count, "timings": {"inference": 0.1}, "seed": 1}
        case _:
            usage = {
                "input_tokens": words,
                "input_tokens_details": {"text_tokens": words, "image_tokens": 0},
                "output_tokens": 1056 * count,
                "total_tokens": words + 1056 * count,
            }
    usage = visit.report(usage)
    return whole(reply | ({} if usage is None else {"usage": usage}))


SOUND = {"mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac"}


def speech(visit: Visit) -> Made:
    """POST audio/speech: bytes that no text decoder survives, 100 a letter; or SSE events with usage."""
    body = visit.body
    text = str(body.get("input", ""))
    sound = bytes(range(0x80, 0x80 + 100))
    if body.get("stream_format") == "sse":
        usage = {
            "input_tokens": len(text.split()),
            "output_tokens": len(text),
            "total_tokens": len(text.split()) + len(text),
        }
        parts = [{"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()} for _ in text]
        return Made(SSE, iter([*map(frame, parts), frame({"type": "speech.audio.done", "usage": usage})]))
    form = body.get("response_format") or "mp3"
    return Made(SOUND.get(form, "audio/pcm"), iter([sound] * len(text)))


def transcriptions(visit: Visit) -> Made:
    """POST audio/transcriptions, multipart: says the file's name and size."""
    fields = multipart(visit.raw, visit.headers.get("content-type", ""))
    if "file" not in fields or "model" not in fields:
        say = "Could not parse your multipart form: file and model are required."
        raise Refused(openai(400, None, "invalid_request_error", say))
    name, data = fields["file"]
    words = [
        word if not index else f" {word}" for index, word in enumerate(f"heard {name} of {len(data)} bytes".split())
    ]
    text = "".join(words)
    asked = {key: value.decode() for key, (_, value) in fields.items() if key != "file"}
    usage: dict[str, Any] = {
        "type": "tokens",
        "input_tokens": len(data),
        "input_token_details": {"text_tokens": 0, "audio_tokens": len(data)},
        "output_tokens": len(words),
        "total_tokens": len(data) + len(words),
    }
    if asked["model"].startswith("whisper"):
        usage = {"type": "duration", "seconds": len(data)}
    reported = visit.report(usage)
    more = {} if reported is None else {"usage": reported}
    if asked.get("stream") == "true":
        events = [frame({"type": "transcript.text.delta", "delta": word}) for word in words]
        return Made(SSE, iter([*events, frame({"type": "transcript.text.done", "text": text, **more})]))
    match asked.get("response_format", "json"):
        case "text":
            return Made("text/plain; charset=utf-8", iter([text.encode() + b"\n"]))
        case "verbose_json":
            verbose = {"task": "transcribe", "language": "english", "duration": 1.0, "text": text, "segments": []}
            return whole({**verbose, **more})
    return whole({"text": text, **more})


def multipart(raw: bytes, kind: str) -> dict[str, tuple[str, bytes]]:
    """Form fields: name -> file name, value."""
    found = re.search(r'boundary="?([^";]+)', kind)
    if not kind.startswith("multipart/form-data") or not found:
        return {}
    fields = {}
    for part in (b"\r\n" + raw).split(b"\r\n--" + found[1].encode())[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        text = head.decode("utf-8", "replace")
        name = re.search(r'[ ;]name="([^"]*)"', text)
        file = re.search(r'filename="([^"]*)"', text)
        if name:
            fields[name[1]] = (file[1] if file else "", value)
    return fields


# --- models


def models(visit: Visit) -> Made:
    """GET models and models/{id}, in the vendor's own shape."""
    shape = SHAPES.get(visit.dialect.name, _openai_model)
    ident = visit.found.get("id", "")
    if ident and ident not in visit.state.models:
        from tests.vendors.failures import failure

        raise Refused(failure(visit.dialect.name, "not_found", visit.dialect.main))
    if ident:
        return whole(shape(ident))
    known = list(visit.state.models)
    data = [shape(name) for name in known]
    match visit.dialect.name:
        case "anthropic":
            after, limit = visit.query.get("after_id", ""), int(visit.query.get("limit", 20))
            begin = known.index(after) + 1 if after in known else 0
            page = data[begin : begin + limit]
            ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
            return whole({"data": page, "has_more": begin + limit < len(data), **ends})
        case "gemini":
            size, begin = int(visit.query.get("pageSize", 50)), int(visit.query.get("pageToken", 0))
            more = {"nextPageToken": str(begin + size)} if begin + size < len(data) else {}
            return whole({"models": data[begin : begin + size], **more})
    return whole({"object": "list", "data": data})


def _openai_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "sim"}


def _anthropic_model(name: str) -> dict[str, Any]:
    facts = {"max_input_tokens": 200_000, "max_tokens": 64_000}
    return {"id": name, "type": "model", "display_name": name.title(), "created_at": "2026-01-01T00:00:00Z", **facts}


def _gemini_model(name: str) -> dict[str, Any]:
    methods = ["generateContent", "countTokens", "embedContent"]
    limits = {"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536, "supportedGenerationMethods": methods}
    return {"name": f"models/{name}", "version": "001", "displayName": name.title(), **limits}


SHAPES = {"anthropic": _anthropic_model, "gemini": _gemini_model}
