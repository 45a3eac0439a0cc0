"""Deadlines for tens of thousands of connections at the price of one timer.

In:     things with a `deadline` (seconds of the loop's clock) and `on_deadline(now)`.
Out:    `on_deadline` at most `STEP_S` late, or `ROUND_S` where the deadline was moved to an earlier instant. Moving one
        is an attribute assignment; nothing is cancelled. Everything is looked at once a round: 10,000 idle streams cost
        some 2 ms of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

STEP_S = 0.25
SLOTS = 9
ROUND_S = (SLOTS - 1) * STEP_S


class Timed(Protocol):
    deadline: float

    def on_deadline(self, now: float) -> None: ...


class Wheel:
    """`now` is the loop's clock at the last step: exact to STEP_S and free to read."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: list[set[Timed]] = [set() for _ in range(SLOTS)]
        self._at = 0
        self.now = loop.time()
        self._next = self.now + STEP_S
        self.every_step: list[Callable[[float], None]] = []
        self._handle = loop.call_at(self._next, self._step)

    def add(self, thing: Timed) -> None:
        """Watches `thing` from now on until its deadline is GONE."""
        self._slots[self._slot_of(thing.deadline)].add(thing)

    def stop(self) -> None:
        self._handle.cancel()

    def _slot_of(self, deadline: float) -> int:
        left = deadline - self.now
        steps = SLOTS - 1 if left >= ROUND_S else max(int(left / STEP_S) + 1, 1)
        return (self._at + min(steps, SLOTS - 1)) % SLOTS

    def _step(self) -> None:
        now = self.now = self._loop.time()
        self._at = (self._at + 1) % SLOTS
        due, self._slots[self._at] = self._slots[self._at], set()
        for thing in due:
            deadline = thing.deadline
            if deadline == GONE:
                continue
            if deadline > now:
                self.add(thing)
                continue
            try:
                thing.on_deadline(now)
            except Exception as error:  # a broken connection must not stop everybody's clock
                self._loop.call_exception_handler({"message": "on_deadline failed", "exception": error})
            if thing.deadline != GONE:
                self.add(thing)
        self._next = max(self._next + STEP_S, now)
        self._handle = self._loop.call_at(self._next, self._step)  # before anything that could raise
        for call in self.every_step:
            try:
                call(now)
            except Exception as error:
                self._loop.call_exception_handler({"message": "a step of the clock failed", "exception": error})


FOREVER = float("inf")  # watched, but without a limit at present
GONE = float("-inf")  # the thing has ended; the wheel drops it when it meets it
