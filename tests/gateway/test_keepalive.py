"""Keep-alives, of providers and our own (pitfall 24, lesson 63): no first token, no status, and never silence."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from baseload.gateway.limits import Limits, read_limits
from tests.gateway import odd
from tests.gateway.harness import Home, gateway, read_reply
from tests.gateway.test_protocol_ends import together
from tests.gateway.through import CLIENTS, DOORS, Everything, everything, offer, sse
from tests.vendors import Fault, start

BEATS = {
    "chat": b": keep-alive\n\n",
    "responses": b": keep-alive\n\n",
    "messages": b'event: ping\ndata: {"type": "ping"}\n\n',
    "gemini": b"\n",
    "array": b"\n",
}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    """A gateway that loses its patience soon."""
    args = ("--limit", "beat_s=0.5", "--limit", "commit_s=0.5")
    with everything(tmp_path_factory.mktemp("beats"), args=args) as found:
        yield found


def test_a_running_stream_that_is_silent_is_kept_alive_in_the_clients_protocol(hasty: Everything) -> None:
    """The provider says a part of its text, is silent for seconds, and goes on."""
    for vendor in hasty.vendors.values():
        vendor.always = Fault(stall="body", stall_at=4000, stall_s=2.5, words=60)
    whole = " ".join(f"w{number}" for number in range(60))

    def one(client: str, door: str) -> Callable[[], None]:
        def run() -> None:
            body = hasty.send(CLIENTS[client].ask(door)).body
            read = CLIENTS[client].read(body)
            assert (read.text, read.ended, read.error) == (whole, True, None), (client, door)
            if client in ("gemini", "array"):
                spare = b"\n\n\n" in body or b"\n," in body or b",\n\n" in body or b"\n\n" in body
                assert spare, (client, door)
            else:
                assert BEATS[client] in body, (client, door)

        return run

    together([one(client, door) for client in CLIENTS for door in DOORS])
    for vendor in hasty.vendors.values():
        vendor.always = Fault()


@pytest.mark.parametrize("vendor", ["deepseek", "openrouter", "anthropic"])
@pytest.mark.parametrize("client", CLIENTS)
def test_pitfall_24_beats_before_the_first_text_commit_no_status(client: str, vendor: str, tmp_path: Path) -> None:
    """Comments and pings, then a failure: still an HTTP error. Then beats and text: no beat is taken for a token."""
    home = Home(tmp_path)
    door = "messages" if vendor == "anthropic" else "chat"
    speaks = CLIENTS[client]
    with start(vendor) as upstream:
        offer(home, upstream, door, model="m")
        upstream.script(Fault(beats=5, error_after=0, interval_s=0.02), Fault(beats=5, words=3, interval_s=0.02))
        with gateway(home) as running, running.connect() as sock:
            rest = bytearray()
            sock.sendall(speaks.ask("m"))
            assert read_reply(sock, rest).status >= 500
            sock.sendall(speaks.ask("m"))
            reply = read_reply(sock, rest)
            read = speaks.read(reply.body)
            readings = home.wait_readings(2)
    assert (reply.status, read.text, read.ended) == (200, "w0 w1 w2", True)
    assert readings[1].output_provenance == "reported"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_does_not_wait_for_ever_for_a_status(client: str, tmp_path: Path) -> None:
    """The provider opens its stream and thinks on in silence: after commit_s the reply begins, and is kept alive."""
    go = threading.Event()

    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(b": waiting\n\n" + odd.ROLE))
        go.wait(20)
        sock.sendall(odd.chunk(odd.frame("hi") + odd.STOP + odd.USAGE + odd.DONE) + odd.END)

    home = Home(tmp_path)
    speaks = CLIENTS[client]
    with odd.provider(handler) as url:
        home.offer(url, endpoints=("chat",))
        args = ("--limit", "commit_s=0.4", "--limit", "beat_s=0.4")
        with gateway(home, args=args) as running, running.connect(20) as sock:
            sock.sendall(speaks.ask("m"))
            data = b""
            while data.count(b"\r\n\r\n") < 1 or len(data.partition(b"\r\n\r\n")[2]) < 12:
                piece = sock.recv(65536)  # the head and something, while the provider says nothing more
                assert piece
                data += piece
            assert data.startswith(b"HTTP/1.1 200 ")
            go.set()
            reply = read_reply(sock, bytearray(data))
    read = speaks.read(reply.body)
    assert (read.text, read.ended, read.error) == ("hi", True, None)


@pytest.mark.parametrize("client", CLIENTS)
def test_an_opening_that_has_no_counterpart_begins_the_reply_too(client: str, tmp_path: Path) -> None:
    """A role chunk is nothing to a Gemini client; its connection is kept alive all the same."""
    go = threading.Event()

    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(odd.ROLE))
        go.wait(20)
        sock.sendall(odd.chunk(odd.frame("hi") + odd.STOP + odd.USAGE + odd.DONE) + odd.END)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url, endpoints=("chat",))
        args = ("--limit", "commit_s=0.3", "--limit", "beat_s=0.3")
        with gateway(home, args=args) as running, running.connect(20) as sock:
            sock.sendall(CLIENTS[client].ask("m"))
            data = sock.recv(65536)
            assert data.startswith(b"HTTP/1.1 200 "), data
            go.set()
            read = CLIENTS[client].read(read_reply(sock, bytearray(data)).body)
    assert (read.text, read.ended, read.error) == ("hi", True, None)


def test_what_was_held_back_comes_first_and_once(tmp_path: Path) -> None:
    """The opening of a stream, however it arrives, is the opening of the client's stream."""

    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + odd.chunk(b": one\n\n"))
        for at in range(0, len(odd.ROLE), 40):
            time.sleep(0.02)
            sock.sendall(odd.chunk(odd.ROLE[at : at + 40]))
        sock.sendall(odd.chunk(odd.frame("a")) + odd.chunk(odd.frame("b") + odd.STOP + odd.DONE) + odd.END)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url, endpoints=("chat",))
        with gateway(home) as running, running.connect() as sock:
            sock.sendall(CLIENTS["chat"].ask("m"))
            body = read_reply(sock).body
    assert body == b": one\n\n" + odd.ROLE + odd.frame("a") + odd.frame("b") + odd.STOP + odd.DONE


def test_an_endless_opening_is_not_held(tmp_path: Path) -> None:
    """More than a quarter of a megabyte without a token begins the reply: memory beats the status."""
    opening = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","x":"%b"}}]}\n\n' % (b"x" * 9000)

    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE)
        for _ in range(60):
            sock.sendall(odd.chunk(opening))
        sock.sendall(odd.chunk(odd.ERROR) + odd.END)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url, endpoints=("chat",))
        with gateway(home) as running, running.connect() as sock:
            sock.sendall(CLIENTS["chat"].ask("m"))
            reply = read_reply(sock)
            home.wait_readings(1)
    assert reply.status == 200
    frames = sse(reply.body)
    assert len(frames) == 61
    assert frames[-1]["error"]


def test_limits_are_given_by_name() -> None:
    assert read_limits(["beat_s=0.5", "drains_max=3"], Limits()) == Limits(beat_s=0.5, drains_max=3)
    for wrong in ("beat_s=soon", "nothing=1", "drains_max=1.5", "beat_s=-1", "beat_s=nan", "beat_s"):
        with pytest.raises(Exception, match="limit"):
            read_limits([wrong], Limits())
    assert json.dumps(Limits().commit_s) == "10.0"
