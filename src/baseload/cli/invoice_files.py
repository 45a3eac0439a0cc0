"""`baseload invoices pdf|csv|parquet`: documents as files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from baseload.cli import exits
from baseload.cli.client import segment
from baseload.cli.common import COMMON, Common
from baseload.errors import Refusal


def pdf(number: str = "", *, account: str = "", month: str = "", currency: str = "", output: Path | None = None,
        common: Common = COMMON) -> None:  # fmt: skip
    """Write an invoice or credit note as PDF: by its number, or that of an account's month (a draft if not issued).

    Example: baseload invoices pdf 2026-000001 --output acme.pdf

    Parameters
    ----------
    number
        Its number; or give account and month.
    account
        Who pays.
    month
        As in 2026-11.
    currency
        Where the month has invoices in several.
    output
        Where to; default: stdout.
    """
    _write("pdf", number, account, month, currency, output, common)


def csv(number: str = "", *, account: str = "", month: str = "", currency: str = "", output: Path | None = None,
        common: Common = COMMON) -> None:  # fmt: skip
    """Write one document, or all of an account's month, as CSV.

    Example: baseload invoices csv --account acme --month 2026-11 > acme.csv

    Parameters
    ----------
    number
        Its number; or give account and month.
    account
        Who pays.
    month
        As in 2026-11.
    currency
        Only this one.
    output
        Where to; default: stdout.
    """
    _write("csv", number, account, month, currency, output, common)


def parquet(number: str = "", *, account: str = "", month: str = "", currency: str = "", output: Path | None = None,
            common: Common = COMMON) -> None:  # fmt: skip
    """Write one document, or all of an account's month, as Parquet.

    Example: baseload invoices parquet --account acme --month 2026-11 --output acme.parquet

    Parameters
    ----------
    number
        Its number; or give account and month.
    account
        Who pays.
    month
        As in 2026-11.
    currency
        Only this one.
    output
        Where to; default: stdout.
    """
    _write("parquet", number, account, month, currency, output, common)


def _write(
    format: str, number: str, account: str, month: str, currency: str, output: Path | None, common: Common
) -> None:
    """Downloads to a file, or to stdout where that is not a terminal."""
    if bool(number) == bool(account or month or currency) or bool(account) != bool(month):
        raise Refusal("Which one?", "Give a number, or --account and --month.", code="usage")
    if output is None and format != "csv" and sys.stdout.isatty():
        raise Refusal(f"A terminal cannot show {format}.", f"Say --output FILE.{format}.", code="usage")
    path, params = f"/api/invoices/{segment(number)}/file", {"format": format}
    if not number:
        path = "/api/invoices/statement"
        params |= {"account": account, "month": month} | ({"currency": currency} if currency else {})
    with common.client().download("GET", path, **params) as pieces:
        content = b"".join(pieces)
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    partial = output.with_name(f".{output.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, output)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Refusal(
            f"{output} cannot be written ({error.strerror}).", "Choose another place.", code="usage"
        ) from error
    exits.note(f"{len(content)} bytes written to {output}.")
