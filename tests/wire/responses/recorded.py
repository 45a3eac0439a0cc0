"""Responses streams as providers send them (protocols.md, 3.3), written by hand, and what is in them."""

from __future__ import annotations

import json
from typing import Any

USAGE = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
    "output_tokens": 80,
    "output_tokens_details": {"reasoning_tokens": 30},
    "total_tokens": 200,
}
TOOL_USAGE = {
    "image_gen": {
        "input_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "total_tokens": 0,
    },
    "web_search": {"num_requests": 2},
}
CITATION = {"type": "url_citation", "start_index": 0, "end_index": 4, "url": "https://example.org/a", "title": "A"}
LOGPROBS = [{"token": "Caf", "bytes": [67, 97, 102], "logprob": -0.25, "top_logprobs": []}]


class Script:
    """Numbers and frames events."""

    def __init__(self) -> None:
        self.bytes = b""
        self._next = 0

    def say(self, kind: str, **members: Any) -> Script:
        data = {"type": f"response.{kind}", "sequence_number": self._next, **members}
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        self.bytes += f"event: response.{kind}\ndata: {text}\n\n".encode()
        self._next += 1
        return self


def response(status: str, **members: Any) -> dict[str, Any]:
    return {
        "id": "resp_0a1b2c",
        "object": "response",
        "created_at": 1795562403,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": 'Say "response" and {"id":"resp_0a1b2c"}.',
        "model": "gpt-5.6-2026-08-07",
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": "resp_before",
        "service_tier": "auto",
        "store": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
        **members,
    }


def everything() -> bytes:
    """Reasoning in two summary parts, a web search, a message of two parts and a refusal, three calls (two at once)."""
    s = Script()
    s.say("created", response=response("in_progress")).say("in_progress", response=response("in_progress"))
    rs = {"id": "rs_1", "type": "reasoning", "summary": []}
    s.say("output_item.added", output_index=0, item={**rs, "encrypted_content": "gAAAA-part"})
    for part, pieces in enumerate((["First", " think"], ["then 你好"])):
        place = {"item_id": "rs_1", "output_index": 0, "summary_index": part}
        s.say("reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""})
        for piece in pieces:
            s.say("reasoning_summary_text.delta", **place, delta=piece, obfuscation="xY3")
        s.say("reasoning_summary_text.done", **place, text="".join(pieces))
        s.say("reasoning_summary_part.done", **place, part={"type": "summary_text", "text": "".join(pieces)})
    summary = [{"type": "summary_text", "text": text} for text in ("First think", "then 你好")]
    rs = {**rs, "summary": summary, "encrypted_content": "gAAAA-whole=="}
    s.say("output_item.done", output_index=0, item=rs)

    ws = {"id": "ws_1", "type": "web_search_call", "status": "in_progress"}
    s.say("output_item.added", output_index=1, item=ws)
    for word in ("in_progress", "searching", "completed"):
        s.say(f"web_search_call.{word}", output_index=1, item_id="ws_1")
    ws = {**ws, "status": "completed", "action": {"type": "search", "query": "café"}}
    s.say("output_item.done", output_index=1, item=ws)

    msg: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }
    s.say("output_item.added", output_index=2, item=msg)
    place = {"item_id": "msg_1", "output_index": 2, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    s.say("content_part.added", **place, part=empty)
    s.say("output_text.delta", **place, delta="Caf", logprobs=LOGPROBS, obfuscation="")
    s.say("output_text.delta", **place, delta='é "response":\n\U0001f600', logprobs=[], obfuscation="q")
    s.say("output_text.annotation.added", **place, annotation_index=0, annotation=CITATION)
    text = 'Café "response":\n\U0001f600'
    s.say("output_text.done", **place, text=text, logprobs=LOGPROBS)
    first = {"type": "output_text", "text": text, "annotations": [CITATION], "logprobs": LOGPROBS}
    s.say("content_part.done", **place, part=first)
    place["content_index"] = 1
    s.say("content_part.added", **place, part={"type": "refusal", "refusal": ""})
    s.say("refusal.delta", **place, delta="I can").say("refusal.delta", **place, delta="not.")
    s.say("refusal.done", **place, refusal="I cannot.")
    second = {"type": "refusal", "refusal": "I cannot."}
    s.say("content_part.done", **place, part=second)
    msg = {**msg, "status": "completed", "content": [first, second]}
    s.say("output_item.done", output_index=2, item=msg)

    calls = []
    for at, (id_, name) in enumerate((("call_a", "weather"), ("call_b", "clock")), 3):
        fc = {"id": f"fc_{at}", "type": "function_call", "status": "in_progress", "call_id": id_, "name": name}
        s.say("output_item.added", output_index=at, item={**fc, "arguments": ""})
        calls.append(fc)
    pieces = [(3, '{"city":'), (4, "{"), (3, '"Köln","n":9007199254740993}'), (4, "}")]
    for at, piece in pieces:
        s.say("function_call_arguments.delta", item_id=f"fc_{at}", output_index=at, delta=piece)
    for at, fc in enumerate(calls, 3):
        arguments = "".join(piece for index, piece in pieces if index == at)
        s.say("function_call_arguments.done", item_id=fc["id"], output_index=at, arguments=arguments)
        fc |= {"arguments": arguments, "status": "completed"}
        s.say("output_item.done", output_index=at, item=fc)

    ctc = {"id": "ctc_5", "type": "custom_tool_call", "call_id": "call_c", "name": "patch", "input": ""}
    s.say("output_item.added", output_index=5, item=ctc)
    for piece in ("*** Begin", "\n+x"):
        s.say("custom_tool_call_input.delta", item_id="ctc_5", output_index=5, delta=piece)
    ctc = {**ctc, "input": "*** Begin\n+x"}
    s.say("custom_tool_call_input.done", item_id="ctc_5", output_index=5, input=ctc["input"])
    s.say("output_item.done", output_index=5, item=ctc)
    s.say("something_new.happened", output_index=5, delta={"no": "text"})
    output = [rs, ws, msg, *calls, ctc]
    done = response("completed", output=output, usage=USAGE, tool_usage=TOOL_USAGE, service_tier="priority")
    return s.say("completed", response=done).bytes


EVERYTHING = everything()
FRAMES = [frame + b"\n\n" for frame in EVERYTHING.split(b"\n\n")[:-1]]
WHOLE = json.dumps(json.loads(FRAMES[-1].split(b"data: ")[1])["response"], ensure_ascii=False).encode()
"""The same reply, not streamed."""


def _core() -> bytes:
    """A small stream with one of each block, for tests that cut it at every byte."""
    s = Script().say("created", response={"id": "resp_1", "model": "m"})
    place = {"output_index": 0, "summary_index": 0}
    s.say("reasoning_summary_text.delta", **place, delta="hm")
    item = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"}
    s.say("output_item.done", output_index=0, item=item)
    for piece in ("é", "\r\n{}"):
        s.say("output_text.delta", output_index=1, content_index=0, delta=piece)
    s.say("output_item.done", output_index=1, item={"type": "message", "content": []})
    s.bytes += b": keep-alive\n\n\n\n"
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": ""}
    s.say("output_item.added", output_index=2, item=call)
    s.say("function_call_arguments.delta", output_index=2, delta="{}")
    s.say("output_item.done", output_index=2, item={**call, "arguments": "{}"})
    return s.say("completed", response={"status": "completed", "usage": USAGE}).bytes


CORE = _core()
