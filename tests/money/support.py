"""What the tests of this folder share: shipped rows, instants, and the slow second rating."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import baseload.providers
from baseload.money.book import load_book, load_calendars
from baseload.money.price import PriceRow

DATA = Path(baseload.providers.__file__).with_name("data")
VENDORS = sorted(path.stem for path in (DATA / "prices").glob("*.toml"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ns(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1) * 1000


@cache
def calendars() -> dict[str, tuple[str, ...]]:
    return load_calendars(DATA / "calendars.toml")


@cache
def shipped(vendor: str) -> tuple[PriceRow, ...]:
    return tuple(load_book(DATA / "prices" / f"{vendor}.toml", calendars()))


def all_shipped() -> list[PriceRow]:
    return [row for vendor in VENDORS for row in shipped(vendor)]


PER = {"images": 1000, "search_units": 1000, "characters": 1_000_000, "audio_ms": 60 * 60 * 1000}


def per(meter: str) -> int:
    """Counts that a rate is for."""
    return PER.get(meter, 1000 if meter.endswith("_call") else 1_000_000)


class NoPrice(Exception):
    pass


def oracle(row: PriceRow, meters: dict[str, int], select: dict[str, Any], at_ns: int) -> Fraction:
    """Nano-units, exact. Written from docs/prices.md with Fractions and no tables; shares no code with rate.py."""
    tokens_in = [name for name in meters if name.startswith(("input", "cache_"))]
    tokens_out = [name for name in meters if name.startswith("output")]
    n_in = sum(meters[name] for name in tokens_in)
    n_out = sum(meters[name] for name in tokens_out)
    tier = select.get("tier") or "default"
    batch = bool(select.get("batch")) or tier == "batch"
    tier = "default" if tier in ("standard", "on_demand", "batch") else tier
    speed = {"standard": ""}.get(select.get("speed", ""), select.get("speed", ""))
    geo = {"global": "", "not_available": ""}.get(select.get("geo", ""), select.get("geo", ""))
    whens = [rule.when for rule in row.rules]
    if tier != "default" and not any(tier in when.tier for when in whens):
        raise NoPrice(tier)
    if speed and not any(speed in when.speed for when in whens):
        raise NoPrice(speed)
    if geo and not any(geo in when.geo for when in whens):
        raise NoPrice(geo)
    if batch and not any(when.batch for when in whens):
        raise NoPrice("batch")
    if row.max_input and n_in > row.max_input:
        raise NoPrice("max_input")
    if at_ns < row.from_ns or (row.to_ns and at_ns >= row.to_ns):
        raise NoPrice("instant")

    def holds(when: Any) -> bool:
        wrong = [
            when.input_over is not None and not n_in > when.input_over,
            when.input_upto is not None and not n_in <= when.input_upto,
            when.output_over is not None and not n_out > when.output_over,
            when.output_upto is not None and not n_out <= when.output_upto,
            when.thinking is not None and bool(select.get("thinking")) != when.thinking,
            when.batch is not None and batch != when.batch,
            bool(when.tier) and tier not in when.tier,
            bool(when.speed) and speed not in when.speed,
            bool(when.geo) and geo not in when.geo,
            when.window is not None and not inside(when.window, at_ns),
        ]
        return not any(wrong)

    now = {meter: Fraction(text) for meter, text in row.rate.items()}
    for rule in row.rules:
        if not holds(rule.when):
            continue
        now |= {meter: Fraction(text) for meter, text in rule.set.items()}
        for meter, factor in rule.multiply.items():
            for name in list(now):
                is_token = not name.endswith("_call") and name != "storage" and name not in PER
                if name == meter or (meter == "tokens" and is_token):
                    now[name] *= Fraction(factor)
        for meter, factor in rule.ratio.items():
            now[meter] = now["input"] * Fraction(factor)
    total = Fraction(0)
    for meter, count in meters.items():
        if not count or meter in ("reasoning", "tool_prompt"):
            continue
        name = meter
        if name not in now:
            if name == "cache_read_explicit" or name.startswith("cache_read_"):
                name = "cache_read"
            elif name.startswith("input_"):
                name = "input"
            elif name.startswith("output_"):
                name = "output"
        if name not in now:
            raise NoPrice(meter)
        total += Fraction(count) * now[name] * 10**9 / per(name)
    return total


def inside(window: Any, at_ns: int) -> bool:
    local = (EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(ZoneInfo(window.tz))
    if local.date() in {date.fromisoformat(day) for day in window.except_dates}:
        return False
    clock = f"{local.hour:02d}:{local.minute:02d}"
    return local.strftime("%a").lower() in window.days and any(start <= clock < end for start, end in window.spans)
