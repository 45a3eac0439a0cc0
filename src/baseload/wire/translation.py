"""One call between a client's protocol and another one of its provider: request there, reply back.

In:     the members of the client's request; the provider's whole reply, or the whole frames its meter has cut.
Out:    the provider's request body and what could not be carried; the client's reply, whole or as a stream.
Holds:  what the two protocols' modules hold: at most one unfinished frame and, where a writer has to repeat the text at
        the end (Responses) or send arguments whole (Gemini), that text, within their stated bounds.

Thinking that a chat client has no place for is remembered by the id of the tool call it led to (`Thoughts`), because
its maker wants it back with the result (protocols.md, pitfall 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.canon.carry import Target, View, Written
from baseload.wire.canon.events import AnyEvent, Delta, Opened, Reply, Signed
from baseload.wire.canon.fold import unfold
from baseload.wire.canon.request import Request, Thinking, ToolCall
from baseload.wire.canon.stop import OpenBlocks
from baseload.wire.protocols import CLIENTS, PROVIDERS

THOUGHT_MAX = 256 * 1024
"""Bytes of thinking kept of one reply; more is not remembered at all, for a part of it is worth nothing."""


class Thoughts(Protocol):
    """Where thinking is kept between two calls."""

    def put(self, call_id: str, thoughts: list[Thinking]) -> None: ...
    def get(self, call_id: str) -> list[Thinking]: ...


class Translation:
    """See the module. `thoughts` is None where the client's protocol has a place for signatures."""

    def __init__(self, client: str, target: Target, view: View, thoughts: Thoughts | None = None) -> None:
        self._client = CLIENTS[client]
        self._provider = PROVIDERS[target.protocol]
        self._target = target
        self._view = view
        self._in = self._provider.stream_in(target)
        self._out = self._client.stream_out(view)
        self._thoughts = thoughts
        self._watch = _Watch(target.origin) if thoughts is not None else None
        self._blocks: OpenBlocks | None = None

    def request(self, members: Mapping[str, Raw], model: str, stream: bool) -> Written:
        """The body for the provider. Raises Refusal for what cannot be read, Uncarried for what cannot be carried."""
        request = self._client.request_in(members)
        request.model = model
        request.stream = stream
        if self._thoughts is not None:
            _remember(request, self._thoughts)
        return self._provider.request_out(request, self._target)

    def frames(self, data: bytes) -> bytes:
        """The client's bytes for some whole frames of the provider's stream."""
        return self._write(self._in.feed(data))

    def end(self) -> bytes:
        """What is still to be said when the provider's stream is over."""
        return self._write(self._in.close())

    def whole(self, body: bytes) -> bytes:
        """The client's reply for the provider's. Raises ProviderFault("garbage") where it is none."""
        reply = self._provider.reply_in(body, self._target)
        self._keep(unfold(reply) if self._watch is not None else [])
        return self._client.reply_out(reply, self._view)

    def whole_as_stream(self, body: bytes) -> bytes:
        """The same for a client that asked for a stream which the provider did not send."""
        return self._write(unfold(self._read(body)))

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        """The end of a stream that has begun and cannot go on."""
        return self._out.fail(refusal, call_id)

    def watch_blocks(self) -> None:
        """Remembers what is open from now on, so that the stream can be ended at any time (`stop`)."""
        self._blocks = OpenBlocks()

    def stop(self, meters: dict[str, int]) -> bytes:
        """The proper end of a stream that goes no further: every block closed, finish reason "length", usage so far."""
        blocks = self._blocks or OpenBlocks()
        return self._out.write(blocks.closing(meters))

    def _read(self, body: bytes) -> Reply:
        return self._provider.reply_in(body, self._target)

    def _write(self, events: list[AnyEvent]) -> bytes:
        if not events:
            return b""
        if self._watch is not None:
            self._keep(events)
        if self._blocks is not None:
            self._blocks.see(events)
        return self._out.write(events)

    def _keep(self, events: list[AnyEvent]) -> None:
        assert self._watch is not None or not events
        if self._watch is not None and self._thoughts is not None:
            for call_id in self._watch.see(events):
                self._thoughts.put(call_id, self._watch.thoughts)


class _Watch:
    """Collects the thinking of a reply's first choice and says which tool calls it led to."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.thoughts: list[Thinking] = []
        self._open: dict[int, Thinking] = {}
        self._size = 0
        self._signed = False

    def see(self, events: list[AnyEvent]) -> list[str]:
        calls: list[str] = []
        for event in events:
            if isinstance(event, Delta):
                thought = self._open.get(event.block) if event.choice == 0 else None
                if thought is not None:
                    self._size += len(event.text)
                    if self._size <= THOUGHT_MAX:
                        thought.text += event.text
            elif isinstance(event, Opened) and event.choice == 0:
                if event.kind == "thinking":
                    thought = Thinking(redacted=event.redacted, summary=event.summary, origin=self._origin)
                    self._open[event.block] = thought
                    self.thoughts.append(thought)
                elif event.kind == "tool" and self._signed and self._size <= THOUGHT_MAX:
                    calls.append(event.id)
            elif isinstance(event, Signed) and event.choice == 0 and event.block in self._open:
                self._open[event.block].signature = event.signature
                self._size += len(event.signature)
                self._signed = True
        return calls


def _remember(request: Request, thoughts: Thoughts) -> None:
    """Puts remembered thinking back before the tool calls it led to, where the client has sent none itself."""
    for turn in request.turns:
        if turn.role != "assistant" or any(isinstance(part, Thinking) and part.signature for part in turn.parts):
            continue
        found = next((part for part in turn.parts if isinstance(part, ToolCall)), None)
        kept = thoughts.get(found.id) if found is not None else []
        if kept:
            turn.parts[:] = [*kept, *(part for part in turn.parts if not isinstance(part, Thinking))]
