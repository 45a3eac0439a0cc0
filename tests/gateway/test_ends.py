"""Every call ends, once: odd providers, odd configurations, slow readers, and what the next call must not notice."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from pathlib import Path

import msgspec
import pytest

from baseload.gateway.journal.entries import Progress
from tests.gateway import odd
from tests.gateway.harness import Home, Running, chat, exchange, gateway, get, post, price, read_reply
from tests.vendors import Fault, start

STREAM = post("/v1/chat/completions", chat(stream=True))
ASKED = post("/v1/chat/completions", chat(stream=True, stream_options={"include_usage": True}))
WHOLE = post("/v1/chat/completions", chat())


def test_a_call_that_could_cost_more_than_the_books_hold_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            for n in (2**31 - 1, 2**30):
                reply = exchange(running, post("/v1/chat/completions", chat(n=n, max_tokens=2**31 - 1)))
                assert (reply.status, reply.json()["error"]["code"]) == (400, "call_too_large")
            assert exchange(running, WHOLE).status == 200


UNREACHABLE = [
    {"ca_file": "/nowhere/ca.pem"},
    {"base_url": "http://a..b/v1"},
    {"base_url": f"http://{'a' * 70}.com/v1"},
]


@pytest.mark.parametrize("row", UNREACHABLE)
def test_a_provider_that_cannot_be_reached_as_declared(row: dict[str, str], tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.offer(**{"base_url": "https://127.0.0.1:1/v1", **row})
    with gateway(home) as running:
        reply = exchange(running, WHOLE)
        assert reply.status == 503
        assert exchange(running, get("/healthz")).status == 200


def test_a_bad_credential_file_takes_only_its_offer_out(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, "bad", credential=f"file:{tmp_path}/key")
        home.offer(upstream.base_url, "odd", credential="sealed:!!!")
        home.offer(upstream.base_url, "m")
        with gateway(home) as running:
            assert exchange(running, WHOLE).status == 200
            assert exchange(running, post("/v1/chat/completions", chat("bad"))).status == 503
            assert exchange(running, post("/v1/chat/completions", chat("odd"))).status == 503


def many(running: Running, count: int, request: bytes = WHOLE) -> list[socket.socket]:
    socks = []
    for _ in range(count):
        sock = running.connect()
        sock.sendall(request)
        socks.append(sock)
        time.sleep(0.05)
    return socks


def test_calls_that_wait_for_a_connection_survive_a_new_snapshot(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start(delay_s=0.7) as upstream:
        home.offer(upstream.base_url, connections_max=1, connect_timeout_s=10.0)
        with gateway(home) as running:
            socks = many(running, 3)
            home.providers[0] = msgspec.structs.replace(home.providers[0], idle_timeout_s=33.0)
            home.publish()
            assert [read_reply(sock).status for sock in socks] == [200] * 3
            home.wait_readings(3)


def test_waiting_for_a_connection_has_a_limit(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start(delay_s=4.0) as upstream:
        home.offer(upstream.base_url, connections_max=1, connect_timeout_s=0.5)
        with gateway(home) as running:
            first, second = many(running, 2)
            began = time.monotonic()
            reply = read_reply(second)
            assert (reply.status, reply.json()["error"]["code"]) == (503, "overloaded")
            assert time.monotonic() - began < 3.5
            assert read_reply(first).status == 200


def test_lesson_43_leaving_after_done_is_one_reading(tmp_path: Path) -> None:
    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(odd.ROLE + odd.frame() + odd.STOP + odd.USAGE + odd.DONE))
        time.sleep(0.3)
        sock.sendall(odd.chunk(b": trailing\n\n") + odd.chunk(odd.USAGE) + odd.END)
        time.sleep(0.3)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running:
            with running.connect() as sock:
                sock.sendall(STREAM)
                data = b""
                while b"[DONE]" not in data:
                    data += sock.recv(65536)
            time.sleep(0.8)
            (reading,) = home.readings()
    assert reading.outcome == "ok"


def test_an_error_frame_with_garbage_behind_it_ends_the_reply_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    broken = odd.replies(odd.SSE, odd.chunk(odd.ROLE + odd.frame() + odd.ERROR), b"this is no chunk\r\n")
    with odd.provider(broken) as url:
        home.offer(url)
        with gateway(home) as running, running.connect() as sock:
            rest = bytearray()
            for _ in range(3):
                sock.sendall(STREAM)
                reply = read_reply(sock, rest)
                assert b'"error"' in reply.body
                assert b"secret" not in reply.body
            sock.sendall(get("/healthz"))
            assert read_reply(sock, rest).body == b"ok\n"
            assert not rest
            home.wait_readings(3)


def test_the_first_text_is_noted_at_once(tmp_path: Path) -> None:
    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(odd.ROLE))
        time.sleep(0.2)
        sock.sendall(odd.chunk(odd.frame()))
        time.sleep(10)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running, running.connect() as sock:
            sock.sendall(STREAM)
            data = b""
            while b'"hi"' not in data:
                data += sock.recv(65536)
            time.sleep(0.05)
            running.kill()
    assert [entry.frames for entry in home.journal() if isinstance(entry, Progress)] == [1]


@pytest.mark.parametrize("closing", [True, False])
def test_a_stream_that_ends_without_a_finish_is_cut(closing: bool, tmp_path: Path) -> None:
    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        if closing:
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + odd.ROLE + odd.frame()[:-9])
        else:
            sock.sendall(odd.SSE + odd.chunk(odd.ROLE + odd.frame()) + odd.END)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running:
            reply = exchange(running, ASKED)
            (reading,) = home.wait_readings(1)
    last = [part for part in reply.body.split(b"\n\n") if part][-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]
    assert reading.outcome == "upstream_cut"


def slow_read(sock: socket.socket, per_s: float) -> bytes:
    data = bytearray()
    while True:
        piece = sock.recv(256 * 1024)
        if not piece:
            return bytes(data)
        data += piece
        time.sleep(len(piece) / per_s)


@pytest.mark.parametrize("stop", [False, True])
def test_a_slow_reader_gets_all_of_a_reply_that_ends_its_connection(stop: bool, tmp_path: Path) -> None:
    size = 12_000_000
    body = odd.PLAIN.replace(b'"hi"', b'"' + b"x" * size + b'"')
    home = Home(tmp_path)
    with odd.provider(odd.replies(odd.whole(body))) as url:
        home.offer(url)
        with gateway(home) as running, running.connect(60) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.sendall(post("/v1/chat/completions", chat(), extra="" if stop else "connection: close\r\n"))
            head = sock.recv(100)
            if stop:
                running.process.terminate()
            data = head + slow_read(sock, 3_500_000)
            assert len(data) > size
            if stop:
                assert running.process.wait(10) == 0


def test_a_slow_reader_is_not_the_providers_time_out(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, idle_timeout_s=0.5)
        upstream.script(Fault(flood_bytes=30 * 2**20))
        with gateway(home) as running, running.connect(60) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.sendall(STREAM)
            time.sleep(4)
            reply = read_reply(sock)
            (reading,) = home.wait_readings(1)
    assert b"[DONE]" in reply.body[-100:]
    assert reading.outcome == "ok"


@pytest.mark.parametrize("request_bytes", [STREAM, ASKED])
def test_wherever_an_error_frame_is_cut_the_clients_stream_stays_whole(request_bytes: bytes, tmp_path: Path) -> None:
    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(odd.ROLE + odd.frame()))
        sock.sendall(odd.chunk(odd.ERROR[:30]))
        time.sleep(0.1)
        sock.sendall(odd.chunk(odd.ERROR[30:]) + odd.END)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running:
            reply = exchange(running, request_bytes)
    for part in filter(None, reply.body.split(b"\n\n")):
        json.loads(part.removeprefix(b"data: "))
    assert b"secret" not in reply.body
    assert b'"error"' in reply.body


def test_done_is_never_seen_before_its_reading_by_one_who_asked_for_usage(tmp_path: Path) -> None:
    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(odd.ROLE + odd.frame() + odd.STOP + odd.USAGE + odd.DONE[:-1]))
        time.sleep(0.3)
        sock.sendall(odd.chunk(b"\n") + odd.END)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running, running.connect() as sock:
            sock.sendall(ASKED)
            data = b""
            while b"[DONE]" not in data:
                data += sock.recv(65536)
            assert [reading.outcome for reading in home.readings()] == ["ok"]


def test_a_failure_frame_and_then_silence(tmp_path: Path) -> None:
    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(odd.ERROR))
        time.sleep(15)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url, dialect="openrouter")
        with gateway(home) as running:
            began = time.monotonic()
            reply = exchange(running, STREAM)
    assert reply.status == 429
    assert time.monotonic() - began < 5


def test_done_ends_the_reply_whatever_the_provider_does_then(tmp_path: Path) -> None:
    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(odd.ROLE + odd.frame() + odd.STOP + odd.USAGE + odd.DONE))
        time.sleep(15)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running:
            began = time.monotonic()
            assert exchange(running, STREAM).complete
            assert time.monotonic() - began < 5
            assert running.stop(5) == 0


def test_names_of_calls_in_any_alphabet(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with gateway(home) as running:
        for name in ("%E4%BD%A0", "a%0d%0ab", "..%2f..", "x" * 100):
            assert exchange(running, get(f"/v1/calls/{name}")).status == 404


def test_an_offer_that_reports_one_choice_does_not_hide_another(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prices = [price(1, output="1"), price(2, output="9")]
    with start("llamacpp") as engine, start() as vendor:
        home.offer(engine.base_url, dialect="llamacpp", prices=(1,))
        home.offer(vendor.base_url, prices=(2,))
        with gateway(home) as running:
            assert exchange(running, WHOLE).headers["x-baseload-offer"] == "m@p1"
            assert exchange(running, post("/v1/chat/completions", chat(n=2))).headers["x-baseload-offer"] == "m@p2"


def rss_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_lesson_52_pipelining_without_reading_holds_one_reply(tmp_path: Path) -> None:
    body = odd.PLAIN.replace(b'"hi"', b'"' + b"x" * 4_000_000 + b'"')
    home = Home(tmp_path)
    with odd.provider(odd.replies(odd.whole(body))) as url:
        home.offer(url)
        with gateway(home) as running, running.connect(60) as sock:
            exchange(running, WHOLE)
            before = rss_kb(running.process.pid)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.sendall(WHOLE * 20)
            time.sleep(2)
            assert rss_kb(running.process.pid) - before < 40_000
            rest = bytearray()
            for _ in range(20):
                assert read_reply(sock, rest).status == 200


def test_a_stranger_cannot_make_the_gateway_hold_a_body(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with gateway(home) as running:
        for path in ("/healthz", "/", "/metrics", "/v1/models"):
            with running.connect() as sock:
                sock.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 60000000\r\n\r\n".encode())
                assert read_reply(sock).status in (400, 401)


def test_a_second_reply_in_the_same_read_changes_nothing(tmp_path: Path) -> None:
    stray = odd.whole(b'{"error":{"message":"stray"}}', b"500 Internal Server Error")
    home = Home(tmp_path)
    with odd.provider(odd.replies(odd.whole(odd.PLAIN), stray)) as url:
        home.offer(url)
        with gateway(home) as running:
            for _ in range(3):
                reply = exchange(running, WHOLE)
                assert (reply.status, reply.body) == (200, odd.PLAIN)
            readings = home.wait_readings(3)
    assert {(reading.outcome, reading.meters["output_total"]) for reading in readings} == {("ok", 2)}


def test_interim_replies_are_skipped_and_bounded(tmp_path: Path) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"

    def handler(sock: socket.socket, number: int) -> None:
        while odd.read_request(sock):
            sock.sendall(interim * (3 if number == 0 else 100_000))
            sock.sendall(odd.whole(odd.PLAIN, extra=b"connection: close\r\n"))
            return

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running:
            assert exchange(running, WHOLE).body == odd.PLAIN
            began = time.monotonic()
            assert exchange(running, WHOLE).status == 502
            assert time.monotonic() - began < 3


def test_a_connection_with_an_unsent_request_is_not_used_again(tmp_path: Path) -> None:
    def handler(sock: socket.socket, number: int) -> None:
        if number == 0:
            sock.recv(1000)
            sock.sendall(odd.whole(b'{"error":{"message":"no","code":"x"}}', b"400 Bad Request"))
            time.sleep(10)
        else:
            while odd.read_request(sock):
                sock.sendall(odd.whole(odd.PLAIN))

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running:
            assert exchange(running, post("/v1/chat/completions", chat("m", "x" * 20_000_000))).status == 400
            began = time.monotonic()
            assert exchange(running, WHOLE).status == 200
            assert time.monotonic() - began < 5


def test_a_plain_drain_is_bounded_in_bytes(tmp_path: Path) -> None:
    """The limit is 64 MB: a provider that goes on beyond it is cut off, and the call still ends."""
    begun, sent = threading.Event(), threading.Event()

    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900000000\r\n\r\n")
        begun.set()
        with contextlib.suppress(OSError):
            for _ in range(2000):
                sock.sendall(b" " * 2**20)
            return
        sent.set()

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url, abort="continues")
        with gateway(home) as running:
            with running.connect() as sock:
                sock.sendall(WHOLE)
                assert begun.wait(10)
            (reading,) = home.wait_readings(1, 30)
            assert sent.wait(10), "the provider's connection was closed"
    assert reading.outcome == "client_left"
