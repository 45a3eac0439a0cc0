"""How each vendor says the same answer. Pure: a request and an answer in, bytes out.

Table first (`DIALECTS`), then the builders of whole replies and of stream frames. What is alike everywhere is OpenAI's.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.vendors.answers import Answer, embedding, inputs, usage

CREATED = 1_763_000_000


@dataclass(frozen=True)
class Dialect:
    """`usage_at`: where a stream's usage is: "extra" chunk, "finish" chunk, "choice" of the finish chunk."""

    name: str
    usage_always: bool = False  # in a stream, also when nobody asked
    usage_at: str = "extra"
    reasoning_field: str = "reasoning_content"
    id_prefix: str = "chatcmpl-"
    comment: str = ""  # keep-alive comment of streams
    comments: int = 0  # how many come before the first frame
    blank_lines: int = 0  # before the body of a reply that is not streamed
    reply_extra: dict[str, Any] = field(default_factory=dict)  # members of every reply and chunk
    headers: tuple[tuple[str, str], ...] = ()
    model_suffix: str = ""  # the reply names another model than the request
    null_usage: bool = True  # other chunks say `usage: null` when usage was asked for


def _table(*rows: Dialect) -> dict[str, Dialect]:
    return {row.name: row for row in rows}


DIALECTS = _table(
    Dialect(
        "openai", reply_extra={"service_tier": "default", "system_fingerprint": "fp_1"}, model_suffix="-2026-01-01"
    ),
    Dialect("azure", headers=(("apim-request-id", "apim-1"), ("x-ms-region", "West"))),
    Dialect("deepseek", comment="keep-alive", comments=2, blank_lines=3, reply_extra={"system_fingerprint": "fp_ds"}),
    Dialect("moonshot", usage_always=True, usage_at="choice", null_usage=False),
    Dialect("zhipu", usage_always=True, usage_at="finish", id_prefix="20261124", null_usage=False),
    Dialect("volcengine", id_prefix="0217", model_suffix="-260101", reply_extra={"service_tier": "default"}),
    Dialect("qianfan", id_prefix="as-", null_usage=False),
    Dialect("minimax", id_prefix="04", headers=(("trace_id", "trace-1"),), null_usage=False),
    Dialect("siliconflow", id_prefix="01", headers=(("x-siliconcloud-trace-id", "ti-1"),), null_usage=False),
    Dialect("tencent", id_prefix="tx", null_usage=False),
    Dialect("dashscope"),
    Dialect(
        "openrouter",
        usage_always=True,
        reasoning_field="reasoning",
        id_prefix="gen-",
        comment="OPENROUTER PROCESSING",
        comments=2,
        reply_extra={"provider": "Somebody"},
        headers=(("x-generation-id", "gen-1"),),
        null_usage=False,
    ),
    Dialect("vllm", reasoning_field="reasoning", null_usage=False),
    Dialect("sglang", id_prefix="", null_usage=True),
    Dialect("llamacpp", null_usage=False),
    Dialect("ollama", null_usage=False),
)


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def frame(value: object, newline: bytes = b"\n") -> bytes:
    """One SSE event."""
    return b"data: " + dump(value) + newline * 2


KEEP: Any = object()  # "the usage this answer has"


def whole(
    dialect: Dialect, body: dict[str, Any], endpoint: str, said: Answer, number: int, report: Any = KEEP
) -> dict[str, Any]:
    """A reply that is not streamed. `report`: another usage object, None = no usage at all."""
    if report is KEEP:
        report = usage(dialect.name, said)
    model = f"{body.get('model', '')}{dialect.model_suffix}"
    if endpoint == "embeddings":
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(text, body.get("encoding_format"))}
            for index, text in enumerate(inputs(body))
        ]
        short = (
            {"prompt_tokens": said.prompt_tokens, "total_tokens": said.prompt_tokens} if report is not None else None
        )
        return {"object": "list", "data": data, "model": model, **({"usage": short} if short else {})}
    choices = [_choice(dialect, endpoint, said, index) for index in range(said.choices)]
    reply: dict[str, Any] = {
        "id": f"{dialect.id_prefix}{number}",
        "object": "chat.completion" if endpoint == "chat" else "text_completion",
        "created": CREATED,
        "model": model,
        "choices": choices,
        **({"usage": report} if report is not None else {}),
        **dialect.reply_extra,
    }
    if dialect.name == "minimax":
        reply["base_resp"] = {"status_code": 0, "status_msg": ""}
    if dialect.name == "llamacpp":
        reply["timings"] = timings(said)
    if dialect.name == "azure":
        reply["prompt_filter_results"] = _FILTERED
    return reply


def _choice(dialect: Dialect, endpoint: str, said: Answer, index: int) -> dict[str, Any]:
    if endpoint == "completions":
        return {"text": said.text, "index": index, "logprobs": None, "finish_reason": said.finish}
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    if said.reasoning:
        message[dialect.reasoning_field] = " ".join(said.reasoning)
    if said.tool:
        call = {"name": said.tool, "arguments": json.dumps({"text": said.text})}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
    choice = {"index": index, "message": message, "logprobs": None, "finish_reason": said.finish}
    if dialect.name == "azure":
        choice["content_filter_results"] = _CLEAN
    return choice


def stream(
    dialect: Dialect,
    body: dict[str, Any],
    endpoint: str,
    said: Answer,
    number: int,
    *,
    report: Any = KEEP,
    pieces: Iterator[str] | None = None,
    error_after: int | None = None,
    newline: bytes = b"\n",
    done: bool = True,
) -> Iterator[bytes]:
    """The events of a stream, one at a time. `pieces`: other text; `error_after`: fails after so many text frames."""
    options = body.get("stream_options") or {}
    asked = bool(options.get("include_usage"))
    each = bool(options.get("continuous_usage_stats") or options.get("chunk_include_usage"))
    base: dict[str, Any] = {
        "id": f"{dialect.id_prefix}{number}",
        "object": "chat.completion.chunk" if endpoint == "chat" else "text_completion",
        "created": CREATED,
        "model": f"{body.get('model', '')}{dialect.model_suffix}",
        **dialect.reply_extra,
    }
    if report is KEEP:
        report = usage(dialect.name, said)
    sent = 0

    def chunk(choices: list[dict[str, Any]]) -> bytes:
        more: dict[str, Any] = {"usage": None} if asked and dialect.null_usage and report is not None else {}
        if each and report is not None:
            more = {"usage": usage(dialect.name, said, sent)}
        return frame({**base, "choices": choices, **more}, newline)

    def delta(content: dict[str, Any], index: int, finish: str | None = None) -> dict[str, Any]:
        if endpoint == "completions":
            return {"text": content.get("content", ""), "index": index, "logprobs": None, "finish_reason": finish}
        choice = {"index": index, "delta": content, "logprobs": None, "finish_reason": finish}
        if dialect.name == "azure":
            choice["content_filter_results"] = _CLEAN
        return choice

    for _ in range(dialect.comments):
        yield f": {dialect.comment}".encode() + newline * 2
    if dialect.name == "azure":
        yield frame({**base, "id": "", "choices": [], "prompt_filter_results": _FILTERED}, newline)
    for index in range(said.choices):
        if endpoint == "chat":
            yield chunk([delta({"role": "assistant", "content": ""}, index)])
        for word in said.reasoning:
            sent += 1
            yield chunk([delta({dialect.reasoning_field: word}, index)])
    for position, piece in enumerate(said.pieces if pieces is None else pieces):
        if error_after is not None and position >= error_after:
            yield stream_error(dialect, base, newline)
            return
        for index in range(said.choices):
            sent += 1
            yield chunk([delta(_tool_delta(said, piece, position) if said.tool else {"content": piece}, index)])
    if error_after is not None:
        yield stream_error(dialect, base, newline)
        return
    yield from _ending(dialect, base, said, asked, report, chunk, delta, newline)
    if done:
        yield b"data: [DONE]" + newline * 2


def _ending(
    dialect: Dialect,
    base: dict[str, Any],
    said: Answer,
    asked: bool,
    report: Any,
    chunk: Any,
    delta: Any,
    newline: bytes,
) -> Iterator[bytes]:
    reports = report is not None and (asked or dialect.usage_always)
    more: dict[str, Any] = {"timings": timings(said)} if dialect.name == "llamacpp" else {}
    for index in range(said.choices):
        last = delta({}, index, said.finish)
        if reports and index == said.choices - 1 and dialect.usage_at == "choice":
            last["usage"] = report
        if reports and index == said.choices - 1 and dialect.usage_at == "finish":
            yield frame({**base, "choices": [last], "usage": report}, newline)
        elif more and not reports and index == said.choices - 1:
            yield frame({**base, "choices": [last], **more}, newline)
        else:
            yield chunk([last])
    if reports and (dialect.usage_at == "extra" or (dialect.usage_at == "choice" and asked)):
        yield frame({**base, "choices": [], "usage": report, **more}, newline)


def stream_error(dialect: Dialect, base: dict[str, Any], newline: bytes = b"\n") -> bytes:
    """How a failure looks after a 200 and some frames."""
    if dialect.name == "openrouter":
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        error = {"code": 502, "message": "Provider disconnected"}
        return frame({**base, "error": error, "choices": [choice]}, newline)
    if dialect.name == "deepseek":
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "insufficient_system_resource"}
        return frame({**base, "choices": [choice]}, newline)
    if dialect.name == "minimax":
        return frame({"base_resp": {"status_code": 1033, "status_msg": "system error"}}, newline)
    error = {"message": "The server had an error", "type": "server_error", "param": None, "code": None}
    return frame({"error": error}, newline)


def timings(said: Answer) -> dict[str, Any]:
    """What llama.cpp adds to its last chunk."""
    fresh = said.prompt_tokens - said.cached_tokens
    return {"cache_n": said.cached_tokens, "prompt_n": fresh, "predicted_n": said.completion_tokens}


def _tool_delta(said: Answer, piece: str, position: int) -> dict[str, Any]:
    """Arguments in fragments; id and name only in the first."""
    last = position == len(said.words) - 1
    arguments = ('{"text": "' if not position else "") + piece + ('"}' if last else "")
    call: dict[str, Any] = {"index": 0, "function": {"arguments": arguments}}
    if not position:
        call |= {"id": "call_1", "type": "function", "function": {"name": said.tool, "arguments": arguments}}
    return {"tool_calls": [call]}


def _vector(text: str, encoding: str | None) -> Any:
    numbers = embedding(text)
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    return numbers


_CLEAN = {"hate": {"filtered": False, "severity": "safe"}}
_FILTERED = [{"prompt_index": 0, "content_filter_results": _CLEAN}]
