"""On which line of a TOML text a value stands. Pure.

`tomllib` tells the line of a syntax error but not of a value, and a message without a line sends a person searching.
This is a scan for headers and keys, run only on text that `tomllib` has already accepted, and only to report an error.
"""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def locate(text: str, path: Path) -> int:
    """The line (from 1) of the value at `path`, or of the nearest thing around it; 1 when nothing is known.

    `path` is ("providers", 0, "base_url"): names of tables and keys, indices of arrays of tables.
    """
    known = index(text)
    for length in range(len(path), 0, -1):
        if (line := known.get(path[:length])) is not None:
            return line
    return 1


def index(text: str) -> dict[Path, int]:
    """Path -> line of every table header and every key that starts a line."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if depth == 0 and not quote:
            if header := _HEADER.match(line):
                table = _enter(header[1], _parts(header[2]), counts)
                found.setdefault(table, number)
                found.setdefault(table[:-1] if isinstance(table[-1], int) else table, number)
                continue
            if key := _KEY.match(line):
                here = table + _parts(key[1])
                found.setdefault(here, number)
                for length in range(len(table) + 1, len(here)):
                    found.setdefault(here[:length], number)
                line = line[key.end() :]
        depth, quote = _balance(line, depth, quote)
    return found


def _parts(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _enter(brackets: str, parts: Path, counts: dict[Path, int]) -> Path:
    """The full path of a header: names of arrays of tables get the index of their newest element."""
    path: Path = ()
    for part in parts[:-1]:
        path += (part,)
        if path in counts:
            path += (counts[path] - 1,)
    path += (parts[-1],)
    if brackets == "[[":
        counts[path] = counts.get(path, 0) + 1
        path += (counts[path] - 1,)
    return path


def _balance(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Open brackets and the open multi-line quote after this line; text in quotes and comments does not count."""
    at = 0
    while at < len(line):
        if quote:
            if line.startswith(quote, at):
                at, quote = at + len(quote), ""
            else:
                at += 2 if line[at] == "\\" and quote[0] == '"' else 1
            continue
        char = line[at]
        if char == "#":
            break
        if char in "\"'":
            quote = char * 3 if line.startswith(char * 3, at) else char
            at += len(quote)
            continue
        depth += (char in "[{") - (char in "]}")
        at += 1
    return depth, quote if len(quote) == 3 else ""
