"""Bedrock Converse and ConverseStream (vendors.md, 3.13). What is refused: `converse_rules.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.vendors import counts, eventstream
from tests.vendors.answers import Answer, Call
from tests.vendors.heard import Heard, Media, Tool, as_bytes, text_of
from tests.vendors.proofs import hide, sign
from tests.vendors.speak.converse_rules import check
from tests.vendors.visit import Made, Visit, whole

KIND = "application/vnd.amazon.eventstream"
STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "context": "model_context_window_exceeded",
}


def hear(body: dict[str, Any], model: str = "") -> Heard:
    heard = Heard(model)
    if body.get("system"):
        heard.turn("system")
        for block in body["system"]:
            _block(heard, "system", block)
    for message in body.get("messages", ()):
        heard.turn(message["role"])
        for block in message["content"]:
            _block(heard, message["role"], block)
    tools = body.get("toolConfig") or {}
    for tool in tools.get("tools") or ():
        if "toolSpec" in tool:
            heard.tools.append(Tool(tool["toolSpec"]["name"], tool["toolSpec"]["inputSchema"]["json"]))
        if "cachePoint" in tool:
            heard.marks.append(tool["cachePoint"].get("ttl", "5m"))
    choice = tools.get("toolChoice") or {}
    heard.choice = "required" if "any" in choice else f"={choice['tool']['name']}" if "tool" in choice else "auto"
    output = (body.get("outputConfig") or {}).get("textFormat") or {}
    if output.get("type") == "json_schema":
        schema = output["structure"]["jsonSchema"]["schema"]
        heard.schema = _json(schema)
    thinking = (body.get("additionalModelRequestFields") or {}).get("thinking") or {}
    effort = (body.get("outputConfig") or {}).get("effort")
    heard.think = thinking.get("type") in ("enabled", "adaptive") or bool(effort and thinking.get("type") != "disabled")
    config = body.get("inferenceConfig") or {}
    heard.stop = tuple(config.get("stopSequences") or ())
    heard.limit = config.get("maxTokens")
    return heard


def _json(schema: Any) -> dict[str, Any]:
    made = json.loads(schema) if isinstance(schema, str) else schema
    return made if isinstance(made, dict) else {}


def _block(heard: Heard, role: str, block: dict[str, Any]) -> None:
    if "text" in block:
        heard.say(block["text"], role)
    elif "cachePoint" in block:
        heard.marks.append(block["cachePoint"].get("ttl", "5m"))
    elif "image" in block or "document" in block or "video" in block:
        heard.see(_media(block))
    elif "toolUse" in block:
        heard.calls += 1
    elif "toolResult" in block:
        result = block["toolResult"]
        parts = result["content"]
        texts = [
            part["text"] if "text" in part else text_of(part["json"]) for part in parts if {"text", "json"} & set(part)
        ]
        heard.result(" ".join(texts), result.get("status") == "error")
        for part in parts:
            if "image" in part or "document" in part:
                heard.see(_media(part))


MIMES = {"pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html"}


def _media(block: dict[str, Any]) -> Media:
    ((kind, given),) = ((key, value) for key, value in block.items() if key in ("image", "document", "video"))
    source = given["source"]
    if "s3Location" in source:
        return Media(kind, url=source["s3Location"]["uri"])
    form = given["format"]
    mime = MIMES.get(form, f"application/{form}") if kind == "document" else f"{kind}/{form}"
    size = len(source["text"].encode()) if "text" in source else as_bytes(source.get("bytes", ""))
    return Media(kind, mime, size)


# --- replies


def serve(visit: Visit) -> Made:
    """POST converse and converse-stream."""
    model = visit.found["model"]
    check(visit, model)
    said = visit.said(hear(visit.body, model))
    if visit.found["method"] == "converse-stream":
        return Made(KIND, _stream(visit, said))
    reply = {
        "output": {"message": {"role": "assistant", "content": _content(visit, said)}},
        **_stop(said),
        "metrics": {"latencyMs": 5},
        **_usage(visit, said),
    }
    return whole(reply)


def count(visit: Visit) -> Made:
    """POST count-tokens: {"input": {"converse": {...}}}."""
    body = visit.body.get("input", {}).get("converse") or {}
    return whole({"inputTokens": visit.said(hear(body, visit.found["model"])).prompt_tokens})


def _usage(visit: Visit, said: Answer) -> dict[str, Any]:
    usage = visit.report(counts.converse(said))
    made: dict[str, Any] = {} if usage is None else {"usage": usage}
    tier = (visit.body.get("serviceTier") or {}).get("type")
    return made | ({"serviceTier": {"type": tier}} if tier else {})


def _stop(said: Answer) -> dict[str, Any]:
    if not said.stop_sequence:
        return {"stopReason": STOPS.get(said.finish, said.finish)}
    return {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": said.stop_sequence}}


def _content(visit: Visit, said: Answer) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if said.reasoning:
        proof = _proof(visit, said)
        text = {"text": said.thought, **proof}
        content.append({"reasoningContent": proof if said.redacted else {"reasoningText": text}})
    if said.refused:
        content.append({"text": "Sorry, I cannot say that."})
    if said.content:
        content.append({"text": said.content})
    return content + [{"toolUse": {**_tool(call), "input": call.value}} for call in said.calls]


def _proof(visit: Visit, said: Answer) -> dict[str, str]:
    """Signature, or the redacted thinking itself."""
    dialect, model = visit.dialect.name, visit.found["model"]
    if said.redacted:
        return {"redactedContent": hide(dialect, model, said.thought)}
    return {"signature": sign(dialect, model, said.thought)}


def _tool(call: Call) -> dict[str, str]:
    return {"toolUseId": f"tooluse_sim{call.number}", "name": call.name}


def _stream(visit: Visit, said: Answer) -> Iterator[bytes]:
    yield _event("messageStart", {"role": "assistant"})
    open_, index = "", -1
    if said.refused:
        index, open_ = 0, "text"
        yield _delta(0, {"text": "Sorry, I cannot say that."})
    for step in visit.steps(said):
        if step.kind == "error":
            yield _failure(visit)
            return
        wanted = f"call {step.at}" if step.kind in ("call", "args") else "think" if step.kind == "sign" else step.kind
        if wanted != open_:
            if open_:
                yield _event("contentBlockStop", {"contentBlockIndex": index})
            open_, index = wanted, index + 1
        match step.kind:
            case "think" if not said.redacted:
                yield _delta(index, {"reasoningContent": {"text": step.text}})
            case "sign":
                yield _delta(index, {"reasoningContent": _proof(visit, said)})
            case "text":
                yield _delta(index, {"text": step.text})
            case "call":  # text and reasoning have no start event
                start = {"toolUse": _tool(said.calls[step.at])}
                yield _event("contentBlockStart", {"start": start, "contentBlockIndex": index})
            case "args" if said.calls[step.at].arguments != "{}":
                yield _delta(index, {"toolUse": {"input": step.text}})
    if open_:
        yield _event("contentBlockStop", {"contentBlockIndex": index})
    yield _event("messageStop", _stop(said))
    if not visit.fault.no_done:
        yield _event("metadata", {**_usage(visit, said), "metrics": {"latencyMs": 5}})


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _event("contentBlockDelta", {"delta": delta, "contentBlockIndex": index})


def _event(name: str, value: dict[str, Any]) -> bytes:
    """With `p`, the padding that real frames carry."""
    return eventstream.event(name, {**value, "p": "abcdefghij"})


def _failure(visit: Visit) -> bytes:
    name = visit.fault.error_as or "modelStreamErrorException"
    if name == "error":
        return eventstream.error("InternalFailure", "The stream failed.")
    return eventstream.exception(name, "The model failed in the middle of its answer.")
