"""`python -m baseload.control --home DIR --host H --port P`: the control plane as a process.

Order: database and its migrations, secret, defaults and first start, the file applied, first snapshot, then the doors.
A wrong file refuses the start (exit 2); once running, a wrong file leaves the last good state in force.
On SIGTERM: no new requests, one last round of settlement, then the end.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from baseload import logs, store
from baseload.control.alerts import Sender
from baseload.control.app import Pages, doors, grid_door
from baseload.control.config import load
from baseload.control.context import Context
from baseload.control.desired import EngineOptions, resolve
from baseload.control.gridtls import certificate
from baseload.control.home import Home
from baseload.control.publish import Publisher
from baseload.control.services import admin, config
from baseload.control.tracer import Tracer
from baseload.control.worker import LAST_DRAIN_S, Settlement, Watcher
from baseload.errors import Refusal
from baseload.gateway.vault import Vault

log = logging.getLogger("baseload.control")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
DATABASE_WAIT_S = 30.0  # a PostgreSQL that starts beside us


def main(arguments: list[str] | None = None, *, pages: Pages | None = None) -> int:
    """Runs until a signal; returns the exit code. `pages`: those of the console (`baseload.console`)."""
    given = _parser().parse_args(arguments)
    os.umask(0o077)  # whatever this process makes is its owner's: database, write-ahead log, socket, snapshot
    logs.configure("control")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        context = prepare(Home.at(given.home), given.host, given.port, 0 if given.no_engine else given.engine_port)
        sockets = [unix_socket(context.home), tcp_socket(given.host, given.port)]
        if given.grid_port:
            sockets.append(tcp_socket(given.grid_host, given.grid_port))
    except Refusal as refusal:
        print(f"baseload control: {refusal}", file=sys.stderr)
        return 2
    if given.host not in LOOPBACK:
        log.warning(
            "the control plane listens on %s without TLS: put a TLS proxy before it, or use 127.0.0.1", given.host
        )
    asyncio.run(_serve(context, sockets, pages))
    context.home.socket.unlink(missing_ok=True)
    store.dispose(context.engine)
    log.info("the control plane has stopped")
    return 0


def prepare(home: Home, host: str, port: int, engine_port: int) -> Context:
    """Everything up to the first snapshot. Raises Refusal when it cannot start."""
    home.make()
    options = EngineOptions(engine_port)
    resolve(load(home.config), home.config, options)  # a wrong file is refused before anything is made
    engine = store.open(home.database_url)
    _migrate(engine)
    # A new secret only for a new book: with another one, no key and no stored credential of an old book would work.
    vault = Vault.open(home.path, create=not admin.started_before(engine))
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    context = Context(
        home=home,
        engine=engine,
        vault=vault,
        publisher=Publisher(engine, home.snapshot, f"{url}/"),
        engine_options=options,
        control_url=url,
    )
    if admin.first_start(context):
        log.info("first start of %s: its key and admin token are in %s, once", home.path, home.first_start)
    config.apply(context, "file")
    return context


def _migrate(engine: Engine) -> None:
    end = time.monotonic() + DATABASE_WAIT_S
    while True:
        try:
            store.upgrade(engine)
            return
        except store.DatabaseAway as away:
            if time.monotonic() > end:
                raise
            log.error("waiting for the database: %s", away)
            time.sleep(1.0)
        except DatabaseError as error:  # a file that is none, say
            raise Refusal(
                f"The database cannot be used ({error.orig}).",
                "Restore it from a backup, see docs/rooms/control.md.",
                code="database_unusable",
            ) from error


def unix_socket(home: Home) -> socket.socket:
    """HOME/control.sock with mode 0600 from its first moment (uvicorn itself would open it to everybody)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(home.socket))
        except OSError:
            home.socket.unlink(missing_ok=True)  # left by a killed process
        else:
            raise Refusal(
                f"Another control plane serves {home.path}.", f"baseload down{home.option}", code="already_running"
            )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(home.socket))
    finally:
        os.umask(before)
    if stat.S_IMODE(home.socket.stat().st_mode) != 0o600:
        os.chmod(home.socket, 0o600)
    return sock


def tcp_socket(host: str, port: int) -> socket.socket:
    """The listening socket for TCP; bound here so that a taken port is a clear refusal."""
    # the protocol by its number: only then does asyncio switch Nagle's delay (40 ms a page) off for what is accepted
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Refusal(
            f"The control plane cannot listen on {host}:{port} ({error.strerror}).",
            "Choose another --port.",
            code="port_taken",
        ) from error
    return sock


async def _serve(context: Context, sockets: list[socket.socket], pages: Pages | None) -> None:
    settlement, watcher, sender, tracer = Settlement(context), Watcher(context), Sender(context), Tracer(context)
    servers = [_server(app) for app in doors(context, pages)]
    if len(sockets) > len(servers):
        public, private, _ = certificate(context.home.path)
        servers.append(_server(grid_door(context), ssl_certfile=str(public), ssl_keyfile=str(private)))
        log.info("gateways elsewhere join at port %d", sockets[-1].getsockname()[1])
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, watcher.ask)
    settlement.start()
    watcher.start()
    sender.start()
    tracer.start()
    # `_serve` and not `serve`: the latter takes the process's signals for one server, and there are two.
    tasks = [loop.create_task(server._serve(sockets=[sock])) for server, sock in zip(servers, sockets, strict=True)]
    log.info("control plane of %s at %s and %s", context.home.path, context.home.socket, context.control_url)
    await asyncio.wait([loop.create_task(stop.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED)
    context.stopping.set()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)
    await asyncio.to_thread(settlement.join, LAST_DRAIN_S + 5)


def _server(app: object, **tls: Any) -> uvicorn.Server:
    config_ = uvicorn.Config(
        app,  # type: ignore[arg-type]
        **tls,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,  # who asks is never taken from a header
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config_)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m baseload.control", description="The control plane of a home.")
    parser.add_argument("--home", type=Path, help="the home (default BASELOAD_HOME, ~/.baseload)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8401)
    parser.add_argument("--grid-port", type=int, default=0, help="where gateways elsewhere join, by TLS; 0 = nowhere")
    parser.add_argument("--grid-host", default="127.0.0.1")
    parser.add_argument("--engine-port", type=int, default=8402, help="where the embedded engine answers on 127.0.0.1")
    parser.add_argument("--no-engine", action="store_true", help="offer no embedded engine, whatever the file says")
    return parser


if __name__ == "__main__":
    sys.exit(main())
