"""`baseload archive`: readings of days that are over, as Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import App

from baseload.cli import exits
from baseload.cli.common import COMMON, Common, about
from baseload.cli.output import print_rows
from baseload.errors import Refusal

app = App(name="archive")


@app.default
def archive(*, until: str, since: str = "", folder: Path | None = None, common: Common = COMMON) -> None:
    """Write the readings of whole days to Parquet, a file a day; a day that has not changed since is left as it is.

    The readings stay in the database too. What is not a whole day (UTC) is left out.

    Examples:
      baseload archive --until 2026-10-01 --folder /backup/readings
      baseload archive --until 30d

    Parameters
    ----------
    until
        The end, not included: a date, or a span back from now (30d).
    since
        The first day; default: the first that has readings.
    folder
        Where to, on the control plane's machine; default: HOME/archive.
    """
    body = {"until": until, "since": since, "folder": _absolute(folder)}
    days = []
    for day in _lines(common, "POST", "/api/archive", body=body):
        days.append(day)
        if not common.json and day["made"]:
            exits.note(f"{day['day']}: {day['readings']} readings, {day['bytes']} bytes in {day['file']}")
    print_rows(days, ("day", "file", "readings", "bytes", "made", "sha256"), as_json=common.json, name="days",
               brief=("day", "file", "readings", "bytes", "made"))  # fmt: skip


@app.command(name="list")
def list_files(*, common: Common = COMMON) -> None:
    """List the files that were written.

    Example: baseload archive list
    """
    rows = common.client().get("/api/archive")["archives"]
    print_rows(rows, ("day", "file", "readings", "made", "actor", "sha256"), as_json=common.json, name="archives",
               brief=("day", "file", "readings", "made"))  # fmt: skip


@app.command
def verify(*, folder: Path | None = None, common: Common = COMMON) -> int:
    """Check every file: it is there, nobody changed it, its amounts are those of the book. Exit 8 when one is wrong.

    Example: baseload archive verify --folder /backup/readings

    Parameters
    ----------
    folder
        Where the files are, on the control plane's machine; default: HOME/archive.
    """
    path = _absolute(folder)
    faults = list(_lines(common, "GET", "/api/archive/verify", **({"folder": path} if path else {})))
    print_rows(faults, ("severity", "check", "file", "say"), as_json=common.json, name="faults")
    if not faults:
        exits.note("The archive is what the book says.")
    return exits.DIFFERS if any(fault["severity"] != "info" for fault in faults) else exits.OK


def _absolute(folder: Path | None) -> str:
    return str(folder.expanduser().absolute()) if folder is not None else ""


def _lines(common: Common, method: str, path: str, *, body: Any = None, **params: str) -> Iterator[dict[str, Any]]:
    """The reply's lines as they come; raises the Refusal that one of them is."""
    tail = b""
    with common.client().download(method, path, body=body, **params) as pieces:
        for piece in pieces:
            *whole, tail = (tail + piece).split(b"\n")
            for line in filter(None, whole):
                found = json.loads(line)
                if said := found.get("error"):
                    raise Refusal(said["message"], said["fix"], code=said["code"], status=said["status"])
                yield found


app.help_epilogue = about(archive)
