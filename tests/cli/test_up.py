"""`baseload up` with the real control plane and the real gateway, and a provider of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import tempfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.cli.harness import Cli, answers, stop, wait_for

from baseload.cli.runfile import alive

PORTS = ("--port", "0", "--control-port", "0", "--no-engine")
WORDS = ["Bonjour", " à", " tous"]


class Provider(BaseHTTPRequestHandler):
    """Streams three words and their usage, as OpenAI does."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "words"}
        chunks = [{**base, "choices": [{"index": 0, "delta": {"content": word}}]} for word in WORDS]
        chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append(
            {**base, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}
        )
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "".join(WORDS)}
            whole = {**base, "object": "chat.completion", "usage": chunks[-1]["usage"]}
            whole["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
            self.reply("application/json", [json.dumps(whole).encode()])
            return
        frames = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]
        self.reply("text/event-stream", frames)

    def reply(self, kind: str, frames: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(sum(map(len, frames))))
        self.end_headers()
        for frame in frames:
            self.wfile.write(frame)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def started(cli: Cli):
    """Starts `up` and ends it, whatever the test did."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str) -> tuple[subprocess.Popen[str], dict]:
        process = cli.start("up", "--json", *PORTS, *words)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        return process, json.loads(line)

    yield start
    for process in processes:
        stop(process)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def declare(home: Path, provider: str) -> None:
    home.mkdir(mode=0o700)
    (home / "baseload.toml").write_text(
        f'[[providers]]\nname = "words"\nfrom = "compatible"\nbase_url = "{provider}"\n'
        '[[offers]]\nmodel = "words"\nprovider = "words"\nprice = { rate = { input = "1", output = "2" } }\n'
    )


def children(home: Path) -> dict[str, int]:
    running = json.loads((home / "run.json").read_text())
    return {child["name"]: child["pid"] for child in running["children"]}


@dataclass
class Grid:
    cli: Cli
    base: str
    greeting: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def grid(provider):
    """One `up` for all tests that leave it running, started as a person starts it."""
    with tempfile.TemporaryDirectory(prefix="bl-") as folder:
        cli = Cli(Path(folder) / "home")
        declare(cli.home, provider)
        process = cli.start("up", *PORTS)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        greeting = "".join(lines)
        base = re.search(r"base URL +(http\S+)", greeting)
        try:
            assert base, cli("doctor").out
            yield Grid(cli, base[1], greeting, process)
        finally:
            assert stop(process) == 0
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()


def test_from_nothing_to_a_first_call_and_back_to_nothing(cli, provider, started):
    declare(cli.home, provider)
    process, facts = started()
    assert facts["v"] == 1
    assert answers(facts["base_url"].removesuffix("/v1") + "/readyz")
    wait_for(lambda: not (cli.home / "first-start.json").exists())  # shown, then gone
    assert (cli.home / "cli.key").stat().st_mode & 0o777 == 0o600
    # the line that is printed works when it is pasted
    pasted = subprocess.run(["bash", "-c", facts["curl"]], capture_output=True, text=True, timeout=30, check=True)
    assert "Bonjour" in pasted.stdout
    # and so does the command
    done = cli("call", "words", "Salut")
    assert (done.code, done.out) == (0, "Bonjour à tous\n"), done.err
    as_json = cli("call", "words", "-", "--json", stdin="Salut")
    assert as_json.json["text"] == "Bonjour à tous"
    assert as_json.json["usage"]["completion_tokens"] == 3
    assert as_json.json["offer"] == "words@words"
    unknown = cli("call", "nothing", "Salut")
    assert (unknown.code, unknown.out) == (3, "")
    assert cli("call", "words", "Salut", "--key", "env:K", K="sk-bl-wrong").code == 4
    # one home, one `up`
    second = cli("up", *PORTS)
    assert second.code == 1
    assert "already running" in second.err
    assert f"pid {process.pid}" in second.err
    pids = children(cli.home)
    assert set(pids) == {"control", "g0"}
    assert cli("status", "--json").json["status"]["config_ok"] is True
    assert cli("down").code == 0
    assert process.wait(10) == 0
    assert not any(alive(pid) for pid in pids.values())
    assert not (cli.home / "run.json").exists()
    # a second start finds all as it was, and shows no secret again
    again, facts_again = started("--gateways", "2")
    assert (facts_again["key"], facts_again["admin_token"]) == (None, None)
    assert f"$(cat {cli.home}/cli.key)" in facts_again["curl"]  # can be pasted all the same
    assert set(children(cli.home)) == {"control", "g0", "g1"}  # several gateways share one port
    assert {path.name for path in (cli.home / "journal").iterdir()} == {"g0", "g1"}
    assert all(cli("call", "words", "Salut").code == 0 for _ in range(3))
    assert stop(again, signal.SIGINT) == 0


def test_without_json_a_person_reads_what_to_do(grid):
    text = grid.greeting
    assert text.index("ready") < text.index("base URL")
    key = re.search(r"API key +(sk-bl-\S+)", text)
    assert key
    assert f"Bearer {key[1]}" in text
    assert re.search(r"admin token +bl-admin-\S+", text)
    assert "shown once" in text
    assert f"baseload keys create --home {grid.cli.home}" in text


def test_a_taken_port_is_told_before_anything_starts(cli, control_port_taken):
    done = cli("up", "--port", "0", "--no-engine", "--control-port", str(control_port_taken))
    assert done.code == 1
    assert f"control plane cannot listen on 127.0.0.1:{control_port_taken}" in done.err
    assert not (cli.home / "baseload.db").exists()


@pytest.fixture
def control_port_taken():
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def test_a_wrong_file_refuses_the_start_with_its_line(cli):
    cli.home.mkdir(mode=0o700)
    (cli.home / "baseload.toml").write_text("\n[engine]\nenabld = true\n")
    done = cli("up", *PORTS)
    assert done.code == 1
    assert "baseload.toml:3: engine.enabld" in done.err
    assert "Did you mean `enabled`?" in done.err
    assert done.out == ""


def test_doctor_finds_what_is_wrong_and_says_what_to_do(grid):
    cli, file = grid.cli, grid.cli.home / "baseload.toml"
    good = cli("doctor", "--json")
    assert (good.code, good.json["ok"]) == (0, True), good.out
    before = file.read_text()
    file.write_text(before + '[[providers]]\nname = "deepseek"\ncredential = "env:NOT_SET_ANYWHERE"\n')
    assert cli("apply").code == 0
    bad = cli("doctor", "--json")
    wrong = [check for check in bad.json["checks"] if check["state"] == "wrong"]
    assert bad.code == 8
    assert [check["check"] for check in wrong] == ["credential of deepseek"]
    assert "NOT_SET_ANYWHERE" in wrong[0]["say"]
    file.write_text(before)
    assert cli("apply").code == 0
    cli.home.chmod(0o755)
    assert cli("doctor", "--json").json["checks"][0]["state"] == "wrong"
    cli.home.chmod(0o700)
    assert cli("doctor").code == 0


def test_doctor_where_nothing_is(cli):
    done = cli("doctor", "--json")
    assert (done.code, [check["state"] for check in done.json["checks"]]) == (8, ["wrong"])
    assert "baseload up" in done.json["checks"][0]["fix"]


def test_a_revoked_key_stops_working_while_everything_runs(grid):
    cli = grid.cli
    key = cli("keys", "create").out.strip()
    wait_for(lambda: cli("call", "words", "Salut", "--key", "env:K", K=key).code == 0)
    assert cli("keys", "revoke", key[:12]).code == 0
    wait_for(lambda: cli("call", "words", "Salut", "--key", "env:K", K=key).code == 4)


def test_the_bill_is_usage_times_price_to_the_nano_unit(grid, tmp_path):
    cli = grid.cli
    with (cli.home / "baseload.toml").open("a") as file:
        file.write(
            '[[tariffs]]\nname = "retail"\nmargin_percent = "20"\n[[accounts]]\nname = "team-a"\ntariff = "retail"\n'
        )
    assert cli("apply").code == 0
    key = cli("keys", "create", "--account", "team-a").out.strip()
    wait_for(lambda: cli("call", "words", "Salut", "--key", "env:K", K=key).code == 0)
    call = cli("call", "words", "Salut", "--json", "--key", "env:K", K=key).json["call_id"]
    assert cli("call", "nothing", "Salut", "--key", "env:K", K=key).code == 3

    def settled() -> Any:
        found = cli("calls", "show", call, "--json")
        return found.json["call"] if found.code == 0 and found.json["call"]["attempts"] else None

    shown = wait_for(settled)
    attempt = shown["attempts"][0]
    assert (shown["state"], shown["account_name"], attempt["offer_name"]) == ("settled", "team-a", "words@words")
    cost = 7 * 1_000 + 3 * 2_000  # 7 tokens at 1 USD and 3 at 2 USD a million, in nano-units
    assert (attempt["cost"]["nano"], attempt["charge"]["nano"]) == (cost, cost * 120 // 100)
    bill = cli("bill", "--account", "team-a", "--json").json["bill"]
    assert bill["totals"] == [{"currency": "USD", "nano": 2 * 15_600, "amount": "0.0000312"}]
    assert (bill["lines"][0]["calls"], bill["lines"][0]["meters"]) == (2, {"input": 14, "output": 6})
    assert cli("bill", "--account", "team-a").rows[0]["charge"] == "0.0000312 USD"
    assert cli("bill", "--account", "team-a", "--month", "2020-01", "--json").json["bill"]["totals"] == []
    assert cli("bill", "--account", "team-a", "--since", "yesterday").code == 1
    row = cli("usage", "--by", "account", "--account", "team-a", "--since", "1d", "--json").json["usage"][0]
    assert (row["name"], row["calls"], row["output"], row["charge"]) == ("team-a", 2, 6, {"USD": 31_200})
    assert cli("usage").rows[0]["name"] == "words"
    # what the account itself may see: its own call and its price, not what we pay
    own = fetch(f"{grid.base}/calls/{call}", key)
    assert own["cost"] == [{"nano": 15_600, "text": "0.0000156", "currency": "USD"}]
    assert own["attempts"][0]["input_provenance"] == "reported"
    assert {"cost", "margin_ppm", "postings"}.isdisjoint(own["attempts"][0])
    other = (cli.home / "cli.key").read_text().strip()
    assert fetch(f"{grid.base}/calls/{call}", other)["error"]["code"] == "call_not_found"
    # the book
    check = cli("ledger", "check", "--json")
    assert (check.code, [row for row in check.json["findings"] if row["severity"] != "info"]) == (0, [])
    exported = cli("ledger", "export").out.splitlines()
    sides = [dict(zip(exported[0].split(","), line.split(","), strict=True)) for line in exported[1:]]
    assert sum(int(side["nano"]) for side in sides) == 0
    assert sum(call in line for line in exported) == 4  # cost and charge, each with two sides
    assert all(
        json.loads(line)["currency"] == "USD" for line in cli("ledger", "export", "--format", "jsonl").out.splitlines()
    )
    copy = tmp_path / "copy.db"
    assert cli("backup", str(copy)).code == 0
    assert copy.stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as book:
        assert book.execute("SELECT count(*) FROM readings").fetchone()[0] >= 2
    assert cli("backup", str(copy)).code == 1
    assert [path.name for path in cli.home.glob(".backup*")] == []


def fetch(url: str, key: str) -> dict:
    return httpx.get(url, headers={"authorization": f"Bearer {key}"}, trust_env=False).json()


def test_after_a_kill_of_everything_a_start_finds_every_call_once(cli, provider, started):
    declare(cli.home, provider)
    process, facts = started()
    port = facts["base_url"].split(":")[2].split("/")[0]
    pids = children(cli.home)
    assert cli("call", "words", "Salut").code == 0
    process.kill()
    process.wait()
    again = cli.start("up", "--json", "--port", port, "--control-port", "0", "--no-engine")
    assert again.stdout is not None
    try:
        assert json.loads(again.stdout.readline())["base_url"] == facts["base_url"]
        assert set(children(cli.home).values()).isdisjoint(pids.values())
        wait_for(lambda: cli("usage", "--json").json["usage"])
        assert [row["calls"] for row in cli("usage", "--json").json["usage"]] == [1]
        assert len(cli("calls", "list", "--json").json["calls"]) == 1
        assert cli("ledger", "check").code == 0
    finally:
        stop(again)
        for pipe in (again.stdout, again.stderr):
            if pipe:
                pipe.close()


def test_a_killed_gateway_is_started_again_and_it_is_said(grid):
    cli = grid.cli
    before = children(cli.home)
    os.kill(before["g0"], signal.SIGKILL)
    wait_for(lambda: children(cli.home)["g0"] != before["g0"] and answers(grid.base[:-3] + "/readyz"))
    assert children(cli.home)["control"] == before["control"]
    assert cli("call", "words", "Salut").out == "Bonjour à tous\n"
    assert grid.process.stderr is not None
    said = [grid.process.stderr.readline() for _ in range(2)]
    assert "g0 was killed by SIGKILL; restarting in 0.5 s" in said[0]
    assert "g0 restarted" in said[1]
