"""Price files -> price rows. The shape is described in `docs/prices.md`.

In:     TOML text, a path, or an already parsed table; holiday calendars by name.
Out:    `PriceRow`s with rules, windows and dates resolved into them; or `BadPriceFile`, which names file, line, row and
        field, and what would be right. Nothing half-right loads: one wrong row refuses the file.
Does no rating and keeps nothing. The gateway never imports this file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from baseload.money.book_fields import BadPriceFile, Spot, Table, instant, read_rate, read_rule, read_windows
from baseload.money.locate import Places
from baseload.money.price import CONFIDENCE, KINDS, METERS, PriceRow, Rule, Window

__all__ = [
    "BadPriceFile",
    "check_overlaps",
    "load_book",
    "load_calendars",
    "read_book",
    "rows_in_force",
]

Calendars = Mapping[str, Sequence[str]]

_TOP = ("vendor", "tariff", "source", "window", "rule", "price", "allowance", "calendar")
_HEAD = ("name", "currency", "tz", "reported_cost")
_CALENDAR = ("what", "read", "confidence", "dates", "made_up_workdays")
_ALLOWANCE = ("what", "scope", "meter", "amount", "period", "period_days", "pool", "source", "note")
_PRICE = (
    "model",
    "also",
    "scope",
    "currency",
    "from",
    "to",
    "kind",
    "source",
    "read",
    "confidence",
    "note",
    "rate",
    "rule",
    "use",
    "max_input",
    "edge_doubt",
    "deprecated",
    "consent",
)


def load_book(source: str | Path, calendars: Calendars | None = None, *, book: str = "") -> list[PriceRow]:
    """Reads a price file: a `Path`, or its TOML text as `str`. Raises BadPriceFile.

    `calendars` maps names to local dates "YYYY-MM-DD" (see `load_calendars`); a file may bring its own as well.
    `book` replaces the book's name, else it is "cost:<vendor>" or "tariff:<name>".
    """
    text, file = _text(source)
    return read_book(_parse(text, file), calendars, book=book, file=file, text=text)


def load_calendars(source: str | Path) -> dict[str, tuple[str, ...]]:
    """Reads the `[calendar.<name>]` tables of a file: name -> local dates "YYYY-MM-DD"."""
    text, file = _text(source)
    return _calendars(Table(_parse(text, file), Spot(file, Places(text))))


def read_book(
    data: Mapping[str, Any],
    calendars: Calendars | None = None,
    *,
    book: str = "",
    file: str = "<prices>",
    text: str = "",
) -> list[PriceRow]:
    """As `load_book`, from a parsed table. `text` is only used to find line numbers."""
    top = Table(data, Spot(file, Places(text)))
    top.only(_TOP)
    known = {**(calendars or {}), **_calendars(top)}
    if ("vendor" in data) == ("tariff" in data):
        raise top.wrong("vendor", "A price file is either of a vendor or of a tariff.", 'Add [vendor] name = "...".')
    kind = "vendor" if "vendor" in data else "tariff"
    head = top.table(kind)
    head.only(_HEAD)
    name = head.text("name", required=True)
    head.currency("currency")
    head.zone("tz")
    book = book or (f"cost:{name}" if kind == "vendor" else f"tariff:{name}")
    sources = {key: _source(table) for key, table in top.tables("source")}
    windows = read_windows(top, known)
    shared = {key: read_rule(table, windows, name=key) for key, table in top.tables("rule")}
    for _, allowance in top.rows("allowance"):
        allowance.only(_ALLOWANCE)
    rows: list[PriceRow] = []
    spots: list[Table] = []
    for table in (table for _, table in top.rows("price")):
        rows.append(_row(table, book, name if kind == "vendor" else "", head, sources, windows, shared))
        spots.append(table)
    _no_overlaps(rows, spots)
    return rows


def check_overlaps(rows: Iterable[PriceRow]) -> None:
    """Raises BadPriceFile when two rows price one (book, model, scope) at the same instant. Use it over several files.

    A surcharge is added to another row's amount, so it may overlap that row, but not another surcharge.
    """
    rows = list(rows)
    _no_overlaps(rows, [Table({}, Spot(row.book, Places(""), f"{row.model} ({row.scope})")) for row in rows])


def rows_in_force(rows: Iterable[PriceRow], model: str, scope: str, at_ns: int) -> list[PriceRow]:
    """The rows that price `model` at an instant: at most one base row a book, then any surcharge on the same name.

    Empty means: no price, refuse. The amounts of a base row and its surcharges are added. A surcharge whose name is not
    the priced model's (a router's fee) is found under its own name and added by the caller.
    """
    found = [
        row for row in rows if row.scope == scope and (row.model == model or model in row.also) and row.in_force(at_ns)
    ]
    return sorted(found, key=lambda row: row.kind == "surcharge")


def _text(source: str | Path) -> tuple[str, str]:
    if isinstance(source, Path):
        try:
            return source.read_text(encoding="utf-8"), str(source)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise BadPriceFile(f"{source}: cannot be read: {reason}.", "Check the path and its permissions.") from error
    return source, "<prices>"


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPriceFile(f"{file}: not TOML: {error}.", "Correct the file; TOML is described at toml.io.") from error


def _calendars(top: Table) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, table in top.tables("calendar"):
        table.only(_CALENDAR)
        found[name] = table.dates("dates")
    return found


def _source(table: Table) -> tuple[str, str]:
    table.only(("what", "read"))
    return table.text("what", required=True), table.date("read")


def _row(
    table: Table,
    book: str,
    vendor: str,
    head: Table,
    sources: dict[str, tuple[str, str]],
    windows: dict[str, Window],
    shared: dict[str, Rule],
) -> PriceRow:
    model = table.text("model", required=True)
    scope = table.text("scope") or "global"
    table = table.named(f'row "{model}" ({scope})')
    table.only(_PRICE)
    currency = table.currency("currency") or head.currency("currency")
    if not currency:
        raise table.wrong("currency", "The row has no currency, nor has its file.", 'Add currency = "USD".')
    start, end = instant(table, "from"), instant(table, "to")
    if end and start >= end:
        raise table.wrong("to", "`from` is not before `to`.", "A row is in force over [from, to); let to be later.")
    kind = table.choice("kind", KINDS)
    if kind == "history" and not end:
        raise table.wrong("kind", "A row of kind history has ended.", "Add the instant it ended: to = ...")
    what, read = "", ""
    source = table.text("source")
    if source:
        if source not in sources:
            raise table.wrong("source", f"There is no [source.{source}].", table.near(source, sources))
        what, read = sources[source]
    rates = read_rate(table, "rate", METERS, required=True)
    rules = [read_rule(rule, windows) for _, rule in table.rows("rule")]
    for name in table.texts("use"):
        if name not in shared:
            raise table.wrong("use", f"There is no [rule.{name}].", table.near(name, shared))
        rules.append(shared[name])
    if any(rule.ratio for rule in rules) and "input" not in rates:
        raise table.wrong("rate", "A rule of the row takes a ratio of `input`, which has no rate.", "Add input.")
    return PriceRow(
        book=book,
        vendor=vendor,
        model=model,
        also=table.texts("also"),
        scope=scope,
        currency=currency,
        from_ns=start,
        to_ns=end,
        kind=kind,
        source=what,
        read=table.date("read") or read,
        confidence=table.choice("confidence", CONFIDENCE),
        note=table.text("note"),
        rate=rates,
        rules=tuple(rules),
        max_input=table.count("max_input") or 0,
        consent=table.text("consent"),
        edge_doubt=table.flag("edge_doubt") or False,
        deprecated=table.date("deprecated"),
    )


def _no_overlaps(rows: list[PriceRow], spots: list[Table]) -> None:
    by_name: dict[tuple[str, str, str, bool], list[tuple[PriceRow, Table]]] = {}
    for row, spot in zip(rows, spots, strict=True):
        for model in dict.fromkeys(row.names()):
            by_name.setdefault((row.book, model, row.scope, row.kind == "surcharge"), []).append((row, spot))
    for (book, model, scope, _), found in by_name.items():
        found.sort(key=lambda pair: pair[0].from_ns)
        for (one, first), (two, second) in pairwise(found):
            if one.to_ns == 0 or two.from_ns < one.to_ns:
                line = first.line()
                where = f" (the other is at line {line})" if line else ""
                raise second.wrong(
                    "from" if two.from_ns else "model",
                    f"Two rows of {book} price {model} ({scope}) at the same time{where}.",
                    "Let the older row end (`to`) where the newer one begins (`from`), or give one another scope.",
                )
