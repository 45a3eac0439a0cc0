"""wrk: many connections, each sending its next request as soon as the reply to the last one is there.

In:     a port, a body, connections, whole seconds. Out: calls answered, and none that failed, or `Trouble`.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from bench import traffic
from bench.system import Children, Trouble

_MARK = "bench-result "
_PATIENCE_S = 10.0

# `request` is not defined, so wrk builds the request once and sends the same bytes again and again.
_SCRIPT = """\
wrk.method = "POST"
wrk.body = io.open({body}, "rb"):read("*a")
{headers}
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\n{mark}{{"calls":%d,"wall_us":%d,"status":%d,"socket":%d}}\\n', summary.requests,
    summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class Load(msgspec.Struct, frozen=True):
    """What wrk saw."""

    calls: int
    wall_us: int
    status: int  # replies that were not 2xx or 3xx
    socket: int  # connections that failed

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / (self.wall_us / 1e6)


class Wrk:
    """Runs wrk with one body; the script is written once."""

    def __init__(self, children: Children, program: str, core: int, folder: Path, name: str, key: str, body: bytes):
        self._children, self._program, self._core = children, program, core
        self._folder, self._name = folder, name
        data = folder / f"{name}.body"
        data.write_bytes(body)
        lines = [
            f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in traffic.headers(key).items()
        ]
        self._script = folder / f"{name}.lua"
        self._script.write_text(_SCRIPT.format(body=json.dumps(str(data)), headers="\n".join(lines), mark=_MARK))

    def run(self, port: int, connections: int, seconds: int) -> Load:
        log = self._folder / f"{self._name}.out"
        log.unlink(missing_ok=True)
        words = [
            self._program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", str(self._script),
            f"http://127.0.0.1:{port}{traffic.PATH}",
        ]  # fmt: skip
        child = self._children.start("wrk", words, self._core, log)
        try:
            child.process.wait(seconds + _PATIENCE_S)
        finally:
            self._children.stop(child)
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith(_MARK):
                load = msgspec.json.decode(line.removeprefix(_MARK), type=Load)
                break
        else:
            raise Trouble(f"wrk did not report.\n{child.tail()}")
        if not load.calls or load.status or load.socket:
            raise Trouble(
                f"{load.calls} calls were answered on port {port}; {load.status} of them with an error status, and "
                f"{load.socket} connections failed. A figure from such a run means nothing."
            )
        return load
