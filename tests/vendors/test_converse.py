"""Bedrock's dialect as botocore sees it: signatures, event streams, tools, refusals."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import botocore.session
import httpx
import pytest
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

from tests.vendors import AWS_ID, AWS_SECRET, Fault, Simulator, answer, eventstream, failure, kinds, start
from tests.vendors.counts import converse as usage_of
from tests.vendors.schemas import BIG

MODEL = "us.anthropic.claude-sonnet-9:0"
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}, "big": {"type": "integer"}}}
TOOLS = {
    "tools": [
        {"toolSpec": {"name": "look", "inputSchema": {"json": SCHEMA}}},
        {"toolSpec": {"name": "wait", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
    ]
}
BEARER = {"authorization": "Bearer k"}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"text": block} if isinstance(block, str) else block for block in blocks]}


def bedrock(vendor: Simulator, secret: str = AWS_SECRET) -> Any:
    return botocore.session.get_session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=vendor.provider_url,
        aws_access_key_id=AWS_ID,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def gathered(events: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    """Blocks, stop reason and usage of a stream, its order checked on the way."""
    names = [name for event in events for name in event]
    assert (names[0], names[-2:]) == ("messageStart", ["messageStop", "metadata"])
    blocks: list[dict[str, Any]] = []
    closed = -1
    for event in events:
        if "contentBlockStart" in event:
            assert event["contentBlockStart"]["contentBlockIndex"] == len(blocks) == closed + 1
            blocks.append({**event["contentBlockStart"]["start"]["toolUse"], "input": ""})
        if "contentBlockDelta" in event:
            index, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
            if index == len(blocks):
                assert closed == index - 1
                blocks.append({})
            for name, value in (delta.get("toolUse") or delta.get("reasoningContent") or delta).items():
                blocks[index][name] = blocks[index].get(name, type(value)()) + value
        if "contentBlockStop" in event:
            closed += 1
            assert event["contentBlockStop"]["contentBlockIndex"] == closed
    return blocks, events[-2]["messageStop"]["stopReason"], events[-1]["metadata"]["usage"]


def test_text_plain_and_streamed_with_a_signature_that_is_checked() -> None:
    body = {"messages": [user("count the cached stars")], "system": [{"text": "be brief"}]}
    said = answer(body, "converse", model=MODEL)
    with start("bedrock") as vendor:
        client = bedrock(vendor)
        plain = client.converse(modelId=MODEL, **body)
        blocks, reason, usage = gathered(list(client.converse_stream(modelId=MODEL, **body)["stream"]))
        counted = client.count_tokens(modelId=MODEL, input={"converse": body})
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            bedrock(vendor, "wrong").converse(modelId=MODEL, **body)
        path = "/model/us.anthropic.claude-sonnet-9%3A0/converse"
        assert vendor.requests[0].path == path
    assert plain["output"]["message"]["content"] == [{"text": said.text}] == blocks
    assert plain["stopReason"] == reason == "end_turn"
    assert plain["usage"] == usage == usage_of(said)
    assert (usage["inputTokens"], usage["cacheReadInputTokens"], usage["totalTokens"]) == (6, 6, 17)
    assert counted["inputTokens"] == said.prompt_tokens == 12


def test_what_was_signed_must_be_what_is_sent() -> None:
    """An own signer is checked against this verifier, so the verifier must refuse every change."""
    body = json.dumps({"messages": [user("hi")]}).encode()
    with start("bedrock") as vendor:
        bedrock(vendor).converse(modelId=MODEL, messages=[user("hi")])
        (first,) = vendor.requests
        headers = {name: value for name, value in first.headers.items() if name not in ("content-length", "connection")}
        url = f"{vendor.url}{first.path}"
        assert httpx.post(url, content=first.body, headers=headers).status_code == 200
        assert httpx.post(url, content=body.replace(b"hi", b"ho"), headers=headers).status_code == 403
        assert httpx.post(url + "-stream", content=first.body, headers=headers).status_code == 403
        later = {
            **headers,
            "x-amz-date": headers["x-amz-date"][:-2] + ("2Z" if headers["x-amz-date"][-2] == "1" else "1Z"),
        }
        assert httpx.post(url, content=first.body, headers=later).status_code == 403
        assert httpx.post(url, content=first.body, headers=BEARER).status_code == 200
        assert httpx.post(url, content=first.body).status_code == 403


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_thinking_and_results_go_round(streamed: bool) -> None:
    fields = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with start("bedrock") as vendor:
        client = bedrock(vendor)
        asked = {"modelId": MODEL, "toolConfig": TOOLS, "additionalModelRequestFields": fields}
        if streamed:
            events = list(client.converse_stream(messages=[user("use look and wait")], **asked)["stream"])
            (thinking, *calls), reason, _ = gathered(events)
            content = [{"reasoningContent": {"reasoningText": thinking}}]
            content += [{"toolUse": {**call, "input": json.loads(call["input"] or "{}")}} for call in calls]
        else:
            reply = client.converse(messages=[user("use look and wait")], **asked)
            content, reason = reply["output"]["message"]["content"], reply["stopReason"]
        assert reason == "tool_use"
        assert content[0]["reasoningContent"]["reasoningText"]["text"] == "let me see"
        assert [block["toolUse"]["input"] for block in content[1:]] == [
            {"place": "echo use look and wait", "big": BIG}, {},
        ]  # fmt: skip
        results = [
            {"toolResult": {"toolUseId": content[1]["toolUse"]["toolUseId"], "content": [{"text": "sun"}]}},
            {
                "toolResult": {
                    "toolUseId": content[2]["toolUse"]["toolUseId"],
                    "content": [{"json": {"a": [1, 2]}}],
                    "status": "error",
                }
            },
        ]
        turns = [user("use look and wait"), {"role": "assistant", "content": content}, user(*results)]
        done = client.converse(messages=turns, **asked)
        assert done["output"]["message"]["content"][-1]["text"] == "results sun and error [1, 2]"
        bare = [turns[0], {"role": "assistant", "content": content[1:]}, turns[2]]
        with pytest.raises(ClientError, match="Expected `thinking`"):
            client.converse(messages=bare, **asked)
        content[0]["reasoningContent"]["reasoningText"]["text"] = "altered"
        with pytest.raises(ClientError, match="Invalid `signature`"):
            client.converse(messages=turns, **asked)


def test_what_the_answer_depends_on() -> None:
    with start("bedrock") as vendor:
        client = bedrock(vendor)

        def text(*blocks: Any, **more: Any) -> str:
            reply = client.converse(modelId=MODEL, messages=[user(*blocks)], **more)
            return str(reply["output"]["message"]["content"][-1]["text"])

        picture = {"image": {"format": "png", "source": {"bytes": b"123"}}}
        paper = {"document": {"format": "pdf", "name": "a", "source": {"bytes": b"1234"}}}
        assert text("see", picture, paper) == (
            "echo see saw image image/png of 3 bytes saw document application/pdf of 4 bytes"
        )
        reply = client.converse(modelId=MODEL, messages=[user("a b")], inferenceConfig={"stopSequences": ["b"]})
        assert (reply["stopReason"], reply["output"]["message"]["content"]) == ("stop_sequence", [{"text": "echo a"}])
        schema = {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "s"}}}
        assert json.loads(text("hi", outputConfig={"textFormat": schema})) == {"place": "echo hi", "big": BIG}
        assert client.converse(modelId=MODEL, messages=[user("refuse")])["stopReason"] == "content_filtered"
        assert client.converse(modelId=MODEL, messages=[user("a b")], inferenceConfig={"maxTokens": 1})[
            "stopReason"
        ] == ("max_tokens")
        marked = {"messages": [user("word " * 40, {"cachePoint": {"type": "default", "ttl": "1h"}})]}
        usage = client.converse(modelId=MODEL, **marked)["usage"]
        assert usage["cacheWriteInputTokens"] == 10
        assert usage["cacheDetails"] == [{"ttl": "1h", "inputTokens": 10}]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messages": [user("a"), user("b")]}, "alternate"),
    ({"messages": [{"role": "assistant", "content": [{"text": "a"}]}]}, "start with a user message"),
    ({"messages": [user(" ")]}, "blank"),
    ({"messages": [{"role": "user", "content": []}]}, "is empty"),
    ({"messages": [user("a", {"image": {"format": "png", "source": {"url": "https://example.com"}}})]}, "s3Location"),
    ({"messages": [user("a")], "toolConfig": {**TOOLS, "toolChoice": {"none": {}}}}, "one of auto, any, tool"),
    ({"messages": [user("a")], "inferenceConfig": {"topK": 3}}, "topK"),
    ({"messages": [user("a")], "max_tokens": 3}, "max_tokens"),
    ({"messages": [user({"toolResult": {"toolUseId": "x", "content": [{"text": "a"}]}})]}, "toolConfig"),
]


@pytest.mark.parametrize(("body", "say"), REFUSED)
def test_what_is_refused(body: dict[str, Any], say: str) -> None:
    with start("bedrock") as vendor:
        reply = httpx.post(f"{vendor.url}/model/m/converse", json=body, headers=BEARER)
    assert reply.status_code == 400
    assert reply.headers["x-amzn-errortype"].startswith("ValidationException:")
    assert say in reply.json()["message"]


def test_failures_before_and_inside_a_stream() -> None:
    with start("bedrock") as vendor:
        client = bedrock(vendor)
        for kind in kinds("bedrock"):
            vendor.script(kind)
            with pytest.raises(ClientError) as caught:
                client.converse(modelId=MODEL, messages=[user("a")])
            status, _, ((_, name),) = failure("bedrock", kind)
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
            assert caught.value.response["Error"]["Code"] == name.partition(":")[0]
        for form in ("", "throttlingException", "error"):
            vendor.script(Fault(error_after=1, error_as=form))
            events = client.converse_stream(modelId=MODEL, messages=[user("a b")])["stream"]
            with pytest.raises(
                EventStreamError, match=form or "modelStreamErrorException" if form != "error" else "Internal"
            ):
                list(events)
        vendor.script("filtered")
        events = list(client.converse_stream(modelId=MODEL, messages=[user("a b")])["stream"])
        assert gathered(events)[1] == "content_filtered"


def test_framing_is_what_the_document_says() -> None:
    data = eventstream.event("messageStop", {"stopReason": "end_turn"})
    total, headers = struct.unpack(">II", data[:8])
    assert total == len(data)
    assert struct.unpack(">I", data[8:12])[0] == zlib.crc32(data[:8])
    assert struct.unpack(">I", data[-4:])[0] == zlib.crc32(data[:-4])
    assert json.loads(data[12 + headers : -4]) == {"stopReason": "end_turn"}
    buffer = EventStreamBuffer()
    for at in range(len(data)):
        buffer.add_data(data[at : at + 1])
    (message,) = buffer
    assert message.headers == {
        ":event-type": "messageStop", ":content-type": "application/json", ":message-type": "event",
    }  # fmt: skip
    spoiled = EventStreamBuffer()
    spoiled.add_data(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ChecksumMismatch):
        list(spoiled)


def test_the_mantle_speaks_chat_under_its_own_signing_name() -> None:
    with start("bedrock_mantle") as vendor:
        url = f"{vendor.provider_url}/chat/completions"
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        assert httpx.post(url, json=body, headers=BEARER).json()["choices"][0]["message"]["content"] == "echo hi"
        assert httpx.post(url, json=body).status_code == 401
