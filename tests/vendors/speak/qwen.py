"""DashScope's native generation door (vendors.md, 3.1): `{model, input{messages}, parameters}`.

Without `incremental_output` each frame of a stream repeats the whole text; usage is cumulative on each frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vendors import counts
from tests.vendors.answers import Answer
from tests.vendors.failures_shapes import dump
from tests.vendors.failures_shapes import qwen as failed
from tests.vendors.heard import Heard, by_data_url
from tests.vendors.speak import chat, chat_heard
from tests.vendors.visit import SSE, Made, Refused, Visit, whole


def hear(body: dict[str, Any]) -> Heard:
    """The chat reader hears it, once the two levels are one; images are `{"image": URL}` here."""
    parameters = body.get("parameters") or {}
    given = body.get("input") or {}
    messages = given.get("messages") or [{"role": "user", "content": given.get("prompt", "")}]
    flat = {"model": body.get("model"), **parameters, "messages": [_texts_only(message) for message in messages]}
    heard = chat_heard.hear(flat)
    last = [message for message in messages if message.get("role") != "system"][-1:]
    for part in last[0]["content"] if last and isinstance(last[0].get("content"), list) else ():
        if "image" in part:
            heard.see(by_data_url("image", part["image"]))
    return heard


def _texts_only(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [{"type": "text", **part} for part in content if "text" in part]}


def serve(visit: Visit) -> Made:
    """POST services/aigc/{text,multimodal}-generation/generation."""
    body = visit.body
    if not isinstance(body.get("input"), dict):
        raise Refused(failed(400, "InvalidParameter", "Required body invalid, please check the request body format."))
    if foreign := {"messages", "stream", "temperature", "tools", "max_tokens"} & set(body):
        raise Refused(failed(400, "InvalidParameter", f"{min(foreign)} belongs into input or parameters"))
    said = visit.said(hear(body))
    if visit.headers.get("x-dashscope-sse", "").lower() == "enable":
        return Made(SSE, _stream(visit, said))
    message = {"role": "assistant", "content": _content(visit, said.content)}
    if said.reasoning:
        message["reasoning_content"] = said.thought
    if said.calls:
        message["tool_calls"] = [
            {
                "index": at,
                "id": chat.call_id(visit, call),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for at, call in enumerate(said.calls)
        ]
    usage = visit.report(counts.qwen(said))
    return whole(_object(visit, message, chat.finish_of(said), usage))


def _content(visit: Visit, text: str) -> Any:
    """The multimodal door answers in parts."""
    return [{"text": text}] if "multimodal" in visit.path else text


def _object(visit: Visit, message: dict[str, Any], finish: str, usage: Any) -> dict[str, Any]:
    output = {"choices": [{"finish_reason": finish, "message": message}]}
    return {"output": output, "request_id": f"r-{visit.number}", **({} if usage is None else {"usage": usage})}


def _stream(visit: Visit, said: Answer) -> Iterator[bytes]:
    incremental = bool((visit.body.get("parameters") or {}).get("incremental_output"))
    text, thought, count, number = "", "", 0, 0
    arguments = [""] * len(said.calls)

    def sse(value: Any, name: str = "result") -> bytes:
        return (
            f"id:{number}\nevent:{name}\n:HTTP_STATUS/{200 if name == 'result' else 500}\ndata:".encode()
            + dump(value)
            + b"\n\n"
        )

    def block(message: dict[str, Any], finish: str = "null") -> bytes:
        usage = visit.report(counts.qwen(said, count))
        return sse(_object(visit, {"role": "assistant", "content": _content(visit, ""), **message}, finish, usage))

    for _ in range(visit.beats):
        yield b": keep-alive\n\n"
    for step in visit.steps(said):
        number += 1
        count += step.kind in ("think", "text", "args")
        match step.kind:
            case "error":
                yield sse(
                    {"code": "InternalError", "message": "It failed.", "request_id": f"r-{visit.number}"}, "error"
                )
                return
            case "think":
                thought += step.text
                yield block({"reasoning_content": step.text if incremental else thought})
            case "text":
                text += step.text
                yield block({"content": _content(visit, step.text if incremental else text)})
            case "call" | "args":
                arguments[step.at] += step.text
                call = said.calls[step.at]
                name = call.name if step.kind == "call" or not incremental else ""
                piece = step.text if incremental else arguments[step.at]
                made = {"index": step.at, "id": chat.call_id(visit, call) if name else "", "type": "function"}
                yield block({"tool_calls": [{**made, "function": {"name": name, "arguments": piece}}]})
    number += 1
    if not visit.fault.no_done:
        yield block({} if incremental else {"content": _content(visit, text)}, chat.finish_of(said))
