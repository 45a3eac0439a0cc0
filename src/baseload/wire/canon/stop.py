"""How a stream is ended before its provider ends it: what is open is closed, and every choice finishes by length. Pure.

In:     the events of a stream so far. Out: the events that end it properly.
"""

from __future__ import annotations

from collections.abc import Iterable

from baseload.wire.canon.events import AnyEvent, Closed, Counted, Ended, Finished, Opened, Started


class OpenBlocks:
    """The blocks that are open, by choice."""

    def __init__(self) -> None:
        self._open: dict[int, list[int]] = {}
        self._finished: set[int] = set()
        self._started = False

    def see(self, events: Iterable[AnyEvent]) -> None:
        for event in events:
            if isinstance(event, Opened):
                self._open.setdefault(event.choice, []).append(event.block)
            elif isinstance(event, Closed):
                blocks = self._open.setdefault(event.choice, [])
                if event.block in blocks:
                    blocks.remove(event.block)
            elif isinstance(event, Finished):
                self._finished.add(event.choice)
            elif isinstance(event, Started):
                self._started = True

    def closing(self, meters: dict[str, int]) -> list[AnyEvent]:
        """The end, as a provider would say it of a reply that reached its limit of tokens."""
        events: list[AnyEvent] = [] if self._started else [Started()]
        for choice in sorted(self._open) or [0]:
            if choice in self._finished:
                continue
            events += [Closed(choice=choice, block=block) for block in self._open.get(choice, ())]
            events.append(Finished(choice=choice, reason="length", native="length"))
        if meters:
            events.append(Counted(meters=meters))
        events.append(Ended())
        return events
