"""What a call itself asks of dispatch: the body's member `baseload` and the headers `x-baseload-*`.

In:     raw members (the member is taken out: no provider sees it), the request's head.
Out:    policies, outermost first; a refusal that names the member or header at fault.
Costs one dict look-up and one search in the head where nothing is said.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from baseload.dispatch.policy import Policy
from baseload.dispatch.rules import BadPolicy, check_policy
from baseload.wire.ask import InvalidMember
from baseload.wire.raw import NULL

if TYPE_CHECKING:
    from baseload.gateway.head import Head

MEMBER = "baseload"
_PREFIX = b"\r\nx-baseload-"
_NOT_A_CALLS = {
    "consents": "An account agrees to terms, not a call.",
    "failed_attempts": "Who pays is the account's policy to say.",
}
_OURS = ("lossless", "endpoint")  # headers of this family that mean something else


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


_HEADERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("objective", "work", "pin", "max_cost", "max_price_input", "max_price_output"), str),
    **dict.fromkeys(
        ("fallbacks", "regions", "residency", "vendors", "providers", "not_vendors", "supplies", "require"), _words
    ),
    **dict.fromkeys(("quality_min", "first_token_ms", "tokens_per_s", "attempts_max"), int),
    "deadline_s": float,
    "hedge": _flag,
}
_KNOWN = tuple(name for name in Policy.__struct_fields__ if name not in _NOT_A_CALLS)


def policies_of(members: Any, head: Head) -> tuple[Policy, ...]:
    """The call's own policies, () where it says nothing. Takes the member out of `members`."""
    found: list[Policy] = []
    if _PREFIX in head.low and (said := _headers(head.raw, head.low)):
        found.append(_policy(said, lambda name: f"x-baseload-{name.replace('_', '-').replace('.', '-')}"))
    raw = members.pop(MEMBER, None) if type(members) is dict and MEMBER in members else None
    if raw is not None and raw != NULL:
        found.append(_policy(_object(raw), lambda name: f"{MEMBER}.{name}" if name else MEMBER))
    return tuple(found)


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        raise InvalidMember(f"{MEMBER} must be an object.", 'As in {"objective": "fastest"}.', param=MEMBER)
    for name in found:
        _check_name(name, f"{MEMBER}.{name}")
    return found


def _headers(head: bytes, low: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    at = low.find(_PREFIX)
    while at >= 0:
        end = head.find(b"\r\n", at + 2)
        name, _, value = head[at + 2 : end if end >= 0 else len(head)].partition(b":")
        word = name[len(_PREFIX) - 2 :].decode("latin-1").strip().lower()
        if word not in _OURS:
            _put(found, word, value.decode("latin-1").strip())
        at = low.find(_PREFIX, at + 2)
    return found


def _put(found: dict[str, Any], word: str, text: str) -> None:
    name, header = word.replace("-", "_"), f"x-baseload-{word[:60]}"
    read = _HEADERS.get(name)
    if read is None:
        _check_name(name, header)
        raise InvalidMember(f"{header} has no form as a header.", f"Put {name} into the body's {MEMBER}.", param=header)
    try:
        value = read(text)
    except (ValueError, KeyError):
        raise InvalidMember(f"{header} is {text[:60]!r}, which it cannot be.", "Correct it.", param=header) from None
    if name.startswith("max_price_"):
        found.setdefault("max_price", {})[name.removeprefix("max_price_")] = value
    else:
        found[name] = value


def _check_name(name: str, param: str) -> None:
    if name in _NOT_A_CALLS:
        raise InvalidMember(f"{param} cannot be set by a call.", _NOT_A_CALLS[name], param=param)
    if name in _KNOWN:
        return
    close = difflib.get_close_matches(name[:60], _KNOWN, 1)
    fix = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(_KNOWN)}."
    raise InvalidMember(f"{param[:100]} is not known.", fix, code="unknown_parameter", param=param[:100])


_AT = re.compile(r" - at `\$\.?([^`]*)`$")


def _policy(said: dict[str, Any], param_of: Callable[[str], str]) -> Policy:
    try:
        policy = msgspec.convert(said, Policy)
        check_policy(policy)
    except msgspec.ValidationError as error:
        at = _AT.search(str(error))
        param = param_of(re.sub(r"\[.*", "", at[1]) if at else "")
        say = _AT.sub("", str(error))
        raise InvalidMember(f"{param}: {say}.", "See docs/dispatch/policies.md.", param=param) from None
    except BadPolicy as bad:
        raise InvalidMember(bad.say, bad.fix, param=param_of(bad.param or "")) from None
    return policy
