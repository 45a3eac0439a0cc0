"""What a running stream holds: its request is gone once the reply has begun."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.gateway.harness import Home, chat, gateway, post
from tests.gateway.test_ends import rss_kb
from tests.vendors import start

SIZE = 1_000_000
STREAMS = 40


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_silent_stream_does_not_hold_its_request(path: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    body = chat(text="words=30 " + "x" * SIZE, stream=True, max_tokens=100)
    with start(words=30, stall="body", stall_at=1500) as upstream:  # first words, then silence
        home.offer(upstream.base_url)
        with gateway(home) as running:
            open_: list[socket.socket] = []
            try:
                sizes = []
                for number in range(STREAMS):
                    sock = running.connect()
                    open_.append(sock)
                    sock.sendall(post(path, body))
                    data = b""
                    while b'"w0"' not in data:
                        piece = sock.recv(65536)
                        assert piece, data
                        data += piece
                    if number == 9:
                        sizes.append(rss_kb(running.process.pid))
                sizes.append(rss_kb(running.process.pid))
            finally:
                for sock in open_:
                    sock.close()
    assert sizes[1] - sizes[0] < (STREAMS - 10) * SIZE / 1000 / 3, (
        "30 more streams hold less than a third of a request each"
    )
