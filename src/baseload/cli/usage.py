"""`baseload usage` and `baseload bill`: tokens, and money to the nano-unit."""

from __future__ import annotations

import sys
from typing import Literal

from cyclopts import App

from baseload.cli.common import COMMON, Common
from baseload.cli.exits import note
from baseload.cli.output import money, print_json, print_rows

app = App(name="usage", help="Tokens and money by model, account, key, offer or day.")
bill_app = App(name="bill", help="What an account owes for a period, to the nano-unit.")
By = Literal["model", "account", "key", "offer", "provider", "day", "outcome"]


@app.default
def usage(*, by: By = "model", account: str = "", since: str = "30d", until: str = "", common: Common = COMMON) -> None:
    """Show usage, one row a group.

    Examples:
      baseload usage --by account --since 7d
      baseload usage --by day --since 2026-11-01 --json

    Parameters
    ----------
    by
        What a row stands for.
    account
        Only this account.
    since
        A span back from now (12h, 7d) or a date or instant in UTC.
    until
        The end, not included; default: now.
    """
    reply = common.client().get("/api/usage", by=by, account=account or None, since=since, until=until or None)
    rows = reply["usage"]
    if common.json:
        print_json(**{key: value for key, value in reply.items() if key != "v"})
        return
    shown = [{**row, "cost": _sums(row["cost"]), "charge": _sums(row["charge"])} for row in rows]
    columns = ("group", "calls", "input", "cache_read", "cache_write", "output", "cost", "charge", "not_reported")
    print_rows(shown, columns, as_json=False, name="usage")


@bill_app.default
def bill(
    *, account: str = "default", since: str = "", until: str = "", month: str = "", common: Common = COMMON
) -> None:
    """Show what an account owes, one line a model and price.

    Examples:
      baseload bill --account team-a --month 2026-11
      baseload bill --json

    Parameters
    ----------
    account
        Who pays.
    since
        First instant (a date or instant in UTC, or a span like 7d); default: the start of this month.
    until
        The end, not included; default: now.
    month
        A whole month, as in 2026-11.
    """
    client = common.client()
    reply = client.get("/api/bill", account=account, since=since or None, until=until or None, month=month or None)
    if common.json:
        print_json(**{key: value for key, value in reply.items() if key != "v"})
        return
    lines = [{**line, "amount": money(line["amount_nano"], line["currency"])} for line in reply["lines"]]
    print_rows(lines, ("model", "calls", "meter", "tokens", "amount"), as_json=False, name="lines")
    if sys.stdout.isatty():
        for currency, nano in reply["totals"].items():
            note(f"total {money(nano, currency)}, {reply['since']} to {reply['until']}, account {reply['account']}")


def _sums(amounts: dict[str, int]) -> str:
    return " + ".join(money(nano, currency) for currency, nano in sorted(amounts.items()))
