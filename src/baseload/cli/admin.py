"""`baseload admin-token`: the administrator's token for the API on the network."""

from __future__ import annotations

import sys

from cyclopts import App

from baseload.cli.common import COMMON, Common
from baseload.cli.exits import note
from baseload.cli.output import print_json

app = App(name="admin-token", help="The token that opens the API from elsewhere; on this machine none is needed.")


@app.command
def rotate(*, common: Common = COMMON) -> None:
    """Make a new administrator's token and print it once; the old one stops working at once.

    Example: baseload admin-token rotate
    """
    token = common.client().post("/api/admin-token/rotate")["token"]
    if common.json:
        print_json(token=token)
        return
    print(token)
    if sys.stdout.isatty():
        note("Keep it now: it is shown once. The old token no longer works.")
