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
