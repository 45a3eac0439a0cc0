"""Which beginnings of requests an offer has probably still in its cache, from what this gateway sent it. Pure.

In:     a request's pieces (`wire.pieces`: a hash and a length for each beginning), what ended calls reported.
Out:    bytes of a request that an offer is expected to read from its cache.

A place is an offer with one credential: caches are not shared between accounts. What a provider keeps is its secret;
this keeps what was sent and for how long the vendor says it lives, and is corrected by what comes back: where reported
hits fall short of what was expected, the place is trusted less. Bounded: PLACE_MAX beginnings a place; the oldest go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

Pieces = Sequence[tuple[int, int]]  # (hash of the beginning, its length in bytes), shortest first
PLACE_MAX = 20_000
PLACES_MAX = 2_000
FULL = 1000  # per mille


class _Place:
    __slots__ = ("known", "trust")

    def __init__(self) -> None:
        self.known: OrderedDict[int, int] = OrderedDict()  # hash -> alive until
        self.trust = FULL


class Prefixes:
    def __init__(self, place_max: int = PLACE_MAX, places_max: int = PLACES_MAX) -> None:
        self._places: OrderedDict[tuple[int, int], _Place] = OrderedDict()
        self._place_max = place_max
        self._places_max = places_max

    def sent(self, place: tuple[int, int], pieces: Pieces, now_ns: int, lifetime_ns: int) -> None:
        """A request with these beginnings was answered there; a hit begins a lifetime anew."""
        found = self._places.get(place)
        if found is None:
            if len(self._places) >= self._places_max:
                self._places.popitem(last=False)
            found = self._places[place] = _Place()
        known, until = found.known, now_ns + lifetime_ns
        for key, _ in pieces:
            known[key] = until
            known.move_to_end(key)
        while len(known) > self._place_max:
            known.popitem(last=False)

    def longest(self, place: tuple[int, int], pieces: Pieces, now_ns: int) -> int:
        """Bytes of the longest beginning that is still alive there; 0 = none. Trust is not applied."""
        found = self._places.get(place)
        if found is None:
            return 0
        for key, size in reversed(pieces):
            if found.known.get(key, 0) > now_ns:
                return size
        return 0

    def trusted(self, place: tuple[int, int], tokens: int) -> int:
        """Of so many tokens, those to count on."""
        found = self._places.get(place)
        return tokens * found.trust // FULL if found is not None else 0

    def came(self, place: tuple[int, int], expected: int, read: int) -> None:
        """So many tokens could have come from the cache, and so many did, as the provider reports."""
        found = self._places.get(place)
        if found is not None and expected > 0:
            seen = min(read * FULL // expected, FULL)
            found.trust += (seen - found.trust) // 4
