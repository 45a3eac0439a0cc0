"""The endpoints `messages` and `messages/count_tokens`: what a request asks, and the bytes that go upstream.

In:     the members of a request body. Out: `Ask` (what routing and holding need), the patched body, or a refusal that
        names the member at fault. Messages are not looked into but for two things: the lifetime of cache marks, and
        thinking that this gateway sealed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import Ask, InvalidMember, flag, whole
from baseload.wire.body import close_body, raw_value
from baseload.wire.canon.signature import MARK
from baseload.wire.messages.seals import opened_here, unproven
from baseload.wire.raw import ABSENT, FAILED, NULL

GUARDED = ("model", "stream", "max_tokens", "thinking", "service_tier", "speed", "inference_geo")
"""Members whose value decides where a call goes, what is held for it, or what it costs."""

_ARRAY, _OBJECT = 0x5B, 0x7B
_THINKS = {"enabled": True, "adaptive": True, "between_tools": True, "disabled": False}
_str = msgspec.json.Decoder(str).decode


def read_ask(members: Mapping[str, Raw], counting: bool = False) -> Ask:
    """Reads the members that decide route, hold and price. `counting`: for count_tokens, which generates nothing."""
    get = members.get
    raw = get("model")
    try:
        model = _str(raw)  # type: ignore[arg-type]
    except (msgspec.DecodeError, TypeError):
        raise _no_model(raw) from None
    if not model:
        raise _no_model(raw)
    raw = get("messages")
    if raw is None:
        raise InvalidMember(
            "The request has no messages.", "Add messages.", code="missing_required_parameter", param="messages"
        )
    if memoryview(raw)[0] != _ARRAY:
        raise InvalidMember(
            "messages must be an array of messages.",
            "Send an array of messages as messages.",
            code="invalid_type",
            param="messages",
        )
    if counting:
        return Ask(model, wants_usage=True)
    raw = get("max_tokens")
    if raw is None or raw == NULL:
        raise InvalidMember(
            "The request has no max_tokens.", "Add max_tokens.", code="missing_required_parameter", param="max_tokens"
        )
    limit = whole("max_tokens", raw)
    if limit < 0:
        raise InvalidMember(f"max_tokens is {limit}; it must not be negative.", "Raise max_tokens.", param="max_tokens")
    return Ask(
        model,
        flag("stream", get("stream")),
        True,  # usage comes with every stream of this protocol
        limit or 1,  # 0 fills the cache only; in an Ask it would mean that no limit was given
        1,
        _thinking(get("thinking")),
        "1h" if _asks_for_an_hour(members) else "",
    )


def patch(
    members: Mapping[str, Raw], ask: Ask, upstream_model: str, origin: str = "", lost: list[str] | None = None
) -> bytes:
    """The body for one offer: its model name, and of sealed thinking what is good at `origin`. All else as it came.

    `lost` gets the names of what is left out: another maker's thinking, and `thinking` itself where the vendor would
    refuse to think by a budget without it.
    """
    lost = [] if lost is None else lost
    patched = dict(members)
    patched["model"] = raw_value(upstream_model)
    messages = members.get("messages")
    if messages is not None and MARK in bytes(messages):
        patched["messages"] = opened_here(messages, origin, lost)
        if lost and _by_budget(members.get("thinking")) and unproven(patched["messages"]):
            del patched["thinking"]
            lost.append("thinking")
    return close_body(patched)


def _no_model(raw: Raw | None) -> InvalidMember:
    if raw is None:
        return InvalidMember(
            "The request names no model.", "Add model.", code="missing_required_parameter", param="model"
        )
    return InvalidMember(
        "model must be a string and not empty.", "Send a model's name.", code="invalid_type", param="model"
    )


class _Type(msgspec.Struct, gc=False):
    type: str = ""


_type = msgspec.json.Decoder(_Type).decode


def _thinking(raw: Raw | None) -> bool | None:
    """Whether thinking is asked for. A shape that is not known says nothing: it is the provider's to refuse."""
    if raw is None or raw == NULL:
        return None
    try:
        return _THINKS.get(_type(raw).type)
    except FAILED:
        return None


def _by_budget(raw: Raw | None) -> bool:
    try:
        return raw is not None and _type(raw).type == "enabled"
    except FAILED:
        return False


class _Marked(msgspec.Struct, gc=False):
    """A block, a tool or a message: what may carry a cache mark, or hold what does."""

    cache_control: Raw = ABSENT
    content: Raw = ABSENT


class _Mark(msgspec.Struct, gc=False):
    ttl: str | None = None


_marked_list = msgspec.json.Decoder(list[_Marked]).decode
_marked = msgspec.json.Decoder(_Marked).decode
_raw_list = msgspec.json.Decoder(list[Raw]).decode
_mark = msgspec.json.Decoder(_Mark).decode
_HOUR = b'"1h"'
_DEEP = 4  # messages > content > tool_result's content > search_result's content


def _asks_for_an_hour(members: Mapping[str, Raw]) -> bool:
    """Whether a cache mark of the request asks for an hour.

    Inside a text the quotes of "1h" are escaped, so looking for the bytes is nearly always the whole answer; a hit
    (also one inside a tool's input) is looked at in its place.
    """
    raw = members.get("cache_control")
    if raw is not None and _is_hour(raw):
        return True
    for name in ("tools", "system", "messages"):
        raw = members.get(name)
        if raw is not None and _HOUR in bytes(raw) and _hour_within(raw, _DEEP):
            return True
    return False


def _hour_within(raw: Raw, depth: int) -> bool:
    if memoryview(raw)[0] != _ARRAY or not depth:
        return False
    for item in _items(raw):
        if item.cache_control is not ABSENT and _is_hour(item.cache_control):
            return True
        if item.content is not ABSENT and _HOUR in bytes(item.content) and _hour_within(item.content, depth - 1):
            return True
    return False


def _items(raw: Raw) -> list[_Marked]:
    try:
        return _marked_list(raw)
    except FAILED:
        pass
    try:
        return [_marked(item) for item in _raw_list(raw) if memoryview(item)[0] == _OBJECT]
    except FAILED:
        return []


def _is_hour(raw: Raw) -> bool:
    try:
        return _mark(raw).ttl == "1h"
    except FAILED:
        return False
