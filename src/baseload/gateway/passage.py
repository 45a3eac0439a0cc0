"""How one call passes from its client to one offer: forwarded with patches, or translated.

In:     an understood request (`Asked`), an offer.
Out:    `Passage`: the body for the provider, and what turns the provider's bytes into the client's.

Forwarded bytes need no shaper, but in three cases: a stored response's id is marked with its provider, events of a
Responses stream are numbered, and a Gemini client that did not ask for SSE gets a JSON array.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from baseload.gateway.asked import Asked
from baseload.gateway.head import value_of
from baseload.gateway.routing import GENERATION
from baseload.gateway.shapers import Arrayed, Embedded, Numbered, Shaper, Stored
from baseload.wire import gemini, media, messages, responses
from baseload.wire.ask import InvalidMember
from baseload.wire.canon.carry import Loss, Target, View
from baseload.wire.chat import patch_request
from baseload.wire.gemini import embed
from baseload.wire.translation import Translation

if TYPE_CHECKING:
    from baseload.gateway.catalog import Offer
    from baseload.gateway.doors import Door
    from baseload.gateway.head import Head
    from baseload.gateway.thoughts import ThoughtStore


class Passage(msgspec.Struct, gc=False):
    """`plain`: nothing in the request's head depends on the call."""

    door: str
    way: Door
    body: bytes
    shaper: Shaper | None = None
    dropped: tuple[str, ...] = ()
    headers: Mapping[str, str] | None = None  # of the client, for the provider
    query: str = ""
    content_type: str = ""  # "" = JSON
    plain: bool = True
    cache_ttl: str | None = None  # lifetime of the cache marks that were written; None = the client's own went on


def passage_of(asked: Asked, offer: Offer, call_id: str, at_ns: int, thoughts: ThoughtStore, secret: bytes) -> Passage:
    """The way to `offer`. Raises Uncarried where its protocol cannot carry what is asked."""
    endpoint = asked.route.endpoint
    door = offer.doors[endpoint]
    if door == endpoint:
        lost: list[str] = []
        if door == "chat":  # most calls
            body = patch_request(door, asked.members, asked.ask, offer.upstream_model, lost)
            passage = Passage(door, offer.ways[door], body)
        else:
            passage = _forward(asked, offer, door, secret, lost)
        if lost:
            passage.dropped = _named(lost, _target(asked, offer, door))
        return passage
    if endpoint in GENERATION:
        return _translate(asked, offer, door, call_id, at_ns, thoughts)
    return _embed(asked, offer, door)


def _forward(asked: Asked, offer: Offer, door: str, secret: bytes, lost: list[str]) -> Passage:
    ask, members, model, way = asked.ask, asked.members, offer.upstream_model, offer.ways[door]
    if door in ("completions", "embeddings"):
        return Passage(door, way, patch_request(door, members, ask, model))
    origin = way.target.origin
    if door == "messages":
        passage = Passage(door, way, messages.patch(members, ask, model, origin, lost))
        passage.headers = anthropic_headers(asked.head)
        passage.query = upstream_query(asked.head.query)
        passage.plain = not (passage.headers or passage.query)
        return passage
    if door == "responses":
        previous = asked.pinned.native if asked.pinned is not None else None
        passage = Passage(door, way, responses.patch(members, ask, model, origin, previous, lost))
        keeps = offer.vendor.keeps_state
        if keeps or ask.stream:
            passage.shaper = Stored(offer.provider.id, asked.key.account.id, secret) if keeps else Numbered()
        return passage
    if door == "gemini":
        passage = Passage(door, way, gemini.patch(members, ask, model, origin, lost))
        if asked.route.array:
            passage.shaper = Arrayed()
        return passage
    if door == "gemini_embed":
        way = offer.ways["gemini_embed_batch"] if asked.route.batch else way
        return Passage(way.name, way, embed.patch(members, model))
    passage = Passage(door, way, media.ENDPOINTS[door].patch(members, ask, model))
    if door == "transcriptions":
        passage.content_type, passage.plain = asked.head.content_type.decode("latin-1"), False
    return passage


def _translate(asked: Asked, offer: Offer, door: str, call_id: str, at_ns: int, thoughts: ThoughtStore) -> Passage:
    ask, route = asked.ask, asked.route
    target = _target(asked, offer, door)
    view = View(
        model=ask.model, id=call_id, created_s=at_ns // 1_000_000_000, origin=target.origin,
        wants_usage=ask.wants_usage, array=route.array,
    )  # fmt: skip
    kept = thoughts.of(asked.key.account.id) if route.endpoint == "chat" else None
    translation = Translation(route.endpoint, target, view, kept)
    written = translation.request(asked.members, ask.model, ask.stream)
    way = offer.ways.get(written.door) or offer.ways[door]
    passage = Passage(way.name, way, written.body)
    passage.shaper = translation
    passage.cache_ttl = written_ttl(written.body)
    passage.dropped = written.dropped
    return passage


_MARK_TTL = re.compile(
    rb'"(?:cache_control":\{"type":"ephemeral"|cachePoint":\{"type":"default"|prompt_cache_breakpoint":\{"mode":"explicit")'
    rb',"ttl":"([0-9]{1,2}[mh])"'
)
_LONGER = ("", "5m", "30m", "1h", "12h")


def written_ttl(body: bytes) -> str:
    """The longest lifetime of the cache marks in a translated request, "" = none says one.

    A translation rounds lifetimes and leaves marks out, so what the client asked for is not what the provider bills.
    """
    if b',"ttl":"' not in body:
        return ""
    return max(
        (found.decode() for found in _MARK_TTL.findall(body) if found.decode() in _LONGER),
        key=_LONGER.index,
        default="",
    )


def _embed(asked: Asked, offer: Offer, door: str) -> Passage:
    """Embeddings are translated between OpenAI's form and Gemini's."""
    vendor = offer.vendor.name
    if door == "embeddings":
        target, batch = _target(asked, offer, door), asked.route.batch
        written = embed.to_openai(asked.members, target, batch=batch)
        shaper = Embedded("openai-embeddings", vendor, partial(embed.reply_from_openai, batch=batch))
        way = door
    else:
        target = _target(asked, offer, "gemini_embed_batch")
        as_base64 = embed.wants_base64(asked.members)
        written = embed.from_openai(asked.members, target)
        write = partial(embed.reply_to_openai, model=asked.ask.model, as_base64=as_base64)
        shaper = Embedded("gemini", vendor, write)
        way = "gemini_embed_batch"
    passage = Passage(way, offer.ways[way], written.body)
    passage.shaper = shaper
    passage.dropped = written.dropped
    return passage


def _named(lost: list[str], target: Target) -> tuple[str, ...]:
    """Thinking of another maker that was left out of a forwarded body. Raises Uncarried where nothing may be lost."""
    loss = Loss(target)
    for name in lost:
        loss.lose("thinking", name)
    return loss.dropped


def _target(asked: Asked, offer: Offer, way: str) -> Target:
    target = offer.ways[way].target
    return msgspec.structs.replace(target, lossless=True) if lossless(asked.head) else target


_ANTHROPIC = re.compile(rb"\r\n(anthropic-[a-z0-9-]{1,60}):[ \t]*([^\r\n]*)", re.IGNORECASE)


def anthropic_headers(head: Head) -> dict[str, str]:
    """The client's `anthropic-*` headers (version, betas): they go on unchanged."""
    if b"\r\nanthropic-" not in head.low:
        return {}
    return {
        name.decode().lower(): value.strip().decode("latin-1")
        for name, value in _ANTHROPIC.findall(head.raw)
        if value.strip()
    }


def upstream_query(query: bytes) -> str:
    """The client's query for the provider (`beta=true`): without the key, which is ours."""
    items = query.decode("latin-1").split("&")
    return "&".join(item for item in items if unquote(item.partition("=")[0]) != "key")


def lossless(head: Head) -> bool:
    """`x-baseload-lossless: true`: refuse whatever cannot be carried, also what would be dropped."""
    if b"\r\nx-baseload-lossless:" not in head.low:
        return False
    said = value_of(head.raw, head.low, b"x-baseload-lossless").lower()
    if said not in (b"true", b"false"):  # who wants nothing lost must not be misunderstood
        raise InvalidMember("x-baseload-lossless is true or false.", "Send true, or leave the header out.")
    return said == b"true"
