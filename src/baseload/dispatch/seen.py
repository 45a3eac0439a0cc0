"""What a decision saw, small enough to be kept with every reading: the merit order with each offer's expected cost.

In:     a decision. Out: bytes for `Reading.seen`; read again by whoever explains a call.
"""

from __future__ import annotations

import msgspec

LINES_MAX = 40  # the winner, then the eligible ones by rank, then the others


class SeenLine(msgspec.Struct, array_like=True, frozen=True, gc=False):
    offer: int  # its id
    credential: int  # which of its provider's credentials
    expected: int  # nano-units of the comparison currency; -1 = no price
    why_not: str = ""  # why it was not eligible, "" = it was


class Seen(msgspec.Struct, array_like=True, frozen=True, gc=False):
    objective: str  # cheapest | fastest | balanced
    currency: str  # of the comparison
    input_tokens: int
    cached_tokens: int  # of the input, at the winner
    output_tokens: int
    lines: list[SeenLine]
    why: str = ""  # why there was an attempt after the first: the failure class of the one before, or "hedge"


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Seen).decode


def decode(data: bytes) -> Seen | None:
    """None for b"" and for what an older or newer gateway wrote in another shape."""
    try:
        return _decode(data) if data else None
    except msgspec.DecodeError:
        return None
