"""What turns a forwarded reply into the client's, where forwarding alone is not enough. Translations are in `wire`.

In:     whole frames, or a whole reply, in the client's own protocol. Out: the same with ids marked, or in an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from baseload.errors import ProviderFault, Refusal
from baseload.wire.chat import read_reply
from baseload.wire.envelope import error_body, stream_error
from baseload.wire.gemini import embed
from baseload.wire.gemini.array import ArrayOut
from baseload.wire.responses.pin import Pinner
from baseload.wire.sse import FrameCutter
from baseload.wire.usage import normalise


class Shaper(Protocol):
    """Turns a provider's reply into the client's."""

    def frames(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...
    def whole(self, body: bytes) -> bytes: ...
    def whole_as_stream(self, body: bytes) -> bytes: ...
    def fail(self, refusal: Refusal, call_id: str) -> bytes: ...


class Stored:
    """Ids of stored responses name their provider, so that the next request finds the way back."""

    def __init__(self, provider: int, account: int, secret: bytes) -> None:
        self._pinner = Pinner(provider, account, secret)

    def frames(self, data: bytes) -> bytes:
        return self._pinner.frames(data)

    def end(self) -> bytes:
        return b""

    def whole(self, body: bytes) -> bytes:
        return self._pinner.whole(body)

    def whole_as_stream(self, body: bytes) -> bytes:
        raise ProviderFault("garbage", "a whole reply came where a stream was asked for", sent=True)

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        return stream_error("responses", refusal, call_id)


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
