"""What a Responses client reads: the response object, its items and annotations. Shared by whole replies and streams.

In:     the `View`, parts that are complete. Out: plain values for the encoder.
The object has every member that OpenAI's client types require. It is never stored here, so it says `store: false`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.canon.carry import View
from baseload.wire.canon.signature import seal
from baseload.wire.raw import FAILED, NULL

STATUSES: dict[str, tuple[str, str]] = {
    # Canonical reason -> (status, incomplete reason); every other one is "completed" (protocols.md, section 9).
    "length": ("incomplete", "max_output_tokens"),
    "context": ("incomplete", "max_output_tokens"),
    "filter": ("incomplete", "content_filter"),
    "error": ("failed", ""),
}

TIERS: dict[str, str] = {
    **{word: word for word in ("auto", "default", "flex", "scale", "priority", "fast")},
    # Anthropic's and Vertex's names of the usual one; what OpenAI has no word for is null
    "standard": "default",
    "on_demand": "default",
}
"""A provider's tier -> `service_tier`."""


class _Citation(msgspec.Struct, gc=False):
    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    url_citation: Raw = NULL


_decode_citation = msgspec.json.Decoder(_Citation).decode
_decode_any = msgspec.json.Decoder().decode


def response_id(view: View) -> str:
    return f"resp_{view.id}"


def frame_of(view: View) -> dict[str, Any]:
    """The response object before anything has come: `in_progress`, no output, usage null."""
    return {
        "id": response_id(view),
        "object": "response",
        "created_at": view.created_s,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": view.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": None,
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


def text_part(text: str, annotations: list[Any], logprobs: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def message(id_: str, status: str, content: list[Any]) -> dict[str, Any]:
    return {"id": id_, "type": "message", "status": status, "role": "assistant", "content": content}


def reasoning(id_: str, view: View, text: str, signature: str, redacted: bool) -> dict[str, Any]:
    """A whole reasoning item. Its encrypted content carries the exact thinking, with its maker, for the way back."""
    summary = [{"type": "summary_text", "text": text}] if text and view.show_thinking else []
    sealed = seal(view.origin, signature, text=text, redacted=redacted)
    return {"id": id_, "type": "reasoning", "summary": summary, "encrypted_content": sealed}


def call(id_: str, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A whole function call. Arguments that are no JSON were cut off: the call is incomplete."""
    return {
        "id": id_,
        "type": "function_call",
        "status": "completed" if _is_json(arguments) else "incomplete",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def custom_call(id_: str, call_id: str, name: str, text: str) -> dict[str, Any]:
    return {"id": id_, "type": "custom_tool_call", "call_id": call_id, "name": name, "input": text}


def image(id_: str, data: str) -> dict[str, Any]:
    return {"id": id_, "type": "image_generation_call", "status": "completed", "result": data}


def annotation(protocol: str, raw: Raw, length: int) -> Any:
    """A citation of another protocol as an annotation of a text of `length` characters; None = it cannot be one.

    Only citations of web pages have a counterpart; those of documents name them by places that no file id stands for.
    """
    if protocol == "responses":
        return raw
    try:
        said = _decode_citation(raw)
        if protocol == "chat" and said.type == "url_citation" and said.url_citation != NULL:
            said = _decode_citation(said.url_citation)
    except FAILED:
        return None
    if not said.url:
        return None
    return {
        "type": "url_citation",
        "start_index": 0 if said.start_index is None else said.start_index,
        "end_index": length if said.end_index is None else said.end_index,
        "url": said.url,
        "title": said.title or "",
    }


def joined(arrays: list[Raw]) -> Raw:
    """JSON arrays, one after another, as one."""
    inner = [bytes(array).strip()[1:-1].strip() for array in arrays]
    return Raw(b"[" + b",".join(filter(None, inner)) + b"]")


def _is_json(text: str) -> bool:
    try:
        _decode_any(text.encode())
    except FAILED:
        return False
    return True
