"""The simulators do what they promise: healthy for the unmodified SDK, and wrong in exactly the way asked for."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from baseload.providers.catalogue import names
from baseload.providers.catalogue import vendor as vendor_facts
from baseload.providers.faults import classify
from tests.vendors import DIALECTS, NAMED, VENDORS, Fault, Simulator, answer, failure, kinds, refusing_url, start, usage
from tests.vendors.desk import find

MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "count the cached stars"}]
TEXT = "echo count the cached stars"
NAMES = sorted(DIALECTS)


def body(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": MESSAGES, **more}


@contextlib.contextmanager
def sdk(vendor: Simulator, **options: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=vendor.base_url, api_key="sk-x", max_retries=0, timeout=10.0, **options) as client:
        yield client


def raw(vendor: Simulator, payload: dict[str, Any], *, read_s: float = 10.0, headers: str = "") -> bytes:
    """All bytes until the server closes or says nothing for `read_s`."""
    data = json.dumps(payload).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len(data)}\r\n\r\n"
    got = bytearray()
    with socket.create_connection(("127.0.0.1", vendor.port)) as sock, contextlib.suppress(TimeoutError):
        sock.settimeout(read_s)
        sock.sendall(head.encode() + data)
        while piece := sock.recv(2**20):
            got += piece
    return bytes(got)


def events(payload: bytes) -> list[dict[str, Any]]:
    """JSON of the data lines of a whole chunked or plain reply (frames are one chunk each)."""
    lines = [line[6:] for line in payload.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


# --- healthy


@pytest.mark.parametrize("name", NAMES)
def test_the_sdk_reads_a_whole_reply_of_every_dialect(name: str) -> None:
    with start(name) as vendor, sdk(vendor) as client:
        reply = client.chat.completions.create(model="m", messages=MESSAGES)
    said = answer(body())
    assert reply.choices[0].message.content == said.text == TEXT
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (said.prompt_tokens, 5) == (12, 5)
    assert reply._request_id == "req-1"
    (request,) = vendor.requests
    assert request.json == body()
    assert request.head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert request.headers["authorization"] == "Bearer sk-x"
    assert request.done
    assert not request.left


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_sdk_reads_a_stream_of_every_dialect_and_usage_is_where_the_vendor_puts_it(name: str, asked: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    with start(name) as vendor, sdk(vendor) as client:
        chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == TEXT
    expected = usage(name, answer(body()))
    places = [
        "extra" if chunk.usage and not chunk.choices else "finish"
        for chunk in chunks
        if chunk.usage and chunk.usage.to_dict() == expected
    ]
    inside = [c.choices[0].usage for c in chunks if c.choices and getattr(c.choices[0], "usage", None)]
    always = name in ("zhipu", "openrouter", "moonshot")
    match name:
        case "zhipu":
            assert places == ["finish"]
        case "moonshot":
            assert inside == [expected]
            assert places == (["extra"] if asked else [])
        case _:
            assert places == (["extra"] if asked or always else [])


def test_null_usage_stands_in_other_chunks_only_where_the_vendor_does_so() -> None:
    asked = body(stream=True, stream_options={"include_usage": True})
    for name in NAMES:
        with start(name) as vendor:
            frames = events(raw(vendor, asked, headers="connection: close\r\n"))
        nulls = [frame for frame in frames if "usage" in frame and frame["usage"] is None]
        assert bool(nulls) == DIALECTS[name].null_usage, name


def test_peculiarities_of_the_dialects() -> None:
    streamed = body(stream=True, stream_options={"include_usage": True})
    close = "connection: close\r\n"
    with start("azure") as vendor:
        first = events(raw(vendor, streamed, headers=close))[0]
        assert first["choices"] == []
        assert "prompt_filter_results" in first
    with start("deepseek") as vendor:
        assert raw(vendor, streamed, headers=close).count(b": keep-alive\n\n") == 2
        plain = raw(vendor, body(), headers=close)
        assert plain.split(b"\r\n\r\n", 1)[1].startswith(b"1\r\n\n\r\n1\r\n\n\r\n")
        assert b'"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":6' in plain
    with start("openrouter") as vendor:
        got = raw(vendor, body(stream=True), headers=close)
        assert b": OPENROUTER PROCESSING" in got
        assert b"x-generation-id" in got
        assert events(got)[-1]["usage"]["cost"] == (6 + 4 * 5) / 1e6
    with start("llamacpp") as vendor:
        assert events(raw(vendor, streamed, headers=close))[-1]["timings"] == {
            "cache_n": 6, "prompt_n": 6, "predicted_n": 5,
        }  # fmt: skip
    with start("minimax") as vendor:
        assert b'"base_resp":{"status_code":0' in raw(vendor, body(), headers=close)
    for name, option in (("vllm", "continuous_usage_stats"), ("volcengine", "chunk_include_usage")):
        with start(name) as vendor:
            frames = events(
                raw(vendor, body(stream=True, stream_options={"include_usage": True, option: True}), headers=close)
            )
            running = [frame["usage"]["completion_tokens"] for frame in frames]
            assert running == [0, 1, 2, 3, 4, 5, 5, 5]


def test_the_answer_follows_the_request() -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    with start("openai") as vendor, sdk(vendor) as client:
        create = client.chat.completions.create
        short = create(model="m", messages=MESSAGES, max_tokens=2)
        assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("echo count", "length")
        assert len(create(model="m", messages=MESSAGES, n=3).choices) == 3
        thought = create(model="think", messages=MESSAGES)
        assert thought.usage is not None
        assert thought.usage.completion_tokens == 8
        asked = [{"role": "user", "content": "use the tool"}]
        called = create(model="m", messages=asked, tools=tools).choices[0]
        assert called.finish_reason == "tool_calls"
        assert json.loads(called.message.tool_calls[0].function.arguments) == {"text": "echo use the tool"}
        fragments = [
            chunk.choices[0].delta.tool_calls[0].function.arguments
            for chunk in create(model="m", messages=asked, tools=tools, stream=True)
            if chunk.choices and chunk.choices[0].delta.tool_calls
        ]
        assert json.loads("".join(fragments)) == {"text": "echo use the tool"}
        done = client.completions.create(model="m", prompt="one two")
        assert (done.choices[0].text, done.usage.prompt_tokens) == ("echo one two", 2)
        streamed = client.completions.create(model="m", prompt="one two", stream=True)
        assert "".join(chunk.choices[0].text for chunk in streamed) == "echo one two"
        plain = client.embeddings.create(model="e", input=["one two", "three"], encoding_format="float")
        packed = client.embeddings.create(model="e", input=["one two", "three"])
        assert [item.embedding for item in plain.data] == [item.embedding for item in packed.data]
        assert plain.usage.prompt_tokens == 3
        assert [model.id for model in client.models.list()] == ["m"]


def test_chunked_request_bodies_and_expect_are_understood() -> None:
    with start("openai") as vendor:
        pieces = (json.dumps(body())[at : at + 9].encode() for at in range(0, 300, 9))
        reply = httpx.post(f"{vendor.base_url}/chat/completions", content=pieces, headers={"expect": "100-continue"})
        assert reply.json()["choices"][0]["message"]["content"] == TEXT
        assert vendor.requests[0].json == body()


# --- failures in the vendors' own words


@pytest.mark.parametrize("name", NAMES)
def test_every_documented_failure_is_said_as_documented(name: str) -> None:
    with start(name) as vendor, httpx.Client() as client:
        for kind in kinds(name):
            vendor.script(kind)
            reply = client.post(f"{vendor.base_url}/chat/completions", json=body())
            status, data, headers = failure(name, kind)
            assert (reply.status_code, reply.content) == (status, data), kind
            assert {key: reply.headers[key] for key, _ in headers} == dict(headers)
        assert client.post(f"{vendor.base_url}/chat/completions", json=body()).status_code == 200


@pytest.mark.parametrize("name", sorted(set(VENDORS) & set(names())))
def test_the_catalogue_recognises_every_failure(name: str) -> None:
    """The simulator and the catalogue were written from the same documents; where they differ, one of them is wrong."""
    for kind in kinds(name):
        status, data, headers = failure(name, kind)
        assert classify(vendor_facts(name), status, data, dict(headers)).kind == kind.partition("/")[0], kind


@pytest.mark.parametrize("name", sorted(set(VENDORS) & set(names())))
def test_the_catalogues_paths_lead_to_doors_of_the_simulator(name: str) -> None:
    facts, dialect = vendor_facts(name), VENDORS[name]
    for endpoint, path in (*facts.paths.items(), *facts.stream_paths.items()):
        path = path.replace("{model}", "m")
        assert find(dialect, "POST", path[1:] if path.startswith("//") else dialect.path + path), endpoint


def test_a_fault_is_chosen_by_script_header_model_or_for_all() -> None:
    with start("openai", failure="overloaded") as vendor, httpx.Client() as client:
        url = f"{vendor.base_url}/chat/completions"
        vendor.script(None, Fault(status=418, body=b"teapot"))
        assert [client.post(url, json=body()).status_code for _ in range(3)] == [200, 418, 500]
        assert client.post(url, json=body(), headers={"x-simulate": "rate_limited"}).headers["retry-after"] == "2"
        assert (
            client.post(url, json={**body(), "model": "fault-no_money"}).json()["error"]["code"] == "insufficient_quota"
        )
    with start("openai", key="right") as vendor:
        url = f"{vendor.base_url}/chat/completions"
        assert httpx.post(url, json=body()).status_code == 401
        assert httpx.post(url, json=body(), headers={"authorization": "Bearer right"}).status_code == 200
        assert httpx.post(f"{vendor.base_url}/nothing", json=body(), headers={"authorization": "Bearer right"}).is_error


# --- the network


def test_refused_and_closed_connections() -> None:
    with refusing_url() as url, pytest.raises(httpx.ConnectError):
        httpx.post(f"{url}/chat/completions", json=body())
    with start("openai") as vendor:
        vendor.script("close_before_head", "close_after_head", "not_http")
        assert raw(vendor, body()) == b""
        head = raw(vendor, body())
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert raw(vendor, body()) == NAMED["not_http"].raw
        vendor.script("reset")
        with pytest.raises(ConnectionResetError):
            raw(vendor, body())


@pytest.mark.parametrize("streamed", [False, True])
def test_a_reply_is_cut_at_the_very_byte(streamed: bool) -> None:
    asked = body(stream=streamed)
    with start("vllm") as vendor:
        full = httpx.post(f"{vendor.base_url}/chat/completions", json=asked).content
        for cut in (0, 1, 100, len(full) - 1, len(full), len(full) + 50):
            vendor.script(Fault(cut_at=cut))
            number = len(vendor.requests) + 1
            got = bytearray()
            with (
                contextlib.suppress(httpx.RemoteProtocolError),
                httpx.stream("POST", f"{vendor.base_url}/chat/completions", json=asked) as reply,
            ):
                for piece in reply.iter_raw():
                    got += piece
            expected = full.replace(b'"id":"chatcmpl-1"', b'"id":"chatcmpl-%d"' % number)[:cut]
            assert bytes(got) == expected, cut


def test_silence_before_the_head_after_it_and_in_the_middle() -> None:
    with start("openai") as vendor:
        vendor.script(
            "stall_before_head", "stall_after_head", "stall_mid", Fault(stall="body", stall_at=5, stall_s=0.05)
        )
        assert raw(vendor, body(), read_s=0.2) == b""
        assert raw(vendor, body(), read_s=0.2).endswith(b"\r\n\r\n")
        middle = raw(vendor, body(stream=True), read_s=0.2)
        chunks = middle.split(b"\r\n\r\n", 1)[1]
        assert sum(int(size, 16) for size in chunks.split(b"\r\n")[::2] if size) == 400
        assert [request.left for request in vendor.wait(3, done=True)] == [True, True, True]
        assert TEXT.encode() in raw(vendor, body(), headers="connection: close\r\n")
        assert not vendor.wait(4, done=True)[3].left


def test_framing_right_and_wrong() -> None:
    close = "connection: close\r\n"
    with start("openai") as vendor:
        vendor.script(
            Fault(sized=False), Fault(sized=True), "until_close", "length_long", "length_short", "garbage_json"
        )
        assert b"transfer-encoding: chunked" in raw(vendor, body(), headers=close)
        assert b"content-length" in raw(vendor, body(stream=True), headers=close)
        open_ended = raw(vendor, body())
        assert b"content-length" not in open_ended
        assert b"chunked" not in open_ended
        for off in (50, -50):
            head, data = raw(vendor, body()).split(b"\r\n\r\n", 1)
            length = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
            assert length == len(data) + off
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            httpx.post(f"{vendor.base_url}/chat/completions", json=body()).json()
        vendor.script("bytewise", "crlf")
        with sdk(vendor) as client:
            for _ in range(2):
                chunks = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
                assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT


def test_connections_are_kept_closed_after_the_reply_or_after_some_requests() -> None:
    url = "/chat/completions"
    with start("openai") as vendor, httpx.Client(base_url=vendor.base_url) as client:
        for _ in range(4):
            client.post(url, json=body())
        assert [request.connection for request in vendor.requests] == [1, 1, 1, 1]
        vendor.drop_idle()
        assert vendor.open_connections == 0
    with start("openai", keepalive_requests=2) as vendor, httpx.Client(base_url=vendor.base_url) as client:
        replies = [client.post(url, json=body()) for _ in range(4)]
        assert [request.connection for request in vendor.requests] == [1, 1, 2, 2]
        assert [reply.headers.get("connection") for reply in replies] == [None, "close", None, "close"]
    with start("openai", last_close=True) as vendor, httpx.Client(base_url=vendor.base_url) as client:
        client.post(url, json=body())
        client.post(url, json=body())
        assert vendor.connections == 2


@pytest.mark.parametrize(("name", "size"), [("frame_64k", 2**16), ("frame_1m", 2**20), ("frame_20m", 20 * 2**20)])
def test_huge_frames_arrive_whole(name: str, size: int) -> None:
    with start("openai") as vendor:
        reply = httpx.post(f"{vendor.base_url}/chat/completions", json={**body(stream=True), "model": f"fault-{name}"})
        deltas = [event["choices"][0]["delta"].get("content", "") for event in events(reply.content)]
        words = [text for text in deltas if len(text) >= size]
        assert len(words) == NAMED[name].words


def test_a_failure_inside_a_stream_comes_after_the_frames_asked_for() -> None:
    with start("openrouter", error_after=2) as vendor:
        found = events(httpx.post(f"{vendor.base_url}/chat/completions", json=body(stream=True)).content)
        assert [event["choices"][0]["delta"]["content"] for event in found] == ["", "echo", " count", ""]
        assert found[-1]["error"]["code"] == 502
    with start("openai", error_after=1) as vendor, sdk(vendor) as client:
        chunks = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="The server had an error"):
            list(chunks)


def test_usage_can_be_left_out_or_replaced() -> None:
    asked = body(stream=True, stream_options={"include_usage": True})
    with start("zhipu") as vendor:
        vendor.script("no_usage", Fault(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}))
        for expected in ([], [0]):
            found = events(httpx.post(f"{vendor.base_url}/chat/completions", json=asked).content)
            assert [event["usage"]["total_tokens"] for event in found if event.get("usage")] == expected


def test_a_flood_stops_when_nobody_reads_and_a_client_that_leaves_is_noticed() -> None:
    with start("openai") as vendor:
        data = json.dumps({**body(stream=True), "model": "fault-flood_100m"}).encode()
        with socket.create_connection(("127.0.0.1", vendor.port)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data))
            assert sock.recv(100)
            (request,) = vendor.wait(1)
            before, deadline = -1, time.monotonic() + 5
            while request.sent_bytes != before and time.monotonic() < deadline:
                before = request.sent_bytes
                time.sleep(0.1)
            assert request.sent_bytes < 20 * 2**20, "the server must be stopped by the reader"
            assert not request.done
        assert vendor.wait(1, done=True)[0].left


def test_a_whole_flood_arrives() -> None:
    with start("openai", flood_bytes=8 * 2**20) as vendor:
        got = httpx.post(f"{vendor.base_url}/chat/completions", json=body(stream=True)).content
        assert sum(len(event["choices"][0]["delta"].get("content", "")) for event in events(got)) == 8 * 2**20


def test_tls_with_an_authority_made_for_the_run(tmp_path: Path) -> None:
    with start("openai", tls=True) as vendor:
        trusted = ssl.create_default_context(cafile=vendor.ca_file)
        assert httpx.post(f"{vendor.base_url}/chat/completions", json=body(), verify=trusted).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.post(f"{vendor.base_url}/chat/completions", json=body())


def test_slow_frames_take_their_time() -> None:
    with start("openai", interval_s=0.03) as vendor:
        began = time.monotonic()
        httpx.post(f"{vendor.base_url}/chat/completions", json=body(stream=True))
        assert time.monotonic() - began >= 0.03 * 7
