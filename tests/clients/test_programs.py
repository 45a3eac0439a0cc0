"""Client programs as people run them, each in an environment of its own, pointed by what `baseload env` prints.

A real exchange each, through `baseload up`, to a simulated vendor that answers, and calls tools where it is given some;
the call must be in the ledger with the usage the vendor reported. Versions are exact; an environment is made once and
kept under BASELOAD_CLIENTS (default build/clients), so a second run is quick.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.grid import Grid, home_with, up
from tests.vendors import Simulator, start

pytestmark = pytest.mark.long
KEPT = Path(os.environ.get("BASELOAD_CLIENTS", "build/clients")).resolve()
MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash"}
DOORS = {"openai": '["chat", "responses"]', "anthropic": '["messages"]', "gemini": '["gemini"]'}
SAY = "Say hello."
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


@dataclass
class Program:
    """`package`: what is installed; `words` or `script`: what is run; `file`: where the printed text goes."""

    client: str  # of `baseload env`
    package: str
    vendor: str
    endpoint: str
    words: tuple[str, ...] = ()
    script: str = ""
    file: str = ""
    more: tuple[tuple[str, str], ...] = ()  # files that docs/clients.md says to write
    variables: tuple[tuple[str, str], ...] = ()


NPM = (
    Program("claude-code", "@anthropic-ai/claude-code@2.1.197", "anthropic", "messages", ("claude", "-p", SAY)),
    Program("codex", "@openai/codex@0.169.0", "openai", "responses", ("codex", "exec", "--skip-git-repo-check", SAY),
            file=".codex/config.toml"),
    Program("gemini-cli", "@google/gemini-cli@0.61.0", "gemini", "gemini", ("gemini", "-p", SAY),
            more=((".gemini/settings.json", '{"security": {"auth": {"selectedType": "gemini-api-key"}}}'),)),
    Program("opencode", "opencode-ai@1.18.33", "openai", "chat", ("opencode", "run", SAY), file="work/opencode.json"),
)  # fmt: skip
PYTHON = (
    Program("openai-agents", "openai-agents==0.24.0", "openai", "responses", script=(
        "from agents import Agent, Runner, function_tool\n"
        "@function_tool\n"
        "def weather(city: str) -> str:\n    return f'sunny in {city}'\n"
        "agent = Agent(name='a', model=MODEL, tools=[weather])\n"
        "print(Runner.run_sync(agent, SAY).final_output)\n"
    )),
    Program("langchain", "langchain-openai==1.7.4", "openai", "chat", script=(
        "from langchain_openai import ChatOpenAI\n"
        "print(''.join(str(one.content) for one in ChatOpenAI(model=MODEL).stream(SAY)))\n"
    )),
    Program("pydantic-ai", "pydantic-ai-slim[openai]==2.68.0", "openai", "chat", script=(
        "from pydantic_ai import Agent\n"
        "from pydantic_ai.models.openai import OpenAIChatModel\n"
        "agent = Agent(OpenAIChatModel(MODEL))\n"
        "@agent.tool_plain\n"
        "def weather(city: str) -> str:\n    return f'sunny in {city}'\n"
        "print(agent.run_sync(SAY).output)\n"
    )),
    Program("litellm", "litellm==1.110.2", "openai", "chat", script=(
        "import litellm\n"
        "said = [{'role': 'user', 'content': SAY}]\n"
        "reply = litellm.completion(model=f'openai/{MODEL}', messages=said, stream=True)\n"
        "print(''.join(piece.choices[0].delta.content or '' for piece in reply))\n"
    )),
    Program("instructor", "instructor==1.17.0", "openai", "chat", script=(
        "import instructor, openai, pydantic\n"
        "class Word(pydantic.BaseModel):\n    text: str\n"
        "client = instructor.from_openai(openai.OpenAI())\n"
        "print(client.chat.completions.create(model=MODEL, response_model=Word, max_retries=0,\n"
        "    messages=[{'role': 'user', 'content': SAY}]).text)\n"
    )),
    Program("llm", "llm==0.36", "openai", "chat", ("llm", "-m", "baseload", SAY), file=".llm/extra-openai-models.yaml",
            more=((".llm/keys.json", '{"baseload": "KEY"}'),), variables=(("LLM_USER_PATH", "HOME/.llm"),)),
)  # fmt: skip


@pytest.fixture(scope="module")
def vendors() -> Iterator[dict[str, Simulator]]:
    with (
        start("openai", models=(MODELS["openai"],)) as one,
        start("anthropic", models=(MODELS["anthropic"],)) as two,
        start("gemini", models=(MODELS["gemini"],)) as three,
    ):
        yield {"openai": one, "anthropic": two, "gemini": three}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, vendors: dict[str, Simulator]) -> Iterator[Grid]:
    text = "[engine]\nenabled = false\n"
    for name, vendor in vendors.items():
        text += f"""
[[providers]]
name = "{name}"
from = "{name}"
base_url = "{vendor.base_url}"
credential = "file:HOME/vendor.key"
[[offers]]
model = "{MODELS[name]}"
provider = "{name}"
endpoints = {DOORS[name]}
price = {{ rate = {{ input = "1", output = "2", cache_read = "0.1", cache_write_5m = "1.25" }} }}
"""
    with up(home_with(tmp_path_factory.mktemp("programs"), text, vendor_key="sk-v")) as started:
        yield started


def installed(program: Program, python: bool) -> Path:
    """The folder of its programs; made once, whole or not at all."""
    folder = KEPT / "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in program.package)
    done = folder / "installed"
    binaries = folder / ("bin" if python else "node_modules/.bin")
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if python:
            uv = str(Path(sys.executable).with_name("uv"))
            _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
            done.parent.mkdir(exist_ok=True)
            _run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), program.package])
        else:
            npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
            _run([*npm, "--prefix", str(folder), program.package])
        done.write_text("")
    return binaries


def _run(words: list[str]) -> None:
    # uv and npm read the system's certificates only where they are told to: a proxy's stands there
    found_at = next((path for path in CERTIFICATES if Path(path).exists()), "")
    system = {"NODE_EXTRA_CA_CERTS": found_at} if found_at else {}
    variables = {"UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never", **system, **os.environ}
    found = subprocess.run(words, capture_output=True, text=True, timeout=300, env=variables)
    assert found.returncode == 0, f"{words}\n{found.stdout[-1000:]}\n{found.stderr[-2000:]}"


def run(program: Program, grid: Grid, home: Path, *, python: bool) -> subprocess.CompletedProcess[str]:
    """As a person would: the text that `baseload env` prints goes where it says, and the program is started."""
    binaries = installed(program, python)
    text = grid.run("env", program.client, "--model", MODELS[program.vendor])
    work = home / "work"
    work.mkdir()
    more = dict(program.more)
    if program.file:
        more[program.file] = text
    for name, content in more.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("KEY", grid.key) if name.endswith("keys.json") else content)
    variables = {
        "PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(home), "BASELOAD_API_KEY": grid.key, "TERM": "dumb",
        **{name: value.replace("HOME", str(home)) for name, value in program.variables},
    }  # fmt: skip
    words = list(program.words)
    if program.script:
        script = home / "run.py"
        script.write_text(f"MODEL = {MODELS[program.vendor]!r}\nSAY = {SAY!r}\n{program.script}")
        words = [str(binaries / "python"), str(script)]
    shell = ("" if program.file else text) + '\nexec "$@"\n'
    return subprocess.run(
        ["sh", "-c", shell, "sh", *words], cwd=work, env=variables, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("program", [*NPM, *PYTHON], ids=lambda program: program.client)
def test_the_program_is_served_and_metered(
    program: Program, grid: Grid, vendors: dict[str, Simulator], tmp_path: Path
) -> None:
    vendor = vendors[program.vendor]
    before, known = len(vendor.requests), {one["call"] for one in grid.json("calls", "list")["calls"]}
    done = run(program, grid, tmp_path, python=program in PYTHON)
    said = f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    asked = vendor.requests[before:]
    assert asked, said
    if program.client != "instructor":  # the simulator fills a schema with anything: what it says may be no Word
        assert done.returncode == 0, said
    until = time.monotonic() + 10
    while True:
        calls = [one for one in grid.json("calls", "list")["calls"] if one["call"] not in known]
        if len(calls) >= len(asked) or time.monotonic() > until:
            break
        time.sleep(0.2)
    assert len(calls) == len(asked), (calls, said)
    records: list[dict[str, Any]] = [grid.json("calls", "show", one["call"])["call"]["attempts"][0] for one in calls]
    for record in records:
        assert record["outcome"] == "ok", json.dumps(record)
        assert record["output_provenance"] == "reported"
        assert record["meters"]["output_total"] > 0
        assert record["charge"]["nano"] > 0
    assert program.endpoint in {record["endpoint"] for record in records}
