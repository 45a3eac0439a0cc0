"""A whole grid as a person starts it: `baseload up` on a fresh home, with the real embedded model."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("baseload")
READY_S = 60.0


def clean_env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("BASELOAD_", "OPENAI_"))}


@dataclass
class Grid:
    home: Path
    process: subprocess.Popen[str]
    facts: dict[str, Any]  # what `up --json` said when it was ready

    @property
    def base_url(self) -> str:
        return str(self.facts["base_url"])

    @property
    def key(self) -> str:
        return str(self.facts["key"])

    def run(self, *words: str, code: int = 0) -> str:
        """Runs the command on this home; asserts its exit code and gives its standard output."""
        done = subprocess.run(
            [COMMAND, *words, "--home", str(self.home)], capture_output=True, text=True, env=clean_env(), timeout=60
        )
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code))

    def stop(self, number: signal.Signals = signal.SIGINT, within_s: float = 60.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def new_key(self, account: str) -> str:
        """A key of a new account."""
        self.run("accounts", "create", account)
        return str(self.json("keys", "create", "--account", account)["key"]["secret"])

    def settled(self, calls: list[str], within_s: float = 10.0) -> list[dict[str, Any]]:
        """The records of calls, once settlement has come to all of them."""
        until = time.monotonic() + within_s
        found = []
        for call in calls:
            while True:
                done = subprocess.run(
                    [COMMAND, "calls", "show", call, "--json", "--home", str(self.home)],
                    capture_output=True,
                    text=True,
                    env=clean_env(),
                    timeout=60,
                )
                record = json.loads(done.stdout)["call"] if done.returncode == 0 else None
                if record is not None and record["state"] != "running":  # its hold may be settled before its reading
                    found.append(record)
                    break
                assert time.monotonic() < until, f"call {call} was not settled: {record or done.stderr}"
                time.sleep(0.1)
        return found

    def sound(self, within_s: float = 10.0) -> list[dict[str, Any]]:
        """What `ledger check` finds once settlement has come to the journal's end."""
        until = time.monotonic() + within_s
        while True:
            findings: list[dict[str, Any]] = self.json("ledger", "check")["findings"]
            if not any(one["check"] == "unsettled" for one in findings) or time.monotonic() > until:
                return findings
            time.sleep(0.2)


def home_with(folder: Path, config: str, **files: str) -> Path:
    """A home that may be started: its baseload.toml, in which HOME is its place, and other files by their names."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    (home / "baseload.toml").write_text(config.replace("HOME", str(home)))
    for name, text in files.items():
        (home / name.replace("_", ".")).write_text(text)
    return home


@contextlib.contextmanager
def up(home: Path, *words: str, env: dict[str, str] | None = None) -> Iterator[Grid]:
    process = subprocess.Popen(
        [
            COMMAND,
            "up",
            "--home",
            str(home),
            "--port",
            "0",
            "--control-port",
            "0",
            "--engine-port",
            "0",
            "--json",
            *words,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean_env(), **(env or {})},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # one line, when ready and not before
        assert line, process.stderr.read() if process.stderr else ""
        yield Grid(home, process, json.loads(line))
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
