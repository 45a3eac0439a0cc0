"""The checks of `baseload doctor`. Local ones work while nothing runs; the rest come from the control plane.

A check is {check, state, say, fix}; state is "ok", "wrong" or "not running".
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from typing import Any

from baseload.cli import runfile
from baseload.cli.client import Client
from baseload.cli.http import answers
from baseload.cli.plan import can_bind
from baseload.control.config import ConfigWrong, load
from baseload.control.home import Home
from baseload.errors import Refusal

DISK_LEAST_BYTES = 512 * 2**20  # below this a busy journal could fill the disk within minutes


def examine(home: Home) -> list[dict[str, Any]]:
    """Every check, in the order a person would look."""
    if not os.path.exists(home.path):
        return [_wrong("home", f"{home.path} does not exist.", f"baseload up{home.option}")]
    if not os.path.isdir(home.path):
        return [_wrong("home", f"{home.path} is not a folder.", "Choose another one with --home (or BASELOAD_HOME).")]
    running = runfile.read(home)
    checks = [_home(home), _secret(home), _disk(home), _config(home)]
    checks += _ports(home, running)
    return checks + _served(home, running is not None)


def _ok(check: str, say: str) -> dict[str, Any]:
    return {"check": check, "state": "ok", "say": say, "fix": ""}


def _wrong(check: str, say: str, fix: str) -> dict[str, Any]:
    return {"check": check, "state": "wrong", "say": say, "fix": fix}


def _home(home: Home) -> dict[str, Any]:
    if exposure := home.exposure():
        return _wrong("home", f"{home.path} {exposure}.", home.closing)
    if not os.access(home.path, os.W_OK | os.X_OK):
        return _wrong("home", f"{home.path} cannot be written.", f"chmod 700 {shlex.quote(str(home.path))}")
    return _ok("home", f"{home.path} is yours alone.")


def _secret(home: Home) -> dict[str, Any]:
    try:
        mode = stat.S_IMODE(home.secret.stat().st_mode)
        length = len(bytes.fromhex(home.secret.read_text().strip()))
    except FileNotFoundError:
        if home.database.exists():
            return _wrong(
                "secret",
                f"{home.secret} is missing: no key and no stored credential can work.",
                "Restore it from a backup.",
            )
        return _ok("secret", "Not made yet; the first start makes it.")
    except OSError as error:
        return _wrong("secret", f"{home.secret} cannot be read ({error.strerror}).", f"ls -l {home.secret}")
    except ValueError:
        return _wrong("secret", f"{home.secret} cannot be read as 64 hex digits.", "Restore it from a backup.")
    if mode & 0o077:
        return _wrong("secret", f"{home.secret} may be read by others (mode {mode:04o}).", f"chmod 600 {home.secret}")
    if length != 32:
        return _wrong("secret", f"{home.secret} holds {length} bytes, not 32.", "Restore it from a backup.")
    return _ok("secret", "There, private and whole.")


def _disk(home: Home) -> dict[str, Any]:
    usage = shutil.disk_usage(home.path)
    free = f"{usage.free / 2**30:.1f} GiB free"
    if usage.free < DISK_LEAST_BYTES:
        return _wrong(
            "disk", f"Only {free} at {home.path}; a full disk stops the gateway from accepting calls.", "Make room."
        )
    return _ok("disk", free)


def _config(home: Home) -> dict[str, Any]:
    try:
        load(home.config)
    except ConfigWrong as wrong:
        return _wrong("config", wrong.say, f"Edit {home.config}")
    return _ok("config", f"{home.config} is right." if home.config.exists() else "No baseload.toml: the defaults hold.")


def _ports(home: Home, running: dict[str, Any] | None) -> list[dict[str, Any]]:
    if running:
        url = running["gateway"]["url"]
        status = answers(f"{url}/readyz")
        if status == 0:
            return [_wrong("gateway", f"Nothing answers at {url}.", f"Look at {home.logs}/g0.log")]
        if status != 200:
            return [_wrong("gateway", f"{url}/readyz answers {status}.", f"Look at {home.logs}/g0.log")]
        return [_ok("gateway", f"{url} is ready.")]
    taken = [str(port) for port in (runfile.GATEWAY_PORT, runfile.CONTROL_PORT) if not can_bind("127.0.0.1", port)]
    if taken:
        return [
            _wrong("ports", f"Taken by another program: {', '.join(taken)}.", "baseload up --port 0 --control-port 0")
        ]
    return [_ok("ports", "The default ports are free.")]


def _served(home: Home, running: bool) -> list[dict[str, Any]]:
    """What only the control plane can check: database, migrations, snapshot, settlement, clock, credentials, engine."""
    try:
        return list(Client.local(home).get("/api/doctor")["checks"])
    except Refusal as refusal:
        if running:
            return [_wrong("control", refusal.say, f"Look at {home.logs}/control.log")]
        say = "Not running: database, snapshot, settlement and credentials were not checked."
        return [{"check": "control", "state": "not running", "say": say, "fix": f"baseload up{home.option}"}]
