"""Canonical request -> the body of a chat request for one provider.

In:     `Request`, `Target` (facts of the offer and its vendor's dialect). Out: `Written`: the body and what was lost.
Members come in one fixed order and nothing in them depends on time or chance: the same conversation is the same bytes,
so that prompt caches are hit (protocols.md, pitfall 19).
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.wire.canon import ids
from baseload.wire.canon.carry import Loss, Target, Written
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Request
from baseload.wire.chat.messages_out import MessageWriter
from baseload.wire.chat.parts_out import Members
from baseload.wire.chat.thought_out import thought_members
from baseload.wire.chat.tools_out import choice_members, format_members, tool_members
from baseload.wire.chat.words import tier_of
from baseload.wire.raw import ABSENT

_encode = msgspec.json.Encoder().encode

_PLAIN = (
    # field of Request, member, feature of the carry table
    ("temperature", "temperature", "temperature"),
    ("top_p", "top_p", "top_p"),
    ("top_k", "top_k", "top_k"),
    ("seed", "seed", "seed"),
    ("presence_penalty", "presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty", "frequency_penalty"),
    ("logit_bias", "logit_bias", "logit_bias"),
    ("logprobs", "logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs", "logprobs"),
    ("user", "user", "user"),
    ("metadata", "metadata", "metadata"),
    ("cache_key", "prompt_cache_key", "cache"),
    ("verbosity", "verbosity", "verbosity"),
)
_IDS = ("user", "cache_key")  # 64 characters at most
_USER = {"deepseek": "user_id", "zhipu": "user_id"}  # vendors.md 3.2, 3.7
_STOPS = {"openai": 4, "azure": 4, "azure_deployments": 4}  # protocols.md, 2.1
_OPEN_INTERVAL = {"zhipu": (0.01, 0.99)}  # vendors.md 3.7: temperature in (0, 1), both ends refused


def write(request: Request, target: Target) -> Written:
    loss = Loss(target)
    body: Members = {"model": target.model or request.model}
    body["messages"] = MessageWriter(request, target, loss).write(request.turns)
    body |= tool_members(request, target, loss)
    body |= choice_members(request, target, loss)
    body |= format_members(request, target, loss)
    body |= thought_members(request, target, loss)
    if request.max_output is not None:
        body[target.max_tokens_name] = request.max_output
    if request.n > 1:
        _put(body, "n", request.n, "n", "n", request, target, loss)
    _stop(body, request, target, loss)
    for field, member, feature in _PLAIN:
        value = getattr(request, field)
        if value is not None and value is not ABSENT and value is not False and value != "":
            short = field in _IDS and isinstance(value, str)
            _put(body, member, ids.short(value) if short else value, feature, field, request, target, loss)
    _clamp(body, request, target, loss)
    if target.dialect in _USER and "user" in body:
        body[_USER[target.dialect]] = body.pop("user")
    _tier(body, request, target, loss)
    for name, raw in request.others.items():
        if request.protocol == "chat" and "." not in name and name not in body and name not in target.unsupported:
            body[name] = raw
        else:
            loss.lose("other", name)
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return Written(body=_encode(body), dropped=loss.dropped)


def _put(
    body: Members, member: str, value: Any, feature: str, field: str, request: Request, target: Target, loss: Loss
) -> None:
    if feature in target.unsupported or member in target.unsupported:
        loss.lose(feature, name_of(request.protocol, field))
    else:
        body[member] = value


def _stop(body: Members, request: Request, target: Target, loss: Loss) -> None:
    if not request.stop:
        return
    most = _STOPS.get(target.dialect, len(request.stop))
    if len(request.stop) > most:
        loss.lose("stop", name_of(request.protocol, "stop"), f"The chosen provider takes {most} stop sequences.")
    _put(body, "stop", list(request.stop[:most]), "stop", "stop", request, target, loss)


def _clamp(body: Members, request: Request, target: Target, loss: Loss) -> None:
    """Ranges of chat (0 to 2), and what a vendor says otherwise (pitfall 15)."""
    low, high = _OPEN_INTERVAL.get(target.dialect, (0.0, 2.0))
    value = body.get("temperature")
    if value is not None and not low <= value <= high:
        loss.lose("temperature", name_of(request.protocol, "temperature"))
        body["temperature"] = min(max(value, low), high)


def _tier(body: Members, request: Request, target: Target, loss: Loss) -> None:
    if not request.tier:
        return
    tier = request.tier if request.protocol == "chat" else tier_of(request.tier)
    if tier:
        _put(body, "service_tier", tier, "tier", "tier", request, target, loss)
    else:
        loss.lose("tier", name_of(request.protocol, "tier"))
