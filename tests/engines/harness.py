"""Starts real engines for tests and talks to them with the standard library only."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from baseload.engines import cards

START_MAX_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def health(port: int) -> int:
    """Status of GET /health; 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def wait_until(what: str, done: Any, limit_s: float = START_MAX_S) -> None:
    end = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {limit_s} s")
        time.sleep(0.02)


class Engine:
    """A running engine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, path: str, body: dict[str, Any] | bytes) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, data, {"content-type": "application/json"})
        return connection.getresponse()

    def ask(self, path: str, body: dict[str, Any] | bytes) -> tuple[int, Any]:
        reply = self.send(path, body)
        return reply.status, json.loads(reply.read())

    def stream(self, path: str, body: dict[str, Any]) -> list[Any]:
        """The decoded `data:` lines of a whole stream, the last being "[DONE]"."""
        lines = self.send(path, {**body, "stream": True}).read().split(b"\n")
        payloads = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]
        return [payload.decode() if payload == b"[DONE]" else json.loads(payload) for payload in payloads]


@contextlib.contextmanager
def running(*more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """An engine process and its port, serving; killed at the end if it still lives."""
    port = free_port()
    process = subprocess.Popen([*cards.command(port), *more], stderr=subprocess.PIPE, text=True)
    try:
        wait_until("readiness", lambda: health(port) == 200 or process.poll() is not None)
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(f"the engine ended with {process.returncode}: {process.stderr.read()}")
        yield process, port
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
