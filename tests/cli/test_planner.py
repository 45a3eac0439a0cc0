"""`baseload plan` on a trace and on a grid's own load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("baseload")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=60)


def test_a_trace_needs_no_grid(tmp_path: Path) -> None:
    trace = tmp_path / "load.csv"
    rows = "".join(f"{hour},1,{1000 * (1 + hour % 3)},0,0\n" for hour in range(48))
    trace.write_text(f"hour,calls,input,cached,output\n{rows}")
    found = json.loads(run("plan", "load", "--trace", str(trace), "--json").stdout)["load"]
    assert (found["hours"], found["peak"], found["tokens"], found["calls"]) == (48, 3000, 96_000, 48)
    done = run("plan", "screen", "--trace", str(trace), "--engine", "own:1:1000:0", "--rent", "v:1000", "--json")
    screening = json.loads(done.stdout)["screening"]
    assert [row["supply"] for row in screening["supplies"]] == ["own", "v"]
    assert screening["supplies"][0]["capacity"] == 3000
    assert run("plan", "screen", "--trace", str(trace)).returncode == 2
    trace.write_text("nothing\n1\n")
    assert run("plan", "load", "--trace", str(trace)).returncode == 1
