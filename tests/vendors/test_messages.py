"""Anthropic's dialect, and the Anthropic doors of others, as the unmodified SDK sees them; and what they refuse."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import pytest

from tests.vendors import VENDORS, Fault, Simulator, answer, failure, kinds, start
from tests.vendors.counts import messages as usage_of
from tests.vendors.schemas import BIG

SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}, "big": {"type": "integer"}}}
LOOK = {"name": "look", "description": "Looks.", "input_schema": SCHEMA}
WAIT = {"name": "wait", "input_schema": {"type": "object", "properties": {}}}
THINK = {"type": "enabled", "budget_tokens": 1024}
DOORS = sorted(name for name, dialect in VENDORS.items() if "messages" in dialect.serves)
PIXELS = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def asked(text: Any = "count the cached stars", **more: Any) -> dict[str, Any]:
    return {"model": "c", "max_tokens": 2000, "messages": [{"role": "user", "content": text}], **more}


@contextlib.contextmanager
def sdk(vendor: Simulator) -> Iterator[anthropic.Anthropic]:
    base = vendor.url + (vendor.dialect.messages_path or "/v1/messages").removesuffix("/v1/messages")
    with anthropic.Anthropic(base_url=base, api_key="k", max_retries=0, timeout=10.0) as client:
        yield client


@pytest.mark.parametrize("name", DOORS)
def test_the_sdk_reads_every_anthropic_door_plain_and_streamed(name: str) -> None:
    body = asked(system="be brief")
    said = answer(body, "messages")
    with start(name) as vendor, sdk(vendor) as client:
        plain = client.messages.create(**body)
        with client.messages.stream(**body) as stream:
            final = stream.get_final_message()
    for message in (plain, final):
        assert [block.text for block in message.content] == [said.text] == ["echo count the cached stars"]
        assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
        assert message.usage.input_tokens + message.usage.cache_read_input_tokens == said.prompt_tokens == 12
        assert (message.usage.cache_read_input_tokens, message.usage.output_tokens) == (6, 5)


def test_parallel_tools_thinking_and_results_go_round() -> None:
    body = asked("use look and wait", tools=[LOOK, WAIT], thinking=THINK)
    with start("anthropic") as vendor, sdk(vendor) as client:
        with client.messages.stream(**body) as stream:
            first = stream.get_final_message()
        assert first.to_dict()["content"] == client.messages.create(**body).to_dict()["content"]
        assert [block.type for block in first.content] == ["thinking", "tool_use", "tool_use"]
        thinking, look, wait = first.content
        assert thinking.thinking == "let me see"
        assert (look.input, wait.input) == ({"place": "echo use look and wait", "big": BIG}, {})
        assert first.stop_reason == "tool_use"
        results = [
            {"type": "tool_result", "tool_use_id": look.id, "content": "sun"},
            {"type": "tool_result", "tool_use_id": wait.id, "content": "late", "is_error": True},
        ]
        history = [*body["messages"], {"role": "assistant", "content": [b.to_dict() for b in first.content]}]
        again = client.messages.create(**{**body, "messages": [*history, {"role": "user", "content": results}]})
        assert again.content[-1].text == "results sun and error late"
        altered = [{**history[1]["content"][0], "thinking": "let me sEe"}, *history[1]["content"][1:]]
        gone = history[1]["content"][1:]
        for content, say in ((altered, "Invalid `signature`"), (gone, "Expected `thinking`")):
            turns = [history[0], {"role": "assistant", "content": content}, {"role": "user", "content": results}]
            with pytest.raises(anthropic.BadRequestError, match=say):
                client.messages.create(**{**body, "messages": turns})
        other_model = {**body, "model": "d", "messages": [*history, {"role": "user", "content": results}]}
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            client.messages.create(**other_model)


def test_redacted_thinking_goes_round_and_hidden_thinking_has_its_signature() -> None:
    body = asked("redacted", thinking=THINK)
    with start("anthropic") as vendor, sdk(vendor) as client:
        (block, _) = client.messages.create(**body).content
        assert block.type == "redacted_thinking"
        with client.messages.stream(**body) as stream:
            assert stream.get_final_message().content[0] == block
        turns = [{"role": "assistant", "content": [block.to_dict(), {"type": "text", "text": "a"}]}]
        more = [*body["messages"], *turns, {"role": "user", "content": "go on"}]
        assert client.messages.create(**{**body, "messages": more}).stop_reason == "end_turn"
        turns[0]["content"][0]["data"] = "AAAA" + block.data[4:]
        with pytest.raises(anthropic.BadRequestError, match="Invalid `data`"):
            client.messages.create(**{**body, "messages": more})
        hidden = client.messages.create(**asked("hi", thinking={**THINK, "display": "omitted"})).content[0]
        assert hidden.thinking == ""
        assert hidden.signature


def test_what_the_answer_depends_on() -> None:
    with start("anthropic") as vendor, sdk(vendor) as client:
        create = client.messages.create
        pictures = [
            {"type": "text", "text": "see"}, {"type": "image", "source": PIXELS},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "document", "source": {**PIXELS, "media_type": "application/pdf"}},
        ]  # fmt: skip
        assert create(**asked(pictures)).content[0].text == (
            "echo see saw image image/png of 3 bytes saw image https://example.com/a.png"
            " saw document application/pdf of 3 bytes"
        )
        stopped = create(**asked("one two three", stop_sequences=["three", "two"]))
        assert (stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence) == (
            "echo one", "stop_sequence", "two",
        )  # fmt: skip
        assert create(**{**asked("a b c"), "max_tokens": 2}).stop_reason == "max_tokens"
        form = {"format": {"type": "json_schema", "schema": SCHEMA}}
        assert create(**asked("hi", output_config=form)).content[0].text == f'{{"place": "echo hi", "big": {BIG}}}'
        refused = create(**asked("refuse this"))
        assert (refused.stop_reason, refused.content, refused.stop_details.category) == ("refusal", [], "general_harms")
        assert create(**asked("cite it")).content[0].citations[0].cited_text == "echo"
        assert len(create(**asked("words=5000", max_tokens=9000)).content[0].text.split()) == 5000


def test_emoji_are_split_over_deltas_and_come_whole() -> None:
    with start("anthropic", piece_bytes=1) as vendor, sdk(vendor) as client:
        with client.messages.stream(**asked("a 👩‍🚀 漢字 naïve")) as stream:
            deltas = [event.text for event in stream if event.type == "text"]
        assert len(deltas) == 8
        assert "".join(deltas) == "echo a 👩‍🚀 漢字 naïve"


def test_cache_marks_are_written_by_lifetime() -> None:
    marked = [
        {"type": "text", "text": "word " * 40, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "cached", "cache_control": {"type": "ephemeral"}},
    ]
    body = asked(marked)
    said = answer(body, "messages")
    with start("anthropic") as vendor, sdk(vendor) as client:
        usage = client.messages.create(**body).usage
        with client.messages.stream(**body) as stream:
            assert stream.get_final_message().usage.cache_creation == usage.cache_creation
        counted = client.messages.count_tokens(model="c", messages=body["messages"])
    assert usage.to_dict() == usage_of(said)
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_1h_input_tokens == usage.cache_creation.ephemeral_5m_input_tokens + 1 == 6
    assert counted.input_tokens == said.prompt_tokens
    assert usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens == said.prompt_tokens


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": "c", "messages": [{"role": "user", "content": "a"}]}, "max_tokens: Field required"),
    (asked(""), "non-empty content"),
    (asked([{"type": "text", "text": " "}]), "text content blocks must be non-empty"),
    (asked(seed=1), "seed: Extra inputs"),
    (asked(temperature=1.5), "less than or equal to 1"),
    (asked(tools=[LOOK], tool_choice={"type": "any"}, thinking=THINK), "tool_choice forces"),
    (asked(thinking={"type": "enabled", "budget_tokens": 2000}), "greater than `thinking.budget_tokens`"),
    (asked(tools=[LOOK, LOOK]), "unique"),
    ({**asked(), "messages": [{"role": "system", "content": "a"}]}, "'user' or 'assistant'"),
    (asked([{"type": "tool_result", "tool_use_id": "x", "content": "a"}]), "unexpected `tool_use_id`"),
    (asked([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}] * 5), "maximum of 4"),
]


@pytest.mark.parametrize(("body", "say"), REFUSED)
def test_what_is_refused(body: dict[str, Any], say: str) -> None:
    with start("anthropic") as vendor:
        reply = httpx.post(f"{vendor.provider_url}/messages", json=body, headers=HEADERS)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    assert say in reply.json()["error"]["message"]


HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}


def test_results_must_follow_their_calls_first_and_all() -> None:
    call = {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": f"t{n}", "name": "look", "input": {}} for n in (1, 2)],
    }
    one, two = ({"type": "tool_result", "tool_use_id": f"t{n}", "content": "r"} for n in (1, 2))
    text = {"type": "text", "text": "hi"}
    with start("anthropic") as vendor, httpx.Client(headers=HEADERS) as client:
        for content, status in (([one, two, text], 200), ([text, one, two], 400), ([one, text], 400), ("hi", 400)):
            turns = [{"role": "user", "content": "a"}, call, {"role": "user", "content": content}]
            reply = client.post(f"{vendor.provider_url}/messages", json=asked(tools=[LOOK]) | {"messages": turns})
            assert reply.status_code == status, reply.text


def test_credentials_and_version() -> None:
    with start("anthropic", key="right") as vendor:
        url = f"{vendor.provider_url}/messages?beta=true"
        version = {"anthropic-version": "2023-06-01"}
        for headers, status in (
            ({"x-api-key": "right"}, 200), ({"authorization": "Bearer right"}, 200), ({"x-api-key": "wrong"}, 401),
            ({}, 401),
        ):  # fmt: skip
            assert httpx.post(url, json=asked(), headers={**headers, **version}).status_code == status
        assert httpx.post(url, json=asked(), headers={"x-api-key": "right"}).status_code == 400
    with start("deepseek") as vendor:
        assert httpx.post(f"{vendor.url}/v1/messages", json=asked()).status_code == 404
        assert httpx.post(f"{vendor.url}/anthropic/v1/messages", json=asked()).status_code == 200


def test_failures_before_and_inside_a_stream() -> None:
    with start("anthropic") as vendor, sdk(vendor) as client:
        for kind in kinds("anthropic"):
            vendor.script(kind)
            with pytest.raises(anthropic.APIStatusError) as caught:
                client.messages.create(**asked())
            assert caught.value.status_code == failure("anthropic", kind)[0], kind
        vendor.script(Fault(error_after=2, beats=3), Fault(cut_at=900), "filtered", Fault(finish="context"))
        with client.messages.stream(**asked()) as stream, pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            list(stream)
        with client.messages.stream(**asked()) as stream, pytest.raises(httpx2.RemoteProtocolError):
            list(stream)
        with client.messages.stream(**asked()) as stream:
            assert stream.get_final_message().stop_reason == "refusal"
        assert client.messages.create(**asked()).stop_reason == "model_context_window_exceeded"
    with start("moonshot") as vendor:
        reply = httpx.post(f"{vendor.url}/anthropic/v1/messages", json=asked(), headers={"x-simulate": "no_money"})
        assert reply.status_code == 429
        assert "exceeded_current_quota_error" in reply.json()["error"]["message"]


def test_pings_stand_before_the_first_token() -> None:
    with start("anthropic", beats=4) as vendor:
        reply = httpx.post(f"{vendor.provider_url}/messages", json=asked(stream=True), headers=HEADERS)
    names = [line[7:] for line in reply.text.splitlines() if line.startswith("event: ")]
    assert names[:7] == ["message_start", *["ping"] * 5, "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
