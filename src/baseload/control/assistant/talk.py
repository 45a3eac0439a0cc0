"""One turn: what a model is given of a chat, and its answer as it comes. Kept whatever happens: whole, stopped, failed.

In:     a chat with a question at its end, a model. Out: a stream of `News`.
Whoever stops reading stops the call; what came until then is kept and was paid for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
from starlette.concurrency import run_in_threadpool

from baseload.control.assistant import chats, files
from baseload.control.context import Context
from baseload.control.people.roles import Principal
from baseload.control.services import own_calls, supply
from baseload.errors import Refusal
from baseload.gateway.snapshot import OfferRow, Snapshot
from baseload.wire.sse import FrameCutter, data_of

OUTPUT_MAX = 2048  # tokens of an answer
CHARS_A_TOKEN = 3  # a careful guess: what does not fit, the gateway refuses
CONTEXT = 8192  # tokens, where no offer says
BEAT_S = 1.0  # between signs of life: a reader that has gone is noticed by them
Json = dict[str, Any]
_keeping: set[asyncio.Future[int]] = set()


class News(NamedTuple):
    """kind: begun | text | beat | refused | ended | price; the rest as it applies."""

    kind: str
    text: str = ""
    thoughts: str = ""
    values: Json | None = None


class Turn(msgspec.Struct, kw_only=True):
    chat: int
    question: int
    model: str
    account: str


class _Reply(msgspec.Struct):
    text: str = ""
    thoughts: str = ""
    call: str = ""
    offer: str = ""
    refused: str = ""
    whole: bool = False


def choose(snapshot: Snapshot | None, wanted: str, sees: bool, now_ns: int) -> str:
    """The model to ask: the one that is wanted; else the grid's own group, else the cheapest that can. Pure."""
    if wanted:
        return wanted
    if snapshot is None:
        raise Refusal("The grid serves no model yet.", "Add an offer.", code="no_model", status=409)
    if snapshot.groups and not sees:
        return next((one.name for one in snapshot.groups if one.name == "auto"), snapshot.groups[0].name)
    names = {offer.model for offer in snapshot.offers if "chat" in offer.endpoints and (not sees or _sees(offer))}
    priced = []
    for name in names:
        best = next((place for place in supply.order(snapshot, name, now_ns) if place.nano is not None), None)
        if best is not None and best.nano is not None:
            rate = float(snapshot.fx.get(best.currency, "1")) if best.currency != snapshot.fx_base else 1.0
            priced.append((best.nano * rate, name))
    if not priced:
        what = "sees pictures" if sees else "has a price"
        raise Refusal(f"No model of this grid {what}.", "Choose one by hand, or add an offer.", code="no_model")
    return min(priced)[1]


def _sees(offer: OfferRow) -> bool:
    return offer.capabilities is not None and "vision" in offer.capabilities


def context_of(snapshot: Snapshot | None, model: str) -> int:
    """Tokens that surely fit: the least of its offers; CONTEXT where none says. Pure."""
    offers = snapshot.offers if snapshot else []
    known = [offer.context_max for offer in offers if offer.model == model and offer.context_max]
    return min(known, default=CONTEXT)


def fitted(messages: list[Json], room: int) -> tuple[list[Json], int]:
    """(the newest messages that fit into `room` characters, how many were left out); the last always stays. Pure."""
    kept: list[Json] = []
    for message in reversed(messages):
        room -= sum(len(part.get("text", "")) for part in message["content"])
        if kept and room < 0:
            break
        kept.append(message)
    while len(kept) > 1 and kept[-1]["role"] == "assistant":  # it would begin in the middle
        kept.pop()
    return kept[::-1], len(messages) - len(kept)


def as_sent(messages: list[Json], opened: dict[int, files.File]) -> list[Json]:
    """Messages of the chat protocol: documents as text before the question, pictures as data. Pure."""
    found = []
    for message in messages:
        parts: list[Json] = []
        for one in message["files"]:
            file = opened.get(one["id"])
            if file is None:
                continue
            if file.media in files.IMAGES:
                url = f"data:{file.media};base64,{base64.b64encode(file.body).decode()}"
                parts.append({"type": "image_url", "image_url": {"url": url}})
            else:
                parts.append({"type": "text", "text": f"File {file.name}:\n\n{file.text}\n\nEnd of {file.name}.\n\n"})
        if message["text"]:
            parts.append({"type": "text", "text": message["text"]})
        if parts:
            found.append({"role": message["role"], "content": parts})
    return found


def prepared(context: Context, who: Principal, turn: Turn) -> tuple[Json, int]:
    """(the request, messages left out because they do not fit)."""
    chat = chats.open_chat(context, who, turn.chat)
    until = next(n for n, one in enumerate(chat["messages"]) if one["id"] == turn.question)
    messages = chat["messages"][: until + 1]
    opened = files.read(context, who, [one["id"] for message in messages for one in message["files"]])
    tokens = context_of(context.publisher.current(), turn.model)
    output = min(OUTPUT_MAX, tokens // 2)
    sent, left_out = fitted(as_sent(messages, opened), (tokens - output) * CHARS_A_TOKEN)
    for message in sent:
        if all(part["type"] == "text" for part in message["content"]):  # plain text, as the oldest servers want it
            message["content"] = "".join(part["text"] for part in message["content"])
    body = {"model": turn.model, "messages": sent, "max_tokens": output, "stream": True,
            "stream_options": {"include_usage": True}}  # fmt: skip
    return body, left_out


async def answer(context: Context, who: Principal, turn: Turn) -> AsyncIterator[News]:
    """Text news hold all that came so far. The last is `ended`, with the message's id; then the price, if known."""
    body, left_out = await run_in_threadpool(prepared, context, who, turn)
    secret, fresh = await run_in_threadpool(own_calls.key_for, context, who.actor, turn.account)
    reply, changed = _Reply(), asyncio.Event()
    reader = asyncio.create_task(_read(context, secret, fresh, body, reply, changed))
    kept = False
    try:
        begun, shown = False, 0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), BEAT_S)
            changed.clear()
            if reply.call and not begun:
                begun = True
                yield News("begun", values={"call": reply.call, "offer": reply.offer, "model": turn.model,
                                            "left_out": left_out})  # fmt: skip
            if len(reply.text) + len(reply.thoughts) > shown:
                shown = len(reply.text) + len(reply.thoughts)
                yield News("text", reply.text, reply.thoughts)
            elif not reader.done():
                yield News("beat")
            if reader.done():
                break
        await reader
        if reply.refused:
            yield News("refused", reply.refused)
        state = chats.FAILED if reply.refused else chats.DONE if reply.whole else chats.STOPPED
        kept = True
        message = await run_in_threadpool(_keep, context, who, turn, reply, state)
        yield News("ended", values={"message": message, "call": reply.call})
    finally:
        if not reader.done():
            reader.cancel()
        if not kept:  # the reader of the page has gone: nobody waits for this, but it is done
            task = asyncio.get_running_loop().run_in_executor(
                None, _keep, context, who, turn, reply, chats.STOPPED
            )  # fmt: skip
            _keeping.add(task)
            task.add_done_callback(_keeping.discard)
    if reply.call and message:
        price = await own_calls.price_of(context, reply.call)
        if price:
            await run_in_threadpool(chats.save_price, context, message, price["nano"], price["currency"])
            yield News("price", values=price)


def _keep(context: Context, who: Principal, turn: Turn, reply: _Reply, state: str) -> int:
    if state == chats.FAILED and not reply.text:
        reply.text = reply.refused
    return chats.save_answer(
        context, who, chat=turn.chat, parent=turn.question, text=reply.text, thoughts=reply.thoughts, state=state,
        model=turn.model, call=reply.call, offer=reply.offer,
    )  # fmt: skip


async def _read(
    context: Context, secret: str, fresh: bool, body: Json, reply: _Reply, changed: asyncio.Event
) -> None:  # fmt: skip
    try:
        async with own_calls.opened(context, secret, fresh, body) as stream:
            if stream.status_code != 200:
                reply.refused = own_calls.said(await stream.aread())["message"]
                return
            reply.call = stream.headers.get("x-baseload-call-id", "")
            reply.offer = stream.headers.get("x-baseload-offer", "")
            changed.set()
            cutter = FrameCutter()
            async for piece in stream.aiter_raw():
                for frame in cutter.feed(piece):
                    _take(frame, reply)
                changed.set()
    except own_calls.NoGateway as away:
        reply.refused = away.say
    finally:
        changed.set()


def _take(frame: bytes, reply: _Reply) -> None:
    data = data_of(frame)
    if data is None:
        return
    if data == b"[DONE]":
        reply.whole = True
        return
    try:
        news = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return
    if error := news.get("error"):
        reply.refused = str(error.get("message", "")) or "The answer broke off."
    for choice in news.get("choices") or ():
        delta = choice.get("delta") or {}
        reply.text += delta.get("content") or ""
        reply.thoughts += delta.get("reasoning_content") or delta.get("reasoning") or ""
