"""A request understood: its members, what it asks for, and what must be known before an offer is chosen.

In:     a route, a head, a caller, a body.
Out:    `Asked`, or the refusal that names what is wrong with the request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from baseload.dispatch.policy import Policy
from baseload.gateway.routing import Route
from baseload.gateway.steering import policies_of
from baseload.wire import chat, gemini, media, messages, responses
from baseload.wire.ask import OFF, Ask, InvalidMember
from baseload.wire.body import GUARDED, open_body
from baseload.wire.gemini import count, embed
from baseload.wire.raw import NULL
from baseload.wire.refusals import ConversationNotKept, StateNotKept
from baseload.wire.responses.pin import unpin

if TYPE_CHECKING:
    from baseload.gateway.catalog import Key
    from baseload.gateway.head import Head


class Pinned(msgspec.Struct, frozen=True):
    """A stored reply: its id at its provider, and which provider that is."""

    native: str
    provider: int


class Asked(msgspec.Struct, gc=False):
    """A request that has been understood: what serving and dispatching it need."""

    route: Route
    head: Head
    key: Key
    ask: Ask
    members: Any  # dict[str, Raw]; a form for transcriptions
    size: int  # bytes of its body
    pinned: Pinned | None = None  # the reply that this request goes on from
    policies: tuple[Policy, ...] = ()  # what the call itself asks of dispatch


Reader = Callable[[dict[str, Raw], Route], Ask]

_READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "completions": (GUARDED, lambda members, route: chat.read_request("completions", members)),
    "embeddings": (GUARDED, lambda members, route: chat.read_request("embeddings", members)),
    "responses": (responses.GUARDED, lambda members, route: responses.read_ask(members)),
    "messages": (messages.GUARDED, lambda members, route: messages.read_ask(members, counting=route.counts)),
    "gemini": (gemini.GUARDED, lambda members, route: gemini.read_ask(members, route.model, route.stream)),
    "gemini_embed": (embed.GUARDED, lambda members, route: embed.read_ask(members, route.model, batch=route.batch)),
}
_GEMINI_COUNT: tuple[tuple[str, ...], Reader] = (
    count.GUARDED,
    lambda members, route: count.read_ask(members, route.model),
)


def read_asked(route: Route, head: Head, key: Key, body: bytes, secret: bytes) -> Asked:
    """`secret`: what ids of stored responses are signed with. Raises Refusal for a request that cannot be served."""
    endpoint = route.endpoint
    if endpoint == "chat":
        members = open_body(body)
        policies = policies_of(members, head)
        return Asked(route, head, key, chat.read_request("chat", members), members, len(body), None, policies)
    medium = media.ENDPOINTS.get(endpoint)
    if medium is not None:
        opened = medium.open(body, head.content_type.decode("latin-1"))
        policies = policies_of(opened, head)
        return Asked(route, head, key, medium.read_ask(opened), opened, len(body), None, policies)
    guarded, read = _READERS[endpoint] if not route.counts or endpoint != "gemini" else _GEMINI_COUNT
    members = open_body(body, guarded)
    policies = policies_of(members, head)
    ask = read(members, route)
    pinned = _state(ask, members, key, secret) if endpoint == "responses" else None
    return Asked(route, head, key, ask, members, len(body), pinned, policies)


def _state(ask: Ask, members: dict[str, Raw], key: Key, secret: bytes) -> Pinned | None:
    """What the request goes on from. State that this gateway cannot lead back to its provider is refused."""
    raw = members.get("conversation")
    if raw is not None and raw != NULL:
        raise ConversationNotKept()
    raw = members.get("background")
    if raw is not None and raw not in OFF:  # it ends after the call: what it used would be metered by nobody
        raise InvalidMember(
            "A background response ends after the call; what it uses could not be metered here.",
            "Leave out background, or stream the response.",
            code="state_not_supported",
            param="background",
        )
    raw = members.get("previous_response_id")
    if raw is None or raw == NULL:
        return None
    try:
        response_id = msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        raise StateNotKept(bytes(raw)[:100].decode("utf-8", "replace")) from None
    found = unpin(response_id, key.account.id, secret)
    if found is None:
        raise StateNotKept(response_id)
    return Pinned(*found)
