"""All measures by name, in the order they run; and settlement, which needs no proxy."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

from bench.delay import half, latency
from bench.figures import Target, value_row
from bench.flow import memory, stream, strip
from bench.load import body32k, small
from bench.plan import Bench, Plan, Result
from bench.system import Child, Trouble
from bench.translation import forwarded, translated

MEASURES: dict[str, Callable[[Bench], Result]] = {
    "small": small,
    "body32k": body32k,
    "stream": stream,
    "strip": strip,
    "translated": translated,
    "forwarded": forwarded,
    "latency": latency,
    "half": half,
    "memory": memory,
}

_SETTLED = re.compile(r"^settlement\s+([\d,]+) readings/s", re.MULTILINE)
_SETTLEMENT_PATIENCE_S = 90.0


def settlement(plan: Plan, children_start: Callable[[list[str]], Child]) -> Result:
    """`bench/settlement.py` in a process of its own: the journal of whole calls into an SQLite book."""
    words = [sys.executable, "-m", "bench.settlement", "--calls", str(plan.settlement_calls)]
    child = children_start(words)
    try:
        child.process.wait(_SETTLEMENT_PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise Trouble(f"settlement took more than {_SETTLEMENT_PATIENCE_S:g} s.\n{child.tail()}") from error
    text = child.tail(4000)
    found = _SETTLED.search(text)
    if child.process.returncode or found is None:
        raise Trouble(f"settlement failed (exit code {child.process.returncode}).\n{text}")
    rate = float(found.group(1).replace(",", ""))
    row = value_row(
        "settlement", "readings settled a second, SQLite", "/s", None, [rate], Target(20_000, at_most=False)
    )
    lines = [line for line in text.splitlines() if line.strip()]
    return Result([row], [f"settlement: {'; '.join(' '.join(line.split()) for line in lines)}."])
