"""Clients of every protocol through DashScope's native door, simulated: a tool loop with thinking."""

from __future__ import annotations

import json

import pytest

from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.fold import fold
from baseload.wire.qwen import StreamMeter, reply_in, request_out, stream_in
from tests.vendors import start
from tests.wire.through import CLIENTS, Provider, ask, canonical

TARGET = Target(protocol="qwen", dialect="dashscope", model="qwen-plus", thought="budget")
QWEN = Provider(TARGET, request_out.write, reply_in.read, stream_in.StreamIn, StreamMeter)
PATH = "/api/v1/services/aigc/text-generation/generation"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_tool_loop_goes_round(name: str, streamed: bool):
    client = CLIENTS[name]
    view = View(model="m", id="call-1", created_s=1, origin=TARGET.origin)
    headers = {"authorization": "Bearer k"} | ({"x-dashscope-sse": "enable"} if streamed else {})
    told: list[bytes] = []
    with start("dashscope") as vendor:

        def say(body: dict[str, object]) -> dict[str, object]:
            written = request_out.write(canonical(client, body, stream=streamed), TARGET)
            assert written.dropped == ()
            events = ask(QWEN, vendor.url + PATH, headers, written.body, stream=streamed)
            told.append(client.stream(view).write(events))
            found: dict[str, object] = json.loads(client.write(fold(events), view))
            return found

        body = client.first()
        first = say(body)
        last = say(client.next(body, first))
        sent = vendor.requests[1].json
    assert b"look" in told[0]
    assert client.text(last) == "results sun and noon"
    assert sent["parameters"]["enable_thinking"] is True
    roles = [message["role"] for message in sent["input"]["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool"]
    assert sent["input"]["messages"][2]["reasoning_content"] == "let me see"
