"""The order of a Responses stream (protocols.md, 3.3), checked; and what OpenAI's own accumulator makes of the bytes.

`check(stream)` raises AssertionError where the order is broken, and returns the final response object (None where the
stream ended without one). `accumulate(stream)` runs the `openai` library's state over the same bytes.
"""

from __future__ import annotations

import json
from typing import Any

from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of whole SSE bytes; the `event:` line must repeat the type, comments are skipped."""
    found = []
    assert not stream or stream.endswith(b"\n\n"), "the stream ends inside a frame"
    for frame in stream.decode().split("\n\n")[:-1]:
        if frame.startswith(":"):
            continue
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


class _Checker:
    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []  # whole ones
        self.item: dict[str, Any] | None = None  # the open one, as it grows
        self.part: dict[str, Any] | None = None
        self.settled = False  # the open part or call has had its `done`

    def take(self, event: dict[str, Any]) -> None:
        kind = event["type"].removeprefix("response.")
        getattr(self, kind.replace(".", "_"))(event)

    def _here(self, event: dict[str, Any], kind: str) -> dict[str, Any]:
        assert self.item is not None, f"{event['type']} outside an item"
        assert self.item["type"] == kind, f"{event['type']} inside a {self.item['type']}"
        assert event["output_index"] == len(self.items)
        assert event.get("item_id", self.item["id"]) == self.item["id"]
        return self.item

    def output_item_added(self, event: dict[str, Any]) -> None:
        assert self.item is None, "an item opens inside another"
        assert event["output_index"] == len(self.items)
        self.item = json.loads(json.dumps(event["item"]))
        self.settled = self.item["type"] == "image_generation_call"
        assert self.item["id"] not in [item["id"] for item in self.items]
        if self.item["type"] == "message":
            assert self.item["content"] == []
            assert self.item["status"] == "in_progress"
            self.settled = True
        if self.item["type"] == "reasoning":
            assert self.item["summary"] == []
            self.settled = True

    def output_item_done(self, event: dict[str, Any]) -> None:
        item = self._here(event, event["item"]["type"])
        assert self.part is None, "an item is done before its parts are"
        assert self.settled, "a call is done before its arguments are"
        whole = event["item"]
        for name in ("id", "type", "call_id", "name", "arguments", "input", "content", "summary", "role"):
            if name in item:
                assert whole[name] == item[name], f"{name} of the whole item is not what was streamed"
        self.items.append(whole)
        self.item = None

    def content_part_added(self, event: dict[str, Any]) -> None:
        item = self._here(event, "message")
        assert self.part is None
        assert event["content_index"] == len(item["content"])
        self.part = json.loads(json.dumps(event["part"]))
        assert self.part.get("text", self.part.get("refusal")) == ""
        self.settled = False

    def _in_part(self, event: dict[str, Any], kind: str) -> dict[str, Any]:
        item = self._here(event, "message")
        assert self.part is not None
        assert self.part["type"] == kind
        assert not self.settled
        assert event["content_index"] == len(item["content"])
        return self.part

    def output_text_delta(self, event: dict[str, Any]) -> None:
        part = self._in_part(event, "output_text")
        part["text"] += event["delta"]
        part["logprobs"] = part["logprobs"] + event["logprobs"]

    def output_text_annotation_added(self, event: dict[str, Any]) -> None:
        part = self._in_part(event, "output_text")
        assert event["annotation_index"] == len(part["annotations"])
        part["annotations"].append(event["annotation"])

    def output_text_done(self, event: dict[str, Any]) -> None:
        part = self._in_part(event, "output_text")
        assert (event["text"], event["logprobs"]) == (part["text"], part["logprobs"])
        self.settled = True

    def refusal_delta(self, event: dict[str, Any]) -> None:
        self._in_part(event, "refusal")["refusal"] += event["delta"]

    def refusal_done(self, event: dict[str, Any]) -> None:
        assert event["refusal"] == self._in_part(event, "refusal")["refusal"]
        self.settled = True

    def content_part_done(self, event: dict[str, Any]) -> None:
        item = self._here(event, "message")
        assert self.part is not None
        assert self.settled
        assert event["part"] == self.part
        item["content"].append(event["part"])
        self.part = None

    def reasoning_summary_part_added(self, event: dict[str, Any]) -> None:
        item = self._here(event, "reasoning")
        assert self.part is None
        assert event["summary_index"] == len(item["summary"])
        self.part, self.settled = dict(event["part"]), False
        assert self.part == {"type": "summary_text", "text": ""}

    def reasoning_summary_text_delta(self, event: dict[str, Any]) -> None:
        self._here(event, "reasoning")
        assert self.part is not None
        assert not self.settled
        self.part["text"] += event["delta"]

    def reasoning_summary_text_done(self, event: dict[str, Any]) -> None:
        assert self.part is not None
        assert event["text"] == self.part["text"]
        self.settled = True

    def reasoning_summary_part_done(self, event: dict[str, Any]) -> None:
        item = self._here(event, "reasoning")
        assert self.settled
        assert event["part"] == self.part
        item["summary"].append(event["part"])
        self.part = None

    def function_call_arguments_delta(self, event: dict[str, Any]) -> None:
        item = self._here(event, "function_call")
        assert not self.settled
        item["arguments"] += event["delta"]

    def function_call_arguments_done(self, event: dict[str, Any]) -> None:
        item = self._here(event, "function_call")
        assert event["arguments"] == item["arguments"]
        self.settled = True

    def custom_tool_call_input_delta(self, event: dict[str, Any]) -> None:
        self._here(event, "custom_tool_call")["input"] += event["delta"]

    def custom_tool_call_input_done(self, event: dict[str, Any]) -> None:
        assert event["input"] == self._here(event, "custom_tool_call")["input"]
        self.settled = True


def check(stream: bytes, ended: bool = True) -> dict[str, Any] | None:
    """See the module. With `ended` the stream must have its terminal event."""
    events = events_of(stream)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    for event in events[:2]:
        assert event["response"]["usage"] is None
        assert event["response"]["output"] == []
        assert event["response"]["status"] == "in_progress"
    checker = _Checker()
    body, last = events[2:], None
    if body and body[-1]["type"] in TERMINAL:
        last = body.pop()
    if last is not None and last["type"] == "response.failed":
        told = body.pop()
        assert told["type"] == "error", "OpenAI's libraries raise on `error` alone"
        assert (told["code"], told["message"]) == (told["error"]["code"], told["error"]["message"])
        assert last["response"]["error"] == {"code": told["code"], "message": told["message"]}
    for event in body:
        checker.take(event)
    if last is None:
        assert not ended, "no terminal event"
        return None
    response: dict[str, Any] = last["response"]
    assert last["type"] == f"response.{response['status']}"
    assert response["output"] == checker.items
    assert response["id"] == events[0]["response"]["id"]
    if last["type"] != "response.failed":
        assert checker.item is None, "an item is still open at the end"
    # The library's own types, strictly. Its list of error codes is older than what agents look for.
    Response.model_validate(
        response | ({"error": {**response["error"], "code": "server_error"}} if response["error"] else {})
    )
    return response


def accumulate(stream: bytes) -> Any:
    """The response that OpenAI's library has after these bytes: the parsed one, or its snapshot."""
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=[], text_format=omit)
    snapshot = None
    for event in events_of(stream):
        typed: Any = construct_type(type_=ResponseStreamEvent, value=event)
        assert type(typed).__name__ != "dict", f"{event['type']} is no event of the library"
        state.handle_event(typed)
        snapshot = state.accumulate_event(typed) if event["type"] in TERMINAL else snapshot
    return state._completed_response or snapshot
