"""Blocks strictly one after another, for protocols that know no other way (protocols.md, section 11).

In:     canonical events in the order of a `StreamIn`: blocks of one choice may overlap (chat's tool calls do).
Out:    the same events, the blocks of each choice one after another and numbered from 0: a block is closed before the
        next one of its choice opens. Choices may still interleave.
Holds:  events of blocks that wait for the open one, at most HELD_MAX characters (each event counted with EVENT_COST)
        over all choices, and at most BLOCKS_MAX unfinished blocks a choice, CHOICES_MAX choices. What is open goes on
        live and is never kept. Beyond a bound: `ProviderFault("garbage")`.

When a block opens while another of its choice is open:
- text, thinking and refusals are closed, and the new one goes on live. Text that comes late for one of them is not
  lost: it opens a further block of the same kind (white space alone waits for other text, and is dropped without any).
- a tool call whose arguments are one complete JSON object is closed. White space that comes late for it is dropped; any
  other late piece is garbage.
- else (arguments unfinished, free text, media) the new one waits until the open one is closed or complete, or its
  choice finishes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from baseload.errors import ProviderFault
from baseload.wire.canon.events import AnyEvent, Cited, Closed, Delta, Ended, Finished, Opened, Signed

HELD_MAX = 16 * 2**20  # arguments of parallel calls; the whole reply of a large model is under 1 MiB
EVENT_COST = 64
BLOCKS_MAX = 1024
CHOICES_MAX = 1024

_OUTSIDE = re.compile(r'"|[{\[]+|[}\]]+')
_INSIDE = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_SPACE = " \t\r\n"
_FLOWING = ("text", "thinking", "refusal")
_OfBlock = Delta | Signed | Cited


class Sequencer:
    """One stream's order. `put` takes events as they come and gives those that may go on now."""

    __slots__ = ("_choices", "_held")

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._held = 0

    def put(self, events: Iterable[AnyEvent]) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        for event in events:
            if isinstance(event, Delta | Opened | Closed | Signed | Cited):
                choice = self._choices.get(event.choice) or self._begin(event.choice)
                self._held += choice.put(event, out)
                if self._held > HELD_MAX:
                    raise _garbage(f"more than {HELD_MAX} characters of the reply wait for an unfinished tool call")
            elif isinstance(event, Finished):
                if event.choice in self._choices:
                    self._held += self._choices[event.choice].finish(out)
                out.append(event)
            else:
                if isinstance(event, Ended):
                    for choice in self._choices.values():
                        self._held += choice.finish(out)
                out.append(event)
        return out

    def _begin(self, number: int) -> _Choice:
        if len(self._choices) >= CHOICES_MAX:
            raise _garbage(f"the reply has more than {CHOICES_MAX} choices")
        return self._choices.setdefault(number, _Choice(number))


class _Choice:
    """The blocks of one choice. Methods append to `out` and return by how much the held characters changed."""

    __slots__ = ("_count", "_early", "_live", "_next", "_number", "_waiting")

    def __init__(self, number: int) -> None:
        self._number = number
        self._next = 0  # number of the next block that goes out
        self._count = 0  # blocks that were opened by the source: lower numbers are known
        self._live: _Block | None = None
        self._waiting: dict[int, _Block] = {}
        self._early: dict[int, _Block] = {}  # closed by us, not yet by the source

    def put(self, event: Opened | Closed | _OfBlock, out: list[AnyEvent]) -> int:
        live = self._live
        if live is not None and event.block == live.source:
            if isinstance(event, Closed):
                self._close(out)
                return self._release(out)
            if isinstance(event, Opened):
                raise _garbage(f"block {event.block} opened twice")
            self._pass(live, event, out)
            return self._release(out) if self._waiting else 0
        if isinstance(event, Opened):
            return self._open(event, out)
        waiting = self._waiting.get(event.block)
        if waiting is not None:
            waiting.events.append(event)
            return _cost(event)
        early = self._early.get(event.block)
        if early is None:
            raise _garbage(f"block {event.block} is not open")
        return self._late(early, event, out)

    def finish(self, out: list[AnyEvent]) -> int:
        """Everything goes out and is closed, whatever is missing."""
        freed = 0
        while self._live is not None:
            self._close(out)
            freed += self._release(out)
        self._early.clear()
        return freed

    def _open(self, event: Opened, out: list[AnyEvent]) -> int:
        if event.block < self._count and (event.block in self._waiting or event.block in self._early):
            raise _garbage(f"block {event.block} opened twice")
        self._count = max(self._count, event.block + 1)
        return self._admit(_Block(event.block, event), out)

    def _admit(self, block: _Block, out: list[AnyEvent]) -> int:
        """The block goes live, or waits."""
        if len(self._waiting) + len(self._early) >= BLOCKS_MAX:
            raise _garbage(f"more than {BLOCKS_MAX} blocks of the reply are unfinished")
        if self._live is not None:
            self._waiting[block.source] = block
            block.events.append(block.opened)
            return _cost(block.opened) + self._release(out)
        self._go_live(block, out)
        return 0

    def _go_live(self, block: _Block, out: list[AnyEvent]) -> None:
        self._live = block
        block.number = self._next
        self._next += 1
        out.append(block.opened if block.opened.block == block.number else replace(block.opened, block=block.number))

    def _pass(self, live: _Block, event: _OfBlock, out: list[AnyEvent]) -> None:
        if live.scan is not None and isinstance(event, Delta):
            live.scan.feed(event.text)
        out.append(event if event.block == live.number else replace(event, block=live.number))

    def _close(self, out: list[AnyEvent]) -> None:
        live = self._live
        assert live is not None
        out.append(Closed(choice=self._number, block=live.number))
        self._live = None

    def _release(self, out: list[AnyEvent]) -> int:
        """Lets waiting blocks out while the open one is closed or may be."""
        freed = 0
        while self._waiting:
            live = self._live
            if live is not None:
                if not live.may_close:
                    break
                self._close(out)
                self._early[live.source] = live
            block = self._waiting.pop(next(iter(self._waiting)))
            self._go_live(block, out)
            events, block.events = block.events, []
            freed -= _costs(events)
            for event in events:
                if isinstance(event, Closed):
                    self._close(out)
                elif not isinstance(event, Opened):
                    self._pass(block, event, out)
        return freed

    def _late(self, early: _Block, event: Closed | _OfBlock, out: list[AnyEvent]) -> int:
        """Something for a block that we closed before its source did."""
        if isinstance(event, Closed):
            del self._early[event.block]
            return -_costs(early.events)
        blank = isinstance(event, Delta) and not event.text.strip()
        if early.scan is not None:
            if blank:
                return 0
            raise _garbage(f"arguments of {early.opened.name or 'a tool'} go on after their end")
        if isinstance(event, Signed):
            raise _garbage("the signature of a thinking block came after the next block had begun")
        if blank:
            early.events.append(event)
            return _cost(event)
        del self._early[event.block]
        held = self._admit(_Block(early.source, early.opened), out) - _costs(early.events)
        for late in (*early.events, event):
            held += self.put(late, out)
        return held


class _Block:
    __slots__ = ("events", "number", "opened", "scan", "source")

    def __init__(self, source: int, opened: Opened) -> None:
        self.source = source
        self.opened = opened
        self.number = -1
        self.events: list[Opened | Closed | _OfBlock] = []  # what waits; of a block closed early: late white space
        self.scan = _Scan() if opened.kind == "tool" and not opened.custom else None

    @property
    def may_close(self) -> bool:
        return self.opened.kind in _FLOWING or (self.scan is not None and self.scan.complete)


class _Scan:
    """Where one JSON object ends, found piece by piece by its brackets; each character is looked at once.

    Only an object counts as complete: of a number nobody knows whether digits follow. Brackets are counted, not
    matched: no later text would make a wrongly nested object right.
    """

    __slots__ = ("_begun", "_depth", "_escaped", "_quoted", "_spoilt")

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = self._escaped = False
        self._begun = self._spoilt = False

    @property
    def complete(self) -> bool:
        return self._begun and not self._depth and not self._spoilt

    def feed(self, text: str) -> None:
        if self._spoilt:
            return
        if not self._depth:
            text = text.lstrip(_SPACE)
            if not text:
                return
            if self._begun or not text.startswith("{"):
                self._spoilt = True
                return
            self._begun = True
        at, end = int(self._escaped), len(text)
        if text:
            self._escaped = False
        while at < end:
            if self._quoted:
                inside = _INSIDE.match(text, at)
                at = inside.end() if inside is not None else at
                if at < end:  # a quote, or a backslash that ends this piece
                    self._quoted, self._escaped = text[at] != '"', text[at] != '"'
                at += 1
                continue
            hit = _OUTSIDE.search(text, at)
            if hit is None:
                return
            at, run = hit.end(), hit.end() - hit.start()
            if text[hit.start()] == '"':
                self._quoted = True
            elif text[hit.start()] in "{[":
                self._depth += run
            elif run < self._depth:
                self._depth -= run
            else:
                self._spoilt = bool(text[hit.start() + self._depth :].strip(_SPACE))
                self._depth = 0
                return


def _cost(event: AnyEvent) -> int:
    if isinstance(event, Delta):
        return EVENT_COST + len(event.text) + len(event.logprobs)
    if isinstance(event, Signed):
        return EVENT_COST + len(event.signature)
    if isinstance(event, Cited):
        return EVENT_COST + len(event.raw)
    return EVENT_COST


def _costs(events: list[Opened | Closed | _OfBlock]) -> int:
    return sum(map(_cost, events))


def _garbage(say: str) -> ProviderFault:
    return ProviderFault("garbage", f"The provider's reply cannot be put in order: {say}.")
