"""Where in a TOML text something stands. tomllib gives no positions; people want "line 12".

Finds by text, after the parser has accepted the file: table headers and keys at the start of a line. A guess that does
not fit (headers inside a multi-line string) gives no line rather than a wrong one.
"""

from __future__ import annotations

import re


class Places:
    """Line numbers (from 1) of the tables and keys of one file."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def table(self, header: str, index: int = 0, total: int | None = None) -> int | None:
        """The line of the `index`-th `header`, such as "[[price]]"; None unless there are `total` of them."""
        wanted = re.compile(rf"\s*{re.escape(header)}\s*(#.*)?")
        found = [number for number, line in enumerate(self._lines, 1) if wanted.fullmatch(line)]
        if (total is not None and len(found) != total) or index >= len(found):
            return None
        return found[index]

    def key(self, start: int | None, key: str) -> int | None:
        """The line of `key = ...` or of `key` in an inline table, at or after line `start` and before the next table of
        the same level; `start` itself where it is not found."""
        if start is None:
            return None
        wanted = re.compile(rf"(^|[{{,\s.\[\"])\"?{re.escape(key)}\"?\s*[=\]]")
        for number in range(start, len(self._lines)):
            line = self._lines[number]
            if re.match(r"\[", line):  # the next table at the margin; rules of a row are indented
                break
            if wanted.search(line.split("#", 1)[0]):
                return number + 1
        return start
