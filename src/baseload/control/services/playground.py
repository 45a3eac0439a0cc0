"""The playground: one prompt to one model; the gateway's own bytes as they come, then the price."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from baseload.control.context import Context
from baseload.control.services import own_calls
from baseload.errors import Refusal

TOKENS_MAX, TEXT_MAX = 4096, 200_000


class Ask(msgspec.Struct, kw_only=True):
    """One prompt to one model. Bounded: a page is no batch."""

    model: str
    text: str
    system: str = ""
    max_tokens: int = 512
    account: str = ""

    def check(self) -> None:
        """Raises Refusal."""
        if not self.model or not self.text.strip():
            raise Refusal("Say something, to a model.", code="prompt_missing", param="text")
        if len(self.text) + len(self.system) > TEXT_MAX or not 0 < self.max_tokens <= TOKENS_MAX:
            raise Refusal(
                f"At most {TEXT_MAX} characters and {TOKENS_MAX} tokens here.", "Use the API for more.",
                code="prompt_too_long", param="text",
            )  # fmt: skip


async def run(context: Context, secret: str, fresh: bool, ask: Ask) -> AsyncIterator[bytes]:
    """The gateway's stream, byte for byte; then `event: price`. What it refuses comes as `event: refused`."""
    messages = [{"role": "system", "content": ask.system}] if ask.system.strip() else []
    messages.append({"role": "user", "content": ask.text})
    body = {
        "model": ask.model, "messages": messages, "max_tokens": ask.max_tokens, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    try:
        async with own_calls.opened(context, secret, fresh, body) as reply:
            if reply.status_code != 200:
                yield event("refused", own_calls.said(await reply.aread()))
                return
            call = reply.headers.get("x-baseload-call-id", "")
            yield event("call", {"call": call, "offer": reply.headers.get("x-baseload-offer", "")})
            async for piece in reply.aiter_raw():
                yield piece
    except own_calls.NoGateway as away:
        yield event("refused", {"message": away.say})
        return
    yield b"\n" + event("price", await own_calls.price_of(context, call))


def event(name: str, value: dict[str, Any]) -> bytes:
    """One event of a stream to a page."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()
