"""All of it together: two mocks, nginx and Baseload on loopback, in one temporary folder.

In:     nothing but the machine. Out: proxies with addresses and process ids; everything ends with `close()`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import msgspec

from bench import home, nginx, speech, traffic
from bench.system import Child, Children, Trouble, Watch, find_program, free_port, raise_file_limit, share_cores
from bench.wrk import Load, Wrk

FILES_WANTED = 65_536
NGINX, OURS = "nginx", "Baseload"


class Proxy(msgspec.Struct, frozen=True):
    """One proxy under test. nginx listens twice, for it buffers streams or not by server."""

    name: str
    child: Child
    whole_port: int
    stream_port: int


class Rig:
    """Started by need: making one starts the mocks and both proxies."""

    def __init__(self) -> None:
        self.nginx_program = find_program("nginx", "nginx-light")
        self.wrk_program = find_program("wrk", "wrk")
        self.cores = share_cores()
        self.files = raise_file_limit(FILES_WANTED)
        self.children = Children()
        self.folder = Path(tempfile.mkdtemp(prefix="baseload-bench-"))
        self.foreign: list[float] = []  # of every window: share of the proxy's core that others used
        models = (traffic.MODEL_WHOLE, *speech.MODELS.values())
        self.calls = dict.fromkeys(models, 0)  # answered by Baseload, as its clients counted
        self._made = 0
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self.direct_port, stream = free_port(), free_port()
        conf = nginx.write_mock(self.folder / "mock", self.files, self.direct_port)
        mock = self.children.start(
            "the mock", nginx.command(self.nginx_program, conf), self.cores.mock, self.folder / "mock.log"
        )
        self._stream_mock_port = stream
        words = [sys.executable, "-m", "bench.mock", "--port", str(stream)]
        streaming = self.children.start("the streaming mock", words, self.cores.mock, self.folder / "stream.log")
        mock.await_port(self.direct_port)
        streaming.await_port(stream)
        self.home = self.folder / "home"
        self.key = home.make_home(self.home, f"http://127.0.0.1:{self.direct_port}/v1", f"http://127.0.0.1:{stream}/v1")
        self.nginx = self.fresh_nginx()
        self.ours = self.fresh_gateway()

    @property
    def both(self) -> tuple[Proxy, Proxy]:
        return self.nginx, self.ours

    def fresh_nginx(self) -> Proxy:
        self._made += 1
        whole, stream = free_port(), free_port()
        folder = self.folder / f"nginx{self._made}"
        conf = nginx.write_proxy(folder, self.files, self.direct_port, self._stream_mock_port, whole, stream)
        log = self.folder / f"nginx{self._made}.log"
        child = self.children.start("nginx", nginx.command(self.nginx_program, conf), self.cores.proxy, log)
        child.await_port(whole)
        return Proxy(NGINX, child, whole, stream)

    def fresh_gateway(self) -> Proxy:
        self._made += 1
        port = free_port()
        child = self.children.start(
            "the gateway", home.gateway_command(self.home, f"g{self._made}", port), self.cores.proxy,
            self.folder / f"gateway{self._made}.log", home.gateway_environment(),
        )  # fmt: skip
        child.await_port(port)
        return Proxy(OURS, child, port, port)

    def retire(self, proxy: Proxy) -> None:
        self.children.stop(proxy.child)

    def wrk(self, name: str, body: bytes) -> Wrk:
        return Wrk(self.children, self.wrk_program, self.cores.client, self.folder, name, self.key, body)

    def watch(self, proxy: Proxy) -> Watch:
        if proxy.child.process.poll() is not None:
            raise Trouble(f"{proxy.name} has ended.\n{proxy.child.tail()}")
        return Watch(proxy.child.pids(), self.cores.proxy)

    def count(self, proxy: Proxy, model: str, calls: int) -> None:
        """Remembers what Baseload must have metered."""
        if proxy is self.ours:
            self.calls[model] += calls

    def metered(self) -> dict[str, int]:
        """Calls that Baseload's own metrics count as ended with outcome ok, by model."""
        found = dict.fromkeys(self.calls, 0)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ours.whole_port}/metrics", timeout=5) as reply:
            for line in reply.read().decode().splitlines():
                if line.startswith("baseload_calls_total{") and 'outcome="ok"' in line:
                    for model in found:
                        if f'model="{model}"' in line:
                            found[model] += int(float(line.rpartition(" ")[2]))
        return found

    def check_metered(self) -> str:
        """Raises Trouble when a call was answered without being metered; else says what was."""
        metered = self.metered()
        for model, calls in self.calls.items():
            if metered[model] < calls:
                raise Trouble(f"clients had {calls} answers of {model}, but Baseload metered {metered[model]}")
        return (
            f"metering: Baseload's own metrics count {sum(metered.values()):,} calls that ended well; its clients "
            f"counted {sum(self.calls.values()):,}, warm-ups left out."
        )

    def versions(self) -> str:
        said = subprocess.run([self.nginx_program, "-v"], capture_output=True, text=True, check=False).stderr
        wrk = subprocess.run([self.wrk_program, "-v"], capture_output=True, text=True, check=False)
        words = (wrk.stdout + wrk.stderr).split()
        return f"{said.strip().rpartition(' ')[2]}, wrk {words[1] if len(words) > 1 else ''}"

    def close(self) -> None:
        self.children.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)


__all__ = ["NGINX", "OURS", "Load", "Proxy", "Rig"]
