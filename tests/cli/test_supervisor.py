"""The supervisor with small processes of its own: order, patience, last words, and no orphan."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import textwrap
import time
from pathlib import Path

import pytest
from tests.cli.harness import stop, wait_for

from baseload.cli.echo import Echo, errors_in
from baseload.cli.runfile import alive
from baseload.cli.supervisor import Child, Supervisor, backoff_s, rotate

STUBBORN = (
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
# Writes its name when it ends, so that the order of endings can be read.
POLITE = """
import signal, sys, time
def end(*_):
    open(sys.argv[2], "a").write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: time.sleep(0.02)
"""


def child(name: str, code: str, folder: Path, *words: str, stop_s: float = 5.0) -> Child:
    return Child(name, [sys.executable, "-c", code, *words], folder / f"{name}.log", stop_s)


@pytest.fixture
def supervisor():
    made = Supervisor(lambda _: None)
    yield made
    made.hurry = True
    made.stop([made.children])


def says(one: Child, word: str):
    return wait_for(lambda: one.log.exists() and word in one.log.read_text())


def test_groups_end_one_after_the_other(supervisor, tmp_path):
    order = tmp_path / "order"
    made = [child(name, POLITE, tmp_path, name, str(order)) for name in ("control", "engine", "g0", "g1")]
    for one in made:
        supervisor.start(one)
    for one in made:
        says(one, "up")
    control, engine, *gateways = made
    assert supervisor.stop([gateways, [control], [engine]]) == []
    ended = order.read_text().split()
    assert set(ended[:2]) == {"g0", "g1"}
    assert ended[2:] == ["control", "engine"]


def test_one_that_does_not_hear_is_killed_and_named(supervisor, tmp_path):
    deaf = child("deaf", STUBBORN, tmp_path, stop_s=0.2)
    supervisor.start(deaf)
    says(deaf, "deaf")
    assert supervisor.stop([[deaf]]) == ["deaf"]
    assert not alive(deaf.pid)


def test_what_dies_before_it_is_ready_is_named_with_its_exit_code_and_last_words(supervisor, tmp_path):
    broken = child("broken", "import sys; print('the reason', file=sys.stderr); sys.exit(3)", tmp_path)
    supervisor.start(broken)
    assert supervisor.wait_until(lambda: False, 10, [broken]) == "broken ended with exit code 3 before it was ready"
    assert broken.last_words() == "the reason"
    slow = child("slow", "import time; time.sleep(30)", tmp_path)
    supervisor.start(slow)
    assert supervisor.wait_until(lambda: False, 0.1, [slow]) == "slow not ready within 0 s"


def test_what_dies_later_is_started_again_and_it_is_said(tmp_path):
    said: list[str] = []
    watcher = Supervisor(said.append)
    one = child("one", "import time; time.sleep(60)", tmp_path)
    watcher.start(one)
    first = one.pid
    os.kill(first, signal.SIGKILL)

    def restarted() -> None:
        watcher.stopping = True

    watcher.watch(restarted)
    try:
        assert one.running()
        assert one.pid != first
        assert "one was killed by SIGKILL; restarting in 0.5 s" in said[0]
        assert f"one restarted (pid {one.pid})" in said[1]
    finally:
        watcher.hurry = True
        watcher.stop([[one]])


def test_patience_doubles_to_a_limit():
    assert [backoff_s(n) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff_s(50) == 30.0


def test_logs_are_rotated_and_bounded(tmp_path):
    log = tmp_path / "x.log"
    for number in range(6):
        log.write_text(str(number))
        rotate(log, kept=2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.log.1": "5", "x.log.2": "4"}


def test_logs_are_their_owners(supervisor, tmp_path):
    one = child("one", "print('x')", tmp_path)
    supervisor.start(one)
    assert one.log.stat().st_mode & 0o777 == 0o600


def test_children_die_with_a_killed_supervisor(tmp_path):
    code = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from baseload.cli.supervisor import Child, Supervisor
        one = Child("one", [sys.executable, "-c", "import time; time.sleep(60)"], Path(sys.argv[1]) / "one.log")
        Supervisor(print).start(one)
        print(one.pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    try:
        assert alive(pid)
        stop(parent, signal.SIGKILL)
        wait_for(lambda: not alive(pid) or zombie(pid))
    finally:
        parent.stdout.close()


def zombie(pid: int) -> bool:
    """Dead, but nobody has collected it yet (its new parent will, where there is an init)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_closed_terminal_stops_everything_in_order(tmp_path):
    script = f"""
import pathlib, sys
from baseload.cli.exits import note
from baseload.cli.supervisor import Child, Supervisor
sup = Supervisor(note)
sup.catch_signals()
sup.start(Child("a", ["sleep", "60"], pathlib.Path({str(tmp_path)!r}) / "a.log"))
print("ready", flush=True)
sup.watch(lambda: None)
note("said to nobody")
pathlib.Path({str(tmp_path / "killed")!r}).write_text(repr(sup.stop([sup.children])))
"""
    outside, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(inside)
    try:
        with os.fdopen(outside, "rb") as screen:
            assert screen.readline() == b"ready\r\n"  # the whole line: a write that is cut short would fail
        assert process.wait(20) == 0
        assert (tmp_path / "killed").read_text() == "[]"
    finally:
        process.kill()
        process.wait()


def test_a_second_signal_hurries(supervisor, tmp_path):
    deaf = child("deaf", STUBBORN, tmp_path, stop_s=60)
    supervisor.start(deaf)
    says(deaf, "deaf")
    supervisor.hurry = True
    begun = time.monotonic()
    assert supervisor.stop([[deaf]]) == ["deaf"]
    assert time.monotonic() - begun < 60


LOG = """2026-11-24 23:20:18,547 INFO baseload.control: all is well
2026-11-24 23:20:19,000 ERROR baseload.control.config: config: refused, the last good state stays in force:
baseload.toml:3: engine.enabld: not a field here.
2026-11-24 23:20:20,000 WARNING baseload.control: hm
a line of the warning
2026-11-24 23:20:21,000 ERROR baseload.control.app: GET /x failed
Traceback (most recent call last):
  File "x.py", line 1
ValueError: x
"""


def test_errors_of_json_logs_are_shown_alike():
    lines = [
        {"level": "info", "logger": "baseload.control", "message": "all is well"},
        {"level": "error", "logger": "baseload.control.config", "message": "config: refused:\nbaseload.toml:3: no."},
        {"level": "error", "logger": "baseload.control.app", "message": "GET /x failed", "error": "Traceback ..."},
        [1],
    ]
    assert errors_in("\n".join([*map(json.dumps, lines), "{half a line"])) == [
        "baseload.control.config: config: refused:", "  baseload.toml:3: no.", "baseload.control.app: GET /x failed",
    ]  # fmt: skip


def test_errors_of_the_logs_are_shown_with_their_lines_and_without_tracebacks(tmp_path):
    assert errors_in(LOG) == [
        "baseload.control.config: config: refused, the last good state stays in force:",
        "  baseload.toml:3: engine.enabld: not a field here.",
        "baseload.control.app: GET /x failed",
    ]
    log = tmp_path / "x.log"
    echo = Echo(log)
    assert echo.news() == []
    log.write_text("2026-11-24 23:20:19,000 ERROR a: one\n2026-11-24 23:20:19,000 ERROR a: two")
    assert echo.news() == ["a: one"]
    with log.open("a") as file:
        file.write("!\n")
    assert echo.news() == ["a: two!"]
    assert echo.news() == []
    with log.open("a") as file:
        file.write("2026-11-24 23:20:20,000 ERROR a: one\n" * 5)
    assert echo.news() == []  # said within this minute
