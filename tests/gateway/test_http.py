"""HTTP/1.1 at the client's side: framing, pipelining, limits, patience. No provider is needed for these."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.gateway.harness import KEY, Home, Running, chat, exchange, gateway, get, post, read_reply

BODY_MAX = 100_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.offer("http://127.0.0.1:1/v1")
    with gateway(home, args=("--body-max", str(BODY_MAX))) as started:
        yield started


def closed(sock: socket.socket) -> bool:
    sock.settimeout(10)
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_head_in_any_number_of_reads(running: Running) -> None:
    request = get("/v1/models")
    with running.connect() as sock:
        for byte in request:
            sock.sendall(bytes((byte,)))
        assert read_reply(sock).json()["data"][0]["id"] == "m"
        for cut in range(1, len(request), 7):
            sock.sendall(request[:cut])
            time.sleep(0.001)
            sock.sendall(request[cut:])
            assert read_reply(sock).status == 200


def test_pipelined_requests_are_answered_in_order(running: Running) -> None:
    wanted = ["/healthz", "/v1/models", "/nope", "/v1/models/m", "/readyz"] * 40
    rest = bytearray()
    with running.connect() as sock:
        sock.sendall(b"".join(get(path) for path in wanted))
        statuses = [read_reply(sock, rest).status for _ in wanted]
    assert statuses == [404 if path == "/nope" else 200 for path in wanted]


def test_a_refused_request_keeps_the_connection_when_its_body_is_there(running: Running) -> None:
    rest = bytearray()
    with running.connect() as sock:
        sock.sendall(post("/v1/chat/completions", chat(), key="wrong") + get("/healthz"))
        assert read_reply(sock, rest).status == 401
        assert read_reply(sock, rest).status == 200


def test_sized_and_chunked_bodies_are_the_same_request(running: Running) -> None:
    body = json.dumps(chat("nobody")).encode()
    auth = f"authorization: Bearer {KEY}\r\ncontent-type: application/json\r\n".encode()
    start = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n" + auth + b"transfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
    with running.connect() as sock:
        for _ in range(2):  # the connection goes on after a chunked body
            for piece in (start, chunks[:50], chunks[50:], b"0\r\nx-trailer: 1\r\n", b"\r\n"):
                sock.sendall(piece)
                time.sleep(0.002)
            reply = read_reply(sock)
            assert reply.json()["error"]["code"] == "model_not_found"


def test_pipelining_behind_a_chunked_body_closes_after_the_reply(running: Running) -> None:
    body = json.dumps(chat("nobody")).encode()
    auth = f"authorization: Bearer {KEY}\r\ncontent-type: application/json\r\n".encode()
    start = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n" + auth + b"transfer-encoding: chunked\r\n\r\n"
    with running.connect() as sock:
        sock.sendall(start + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) + get("/healthz"))
        reply = read_reply(sock)
        assert reply.status == 404
        assert reply.headers["connection"] == "close"
        assert closed(sock)


def test_expect_100_continue_is_answered_before_the_body(running: Running) -> None:
    request = post("/v1/chat/completions", chat("nobody"), extra="expect: 100-continue\r\n")
    head, _, body = request.partition(b"\r\n\r\n")
    with running.connect() as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_reply(sock).status == 404


def test_expect_from_a_stranger_is_refused_without_asking_for_the_body(running: Running) -> None:
    request = post("/v1/chat/completions", chat(), key="wrong", extra="expect: 100-continue\r\n")
    with running.connect() as sock:
        sock.sendall(request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        reply = read_reply(sock)
        assert reply.status == 401
        assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(
    "lines",
    [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length : 5\r\n",
        "x: a\n",
    ],
)
def test_request_smuggling_is_refused_and_the_connection_closed(running: Running, lines: str) -> None:
    smuggled = b"0\r\n\r\n" + get("/v1/models")
    with running.connect() as sock:
        sock.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n{lines}\r\n".encode()
            + smuggled
        )
        rest = bytearray()
        reply = read_reply(sock, rest)
        assert reply.status in (400, 501)
        assert reply.headers["connection"] == "close"
        assert not rest, "a second request was answered"
        assert closed(sock)


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (post("/v1/chat/completions", chat(), key=""), 401, "invalid_api_key"),
        (post("/v1/chat/completions", chat(), key="sk-other"), 401, "invalid_api_key"),
        (post("/v1/chat/completions", chat("nobody")), 404, "model_not_found"),
        (post("/v1/chat/completions", b"{"), 400, "invalid_json"),
        (post("/v1/chat/completions", b""), 400, "invalid_json"),
        (post("/v1/chat/completions", b"[]"), 400, "invalid_json"),
        (post("/v1/chat/completions", b'{"model":"m","Model":"x","messages":[]}'), 400, "ambiguous_member"),
        (post("/v1/chat/completions", {"messages": []}), 400, "missing_required_parameter"),
        (post("/v1/chat/completions", {"model": "m"}), 400, "missing_required_parameter"),
        (post("/v1/chat/completions", chat(stream="yes")), 400, "invalid_type"),
        (post("/v1/chat/completions", chat(), ctype="text/plain"), 415, "wrong_content_type"),
        (post("/v1/chat/completions", b"x" * (BODY_MAX + 1)), 413, "body_too_large"),
        (get("/v1/chat/completions"), 405, "method_not_allowed"),
        (post("/v1/models", {}), 405, "method_not_allowed"),
        (get("/v1/models", key=""), 401, "invalid_api_key"),
        (get("/v1/models/nobody"), 404, "model_not_found"),
        (get("/v2/models"), 404, "route_not_found"),
        (get("/v1/calls/call_0"), 503, "control_unavailable"),
    ],
)
def test_each_refusal_is_clear_and_leaves_one_record(
    running: Running, request_bytes: bytes, status: int, code: str
) -> None:
    before = len(running.home.refused())
    reply = exchange(running, request_bytes)
    error = reply.json()["error"]
    assert (reply.status, error["code"]) == (status, code), reply.body
    assert error["type"]
    records = running.home.refused()[before:]
    assert [(record.code, record.status) for record in records] == [(code, status)]
    assert records[0].call == reply.headers["x-baseload-call-id"]
    assert records[0].call in error["message"]


def test_the_wrong_kind_of_body_is_told_the_right_one(running: Running) -> None:
    reply = exchange(running, post("/v1/audio/transcriptions", {"model": "m"}))
    assert reply.status == 415
    said = "content-type is 'application/json'; this endpoint takes multipart/form-data."
    assert said in reply.json()["error"]["message"]


def test_a_model_at_another_endpoint_says_where_it_is(running: Running) -> None:
    reply = exchange(running, post("/v1/images/generations", {"model": "m", "prompt": "a cat"}))
    said = reply.json()["error"]["message"]
    assert (reply.status, reply.json()["error"]["code"]) == (400, "endpoint_not_served")
    assert "does not serve /v1/images/generations. Call it at /v1/chat/completions, /v1/responses, /v1/messages" in said


def test_an_unknown_name_close_to_a_known_one_is_suggested(running: Running) -> None:
    reply = exchange(running, post("/v1/chat/completions", chat("mm")))
    assert "Did you mean m?" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/v1/messages", "'/v1/messages'"),
        ("/chat/completions", "'/v1/chat/completions'"),
        ("//v1/responses/", "'/v1/responses'"),
        ("/anthropic/v1/messages/count_tokens", "'/v1/messages/count_tokens'"),
        ("/openai/deployments/m/completions", "'/v1/completions'"),
        ("/v1/v1beta/models/m:countTokens", "'/v1beta/models/m:countTokens'"),
        ("/models", "'/v1/models'"),
    ],
)
def test_a_wrong_base_url_is_told_the_route_that_was_meant(running: Running, path: str, meant: str) -> None:
    reply = exchange(running, post(path, chat()))
    assert reply.status == 404
    said = reply.json()["error"]["message"]
    assert f"Did you mean {meant}? A base URL ends with /v1 for OpenAI's clients" in said


@pytest.mark.parametrize("path", ["/v1/moderations", "/v1beta/models/m:doThings", "/mymessages", "/"])
def test_a_path_that_is_near_nothing_gets_the_list(running: Running, path: str) -> None:
    reply = exchange(running, post(path, chat()))
    assert reply.status in (404, 405)
    assert "Did you mean" not in reply.json()["error"]["message"]


def test_a_large_refused_body_does_not_reset_the_reply(running: Running) -> None:
    big = post("/v1/chat/completions", b"x" * 3_000_000)
    with running.connect() as sock:
        sock.settimeout(10)
        sock.sendall(big)  # more than the gateway will read; it must still be able to answer
        assert read_reply(sock).status == 413
        assert closed(sock)


def test_a_head_without_end_is_refused(running: Running) -> None:
    with running.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: " + b"y" * 70_000)
        assert read_reply(sock).status == 431


def test_head_and_get_on_the_root(running: Running) -> None:
    assert exchange(running, get("/", key="", method="HEAD")).status == 200
    found = exchange(running, get("/", key=""))
    assert (found.status, found.headers["location"]) == (302, "http://127.0.0.1:8401/")


def test_http_1_0(running: Running) -> None:
    with running.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert read_reply(sock).body == b"ok\n"
        assert closed(sock)


def test_a_model_list_is_openais(running: Running) -> None:
    listed = exchange(running, get("/v1/models")).json()
    assert listed["object"] == "list"
    assert listed["data"][0].keys() == {"id", "object", "created", "owned_by"}
    assert exchange(running, get("/v1/models/m")).json() == listed["data"][0]


def test_metrics_are_prometheus_text(running: Running) -> None:
    text = exchange(running, get("/metrics", key="")).body.decode()
    for line in text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2
    assert "baseload_connections 1" in text


def test_lesson_42_no_route_serves_a_call_without_an_account(running: Running) -> None:
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings"):
        assert exchange(running, post(path, chat(), key="")).status == 401
