"""`baseload prices`: price rows, and what is missing."""

from __future__ import annotations

from cyclopts import App

from baseload.cli import exits
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_rows

app = App(name="prices", help="Effective-dated price rows per 1,000,000 tokens; a call without a price is refused.")


@app.command
def show(model: str = "", *, common: Common = COMMON) -> None:
    """Show the price rows that offers and tariffs use.

    Example: baseload prices show smollm2

    Parameters
    ----------
    model
        Only rows used for this model; default: all.
    """
    rows = common.client().get("/api/prices", model=model or None)["prices"]
    columns = ("id", "used_by", "model", "scope", "currency", "from", "to", "rate", "source")
    brief = ("used_by", "scope", "currency", "from", "to", "rate")
    print_rows(rows, columns, as_json=common.json, name="prices", brief=brief)


@app.command
def check(*, common: Common = COMMON) -> int:
    """Find offers without a price in force; exit 8 when there is one.

    Example: baseload prices check
    """
    findings = common.client().get("/api/prices/check")["findings"]
    print_rows(findings, ("offer", "say", "fix"), as_json=common.json, name="findings")
    if not findings:
        exits.note("Every offer has a price.")
    return exits.DIFFERS if findings else exits.OK


@app.command
def changes(*, common: Common = COMMON) -> None:
    """Show which prices have changed or will, meter by meter, with the effect on the last 30 days.

    Example: baseload prices changes
    """
    found = common.client().get("/api/prices/changes")["changes"]
    if common.json:
        print_rows(found, (), as_json=True, name="changes")
        return
    rows = [
        {"offer": one["offer"], "state": one["state"], "from": one["from"], "meter": line["meter"],
         "before": line["before"] or "-", "after": line["after"] or "-",
         "percent": "" if line["percent"] is None else f"{line['percent']:+.1f}", "currency": one["currency"]}
        for one in found for line in one["lines"]
    ]  # fmt: skip
    columns = ("offer", "state", "from", "meter", "before", "after", "percent", "currency")
    print_rows(rows, columns, as_json=False, name="changes")
