"""How results are printed: a table on a terminal, tab-separated otherwise, `{"v":1,...}` with --json."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

VERSION = 1  # of the JSON that commands print; fields are only added within a version


_INSTANT = re.compile(r"\b(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d+)?Z\b")  # people need no nanoseconds


def print_json(**members: Any) -> None:
    print(json.dumps({"v": VERSION, **members}, ensure_ascii=False))


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    name: str,
    brief: Sequence[str] = (),
) -> None:
    """Prints rows: all members with --json under `name`, else the named columns; `brief` are those for a terminal."""
    if as_json:
        print_json(**{name: list(rows)})
    elif sys.stdout.isatty():
        wanted = brief or columns
        # a column that says nothing only takes room from the others
        _table(rows, [column for column in wanted if not rows or any(row.get(column) for row in rows)])
    else:
        print("\t".join(columns))
        for row in rows:
            print("\t".join(_plain(row.get(column)) for column in columns))


def print_record(record: Mapping[str, Any], *, as_json: bool, name: str) -> None:
    """Prints one thing, a member a line."""
    if as_json:
        print_json(**{name: dict(record)})
        return
    width = max((len(key) for key in record), default=0) if sys.stdout.isatty() else 0
    for key, value in record.items():
        print(f"{key:<{width}}  {cell(value)}" if width else f"{key}\t{_plain(value)}")


def cell(value: Any) -> str:
    """One value for people."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={cell(item)}" for key, item in value.items())
    return str(value)


def _plain(value: Any) -> str:
    """One value for `cut` and `awk`: no tab or newline inside a field."""
    return " ".join(cell(value).split()) if value not in ("", None) else ""


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = any(isinstance(row.get(column), int) and not isinstance(row.get(column), bool) for row in rows)
        title = column.replace("_", " ")
        width = max(map(len, title.split()))
        # the first one names the row: it stays whole, so that it can be copied
        first = column == columns[0]
        table.add_column(title, justify="right" if right else "left", overflow="fold", min_width=width, no_wrap=first)
    for row in rows:
        table.add_row(*(Text(_INSTANT.sub(r"\1", cell(row.get(column)))) for column in columns))
    Console(no_color=bool(os.environ.get("NO_COLOR")) or None).print(table)


def money(nano: int, currency: str) -> str:
    """Nano-units as an exact decimal with its currency: 1234567890 -> "1.23456789 USD". Never a float."""
    sign, digits = "-" if nano < 0 else "", f"{abs(nano):010d}"
    whole, part = digits[:-9], digits[-9:].rstrip("0")
    return f"{sign}{whole}{'.' + part if part else ''} {currency}"
