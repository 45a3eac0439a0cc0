"""A Responses stream: every event has `type` and a `sequence_number` that grows by one (protocols.md, 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vendors.answers import Answer
from tests.vendors.speak.chat import token
from tests.vendors.visit import Visit, event


def stream(visit: Visit, said: Answer, reply: dict[str, Any]) -> Iterator[bytes]:
    """The events of `reply`, which is complete already."""
    for _ in range(visit.beats):
        yield f": {visit.dialect.comment or 'keep-alive'}\n\n".encode()
    for number, value in enumerate(_events(visit, said, reply)):
        yield event(value["type"], {"type": value["type"], "sequence_number": number, **value})


def _events(visit: Visit, said: Answer, reply: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**reply, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    open_: _Item | None = None
    items = {_name(item): (index, item) for index, item in enumerate(reply["output"])}
    for step in visit.steps(said):
        if step.kind == "error":
            yield _failure(visit, begun)
            return
        name = f"call_{said.calls[step.at].number}" if step.kind in ("call", "args") else step.kind
        name = "think" if name == "sign" else name
        if open_ is None or open_.name != name:
            if open_:
                yield from open_.done()
            # a flood says more than the kept reply has; then the items are those of the answer
            open_ = _Item(name, *items.get(name, (len(items), _blank(visit))), said)
            yield from open_.added()
        if step.kind in ("think", "text", "args"):
            yield from open_.delta(step.text)
    if open_:
        yield from open_.done()
    if said.refused:
        yield from _refusal(*items["text"])
    if not visit.fault.no_done:
        kind = "response.incomplete" if reply["status"] == "incomplete" else "response.completed"
        yield {"type": kind, "response": reply}


def _name(item: dict[str, Any]) -> str:
    return {"reasoning": "think", "message": "text"}.get(item["type"], item.get("call_id", ""))


def _blank(visit: Visit) -> dict[str, Any]:
    content = [{"type": "output_text", "text": "", "annotations": [], "logprobs": []}]
    return {
        "id": f"msg_{visit.number}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }


class _Item:
    """The events of one output item."""

    def __init__(self, name: str, index: int, item: dict[str, Any], said: Answer) -> None:
        self.name, self.item, self.said = name, item, said
        self.place = {"item_id": item["id"], "output_index": index}
        self.index = index

    def added(self) -> Iterator[dict[str, Any]]:
        item, place = self.item, self.place
        match item["type"]:
            case "message":
                empty = {**item, "status": "in_progress", "content": []}
                yield {"type": "response.output_item.added", "output_index": self.index, "item": empty}
                part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
                yield {"type": "response.content_part.added", **place, "content_index": 0, "part": part}
            case "reasoning":
                empty = {**item, "summary": []}
                if "encrypted_content" in item:  # complete only in output_item.done
                    empty["encrypted_content"] = item["encrypted_content"][:8]
                yield {"type": "response.output_item.added", "output_index": self.index, "item": empty}
                if item["summary"]:
                    part = {"type": "summary_text", "text": ""}
                    yield {"type": "response.reasoning_summary_part.added", **place, "summary_index": 0, "part": part}
            case _:
                empty = {**item, "status": "in_progress", "arguments": ""}
                yield {"type": "response.output_item.added", "output_index": self.index, "item": empty}

    def delta(self, text: str) -> Iterator[dict[str, Any]]:
        place = self.place
        match self.item["type"]:
            case "message":
                logprobs = [token(text)] if self.said.logprobs else []
                more = {"content_index": 0, "delta": text, "logprobs": logprobs}
                yield {"type": "response.output_text.delta", **place, **more}
            case "reasoning":
                if self.item["summary"]:
                    yield {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": text}
            case _:
                yield {"type": "response.function_call_arguments.delta", **place, "delta": text}

    def done(self) -> Iterator[dict[str, Any]]:
        item, place = self.item, self.place
        match item["type"]:
            case "message":
                (part,) = item["content"]
                for number, note in enumerate(part["annotations"]):
                    more = {"content_index": 0, "annotation_index": number, "annotation": note}
                    yield {"type": "response.output_text.annotation.added", **place, **more}
                more = {"content_index": 0, "text": part["text"], "logprobs": part["logprobs"]}
                yield {"type": "response.output_text.done", **place, **more}
                yield {"type": "response.content_part.done", **place, "content_index": 0, "part": part}
            case "reasoning":
                for part in item["summary"]:
                    more = {"summary_index": 0, "text": part["text"]}
                    yield {"type": "response.reasoning_summary_text.done", **place, **more}
                    yield {"type": "response.reasoning_summary_part.done", **place, "summary_index": 0, "part": part}
            case _:
                more = {"name": item["name"], "arguments": item["arguments"]}
                yield {"type": "response.function_call_arguments.done", **place, **more}
        yield {"type": "response.output_item.done", "output_index": self.index, "item": item}


def _refusal(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    (part,) = item["content"]
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    empty = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": index, "item": empty}
    yield {"type": "response.content_part.added", **place, "part": {**part, "refusal": ""}}
    yield {"type": "response.refusal.delta", **place, "delta": part["refusal"]}
    yield {"type": "response.refusal.done", **place, "refusal": part["refusal"]}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _failure(visit: Visit, begun: dict[str, Any]) -> dict[str, Any]:
    if visit.fault.error_as == "event":
        return {"type": "error", "code": "server_error", "message": "The server had an error", "param": None}
    error = {"code": "server_error", "message": "The server had an error"}
    return {"type": "response.failed", "response": {**begun, "status": "failed", "error": error}}
