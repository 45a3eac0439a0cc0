"""How every process of the house logs: plain lines, or a JSON object a line (BASELOAD_LOG_FORMAT=json).

In:     the environment. Out: the root logger set up on standard error.
A line about a call has its id as `call`, so that log, reading, trace and bill are found by one word. Keys and prompts
are never logged.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime

VARIABLE = "BASELOAD_LOG_FORMAT"
_CALL = re.compile(r"\bcall_[0-9a-f]{22}\b")
_PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message; call and error where there are some."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": at, "level": record.levelname.lower(), "process": self._process, "logger": record.name,
                "message": text}  # fmt: skip
        if found := _CALL.search(text):
            line["call"] = found[0]
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(process: str) -> None:
    """process: "gateway g0", "control": which one speaks."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = os.environ.get(VARIABLE, "").strip().lower() == "json"
    handler.setFormatter(JsonLines(process) if as_json else logging.Formatter(_PLAIN))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
