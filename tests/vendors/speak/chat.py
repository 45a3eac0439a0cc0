"""Chat completions (and completions and embeddings) as OpenAI's and as each compatible vendor's.

hear        a body -> Heard
check       what a dialect refuses
whole       the reply that is not streamed
stream      the frames
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

from tests.vendors import counts
from tests.vendors.answers import Answer, Call, embedding
from tests.vendors.dialects import CREATED
from tests.vendors.failures_shapes import openai
from tests.vendors.heard import Heard, Media, Tool, as_bytes, by_data_url, words_of
from tests.vendors.visit import SSE, Made, Refused, Visit, dump, frame
from tests.vendors.visit import whole as as_json


def hear(body: dict[str, Any]) -> Heard:
    heard = Heard(str(body.get("model", "")))
    for message in body.get("messages", ()):
        role = message.get("role", "user")
        heard.turn(role)
        if role == "tool":
            _parts(heard, role, message.get("content"), as_result=True)
            continue
        _parts(heard, role, message.get("content"))
        heard.calls += len(message.get("tool_calls") or ())
    heard.tools = [
        Tool(tool["function"]["name"], tool["function"].get("parameters") or {})
        for tool in body.get("tools") or ()
        if tool.get("type", "function") == "function"
    ]
    heard.choice = _choice(body.get("tool_choice"))
    heard.parallel = body.get("parallel_tool_calls") is not False
    form = body.get("response_format") or {}
    heard.json_only = form.get("type") == "json_object"
    if form.get("type") == "json_schema":
        heard.schema = form["json_schema"].get("schema") or {}
    heard.think = _thinks(body)
    heard.stop = words_of(body.get("stop"))
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    heard.limit = limit if isinstance(limit, int) else None
    heard.n = body.get("n") or 1
    heard.logprobs = body.get("logprobs") is True
    return heard


def hear_prompt(body: dict[str, Any]) -> Heard:
    """Of /completions."""
    heard = Heard(str(body.get("model", "")))
    prompt = body.get("prompt", "")
    for text in [prompt] if isinstance(prompt, str) else prompt:
        heard.last = []
        heard.say(str(text))
    heard.stop = words_of(body.get("stop"))
    heard.limit = body.get("max_tokens")
    heard.n = body.get("n") or 1
    return heard


def hear_inputs(body: dict[str, Any]) -> Heard:
    """Of /embeddings."""
    heard = Heard(str(body.get("model", "")))
    for text in inputs(body):
        heard.say(text)
    heard.limit = 0
    return heard


def inputs(body: dict[str, Any]) -> list[str]:
    """What an embeddings request asks for, as texts (token ids become words)."""
    given = body.get("input", "")
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [item if isinstance(item, str) else " ".join(map(str, item)) for item in given]


def _parts(heard: Heard, role: str, content: Any, as_result: bool = False) -> None:
    if isinstance(content, str) or content is None:
        if as_result:
            heard.result(content or "")
        elif content is not None:
            heard.say(content, role)
        return
    texts = []
    for part in content:
        if "cache_control" in part:
            heard.marks.append(part["cache_control"].get("ttl", "5m"))
        match part.get("type"):
            case "image_url":
                heard.see(_image(part["image_url"]))
            case "input_audio":
                heard.see(
                    Media("audio", f"audio/{part['input_audio']['format']}", as_bytes(part["input_audio"]["data"]))
                )
            case "file":
                heard.see(by_data_url("document", part["file"].get("file_data") or part["file"].get("file_id", "")))
            case "refusal":
                texts.append(part["refusal"])
            case _:
                texts.append(part.get("text", ""))
    text = " ".join(texts)
    if as_result:
        heard.result(text)
    else:
        heard.say(text, role)


def _image(given: Any) -> Media:
    url = given if isinstance(given, str) else given.get("url", "")
    if not url.startswith(("data:", "http")) and as_bytes(url) >= 0:  # raw base64, as Zhipu wants it
        return Media("image", "image/unnamed", as_bytes(url))
    return by_data_url("image", url)


def _choice(given: Any) -> str:
    if isinstance(given, dict):
        function = given.get("function") or {}
        return f"={function['name']}" if "name" in function else (given.get("allowed_tools") or {}).get("mode", "auto")
    return given or "auto"


def _thinks(body: dict[str, Any]) -> bool:
    """The vendors' switches: effort, toggle, budget."""
    kind = (body.get("thinking") or {}).get("type")
    template = body.get("chat_template_kwargs") or {}
    reasoning = body.get("reasoning") or {}
    if kind == "disabled" or body.get("enable_thinking") is False or template.get("enable_thinking") is False:
        return False
    effort = body.get("reasoning_effort") or reasoning.get("effort")
    return bool(
        kind
        or body.get("enable_thinking")
        or template.get("enable_thinking")
        or reasoning.get("enabled")
        or effort not in (None, "none")
    )


# --- what is refused


def check(visit: Visit) -> None:
    """Raises Refused where the dialect does not take the body."""
    body, dialect = visit.body, visit.dialect
    if dialect.choices_max and (body.get("n") or 1) > dialect.choices_max:
        raise Refused(openai(400, "invalid_request_error", "invalid_request_error", f"n must be {dialect.choices_max}"))
    if dialect.open_temperature and body.get("temperature") in (0, 1):
        raise Refused(openai(400, "1214", None, "temperature must lie between 0 and 1"))
    thinks = visit.state.reasoning_back and (hear(body).think or "think" in str(body.get("model", "")))
    for number, message in enumerate(body.get("messages", ())):
        parts = message.get("content") if isinstance(message.get("content"), list) else ()
        for part in parts or ():
            url = (part.get("image_url") or {}).get("url", "") if part.get("type") == "image_url" else ""
            if dialect.bare_images and url.startswith("data:"):
                raise Refused(openai(400, "1210", None, f"messages[{number}]: the image has a data: prefix"))
        if thinks and message.get("tool_calls") and not message.get("reasoning_content"):
            say = (
                f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {number}"
            )
            raise Refused(openai(400, "invalid_request_error", "invalid_request_error", say))
    answered = {message.get("tool_call_id") for message in body.get("messages", ()) if message.get("role") == "tool"}
    for message in body.get("messages", ()):
        for call in message.get("tool_calls") or ():
            if call.get("id") not in answered:
                say = "An assistant message with 'tool_calls' must be followed by tool messages for each tool_call_id."
                raise Refused(openai(400, None, "invalid_request_error", say))


# --- replies


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
        message[dialect.reasoning_field] = said.thought
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
            sent += step.kind != "call"
            yield chunk(choice(delta, index))
    if said.cited and chat:
        yield chunk(choice({"annotations": [_citation(said)]}, 0))
    last = finish_of(said)
    yield from _ending(visit, base, said, asked, usage, chunk, [choice({}, i, last) for i in range(said.choices)])
    if not visit.fault.no_done:
        yield b"data: [DONE]\n\n"


def _delta(visit: Visit, said: Answer, kind: str, text: str, at: int) -> dict[str, Any] | None:
    dialect = visit.dialect
    if kind == "think":
        return {dialect.reasoning_field: text}
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
