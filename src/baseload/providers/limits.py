"""What a reply's headers say of the limits of our credential. Pure, never raises.

In:     a vendor's `limit_headers`, the headers that came. Out: what is left, and when it is full again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from baseload.providers.retry import retry_after
from baseload.providers.vendor import Vendor


class Left(NamedTuple):
    what: str  # "requests" | "tokens"
    remaining: int
    reset_s: float | None  # seconds from now; None = not said


def names(vendor: Vendor) -> tuple[str, ...]:
    """The headers that `read` wants, in lower case."""
    found = [name for one in vendor.limit_headers for name in (one.remaining, one.reset) if name]
    return (*dict.fromkeys(found), "date") if found else ()


def read(vendor: Vendor, headers: Mapping[str, str]) -> list[Left]:
    """`headers`: those of `names` that came, others "". Of several for one thing the scarcest counts."""
    found: dict[str, Left] = {}
    for one in vendor.limit_headers:
        text = headers.get(one.remaining, "").strip()
        if not text.isascii() or not text.isdecimal() or len(text) > 12:
            continue
        here = Left(one.what, int(text), retry_after((one.reset,), headers) if one.reset else None)
        known = found.get(one.what)
        if known is None or here.remaining < known.remaining:
            found[one.what] = here
    return list(found.values())
