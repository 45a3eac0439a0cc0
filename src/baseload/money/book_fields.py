"""Fields of a price file, checked one by one. Each getter returns a good value or raises `BadPriceFile` at its place.

In:     parsed TOML tables with the place they stand at. Out: plain values, `Rule`, `Window`.
Knows what a field may hold, not what a row means (that is `book.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from baseload.errors import Refusal
from baseload.money.amount import BadAmount, check_currency, parse_decimal
from baseload.money.compiled import canonical
from baseload.money.locate import Places
from baseload.money.price import METERS, TOKEN_METERS, WEEKDAYS, Rule, When, Window
from baseload.money.window import minutes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RULE = ("when", "set", "multiply", "ratio")
_WHEN = (
    "input_over",
    "input_upto",
    "output_over",
    "output_upto",
    "thinking",
    "tier",
    "speed",
    "batch",
    "geo",
    "window",
)
_WINDOW = ("tz", "days", "spans", "except")


class BadPriceFile(Refusal):
    """A price file that does not load. `line` is None where it is not known."""

    code = "bad_price_file"
    status = 422

    def __init__(self, say: str, fix: str = "", *, line: int | None = None, field: str = "") -> None:
        super().__init__(say, fix)
        self.line = line
        self.field = field


class Spot:
    """A place in a file: which file, which table, how people call it."""

    def __init__(self, file: str, places: Places, title: str = "", start: int | None = 1) -> None:
        self.file = file
        self.places = places
        self.title = title
        self.start = start


class Table:
    """A TOML table that knows where it stands."""

    def __init__(self, data: Any, spot: Spot) -> None:
        self.spot = spot
        if not isinstance(data, Mapping):
            raise self.wrong("", f"{spot.title or 'This'} is a {_kind(data)}, not a table.", "Write it as a table.")
        self.data: Mapping[str, Any] = data

    def wrong(self, field: str, say: str, fix: str = "") -> BadPriceFile:
        """The refusal for a field of this table ("" = the table itself)."""
        spot = self.spot
        line = spot.places.key(spot.start, field.rsplit(".", 1)[-1]) if field else spot.start
        place = f"{spot.file}:{line}" if line else spot.file
        title = f" {spot.title}," if spot.title and field else f" {spot.title}" if spot.title else ""
        return BadPriceFile(f"{place}:{title}{f' field {field}' if field else ''}: {say}", fix, line=line, field=field)

    def line(self) -> int | None:
        return self.spot.start

    def named(self, title: str) -> Table:
        """The same table under the name people know it by."""
        return Table(self.data, Spot(self.spot.file, self.spot.places, title, self.spot.start))

    def near(self, word: str, known: Iterable[str]) -> str:
        """The fix for an unknown word."""
        from difflib import get_close_matches

        known = list(known)
        close = get_close_matches(word, known, n=1)
        if close:
            return f'Did you mean "{close[0]}"?'
        return f"Known here: {', '.join(known)}." if known else "None is defined in this file."

    def only(self, known: Sequence[str]) -> None:
        for key in self.data:
            if key not in known:
                raise self.wrong(key, f'There is no field "{key}" here.', self.near(key, known))

    # --- tables inside

    def table(self, key: str) -> Table:
        spot = self.spot
        start = spot.places.table(f"[{key}]") or spot.start
        return Table(self.data[key], Spot(spot.file, spot.places, f"[{key}]", start))

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The named tables `[key.<name>]`."""
        for name, data in self._section(key, Mapping, "a table of tables").items():
            start = self.spot.places.table(f"[{key}.{name}]") or self.spot.start
            yield name, Table(data, Spot(self.spot.file, self.spot.places, f"[{key}.{name}]", start))

    def rows(self, key: str) -> Iterator[tuple[int, Table]]:
        """The rows `[[key]]`; below a row, those of `[[row.key]]`."""
        found = self._section(key, list, "a list of tables") or []
        for index, data in enumerate(found):
            if self.spot.title:
                title, start = f"{self.spot.title}, {key} {index + 1}", self.spot.start
            else:
                title, start = f"{key} {index + 1}", self.spot.places.table(f"[[{key}]]", index, len(found))
            yield index, Table(data, Spot(self.spot.file, self.spot.places, title, start))

    def _section(self, key: str, kind: type, words: str) -> Any:
        found = self.data.get(key, kind() if kind is list else {})
        if not isinstance(found, kind):
            raise self.wrong(key, f"It is a {_kind(found)}, not {words}.")
        return found

    # --- plain values

    def text(self, key: str, *, required: bool = False) -> str:
        value = self.data.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, f"It is a {_kind(value)}, not text.", "Put it in quotes.")
        if required and not value:
            raise self.wrong("" if key not in self.data else key, f"`{key}` is missing.", f'Add {key} = "...".')
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.wrong(key, "It is not a list of texts.", f'Write {key} = ["...", "..."].')
        return tuple(value)

    def flag(self, key: str) -> bool | None:
        value = self.data.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, f"It is a {_kind(value)}, not true or false.")
        return value

    def count(self, key: str) -> int | None:
        value = self.data.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise self.wrong(key, f"{value!r} is not a whole number of tokens.", "Write an integer, such as 128000.")
        return value

    def choice(self, key: str, known: Sequence[str]) -> str:
        value = self.text(key) or known[0]
        if value not in known:
            raise self.wrong(key, f'"{value}" is none of {", ".join(known)}.', self.near(value, known))
        return value

    def date(self, key: str) -> str:
        value = self.data.get(key)
        if value is None:
            return ""
        if isinstance(value, datetime) or not isinstance(value, date):
            raise self.wrong(key, "It is not a date.", "Write it without quotes: 2026-11-24.")
        return value.isoformat()

    def dates(self, key: str) -> tuple[str, ...]:
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(
            isinstance(day, date) and not isinstance(day, datetime) for day in value
        ):
            raise self.wrong(key, "It is not a list of dates.", "Write [2026-01-01, 2026-01-02], without quotes.")
        return tuple(day.isoformat() for day in value)

    def currency(self, key: str) -> str:
        value = self.text(key)
        if not value:
            return ""
        try:
            return check_currency(value)
        except BadAmount as error:
            raise self.wrong(key, error.say, error.fix) from error

    def zone(self, key: str, *, required: bool = False) -> str:
        value = self.text(key, required=required)
        if value:
            from zoneinfo import ZoneInfo

            try:
                ZoneInfo(value)
            except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
                raise self.wrong(key, f'"{value}" is no time zone.', 'Use an IANA name: "Asia/Shanghai".') from error
        return value


def instant(table: Table, key: str) -> int:
    """A TOML date-time with zone -> nanoseconds since the epoch; 0 where absent."""
    value = table.data.get(key)
    if value is None:
        return 0
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise table.wrong(key, "It is not an instant with a zone.", f"Write {key} = 2026-08-21T00:00:00Z.")
    ns = (value - _EPOCH) // _MICROSECOND * 1000
    if ns <= 0:
        raise table.wrong(key, "It is not after 1970.", "Leave it out where the start is not known.")
    return ns


def read_rate(table: Table, key: str, known: Sequence[str], *, required: bool = False) -> dict[str, str]:
    """A table meter -> decimal string."""
    found = table.data.get(key)
    if found is None:
        if required:
            raise table.wrong("", f"`{key}` is missing.", 'Add rate = { input = "...", output = "..." }.')
        return {}
    if not isinstance(found, Mapping) or not found:
        raise table.wrong(key, f"It is a {_kind(found)}, not a table of rates.", 'Write { input = "0.15" }.')
    for meter, text in found.items():
        where = f"{key}.{meter}"
        if meter not in known:
            raise table.wrong(where, f'There is no meter "{meter}".', table.near(meter, known))
        if not isinstance(text, str):
            raise table.wrong(where, f"It is a {_kind(text)}; rates stay exact as text.", f'Write {meter} = "{text}".')
        if text.startswith("-"):
            raise table.wrong(where, f"{text} is negative.", "A rate is zero or more.")
        try:
            parse_decimal(text)
        except BadAmount as error:
            raise table.wrong(where, error.say, error.fix) from error
    return dict(found)


def read_rule(table: Table, windows: Mapping[str, Window], *, name: str = "") -> Rule:
    """One rule: `when`, then one or more of set, multiply, ratio."""
    table.only(_RULE)
    rule = Rule(
        name=name,
        when=_when(table, windows),
        set=read_rate(table, "set", METERS),
        multiply=read_rate(table, "multiply", ("tokens", *METERS)),
        ratio=read_rate(table, "ratio", TOKEN_METERS),
    )
    if not (rule.set or rule.multiply or rule.ratio):
        raise table.wrong("", "The rule changes nothing.", 'Add set, multiply or ratio: set = { input = "0.30" }.')
    return rule


def _when(table: Table, windows: Mapping[str, Window]) -> When:
    found = table.data.get("when")
    if found is None:
        return When()  # always: a ratio that holds for every call
    spot = table.spot
    when = Table(found, Spot(spot.file, spot.places, f"{spot.title}, when", spot.start))
    when.only(_WHEN)
    window = when.text("window")
    if window and window not in windows:
        raise when.wrong("window", f"There is no [window.{window}].", when.near(window, windows))
    return When(
        input_over=when.count("input_over"),
        input_upto=when.count("input_upto"),
        output_over=when.count("output_over"),
        output_upto=when.count("output_upto"),
        thinking=when.flag("thinking"),
        tier=_values(when, "tier"),
        speed=_values(when, "speed"),
        batch=when.flag("batch"),
        geo=_values(when, "geo"),
        window=windows[window] if window else None,
    )


def _values(when: Table, key: str) -> tuple[str, ...]:
    """A selector's values, a text or a list of texts, in canonical spelling."""
    values = (when.data[key],) if isinstance(when.data.get(key), str) else when.texts(key)
    if key == "tier" and "batch" in values:
        raise when.wrong(key, 'The tier "batch" is read as batch = true.', "Write when = { batch = true }.")
    return tuple(dict.fromkeys(canonical(key, value) for value in values))


def read_windows(top: Table, calendars: Mapping[str, Sequence[str]]) -> dict[str, Window]:
    """All `[window.<name>]`, with the dates of their calendars in them."""
    return {name: _window(name, table, calendars) for name, table in top.tables("window")}


def _window(name: str, table: Table, calendars: Mapping[str, Sequence[str]]) -> Window:
    table.only(_WINDOW)
    days = table.texts("days")
    for day in days:
        if day not in WEEKDAYS:
            raise table.wrong("days", f'"{day}" is no weekday.', f"Use {', '.join(WEEKDAYS)}.")
    if not days:
        raise table.wrong("days", "The window has no days.", 'Write days = ["mon", "tue"].')
    calendar = table.text("except")
    if calendar and calendar not in calendars:
        raise table.wrong("except", f"There is no [calendar.{calendar}].", table.near(calendar, calendars))
    return Window(
        name=name,
        tz=table.zone("tz", required=True),
        days=days,
        spans=_spans(table),
        except_dates=tuple(calendars[calendar]) if calendar else (),
    )


def _spans(table: Table) -> tuple[tuple[str, str], ...]:
    shape = 'Write spans = [["09:00", "12:00"]]: start included, end excluded.'
    value = table.data.get("spans")
    if not isinstance(value, list) or not value:
        raise table.wrong("spans", "The window has no spans.", shape)
    spans = []
    for span in value:
        if not isinstance(span, list) or len(span) != 2 or not all(isinstance(edge, str) for edge in span):
            raise table.wrong("spans", f"{span!r} is not a pair of times.", shape)
        start, end = span
        try:
            begins, ends = minutes(start), minutes(end)
        except ValueError as error:
            raise table.wrong("spans", f"{error} is no time of day.", 'Write "HH:MM", "00:00" to "24:00".') from error
        if begins >= ends:
            raise table.wrong(
                "spans",
                f"The span {start} to {end} ends before it starts.",
                f'Over midnight, write two: ["{start}", "24:00"] and ["00:00", "{end}"]; each belongs to its own day.',
            )
        spans.append((start, end))
    return tuple(spans)


def _kind(value: Any) -> str:
    names = {str: "text", bool: "true/false value", int: "number", float: "number with a point", list: "list"}
    return names.get(type(value), "table" if isinstance(value, Mapping) else type(value).__name__)
