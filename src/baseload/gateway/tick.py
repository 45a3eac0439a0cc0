"""One journal write per turn of the event loop; what depends on it is released after the write.

In:     entries appended to the journal during a turn, and the sends that may only follow them.
Out:    one `flush()`, then the sends in order. A send checks for itself that its call still lives.

While only a call or two run there is nothing to share a write with: then it is written and sent at once, which saves a
turn of the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Sized

from baseload.gateway.journal.writer import JournalWriter

RETRY_S = 0.05
ALONE_MAX = 2


class Tick:
    def __init__(self, loop: asyncio.AbstractEventLoop, journal: JournalWriter, running: Sized | None = None) -> None:
        """`running`: the calls that run; None = always wait for the end of the turn."""
        self._loop = loop
        self._call_soon = functools.partial(loop.call_soon, self._run, context=contextvars.copy_context())
        self._journal = journal
        self._running = running if running is not None else range(ALONE_MAX + 1)
        self._waiting: list[Callable[[], None]] = []
        self._armed = False

    def after_flush(self, release: Callable[[], None]) -> None:
        """Runs `release` once all that was appended so far is in the journal (SIGKILL-proof); perhaps at once."""
        if not self._armed and len(self._running) <= ALONE_MAX and self._journal.flush():
            self._release(release)
            return
        self._waiting.append(release)
        if not self._armed:
            self._armed = True
            self._call_soon()

    def touch(self) -> None:
        """Asks for a flush at the end of this turn without anything waiting for it."""
        if not self._armed:
            self._armed = True
            self._call_soon()

    def _run(self) -> None:
        self._armed = False
        if not self._journal.flush():
            # The writer keeps what it could not write and takes no new calls; what waits must not overtake its entry.
            self._armed = True
            self._loop.call_later(RETRY_S, self._run)
            return
        waiting, self._waiting = self._waiting, []
        for release in waiting:
            self._release(release)

    def _release(self, release: Callable[[], None]) -> None:
        try:
            release()
        except Exception as error:  # one broken call must not keep the others' replies
            self._loop.call_exception_handler({"message": "a released send failed", "exception": error})
