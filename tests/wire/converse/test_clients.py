"""Clients of every protocol through a simulated Bedrock: a tool loop with thinking whose signature it checks."""

from __future__ import annotations

import json

import pytest

from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.fold import fold
from baseload.wire.converse import StreamMeter, reply_in, request_out, stream_in
from tests.vendors import start
from tests.wire.through import CLIENTS, Provider, ask, canonical

MODEL = "us.anthropic.claude-sonnet-9:0"
TARGET = Target(protocol="converse", dialect="bedrock", model=MODEL, thought="budget", image_url=False)
BEDROCK = Provider(TARGET, request_out.write, reply_in.read, stream_in.StreamIn, StreamMeter)
HEADERS = {"authorization": "Bearer k", "content-type": "application/json"}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", CLIENTS)
def test_pitfall_01_a_tool_loop_with_thinking_goes_round(name: str, streamed: bool):
    client = CLIENTS[name]
    view = View(model="m", id="call-1", created_s=1, origin=TARGET.origin)
    told: list[bytes] = []
    with start("bedrock") as vendor:
        url = f"{vendor.url}/model/{MODEL.replace(':', '%3A')}/" + ("converse-stream" if streamed else "converse")

        def say(body: dict[str, object]) -> dict[str, object]:
            written = request_out.write(canonical(client, body, stream=streamed), TARGET)
            assert written.dropped == ()
            events = ask(BEDROCK, url, HEADERS, written.body, stream=streamed)
            told.append(client.stream(view).write(events))
            found: dict[str, object] = json.loads(client.write(fold(events), view))
            return found

        body = client.first()
        first = say(body)
        last = say(client.next(body, first))
        sent = vendor.requests[1].json
    assert b"tooluse_sim1" in told[0]
    assert client.text(last) == "results sun and noon"
    assert sent["additionalModelRequestFields"]["thinking"]["type"] == "enabled"
    calls = sent["messages"][1]["content"]
    assert calls[0]["reasoningContent"]["reasoningText"]["text"] == "let me see"
    assert [block["toolUse"]["name"] for block in calls if "toolUse" in block] == ["look", "wait"]
    assert ["toolResult" in block for block in sent["messages"][2]["content"]] == [True, True]
