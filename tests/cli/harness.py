"""The real command, run as people run it, against a real control plane in a home of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from baseload.cli.app import run

WAIT_S = 30.0


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The tab-separated lines as dicts."""
        head, *lines = self.out.splitlines()
        return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


@dataclass
class Cli:
    """Runs `baseload` with an environment of its own."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BASELOAD_")}
        return {**kept, "BASELOAD_HOME": str(self.home), "NO_COLOR": "1", **self.env, **more}

    def __call__(self, *words: str, stdin: str = "", **env: str) -> Outcome:
        """Runs the command in this process, as its entry point does: half a second less than a new one."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="", write_through=True) for _ in range(2))
        with (
            mock.patch.dict(os.environ, self.environment(**env), clear=True),
            mock.patch.object(sys, "stdin", io.StringIO(stdin)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                code = run(list(words))
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        return Outcome(code, _text(out), _text(err))

    def spawn(self, *words: str, stdin: str = "", **env: str) -> Outcome:
        """Runs the command as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "baseload.cli", *words],
            input=stdin, capture_output=True, text=True, timeout=60, env=self.environment(**env), check=False,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Starts `baseload ...` without waiting for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "baseload.cli", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment(**env),
        )  # fmt: skip


def _text(stream: io.TextIOWrapper) -> str:
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


def wait_for(what: Any, limit_s: float = WAIT_S) -> Any:
    """Calls `what` until it returns something true."""
    end = time.monotonic() + limit_s
    while not (found := what()):
        assert time.monotonic() < end, f"{what} did not come true within {limit_s} s"
        time.sleep(0.05)
    return found


def stop(process: subprocess.Popen[Any], number: int = signal.SIGTERM) -> int:
    """Asks a process to end and waits; a process that does not is killed and fails the test."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@dataclass
class Running:
    cli: Cli
    url: str
    token: str
    key: str
    process: subprocess.Popen[bytes]
