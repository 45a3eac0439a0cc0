"""Amounts and instants as people and JSON readers see them. Pure.

An amount is always given twice: `nano`, an integer (in JSON also safe as text beyond 2^53), and exact decimal text.
"""

from __future__ import annotations

from datetime import UTC, datetime

from baseload.money.amount import format_decimal


def decimal(nano: int) -> str:
    """1234567 -> "0.001234567"; exact, at least two decimals."""
    return format_decimal(nano, 9, 2)


def money(nano: int, currency: str) -> dict[str, int | str]:
    """{"nano": 1234567, "text": "0.001234567", "currency": "USD"}."""
    return {"nano": nano, "text": decimal(nano), "currency": currency}


def moneys(amounts: dict[str, int]) -> list[dict[str, int | str]]:
    """One `money` a currency, by name of the currency."""
    return [money(nano, currency) for currency, nano in sorted(amounts.items())]


def instant(at_ns: int) -> str:
    """Nanoseconds since the epoch -> "2026-11-24T22:56:01.000000001Z"."""
    seconds, rest = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
