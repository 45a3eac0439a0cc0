"""What `baseload up` runs: which process, with which arguments, ready when, and what is said to the person.

`Plan` is decided before anything starts (ports are tried first); `Stack` starts it and tells when all is ready.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baseload.cli import runfile
from baseload.cli.client import Client
from baseload.cli.http import answers
from baseload.cli.supervisor import Child, Supervisor
from baseload.control.home import Home, write_private
from baseload.errors import Refusal
from baseload.wire.listing import GENERATING

CONTROL_READY_S = 60.0  # a migration of a large database may take its time
GATEWAY_READY_S = 30.0
ENGINE_READY_S = 180.0  # a large model of one's own on a slow disk
DRAIN_S = 30.0  # a gateway's calls may run on so long, and settlement as long after them
ENDING_S = 5.0  # then a gateway ends what is left, each call with an error and a reading


@dataclass(frozen=True)
class Plan:
    home: Home
    host: str
    port: int
    control_port: int
    engine_port: int
    gateways: int
    fsync: str = "off"
    grid: tuple[str, int] = ("127.0.0.1", 0)

    @classmethod
    def of(
        cls, home: Home, *, host: str, port: int, control_port: int, engine_port: int, gateways: int,
        fsync: str = "off", grid: tuple[str, int] = ("127.0.0.1", 0),
    ) -> Plan:  # fmt: skip
        """Chooses the ports; refuses a taken one before anything has started."""
        return cls(
            home,
            host,
            free_port(host, port, "gateway", "--port"),
            free_port("127.0.0.1", control_port, "control plane", "--control-port"),
            free_port("127.0.0.1", engine_port if can_bind("127.0.0.1", engine_port) else 0, "engine", "--engine-port"),
            gateways,
            fsync,
            (grid[0], free_port(*grid, "port for gateways", "--grid-port") if grid[1] else 0),
        )

    @property
    def base(self) -> str:
        """The gateway's address for a client on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"


def can_bind(host: str, port: int) -> bool:
    try:
        free_port(host, port, "", "")
    except Refusal:
        return False
    return True


def free_port(host: str, port: int, who: str, option: str) -> int:
    """The port, or a free one for 0. Raises Refusal when it is taken or the address is not ours."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        say = f"The {who} cannot listen on {host}:{port} ({reason})."
        if not 0 <= port <= 65535:
            raise Refusal(say, f"A port is 1 to 65535; {option} 0 chooses a free one.", code="usage") from error
        if getattr(error, "errno", None) != errno.EADDRINUSE:
            low = getattr(error, "errno", None) == errno.EACCES
            fix = "Ports below 1024 are the administrator's." if low else "Give an address of this machine to --host."
            raise Refusal(say, fix, code="usage") from error
        raise Refusal(
            say,
            f"See who has it: ss -ltnp 'sport = :{port}', or let one be chosen: baseload up {option} 0",
            code="port_taken",
            status=409,
        ) from error


class Stack:
    """The processes of one home."""

    def __init__(self, plan: Plan, *, engine: bool, say: Callable[[str], None]) -> None:
        self.plan, self.home, self._say = plan, plan.home, say
        self.supervisor = Supervisor(say)
        self.gateways: list[Child] = []
        self.control = self._child("control", self._control_command(engine), stop_s=DRAIN_S)
        self.engine: Child | None = None
        self._want_engine = engine
        self._secrets: dict[str, str] = {}
        self._model = ""

    def start(self) -> None:
        """Starts all and returns when all are ready; raises Refusal that says who was not, with its last words."""
        self.supervisor.catch_signals()
        self.supervisor.start(self.control)
        self._await(self._control_ready, CONTROL_READY_S, self.control)
        engine = self._engine_child() if self._want_engine else None
        if engine:
            self.engine = engine
            self.supervisor.start(engine)
        for number in range(self.plan.gateways):
            child = self._child(f"g{number}", self._gateway_command(number), stop_s=DRAIN_S + ENDING_S)
            self.gateways.append(child)
            self.supervisor.start(child)
        self._await(self._gateways_ready, GATEWAY_READY_S, *self.gateways)
        if engine:
            self._await(self._engine_ready, ENGINE_READY_S, engine)
        self._secrets = self._first_start()
        self._model = self._first_model()
        self.record()

    def stop(self) -> None:
        """Gateways drain first, then the control plane settles what is left, then the engine goes."""
        engine = [self.engine] if self.engine else []
        if any(child.running() for child in self.supervisor.children):
            self._say("Stopping: gateways finish their calls (again Ctrl-C hurries).")
        killed = self.supervisor.stop([self.gateways, [self.control], engine])
        for name in killed:
            self._say(f"{name} did not stop in time and was killed; the journal keeps what it had.")

    def record(self) -> None:
        """Writes run.json: who runs and where."""
        runfile.write(
            self.home,
            {
                "v": 1,
                "pid": os.getpid(),
                "started": int(time.time()),
                "gateway": {"url": self.plan.base, "host": self.plan.host, "port": self.plan.port},
                "control": {"url": self._control_url(), "port": self.plan.control_port},
                "engine": {"port": self.plan.engine_port} if self.engine else None,
                "children": [
                    {"name": child.name, "pid": child.pid, "log": str(child.log)} for child in self.supervisor.children
                ],
            },
        )

    def facts(self) -> dict[str, Any]:
        """What `up --json` prints. Secrets only on the first start."""
        return {
            "ready": True,
            "base_url": f"{self.plan.base}/v1",
            "control_url": self._control_url(),
            "home": str(self.home.path),
            "model": self._model,
            "key": self._secrets.get("key"),
            "admin_token": self._secrets.get("admin_token"),
            "owner_link": self._owner_link(),
            "curl": self._curl(),
        }

    def greeting(self) -> str:
        """What a person sees when everything is ready."""
        lines = [
            "",
            "Baseload is ready.",
            "",
            f"  base URL      {self.plan.base}/v1",
            f"  console       {self._control_url()}/console/",
        ]
        if link := self._owner_link():
            lines += [
                f"  first owner   {link}",
                "                Good once, for a day: choose a name and a password there.",
            ]
        if self._secrets:
            lines += [
                f"  API key       {self._secrets['key']}",
                f"  admin token   {self._secrets['admin_token']}",
                "                Both are shown once: keep them now.",
            ]
        lines += ["", f"  A new key:    {self._command()} keys create{self.home.option}", ""]
        if self._model:
            lines += ["A first call:", "", f"  {self._curl()}", ""]
        else:
            add = f"{self._command()} providers add deepseek{self.home.option}"
            lines += [f"No model is offered yet. Add a vendor: {add}", ""]
        return "\n".join([*lines, "Ctrl-C stops it."])

    def _owner_link(self) -> str:
        """As long as nobody has signed up as owner; the secret stands behind #, so no log sees it."""
        with contextlib.suppress(Refusal):
            secret = Client.local(self.home).post("/api/people/first")["link"]
            return f"{self._control_url()}/console/link#{secret}" if secret else ""
        return ""

    def _command(self) -> str:
        """`baseload`, or its whole path where the shell would not find it (`make up` activates nothing)."""
        own = Path(sys.executable).with_name("baseload")
        return "baseload" if shutil.which("baseload") or not own.exists() else shlex.quote(str(own))

    def forget_secrets(self) -> None:
        """Removes the first start's secrets once they were shown."""
        self.home.first_start.unlink(missing_ok=True)

    def _first_start(self) -> dict[str, str]:
        try:
            secrets = json.loads(self.home.first_start.read_text())
        except FileNotFoundError:
            return {}
        write_private(self.home.cli_key, secrets["key"].encode() + b"\n")
        return {"key": secrets["key"], "admin_token": secrets["admin_token"]}

    def _first_model(self) -> str:
        offers = Client.local(self.home).get("/api/offers")["offers"]
        able = [
            offer
            for offer in offers
            if not offer["disabled"] and offer["price"] and not GENERATING.isdisjoint(offer["endpoints"])
        ]
        own = [offer for offer in able if offer["provider_kind"] == "engine"]
        return str((own or able)[0]["model"]) if able else ""

    def _curl(self) -> str:
        if not self._model:
            return ""
        body = json.dumps(
            {"model": self._model, "messages": [{"role": "user", "content": "Say hello in one sentence."}]}
        )
        key = self._secrets.get("key") or self._kept_key()
        return (
            f'curl -s {self.plan.base}/v1/chat/completions -H "Authorization: Bearer {key}" '
            f'-H "Content-Type: application/json" -d {shlex.quote(body)}'
        )

    def _kept_key(self) -> str:
        """What a shell reads the key from: the first start's, kept for `baseload call`, or a variable of the person."""
        path = shlex.quote(str(self.home.cli_key))
        return f"$(cat {path})" if self.home.cli_key.exists() else "$BASELOAD_API_KEY"

    def _await(self, ready: Callable[[], bool], limit_s: float, *children: Child) -> None:
        why = self.supervisor.wait_until(ready, limit_s, children)
        if not why:
            return
        if self.supervisor.stopping:
            raise KeyboardInterrupt
        words = "\n".join(filter(None, (child.last_words() for child in children if not child.running())))
        raise Refusal(
            f"{why[0].upper()}{why[1:]}.{chr(10) + words if words else ''}",
            f"Look at {children[0].log}.",
            code="not_started",
        )

    def _child(self, name: str, command: list[str], stop_s: float) -> Child:
        return Child(name, command, self.home.logs / f"{name}.log", stop_s)

    def _control_command(self, engine: bool) -> list[str]:
        words = [sys.executable, "-m", "baseload.console", "--home", str(self.home.path)]
        words += ["--host", "127.0.0.1", "--port", str(self.plan.control_port)]
        if self.plan.grid[1]:
            words += ["--grid-host", self.plan.grid[0], "--grid-port", str(self.plan.grid[1])]
        return words + (["--engine-port", str(self.plan.engine_port)] if engine else ["--no-engine"])

    def _gateway_command(self, number: int) -> list[str]:
        words = [sys.executable, "-m", "baseload.gateway", "--home", str(self.home.path), "--id", f"g{number}"]
        words += ["--host", self.plan.host, "--port", str(self.plan.port), "--fsync", self.plan.fsync]
        return words + (["--reuse-port"] if self.plan.gateways > 1 else [])

    def _engine_child(self) -> Child | None:
        from baseload.engines import cards

        wanted = Client.local(self.home).get("/api/engine")["engine"]
        if not wanted["enabled"]:
            return None
        file = Path(wanted["file"]).expanduser() if wanted["file"] else None
        try:
            cards.check_library()
            file = file or cards.model_path()
        except Refusal as refusal:
            raise Refusal(
                refusal.say, f"{refusal.fix}; or start without it: baseload up --no-engine", code=refusal.code
            ) from refusal
        command = cards.command(
            self.plan.engine_port,
            model=file,
            context=wanted["context"],
            threads=wanted["threads"],
            alias=wanted["model"],
        )
        return self._child("engine", command, stop_s=10.0)

    def _control_ready(self) -> bool:
        return self.home.socket.exists() and _ok(f"{self._control_url()}/healthz") and self.home.snapshot.exists()

    def _gateways_ready(self) -> bool:
        return _ok(f"{self.plan.base}/readyz") and listeners(self.plan.port) in (None, self.plan.gateways)

    def _engine_ready(self) -> bool:
        return _ok(f"http://127.0.0.1:{self.plan.engine_port}/health")

    def _control_url(self) -> str:
        return f"http://127.0.0.1:{self.plan.control_port}"


def _ok(url: str) -> bool:
    return answers(url) == 200


def listeners(port: int) -> int | None:
    """How many sockets listen on a port (several gateways share one); None where the kernel does not tell."""
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as file:
                rows = file.read().splitlines()[1:]
        except OSError:
            continue
        count += sum(
            1 for row in rows if (cells := row.split())[3] == "0A" and int(cells[1].rpartition(":")[2], 16) == port
        )
    return count or None
