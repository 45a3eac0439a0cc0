"""`baseload calls`: what a call used and cost."""

from __future__ import annotations

from cyclopts import App

from baseload.cli.client import segment
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_record

app = App(name="calls", help="The record of single calls.")


@app.command
def show(call: str, *, common: Common = COMMON) -> None:
    """Show the reading of a call, its cost, its provenance and the offer chosen.

    A call appears when it is settled, usually within a second.

    Example: baseload calls show call_01abc

    Parameters
    ----------
    call
        The id of the reply's x-baseload-call-id header.
    """
    print_record(common.client().get(f"/api/calls/{segment(call)}")["call"], as_json=common.json, name="call")
