"""What a decision saw, small enough to be kept with every reading: every candidate with its expected cost, or why not.

In:     a decision. Out: bytes for `Reading.seen`; `order` for whoever explains a call.

Who the candidates are changes seldom, so a listing's names are encoded once (`names`); a call adds its costs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

_MILLION, _HALF = 1_000_000, 500_000
LINES_MAX = 40  # of more candidates only the cheapest are kept


class Seen(msgspec.Struct, array_like=True, frozen=True, gc=False):
    objective: str  # cheapest | fastest | balanced
    currency: str  # of the comparison
    input_tokens: int
    cached_tokens: int  # of the input, at the winner
    output_tokens: int
    why: str  # why there was an attempt after the first: the failure class of the one before; "" = it was the first
    winner: int  # place in the lists that follow; -1 = none
    names: Any  # [[offer id, credential], ...]
    costs: list[int]  # nano-units x 1,000,000 of the comparison currency, in that order; -1 = not eligible
    whys: dict[int, str]  # place -> why it was not eligible
    excluded: Any  # [[offer id, credential, why], ...]: those that no call like this may go to


class Line(NamedTuple):
    """One candidate, for people. `rank` from 1 by cost, 0 = not eligible; `expected`: nano-units, -1 = no price."""

    rank: int
    offer: int
    credential: int
    expected: int
    why_not: str


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Seen).decode


def names(rows: list[Any]) -> msgspec.Raw:
    """Encoded once, used by many calls."""
    return msgspec.Raw(encode(rows))


def decode(data: bytes) -> Seen | None:
    """None for b"" and for what an older or newer gateway wrote in another shape."""
    try:
        return _decode(data) if data else None
    except msgspec.DecodeError:
        return None


def order(seen: Seen) -> list[Line]:
    """The winner, the other eligible ones by cost, then the others with their reasons."""
    eligible = sorted((cost, at) for at, cost in enumerate(seen.costs) if cost >= 0 and at != seen.winner)
    first = [seen.winner] if seen.winner >= 0 else []
    lines = [
        Line(rank, seen.names[at][0], seen.names[at][1], (seen.costs[at] + _HALF) // _MILLION, "")
        for rank, at in enumerate((*first, *(at for _, at in eligible)), 1)
    ]
    lines += [Line(0, seen.names[at][0], seen.names[at][1], -1, why) for at, why in sorted(seen.whys.items())]
    return lines + [Line(0, offer, credential, -1, why) for offer, credential, why in seen.excluded]
