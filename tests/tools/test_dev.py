"""tools/dev.py: when it installs and when not, what a failure leaves, and what it hands on."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.tools.conftest import ROOT

SOURCE = (ROOT / "tools" / "dev.py").read_text()


class Recorder:
    """Stands in for the network: notes which lock files were asked for, and makes the interpreter that a venv has."""

    def __init__(self, dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dev, self.asked = dev, []
        self.fails = False
        monkeypatch.setattr(dev, "make_venv", self.make_venv)
        monkeypatch.setattr(dev, "add_packages", self.add_packages)
        monkeypatch.setattr(dev, "run_installer", lambda words, hashed=False: None)

    def make_venv(self) -> None:
        self.dev.BIN.mkdir(parents=True, exist_ok=True)
        self.dev.PYTHON.touch()

    def add_packages(self, files: list[str]) -> None:
        if self.fails:
            raise self.dev.Trouble("no network")
        self.asked.append(files)


@pytest.fixture
def recorder(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(dev, monkeypatch)


RUN = ["locks/build.txt", "locks/local.txt", "locks/model.txt", "locks/assets.txt"]
DEV = ["locks/build.txt", "locks/dev.txt", "locks/model.txt", "locks/assets.txt"]


def test_the_second_run_installs_nothing(dev: ModuleType, recorder: Recorder) -> None:
    dev.install("run")
    dev.install("run")
    assert recorder.asked == [RUN]


def test_developers_tools_come_on_top_and_serve_both(dev: ModuleType, recorder: Recorder) -> None:
    dev.install("run")
    dev.install("dev")
    dev.install("run")
    dev.install("dev")
    assert recorder.asked == [RUN, DEV]


def test_an_environment_for_developers_runs_the_product_too(dev: ModuleType, recorder: Recorder) -> None:
    dev.install("dev")
    dev.install("run")
    assert recorder.asked == [DEV]


@pytest.mark.parametrize("changed", ["locks/local.txt", "locks/build.txt", "locks/model.txt", "pyproject.toml"])
def test_a_changed_file_installs_again(changed: str, dev: ModuleType, recorder: Recorder, tree: Path) -> None:
    dev.install("run")
    (tree / changed).write_text("changed==2\n")
    dev.install("run")
    assert recorder.asked == [RUN, RUN]


def test_a_lock_of_developers_does_not_concern_the_product(dev: ModuleType, recorder: Recorder, tree: Path) -> None:
    dev.install("dev")
    (tree / "locks" / "dev.txt").write_text("changed==2\n")
    dev.install("run")
    assert recorder.asked == [DEV]
    dev.install("dev")
    assert recorder.asked == [DEV, DEV]


def test_a_failed_install_never_looks_ready(dev: ModuleType, recorder: Recorder, tree: Path) -> None:
    dev.install("run")
    (tree / "locks" / "local.txt").write_text("changed==2\n")
    recorder.fails = True
    with pytest.raises(dev.Trouble, match="no network"):
        dev.install("run")
    (tree / "locks" / "local.txt").write_text("local==1\n")  # back to what was installed once; it is half replaced now
    recorder.fails = False
    dev.install("run")
    assert recorder.asked == [RUN, RUN]


def test_a_removed_interpreter_or_a_torn_stamp_installs_again(dev: ModuleType, recorder: Recorder) -> None:
    dev.install("run")
    dev.PYTHON.unlink()
    dev.install("run")
    dev.STAMP.write_text('{"run": "')
    dev.install("run")
    assert recorder.asked == [RUN, RUN, RUN]


def test_a_moved_checkout_is_noticed(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Scripts in a virtual environment carry the absolute path of where it was made."""
    before = dev.fingerprint("run")
    monkeypatch.setattr(dev, "ROOT", tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "pyproject.toml").write_text("[project]\n")
    assert dev.fingerprint("run") != before


def test_a_missing_lock_file_is_named(dev: ModuleType, tree: Path) -> None:
    (tree / "locks" / "model.txt").unlink()
    with pytest.raises(dev.Trouble, match=r"model\.txt cannot be read \(No such file or directory\)"):
        dev.install("run")


def test_uv_failing_falls_back_to_pip_with_the_same_files(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 1 if command[0].endswith("uv") else 0)

    monkeypatch.setattr(dev.subprocess, "run", run)
    dev.add_packages(["locks/local.txt"])
    installs = [command for command in ran if "install" in command]
    assert [command[0].endswith("uv") for command in installs] == [False, True, False]
    for command in installs:
        assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(command), command
    assert "locks/uv.txt" in installs[0]
    assert "locks/local.txt" in installs[1]
    assert "locks/local.txt" in installs[2]


def test_settings_that_would_change_the_outcome_are_dropped_and_mirrors_kept(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_TARGET", "PIP_CONSTRAINT", "UV_NO_VERIFY_HASHES", "PYTHONPATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PIP_INDEX_URL", "a mirror")
    monkeypatch.setenv("UV_SYSTEM_CERTS", "0")
    kept = dev.clean_env()
    assert {"PIP_TARGET", "PIP_CONSTRAINT", "UV_NO_VERIFY_HASHES", "PYTHONPATH"}.isdisjoint(kept)
    assert kept["PIP_INDEX_URL"] == "a mirror"
    assert kept["UV_SYSTEM_CERTS"] == "0"


def run_dev(tree: Path, *words: str, code: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, str(tree / "tools" / "dev.py")]
    return subprocess.run([*command, *words], capture_output=True, text=True, env={**os.environ, **more}, timeout=60)


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def pretend_installed(dev: ModuleType) -> None:
    script(dev.PYTHON, 'echo "python $@"\n')
    dev.STAMP.write_text(json.dumps({name: dev.fingerprint(name) for name in dev.SETS}))


def test_up_becomes_the_command_with_its_arguments_and_exit_code(dev: ModuleType, tree: Path) -> None:
    pretend_installed(dev)
    script(dev.BIN / "baseload", 'echo "$# $1 $2 $3"; exit 7\n')
    ended = run_dev(tree, "up", "--port", "two words")
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "3 up --port two words\n", "")


def test_test_and_bench_hand_their_arguments_on(dev: ModuleType, tree: Path) -> None:
    pretend_installed(dev)
    assert run_dev(tree, "test", "tests/wire", "-x").stdout == "python -m pytest tests/wire -x\n"
    assert run_dev(tree, "test").stdout == "python -m pytest -n 2 --dist loadfile\n"
    assert run_dev(tree, "bench", "--quick").stdout == "python -m bench --quick\n"


def test_check_runs_everything_and_names_what_failed(dev: ModuleType, tree: Path) -> None:
    pretend_installed(dev)
    for tool in ("ruff", "lint-imports", "pylint"):
        script(dev.BIN / tool, f'echo "{tool} is content"\n')
    script(dev.BIN / "mypy", 'echo "a type is wrong"; exit 1\n')
    ended = run_dev(tree, "check")
    assert ended.returncode == 1
    assert ended.stdout == "a type is wrong\n"  # only what failed is shown
    assert re.findall(r"dev: (ok|FAILED) +(\w+)", ended.stderr) == [
        ("ok", "format"),
        ("ok", "lint"),
        ("FAILED", "types"),
        ("ok", "borders"),
        ("ok", "duplicates"),
    ]
    assert "Again: python3 tools/dev.py check types" in ended.stderr
    assert run_dev(tree, "check", "lint").returncode == 0


def test_wrong_words_are_refused_with_the_right_ones(tree: Path) -> None:
    ended = run_dev(tree, "upp")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "unknown command 'upp'; known: up, test, nightly, check, bench, screenshots, lock, clean" in ended.stderr
    assert "unknown check colours; known: format, lint" in run_dev(tree, "check", "colours").stderr


def test_help_needs_nothing_installed(tree: Path) -> None:
    ended = run_dev(tree, "--help")
    assert ended.returncode == 0
    assert "python3 tools/dev.py up" in ended.stdout
    assert not (tree / ".venv").exists()


def test_clean_leaves_the_books(dev: ModuleType, tree: Path) -> None:
    pretend_installed(dev)
    home = tree / ".baseload"
    home.mkdir()
    (tree / "src" / "__pycache__").mkdir(parents=True)
    assert run_dev(tree, "clean").returncode == 0
    assert not dev.VENV.exists()
    assert not (tree / "src" / "__pycache__").exists()
    assert home.exists()


TWO_SHELLS = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[1])
import dev
def make_venv():
    dev.BIN.mkdir(parents=True, exist_ok=True)
    dev.PYTHON.touch()
def add_packages(files):
    with open(dev.ROOT / "installs", "a") as log:
        log.write("begin ")
    time.sleep(0.3)
    with open(dev.ROOT / "installs", "a") as log:
        log.write("end ")
dev.make_venv, dev.add_packages, dev.run_installer = make_venv, add_packages, lambda *_, **__: None
dev.install(sys.argv[2])
"""


def test_two_shells_at_once_do_not_install_over_each_other(tree: Path) -> None:
    words = [sys.executable, "-c", TWO_SHELLS, str(tree / "tools")]
    shells = [subprocess.Popen([*words, purpose]) for purpose in ("run", "run", "dev")]
    assert [shell.wait(60) for shell in shells] == [0, 0, 0]
    log = (tree / "installs").read_text()
    # dev covers run, so one or two installs, whoever came first; never one inside another
    assert log in ("begin end ", "begin end begin end ")


def test_an_old_interpreter_gets_a_sentence() -> None:
    """It must be able to read the file for that: no syntax newer than Python 3.7, and the standard library only."""
    parsed = ast.parse(SOURCE, feature_version=(3, 7))
    nodes = list(ast.walk(parsed))
    imported = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module).split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {"subprocess", "pathlib"} <= imported <= sys.stdlib_module_names
    code = f"import sys; sys.version_info = (3, 8, 18); exec(compile({SOURCE!r}, 'dev.py', 'exec'))"
    code = f"__file__ = {str(ROOT / 'tools' / 'dev.py')!r}; {code}"
    ended = run_dev(ROOT, code=code, PATH="")
    assert ended.returncode == 1
    assert "Baseload needs Python 3.11 to 3.14" in ended.stderr


DOORS = ("bench", "check", "clean", "lock", "nightly", "screenshots", "test", "up")


def test_the_makefile_is_only_a_door(dev: ModuleType) -> None:
    text = (ROOT / "Makefile").read_text()
    calls = re.findall(r"^(\w+):.*## .*\n\t@\$\(PYTHON\) tools/dev\.py (\w+) *(?:\$\(ARGS\))?$", text, re.MULTILINE)
    assert sorted(calls) == [(name, name) for name in DOORS]
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {name}" in listed for name, _ in calls)


def test_the_gate_is_a_valid_script() -> None:
    gate = ROOT / ".ci" / "run"
    assert os.access(gate, os.X_OK)
    subprocess.run(["bash", "-n", str(gate)], check=True)
    last = gate.read_text().rstrip().splitlines()[-1]
    assert last.startswith("make test")  # pytest's summary is the last line
