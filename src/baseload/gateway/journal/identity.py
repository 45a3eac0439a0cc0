"""Which journal a directory holds: its name and a mark made with it.

In:     a gateway's journal directory. Out: `g0-1f3c9a2e`, the name the ledger keeps its place under.

A position counts from the first segment of one journal. A database restored beside a new journal must not take the old
journal's position for the new one's: the new mark makes it another journal, read from its beginning.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_FILE = "identity"


def mark(directory: Path) -> None:
    """Gives a directory its mark, once; called by the writer before its first segment."""
    path = directory / _FILE
    if path.exists():
        return
    fresh = directory / f".{_FILE}-{os.getpid()}"
    fresh.write_text(secrets.token_hex(4) + "\n")
    os.replace(fresh, path)


def journal_name(directory: Path) -> str:
    """The name of the journal in `directory`; the directory's own where no writer has marked it yet."""
    try:
        text = (directory / _FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    return f"{directory.name}-{text}" if text.isalnum() else directory.name
