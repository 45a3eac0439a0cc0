"""`python -m baseload.gateway --home DIR --id g0 --host H --port P`: one gateway process. Started by `baseload up`."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

from baseload import logs
from baseload.errors import Refusal
from baseload.gateway.limits import Limits, read_limits
from baseload.gateway.remote import place_of
from baseload.gateway.serve import Settings, run

_PR_SET_PDEATHSIG = 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m baseload.gateway", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--id", default="g0", help="names its journal; two running gateways never share one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400)
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other gateways (SO_REUSEPORT)")
    parser.add_argument(
        "--fsync", choices=("off", "group"), default="off", help="group: power loss costs 10 ms at most"
    )
    parser.add_argument("--body-max", type=int, default=Limits().body_max, help="bytes of a request body")
    parser.add_argument("--connections-max", type=int, default=Limits().connections_max)
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=NUMBER", help="another limit; names in limits.py"
    )
    parser.add_argument("--remote", action="store_true", help="the control plane is elsewhere")
    parser.add_argument("--control", default="", help="where, as https://HOST:PORT; BASELOAD_JOIN holds the join text")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process does")
    given = parser.parse_args()
    logs.configure(f"gateway {given.id}")
    if given.with_parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            return 0
    try:
        limits = read_limits(given.limit, Limits(body_max=given.body_max, connections_max=given.connections_max))
        run(
            Settings(
                home=given.home,
                id=given.id,
                host=given.host,
                port=given.port,
                reuse_port=given.reuse_port,
                fsync=given.fsync,
                limits=limits,
                place=place_of(given.home, given.control, os.environ.pop("BASELOAD_JOIN", ""))
                if given.remote
                else None,
            )
        )
    except Refusal as refusal:
        print(f"baseload gateway: {refusal}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
