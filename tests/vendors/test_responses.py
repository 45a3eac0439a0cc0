"""The Responses endpoint as the unmodified SDK sees it: events, kept state, encrypted reasoning, refusals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.vendors import VENDORS, Fault, Simulator, answer, start
from tests.vendors.counts import responses as usage_of
from tests.vendors.schemas import BIG

SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}, "big": {"type": "integer"}}}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "look", "parameters": SCHEMA},
    {"type": "function", "name": "wait", "parameters": {"type": "object", "properties": {}}},
]
NAMES = sorted(name for name, dialect in VENDORS.items() if "responses" in dialect.serves)
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")


@contextlib.contextmanager
def sdk(vendor: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=vendor.base_url, api_key="k", max_retries=0, timeout=10.0) as client:
        yield client


def checked(events: list[Any]) -> Any:
    """The final response of a stream; every event's number, place and snapshot is checked on the way."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event.type for event in events if event.type in ENDS] == [events[-1].type]
    items: list[Any] = []
    text = ""
    for event in events:
        match event.type:
            case "response.output_item.added":
                assert event.output_index == len(items)
                text = ""
            case "response.output_item.done":
                assert event.output_index == len(items)
                items.append(event.item)
            case (
                "response.output_text.delta"
                | "response.function_call_arguments.delta"
                | ("response.reasoning_summary_text.delta" | "response.refusal.delta")
            ):
                text += event.delta
            case "response.output_text.done" | "response.reasoning_summary_text.done":
                assert event.text == text
            case "response.function_call_arguments.done":
                assert event.arguments == text
            case "response.refusal.done":
                assert event.refusal == text
    assert items == events[-1].response.output
    return events[-1].response


@pytest.mark.parametrize("name", NAMES)
def test_the_sdk_reads_every_responses_door_plain_and_streamed(name: str) -> None:
    body = {"model": "m", "instructions": "be brief", "input": "count the cached stars"}
    said = answer(body, "responses")
    with start(name) as vendor, sdk(vendor) as client:
        plain = client.responses.create(**body)
        final = checked(list(client.responses.create(**body, stream=True)))
    for reply in (plain, final):
        assert reply.output_text == said.text == "echo count the cached stars"
        assert (reply.status, reply.usage.input_tokens, reply.usage.output_tokens) == ("completed", 12, 5)
        assert reply.usage.to_dict() == usage_of(said)


def test_tools_reasoning_and_results_go_round_without_a_store() -> None:
    asked: dict[str, Any] = {
        "model": "m", "tools": TOOLS, "store": False, "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high", "summary": "auto"},
    }  # fmt: skip
    ask = {"role": "user", "content": "use look and wait"}
    with start("openai") as vendor, sdk(vendor) as client:
        final = checked(list(client.responses.create(input=[ask], stream=True, **asked)))
        reasoning, look, wait = (item.to_dict() for item in final.output)
        assert reasoning["summary"][0]["text"] == "let me see"
        assert (look["arguments"], wait["arguments"]) == (f'{{"place": "echo use look and wait", "big": {BIG}}}', "{}")
        results = [
            {"type": "function_call_output", "call_id": look["call_id"], "output": "sun"},
            {"type": "function_call_output", "call_id": wait["call_id"], "output": "late"},
        ]

        def again(*items: Any, **more: Any) -> Any:
            return client.responses.create(input=[ask, *items], **{**asked, **more})

        assert again(reasoning, look, wait, *results).output_text == "results sun and late"
        plain = {key: value for key, value in look.items() if key != "id"}
        assert again(plain, {**plain, "call_id": wait["call_id"]}, *results).output_text == "results sun and late"
        altered = {**reasoning, "encrypted_content": "AAAA" + reasoning["encrypted_content"][4:]}
        for items, model, say in (
            ((altered, look, wait, *results), "m", "could not be verified"),
            ((reasoning, look, wait, *results), "other", "could not be verified"),
            ((look, wait, *results), "m", "without its required 'reasoning' item"),
            ((reasoning, look, wait, results[0]), "m", "No tool output found"),
            (results, "m", "No tool call found"),
        ):
            with pytest.raises(openai.BadRequestError, match=say):
                again(*items, model=model)
        with pytest.raises(openai.NotFoundError, match="not persisted"):
            again({key: value for key, value in reasoning.items() if key != "encrypted_content"})


def test_state_is_kept_continued_read_cancelled_and_deleted() -> None:
    with start("openai") as vendor, sdk(vendor) as client:
        first = client.responses.create(model="m", input="use look", tools=TOOLS)
        result = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "sun"}
        second = client.responses.create(model="m", previous_response_id=first.id, input=[result], tools=TOOLS)
        assert second.output_text == "results sun"
        assert client.responses.retrieve(second.id).output_text == "results sun"
        counted = client.responses.input_tokens.count(model="m", previous_response_id=second.id, input="more")
        assert counted.input_tokens > client.responses.input_tokens.count(model="m", input="more").input_tokens
        with pytest.raises(openai.BadRequestError, match="background"):
            client.responses.cancel(first.id)
        later = client.responses.create(model="m", input="hi", background=True)
        assert later.status == "queued"
        assert client.responses.retrieve(later.id).status == "completed"
        assert client.responses.cancel(later.id).status == "cancelled"
        client.responses.delete(second.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(second.id)
        unkept = client.responses.create(model="m", input="hi", store=False)
        with pytest.raises(openai.BadRequestError, match="not found"):
            client.responses.create(model="m", previous_response_id=unkept.id, input="more")


def test_what_the_answer_depends_on() -> None:
    with start("openai") as vendor, sdk(vendor) as client:
        create = client.responses.create
        parts = [
            {"type": "input_text", "text": "see"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAAAAAA"},
        ]
        seen = create(model="m", input=[{"role": "user", "content": parts}]).output_text
        assert seen == "echo see saw image image/png of 3 bytes saw document application/pdf of 6 bytes"
        form = {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}
        assert create(model="m", input="hi", text=form).output_text == f'{{"place": "echo hi", "big": {BIG}}}'
        short = create(model="m", input="a b c", max_output_tokens=2)
        assert (short.status, short.incomplete_details.reason, short.output_text) == (
            "incomplete", "max_output_tokens", "echo a",
        )  # fmt: skip
        refused = checked(list(create(model="m", input="refuse this", stream=True)))
        assert refused.output[0].content[0].refusal == "echo refuse this"
        cited = checked(list(create(model="m", input="cite", stream=True)))
        assert cited.output[0].content[0].annotations[0].type == "url_citation"
        likely = create(model="m", input="a", include=["message.output_text.logprobs"]).output[0].content[0].logprobs
        assert [one.token for one in likely] == ["echo", " a"]
        for wrong in ({"seed": 1}, {"stop": ["a"]}):
            with pytest.raises(openai.BadRequestError, match="Unsupported parameter"):
                create(model="m", input="a", extra_body=wrong)


def test_failures_inside_a_stream() -> None:
    with start("openai") as vendor, sdk(vendor) as client:
        vendor.script(
            Fault(error_after=1), Fault(error_after=1, error_as="event"), Fault(no_done=True), Fault(cut_at=2000)
        )
        events = list(client.responses.create(model="m", input="a b", stream=True))
        assert (events[-1].type, events[-1].response.error.code) == ("response.failed", "server_error")
        events = list(client.responses.create(model="m", input="a b", stream=True))
        assert (events[-1].type, events[-1].code) == ("error", "server_error")
        events = list(client.responses.create(model="m", input="a b", stream=True))
        assert events[-1].type == "response.output_item.done"
        with pytest.raises(openai.APIConnectionError):
            list(client.responses.create(model="m", input="a b", stream=True))
