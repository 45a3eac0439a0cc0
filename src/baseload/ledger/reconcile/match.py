"""Matches a vendor's lines with readings, and explains what differs. Pure: rows in, findings out.

Groups are a day (UTC) and a model. Where the vendor names requests, each is matched with the readings that bear its id;
else the sums of a group are compared. Findings of one group add up to the group's whole difference of money.

| kind | what it is |
|---|---|
| missing_here | the vendor bills what no reading of ours knows: lost usage, or a key in other hands |
| missing_there | a reading the vendor does not bill |
| double_there | the vendor bills one request twice |
| double_here | two readings bear one request of the vendor |
| late | calls around midnight that the two sides count on different days |
| estimated | the group has readings whose usage was counted or estimated, not reported |
| unmetered | the group has readings whose usage nobody knows |
| price_changed | the same tokens at other money |
| unexplained | none of these |
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from baseload.ledger.reconcile.formats import DAY_NS, Line

LATE_NS = 900_000_000_000  # a call is late where it ended on another day, within a quarter of an hour of midnight
TOKENS = ("input", "cache_read", "cache_write", "output")


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """A reading, as far as reconciliation looks at it. `nano`: its cost, 0 = none known."""

    reading: int
    request: str
    day_ns: int
    end_ns: int
    model: str
    currency: str
    nano: int
    meters: dict[str, int]
    reported: bool
    metered: bool


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`nano`: what the vendor bills more (or, negative, less) than the book has. `key` is stable."""

    key: str
    kind: str
    day_ns: int
    model: str
    currency: str
    nano: int
    tokens: dict[str, int] = {}
    say: str = ""
    request: str = ""
    readings: tuple[int, ...] = ()


def match(lines: Iterable[Line], readings: Iterable[Ours]) -> list[Finding]:
    """All differences, by day and model."""
    theirs: dict[tuple[int, str, str], list[Line]] = {}
    ours: dict[tuple[int, str, str], list[Ours]] = {}
    lines, readings = list(lines), list(readings)
    money = next((line.currency for line in lines if line.currency), "")
    for line in lines:
        theirs.setdefault((line.day_ns, line.model, line.currency or money), []).append(line)
    for one in readings:
        ours.setdefault((one.day_ns, one.model, one.currency or money), []).append(one)
    findings: list[Finding] = []
    by_request = any(line.request for line in lines)
    if by_request:
        return _by_request(lines, readings)
    priced = any(line.nano is not None for line in lines)
    for group in sorted(theirs.keys() | ours.keys()):
        findings += _by_sum(group, theirs.get(group, []), ours.get(group, []), priced)
    return findings


def _by_request(lines: list[Line], readings: list[Ours]) -> list[Finding]:
    found: list[Finding] = []
    known: dict[str, list[Ours]] = {}
    for one in readings:
        known.setdefault(one.request, []).append(one)
    seen: dict[str, list[Line]] = {}
    for line in lines:
        seen.setdefault(line.request, []).append(line)
    for request, told in sorted(seen.items()):
        mine = known.get(request, []) if request else []
        first = told[0]

        def finding(kind: str, nano: int, say: str, *, tokens: dict[str, int] | None = None, line: Line = first,
                    bear: list[Ours] = mine) -> Finding:  # fmt: skip
            return Finding(
                key=f"{kind}:{line.request}", kind=kind, day_ns=line.day_ns, model=line.model, currency=line.currency,
                nano=nano, tokens=tokens or {}, say=say, request=line.request,
                readings=tuple(one.reading for one in bear),
            )  # fmt: skip

        if not mine:
            total = sum(line.nano or 0 for line in told)
            found.append(finding("missing_here", total, "no reading knows this request", tokens=_sum(told)))
            continue
        if len(told) > 1:
            extra = sum(line.nano or 0 for line in told[1:])
            found.append(finding("double_there", extra, f"billed {len(told)} times"))
        if len(mine) > 1:
            again = -sum(one.nano for one in mine[1:])
            found.append(finding("double_here", again, f"{len(mine)} readings bear it"))
        one, difference = mine[0], (first.nano or 0) - mine[0].nano if first.nano is not None else 0
        tokens = _differ(first.meters, one.meters)
        if one.day_ns != first.day_ns and not difference and not tokens:
            continue  # the same call, counted on the other side of midnight
        if difference or tokens:
            kind, say = _why(one, tokens)
            found.append(finding(kind, difference, say, tokens=tokens))
    for request, mine in sorted(known.items()):
        if request and request in seen:
            continue
        for one in mine:
            if one.nano or one.meters:
                key = f"missing_there:{one.request or one.reading}"
                found.append(
                    Finding(key=key, kind="missing_there", day_ns=one.day_ns, model=one.model, currency=one.currency,
                            nano=-one.nano, tokens={name: -count for name, count in one.meters.items()},
                            say="the vendor does not bill it", request=one.request, readings=(one.reading,))
                )  # fmt: skip
    return found


def _why(one: Ours, tokens: dict[str, int]) -> tuple[str, str]:
    if not tokens:
        return "price_changed", "the same tokens at other money"
    if not one.metered:
        return "unmetered", "its usage was not known here"
    if not one.reported:
        return "estimated", "its usage was estimated here"
    return "unexplained", "the tokens differ"


def _by_sum(group: tuple[int, str, str], theirs: list[Line], ours: list[Ours], priced: bool) -> list[Finding]:
    day_ns, model, currency = group
    difference = sum(line.nano or 0 for line in theirs) - sum(one.nano for one in ours) if priced else 0
    tokens = _differ(_sum(theirs), _sum(ours)) if any(line.meters for line in theirs) else {}
    if not difference and not tokens:
        return []

    def finding(kind: str, say: str, readings: tuple[int, ...] = ()) -> list[Finding]:
        return [
            Finding(key=f"{kind}:{day_ns // DAY_NS}:{model}:{currency}", kind=kind, day_ns=day_ns, model=model,
                    currency=currency, nano=difference, tokens=tokens, say=say, readings=readings)
        ]  # fmt: skip

    if not ours:
        return finding("missing_here", "no reading of this model and day")
    if not theirs:
        return finding("missing_there", "the vendor bills nothing for this model and day")
    if not tokens and any(line.meters for line in theirs):
        return finding("price_changed", "the same tokens at other money")
    unknown = tuple(one.reading for one in ours if not one.metered)
    guessed = tuple(one.reading for one in ours if one.metered and not one.reported)
    late = tuple(one.reading for one in ours if _is_late(one))
    if unknown and (difference > 0 or _more(tokens)):
        return finding("unmetered", f"{len(unknown)} readings have no known usage", unknown)
    if late and _within(tokens, [one for one in ours if _is_late(one)]):
        return finding("late", f"{len(late)} calls ended on another day", late)
    if guessed:
        return finding("estimated", f"{len(guessed)} readings are estimates", guessed)
    if difference > 0 or _more(tokens):
        return finding("missing_here", "the vendor counts more than the readings")
    return finding("missing_there", "the readings count more than the vendor")


def _is_late(one: Ours) -> bool:
    begin = one.day_ns + DAY_NS
    return one.end_ns >= begin and one.end_ns - begin < LATE_NS


def _within(tokens: dict[str, int], late: list[Ours]) -> bool:
    """Whether calls that ended on another day may account for what is missing."""
    most = _sum(late)
    return bool(tokens) and all(-most.get(name, 0) <= count <= 0 for name, count in tokens.items())


def _more(tokens: dict[str, int]) -> bool:
    return sum(tokens.values()) > 0


def _sum(rows: Iterable[Line | Ours]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        for name, count in row.meters.items():
            if name in TOKENS:
                found[name] = found.get(name, 0) + count
    return found


def _differ(theirs: dict[str, int], ours: dict[str, int]) -> dict[str, int]:
    """Tokens by kind that the vendor counts more; kinds it does not tell are left out."""
    return {
        name: count - ours.get(name, 0)
        for name, count in theirs.items()
        if name in TOKENS and count != ours.get(name, 0)
    }
