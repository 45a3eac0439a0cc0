"""A client's chat request -> canonical form.

In:     the members of the body (`body.open_body`). Out: `Request`, or a refusal that names the member at fault.
Every member of protocols.md 2.1 is read, and vendors' switches for thinking; whatever else stands there goes into
`others` under its own name (`messages.3.partial` for one of a message), so that a writer can say what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from baseload.wire.ask import InvalidMember, count, flag
from baseload.wire.canon.request import Request, link
from baseload.wire.chat.messages_in import read_messages
from baseload.wire.chat.parts_in import MARK_TTL
from baseload.wire.chat.tools_in import choice_of, format_of, thought_of, tools_of
from baseload.wire.chat.values import (
    BRACKET,
    QUOTE,
    array,
    boolean,
    first_byte,
    integer,
    needed,
    object_,
    real,
    said,
    string,
    string_or,
)
from baseload.wire.raw import ABSENT, NULL

_NAMES = """
model messages stream stream_options tools functions tool_choice function_call parallel_tool_calls response_format
reasoning_effort reasoning chat_template_kwargs thinking thinking_budget enable_thinking max_completion_tokens
max_tokens temperature top_p top_k stop n seed presence_penalty frequency_penalty logit_bias logprobs top_logprobs user
safety_identifier metadata service_tier prompt_cache_key verbosity web_search_options
"""
_READ = frozenset(_NAMES.split())
_SAYS_NOTHING = {
    # The default, said aloud: nothing is lost without it.
    "store": (b"false",),
    "modalities": (b'["text"]',),
    "prompt_cache_options": (b"{}",),
    "moderation": (b"{}",),
}


def read(members: Mapping[str, Raw]) -> Request:
    model = string(needed(members, "model", "model"), "model")
    if not model:
        raise InvalidMember("model is empty.", "Send a model's name.", param="model")
    turns, others = read_messages(needed(members, "messages", "messages"), _cache_ttl(members))
    thought, more = thought_of(members)
    others |= more
    for name, raw in members.items():
        if name not in _READ and raw != NULL and bytes(raw).strip() not in _SAYS_NOTHING.get(name, ()):
            others[name] = raw
    user, other_user = string_or(members, "safety_identifier", "safety_identifier"), string_or(members, "user", "user")
    if user and other_user and user != other_user:
        others["user"] = members["user"]
    request = Request(
        protocol="chat",
        model=model,
        turns=turns,
        stream=flag("stream", members.get("stream")),
        tools=tools_of(members, others),
        choice=choice_of(members),
        parallel=_boolean(members, "parallel_tool_calls"),
        format=format_of(members),
        thought=thought,
        max_output=_limit(members),
        temperature=_real(members, "temperature"),
        top_p=_real(members, "top_p"),
        top_k=_integer(members, "top_k"),
        stop=_stop(members),
        n=count("n", members["n"]) or 1 if "n" in members else 1,
        seed=_integer(members, "seed"),
        presence_penalty=_real(members, "presence_penalty"),
        frequency_penalty=_real(members, "frequency_penalty"),
        logit_bias=_object(members, "logit_bias"),
        logprobs=flag("logprobs", members.get("logprobs")),
        top_logprobs=_integer(members, "top_logprobs"),
        user=user or other_user,
        metadata=_object(members, "metadata"),
        tier=string_or(members, "service_tier", "service_tier"),
        cache_key=string_or(members, "prompt_cache_key", "prompt_cache_key"),
        verbosity=string_or(members, "verbosity", "verbosity"),
        others=others,
    )
    link(request)
    return request


def _limit(members: Mapping[str, Raw]) -> int | None:
    """The larger where both names are used, as the hold counts (`ask.py`)."""
    names = ("max_completion_tokens", "max_tokens")
    return max((count(name, members[name]) for name in names if name in members), default=0) or None


def _cache_ttl(members: Mapping[str, Raw]) -> str:
    raw = said(members, "prompt_cache_options")
    if raw is None:
        return MARK_TTL
    return string_or(object_(raw, "prompt_cache_options"), "ttl", "prompt_cache_options.ttl") or MARK_TTL


def _stop(members: Mapping[str, Raw]) -> tuple[str, ...]:
    raw = said(members, "stop")
    if raw is None:
        return ()
    kind = first_byte(raw)
    if kind == QUOTE:
        return (string(raw, "stop"),)
    if kind != BRACKET:
        raise InvalidMember("stop must be a string or an array of strings.", "Send strings as stop.", param="stop")
    return tuple(string(one, f"stop.{at}") for at, one in enumerate(array(raw, "stop")))


def _real(members: Mapping[str, Raw], name: str) -> float | None:
    raw = said(members, name)
    return None if raw is None else real(raw, name)


def _integer(members: Mapping[str, Raw], name: str) -> int | None:
    raw = said(members, name)
    return None if raw is None else integer(raw, name)


def _boolean(members: Mapping[str, Raw], name: str) -> bool | None:
    raw = said(members, name)
    return None if raw is None else boolean(raw, name)


def _object(members: Mapping[str, Raw], name: str) -> Raw:
    """An object as it came, checked to be one; an empty one says nothing."""
    raw = said(members, name)
    return raw if raw is not None and object_(raw, name) else ABSENT
