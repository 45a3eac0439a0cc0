"""Clients that leave, read slowly or pile up: nothing is lost, nothing grows, nobody waits for them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.gateway import odd
from tests.gateway.harness import Home, Running, chat, exchange, gateway, post
from tests.vendors import Fault, start

WORDS = 60


def leave_after(running: Running, request: bytes, count: int) -> int:
    """Reads at least `count` text frames of a stream, then closes; gives the frames that had come."""
    data = b""
    with running.connect() as sock:
        sock.sendall(request)
        while data.count(b'"content":') < count:
            piece = sock.recv(65536)
            assert piece, data
            data += piece
    return data.count(b'"content":')


STREAM = post("/v1/chat/completions", chat(stream=True))


@pytest.mark.parametrize("abort", ["stops", "continues", "unknown"])
def test_lesson_02_a_client_that_leaves_a_stream(abort: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, abort=abort)
        upstream.script(Fault(words=WORDS, interval_s=0.02))
        with gateway(home) as running:
            seen = leave_after(running, STREAM, 5)
            (reading,) = home.wait_readings(1)
        (request,) = upstream.wait(1, done=True)
    assert (reading.outcome, reading.status) == ("client_left", 0)
    assert seen - 1 <= reading.delivered_output <= seen + 5
    if abort == "stops":
        assert request.left, "the provider's connection was closed at once"
        assert reading.output_provenance == "estimated"
        assert reading.meters["output_total"] == reading.delivered_output
    else:
        assert not request.left, "the reply was read to its end"
        assert reading.output_provenance == "reported"
        assert reading.meters["output_total"] == WORDS > reading.delivered_output


@pytest.mark.parametrize(("kind", "abort", "left"), [("vendor", "stops", False), ("engine", "stops", True)])
def test_a_client_that_leaves_before_a_plain_reply(kind: str, abort: str, left: bool, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, kind=kind, abort=abort)
        upstream.script(Fault(delay_s=0.5))
        with gateway(home) as running:
            with running.connect() as sock:
                sock.sendall(post("/v1/chat/completions", chat()))
                upstream.wait(1)
            (reading,) = home.wait_readings(1)
    assert reading.outcome == "client_left"
    assert reading.delivered_output == 0
    if left:
        assert reading.output_provenance in ("estimated", "missing")
    else:
        assert reading.output_provenance == "reported", "a plain call is billed in full: the reply was awaited"
        assert reading.meters["output_total"] > 0


def test_lesson_03_leaving_before_anything_was_sent_costs_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with socket.socket() as silent:  # accepts no connection: its backlog is full
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        fill = []
        with contextlib.suppress(OSError):
            for _ in range(8):
                probe = socket.socket()
                probe.setblocking(False)
                fill.append(probe)
                with contextlib.suppress(BlockingIOError):
                    probe.connect(silent.getsockname())
        home.offer(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", connect_timeout_s=3.0)
        with gateway(home) as running:
            with running.connect() as sock:
                sock.sendall(STREAM)
                time.sleep(0.3)
            (reading,) = home.wait_readings(1)
        for probe in fill:
            probe.close()
    assert reading.outcome == "client_left"
    assert reading.sent_ns == 0
    assert reading.meters == {}
    assert reading.input_provenance == reading.output_provenance == "counted"


def test_leaving_after_the_last_byte_is_no_leaving(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, abort="stops")
        with gateway(home) as running:
            for _ in range(20):
                data = b""
                with running.connect() as sock:
                    sock.sendall(STREAM)
                    while b"[DONE]" not in data:
                        data += sock.recv(65536)
            readings = home.wait_readings(20)
    assert {reading.outcome for reading in readings} == {"ok"}, "the reading was written before [DONE] could be seen"


def accepts(running: Running) -> bool:
    try:
        running.connect(1).close()
    except OSError:
        return False
    return True


def rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_lesson_52_a_slow_reader_stalls_the_provider_and_memory_stays_flat(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        upstream.script(Fault(flood_bytes=100 * 2**20))
        with gateway(home) as running:
            exchange(running, post("/v1/chat/completions", chat("nobody")))
            before = rss_kb(running.process.pid)
            with running.connect(60) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                sock.sendall(STREAM)
                time.sleep(2.0)  # reads nothing meanwhile
                stalled = rss_kb(running.process.pid)
                total = 0
                tail = b""
                while not tail.endswith(b"0\r\n\r\n"):
                    piece = sock.recv(1 << 20)
                    assert piece
                    total += len(piece)
                    tail = (tail + piece)[-64:]
                after = rss_kb(running.process.pid)
            (reading,) = home.wait_readings(1)
    assert total > 100 * 2**20
    assert reading.outcome == "ok"
    assert stalled - before < 20_000, f"{stalled - before} KB for one stalled stream"
    assert after - before < 30_000


def test_lesson_51_a_thousand_long_streams_hold_no_replies(tmp_path: Path) -> None:
    """Each stream carries 40 KB; a gateway that kept replies would hold 40 MB more than it does idle."""
    home = Home(tmp_path)
    count = 1000
    with start(words=40, word_bytes=1000, interval_s=0.05) as upstream:
        home.offer(upstream.base_url, connections_max=2000)
        with gateway(home) as running:
            exchange(running, post("/v1/chat/completions", chat("nobody")))
            before = rss_kb(running.process.pid)
            socks = []
            for _ in range(count):
                sock = running.connect(60)
                sock.sendall(STREAM)
                socks.append(sock)
            peak = 0
            done = threading.Event()

            def watch() -> None:
                nonlocal peak
                while not done.wait(0.2):
                    peak = max(peak, rss_kb(running.process.pid))

            watcher = threading.Thread(target=watch)
            watcher.start()
            for sock in socks:
                tail = b""
                while not tail.endswith(b"0\r\n\r\n"):
                    piece = sock.recv(1 << 20)
                    assert piece
                    tail = (tail + piece)[-64:]
                sock.close()
            done.set()
            watcher.join()
            readings = home.wait_readings(count, 30)
    assert {reading.outcome for reading in readings} == {"ok"}
    assert (peak - before) / count < 24, f"{(peak - before) / count:.1f} KB a stream"


def test_sigterm_lets_running_calls_end_and_refuses_new_ones(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        upstream.script(Fault(words=40, interval_s=0.03))
        with gateway(home) as running:
            with running.connect() as busy, running.connect() as idle:
                busy.sendall(STREAM)
                assert busy.recv(10)
                running.process.terminate()
                assert idle.recv(1) == b"", "an idle connection is closed at once"
                running.wait(lambda: not accepts(running))
                data = b""
                while piece := busy.recv(65536):
                    data += piece
            assert running.process.wait(20) == 0
    assert b"[DONE]" in data
    assert data.endswith(b"0\r\n\r\n")
    (reading,) = home.readings()
    assert reading.outcome == "ok"
    assert json.loads(reading.raw_usage)["completion_tokens"] == 40


def test_a_second_signal_ends_the_waiting_and_still_bills(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        upstream.script(Fault(words=4000, interval_s=0.02))
        with gateway(home) as running, running.connect() as busy:
            busy.sendall(STREAM)
            data = busy.recv(65536)
            running.process.terminate()
            time.sleep(0.3)
            running.process.terminate()
            while piece := busy.recv(65536):
                data += piece
            assert running.process.wait(10) == 0
    assert b'"draining"' in data
    (reading,) = home.readings()
    assert reading.meters["output_total"] > 0


def test_who_leaves_while_a_stream_is_gathered_for_it_has_been_given_nothing(tmp_path: Path) -> None:
    """A provider that streams unasked: its words become one whole reply, so none of them has reached the client."""
    told, go_on = threading.Event(), threading.Event()

    def handler(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.sendall(odd.SSE + b"".join(odd.chunk(odd.frame(word)) for word in ("a", "b", "c")))
        told.set()
        go_on.wait(20)
        sock.sendall(odd.chunk(odd.STOP + odd.USAGE + odd.DONE) + odd.END)

    home = Home(tmp_path)
    with odd.provider(handler) as url:
        home.offer(url)
        with gateway(home) as running:
            with running.connect() as sock:
                sock.sendall(post("/v1/chat/completions", chat()))
                assert told.wait(20)
                time.sleep(0.3)  # for the words to be read; were they late, the test would be weaker, not wrong
            time.sleep(0.3)  # and for the client's leaving
            go_on.set()
            (reading,) = home.wait_readings(1)
    assert (reading.outcome, reading.delivered_output) == ("client_left", 0)
    assert reading.meters["output_total"] == 2, "what the provider charges is recorded whole"
