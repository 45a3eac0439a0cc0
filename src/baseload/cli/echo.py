"""Errors of the children's logs, for the terminal of `baseload up`: a person need not know that there are logs.

In:    log files that grow. Out: the error lines that came since the last look, each with the lines that belong to it.
"""

from __future__ import annotations

import re
from pathlib import Path

_RECORD = re.compile(r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}\S* (\w+) (.*)")
FOLLOW_LINES_MAX = 12  # of one record: a finding a line is worth reading, a whole traceback is not
READ_BYTES_MAX = 64 * 1024


def errors_in(text: str) -> list[str]:
    """Messages of ERROR and CRITICAL records, and what follows them up to the next record; tracebacks are left out."""
    found: list[str] = []
    following = 0
    for line in text.splitlines():
        if record := _RECORD.match(line):
            following = FOLLOW_LINES_MAX if record[1] in ("ERROR", "CRITICAL") else 0
            if following:
                found.append(record[2])
        elif line.startswith("Traceback "):
            following = 0
        elif following and line.strip():
            following -= 1
            found.append("  " + line)
    return found


class Echo:
    """Follows one log file from its beginning, whole lines at a time."""

    def __init__(self, log: Path) -> None:
        self._log, self._at = log, 0

    def news(self) -> list[str]:
        """Error lines since the last call; a flood is cut to its newest 64 KB."""
        try:
            size = self._log.stat().st_size
            if size == self._at:
                return []
            with self._log.open("rb") as file:
                file.seek(max(self._at, size - READ_BYTES_MAX))
                data = file.read(READ_BYTES_MAX)
        except OSError:
            return []
        whole, newline, _ = data.rpartition(b"\n")
        self._at = max(self._at, size - READ_BYTES_MAX) + len(whole) + len(newline)
        return errors_in(whole.decode("utf-8", "replace"))
