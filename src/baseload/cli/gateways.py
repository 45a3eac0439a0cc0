"""`baseload gateways` and `baseload gateway`: gateways on other machines."""

from __future__ import annotations

import os
import sys

from cyclopts import App

from baseload.cli.client import segment
from baseload.cli.common import COMMON, LOCAL, Common, Local, about, secret
from baseload.cli.exits import note
from baseload.cli.output import print_json, print_record, print_rows

app = App(name="gateways", help="Gateways on other machines that join this control plane.")
gateway_app = App(name="gateway")


@app.command
def invite(name: str, *, common: Common = COMMON) -> None:
    """Make the text a new gateway joins with; shown once, alone on stdout.

    Example: baseload gateways invite eu-1 > eu-1.join

    Parameters
    ----------
    name
        The gateway's name; g0, g1, ... are those of this home.
    """
    text = common.client().post("/api/gateways", {"name": name})["join"]
    if common.json:
        print_json(join=text)
        return
    print(text)
    note(f"There: baseload gateway --control https://THIS-HOST:8403 --name {name} --join file:{name}.join")


@app.command(name="list")
def list_(*, common: Common = COMMON) -> None:
    """List gateways that were invited, and since when each is silent.

    Example: baseload gateways list
    """
    rows = common.client().get("/api/gateways")["gateways"]
    print_rows(rows, ("name", "invited", "silent_s", "retired"), as_json=common.json, name="gateways")


@app.command
def retire(name: str, *, common: Common = COMMON) -> None:
    """End a gateway that is gone for good: what it had on lease comes home; calls it never told of are lost.

    Example: baseload gateways retire eu-1

    Parameters
    ----------
    name
        The gateway.
    """
    row = common.client().delete(f"/api/gateways/{segment(name)}")["gateway"]
    print_record(row, as_json=common.json, name="gateway")


@gateway_app.default
def gateway(
    *,
    control: str = "",
    name: str = "",
    join: str = "",
    host: str = "127.0.0.1",
    port: int = 8400,
    local: Local = LOCAL,
) -> None:
    """Run one gateway that joins a control plane elsewhere, until Ctrl-C; then it drains.

    It serves by its last snapshot and leases while the control plane is away, and keeps its journal until it is
    acknowledged.

    Examples:
      baseload gateway --control https://control.example:8403 --name eu-1 --join file:eu-1.join --home ./eu-1
      baseload gateway --name eu-1 --home ./eu-1

    Parameters
    ----------
    control
        The control plane's port for gateways (`baseload up --grid-port`); kept in the home after the first start.
    name
        As it was invited.
    join
        env:NAME or file:PATH of the join text; needed once.
    host
        The address to listen on.
    port
        Where clients connect.
    """
    home = local.place()
    words = [sys.executable, "-m", "baseload.gateway", "--home", str(home.path), "--id", name, "--host", host]
    words += ["--port", str(port), "--remote"]
    if control:
        words += ["--control", control]
    if join:
        os.environ["BASELOAD_JOIN"] = secret(join, "join text")
    sys.stdout.flush()
    os.execv(sys.executable, words)  # noqa: S606 - our own interpreter and module


gateway_app.help_epilogue = about(gateway)
