"""`baseload up` and `baseload down`: the processes of a home, from nothing to READY and back to nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from baseload.cli import exits, runfile
from baseload.cli.common import LOCAL, Local, about
from baseload.cli.output import print_json
from baseload.cli.plan import Plan, Stack
from baseload.control.home import Home
from baseload.errors import Refusal

app = App(name="up")
down_app = App(name="down")

LEFTOVERS_S = 40.0
DOWN_WAIT_S = 85.0  # gateways may take 35 s, settlement 30 s and the engine 10 s


@app.default
def up(
    *,
    port: int = runfile.GATEWAY_PORT,
    host: str = "127.0.0.1",
    control_port: int = runfile.CONTROL_PORT,
    engine_port: int = runfile.ENGINE_PORT,
    gateways: int = 1,
    engine: bool = True,
    grid_port: int = 0,
    grid_host: str = "127.0.0.1",
    fsync: Literal["off", "group"] = "off",
    json: Annotated[bool, Parameter(negative="")] = False,
    local: Local = LOCAL,
) -> int:
    """Start the control plane, the engine and the gateways of this home; stay until Ctrl-C.

    Everything lies in the home (--home, BASELOAD_HOME, ~/.baseload). The first start makes one key and the
    administrator's token and shows them once.

    Examples:
      baseload up
      baseload up --home ./grid --port 9000 --gateways 2
      baseload up --no-engine

    Parameters
    ----------
    port
        Where clients connect; 0 chooses a free one.
    host
        The address to listen on; 0.0.0.0 opens the gateway to the network. The control plane stays on 127.0.0.1.
    control_port
        Where the control plane answers; 0 chooses a free one.
    engine_port
        Where the embedded engine answers, on 127.0.0.1; if taken, a free one is chosen.
    gateways
        How many gateway processes share the port.
    grid_port
        Where gateways on other machines join, by TLS (8403 is usual); 0: nowhere.
    grid_host
        The address of that port.
    engine
        Run the embedded engine, if the configuration has one.
    fsync
        "off": a killed process loses nothing, a power loss what the system had not written yet (seconds). "group":
        the journal is on the disk within 10 ms, so a power loss loses at most that.
    json
        Print one line {"v":1,"ready":true,...} when ready, for programs.
    """
    if gateways < 1:
        raise Refusal("--gateways must be at least 1.", "baseload up --gateways 2", code="usage")
    home = local.place()
    home.make()
    with locked(home):
        wait_for_leftovers(home)
        plan = Plan.of(
            home,
            host=host,
            port=port,
            control_port=control_port,
            engine_port=engine_port,
            gateways=gateways,
            fsync=fsync,
            grid=(grid_host, grid_port),
        )
        stack = Stack(plan, engine=engine, say=exits.note)
        try:
            stack.start()
            if json:
                print_json(**stack.facts())
                sys.stdout.flush()
            else:
                print(stack.greeting(), flush=True)
            stack.forget_secrets()
            stack.supervisor.watch(stack.record)
        finally:
            stack.stop()
    return exits.OK


@contextlib.contextmanager
def locked(home: Home) -> Iterator[None]:
    """Holds the home for this process: two `up` on one home would fight over its journal."""
    handle = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            running = runfile.read(home)
            who = f" (pid {running['pid']}, {running['gateway']['url']})" if running else ""
            raise Refusal(
                f"This home is already running{who}: {home.path}.",
                f"baseload status{home.option}, or stop it with: baseload down{home.option}",
                code="already_running",
                status=409,
            ) from error
        yield
    finally:
        home_run_cleanup(home)
        os.close(handle)


def home_run_cleanup(home: Home) -> None:
    """Removes run.json if it is ours."""
    running = runfile.read(home)
    if running and running.get("pid") == os.getpid():
        home.run.unlink(missing_ok=True)


def wait_for_leftovers(home: Home) -> None:
    """The children of an `up` that was killed have had their SIGTERM from the kernel; they drain, and then their ports
    and journals are free. Waits for that; refuses when it takes longer than a drain."""
    end = time.monotonic() + LEFTOVERS_S
    said = False
    while left := runfile.leftovers(home):
        names = ", ".join(f"{name} (pid {pid})" for name, pid in left)
        if not said:
            exits.note(f"Waiting for what a killed `baseload up` left: {names}.")
            said = True
            if sys.platform != "linux":
                for _, pid in left:
                    os.kill(pid, signal.SIGTERM)
        if time.monotonic() > end:
            pids = " ".join(str(pid) for _, pid in left)
            raise Refusal(f"Still running: {names}.", f"kill {pids}", code="already_running", status=409)
        time.sleep(0.1)


@down_app.default
def down(*, local: Local = LOCAL) -> int:
    """Stop the running `baseload up` of this home and wait until it is gone.

    Example: baseload down --home ./grid
    """
    home = local.place()
    running = runfile.read(home)
    if not running or not is_up(home):
        raise Refusal(f"Nothing runs in {home.path}.", f"baseload up{home.option}", code="not_running", status=503)
    pid = int(running["pid"])
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + DOWN_WAIT_S
    while is_up(home):
        if time.monotonic() > end:
            raise Refusal(f"Process {pid} has not stopped within {DOWN_WAIT_S:.0f} s.", f"Look at {home.logs}/*.log.")
        time.sleep(0.1)
    exits.note(f"Stopped {home.path}.")
    return exits.OK


def is_up(home: Home) -> bool:
    """Whether an `up` holds the home: the lock tells, which no reused pid can fake."""
    path: Path = home.lock
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


app.help_epilogue = about(up)
down_app.help_epilogue = about(down)
