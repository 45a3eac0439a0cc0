"""What turns a forwarded reply into the client's, where forwarding alone is not enough. Translations are in `wire`.

In:     whole frames, or a whole reply, in the client's own protocol. Out: the same with ids marked, or in an array.
A provider that streams although it was not asked to, or the reverse, is understood too (`Gathered`, `as_stream`): what
it says is billed, so the client gets it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from baseload.errors import ProviderFault, Refusal
from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.fold import Folder, unfold
from baseload.wire.chat import read_reply
from baseload.wire.envelope import error_body, stream_error
from baseload.wire.gemini import embed
from baseload.wire.gemini.array import ArrayOut
from baseload.wire.protocols import CLIENTS, PROVIDERS
from baseload.wire.responses.pin import Pinner
from baseload.wire.sse import FrameCutter
from baseload.wire.usage import normalise

_NUMBER = b'"sequence_number"'
_NUMBERED = re.compile(_NUMBER + rb"\s*:\s*(\d{1,15})")


class Shaper(Protocol):
    """Turns a provider's reply into the client's."""

    def frames(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...
    def whole(self, body: bytes) -> bytes: ...
    def whole_as_stream(self, body: bytes) -> bytes: ...
    def fail(self, refusal: Refusal, call_id: str) -> bytes: ...


class Numbered:
    """A forwarded Responses stream: an error of ours bears the number that comes next in it."""

    def __init__(self) -> None:
        self._next = 0

    def frames(self, data: bytes) -> bytes:
        at = data.rfind(_NUMBER)  # inside a text the quotes are escaped
        if at >= 0 and (found := _NUMBERED.match(data, at)) is not None:
            self._next = int(found[1]) + 1
        return data

    def end(self) -> bytes:
        return b""

    def whole(self, body: bytes) -> bytes:
        return body

    def whole_as_stream(self, body: bytes) -> bytes:
        raise ProviderFault("garbage", "a whole reply came where a stream was asked for", sent=True)

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        return stream_error("responses", refusal, call_id, self._next)


class Stored(Numbered):
    """Ids of stored responses name their provider, so that the next request finds the way back."""

    def __init__(self, provider: int, account: int, secret: bytes) -> None:
        super().__init__()
        self._pinner = Pinner(provider, account, secret)

    def frames(self, data: bytes) -> bytes:
        return super().frames(self._pinner.frames(data))

    def whole(self, body: bytes) -> bytes:
        return self._pinner.whole(body)


class Arrayed:
    """Gemini's stream as one JSON array, for clients that did not ask for SSE."""

    def __init__(self) -> None:
        self._cutter = FrameCutter()
        self._out = ArrayOut()

    def frames(self, data: bytes) -> bytes:
        return b"".join([self._out.frame(frame) for frame in self._cutter.feed(data)])

    def end(self) -> bytes:
        return self._out.frame(self._cutter.close()) + self._out.end()

    def whole(self, body: bytes) -> bytes:
        return body

    def whole_as_stream(self, body: bytes) -> bytes:
        return body if body.lstrip()[:1] == b"[" else b"[%b]" % body

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        return self._out.element(error_body("gemini", refusal, call_id)) + self._out.end()


class Embedded:
    """Embeddings in the client's form. They are never streamed."""

    def __init__(self, usage: str, vendor: str, write: Callable[..., bytes]) -> None:
        self._usage = usage
        self._vendor = vendor
        self._write = write

    def whole(self, body: bytes) -> bytes:
        raw = embed.usage_in(body) if self._usage == "gemini" else read_reply("embeddings", body).usage
        meters = normalise(self._usage, self._vendor, raw, endpoint="embeddings").meters if raw else None
        return self._write(body, meters=meters)

    def frames(self, data: bytes) -> bytes:
        raise ProviderFault("garbage", "embeddings came as a stream", sent=True)

    whole_as_stream = frames

    def end(self) -> bytes:
        return b""

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        return b""


class Gathered:
    """The whole reply of a stream that was not asked for. Holds its text, within the bound of `canon.fold`."""

    def __init__(self, client: str, target: Target, view: View) -> None:
        self._client = client
        self._in = PROVIDERS[target.protocol].stream_in(target)
        self._folder = Folder()
        self._view = view

    def put(self, frames: bytes) -> None:
        self._folder.put(self._in.feed(frames))

    def reply(self) -> bytes:
        self._folder.put(self._in.close())
        return CLIENTS[self._client].reply_out(self._folder.reply(), self._view)


def as_stream(client: str, target: Target, view: View, body: bytes) -> bytes:
    """The stream that a client asked for, of a reply that came whole. Raises ProviderFault where it is none."""
    events = unfold(PROVIDERS[target.protocol].reply_in(body, target))
    return CLIENTS[client].stream_out(view).write(events)
