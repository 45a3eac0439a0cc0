"""What a protocol's usage reader finds in one report, before `usage.py` fills gaps and names provenance."""

from __future__ import annotations

import msgspec

COUNT_MAX = 2**40
"""No call has a million million tokens; a larger count is a broken report."""


class Found(msgspec.Struct, gc=False):
    meters: dict[str, int]
    input_known: bool = True
    output_known: bool = True
    flags: tuple[str, ...] = ()
    select: dict[str, str | bool] = {}
    tier: str = ""
    cost: str = ""
