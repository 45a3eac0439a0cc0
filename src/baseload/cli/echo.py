"""Errors of the children's logs, for the terminal of `baseload up`: a person need not know that there are logs.

In:    log files that grow. Out: the error lines that came since the last look, each with the lines that belong to it.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

_RECORD = re.compile(r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}\S* (\w+) (.*)")
FOLLOW_LINES_MAX = 12  # of one record: a finding a line is worth reading, a whole traceback is not
READ_BYTES_MAX = 64 * 1024
REPEAT_S = 60.0


def errors_in(text: str) -> list[str]:
    """Messages of ERROR and CRITICAL records, and what follows them up to the next record; tracebacks are left out."""
    found: list[str] = []
    following = 0
    for line in text.splitlines():
        if line.startswith("{"):
            following = 0
            found += _said(line)
        elif record := _RECORD.match(line):
            following = FOLLOW_LINES_MAX if record[1] in ("ERROR", "CRITICAL") else 0
            if following:
                found.append(record[2])
        elif line.startswith("Traceback "):
            following = 0
        elif following and line.strip():
            following -= 1
            found.append("  " + line)
    return found


def _said(line: str) -> list[str]:
    """Of a line of JSON (BASELOAD_LOG_FORMAT=json): the message of an error, line by line as it was."""
    try:
        record = json.loads(line)
    except ValueError:
        return []
    if not isinstance(record, dict) or record.get("level") not in ("error", "critical"):
        return []
    first, *rest = str(record.get("message", "")).splitlines() or [""]
    return [f"{record.get('logger', '')}: {first}", *(f"  {one}" for one in rest[:FOLLOW_LINES_MAX] if one.strip())]


class Echo:
    """Follows one log file from its beginning, whole lines at a time."""

    def __init__(self, log: Path) -> None:
        self._log, self._at = log, 0
        self._said: dict[str, float] = {}

    def news(self) -> list[str]:
        """Error lines since the last call, the same one once a minute; a flood is cut to its newest 64 KB."""
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
        return [line for line in errors_in(whole.decode("utf-8", "replace")) if self._is_new(line)]

    def _is_new(self, line: str) -> bool:
        """What is tried again five times a second must not bury what a person wants to read."""
        now = time.monotonic()
        if now - self._said.get(line, -REPEAT_S) < REPEAT_S:
            return False
        self._said = {old: at for old, at in self._said.items() if now - at < REPEAT_S} | {line: now}
        return True
