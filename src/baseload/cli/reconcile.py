"""`baseload reconcile`: what vendors bill, beside what the book says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_json, print_rows
from baseload.errors import Refusal

app = App(name="reconcile", help="Compare vendors' usage exports and invoices with the book.")
COLUMNS = ("key", "kind", "day", "model", "amount", "currency", "tokens", "say")


@app.command(name="import")
def import_(file: Path, *, provider: str, format: str, mapping: Path | None = None, common: Common = COMMON) -> int:
    """Import a vendor's file and show what differs. Exit 8 when something does; the same file again is a no-op.

    Example: baseload reconcile import usage.csv --provider deepseek --format deepseek-usage

    Parameters
    ----------
    file
        As the vendor exports it.
    provider
        Whose it is.
    format
        openai-costs, openai-usage, anthropic-usage, anthropic-cost, dashscope-bill, deepseek-usage, aws-cur or custom.
    mapping
        Of a custom CSV: a TOML file that says which column is what.
    """
    body = {"provider": provider, "format": format, "data": _text(file), "mapping": _text(mapping) if mapping else ""}
    found = common.client().post("/api/reconcile", body)["statement"]
    exits.note(f"Statement {found['id']}: {found['lines']} lines{'' if found['made'] else ', imported before'}.")
    return _shown(found["differences"], found, common)


@app.command
def show(number: int, *, common: Common = COMMON) -> int:
    """Show what differs between a statement and the book as it is now. Exit 8 when something does.

    Example: baseload reconcile show 1

    Parameters
    ----------
    number
        The statement.
    """
    found = common.client().get(f"/api/reconcile/{number}")
    return _shown(found["differences"], found, common)


@app.command
def approve(
    number: int,
    *,
    only: str = "",
    all: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> None:
    """Post differences, so that the book owes the vendor what it bills.

    Examples:
      baseload reconcile approve 1 --only late,price_changed
      baseload reconcile approve 1 --all

    Parameters
    ----------
    number
        The statement.
    only
        Kinds of differences, separated by commas.
    all
        Every difference.
    """
    kinds = [kind.strip() for kind in only.split(",") if kind.strip()]
    if bool(kinds) == all:
        raise Refusal("Say which differences.", "--only KIND,KIND or --all", code="usage")
    done = common.client().post(f"/api/reconcile/{number}/approve", {"kinds": kinds})
    if common.json:
        print_json(**done)
    else:
        exits.note(f"{done['posted']} differences posted.")


@app.command(name="list")
def list_(*, common: Common = COMMON) -> None:
    """List statements.

    Example: baseload reconcile list
    """
    rows = common.client().get("/api/reconcile")["statements"]
    columns = ("id", "provider", "format", "start", "end", "imported", "approved")
    print_rows(rows, columns, as_json=common.json, name="statements")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{file} cannot be read ({error}).", "Give a file in UTF-8.", code="usage") from error


def _shown(rows: list[dict[str, object]], found: dict[str, object], common: Common) -> int:
    print_rows(rows, COLUMNS, as_json=common.json, name="differences")
    if not rows:
        exits.note("The vendor and the book agree.")
    return exits.DIFFERS if rows else exits.OK
