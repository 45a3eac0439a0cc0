"""What goes wrong on the way in every protocol: cuts, silence, broken JSON, floods, no usage."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import httpx
import pytest

from tests.vendors import Fault, Simulator, start

CLIENT = httpx.Client(verify=False)
TEXT = "count the stars"
QWEN = {
    "model": "q",
    "input": {"messages": [{"role": "user", "content": TEXT}]},
    "parameters": {"incremental_output": True},
}
CHAT = {
    "model": "m",
    "messages": [{"role": "user", "content": TEXT}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
DOORS: dict[str, tuple[str, str, dict[str, Any], dict[str, str]]] = {
    # dialect, path, body and headers of a stream
    "chat": ("openai", "/v1/chat/completions", CHAT, {}),
    "responses": ("openai", "/v1/responses", {"model": "m", "input": TEXT, "stream": True}, {}),
    "messages": (
        "anthropic",
        "/v1/messages",
        {"model": "c", "max_tokens": 9999, "messages": [{"role": "user", "content": TEXT}], "stream": True},
        {"x-api-key": "k", "anthropic-version": "2023-06-01"},
    ),
    "gemini": (
        "gemini",
        "/v1beta/models/g:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]},
        {"x-goog-api-key": "k"},
    ),
    "converse": (
        "bedrock",
        "/model/c/converse-stream",
        {"messages": [{"role": "user", "content": [{"text": TEXT}]}]},
        {"authorization": "Bearer k"},
    ),
    "qwen": ("dashscope", "/api/v1/services/aigc/text-generation/generation", QWEN, {"x-dashscope-sse": "enable"}),
}


def got(vendor: Simulator, door: str, read_s: float = 10.0) -> bytes:
    """The body of a stream as far as it comes."""
    _, path, body, headers = DOORS[door]
    found = bytearray()
    with (
        contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadTimeout),
        CLIENT.stream("POST", vendor.url + path, json=body, headers=headers, timeout=read_s) as reply,
    ):
        for piece in reply.iter_raw():
            found += piece
    return bytes(found)


def numbered(data: bytes, first: int, second: int) -> bytes:
    """A reply's bytes without the number of its request, which ids carry."""
    for mark in (b"chatcmpl-%d", b"resp_%d", b"msg_%d", b"msg_sim%d", b"resp-%d", b"r-%d"):
        data = data.replace(mark % first, mark % second)
    return data


@pytest.mark.parametrize("door", DOORS)
def test_a_stream_is_cut_at_the_very_byte(door: str) -> None:
    with start(DOORS[door][0]) as vendor:
        full = got(vendor, door)
        assert TEXT.split()[-1].encode() in full
        for cut in (0, 1, 57, 300, len(full) - 1):
            vendor.script(Fault(cut_at=cut))
            assert numbered(got(vendor, door), len(vendor.requests), 1) == full[:cut], cut
        vendor.script("bytewise", Fault(stall="body", stall_at=200), Fault(until_close=True))
        assert numbered(got(vendor, door), len(vendor.requests), 1) == full
        assert len(got(vendor, door, 0.2)) == 200
        assert numbered(got(vendor, door), len(vendor.requests), 1) == full


WRONG = (b"", b"{", b"[]", b"null", b"{}", b'{"messages":3,"input":3,"contents":3}', b'{"messages":[3],"input":[3]}',
         b'{"model":"c","max_tokens":9,"messages":[{"role":"user","content":[3]}],"contents":[{"parts":[3]}]}',
         b'{"model":"c","input":[{"type":"function_call"}],"messages":[{}],"contents":[{}]}')  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_nonsense_is_refused_in_the_vendors_own_words(door: str) -> None:
    dialect, path, _, headers = DOORS[door]
    with start(dialect) as vendor:
        for body in WRONG:
            reply = CLIENT.post(vendor.url + path, content=body, headers=headers)
            assert reply.status_code == 400, (body, reply.text)
            assert isinstance(reply.json(), dict)


@pytest.mark.parametrize("door", DOORS)
def test_half_a_character_a_delta(door: str) -> None:
    dialect, path, body, headers = DOORS[door]
    asked = json.loads(json.dumps(body).replace(TEXT, "halves \U0001f680!"))
    with start(dialect) as vendor:
        data = CLIENT.post(vendor.url + path, json=asked, headers=headers).content
    first, second = data.index(b"\\ud83d"), data.index(b"\\ude80!")
    assert b"\n" in data[first:second] or b"contentBlockDelta" in data[first:second]


@pytest.mark.parametrize("door", DOORS)
def test_a_flood_and_a_long_answer_arrive(door: str) -> None:
    with start(DOORS[door][0], flood_bytes=2 * 2**20) as vendor:
        assert got(vendor, door).count(b"x" * 65_536) == 32
        vendor.script(Fault(words=2000))
        assert b"w1999" in got(vendor, door)


@pytest.mark.parametrize("door", DOORS)
def test_usage_and_the_end_can_be_left_out(door: str) -> None:
    ends = {
        "chat": b"[DONE]",
        "responses": b"response.completed",
        "messages": b"message_stop",
        "gemini": b"STOP",
        "converse": b"metadata",
        "qwen": b'"stop"',
    }
    counters = (b"prompt_tokens", b"input_tokens", b"promptTokenCount", b"inputTokens")
    with start(DOORS[door][0]) as vendor:
        vendor.script(Fault(usage=None), Fault(no_done=True), None)
        without, open_, whole = (got(vendor, door) for _ in range(3))
    assert any(counter in whole for counter in counters)
    assert not any(counter in without for counter in counters)
    assert ends[door] in whole
    assert ends[door] not in open_


@pytest.mark.parametrize("door", [door for door in DOORS if door != "converse"])
def test_broken_json_and_other_line_ends(door: str) -> None:
    with start(DOORS[door][0]) as vendor:
        vendor.script(Fault(garbage_json=True), Fault(crlf=True))
        broken, other = got(vendor, door), got(vendor, door)
    payloads = [
        line.partition(b":")[2] for line in broken.splitlines() if line.startswith(b"data:") and b"[DONE]" not in line
    ]
    bad = 0
    for payload in payloads:
        try:
            json.loads(payload)
        except ValueError:
            bad += 1
    assert bad == 1
    assert other.count(b"\n") == other.count(b"\r\n") > 5
