"""The official client library as a judge: it reads our bytes as it reads the vendor's.

In:     the body of a reply, whole or a stream. Out: the message that its user gets, or the exception that it raises.
"""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import httpx2
from anthropic.types import Message


def _client(body: bytes, kind: str, cut: int) -> anthropic.Anthropic:
    def pieces() -> Iterator[bytes]:
        if cut:
            yield from (body[at : at + cut] for at in range(0, len(body), cut))
        else:
            yield body

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=pieces())

    return anthropic.Anthropic(
        api_key="k", base_url="http://test", http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )


def streamed(body: bytes, cut: int = 0) -> Message:
    """What `messages.stream` makes of a stream; it arrives in pieces of `cut` bytes."""
    client = _client(body, "text/event-stream", cut)
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream:
        return stream.get_final_message()


def whole(body: bytes) -> Message:
    client = _client(body, "application/json", 0)
    return client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
