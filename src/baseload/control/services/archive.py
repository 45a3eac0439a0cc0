"""The archive as the API and the command ask for it: line by line, for it may take longer than a client waits.

Out: lines of JSON. A line without anything says that the work goes on; {"error": ...} that it ended there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from baseload import store
from baseload.control import audit
from baseload.control.context import Context
from baseload.control.services.times import instant_ns, iso
from baseload.errors import Refusal
from baseload.ledger import archive as archives
from baseload.ledger import archive_check
from baseload.ledger.rollups import DAY_NS
from baseload.store import tables as t

MEDIA = "application/x-ndjson"
QUIET_S = 5.0  # a client that hears nothing for a minute gives up

log = logging.getLogger("baseload.control.services.archive")


def folder_of(context: Context, actor: str, folder: str) -> Path:
    """HOME/archive, or another folder: for the owner of this home only, a token does not write where it likes."""
    if not folder:
        return context.home.path / "archive"
    if actor != "socket":
        raise Refusal(
            "A folder may be named on this machine only.", "Leave it out: HOME/archive.", code="socket_only", status=403
        )
    path = Path(folder)
    if not path.is_absolute():
        raise Refusal(f"{folder} is not a whole path.", "Begin it with a slash.", code="archive_folder")
    return path


def make(context: Context, actor: str, *, since: str, until: str, folder: str) -> Iterator[bytes]:
    """Archives the whole days (UTC) from `since` ("" = the first) to `until`; what is not a whole day is left out."""
    now, path = time.time_ns(), folder_of(context, actor, folder)
    start, end = instant_ns(since, now) if since else 0, instant_ns(until, now)
    start, end = start + -start % DAY_NS, end - end % DAY_NS
    return _lines(archives.archiving(context.engine, start, end, path, actor, record=audit.record))


def verify(context: Context, actor: str, *, folder: str) -> Iterator[bytes]:
    """What is wrong with the files of the archive."""
    return _lines(archive_check.verifying(context.engine, folder_of(context, actor, folder)))


def noted(context: Context) -> list[dict[str, Any]]:
    """The files that were written, the oldest day first."""
    table = t.archives
    with store.reading(context.engine) as connection:
        rows = connection.execute(select(table).order_by(table.c.start_ns, table.c.id)).all()
    return [
        {"day": iso(row.start_ns)[:10], "file": row.file, "readings": row.readings, "sha256": bytes(row.hash).hex(),
         "made": iso(row.made_ns), "actor": row.actor}
        for row in rows
    ]  # fmt: skip


def _lines(work: Iterator[Any]) -> Iterator[bytes]:
    """A refusal before the first line is the reply's own; a later one is its last line."""
    heard = time.monotonic()
    first = next(work, None)

    def lines() -> Iterator[bytes]:
        nonlocal heard
        try:
            for found in _from(first, work):
                if found is not None:
                    yield msgspec.json.encode(found) + b"\n"
                elif time.monotonic() - heard > QUIET_S:
                    yield b"\n"
                else:
                    continue
                heard = time.monotonic()
        except Refusal as refusal:
            yield _error(refusal)
        except Exception:
            log.exception("the archive failed")
            yield _error(Refusal("The control plane failed at this.", "See control.log.", code="internal", status=500))

    return lines()


def _from(first: Any, work: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from work


def _error(refusal: Refusal) -> bytes:
    said = {"code": refusal.code, "message": refusal.say, "fix": refusal.fix, "status": refusal.status}
    return msgspec.json.encode({"error": said}) + b"\n"
