"""Starts real gateways on homes made for a test, and speaks to them over raw sockets.

The snapshot is written by the product's own `snapshot.write`; nothing of the gateway is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baseload.dispatch.policy import Policy
from baseload.gateway import snapshot as snapshots
from baseload.gateway.journal import entries
from baseload.gateway.journal.reader import read_from
from baseload.gateway.snapshot import (
    AccountRow,
    GroupRow,
    KeyRow,
    OfferRow,
    PolicyRow,
    ProviderRow,
    Snapshot,
    TariffRow,
)
from baseload.gateway.vault import Vault, key_prefix
from baseload.money.price import PriceRow
from baseload.money.tariff import NONE, Rules

KEY = "sk-bl-testtesttesttesttesttesttesttest"
READY_S = 20.0


def price(id_: int, model: str = "m", *, input_: str = "1", output: str = "2", **more: Any) -> PriceRow:
    rate = {"input": input_, "cache_read": input_, "output": output}
    return PriceRow(
        id=id_, book="cost:test", vendor="test", model=model, scope="global", currency="USD", rate=rate, **more
    )


@dataclass
class Home:
    """One home: rows may be changed and published again."""

    path: Path
    providers: list[ProviderRow] = field(default_factory=list)
    offers: list[OfferRow] = field(default_factory=list)
    prices: list[PriceRow] = field(default_factory=lambda: [price(1)])
    models: tuple[str, ...] = ()
    version: int = 0
    console_url: str = "http://127.0.0.1:8401/"
    key_expires_ns: int = 0
    policies: dict[str, Policy] = field(default_factory=dict)
    account_policies: tuple[str, ...] = ()  # names, outermost first
    key_policy: str = ""
    model_policies: dict[str, str] = field(default_factory=dict)
    groups: list[GroupRow] = field(default_factory=list)
    fx: dict[str, str] = field(default_factory=dict)
    rules: Rules = NONE
    margin_ppm: int = 200_000

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.vault = Vault.open(self.path, create=True)

    def offer(
        self,
        base_url: str,
        model: str = "m",
        *,
        dialect: str = "openai",
        endpoints: tuple[str, ...] = ("chat", "completions", "embeddings"),
        prices: tuple[int, ...] = (1,),
        upstream_model: str = "",
        kind: str = "vendor",
        bytes_per_token: float = 4.0,
        facts: dict[str, Any] | None = None,
        **provider: Any,
    ) -> OfferRow:
        """`facts`: further fields of the offer; the rest are the provider's."""
        id_ = len(self.offers) + 1
        self.providers.append(
            ProviderRow(id=id_, name=f"p{id_}", kind=kind, dialect=dialect, base_url=base_url, **provider)
        )
        row = OfferRow(
            id=id_,
            name=f"{model}@p{id_}",
            model=model,
            provider=id_,
            upstream_model=upstream_model or f"up-{model}",
            endpoints=endpoints,
            cost_prices=prices,
            bytes_per_token=bytes_per_token,
            **(facts or {}),
        )
        self.offers.append(row)
        return row

    def publish(self) -> None:
        self.version += 1
        ids = {name: number for number, name in enumerate(self.policies, 1)}
        snapshots.write(
            self.path / "snapshot.msgpack",
            Snapshot(
                format=snapshots.FORMAT,
                version=self.version,
                made_ns=time.time_ns(),
                accounts=[
                    AccountRow(id=7, name="acme", tariff=3, policies=tuple(ids[name] for name in self.account_policies))
                ],
                keys=[
                    KeyRow(
                        id=5,
                        account=7,
                        hash=self.vault.key_hash(KEY.encode()),
                        prefix=key_prefix(KEY),
                        models=self.models,
                        expires_ns=self.key_expires_ns,
                        policy=ids.get(self.key_policy, 0),
                    )
                ],
                providers=self.providers,
                offers=self.offers,
                tariffs=[TariffRow(id=3, name="default", margin_ppm=self.margin_ppm, rules=self.rules)],
                prices=self.prices,
                console_url=self.console_url,
                policies=[PolicyRow(id=ids[name], name=name, policy=policy) for name, policy in self.policies.items()],
                groups=self.groups,
                model_policies={model: ids[name] for model, name in self.model_policies.items()},
                fx=self.fx,
            ),
        )

    def journal(self, gateway: str = "g0") -> list[entries.AnyEntry]:
        """Every entry in the journal so far, in order."""
        found: list[entries.AnyEntry] = []
        position = None
        while True:
            batch, position = read_from(self.path / "journal" / gateway, position, 10_000)
            found += [entry for _, entry in batch]
            if not batch:
                return found

    def readings(self, gateway: str = "g0") -> list[entries.Reading]:
        return [entry for entry in self.journal(gateway) if isinstance(entry, entries.Reading)]

    def refused(self, gateway: str = "g0") -> list[entries.Refused]:
        return [entry for entry in self.journal(gateway) if isinstance(entry, entries.Refused)]

    def wait_readings(self, count: int, within_s: float = 10.0) -> list[entries.Reading]:
        until = time.monotonic() + within_s
        while True:
            readings = self.readings()
            if len(readings) >= count or time.monotonic() > until:
                assert len(readings) == count, f"{len(readings)} readings instead of {count}: {readings}"
                return readings
            time.sleep(0.02)


@dataclass
class Running:
    home: Home
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout_s: float = 15.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    @staticmethod
    def wait(there: Callable[[], bool], within_s: float = 10.0) -> None:
        until = time.monotonic() + within_s
        while not there():
            assert time.monotonic() < until, "it did not come within its time"
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, within_s: float = 15.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def gateway(
    home: Home, *, port: int = 0, args: tuple[str, ...] = (), log: str = "gateway.log", health: bool = False
) -> Iterator[Running]:
    """A gateway process. `health` False: no failure keeps an offer out of service, so that it can fail repeatedly."""
    if not health:
        args = ("--limit", "out_max_s=0", *args)
    if not (home.path / "snapshot.msgpack").exists():
        home.publish()
    port = port or free_port()
    with open(home.path / log, "ab") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "baseload.gateway",
                "--home",
                str(home.path),
                "--id",
                "g0",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                *args,
            ],
            stdout=out,
            stderr=out,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    running = Running(home, port, process)
    try:
        until = time.monotonic() + READY_S
        while True:
            try:
                if exchange(running, b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n").status in (200, 503):
                    break
            except OSError:
                pass
            assert process.poll() is None, (home.path / log).read_text()
            assert time.monotonic() < until, "the gateway did not become ready"
            time.sleep(0.02)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool  # framed to its end, not cut

    def json(self) -> Any:
        return json.loads(self.body)


def post(
    path: str, body: bytes | dict[str, Any], *, key: str = KEY, extra: str = "", ctype: str = "application/json"
) -> bytes:
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    auth = f"authorization: Bearer {key}\r\n" if key else ""
    return (
        f"POST {path} HTTP/1.1\r\nhost: gateway\r\n{auth}content-type: {ctype}\r\n{extra}"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(path: str, *, key: str = KEY, method: str = "GET") -> bytes:
    auth = f"authorization: Bearer {key}\r\n" if key else ""
    return f"{method} {path} HTTP/1.1\r\nhost: gateway\r\n{auth}\r\n".encode()


def chat(model: str = "m", text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def exchange(running: Running, request: bytes) -> Reply:
    with running.connect() as sock:
        sock.sendall(request)
        return read_reply(sock, head_only=request.startswith(b"HEAD "))


def read_reply(sock: socket.socket, rest: bytearray | None = None, *, head_only: bool = False) -> Reply:
    """One reply from a socket; `rest` carries bytes of the next reply over (pipelining)."""
    data = rest if rest is not None else bytearray()

    def more() -> bool:
        piece = sock.recv(1 << 20)
        data.extend(piece)
        return bool(piece)

    while b"\r\n\r\n" not in data:
        if not more():
            raise ConnectionError(f"closed in the head: {bytes(data)!r}")
    head, _, _ = bytes(data).partition(b"\r\n\r\n")
    del data[: len(head) + 4]
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if 100 <= status < 200:
        return read_reply(sock, data, head_only=head_only)
    body = bytearray()
    complete = True
    if head_only:
        pass
    elif headers.get("transfer-encoding") == "chunked":
        while True:
            while b"\r\n" not in data:
                if not more():
                    return Reply(status, headers, bytes(body), False)
            size_line = bytes(data).partition(b"\r\n")[0]
            size = int(size_line, 16)
            del data[: len(size_line) + 2]
            while len(data) < size + 2:
                if not more():
                    return Reply(status, headers, bytes(body + data), False)
            body += data[:size]
            del data[: size + 2]
            if size == 0:
                break
    elif "content-length" in headers:
        size = int(headers["content-length"])
        while len(data) < size:
            if not more():
                complete = False
                break
        body += data[:size]
        del data[:size]
    else:
        while more():
            pass
        body, data[:] = bytearray(data), b""
    return Reply(status, headers, bytes(body), complete)
