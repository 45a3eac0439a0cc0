"""The life of a home: first start, stop, start again, kill."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import openai

from tests.e2e.grid import Grid, up

ASK = [{"role": "user", "content": "Say hi."}]


def call(grid: Grid, key: str) -> str:
    client = openai.OpenAI(base_url=grid.base_url, api_key=key)
    raw = client.chat.completions.with_raw_response.create(model="smollm2", messages=ASK, max_tokens=4)  # type: ignore[arg-type]
    return str(raw.headers["x-baseload-call-id"])


def test_a_second_start_finds_all_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home, "--gateways", "2") as first:
        key = first.key
        assert first.facts["admin_token"]
        calls = [call(first, key) for _ in range(6)]
        assert first.stop(signal.SIGINT) in (0, 130)
    assert not list(home.glob("control.sock"))
    with up(home) as second:
        assert second.facts["key"] is None, "a key is shown once"
        assert second.facts["admin_token"] is None
        records = second.settled(calls)
        assert {record["state"] for record in records} == {"settled"}
        call(second, key)
        assert second.sound() == []


def test_lesson_47_whatever_is_killed_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home) as grid:
        calls = [call(grid, grid.key)]
        running = json.loads((home / "run.json").read_text())
        pids = {child["name"]: child["pid"] for child in running["children"]}
        for name in ("control", "g0"):
            os.kill(pids[name], signal.SIGKILL)
            until = time.monotonic() + 30
            while True:
                try:
                    calls.append(call(grid, grid.key))
                    break
                except openai.APIConnectionError:
                    assert time.monotonic() < until, f"{name} did not come back"
                    time.sleep(0.2)
        until = time.monotonic() + 30
        while True:
            try:
                records = grid.settled(calls)
                break
            except AssertionError:
                assert time.monotonic() < until
                time.sleep(0.5)
        assert [record["attempts"][0]["outcome"] for record in records] == ["ok"] * len(calls)
        assert grid.sound() == []


def test_a_grid_that_syncs_its_journal(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home, "--fsync", "group") as grid:
        gateway = next(
            child["pid"] for child in json.loads((home / "run.json").read_text())["children"] if child["name"] == "g0"
        )
        assert "group" in Path(f"/proc/{gateway}/cmdline").read_text().split("\0")
        (record,) = grid.settled([call(grid, grid.key)])
        assert record["state"] == "settled"
