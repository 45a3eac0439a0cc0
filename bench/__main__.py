"""`python -m bench [--quick] [--only NAME]... [--runs N] [--json FILE]`: Baseload beside nginx, in one table.

Exit code 0 when every measure gave a figure (whether or not its target is met), 1 when one did not, 2 when it could not
start, 130 after Ctrl-C.

Only what translation costs:  python -m bench --only translated --only forwarded
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from bench.measure import MEASURES, settlement
from bench.plan import QUICK, Bench, Plan, Result
from bench.report import Report, text, write_json
from bench.rig import Rig
from bench.system import Children, Trouble, machine, share_cores

NAMES = (*MEASURES, "settlement")
FOREIGN_MUCH = 0.05  # of the proxy's core: beyond it single rounds are worth little


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="under a minute: does it run, roughly where is it")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--runs", type=int, metavar="N", help="rounds of each measure (1 to 50)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    plan = QUICK if given.quick else Plan()
    if given.runs is not None:
        if not 1 <= given.runs <= 50:
            parser.error("--runs must be 1 to 50")
        plan = msgspec.structs.replace(plan, rounds=given.runs, stream_rounds=given.runs)
    names = [name for name in NAMES if not given.only or name in given.only]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that everything is ended
    try:
        report = run(plan, names, quick=given.quick)
    except Trouble as trouble:
        print(f"bench: {trouble}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: stopped; everything that was started has ended.", file=sys.stderr)
        return 130
    print(text(report))
    if given.json is not None:
        write_json(report, given.json)
    return 1 if report.failures else 0


def run(plan: Plan, names: list[str], *, quick: bool) -> Report:
    """Runs the named measures; one that fails does not take the others with it."""
    started = time.monotonic()
    cores = share_cores()
    about = machine()
    results: list[Result] = []
    failures: dict[str, str] = {}
    remarks: list[str] = []
    programs = ""
    proxied = [name for name in names if name in MEASURES]
    if proxied:
        rig = Rig()
        try:
            programs = rig.versions()
            os.sched_setaffinity(0, {cores.client})
            bench = Bench(rig, plan)
            for name in proxied:
                _say(name)
                try:
                    results.append(MEASURES[name](bench))
                except (Trouble, OSError) as trouble:
                    failures[name] = str(trouble)
            try:
                remarks.append(rig.check_metered())
            except (Trouble, OSError) as error:
                failures["metering"] = str(error)
            remarks.append(_noise(rig.foreign))
        finally:
            rig.close()
    if "settlement" in names:
        _say("settlement")
        try:
            results.append(_settlement(plan, cores.proxy))
        except Trouble as trouble:
            failures["settlement"] = str(trouble)
    return Report(
        machine=about,
        programs=programs,
        quick=quick,
        took_s=time.monotonic() - started,
        rows=[row for result in results for row in result.rows],
        remarks=[*(remark for result in results for remark in result.remarks), *(one for one in remarks if one)],
        failures=failures,
    )


def _settlement(plan: Plan, core: int) -> Result:
    children = Children()
    with tempfile.TemporaryDirectory(prefix="baseload-bench-") as folder:
        try:
            log = Path(folder) / "settlement.log"
            return settlement(plan, lambda words: children.start("settlement", words, core, log))
        finally:
            children.stop_all()


def _noise(foreign: list[float]) -> str:
    if not foreign:
        return ""
    middle, most = statistics.median(foreign), max(foreign)
    much = sum(share > FOREIGN_MUCH for share in foreign)
    verdict = "the machine was not quiet: trust only the ratios" if much > len(foreign) / 4 else "quiet enough"
    return (
        f"noise: others (and the host) used {middle:.0%} of the proxy's core in the median window, {most:.0%} at most, "
        f"more than {FOREIGN_MUCH:.0%} in {much} of {len(foreign)}: {verdict}."
    )


def _say(name: str) -> None:
    print(f"bench: {name} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
