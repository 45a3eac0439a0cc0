"""Anthropic Messages, as Anthropic speaks it and as compatible vendors' Anthropic doors do (protocols.md, section 4).

What is refused: `messages_rules.py`. A stream is message_start, ping, blocks one after another, message_delta,
message_stop; the input counters of message_start are true already, the output there is 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vendors import counts
from tests.vendors.answers import Answer, Call
from tests.vendors.heard import Heard, Media, Tool, as_bytes
from tests.vendors.proofs import hide, sign
from tests.vendors.speak.messages_rules import check
from tests.vendors.visit import SSE, Made, Visit, event, whole

STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "context": "model_context_window_exceeded",
}
PING = event("ping", {"type": "ping"})


def hear(body: dict[str, Any]) -> Heard:
    heard = Heard(str(body.get("model", "")))
    if body.get("system"):
        heard.turn("system")
        for block in _blocks(body["system"]):
            _mark(heard, block)
            heard.say(block.get("text", ""), "system")
    for message in body.get("messages", ()):
        heard.turn(message["role"])
        for block in _blocks(message["content"]):
            _mark(heard, block)
            _block(heard, message["role"], block)
    for tool in body.get("tools") or ():
        _mark(heard, tool)
        heard.tools.append(Tool(tool["name"], tool.get("input_schema") or {}))
    choice = body.get("tool_choice") or {}
    heard.choice = {"any": "required", "none": "none", "tool": f"={choice.get('name')}"}.get(choice.get("type"), "auto")
    heard.parallel = not choice.get("disable_parallel_tool_use")
    form = (body.get("output_config") or {}).get("format") or {}
    heard.schema = form.get("schema") if form.get("type") == "json_schema" else None
    thinking = body.get("thinking") or {}
    heard.think = thinking.get("type") in ("enabled", "adaptive", "between_tools")
    heard.stop = tuple(body.get("stop_sequences") or ())
    heard.limit = body.get("max_tokens")
    if "cache_control" in body:
        heard.marks.append(body["cache_control"].get("ttl", "5m"))
    return heard


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _mark(heard: Heard, block: dict[str, Any]) -> None:
    if block.get("cache_control"):
        heard.marks.append(block["cache_control"].get("ttl", "5m"))


def _block(heard: Heard, role: str, block: dict[str, Any]) -> None:
    match block["type"]:
        case "text":
            heard.say(block["text"], role)
        case "image" | "document":
            media = _source(block["type"], block["source"])
            if isinstance(media, str):
                heard.say(media, role)
            else:
                heard.see(media)
        case "tool_use":
            heard.calls += 1
        case "tool_result":
            parts = _blocks(block.get("content") or [])
            heard.result(
                " ".join(part["text"] for part in parts if part["type"] == "text"), bool(block.get("is_error"))
            )
            for part in parts:
                if part["type"] != "text":
                    _block(heard, role, part)


def _source(kind: str, source: dict[str, Any]) -> Media | str:
    match source["type"]:
        case "url":
            return Media(kind, url=source["url"])
        case "file":
            return Media(kind, url=source["file_id"])
        case "text":
            return str(source["data"])
    return Media(kind, source.get("media_type", ""), as_bytes(source.get("data", "")))


# --- replies


def serve(visit: Visit) -> Made:
    """POST messages."""
    check(visit)
    said = visit.said(hear(visit.body))
    if visit.body.get("max_tokens") == 0:  # only fills the cache
        said = visit.said(Heard())
    headers = (("request-id", f"req_sim{visit.number}"),)
    if visit.body.get("stream"):
        return Made(SSE, stream(visit, said), 200, headers)
    usage = visit.report(counts.messages(said, visit.dialect.name))
    reply = _message(visit, blocks(visit, said), said, usage)
    return whole(reply, 200, *headers)


def count(visit: Visit) -> Made:
    """POST messages/count_tokens."""
    check(visit)
    return whole({"input_tokens": visit.said(hear(visit.body)).prompt_tokens})


def blocks(visit: Visit, said: Answer) -> list[dict[str, Any]]:
    """The content of a whole reply."""
    content: list[dict[str, Any]] = []
    if said.reasoning:
        content.append(_thinking(visit, said, said.thought if _shown(visit) else ""))
    if said.content:
        text: dict[str, Any] = {"type": "text", "text": said.content}
        if said.cited:
            text["citations"] = [_citation(said)]
        content.append(text)
    return content + [_tool_use(call, call.value) for call in said.calls]


def _message(visit: Visit, content: list[Any], said: Answer | None, usage: Any) -> dict[str, Any]:
    return {
        "id": f"msg_sim{visit.number}",
        "type": "message",
        "role": "assistant",
        "model": f"{visit.body.get('model', '')}{visit.dialect.model_suffix}",
        "content": content,
        **(_stop(said) if said else {"stop_reason": None, "stop_sequence": None}),
        **({"usage": usage} if usage is not None else {}),
    }


def _stop(said: Answer) -> dict[str, Any]:
    reason = "stop_sequence" if said.stop_sequence else STOPS.get(said.finish, said.finish)
    stop: dict[str, Any] = {"stop_reason": reason, "stop_sequence": said.stop_sequence or None}
    if said.refused:
        stop["stop_details"] = {"type": "refusal", "category": "general_harms", "explanation": said.text}
    return stop


def _shown(visit: Visit) -> bool:
    return (visit.body.get("thinking") or {}).get("display") != "omitted"


def _thinking(visit: Visit, said: Answer, text: str) -> dict[str, Any]:
    model = str(visit.body.get("model", ""))
    if said.redacted:
        return {"type": "redacted_thinking", "data": hide(visit.dialect.name, model, said.thought)}
    return {"type": "thinking", "thinking": text, "signature": sign(visit.dialect.name, model, text)}


def _tool_use(call: Call, value: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_sim{call.number}", "name": call.name, "input": value}


def _citation(said: Answer) -> dict[str, Any]:
    return {
        "type": "char_location",
        "cited_text": said.words[0],
        "document_index": 0,
        "document_title": "A page",
        "start_char_index": 0,
        "end_char_index": len(said.words[0]),
    }


def stream(visit: Visit, said: Answer) -> Iterator[bytes]:
    """The events, one at a time."""
    usage = visit.report(counts.messages(said, visit.dialect.name))
    first = None if usage is None else {**usage, "output_tokens": 1}
    yield event("message_start", {"type": "message_start", "message": _message(visit, [], None, first)})
    if visit.dialect.name == "anthropic":
        yield PING
    for _ in range(visit.beats):
        yield PING if visit.dialect.name == "anthropic" else f": {visit.dialect.comment or 'keep-alive'}\n\n".encode()
    open_, index = "", -1
    for step in visit.steps(said):
        if step.kind == "error":
            kind = visit.fault.error_as or "overloaded_error"
            error = {"type": kind, "message": "Overloaded"}
            yield event("error", {"type": "error", "error": error, "request_id": f"req_sim{visit.number}"})
            return
        wanted = f"call {step.at}" if step.kind in ("call", "args") else "think" if step.kind == "sign" else step.kind
        if wanted != open_:
            if open_:
                yield _stopped(index)
            open_, index = wanted, index + 1
            yield _started(index, _empty(visit, said, step.kind, step.at))
            if wanted == "text" and said.cited:
                yield _delta(index, {"type": "citations_delta", "citation": _citation(said)})
        yield from (_delta(index, delta) for delta in _deltas(visit, said, step.kind, step.text, step.at))
    if open_:
        yield _stopped(index)
    more: dict[str, Any] = {"type": "message_delta", "delta": _stop(said)}
    if usage is not None:
        more["usage"] = {name: value for name, value in usage.items() if isinstance(value, int)}
    yield event("message_delta", more)
    if not visit.fault.no_done:
        yield event("message_stop", {"type": "message_stop"})


def _empty(visit: Visit, said: Answer, kind: str, at: int) -> dict[str, Any]:
    """The block as content_block_start has it."""
    if kind == "text":
        return {"type": "text", "text": ""}
    if kind in ("call", "args"):
        return _tool_use(said.calls[at], {})
    return _thinking(visit, said, "") if said.redacted else {"type": "thinking", "thinking": "", "signature": ""}


def _deltas(visit: Visit, said: Answer, kind: str, text: str, at: int) -> list[dict[str, Any]]:
    if kind == "text":
        return [{"type": "text_delta", "text": text}]
    if kind == "args":  # a tool without arguments gets no delta at all
        return [] if said.calls[at].arguments == "{}" else [{"type": "input_json_delta", "partial_json": text}]
    if kind == "call" or said.redacted:
        return []
    if kind == "think":
        return [{"type": "thinking_delta", "thinking": text}] if _shown(visit) else []
    shown = said.thought if _shown(visit) else ""
    signature = sign(visit.dialect.name, str(visit.body.get("model", "")), shown)
    return [{"type": "signature_delta", "signature": signature}]


def _started(index: int, block: dict[str, Any]) -> bytes:
    return event("content_block_start", {"type": "content_block_start", "index": index, "content_block": block})


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})


def _stopped(index: int) -> bytes:
    return event("content_block_stop", {"type": "content_block_stop", "index": index})
