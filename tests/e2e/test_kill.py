"""200 calls in flight, SIGKILL: every finished call is in the ledger once, every unfinished one has a record."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.grid import Grid, up
from tests.vendors import start

COUNT = 200
CONFIG = """
[engine]
enabled = false

[[providers]]
name = "sim"
from = "openai"
base_url = "{url}"

[[offers]]
model = "m"
provider = "sim"
price = {{ currency = "USD", rate = {{ input = "0.5", cache_read = "0.1", output = "1.5" }} }}
"""


def request(key: str, number: int) -> bytes:
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": "word " * (number % 40 + 1)}]}
    ).encode()
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer " + key.encode() + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )


def in_flight(grid: Grid, kill_when_finished: int) -> tuple[set[str], set[str]]:
    """Sends all, reads along, kills the gateway when so many have ended: (finished, unfinished) call ids."""
    where = urlsplit(grid.base_url)
    selector = selectors.DefaultSelector()
    data: dict[socket.socket, bytearray] = {}
    for number in range(COUNT):
        sock = socket.create_connection((where.hostname, where.port), timeout=20)
        sock.sendall(request(grid.key, number))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
        data[sock] = bytearray()
    pid = next(
        child["pid"] for child in json.loads((grid.home / "run.json").read_text())["children"] if child["name"] == "g0"
    )
    finished: set[str] = set()
    killed = False
    until = time.monotonic() + 60
    while selector.get_map():
        assert time.monotonic() < until
        for key, _ in selector.select(0.5):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                piece = sock.recv(65536)
            except OSError:
                piece = b""
            data[sock] += piece
            if data[sock].endswith(b"0\r\n\r\n"):
                finished.add(call_id(data[sock]))
            if not piece or data[sock].endswith(b"0\r\n\r\n"):
                selector.unregister(sock)
                sock.close()
            if len(finished) >= kill_when_finished and not killed:
                os.kill(pid, signal.SIGKILL)
                killed = True
    assert killed
    started = {call_id(bytes_) for bytes_ in data.values() if b"\r\n\r\n" in bytes_}
    return finished, started - finished


def call_id(data: bytearray) -> str:
    found = re.search(rb"x-baseload-call-id: (\S+)", data)
    assert found
    return found[1].decode()


def test_sigkill_with_200_calls_in_flight(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with start(interval_s=0.05) as upstream:
        (home / "baseload.toml").write_text(CONFIG.format(url=upstream.base_url))
        with up(home) as grid:
            finished, unfinished = in_flight(grid, COUNT // 3)
            assert len(finished) >= COUNT // 3
            assert len(unfinished) > COUNT // 4
            until = time.monotonic() + 40
            while True:  # the supervisor starts the gateway again; recovery ends what was open; settlement comes to it
                lines = [json.loads(line) for line in grid.run("ledger", "export", "--format", "jsonl").splitlines()]
                posted = {line["call"] for line in lines}
                status = grid.json("status")["status"]
                settled = all(not journal["more"] for journal in status["journals"].values())
                if finished <= posted and settled and grid.json("usage")["usage"][0]["calls"] >= COUNT:
                    break
                assert time.monotonic() < until, (len(finished - posted), status)
                time.sleep(0.3)
            transactions: dict[str, set[int]] = {}
            for line in lines:
                transactions.setdefault(line["call"], set()).add(line["transaction"])
            assert all(len(transactions[call]) == 1 for call in finished), "each finished call is there once"
            outcomes = {}
            for call in sorted(unfinished)[:25]:
                (attempt,) = grid.json("calls", "show", call)["call"]["attempts"]
                outcomes[call] = attempt["outcome"]
                if attempt["outcome"] == "lost" and attempt["meters"]:
                    assert attempt["output_provenance"] == "estimated"
            assert set(outcomes.values()) <= {"lost", "ok"}
            assert "lost" in outcomes.values()
            assert grid.json("ledger", "check")["findings"] == []
            assert grid.json("usage")["usage"][0]["calls"] == COUNT
