"""Processes, cores and counters of the machine under the benchmark.

In:     commands to run on a core, process ids to watch.
Out:    running children that end with their parent; CPU nanoseconds, resident bytes, foreign load.
Knows nothing of HTTP, nginx or Baseload.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import time
import timeit
from collections.abc import Iterator
from pathlib import Path

import msgspec

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_TICKS = os.sysconf("SC_CLK_TCK")
STOP_S = 3.0


class Trouble(Exception):
    """Something the person at the keyboard can change; the text says what."""


def find_program(name: str, package: str) -> str:
    """Path of a program; sbin is searched too, for a plain user's PATH often lacks it."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=places)
    if found is None:
        raise Trouble(
            f"{name} is not installed. On Debian or Ubuntu: apt-get install {package}. "
            "(Measures that need neither nginx nor wrk: --only settlement.)"
        )
    return found


class Cores(msgspec.Struct, frozen=True):
    """Which core runs what. The proxy under test is alone on its core."""

    proxy: int
    client: int
    mock: int


def share_cores() -> Cores:
    """The last core for the proxy; client and mock share the first one where there are only two."""
    if not hasattr(os, "sched_setaffinity"):
        raise Trouble("The benchmark pins processes to cores and reads /proc: it needs Linux.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Trouble("The benchmark needs two cores: one for the proxy under test, one for client and mock.")
    return Cores(proxy=cores[-1], client=cores[0], mock=cores[1] if len(cores) > 2 else cores[0])


def raise_file_limit(wanted: int) -> int:
    """Lets this process and its children open `wanted` files if it may; returns the limit now in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # the second try is for the superuser, who may go beyond the hard limit
    for ceiling in (hard, wanted):
        with contextlib.suppress(ValueError, OSError):
            if soft < min(wanted, ceiling):
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, ceiling), max(hard, ceiling)))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Child:
    """A running process (and what it forks), pinned to a core, with its output in a file."""

    def __init__(self, name: str, words: list[str], core: int, log: Path, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        parent = os.getpid()

        def settle() -> None:
            os.sched_setaffinity(0, {core})
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # a killed benchmark leaves nothing behind
            if os.getppid() != parent:
                os._exit(1)

        with log.open("ab") as out:
            # a session of its own: Ctrl-C reaches us alone, and we end the children in order
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True,
                preexec_fn=settle,
            )  # fmt: skip
        self.pid = self.process.pid

    def pids(self) -> list[int]:
        """The process and its descendants."""
        return _family(self.pid)

    def await_port(self, port: int, timeout_s: float = 15.0) -> None:
        """Returns when 127.0.0.1:port takes connections."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Trouble(f"{self.name} ended at start (exit code {self.process.returncode}).\n{self.tail()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                return
            time.sleep(0.02)
        raise Trouble(f"{self.name} did not answer on port {port} within {timeout_s:g} s.\n{self.tail()}")

    def tail(self, size: int = 2000) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-size:].strip()
        return ""

    def stop(self) -> None:
        """SIGTERM, once more after half the time (the gateway hurries then), SIGKILL in the end."""
        if self.process.poll() is None:
            for _ in range(2):
                self.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(STOP_S / 2)
                    break
        # the group has our number and holds only what this child forked
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


class Children:
    """Everything that was started; `stop_all` ends it in reverse order."""

    def __init__(self) -> None:
        self._running: list[Child] = []

    def start(self, name: str, words: list[str], core: int, log: Path, env: dict[str, str] | None = None) -> Child:
        child = Child(name, words, core, log, env)
        self._running.append(child)
        return child

    def stop(self, child: Child) -> None:
        child.stop()
        self._running.remove(child)

    def stop_all(self) -> None:
        while self._running:
            self._running.pop().stop()


def _family(pid: int) -> list[int]:
    found = [pid]
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{name}/stat").read_text()
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    for known in found:
        found.extend(parents.get(known, ()))
    return found


def _threads(pids: list[int]) -> Iterator[str]:
    for pid in pids:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                yield f"/proc/{pid}/task/{thread}"


def cpu_ns(pids: list[int]) -> int:
    """CPU time of all threads so far, by the scheduler's own clock; by ticks where the kernel has no schedstat."""
    total = 0
    for thread in _threads(pids):
        with contextlib.suppress(OSError):
            total += int(Path(f"{thread}/schedstat").read_text().split()[0])
    return total or sum(tick_ns(pids))


def tick_ns(pids: list[int]) -> tuple[int, int]:
    """(user, system) CPU time so far, sampled by the timer tick: the split, and a check of `cpu_ns`."""
    user = system = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user += int(fields[11])
            system += int(fields[12])
    return user * (1_000_000_000 // _TICKS), system * (1_000_000_000 // _TICKS)


def resident_bytes(pids: list[int]) -> int:
    """Resident memory (VmRSS); the kernel's socket buffers are not in it."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
    return total


def _core_busy_ns(core: int) -> int:
    """Time a core was not idle: all processes, interrupts, and time the host took away."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _, _, irq, softirq, steal = (int(field) for field in line.split()[1:9])
            return (user + nice + system + irq + softirq + steal) * (1_000_000_000 // _TICKS)
    return 0


class Spent(msgspec.Struct, frozen=True):
    """What a proxy spent in one window."""

    wall_s: float
    cpu_s: float
    user_s: float
    system_s: float
    foreign: float  # share of the proxy's core that others used: other processes, the host


class Watch:
    """Measures a proxy from `Watch(...)` to `stop()`."""

    def __init__(self, pids: list[int], core: int) -> None:
        self._pids, self._core = pids, core
        self._ticks = tick_ns(pids)
        self._busy = _core_busy_ns(core)
        self._wall = time.perf_counter_ns()
        self._cpu = cpu_ns(pids)

    def stop(self) -> Spent:
        cpu = cpu_ns(self._pids) - self._cpu
        wall = time.perf_counter_ns() - self._wall
        busy = _core_busy_ns(self._core) - self._busy
        user, system = tick_ns(self._pids)
        return Spent(
            wall_s=wall / 1e9,
            cpu_s=cpu / 1e9,
            user_s=(user - self._ticks[0]) / 1e9,
            system_s=(system - self._ticks[1]) / 1e9,
            foreign=max(0.0, (busy - cpu) / wall),
        )


def machine() -> str:
    """One line: processor, cores, memory, kernel, Python."""
    model, memory = "unknown processor", 0.0
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    with contextlib.suppress(OSError, ValueError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()} ({_turn_ns():.0f} ns a turn of a small loop)"
    )


def _turn_ns() -> float:
    """How fast this build of Python is: one without profile-guided optimisation shows here, and in every figure."""
    loop = "for x in r:\n    d[x & 7] = (x, n); b = x + 1 if x in d else n"
    turns, rounds = 1000, 10
    best = min(timeit.repeat(loop, f"d = {{}}; n = None; r = range({turns})", number=rounds, repeat=20))
    return best / turns / rounds * 1e9
