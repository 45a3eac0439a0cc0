"""What a request asks for, whatever its protocol, and the readers of single members that every protocol uses.

In:     raw members of a request. Out: `Ask`, values, or a refusal that names the member at fault.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.raw import NULL

COUNT_MAX = 2**31 - 1
"""Largest `max_tokens` and `n` taken; beyond it other readers may wrap around."""

TRUE = Raw(b"true")
OFF = (Raw(b"false"), NULL)
_int = msgspec.json.Decoder(int).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode


class InvalidMember(Refusal):
    """A member of the request is missing or has a value that cannot be served; `param` names it."""

    code, status = "invalid_value", 400


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What a request asks for, as far as routing, holding and metering need it."""

    model: str
    stream: bool = False
    wants_usage: bool = False  # the client itself asked for usage in its stream
    max_output: int = 0  # tokens a choice; the larger where several limits are given; 0 = no limit given
    n: int = 1  # choices that are generated and billed, over all prompts
    thinking: bool | None = None  # None = not said
    cache_ttl: str = ""  # asked lifetime of cache writes, "" = not said
    units: tuple[tuple[str, int], ...] = ()  # own units that it may cost at most: (("images", 2),); see `wire/media`


def flag(name: str, raw: Raw | None) -> bool:
    if raw is None or raw in OFF:
        return False
    if raw == TRUE:
        return True
    raise InvalidMember(
        f"{name} must be true or false.", f"Send a boolean for {name}.", code="invalid_type", param=name
    )


def whole(name: str, raw: Raw) -> int:
    try:
        value = _int(raw)
    except msgspec.DecodeError:
        raise InvalidMember(
            f"{name} must be a whole number.", f"Send an integer for {name}.", code="invalid_type", param=name
        ) from None
    if value > COUNT_MAX:
        raise InvalidMember(f"{name} is larger than {COUNT_MAX}.", "Send a smaller number.", param=name)
    return value


def count(name: str, raw: Raw) -> int:
    """A limit of at least 1; 0 where the client sent null."""
    if raw == NULL:
        return 0
    value = whole(name, raw)
    if value < 1:
        raise InvalidMember(f"{name} is {value}; it must be at least 1.", f"Raise {name}, or leave it out.", param=name)
    return value


def unread(found: Raw | Mapping[str, Raw], known: Collection[str], at: str) -> dict[str, Raw]:
    """The members of an object that nobody here reads, by their whole names: what becomes of them must be said."""
    members = _members(found) if isinstance(found, Raw) else found
    return {f"{at}.{name}": raw for name, raw in members.items() if name not in known and raw != NULL}
