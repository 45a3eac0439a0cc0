"""Keeps a handful of child processes running: starts, watches, restarts with patience, stops in order.

In:    children (name, command, log file). Out: running processes, words about what happened, an exit code.
Knows nothing of what the children do. One thread on purpose: the kernel's parent-death signal follows the thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from baseload.cli.echo import Echo

LOGS_KEPT = 4  # name.log, then .1 to .4
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.5, 30.0
HEALTHY_S = 60.0  # alive this long, and the next death starts the patience anew
HURRY_S = 3.0  # what is left to a child when a person asks twice
LOOK_EVERY_S = 0.05
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass
class Child:
    """One process to keep alive. `stop_s` is how long it may take to end after SIGTERM."""

    name: str
    command: list[str]
    log: Path
    stop_s: float = 10.0
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    deaths: int = 0  # in a row
    retry_at_s: float = field(default=0.0, repr=False)

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def start(self, now_s: float) -> None:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # A session of its own: Ctrl-C reaches only the supervisor, which stops the children in order.
            self.process = subprocess.Popen(  # noqa: S603 - commands are built by `up`, never by a request
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),
            )
        finally:
            os.close(handle)
        self.started_s = now_s

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        if self.process is not None and self.running():
            self.process.send_signal(number)

    def last_words(self, lines: int = 15) -> str:
        """The end of its log, for a person who wants to know why it died."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """Runs in the new child before its program: the kernel sends it SIGTERM when the supervisor is killed (Linux)."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # killed between fork and prctl
            os._exit(1)

    return tie


def backoff_s(deaths: int) -> float:
    """Seconds to wait before the restart after this many deaths in a row."""
    return float(min(BACKOFF_FIRST_S * 2 ** (deaths - 1), BACKOFF_MAX_S))


def rotate(log: Path, kept: int = LOGS_KEPT) -> None:
    """name.log becomes name.log.1 and so on; the oldest goes."""
    for number in range(kept, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        newer = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if newer.exists():
            os.replace(newer, older)


def _terminals() -> bool:
    """Whether a terminal is there; one that was closed is none."""
    return any(os.isatty(number) for number in (0, 1, 2))


class Supervisor:
    """Children in the order of their start; `stop_groups` says in which order they end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.children: list[Child] = []
        self.stopping = False
        self.hurry = False
        self._terminal = False
        self._say = say
        self._echoes: dict[str, Echo] = {}

    def catch_signals(self) -> None:
        """SIGINT and SIGTERM ask for an orderly stop; a second one hurries. SIGHUP reloads the configuration, or stops
        when it came because the terminal was closed."""
        self._terminal = _terminals()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked)
        signal.signal(signal.SIGHUP, self._reload)

    def _asked(self, _number: int, _frame: object) -> None:
        self.hurry = self.stopping
        self.stopping = True

    def _reload(self, _number: int, _frame: object) -> None:
        """The first child owns the configuration. An `up` that lost its terminal could be neither seen nor stopped."""
        if self._terminal and not _terminals():
            self._asked(_number, _frame)
            return
        for child in self.children[:1]:
            child.signal(signal.SIGHUP)

    def start(self, child: Child) -> None:
        rotate(child.log)
        self.children.append(child)
        child.start(time.monotonic())

    def wait_until(self, ready: Callable[[], bool], limit_s: float, needed: Iterable[Child]) -> str:
        """ "" once `ready()` holds; else why not: a needed child died, the time is up, or a stop was asked for."""
        end = time.monotonic() + limit_s
        watched = list(needed)
        while not ready():
            for child in watched:
                if not child.running():
                    code = child.process.returncode if child.process else None
                    return f"{child.name} ended with exit code {code} before it was ready"
            if self.stopping:
                return "stopped before everything was ready"
            if time.monotonic() > end:
                return f"{', '.join(child.name for child in watched)} not ready within {limit_s:.0f} s"
            self._echo(watched)
            time.sleep(LOOK_EVERY_S)
        return ""

    def _echo(self, children: Iterable[Child]) -> None:
        """Shows errors of the logs, also while a start waits for something."""
        for child in children:
            echo = self._echoes.setdefault(child.name, Echo(child.log))
            for line in echo.news():
                self._say(f"{child.name}: {line}")

    def watch(self, restarted: Callable[[], None]) -> None:
        """Until a stop is asked for: restarts what dies, with growing patience, and shows errors of the logs."""
        while not self.stopping:
            now = time.monotonic()
            self._echo(self.children)
            for child in self.children:
                if child.running():
                    continue
                if child.retry_at_s == 0.0:
                    self._mourn(child, now)
                elif now >= child.retry_at_s:
                    child.retry_at_s = 0.0
                    child.start(now)
                    self._say(f"{child.name} restarted (pid {child.pid}).")
                    restarted()
            time.sleep(LOOK_EVERY_S)

    def _mourn(self, child: Child, now: float) -> None:
        child.deaths = 1 if now - child.started_s > HEALTHY_S else child.deaths + 1
        wait = backoff_s(child.deaths)
        child.retry_at_s = now + wait
        code = child.process.returncode if child.process else None
        how = (
            f"was killed by {signal.Signals(-code).name}"
            if code is not None and code < 0
            else f"ended with exit code {code}"
        )
        self._say(f"{child.name} {how}; restarting in {wait:g} s. Its last words are in {child.log}.")

    def stop(self, groups: Iterable[list[Child]]) -> list[str]:
        """Ends the groups one after the other: SIGTERM, its time, then SIGKILL. Returns who had to be killed."""
        self.stopping = True
        killed: list[str] = []
        hurried: set[str] = set()
        for group in groups:
            for child in group:
                child.signal(signal.SIGTERM)
            begun = time.monotonic()
            while alive := [child for child in group if child.running()]:
                waited = time.monotonic() - begun
                for child in alive:
                    if self.hurry and child.name not in hurried:
                        hurried.add(child.name)
                        child.signal(signal.SIGTERM)  # a second one: end your calls now
                    if waited > child.stop_s or (self.hurry and waited > HURRY_S):
                        child.signal(signal.SIGKILL)
                        killed.append(child.name)
                        if child.process:
                            child.process.wait()
                time.sleep(LOOK_EVERY_S)
        return killed
