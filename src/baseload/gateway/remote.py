"""A gateway that joins a control plane elsewhere: its secret and snapshots come, its journal goes.

In:     a join text once (who we are, and the one certificate to trust), kept in HOME/control.json (0600).
Out:    HOME/secret.key and HOME/snapshot.msgpack, as if the control plane were in this home; the journal's bytes, in
        order, until they are acknowledged. Segments are kept here until then, and KEEP_S longer.

Nothing of it is on the path of a call: without the control plane this gateway serves by its last snapshot and leases,
and the journal waits.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from baseload.errors import Refusal
from baseload.gateway.journal.prune import prune
from baseload.gateway.journal.reader import segments
from baseload.gateway.journal.segment import Position, file_name
from baseload.gateway.journal.writer import JournalWriter
from baseload.gateway.link import Link, LinkDown, Place

log = logging.getLogger("baseload.gateway")

PREFIX = "bl-join-"
PIECE = 1 << 20
REST_S = 0.1
AGAIN_S = 0.5
KEEP_S = 3600.0
PRUNE_S = 300.0
LAST_S = 20.0


class Told(msgspec.Struct, array_like=True):
    segment: int
    offset: int


def place_of(home: Path, control: str, join: str) -> Place | None:
    """Where the control plane is: as told now, or as kept; None = in this home."""
    path = home / "control.json"
    if not control:
        if not path.exists():
            return None
        return msgspec.json.decode(path.read_bytes(), type=Place)
    parts = urlsplit(control)
    if parts.scheme != "https" or not parts.hostname or not parts.port:
        raise Refusal(f"{control!r} is no address of a control plane.", "As in https://control.example:8403.")
    if join:
        name, dot, rest = join.removeprefix(PREFIX).partition(".")
        token, colon, fingerprint = rest.partition(".")
        if not (join.startswith(PREFIX) and dot and colon and name and token) or len(fingerprint) != 64:
            raise Refusal("The join text is not whole.", "Copy all of what `baseload gateways invite` printed.")
        place = Place(host=parts.hostname, port=parts.port, token=token, fingerprint=fingerprint)
    elif path.exists():
        kept = msgspec.json.decode(path.read_bytes(), type=Place)
        place = msgspec.structs.replace(kept, host=parts.hostname, port=parts.port)
    else:
        raise Refusal("This home has not joined yet.", "Give --join, as `baseload gateways invite` printed it.")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _private(path, msgspec.json.encode(place))
    return place


async def join(home: Path, place: Place) -> None:
    """Fetches what a start needs. Without the control plane a home that has it all may start by itself."""
    link = Link(place)
    try:
        if not (home / "secret.key").exists():
            _private(home / "secret.key", await _get(link, "/grid/secret"))
        _private(home / "snapshot.msgpack", await _get(link, "/grid/snapshot"))
    except LinkDown as away:
        if not (home / "snapshot.msgpack").exists():
            raise Refusal(
                f"The control plane cannot be joined: {away.say}", "Is it up, and is the join text right?"
            ) from away
        log.warning("the control plane is away (%s); serving by the last snapshot", away.say)
    finally:
        link.close()


async def _get(link: Link, target: str) -> bytes:
    status, body = await link.ask("GET", target, limit_s=15.0)
    if status != 200:
        raise LinkDown(f"it answered {status}: {body[:200].decode('utf-8', 'replace')}")
    return body


def _private(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


class Shipper:
    """Sends the journal, oldest bytes first. `acknowledged`: up to where the control plane has it on disk."""

    def __init__(self, journal: JournalWriter, place: Place, mark: str) -> None:
        self._journal = journal
        self._directory = journal.directory
        self._mark = mark
        self._link = Link(place)
        self._task: asyncio.Task[None] | None = None
        self._at: Position | None = None
        self._pruned_s = time.monotonic()
        self.trouble = ""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._run())

    async def stop(self) -> bool:
        """After the journal is closed: the rest of it. False = it could not be sent; it stays here for the next run."""
        if self._task is not None:
            self._task.cancel()
        end = time.monotonic() + LAST_S
        while time.monotonic() < end:
            try:
                if not await self._ship():
                    return True
            except (LinkDown, OSError):
                await asyncio.sleep(AGAIN_S)
        return False

    async def _run(self) -> None:
        while True:
            try:
                if not await self._ship():
                    await asyncio.sleep(REST_S)
                self.trouble = ""
                if self._at is not None and time.monotonic() - self._pruned_s > PRUNE_S:
                    self._pruned_s = time.monotonic()
                    prune(self._directory, self._at, KEEP_S, time.time())
            except (LinkDown, OSError, msgspec.DecodeError) as error:
                if str(error) != self.trouble:
                    log.warning("the journal cannot be sent now (%s); it is kept and sent later", error)
                self.trouble = str(error)
                self._at = None
                await asyncio.sleep(AGAIN_S)

    async def _ship(self) -> bool:
        """One piece. False = all that is written is there."""
        if self._at is None:
            told = await self._ask("GET", f"/grid/journal?mark={self._mark}", b"")
            known = segments(self._directory)
            first = known[0] if known else 0
            if told.segment and told.segment < first:
                raise LinkDown(f"segment {told.segment + 1} is wanted and no longer here")
            self._at = Position(told.segment or first, told.offset if told.segment else 0)
        at, end = self._at, self._journal.position
        path = self._directory / file_name(at.segment)
        last = at.segment >= end.segment
        length = end.offset if last and not self._journal.closed else path.stat().st_size
        if at.offset >= length:
            if last:
                return False
            self._at = Position(at.segment + 1, 0)
            return True
        with path.open("rb") as file:
            data = os.pread(file.fileno(), min(PIECE, length - at.offset), at.offset)
        target = f"/grid/journal?mark={self._mark}&segment={at.segment}&offset={at.offset}"
        told = await self._ask("POST", target, data)
        self._at = Position(told.segment, told.offset)
        return True

    async def _ask(self, method: str, target: str, data: bytes) -> Told:
        status, body = await self._link.ask(method, target, data, limit_s=30.0)
        if status != 200:
            raise LinkDown(f"it answered {status}: {body[:300].decode('utf-8', 'replace')}")
        return msgspec.msgpack.decode(body, type=Told)
