"""Calls that wait for a provider's access token: what ends them, and what of it is in the log."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from tests.gateway import odd
from tests.gateway.harness import Home, exchange, gateway, get, post, read_reply
from tests.vendors.keys import service_account

ASK: dict[str, Any] = {"contents": [{"parts": [{"text": "x" * 400}]}]}
PATH = "/v1beta/models/m:generateContent"


def vertex(path: Path, token_url: str) -> Home:
    home = Home(path)
    (path / "account").write_text(json.dumps(service_account(token_url + "/token")))
    home.offer("http://127.0.0.1:9/v1", dialect="vertex", endpoints=("gemini",), credential=f"file:{path}/account")
    return home


def test_a_gateway_that_stops_bills_nothing_that_was_never_sent(tmp_path: Path) -> None:
    def silent(sock: socket.socket, number: int) -> None:
        odd.read_request(sock)
        sock.recv(1)

    with odd.provider(silent) as url:
        home = vertex(tmp_path, url)
        with gateway(home, args=("--limit", "shutdown_s=0.5")) as running, running.connect() as sock:
            sock.sendall(post(PATH, ASK))
            running.wait(lambda: bool(home.journal()))
            assert running.stop() == 0
            assert read_reply(sock).status == 503
        (reading,) = home.wait_readings(1)
    assert (reading.meters, reading.sent_ns, reading.status) == ({}, 0, 503)
    assert (reading.input_provenance, reading.output_provenance) == ("counted", "counted")


def test_a_refused_account_is_in_the_log_once_and_no_token_is(tmp_path: Path) -> None:
    denied = b'{"error":"invalid_grant","error_description":"ya29.a0secret-token_1 is no assertion"}'
    with odd.provider(odd.replies(odd.whole(denied, b"400 Bad Request"))) as url:
        with gateway(vertex(tmp_path, url)) as running:
            for _ in range(4):
                assert exchange(running, post(PATH, ASK)).status == 503
            assert exchange(running, get("/healthz")).status == 200
        log = (tmp_path / "gateway.log").read_text()
    assert log.count("no token for") == 1
    assert "[key] is no assertion" in log
    assert "secret" not in log
