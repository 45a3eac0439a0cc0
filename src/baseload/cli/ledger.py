"""`baseload ledger` and `baseload backup`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.common import COMMON, Common, about
from baseload.cli.output import print_json, print_rows
from baseload.errors import Refusal

app = App(name="ledger", help="The double-entry book: check it, export it.")
backup_app = App(name="backup")


@app.command
def check(*, common: Common = COMMON) -> int:
    """Check the book: sums, postings, amounts, journals. Exit 8 when something is wrong or waits for a person.

    Example: baseload ledger check
    """
    findings = common.client().get("/api/ledger/check")["findings"]
    print_rows(findings, ("severity", "check", "count", "say", "examples"), as_json=common.json, name="findings")
    if not findings:
        exits.note("The ledger is clean.")
    return exits.DIFFERS if any(finding["severity"] != "info" for finding in findings) else exits.OK


@app.command
def resettle(*, cost_price: int = 0, charge_price: int = 0, common: Common = COMMON) -> int:
    """Post the readings that had no price when they were settled. Exit 8 while some still have none.

    Examples:
      baseload ledger resettle
      baseload ledger resettle --cost-price 12

    Parameters
    ----------
    cost_price
        Price row (its id in `baseload prices show`) for what the provider charges, taken for readings of its model at
        its provider; 0 means the reading's own.
    charge_price
        Price row for what the account pays, taken for readings of its model and tariff; 0 means the reading's own, or
        cost plus margin.
    """
    found = common.client().post("/api/ledger/resettle", {"cost_price": cost_price, "charge_price": charge_price})
    if common.json:
        print_json(settled=found["settled"], open=found["open"])
    else:
        print_rows(found["open"], ("call", "attempt", "say"), as_json=False, name="open")
        exits.note(f"{found['settled']} readings posted, {len(found['open'])} still without a price.")
    return exits.DIFFERS if found["open"] else exits.OK


@app.command
def export(
    *, format: Literal["csv", "jsonl", "beancount"] = "csv", since: str = "", until: str = "", common: Common = COMMON
) -> None:
    """Write every posting to stdout.

    Example: baseload ledger export --since 2026-11-01 > postings.csv

    Parameters
    ----------
    format
        csv, jsonl (a JSON object a line) or beancount.
    since
        First instant (a date or instant in UTC, or a span like 7d); default: everything.
    until
        The end, not included.
    """
    chosen = "jsonl" if common.json else format
    with common.client().download(
        "GET", "/api/ledger/export", format=chosen, since=since or None, until=until or None
    ) as pieces:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@backup_app.default
def backup(file: Path, *, force: Annotated[bool, Parameter(negative="")] = False, common: Common = COMMON) -> None:
    """Write a backup to FILE (mode 0600). It holds no provider key in clear; keep HOME/secret.key beside it to restore.

    Example: baseload backup baseload-2026-11-24.db

    Parameters
    ----------
    file
        Where to; must not exist yet.
    force
        Replace it when it does.
    """
    if file.exists() and not force:
        raise Refusal(f"{file} exists already.", "Choose another name, or say --force.", code="exists")
    partial = file.with_name(f".{file.name}.partial")
    size = 0
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Refusal(f"{file} cannot be written ({error.strerror}).", "Choose another place.", code="usage") from error
    try:
        with os.fdopen(handle, "wb") as target, common.client().download("POST", "/api/backup") as pieces:
            for piece in pieces:
                size += target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        os.replace(partial, file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if common.json:
        print_json(file=str(file), bytes=size)
    else:
        exits.note(f"{size} bytes written to {file}.")


backup_app.help_epilogue = about(backup)
