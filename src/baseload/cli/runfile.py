"""`HOME/run.json`: which processes a running `baseload up` has, and where they listen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from baseload.control.home import Home, write_private

GATEWAY_PORT, CONTROL_PORT, ENGINE_PORT = 8400, 8401, 8402


def write(home: Home, running: dict[str, Any]) -> None:
    write_private(home.run, json.dumps(running, indent=1).encode())


def read(home: Home) -> dict[str, Any] | None:
    """What is running, or None. A file left by a killed `up` counts as nothing running."""
    try:
        running = json.loads(home.run.read_text())
    except (OSError, ValueError):
        return None
    return running if isinstance(running, dict) and alive(running.get("pid", 0)) else None


def alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def leftovers(home: Home) -> list[tuple[str, int]]:
    """Children of an `up` that is gone which still run: (name, pid). A pid taken over by another program is none."""
    try:
        running = json.loads(home.run.read_text())
        children = [(str(child["name"]), int(child["pid"])) for child in running["children"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if alive(int(running.get("pid", 0))) and int(running["pid"]) != os.getpid():
        return []
    return [(name, pid) for name, pid in children if alive(pid) and _is_ours(pid)]


def _is_ours(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # no /proc here: believe run.json
    return any(word.startswith(b"baseload.") for word in words)


def gateway_url(home: Home) -> str:
    """Where this home's gateway listens, or would by default."""
    running = read(home)
    return str(running["gateway"]["url"]) if running else f"http://127.0.0.1:{GATEWAY_PORT}"
