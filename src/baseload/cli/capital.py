"""`baseload capital`, `scoreboard`: what building capacity is to cost and has cost; the figures that decide."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_record, print_rows

app = App(name="capital", help="What is planned and spent on building capacity, by quarter.")
scoreboard_app = App(name="scoreboard")

ENTRY = ("id", "at", "kind", "quarter", "project", "amount", "currency", "transaction", "actor", "memo")


@app.command
def show(*, quarter: str = "", currency: str = "USD", common: Common = COMMON) -> None:
    """Planned and spent by quarter, and how spending stands against the plan.

    Examples:
      baseload capital show --currency CNY
      baseload capital show --quarter 2026-Q4

    Parameters
    ----------
    quarter
        The entries of this quarter instead, with their transactions.
    currency
        Entries in other currencies are not added in.
    """
    found = common.client().get("/api/capital", currency=currency, quarter=quarter or None)
    if common.json:
        print_record(found, as_json=True, name="capital")
    elif quarter:
        print_rows(found["entries"], ENTRY, as_json=False, name="entries")
    else:
        rows = [{"quarter": one["quarter"], "planned": _text(one["planned_nano"]), "spent": _text(one["spent_nano"])}
                for one in found["quarters"]]  # fmt: skip
        print_rows(rows, ("quarter", "planned", "spent"), as_json=False, name="quarters")
        if found["sentence"]:
            exits.note(found["sentence"])


@app.command
def plan(
    quarter: str, amount: str, *, currency: str = "USD", project: str = "capacity", memo: str = "",
    common: Common = COMMON,
) -> None:  # fmt: skip
    """Say what is planned for a quarter; said again with another amount, the difference is posted.

    Example: baseload capital plan 2026-Q4 31.7bn --currency CNY

    Parameters
    ----------
    quarter
        As in 2026-Q4.
    amount
        As in 31.7bn, 250m or 1200000.50; of this quarter and project in all.
    currency
        Its currency.
    project
        What it is for.
    memo
        A note for the book.
    """
    body = {"quarter": quarter, "amount": amount, "currency": currency, "project": project, "memo": memo}
    made = common.client().post("/api/capital/plan", body)["entry"]
    if made is None:
        exits.note("It is planned so already.")
    else:
        print_record(made, as_json=common.json, name="entry")


@app.command
def spend(
    amount: str, *, currency: str = "USD", quarter: str = "", project: str = "capacity", memo: str = "", key: str = "",
    back: Annotated[bool, Parameter(negative="")] = False, common: Common = COMMON,
) -> None:  # fmt: skip
    """Post money that was spent on building capacity.

    Examples:
      baseload capital spend 31.8bn --currency CNY --memo "two halls"
      baseload capital spend 2m --back --memo "returned machines"

    Parameters
    ----------
    amount
        As in 31.8bn, 250m or 1200000.50.
    currency
        Its currency.
    quarter
        Which quarter it counts for; default: this one.
    project
        What it was for.
    memo
        A note for the book.
    key
        A key of yours: the same again is not posted twice.
    back
        The money came back.
    """
    body = {"amount": amount, "currency": currency, "quarter": quarter, "project": project, "memo": memo, "key": key,
            "back": back}  # fmt: skip
    print_record(common.client().post("/api/capital/spend", body)["entry"], as_json=common.json, name="entry")


@scoreboard_app.default
def scoreboard(*, currency: str = "USD", common: Common = COMMON) -> None:
    """AI revenue and its growth, app users, cloud revenue, gross margin, capital; this quarter, with targets.

    Example: baseload scoreboard

    Parameters
    ----------
    currency
        Amounts in other currencies are not added in.
    """
    board = common.client().get("/api/scoreboard", currency=currency)
    if common.json:
        print_record(board, as_json=True, name="scoreboard")
        return
    now = board["quarters"][-1]
    shown = {**board["figures"], "revenue": now["revenue_nano"], "cloud_revenue": now["cloud_nano"]}
    money = ("revenue", "cloud_revenue", "capital_spent")
    rows = [
        {"figure": name, "value": "" if value is None else _text(value) if name in money else value,
         "target": board["targets"].get(name, ""), "distance": board["away"].get(name, "")}
        for name, value in shown.items()
    ]  # fmt: skip
    print_rows(rows, ("figure", "value", "target", "distance"), as_json=False, name="figures")
    exits.note(f"{now['quarter']}, amounts in {currency}. {board['capital_sentence']}".strip())


def _text(nano: int) -> str:
    whole, part = divmod(abs(nano), 10**9)
    return f"{'-' if nano < 0 else ''}{whole}.{part:09d}".rstrip("0").rstrip(".")
