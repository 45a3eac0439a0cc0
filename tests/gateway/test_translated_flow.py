"""Translated streams under pressure: clients that leave or read slowly, and memory that does not grow with the text."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.harness import Running, read_reply
from tests.gateway.test_leaving import rss_kb
from tests.gateway.through import CLIENTS, DOORS, Everything, everything
from tests.vendors import Fault

WORDS = 60


@pytest.fixture(scope="module", params=["stops", "continues"])
def leaving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Everything]]:
    abort = str(request.param)
    with everything(tmp_path_factory.mktemp(abort), row={"abort": abort}) as found:
        yield abort, found


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("client", CLIENTS)
def test_lesson_02_a_client_that_leaves(client: str, door: str, leaving: tuple[str, Everything]) -> None:
    abort, grid = leaving
    vendor, before = grid.vendors[door], len(grid.home.readings())
    vendor.script(Fault(words=WORDS, interval_s=0.01))
    asked = len(vendor.requests)
    data = b""
    with grid.running.connect() as sock:
        sock.sendall(CLIENTS[client].ask(door))
        while b"w7" not in data:
            piece = sock.recv(65536)
            assert piece, data
            data += piece
    reading = grid.home.wait_readings(before + 1, 20)[-1]
    vendor.wait(asked + 1, done=True)
    assert (reading.outcome, reading.status) == ("client_left", 0)
    assert 5 <= reading.delivered_output < WORDS
    if abort == "stops":
        assert vendor.requests[asked].left, "the provider's connection was closed"
        if door not in ("gemini", "qwen"):  # these report as they go
            assert reading.output_provenance == "estimated"
        assert reading.meters["output_total"] < WORDS
    else:
        assert not vendor.requests[asked].left, "the reply was read to its end"
        assert (reading.output_provenance, reading.meters["output_total"]) == ("reported", WORDS)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_leaves_before_the_first_text(client: str, leaving: tuple[str, Everything]) -> None:
    """What was held back for it counts for nothing, and its call does not stay."""
    _, grid = leaving
    vendor, before = grid.vendors["messages"], len(grid.home.readings())
    vendor.script(Fault(words=3, interval_s=0.4))
    asked = len(vendor.requests)
    with grid.running.connect() as sock:
        sock.sendall(CLIENTS[client].ask("messages"))
        vendor.wait(asked + 1)
        time.sleep(0.1)
    reading = grid.home.wait_readings(before + 1, 20)[-1]
    assert (reading.outcome, reading.delivered_output) == ("client_left", 0)
    assert b"baseload_streams_running 0" in _metrics(grid.running)


def _metrics(running: Running) -> bytes:
    with running.connect() as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n")
        return read_reply(sock).body


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    row = {"connections_max": 1000, "idle_timeout_s": 60.0}
    with everything(tmp_path_factory.mktemp("flow"), row=row) as found:
        yield found


def read_all(sock: socket.socket) -> tuple[int, bytes]:
    """How much came, and the last of it; nothing is kept."""
    total, tail = 0, b""
    while not tail.endswith(b"0\r\n\r\n"):
        piece = sock.recv(1 << 20)
        assert piece, tail
        total += len(piece)
        tail = (tail + piece)[-4000:]
    return total, tail


FLOODS = [("chat", "messages"), ("messages", "chat"), ("gemini", "converse"), ("array", "responses"), ("chat", "qwen")]


@pytest.mark.parametrize(("client", "door"), FLOODS)
def test_lesson_52_a_slow_reader_of_a_translated_stream(client: str, door: str, grid: Everything) -> None:
    """40 MB at a provider that sends as fast as it can, to a client that does not read at first."""
    grid.vendors[door].script(Fault(flood_bytes=40 * 2**20))
    pid = grid.running.process.pid
    before = rss_kb(pid)
    with grid.running.connect(60) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(CLIENTS[client].ask(door))
        time.sleep(1.5)
        stalled = rss_kb(pid)
        total, _ = read_all(sock)
    assert total > 40 * 2**20
    assert stalled - before < 30_000, f"{stalled - before} KB for one stalled stream"
    assert rss_kb(pid) - before < 40_000


def peak_of(grid: Everything, count: int, words: int, word_bytes: int) -> int:
    """KB that a gateway grows by at most while it translates so many streams at once."""
    pid = grid.running.process.pid
    pairs = [("chat", "messages"), ("messages", "chat"), ("gemini", "chat"), ("messages", "gemini")]
    for vendor in grid.vendors.values():
        vendor.always = Fault(words=words, word_bytes=word_bytes, interval_s=0.05)
    before = peak = rss_kb(pid)
    readings = len(grid.home.readings())
    socks = []
    for number in range(count):
        client, door = pairs[number % len(pairs)]
        sock = grid.running.connect(60)
        sock.sendall(CLIENTS[client].ask(door))
        socks.append(sock)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, rss_kb(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for sock in socks:
        assert read_all(sock)[0] > words * word_bytes
        sock.close()
    done.set()
    watcher.join()
    assert {reading.outcome for reading in grid.home.wait_readings(readings + count, 30)[-count:]} == {"ok"}
    return peak - before


def test_lesson_51_three_hundred_translated_streams_hold_no_text(tmp_path: Path) -> None:
    """Five times the text, no more memory. (Only a Responses client's stream is held: its last event repeats it.)"""
    with everything(tmp_path, row={"connections_max": 1000}) as grid:
        peak_of(grid, 300, 5, 100)  # buffers and pools are there from now on
        short = peak_of(grid, 300, 20, 1000)
        long = peak_of(grid, 300, 20, 5000)
    assert long < short + 300 * 40, f"{short} KB for 20 KB of text a stream, {long} KB for 100 KB"
    assert long / 300 < 60, f"{long / 300:.0f} KB a stream of 100 KB"


def test_lesson_54_remembered_thinking_is_bounded() -> None:
    from baseload.gateway.thoughts import ThoughtStore
    from baseload.wire.canon.request import Thinking

    store = ThoughtStore(bytes_max=100_000)
    mine, others = store.of(1), store.of(2)
    for number in range(5000):
        mine.put(f"call_{number}", [Thinking(text="x" * 1000, signature="s", origin="a/b")])
    kept = [number for number in range(5000) if mine.get(f"call_{number}")]
    assert kept == list(range(5000 - len(kept), 5000)), "the oldest go first"
    assert 50 < len(kept) < 100
    assert others.get("call_4999") == []
    mine.put("large", [Thinking(text="x" * 200_000)])
    assert mine.get("large") == []
    mine.put("small", [Thinking(text="y")])
    assert [thought.text for thought in mine.get("small")] == ["y"]
    for number in range(5000):  # a provider may give ids of any length
        mine.put(f"{number}" + "z" * 10_000, [Thinking(text="x")])
    assert not mine.get("0" + "z" * 10_000)
    assert len([number for number in range(5000) if mine.get(f"{number}" + "z" * 10_000)]) < 10
