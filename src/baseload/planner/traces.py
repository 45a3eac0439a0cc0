"""Load of other systems: public traces and plain tables, read row by row into hours. Pure: it is given lines.

In:     lines of a file whose first one names its columns (or JSON objects). Out: `Work` by the hour.

    azure     TIMESTAMP, ContextTokens, GeneratedTokens            (Azure/AzurePublicDataset)
    burstgpt  Timestamp (seconds), Request tokens, Response tokens (HPMLL/BurstGPT)
    servegen  t_s, requests, known_requests, known_input_tokens, known_output_tokens (alibaba/ServeGen, summed)
    mooncake  JSON lines: timestamp (ms), input_length, output_length                (kvcache-ai/Mooncake)
    plain     hour (an instant, or hours from the start), calls, input, cached, output

Of ServeGen only a part of the requests has token counts: the rest is taken to be like that part.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from fractions import Fraction

from baseload.errors import Refusal
from baseload.planner.load import HOUR_NS, Work, filled

SECOND = 10**9
Row = dict[str, str]


def read(lines: Iterable[str], form: str = "") -> list[Work]:
    """By its columns where `form` is "". Raises Refusal `trace_wrong` with the line."""
    found = iter(lines)
    first = next(found, "")
    if first.lstrip().startswith("{"):
        return filled(list(_mooncake(first, found)))
    columns = [name.strip() for name in next(csv.reader([first.lstrip("\ufeff")]), [])]
    kind = form or next((name for name, needed in COLUMNS.items() if set(needed) <= set(columns)), "")
    if kind not in COLUMNS or not set(COLUMNS[kind]) <= set(columns):
        raise _wrong(1, f"its columns are {', '.join(columns)[:200]}")
    take, work = READERS[kind], []
    for number, row in enumerate(csv.DictReader(found, fieldnames=columns), 2):
        try:
            work.append(take(row))
        except (ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
            raise _wrong(number, str(error)[:120]) from error
    return filled(work)


def _wrong(number: int, why: str) -> Refusal:
    return Refusal(
        f"Line {number} of the trace cannot be read: {why}.", f"Known forms: {', '.join((*COLUMNS, 'mooncake'))}.",
        code="trace_wrong", status=422,
    )  # fmt: skip


def _azure(row: Row) -> Work:
    text = row["TIMESTAMP"].strip()[:26].replace(" ", "T")
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Work(int(at.timestamp()) * SECOND, 1, _count(row["ContextTokens"]), 0, _count(row["GeneratedTokens"]))


def _burstgpt(row: Row) -> Work:
    return Work(_ns(row["Timestamp"]), 1, _count(row["Request tokens"]), 0, _count(row["Response tokens"]))


def _servegen(row: Row) -> Work:
    calls, known = _count(row["requests"]), _count(row["known_requests"])
    scale = Fraction(calls, known) if known else Fraction(0)
    read_, written = _count(row["known_input_tokens"]), _count(row["known_output_tokens"])
    return Work(_ns(row["t_s"]), calls, round(read_ * scale), 0, round(written * scale))


def _plain(row: Row) -> Work:
    hour = row["hour"].strip()
    if hour.isdecimal():
        start = int(hour) * HOUR_NS
    else:
        at = datetime.fromisoformat(hour.replace("Z", "+00:00"))
        start = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * SECOND
    return Work(start, *(_count(row.get(name) or "0") for name in ("calls", "input", "cached", "output")))


def _mooncake(first: str, rest: Iterable[str]) -> Iterator[Work]:
    for number, line in enumerate((first, *rest), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            yield Work(int(row["timestamp"]) * 10**6, 1, int(row["input_length"]), 0, int(row["output_length"]))
        except (ValueError, KeyError, TypeError) as error:
            raise _wrong(number, f"{type(error).__name__} {error}"[:120]) from error


def _count(text: str) -> int:
    number = Fraction(text.strip() or "0")
    if number < 0:
        raise ValueError(f"{text} is below zero")
    return round(number)


def _ns(text: str) -> int:
    return int(Fraction(text.strip()) * SECOND)


COLUMNS = {
    "azure": ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    "burstgpt": ("Timestamp", "Request tokens", "Response tokens"),
    "servegen": ("t_s", "requests", "known_requests", "known_input_tokens", "known_output_tokens"),
    "plain": ("hour", "input", "output"),
}
READERS: dict[str, Callable[[Row], Work]] = {
    "azure": _azure, "burstgpt": _burstgpt, "servegen": _servegen, "plain": _plain,
}  # fmt: skip
