"""`baseload usage` and `baseload bill`: tokens, and money to the nano-unit."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from baseload.cli.common import COMMON, Common, about
from baseload.cli.exits import note
from baseload.cli.output import money, print_json, print_rows

app = App(name="usage")
bill_app = App(name="bill")
By = Literal["model", "account", "key", "offer", "provider", "outcome", "day", "hour"]


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
    shown = [{**row, **{name: _sums(row[name]) for name in ("cost", "charge", "margin")}} for row in rows]
    columns = ("name", "calls", "input", "cache_read", "cache_write", "output", "cost", "charge", "margin")
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
    owed = reply["bill"]
    lines = [
        {
            **line,
            **{meter: line["meters"].get(meter, 0) for meter in ("input", "cache_read", "output")},
            "charge": f"{line['charge']} {line['currency']}",
        }
        for line in owed["lines"]
    ]
    lines += [{"model": row["memo"], "charge": f"{row['amount']} {row['currency']}"} for row in owed["adjustments"]]
    columns = ("model", "offer_name", "calls", "input", "cache_read", "output", "charge")
    print_rows(lines, columns, as_json=False, name="lines")
    totals = ", ".join(f"{total['amount']} {total['currency']}" for total in owed["totals"]) or "nothing"
    start, end = (owed[edge].partition(".")[0] for edge in ("start", "end"))
    note(f"{owed['account_name']} owes {totals} for {start} to {end} (UTC).")
    for state in ("unmetered", "unpriced"):
        if owed[state]:
            note(f"{owed[state]} calls are {state} and in no line yet: baseload ledger check")


def _sums(amounts: dict[str, int]) -> str:
    return " + ".join(money(nano, currency) for currency, nano in sorted(amounts.items()))


app.help_epilogue = about(usage)
bill_app.help_epilogue = about(bill)
