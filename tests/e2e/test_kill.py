"""200 calls in flight, SIGKILL: every finished call is in the ledger once, every unfinished one has a record.

The streams are of all four client protocols by turns: one forwarded, three translated.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.grid import Grid, up
from tests.vendors import start

COUNT = 200
CLIENTS = ("chat", "responses", "messages", "gemini")
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


def asked(number: int) -> tuple[str, dict[str, Any]]:
    """Path and body of the call with this number."""
    text = "word " * (number % 40 + 1)
    turns = [{"role": "user", "content": text}]
    match CLIENTS[number % len(CLIENTS)]:
        case "chat":
            return "/v1/chat/completions", {"model": "m", "stream": True, "messages": turns}
        case "responses":
            return "/v1/responses", {"model": "m", "stream": True, "input": text, "store": False}
        case "messages":
            return "/v1/messages", {"model": "m", "stream": True, "max_tokens": 1000, "messages": turns}
        case _:
            parts = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
            return "/v1beta/models/m:streamGenerateContent?alt=sse", parts


def request(key: str, number: int) -> bytes:
    path, members = asked(number)
    body = json.dumps(members).encode()
    return (
        f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def in_flight(grid: Grid, kill_when_finished: int) -> tuple[dict[str, str], dict[str, str]]:
    """Sends all, reads along, kills the gateway when so many have ended: call ids with their client's protocol,
    (finished, unfinished)."""
    where = urlsplit(grid.base_url)
    selector = selectors.DefaultSelector()
    data: dict[socket.socket, bytearray] = {}
    clients: dict[socket.socket, str] = {}
    for number in range(COUNT):
        sock = socket.create_connection((where.hostname, where.port), timeout=20)
        sock.sendall(request(grid.key, number))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
        data[sock] = bytearray()
        clients[sock] = CLIENTS[number % len(CLIENTS)]
    pid = next(
        child["pid"] for child in json.loads((grid.home / "run.json").read_text())["children"] if child["name"] == "g0"
    )
    finished: dict[str, str] = {}
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
                finished[call_id(data[sock])] = clients[sock]
            if not piece or data[sock].endswith(b"0\r\n\r\n"):
                selector.unregister(sock)
                sock.close()
            if len(finished) >= kill_when_finished and not killed:
                os.kill(pid, signal.SIGKILL)
                killed = True
    assert killed
    started = {call_id(bytes_): clients[sock] for sock, bytes_ in data.items() if b"\r\n\r\n" in bytes_}
    return finished, {call: client for call, client in started.items() if call not in finished}


def call_id(data: bytearray) -> str:
    found = re.search(rb"x-baseload-call-id: (\S+)", data)
    assert found
    return found[1].decode()


def counted(grid: Grid) -> int:
    return sum(row["calls"] for row in grid.json("usage")["usage"])


def some(calls: dict[str, str]) -> list[str]:
    """Up to seven of each protocol."""
    return [call for client in CLIENTS for call in sorted(call for call in calls if calls[call] == client)[:7]]


def test_sigkill_with_200_calls_in_flight(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with start(interval_s=0.05) as upstream:
        (home / "baseload.toml").write_text(CONFIG.format(url=upstream.base_url))
        with up(home) as grid:
            finished, unfinished = in_flight(grid, COUNT // 3)
            assert len(finished) >= COUNT // 3
            assert len(unfinished) > COUNT // 4
            assert set(finished.values()) == set(unfinished.values()) == set(CLIENTS)
            until = time.monotonic() + 40
            while True:  # the supervisor starts the gateway again; recovery ends what was open; settlement comes to it
                lines = [json.loads(line) for line in grid.run("ledger", "export", "--format", "jsonl").splitlines()]
                posted = {line["call"] for line in lines}
                status = grid.json("status")["status"]
                settled = all(not journal["more"] for journal in status["journals"].values())
                if finished.keys() <= posted and settled and counted(grid) >= COUNT:
                    break
                assert time.monotonic() < until, (len(finished.keys() - posted), status)
                time.sleep(0.3)
            transactions: dict[str, set[int]] = {}
            for line in lines:
                transactions.setdefault(line["call"], set()).add(line["transaction"])
            assert all(len(transactions[call]) == 1 for call in finished), "each finished call is there once"
            outcomes = {}
            for call in some(unfinished):
                (attempt,) = grid.json("calls", "show", call)["call"]["attempts"]
                outcomes[call] = attempt["outcome"]
                if attempt["outcome"] == "lost" and attempt["meters"]:
                    assert attempt["output_provenance"] == "estimated"
            assert set(outcomes.values()) <= {"lost", "ok"}
            assert "lost" in outcomes.values()
            assert grid.json("ledger", "check")["findings"] == []
            assert counted(grid) == COUNT
