"""The tables, as Markdown that lines up on a terminal, and the same as JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.figures import Row, Spread, Target


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run found."""

    machine: str
    programs: str
    quick: bool
    took_s: float
    rows: list[Row]
    remarks: list[str]
    failures: dict[str, str]  # measure -> why it has no figure


def tables(rows: list[Row]) -> str:
    """One table for each thing that Baseload stands beside."""
    others = dict.fromkeys(row.beside for row in rows)
    return "\n\n".join(_table(other, [row for row in rows if row.beside == other]) for other in others)


def _table(beside: str, rows: list[Row]) -> str:
    head = ("measure", beside, "Baseload", "judged: median (min to max)", "target", "met")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    target = row.target
    return (
        row.title,
        f"{_number(row.base.median)} {row.unit}" if row.base is not None else "",
        f"{_number(row.ours.median)} {row.unit}",
        _judged(row.judged, row.judged_unit),
        _target(target, row.judged_unit) if target is not None else "",
        _verdict(row),
    )


def _verdict(row: Row) -> str:
    target = row.target
    if target is None:
        return ""
    if row.doubt:
        return f"undecided: {row.doubt}"
    if not row.met:
        return "no"
    if target.stretch is not None and Target(target.stretch, target.at_most).met(row.judged.median):
        return "yes, stretch too"
    return "yes"


def _judged(spread: Spread, unit: str) -> str:
    if spread.least == spread.most:
        return _with_unit(_number(spread.median, unit), unit)
    median, least, most = (_number(value, unit) for value in (spread.median, spread.least, spread.most))
    return f"{_with_unit(median, unit)} ({least} to {most})"


def _target(target: Target, unit: str) -> str:
    sign = "<=" if target.at_most else ">="
    stretch = f" (stretch {target.stretch:g})" if target.stretch is not None else ""
    value = f"{target.value:,.0f}" if target.value >= 1000 else f"{target.value:g}"
    return f"{sign} {_with_unit(value, unit)}{stretch}"


def _with_unit(text: str, unit: str) -> str:
    return f"x{text}" if unit == "x" else f"{text} {unit}"


def _number(value: float, unit: str = "") -> str:
    if unit == "x":
        return f"{value:.2f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def text(report: Report) -> str:
    parts = [f"Machine: {report.machine}", f"Programs: {report.programs}"] if report.programs else [
        f"Machine: {report.machine}"]  # fmt: skip
    if report.rows:
        parts += ["", tables(report.rows)]
    parts += ["", *(f"- {remark}" for remark in report.remarks)]
    parts += [f"- FAILED {name}: {why}" for name, why in report.failures.items()]
    kind = "A quick run: the figures show that it works, not how fast it is. " if report.quick else ""
    parts += [f"- {kind}Took {report.took_s:.0f} s."]
    return "\n".join(parts)


def write_json(report: Report, path: Path) -> None:
    """With `met` spelled out for every row, so that a script need not know the rule."""
    members = msgspec.to_builtins(report)
    for row, members_of_row in zip(report.rows, members["rows"], strict=True):
        members_of_row["met"] = row.met
    path.write_bytes(msgspec.json.format(msgspec.json.encode(members), indent=2) + b"\n")
