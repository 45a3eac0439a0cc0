"""The beginnings of a request that a provider's prompt cache may know. Pure.

In:     a client's endpoint, raw members. Out: for each beginning a hash and its length in bytes, shortest first.

A cache reads tools, then instructions, then messages in their order; so does this. The hash is of this process only
(Python's own, keyed): it is compared with earlier ones and leaves no trace of the text.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.raw import NULL

_list = msgspec.json.Decoder(list[Raw]).decode

# endpoint -> (members before the turns, in a cache's order; the member with the turns)
_ORDER: dict[str, tuple[tuple[str, ...], str]] = {
    "chat": (("tools",), "messages"),
    "responses": (("tools", "instructions"), "input"),
    "messages": (("tools", "system"), "messages"),
    "gemini": (("tools", "systemInstruction", "system_instruction"), "contents"),
}
PIECES_MAX = 2_000


def pieces_of(endpoint: str, members: Any) -> list[tuple[int, int]]:
    """[] where the endpoint has no turns, or they cannot be told apart."""
    order = _ORDER.get(endpoint)
    if order is None or type(members) is not dict:
        return []
    found: list[tuple[int, int]] = []
    running, size = hash(endpoint), 0
    before, turns = order
    for name in before:
        raw = members.get(name)
        if raw is not None and raw != NULL:
            size += len(raw)
            running = hash((running, name, bytes(raw)))
            found.append((running, size))
    raw = members.get(turns)
    if raw is None or bytes(raw[:1] if isinstance(raw, bytes) else memoryview(raw)[:1]) != b"[":
        return found
    try:
        each = _list(raw)
    except msgspec.DecodeError:
        return found
    for one in each[:PIECES_MAX]:
        size += len(one)
        running = hash((running, bytes(one)))
        found.append((running, size))
    return found
