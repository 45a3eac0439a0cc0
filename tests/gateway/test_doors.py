"""What is special about a door: signatures, tokens that expire, paths of their own; providers that misunderstand."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from baseload.wire.canon.signature import seal
from tests.gateway import odd
from tests.gateway.harness import Home, chat, exchange, gateway, post, price, read_reply
from tests.gateway.test_protocol_ends import together
from tests.gateway.through import CLIENTS, DOORS, Everything, everything, offer
from tests.vendors import Fault, start

PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c6360000002000154a24f"
    )
).decode()


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with everything(tmp_path_factory.mktemp("doors")) as found:
        yield found


# Bedrock: SigV4 over the bytes that are sent.

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc_d-1"


@pytest.mark.parametrize("model", ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", ARN, "a b/ü+*~'()%2F"])
def test_bedrock_models_of_any_name_are_signed_as_they_are_sent(model: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("bedrock") as vendor:
        offer(home, vendor, "converse", model="m", upstream_model=model)
        with gateway(home) as running:
            for client in CLIENTS.values():
                for stream in (True, False):
                    reply = exchange(running, client.ask("m", "ünï \u2028 words=3", stream=stream))
                    assert reply.status == 200, reply.body
                    read = client.read(reply.body).text if stream else client.text(reply.json())
                    assert read == "w0 w1 w2"
            home.wait_readings(2 * len(CLIENTS))
        assert {request.headers["authorization"].partition(" ")[0] for request in vendor.requests} == {
            "AWS4-HMAC-SHA256"
        }


def test_a_wrong_secret_and_a_bearer_key_of_bedrock(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("bedrock", key="bedrock-api-key") as vendor:
        (tmp_path / "wrong").write_text("AKIASIMULATED00000001:not-the-secret")
        (tmp_path / "bearer").write_text("bedrock-api-key")
        for name in ("wrong", "bearer"):
            home.offer(
                vendor.provider_url,
                name,
                dialect="bedrock",
                endpoints=("converse",),
                credential=f"file:{tmp_path}/{name}",
            )
        with gateway(home) as running:
            assert exchange(running, CLIENTS["messages"].ask("wrong")).status == 529
            assert exchange(running, CLIENTS["messages"].ask("bearer")).status == 200
            wrong, bearer = home.wait_readings(2)
    assert (wrong.fault, bearer.outcome) == ("bad_key", "ok")


# Vertex: a token for all.


def tokens(vendor: Any) -> int:
    return sum(request.path.endswith("/token") for request in vendor.requests)


def test_fifty_first_calls_fetch_one_token(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("vertex", delay_s=0.0) as vendor:
        offer(home, vendor, "gemini", model="m")
        with gateway(home) as running:
            names = list(CLIENTS)

            def one(number: int) -> Callable[[], None]:
                client = CLIENTS[names[number % len(names)]]

                def run() -> None:
                    reply = exchange(running, client.ask("m", "words=3"))
                    assert client.read(reply.body).text == "w0 w1 w2"

                return run

            together([one(number) for number in range(50)])
            assert tokens(vendor) == 1
            assert {reading.outcome for reading in home.wait_readings(50)} == {"ok"}
            assert exchange(running, CLIENTS["chat"].ask("m")).status == 200
            assert tokens(vendor) == 1


def test_a_token_is_fetched_again_before_it_ends(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("vertex", token_life_s=4) as vendor:
        offer(home, vendor, "gemini", model="m")
        with gateway(home) as running:
            until = time.monotonic() + 5.5
            while time.monotonic() < until:
                assert exchange(running, CLIENTS["gemini"].ask("m")).status == 200, "no call meets an ended token"
                time.sleep(0.1)
            assert 2 <= tokens(vendor) <= 4


def test_a_token_that_is_dead_on_arrival_is_used_once_and_not_asked_for_in_a_circle(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("vertex", token_life_s=1) as vendor:
        offer(home, vendor, "gemini", model="m")
        with gateway(home) as running:
            for count in (1, 2):
                assert exchange(running, CLIENTS["gemini"].ask("m")).status == 200
                assert tokens(vendor) == count


def test_a_revoked_token_costs_one_call(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("vertex") as vendor:
        offer(home, vendor, "gemini", model="m")
        with gateway(home) as running:
            assert exchange(running, CLIENTS["gemini"].ask("m")).status == 200
            vendor.expire_tokens()
            assert exchange(running, CLIENTS["gemini"].ask("m")).status == 503
            assert exchange(running, CLIENTS["gemini"].ask("m")).status == 200
            assert tokens(vendor) == 2


@pytest.mark.parametrize("how", ["refused", "down", "broken", "silent"])
def test_without_a_token_every_call_ends_in_its_protocol(how: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    answers = {
        "refused": odd.whole(b'{"error":"invalid_grant","error_description":"no such account"}', b"400 Bad Request"),
        "broken": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    }

    def handler(sock: socket.socket, number: int) -> None:
        while odd.read_request(sock):
            if how == "silent":
                time.sleep(10)
                return
            sock.sendall(answers[how])

    with start("vertex") as vendor, odd.provider(handler) as url, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}/token" if how == "down" else url.replace("/v1", "/token")
        (tmp_path / "account").write_text(json.dumps({**vendor.account, "token_uri": uri}))
        home.offer(
            vendor.provider_url, dialect="vertex", endpoints=("gemini",), credential=f"file:{tmp_path}/account",
            first_byte_timeout_s=1.0,
        )  # fmt: skip
        with gateway(home) as running:
            busy = {"refused": (503, 529), "down": (503, 529), "broken": (502, 502), "silent": (504, 504)}[how]

            def one(client: str) -> Callable[[], None]:
                def run() -> None:
                    reply = exchange(running, CLIENTS[client].ask("m"))
                    assert reply.status == busy[client == "messages"], reply.body
                    assert "error" in reply.json()
                    assert b"no such account" not in reply.body

                return run

            together([one(client) for client in CLIENTS])
            readings = home.wait_readings(len(CLIENTS))
            assert running.stop() == 0
        assert vendor.requests == []
    assert {reading.sent_ns for reading in readings} == {0}
    assert all(not reading.meters for reading in readings), "nothing was sent, nothing is billed"


def test_a_client_that_leaves_while_a_token_is_awaited(tmp_path: Path) -> None:
    home = Home(tmp_path)
    asked = threading.Event()

    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        asked.set()
        time.sleep(1.0)
        sock.sendall(odd.whole(b'{"access_token":"t","expires_in":3600}'))

    with start("vertex", key="t") as vendor, odd.provider(handler) as url:
        (tmp_path / "account").write_text(json.dumps({**vendor.account, "token_uri": url}))
        home.offer(vendor.provider_url, dialect="vertex", endpoints=("gemini",), credential=f"file:{tmp_path}/account")
        with gateway(home) as running:
            with running.connect() as sock:
                sock.sendall(CLIENTS["chat"].ask("m"))
                assert asked.wait(10)
            (reading,) = home.wait_readings(1)
            assert (reading.outcome, reading.sent_ns) == ("client_left", 0)
            assert exchange(running, CLIENTS["chat"].ask("m")).status == 200, "the token came for the next"
            assert len(vendor.requests) == 1


# Qwen's native door has two paths.


def image(client: str) -> dict[str, Any]:
    url = f"data:image/png;base64,{PNG}"
    parts: dict[str, dict[str, Any]] = {
        "chat": {"messages": [{"role": "user", "content": [
            {"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": url}},
        ]}]},
        "responses": {"input": [{"role": "user", "content": [
            {"type": "input_text", "text": "what"}, {"type": "input_image", "image_url": url},
        ]}]},
        "messages": {"messages": [{"role": "user", "content": [
            {"type": "text", "text": "what"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ]}]},
        "gemini": {"contents": [{"role": "user", "parts": [
            {"text": "what"}, {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ]}]},
    }  # fmt: skip
    return parts["gemini" if client == "array" else client]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stream", [True, False])
def test_images_and_vision_models_take_the_multimodal_path(client: str, stream: bool, tmp_path: Path) -> None:
    home = Home(tmp_path)
    speaks = CLIENTS[client]
    with start("dashscope") as vendor:
        offer(home, vendor, "qwen", model="m", upstream_model="qwen-max")
        offer(home, vendor, "qwen", model="vl", upstream_model="qwen3-vl-plus")
        with gateway(home) as running:
            seen = []
            for model, more in (("m", image(client)), ("m", {}), ("vl", image(client)), ("vl", {})):
                reply = exchange(running, speaks.ask(model, stream=stream, **more))
                assert reply.status == 200, reply.body
                text = speaks.read(reply.body).text if stream else speaks.text(reply.json())
                wanted = "echo what saw image image/png of" if more else "echo hello"
                assert text.startswith(wanted), text
                seen.append("multimodal" in vendor.requests[-1].path)
                assert vendor.requests[-1].headers.get("x-dashscope-sse", "") == ("enable" if stream else "")
            readings = home.wait_readings(4)
    assert seen == [True, False, True, True]
    assert all(reading.output_provenance == "reported" and reading.meters["output_total"] for reading in readings)


# Lesson 53: frames of any size.


@pytest.mark.parametrize("door", DOORS)
def test_lesson_53_frames_of_64_kb_1_mb_and_20_mb(door: str, grid: Everything) -> None:
    for size in (64 * 2**10, 2**20, 20 * 2**20):
        clients = list(CLIENTS) if size < 2**22 else [name for name in ("messages", "chat") if name != door][:1]
        for client in clients:
            speaks = CLIENTS[client]
            grid.vendors[door].script(Fault(words=2, word_bytes=size))
            with grid.running.connect(60) as sock:
                sock.sendall(speaks.ask(door))
                reply = read_reply(sock)
            read = speaks.read(reply.body)
            assert (len(read.text), read.ended, read.error) == (2 * size + 1, True, None), (client, size)
            assert grid.reading(reply).outcome == "ok"


# Providers that answer in the other form.


@pytest.mark.parametrize("client", ["chat", "responses", "messages", "gemini", "array"])
def test_a_stream_that_nobody_asked_for_and_one_that_does_not_come(client: str, tmp_path: Path) -> None:
    """A chat provider streams a plain request, and answers a stream whole; so does one of the client's own protocol."""
    home = Home(tmp_path)
    speaks = CLIENTS[client]
    protocol = "gemini" if client == "array" else client
    own = {"chat": "openai", "responses": "openai", "messages": "anthropic", "gemini": "gemini"}[protocol]
    with start(own) as vendor:
        offer(home, vendor, protocol, model="probe")
        with gateway(home, log="probe.log") as running:  # what the vendor says in both forms, byte for byte
            whole_said = exchange(running, post(CLIENTS[protocol].path("probe", False), {
                **CLIENTS[protocol].body("probe", "words=3", False),
            })).body  # fmt: skip
            stream_said = exchange(running, CLIENTS[protocol].ask("probe", "words=3")).body
            home.wait_readings(2)

    def handler(sock: socket.socket, number: int) -> None:
        while request := odd.read_request(sock):
            said_chat = b"/chat/completions" in request
            streamed = b'"stream":true' in request.replace(b" ", b"") or b"streamGenerateContent" in request
            plain = odd.PLAIN if said_chat else whole_said
            frames = odd.ROLE + odd.frame("hi") + odd.STOP + odd.USAGE + odd.DONE if said_chat else stream_said
            sock.sendall(odd.whole(plain) if streamed else odd.SSE + odd.chunk(frames) + odd.END)

    home = Home(tmp_path / "other")
    with odd.provider(handler) as url:
        home.offer(url, "m", endpoints=("chat",))
        home.offer(url, "own", endpoints=(protocol,), dialect=own)
        with gateway(home) as running:
            texts = {"m": "hi", "own": "hi" if protocol == "chat" else "w0 w1 w2"}
            for model, text in texts.items():
                streamed = exchange(running, speaks.ask(model))
                read = speaks.read(streamed.body)
                assert (streamed.status, read.text, read.ended, read.error) == (200, text, True, None), (
                    model, streamed.body,
                )  # fmt: skip
                kind = "application/json" if client == "array" else "text/event-stream"
                assert streamed.headers["content-type"].startswith(kind)
                whole = exchange(running, speaks.ask(model, stream=False))
                assert (whole.status, whole.headers["content-type"]) == (200, "application/json")
                assert speaks.text(whole.json()) == text, whole.body
            readings = home.wait_readings(4)
    assert {(reading.outcome, reading.output_provenance) for reading in readings} == {("ok", "reported")}
    assert [reading.stream for reading in readings] == [True, False, True, False]


def test_an_unasked_stream_that_breaks_is_an_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    ends = iter((odd.chunk(odd.ERROR) + odd.END, odd.END, b""))

    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(odd.ROLE + odd.frame("hi")) + next(ends))

    with odd.provider(handler) as url:
        home.offer(url, endpoints=("chat",))
        with gateway(home) as running:
            for _ in range(3):
                assert exchange(running, post("/v1/chat/completions", chat())).status in (429, 502)
            readings = home.wait_readings(3)
    assert [reading.outcome for reading in readings] == ["upstream_error", "upstream_cut", "upstream_cut"]


# What cannot be carried.


def test_the_next_offer_in_merit_order_takes_what_the_cheapest_cannot_carry(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prices = [price(1), price(2, output="5"), price(3, output="9")]
    link = [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}]
    with start("bedrock") as bedrock, start("anthropic") as anthropic, start("openai") as openai:
        offer(home, bedrock, "converse", model="m")
        offer(home, anthropic, "messages", model="m", prices=(2,))
        offer(home, openai, "chat", model="m", prices=(3,))
        offer(home, bedrock, "converse", model="only")
        with gateway(home) as running:

            def ask(model: str = "m", extra: str = "", **more: Any) -> Any:
                return exchange(running, post("/v1/chat/completions", {**chat(model), **more}, extra=extra))

            pictured = [{"role": "user", "content": link}]
            assert ask().headers["x-baseload-offer"] == "m@p1"
            assert ask(messages=pictured).headers["x-baseload-offer"] == "m@p2"
            assert ask(n=2).headers["x-baseload-offer"] == "m@p3"
            assert len(ask(n=2, messages=pictured).json()["choices"]) == 2
            held = [entry for entry in home.journal() if type(entry).__name__ == "Hold"]
            assert [entry.cost_price for entry in held] == [1, 2, 3, 3], "the hold is of the offer that was taken"
            for more, param in (
                ({"messages": pictured}, "messages.0.content.1"), ({"n": 2}, "n"), ({"logprobs": True}, "logprobs"),
            ):  # fmt: skip
                reply = ask("only", **more)
                assert (reply.status, reply.json()["error"]["code"]) == (400, "unsupported_after_translation")
                assert reply.json()["error"]["param"].startswith(param), reply.body
            dropped = ask(seed=1, user="u", stream=True)
            assert dropped.headers["x-baseload-offer"] == "m@p1"
            assert set(dropped.headers["x-baseload-dropped"].split(", ")) == {"seed", "user"}
            lossless = ask(seed=1, user="u", extra="x-baseload-lossless: true\r\n")
            assert lossless.headers["x-baseload-offer"] == "m@p3", "the one that drops nothing"
            assert "x-baseload-dropped" not in lossless.headers
            refused = ask("only", seed=1, extra="X-Baseload-Lossless:true\r\n")
            assert (refused.status, refused.json()["error"]["param"]) == (400, "seed")
            spaced = ask("only", seed=1, extra="x-baseload-lossless:  TRUE \r\n")
            assert (spaced.status, spaced.json()["error"]["param"]) == (400, "seed")
            assert ask("only", seed=1, extra="x-baseload-lossless: false\r\n").status == 200
            unclear = ask("only", seed=1, extra="x-baseload-lossless: yes\r\n")
            assert (unclear.status, unclear.json()["error"]["code"]) == (400, "invalid_value")
            assert b"seed" not in openai.requests[0].body
            assert openai.requests[-1].json["seed"] == 1


def test_sealed_thinking_that_a_forwarded_body_goes_without_is_named(tmp_path: Path) -> None:
    sealed = {"type": "thinking", "thinking": "hm", "signature": seal("gemini/g", "sig")}
    said = {"role": "assistant", "content": [sealed, {"type": "text", "text": "yes"}]}
    turns = [{"role": "user", "content": "hi"}, said, {"role": "user", "content": "go on"}]
    body = {"model": "m", "max_tokens": 50, "messages": turns}
    home = Home(tmp_path)
    with start("anthropic") as anthropic:
        offer(home, anthropic, "messages", model="m")
        with gateway(home) as running:
            reply = exchange(running, post("/v1/messages", body))
            assert (reply.status, reply.headers["x-baseload-dropped"]) == (200, "messages.1.content.0")
            refused = exchange(running, post("/v1/messages", body, extra="x-baseload-lossless: true\r\n"))
            assert (refused.status, refused.json()["error"]["type"]) == (400, "invalid_request_error")
