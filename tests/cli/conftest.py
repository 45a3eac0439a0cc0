"""Homes for the command's tests: one where nothing runs, one with a control plane."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.harness import Cli, Running, answers, stop, wait_for


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path: a socket's path has 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="bl-") as folder:
        yield Path(folder) / "home"


@pytest.fixture
def cli(place: Path) -> Cli:
    """The command in a home where nothing runs."""
    return Cli(place)


@pytest.fixture(scope="module")
def control() -> Iterator[Running]:
    """A control plane as a process, without gateway and engine."""
    with tempfile.TemporaryDirectory(prefix="bl-") as folder:
        home = Path(folder) / "home"
        cli = Cli(home)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "baseload.control",
            "--home",
            str(home),
            "--port",
            str(port),
            "--engine-port",
            "9",
        ]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=cli.environment())
        try:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
            secrets = json.loads((home / "first-start.json").read_text())
            yield Running(cli, f"http://127.0.0.1:{port}", secrets["admin_token"], secrets["key"], process)
        finally:
            assert stop(process) == 0
