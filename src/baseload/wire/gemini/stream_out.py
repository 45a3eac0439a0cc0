"""Canonical events -> a client's generateContent stream, as SSE or as one JSON array (`View.array`).

In:     events. Out: bytes. Every object carries partial parts; the last one has the finishReason and the usage, so a
        `Finished` waits until something else of the reply, or its end, comes.
There is no terminator. A keep-alive is a bare line end: Google's Python library takes a comment for JSON and fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from baseload.errors import Refusal
from baseload.wire.canon.carry import View
from baseload.wire.canon.events import AnyEvent, Beat, Counted, Delta, Ended, Finished, Started
from baseload.wire.gemini import logprobs, usage_out
from baseload.wire.gemini.array import ArrayOut
from baseload.wire.gemini.errors import error_body
from baseload.wire.gemini.finish import word_of
from baseload.wire.gemini.scribe import Scribe

_encode = msgspec.json.Encoder().encode
BEAT = b"\n"
_TEXT_HEAD = b'{"candidates":[{"content":{"role":"model","parts":[{"text":'
_TEXT_TAIL = b'}]},"index":0}]'


class StreamOut:
    """See the module. `write` events until `Ended`; or `fail` instead."""

    __slots__ = ("_array", "_finished", "_meters", "_over", "_scribe", "_tail", "_view")

    def __init__(self, view: View) -> None:
        self._view = view
        self._array = ArrayOut() if view.array else None
        self._scribe = Scribe(view)
        self._finished: list[Finished] = []  # choices that ended and wait for the last object
        self._meters: dict[str, int] | None = None
        self._over = False
        self._tail = self._names(view.id)

    def write(self, events: Iterable[AnyEvent]) -> bytes:
        if isinstance(events, list) and len(events) == 1 and isinstance(events[0], Delta) and not self._finished:
            quick = self._quick(events[0])
            if quick is not None:
                return quick
        out: list[bytes] = []
        at, parts = -1, list[dict[str, Any]]()  # parts of one choice in a row share an object
        for event in events:
            if self._over:
                break
            if isinstance(event, Counted):
                self._meters = event.meters
            elif isinstance(event, Started):
                if event.id:
                    self._tail = self._names(event.id)
            elif isinstance(event, Beat):
                if not parts:
                    out.append(BEAT if self._array is None else self._array.beat())
            elif isinstance(event, Finished):
                if parts:
                    out.append(self._object(at, parts))
                    parts = []
                self._finished.append(event)
            elif isinstance(event, Ended):
                if parts:
                    out.append(self._object(at, parts))
                    parts = []
                out.append(self._end())
            else:
                made = self._scribe.put(event)
                if not made:
                    continue
                if self._finished:
                    out += self._flush(last=False)
                if parts and event.choice != at:
                    out.append(self._object(at, parts))
                    parts = []
                at = event.choice
                parts += made
        if parts:
            out.append(self._object(at, parts))
        return b"".join(out)

    def _quick(self, event: Delta) -> bytes | None:
        """A piece of text, as nearly every event is; None for whatever else there is to mind."""
        if self._over or event.choice or not self._scribe.is_plain(event):
            return None
        return self._sent(_TEXT_HEAD + _encode(event.text) + _TEXT_TAIL + self._tail)

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        """The error that ends a begun stream; nothing comes after it."""
        if self._over:
            return b""
        self._over = True
        return self._sent(error_body(refusal, call_id)) + (self._array.end() if self._array is not None else b"")

    def _end(self) -> bytes:
        if self._over:
            return b""
        out = self._flush(last=True)
        self._over = True
        if self._array is not None:
            out.append(self._array.end())
        return b"".join(out)

    def _flush(self, *, last: bool) -> list[bytes]:
        """The objects of the choices that ended; the very last one has the usage."""
        out = []
        finished, self._finished = self._finished, []
        for number, event in enumerate(finished):
            usage = self._meters if last and number == len(finished) - 1 else None
            parts = self._scribe.finish(event.choice)
            if not parts and event.reason != "filter":
                parts = [{"text": ""}]  # Google's chat classes drop a turn that has an object without parts
            out.append(self._object(event.choice, parts, word_of(event.reason), usage))
        if last and not finished and self._meters is not None:
            out.append(self._sent(b'{"usageMetadata":' + _encode(usage_out.write(self._meters)) + self._tail))
        return out

    def _object(
        self, choice: int, parts: list[dict[str, Any]], finish: str = "", meters: dict[str, int] | None = None
    ) -> bytes:
        body = [b'{"candidates":[{']
        if parts:
            body += [b'"content":{"role":"model","parts":', _encode(parts), b"},"]
        if finish:
            body += [b'"finishReason":', _encode(finish), b","]
            cited = self._scribe.citations.pop(choice, None)
            if cited:
                body += [b'"citationMetadata":', _encode({"citations": cited}), b","]
        if choice in self._scribe.logprobs:
            result = logprobs.to_result(self._scribe.logprobs.pop(choice))
            if result is not None:
                body += [b'"logprobsResult":', _encode(result), b","]
        body += [b'"index":', str(choice).encode(), b"}]"]
        if meters is not None:
            body += [b',"usageMetadata":', _encode(usage_out.write(meters))]
        body.append(self._tail)
        return self._sent(b"".join(body))

    def _names(self, id_: str) -> bytes:
        return b',"modelVersion":' + _encode(self._view.model) + b',"responseId":' + _encode(id_) + b"}"

    def _sent(self, payload: bytes) -> bytes:
        return b"data: " + payload + b"\n\n" if self._array is None else self._array.element(payload)
