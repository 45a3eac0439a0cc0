"""A price row made ready: rates after all rules, as integer tables. The work behind `rate.py`.

In:     a `PriceRow`; a usage, selectors, an instant. Out: nano-units, or the table that applies; or `Unpriced`.

Rates after all rules depend only on which bands, windows and selector values apply. Each such combination becomes a
table meter -> integer (units of 1/den nano a count), made when first met; the row bounds their number. A rating is
then one multiplication a meter and one half-even division.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from baseload.errors import Defect, Refusal
from baseload.money.amount import parse_decimal
from baseload.money.price import (
    CALL_METERS,
    FALLBACK,
    INFORMATIONAL,
    METERS,
    NEUTRAL_GEO,
    NEUTRAL_SPEED,
    NEUTRAL_TIER,
    OUTPUT_METERS,
    PROMPT_METERS,
    SELECTORS,
    TOKEN_METERS,
    PriceRow,
    When,
)

if TYPE_CHECKING:
    from baseload.money.window import WindowClock

Select = Mapping[str, str | bool]
_Decimal = tuple[int, int]  # digits, places
Chosen = tuple[str, str, bool, str, bool]  # tier, speed, batch, geo, thinking; neutral values canonical

PROMPT = frozenset(PROMPT_METERS)
OUTPUT = frozenset(OUTPUT_METERS)
_TOKENS = frozenset(TOKEN_METERS)
_THOUSANDS = frozenset((*CALL_METERS, "images", "search_units"))
_SOUND = "audio_ms"
NEUTRAL: Chosen = ("default", "", False, "", False)
_SELECTS_MAX = 256


class Unpriced(Refusal):
    """Something has no price, so nothing may be billed. `what` is the meter or `selector=value` at fault."""

    code = "unpriced"
    status = 503  # the operator can change it, the client cannot

    def __init__(self, what: str, say: str, fix: str) -> None:
        super().__init__(say, fix, should_retry=False)
        self.what = what


class Table:
    """Rates in force for one combination of bands, windows and selectors."""

    __slots__ = ("by_meter", "den", "rates")

    def __init__(self, rates: dict[str, _Decimal]) -> None:
        for meter, other in FALLBACK.items():
            if meter not in rates and other in rates:
                rates[meter] = rates[other]
        self.rates = rates
        # Nano-units for one count: a token is rate x 1e9 / 1e6, a call rate x 1e9 / 1e3.
        shift = {meter: (6 if meter in _THOUSANDS else 3) - places for meter, (_, places) in rates.items()}
        common = max(0, -min(shift.values(), default=0))
        self.den: int = 10**common
        self.by_meter: dict[str, int] = {
            meter: digits * 10 ** (shift[meter] + common) for meter, (digits, _) in rates.items()
        }
        if _SOUND in rates:  # a millisecond is rate x 1e9 / 3.6e6, which is 10 / 36 of a token's
            self.den *= 36
            for meter in self.by_meter:
                self.by_meter[meter] *= 10 if meter == _SOUND else 36
        for meter in INFORMATIONAL:
            self.by_meter[meter] = 0  # counted inside another meter


class Compiled:
    """A row made ready. `row` is kept so that its identity cannot be reused while this lives in the cache."""

    __slots__ = (
        "_clocks",
        "_in_edges",
        "_named",
        "_out_edges",
        "_plain",
        "_selects",
        "_tables",
        "_windows",
        "base",
        "row",
    )

    def __init__(self, row: PriceRow) -> None:
        self.row = row
        whens = [rule.when for rule in row.rules]
        self._in_edges = _edges(edge for when in whens for edge in (when.input_over, when.input_upto))
        self._out_edges = _edges(edge for when in whens for edge in (when.output_over, when.output_upto))
        self._windows = tuple(dict.fromkeys(when.window for when in whens if when.window is not None))
        self._clocks: tuple[WindowClock, ...] = ()
        if self._windows:
            from baseload.money.window import clock

            self._clocks = tuple(clock(window) for window in self._windows)
        self._named = {
            "tier": {tier for when in whens for tier in when.tier},
            "speed": {speed for when in whens for speed in when.speed},
            "batch": {"true" for when in whens if when.batch},
            "geo": {geo for when in whens for geo in when.geo},
            "thinking": {"true" for when in whens if when.thinking is not None},
        }
        self._tables: dict[tuple[int, int, int, Chosen], Table] = {}
        self._selects: dict[tuple[tuple[str, str | bool], ...], Chosen] = {}
        self.base = self.table(0, 0, 0, NEUTRAL)
        self._plain = not (self._in_edges or self._out_edges or self._windows or row.max_input)

    # --- the fast path

    def nano(self, meters: Mapping[str, int], select: Select, at_ns: int) -> int:
        table = self.find(meters, select, at_ns)
        by_meter, total = table.by_meter, 0
        for meter, count in meters.items():
            if count > 0:
                try:
                    total += count * by_meter[meter]
                except KeyError:
                    raise self.no_rate(meter, count) from None
            elif count:
                raise Defect(f"Meter {meter} is {count}; a count is never negative.")
        den = table.den
        if den == 1:
            return total
        quotient, rest = divmod(total, den)
        twice = rest + rest
        if twice > den or (twice == den and quotient & 1):
            return quotient + 1
        return quotient

    def find(self, meters: Mapping[str, int], select: Select, at_ns: int) -> Table:
        """The table for this usage. Raises Unpriced."""
        row = self.row
        if at_ns < row.from_ns or (row.to_ns and at_ns >= row.to_ns):
            raise Unpriced(
                "instant",
                f"The price {row.title()} is not in force at {at_ns} ns since the epoch.",
                "Choose the row in force at the deciding instant, or add one for that time.",
            )
        if self._plain:
            if not select:
                return self.base
            return self.table(0, 0, 0, self.choose(select))
        prompt = output = 0
        for meter, count in meters.items():
            if meter in PROMPT:
                prompt += count
            elif meter in OUTPUT:
                output += count
        chosen = self.choose(select) if select else NEUTRAL
        return self.table(self.band(prompt), bisect_left(self._out_edges, output), self.moment(at_ns), chosen)

    # --- the parts of a combination

    def band(self, prompt: int) -> int:
        """How many input edges the prompt is over. Raises Unpriced above `max_input`."""
        if self.row.max_input and prompt > self.row.max_input:
            raise Unpriced(
                "input",
                f"A prompt of {prompt} tokens is above {self.row.max_input}, the last one {self.row.title()} has a "
                "price for.",
                "Shorten the prompt, or add the higher band to the price file.",
            )
        return bisect_left(self._in_edges, prompt)

    def output_bands(self) -> int:
        return len(self._out_edges) + 1

    def moment(self, at_ns: int) -> int:
        """One bit a window: does it contain the instant?"""
        bits = 0
        for window in self._clocks:
            bits += bits + window.contains(at_ns)
        return bits

    def choose(self, select: Select) -> Chosen:
        """Selectors in canonical form. Raises Unpriced for a value no rule of the row names."""
        key = tuple(select.items())
        chosen = self._selects.get(key)
        if chosen is None:
            chosen = self._choose(select)
            if len(self._selects) < _SELECTS_MAX:
                self._selects[key] = chosen
        return chosen

    def _choose(self, select: Select) -> Chosen:
        for name, value in select.items():
            if name not in SELECTORS and value not in ("", False, None):
                raise self._no_rule(name, str(value))
        tier = _text(select, "tier")
        batch = _flag(select, "batch")
        if tier == "batch":  # Anthropic reports a batch item so
            tier, batch = "default", True
        tier = canonical("tier", tier)
        speed = canonical("speed", _text(select, "speed"))
        geo = canonical("geo", _text(select, "geo"))
        if tier != "default" and tier not in self._named["tier"]:
            raise self._no_rule("tier", tier)
        if speed and speed not in self._named["speed"]:
            raise self._no_rule("speed", speed)
        if batch and not self._named["batch"]:
            raise self._no_rule("batch", "true")
        if geo and geo not in self._named["geo"]:
            raise self._no_rule("geo", geo)
        return tier, speed, batch, geo, _flag(select, "thinking") and bool(self._named["thinking"])

    def thinks(self) -> bool:
        """Does any rule ask about the thinking mode?"""
        return bool(self._named["thinking"])

    def table(self, in_band: int, out_band: int, moment: int, chosen: Chosen) -> Table:
        key = (in_band, out_band, moment, chosen)
        table = self._tables.get(key)
        if table is None:  # bounded: bands x windows x values that rules name
            table = self._tables[key] = Table(self._run(in_band, out_band, moment, chosen))
        return table

    def _run(self, in_band: int, out_band: int, moment: int, chosen: Chosen) -> dict[str, _Decimal]:
        rates = {meter: parse_decimal(text) for meter, text in self.row.rate.items()}
        for rule in self.row.rules:
            if not self._holds(rule.when, in_band, out_band, moment, chosen):
                continue
            for meter, text in rule.set.items():
                rates[meter] = parse_decimal(text)
            for meter, text in rule.multiply.items():
                factor = parse_decimal(text)
                targets = [name for name in rates if name in _TOKENS] if meter == "tokens" else [meter]
                for target in targets:
                    if target in rates:  # a rule shared by many rows may name a meter this row does not have
                        rates[target] = _times(rates[target], factor)
            for meter, text in rule.ratio.items():
                if "input" not in rates:
                    raise Defect(f"{self.row.title()}: a ratio needs an `input` rate, and there is none.")
                rates[meter] = _times(rates["input"], parse_decimal(text))
        return rates

    def _holds(self, when: When, in_band: int, out_band: int, moment: int, chosen: Chosen) -> bool:
        tier, speed, batch, geo, thinking = chosen
        return (
            (when.input_over is None or in_band > self._in_edges.index(when.input_over))
            and (when.input_upto is None or in_band <= self._in_edges.index(when.input_upto))
            and (when.output_over is None or out_band > self._out_edges.index(when.output_over))
            and (when.output_upto is None or out_band <= self._out_edges.index(when.output_upto))
            and (when.thinking is None or when.thinking == thinking)
            and (not when.tier or tier in when.tier)
            and (not when.speed or speed in when.speed)
            and (when.batch is None or when.batch == batch)
            and (not when.geo or geo in when.geo)
            and (when.window is None or self._inside(moment, self._windows.index(when.window)))
        )

    def _inside(self, moment: int, index: int) -> bool:
        return bool(moment >> (len(self._windows) - 1 - index) & 1)

    # --- refusals

    def no_rate(self, meter: str, count: int) -> Unpriced:
        row = self.row
        if meter not in METERS:
            return Unpriced(
                meter,
                f"{count} of {meter!r} were reported, and no price book knows such a meter.",
                f"Known meters: {', '.join(METERS)}.",
            )
        return Unpriced(
            meter,
            f"{count} of {meter} were reported, and {row.title()} has no rate for it.",
            f'Add {meter} = "..." to the rate of that row ("0" where it is free).',
        )

    def _no_rule(self, selector: str, value: str) -> Unpriced:
        wanted = "true" if value == "true" else f'"{value}"'
        return Unpriced(
            f"{selector}={value}",
            f"The call ran with {selector} {value!r}, and {self.row.title()} has no price for that.",
            f"Add a rule with when = {{ {selector} = {wanted} }} to that row, or do not ask for it."
            if selector in SELECTORS
            else f"Price books know the selectors {', '.join(SELECTORS)}.",
        )


def canonical(selector: str, value: str) -> str:
    """One spelling for neutral selector values: tier "default", speed "" and geo ""."""
    if selector == "tier":
        return "default" if value in NEUTRAL_TIER else value
    if selector == "speed":
        return "" if value in NEUTRAL_SPEED else value
    return "" if value in NEUTRAL_GEO else value


def _edges(found: Iterable[int | None]) -> list[int]:
    return sorted({edge for edge in found if edge is not None})


def _times(a: _Decimal, b: _Decimal) -> _Decimal:
    digits, places = a[0] * b[0], a[1] + b[1]
    while places and digits % 10 == 0:
        digits, places = digits // 10, places - 1
    return digits, places


def _text(select: Select, name: str) -> str:
    value = select.get(name)
    if value is None or value is False:
        return ""
    return value if isinstance(value, str) else str(value)


def _flag(select: Select, name: str) -> bool:
    value = select.get(name, False)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Defect(f"Selector {name} is {value!r}; it is true or false.")
    return value
