"""`baseload calls`: what a call used and cost."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from baseload.cli.client import segment
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_json, print_record, print_rows

app = App(name="calls", help="The record of single calls.")
FIELDS = (
    "attempt", "offer_name", "credential", "upstream_model", "upstream_id", "outcome", "status", "fault", "state",
    "detail", "meters", "input_provenance", "output_provenance", "flags", "expected", "expected_cost", "cost", "charge",
    "charge_by", "accepted", "first", "end",
)  # fmt: skip
ORDER = ("rank", "offer_name", "credential", "expected", "why_not")


@app.command(name="list")
def list_(*, account: str = "", limit: int = 20, common: Common = COMMON) -> None:
    """List the calls settled last, newest first.

    Example: baseload calls list --account team-a --limit 50

    Parameters
    ----------
    account
        Only this account's calls.
    limit
        How many, at most 1000.
    """
    rows = common.client().get("/api/calls", account=account or None, limit=limit)["calls"]
    shown = (
        rows
        if common.json
        else [{**row, "charge": f"{row['charge']} {row['charge_currency']}".strip()} for row in rows]
    )
    columns = ("call", "accepted", "model", "outcome", "status", "meters", "state", "charge")
    brief = ("call", "accepted", "model", "outcome", "state", "charge")
    print_rows(shown, columns, as_json=common.json, name="calls", brief=brief)


@app.command
def show(
    call: str, *, content: Annotated[bool, Parameter(negative="")] = False, common: Common = COMMON
) -> None:  # fmt: skip
    """Show the reading of a call, its cost, its provenance and the offer chosen.

    A call appears when it is settled, usually within a second.

    Example: baseload calls show call_01abc

    Parameters
    ----------
    call
        The id of the reply's x-baseload-call-id header.
    content
        What was asked and answered instead, where the account keeps it; each look is in the audit log.
    """
    if content:
        kept = common.client().get(f"/api/calls/{segment(call)}/content")["content"]
        print_record(kept, as_json=common.json, name="content")
        return
    found = common.client().get(f"/api/calls/{segment(call)}")["call"]
    if common.json:
        print_json(call=found)
        return
    attempts, holds, refusals = found.pop("attempts"), found.pop("holds"), found.pop("refusals")
    print_record(found, as_json=False, name="call")
    for attempt in attempts:
        print_record({name: _shown(attempt[name]) for name in FIELDS if name in attempt}, as_json=False, name="attempt")
        if seen := attempt.get("seen"):
            after = f", after {seen['after']}" if seen["after"] else ""
            rows = [
                {**line, "rank": line["rank"] or "-", "expected": _shown(line["expected"])} for line in seen["order"]
            ]
            print_rows(rows, ORDER, as_json=False, name=f"merit order ({seen['objective']}{after})")
    for record in (*holds, *refusals):
        print_record({name: _shown(value) for name, value in record.items()}, as_json=False, name="record")


def _shown(value: Any) -> Any:
    """Amounts as text with their currency."""
    return f"{value['text']} {value['currency']}" if isinstance(value, dict) and "nano" in value else value
