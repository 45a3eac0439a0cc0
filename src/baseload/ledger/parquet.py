"""DuckDB, loaded when it is needed only: it comes with the extra `reports`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from baseload.errors import Refusal

_OPTIONS = {
    "autoinstall_known_extensions": "false",  # nothing is fetched at run time
    "autoload_known_extensions": "false",
    "threads": "1",  # rows stay in the order they came in
    "memory_limit": "256MB",
}


def load(name: str) -> Any:
    """A module of the extra `reports`. Raises Refusal `extra_missing`."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Refusal(
            f"{name} is not installed.",
            "Install the extra: pip install 'baseload[reports]'",
            code="extra_missing",
            status=501,
        ) from error


def connect(database: Path | None = None) -> Any:
    """A DuckDB connection of our own, in memory or in a file; close it. It fetches nothing and takes little memory."""
    return load("duckdb").connect(str(database) if database else ":memory:", config=_OPTIONS)
