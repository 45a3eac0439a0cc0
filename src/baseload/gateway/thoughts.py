"""Thinking remembered between a tool call and its result, for clients whose protocol has no place for it.

In:     thinking of a reply, by account and tool-call id. Out: the same, when the result comes back.
Holds:  BYTES_MAX bytes at most; the oldest go first. One process: a call that another gateway answers finds nothing,
        and then the request goes without that thinking, named in x-baseload-dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof

from baseload.wire.canon.request import Thinking

BYTES_MAX = 64 * 1024 * 1024
_OVERHEAD = 300  # bytes of an entry beside its text, about


class ThoughtStore:
    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._max = bytes_max
        self._size = 0
        self._kept: OrderedDict[tuple[int, str], tuple[int, list[Thinking]]] = OrderedDict()

    def of(self, account: int) -> AccountThoughts:
        """One account's view: nobody is given another one's thinking, whatever id they name."""
        return AccountThoughts(self, account)

    def put(self, key: tuple[int, str], thoughts: list[Thinking]) -> None:
        # A call's id is the provider's own text, of any length; what is not ASCII takes up to four bytes a letter.
        size = _OVERHEAD + getsizeof(key[1])
        size += sum(getsizeof(thought.text) + getsizeof(thought.signature) for thought in thoughts)
        old = self._kept.pop(key, None)
        if old is not None:
            self._size -= old[0]
        self._kept[key] = (size, list(thoughts))
        self._size += size
        while self._size > self._max and self._kept:
            _, (freed, _) = self._kept.popitem(last=False)
            self._size -= freed

    def get(self, key: tuple[int, str]) -> list[Thinking]:
        found = self._kept.get(key)
        if found is None:
            return []
        self._kept.move_to_end(key)
        return found[1]


class AccountThoughts:
    __slots__ = ("_account", "_store")

    def __init__(self, store: ThoughtStore, account: int) -> None:
        self._store = store
        self._account = account

    def put(self, call_id: str, thoughts: list[Thinking]) -> None:
        self._store.put((self._account, call_id), thoughts)

    def get(self, call_id: str) -> list[Thinking]:
        return self._store.get((self._account, call_id))
