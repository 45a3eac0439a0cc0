"""Starts a gateway, follows the snapshot, drains and stops.

In:     a home, an id, an address; SIGTERM and SIGINT.
Out:    a listening gateway; exit code 0 after a drain, 2 when it cannot start (the reason on stderr).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import time
from pathlib import Path

import msgspec
import uvloop

from baseload.errors import Refusal
from baseload.gateway import snapshot as snapshots
from baseload.gateway.catalog import Catalog
from baseload.gateway.content import ContentStore
from baseload.gateway.core import Gateway
from baseload.gateway.downstream import Downstream
from baseload.gateway.journal.recovery import open_journal
from baseload.gateway.limits import Limits
from baseload.gateway.link import Place
from baseload.gateway.remote import Shipper, join
from baseload.gateway.vault import Vault

log = logging.getLogger("baseload.gateway")

FOLLOW_S = 0.25


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one gateway process runs."""

    home: Path
    id: str
    host: str
    port: int
    reuse_port: bool = False
    fsync: str = "off"
    limits: Limits = Limits()
    place: Place | None = None  # of a control plane elsewhere; None = in this home


def run(settings: Settings) -> None:
    """Runs until a signal. Raises Refusal when it cannot start."""
    _raise_open_files(settings.limits.connections_max)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_main(loop, settings))
    finally:
        loop.close()


async def _main(loop: asyncio.AbstractEventLoop, settings: Settings) -> None:
    home = settings.home
    if settings.place is not None:
        await join(home, settings.place)
        (home / "journal").mkdir(mode=0o700, exist_ok=True)
    vault = Vault.open(home)
    path = home / "snapshot.msgpack"
    try:
        follower = Follower(path, vault)
    except (OSError, msgspec.DecodeError) as error:
        raise Refusal(f"No snapshot to serve from: {error}.", "Start the control plane of this home first.") from error
    journal = open_journal(home / "journal" / settings.id, settings.id, time.time_ns(), fsync=settings.fsync)
    gateway = Gateway(loop, follower.first, journal, settings.limits, str(home / "control.sock"), settings.place)
    if settings.place is None:
        gateway.content = ContentStore(home / "content", settings.id, vault)
    gateway.look_for_news = lambda: follower.look(gateway)
    shipper = None
    if settings.place is not None:
        place = settings.place
        gateway.bank.fetch = lambda: join(home, place)
        gateway.bank.start()
        shipper = Shipper(journal, place, gateway.bank.journal.rpartition("-")[2])
        shipper.start(loop)
    try:
        server = await loop.create_server(
            lambda: Downstream(gateway), sock=_listen(settings), backlog=4096, start_serving=True
        )
    except OSError as error:
        journal.close()
        raise Refusal(
            f"Port {settings.port} of {settings.host} cannot be opened: {error.strerror}.", "Choose another by --port."
        ) from error
    following = loop.create_task(follower.run(gateway))
    stop = asyncio.Event()
    hurry = asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    # What start-up made stays: the collector need not look at it again in every full collection.
    gc.collect()
    gc.freeze()
    log.info(
        "gateway %s serves on %s:%d, snapshot %d", settings.id, settings.host, settings.port, gateway.catalog.version
    )
    await stop.wait()
    log.info("gateway %s drains %d calls", settings.id, len(gateway.calls))
    server.close()
    following.cancel()
    drain = loop.create_task(gateway.drain())
    hurried = loop.create_task(hurry.wait())
    await asyncio.wait((drain, hurried), return_when=asyncio.FIRST_COMPLETED)
    if not drain.done():
        gateway.end_now()
        await drain
    hurried.cancel()
    until = loop.time() + settings.limits.shutdown_s
    while not journal.close():  # the disk refuses the last entries: they are all there is of these calls
        log.error("the journal cannot be written (%s); trying again", journal.fault)
        if loop.time() > until:
            raise Refusal(
                "The journal's last entries could not be written.", f"Look at the disk of {journal.directory}."
            )
        await asyncio.sleep(0.5)
    if shipper is not None and not await shipper.stop():
        log.warning("the control plane does not have all of the journal; start this gateway again to send the rest")
    await gateway.bank.stop()
    log.info("gateway %s has stopped", settings.id)


def _raise_open_files(connections_max: int) -> None:
    """Takes all the open files the system allows; says when they are too few for the connections that are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft < 2 * connections_max:
        log.warning(
            "%d open files are allowed; %d clients with a provider each need twice as many", soft, connections_max
        )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.bind((settings.host, settings.port))
    except OSError:
        sock.close()
        raise
    return sock


class Follower:
    """Takes every new snapshot; one that cannot be read leaves the last good one in force."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self._path = path
        self._vault = vault
        self._stamp = path.stat().st_mtime_ns
        self.first = Catalog(snapshots.read(path), vault)

    def look(self, gateway: Gateway) -> bool:
        """Takes the file if it is another one than before; says whether a new catalog is in force."""
        try:
            now = self._path.stat().st_mtime_ns
            if now == self._stamp:
                return False
            snapshot = snapshots.read(self._path)
            self._stamp = now  # read: what is wrong with it now will not pass by itself
            gateway.use(Catalog(snapshot, self._vault))
        except OSError as error:
            log.warning("the new snapshot cannot be read (%s); trying again", error)
            return False
        except Exception:
            self._stamp = now
            log.exception("the new snapshot cannot be used; version %d stays in force", gateway.catalog.version)
            return False
        log.info("snapshot %d in force", gateway.catalog.version)
        return True

    async def run(self, gateway: Gateway) -> None:
        while True:
            await asyncio.sleep(FOLLOW_S)
            self.look(gateway)
