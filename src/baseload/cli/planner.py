"""`baseload plan`: what the load looks like, and whether to own or to rent for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_json, print_record, print_rows
from baseload.errors import Refusal
from baseload.planner import summary, traces
from baseload.planner.load import Work

app = App(name="plan", help="The load, and what to own and what to rent for it.")
SHARES = ("supply", "nodes", "capacity", "work", "full", "break_even", "cost")


@app.command
def load(
    *, since: str = "30d", until: str = "", model: str = "", trace: Path | None = None,
    chart: Annotated[bool, Parameter(negative="--no-chart")] = True, common: Common = COMMON,
) -> None:  # fmt: skip
    """Show the load by the hour and sorted: how high, how even, at which hours.

    Examples:
      baseload plan load --since 90d
      baseload plan load --trace servegen_m-large_10min.csv

    Parameters
    ----------
    since
        A span back from now (30d), or a date.
    until
        The end; default: now.
    model
        Of one model only.
    trace
        A file instead of this grid's own load: Azure, BurstGPT, ServeGen, Mooncake, or columns hour, input, output.
    chart
        Draw both curves on a terminal.
    """
    found = summary.of_load(_work(common, since, until, model, trace))
    if common.json:
        print_json(load=found)
        return
    plain = {name: value for name, value in found.items() if not isinstance(value, list) and not name.endswith("_ns")}
    print_record(plain, as_json=False, name="load")
    if chart and sys.stdout.isatty():
        _draw(found)


@app.command
def screen(
    *, engine: list[str] | None = None, rent: list[str] | None = None, since: str = "30d", until: str = "",
    model: str = "", trace: Path | None = None, common: Common = COMMON,
) -> None:  # fmt: skip
    """Own or rent: the cheapest mix for this load in closed form (no whole nodes, no limits, flat prices).

    An instant answer and a bound: a plan with whole nodes and limits costs no less.

    Example: baseload plan screen --engine h100:90000:90000000:0.006 --rent vendor:0.28 --trace load.csv

    Parameters
    ----------
    engine
        NAME:MONEY_A_YEAR:TOKENS_AN_HOUR:MONEY_A_MILLION; again for another.
    rent
        NAME:MONEY_A_MILLION; again for another.
    since
        A span back from now (30d), or a date; it is taken for a year of such times.
    until
        The end; default: now.
    model
        Of one model only.
    trace
        A file instead of this grid's own load.
    """
    nodes, rents = [summary.node_of(one) for one in engine or ()], [summary.rent_of(one) for one in rent or ()]
    if not nodes and not rents:
        raise Refusal("There is nothing to choose from.", "Give --engine and --rent.", code="usage")
    found = summary.of_screening(_work(common, since, until, model, trace), nodes, rents)
    if common.json:
        print_json(screening=found)
        return
    print_rows([{**row, "cost": f"{row['cost']:,.2f}"} for row in found["supplies"]], SHARES, as_json=False, name="mix")
    exits.note(f"A year of this costs {found['cost']:,.2f}.")
    if found["all_rented"] is not None and found["all_rented"] > 0:
        less = 100 * (1 - found["cost"] / found["all_rented"])
        exits.note(f"Renting all: {found['all_rented']:,.2f}; this is {less:.1f} % below.")


def _work(common: Common, since: str, until: str, model: str, trace: Path | None) -> list[Work]:
    if trace is None:
        rows: list[dict[str, Any]] = common.client().get(
            "/api/plan/load", since=since, until=until or None, model=model or None
        )["hours"]
        return [Work(**row) for row in rows]
    try:
        with trace.open(encoding="utf-8-sig") as lines:
            return traces.read(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            f"{trace} cannot be read ({error}).", "Give a trace as CSV or JSON lines.", code="usage"
        ) from error


def _draw(found: dict[str, Any]) -> None:
    import plotext

    for title, values in (("tokens an hour, the last days", found["curve"]), ("the same, sorted", found["duration"])):
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plotsize(78, 14)
        plotext.title(title)
        plotext.plot(values, marker="braille")
        plotext.ylim(0, max(values))
        plotext.show()
