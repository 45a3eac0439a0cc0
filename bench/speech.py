"""The same stream and the same question in four protocols: what clients send and what the streaming mock answers.

A frame carries one word, as vendors' frames do. The mock repeats one frame, so the sequence numbers of `responses`
stand still; nobody on the way reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bench import traffic

CLIENTS = ("chat", "messages", "responses", "gemini")
OTHERS = CLIENTS[1:]
MODELS = {name: traffic.MODEL_STREAM if name == "chat" else f"bench-{name}" for name in CLIENTS}
"""By the door that the model's provider has."""
VENDORS = {"messages": "anthropic", "responses": "openai", "gemini": "gemini"}

WORD = {  # how a client sees one word, once a frame
    "chat": b'"content":" token"',
    "messages": b'"text":" token"',
    "responses": b'"delta":" token"',
    "gemini": b'"text":" token"',
}
USAGE = {  # what ends each stream
    "chat": (b'"completion_tokens":96', b"data: [DONE]\n\n"),
    "messages": (b'"output_tokens":96', b'"type":"message_stop"'),
    "responses": (b'"output_tokens":96', b'"type":"response.completed"'),
    "gemini": (b'"candidatesTokenCount":96', b'"finishReason":"STOP"'),
}
_PATHS = {
    "chat": traffic.PATH,
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/{model}:streamGenerateContent?alt=sse",
}


def protocol_at(line: bytes) -> str:
    """The protocol of a request line in lower case."""
    if b":streamgeneratecontent" in line:
        return "gemini"
    return next((name for name in ("messages", "responses") if b"/" + name.encode() + b" " in line), "chat")


def frame_end(client: str, door: str) -> bytes:
    """What ends a frame that the client gets: Google ends its lines by CRLF, and they are forwarded as they come."""
    return b"\r\n\r\n" if client == door == "gemini" else b"\n\n"


def request(key: str, client: str, door: str, frames: int, interval_ms: int) -> bytes:
    """A client's whole request to the model behind a door: a conversation of about 1 KB."""
    model = MODELS[door]
    said = json.loads(traffic.chat_body(model, 1024))["messages"]
    said[-1] = {"role": "user", "content": f"Go on. frames={frames} interval_ms={interval_ms}"}
    body: dict[str, object] = {"model": model, "stream": True, "temperature": 0.2}
    if client == "chat":
        body |= {"messages": said, "max_tokens": 256, "stream_options": {"include_usage": True}}
    elif client == "messages":
        body |= {"messages": said, "max_tokens": 256}
    elif client == "responses":
        body |= {"input": said, "max_output_tokens": 256, "store": False}
    else:
        roles = {"user": "user", "assistant": "model"}
        contents = [{"role": roles[turn["role"]], "parts": [{"text": turn["content"]}]} for turn in said]
        body = {"contents": contents, "generationConfig": {"temperature": 0.2, "maxOutputTokens": 256}}
    return traffic.request(key, json.dumps(body).encode(), path=_PATHS[client].format(model=model))


def stream(protocol: str) -> tuple[bytes, bytes, bytes]:
    """(what begins a provider's stream, a frame of text, what ends it)."""
    return {"messages": _messages, "responses": _responses, "gemini": _gemini}[protocol]()


def _json(members: Mapping[str, object]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


def _events(*events: Mapping[str, object]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (str(one["type"]).encode(), _json(one)) for one in events)


def _messages() -> tuple[bytes, bytes, bytes]:
    usage = {"input_tokens": 101, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 128, "output_tokens": 1}
    message = {
        "id": "msg_01B9MBs8CjcvOU2jLn4n570S", "type": "message", "role": "assistant", "model": traffic.UPSTREAM_MODEL,
        "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    begin = _events(
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    )
    frame = _events({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " token"}})
    end = _events(
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {**usage, "output_tokens": 96},
        },
        {"type": "message_stop"},
    )
    return begin, frame, end


def _responses() -> tuple[bytes, bytes, bytes]:
    item = "msg_0123456789abcdef0123456789abcdef"
    reply: dict[str, object] = {
        "id": "resp_0123456789abcdef0123456789abcdef", "object": "response", "created_at": 1780000000,
        "status": "in_progress", "model": traffic.UPSTREAM_MODEL, "output": [], "store": False, "usage": None,
    }  # fmt: skip
    text = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    message: dict[str, object] = {"id": item, "type": "message", "role": "assistant", "status": "in_progress"}
    place: dict[str, object] = {"item_id": item, "output_index": 0, "content_index": 0}
    whole = {**text, "text": " token"}
    done: dict[str, object] = {**message, "status": "completed", "content": [whole]}
    usage = {
        "input_tokens": 229, "input_tokens_details": {"cached_tokens": 128}, "output_tokens": 96,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 325,
    }  # fmt: skip
    final = {**reply, "status": "completed", "output": [done], "usage": usage}
    begin = _events(
        {"type": "response.created", "sequence_number": 0, "response": reply},
        {"type": "response.in_progress", "sequence_number": 1, "response": reply},
        {
            "type": "response.output_item.added",
            "sequence_number": 2,
            "output_index": 0,
            "item": {**message, "content": []},
        },
        {"type": "response.content_part.added", "sequence_number": 3, **place, "part": text},
    )
    delta = {"type": "response.output_text.delta", "sequence_number": 4, **place, "delta": " token", "logprobs": []}
    frame = _events({**delta, "obfuscation": "x7Kq2Lm9Pz"})
    end = _events(
        {"type": "response.output_text.done", "sequence_number": 5, **place, "text": " token", "logprobs": []},
        {"type": "response.content_part.done", "sequence_number": 6, **place, "part": whole},
        {"type": "response.output_item.done", "sequence_number": 7, "output_index": 0, "item": done},
        {"type": "response.completed", "sequence_number": 8, "response": final},
    )
    return begin, frame, end


def _gemini() -> tuple[bytes, bytes, bytes]:
    def chunk(text: str, output: int, **more: object) -> bytes:
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, **more, "index": 0}
        usage = {
            "promptTokenCount": 229, "candidatesTokenCount": output, "totalTokenCount": 229 + output,
            "cachedContentTokenCount": 128, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 229}],
        }  # fmt: skip
        members = {
            "candidates": [candidate], "usageMetadata": usage, "modelVersion": traffic.UPSTREAM_MODEL,
            "responseId": "B9MBs8CjcvOU2jLn4n570S",
        }  # fmt: skip
        return b"data: " + _json(members) + b"\r\n\r\n"

    return b"", chunk(" token", 95), chunk("", 96, finishReason="STOP")
