"""`baseload status` and `baseload doctor`."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.common import COMMON, LOCAL, Common, Local, about
from baseload.cli.output import print_json, print_record, print_rows

app = App(name="status")
doctor_app = App(name="doctor")


@app.default
def status(*, common: Common = COMMON) -> None:
    """Show the control plane's state; exit 7 when nothing runs.

    Example: baseload status --json
    """
    print_record(common.client().get("/api/status")["status"], as_json=common.json, name="status")


@doctor_app.default
def doctor(*, json: Annotated[bool, Parameter(negative="")] = False, local: Local = LOCAL) -> int:
    """Check permissions, secret, database, disk, ports, engine, snapshot, settlement, clock, configuration, keys.

    Works while nothing runs too. Exit 8 when something is wrong.

    Example: baseload doctor

    Parameters
    ----------
    json
        Print {"v":1,"checks":[...]}.
    """
    from baseload.cli.doctor import examine

    checks: list[dict[str, Any]] = examine(local.place())
    wrong = [check for check in checks if check["state"] == "wrong"]
    if json:
        print_json(ok=not wrong, checks=checks)
    else:
        print_rows(checks, ("check", "state", "say", "fix"), as_json=False, name="checks")
    return exits.DIFFERS if wrong else exits.OK


app.help_epilogue = about(status)
doctor_app.help_epilogue = about(doctor)
