"""Readers of a request's members at any depth: a value of the right kind, or a refusal that names the member.

In:     a raw value and its name in the client's words (`messages.2.content.0.text`). Out: the value.
A member that is absent or null is None; what may not be missing is asked for with `needed`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember
from baseload.wire.raw import FAILED, NULL

_decode_str = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode
_decode_float = msgspec.json.Decoder(float).decode
_decode_bool = msgspec.json.Decoder(bool).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
QUOTE, BRACKET, BRACE = 0x22, 0x5B, 0x7B


def said(found: Mapping[str, Raw], name: str) -> Raw | None:
    """The member, unless it is absent or null."""
    raw = found.get(name)
    return None if raw is None or raw == NULL else raw


def needed(found: Mapping[str, Raw], name: str, param: str) -> Raw:
    raw = said(found, name)
    if raw is None:
        raise InvalidMember(f"{param} is missing.", f"Add {param}.", code="missing_required_parameter", param=param)
    return raw


def first_byte(raw: Raw) -> int:
    return memoryview(raw)[0]


def string(raw: Raw, param: str) -> str:
    try:
        return _decode_str(raw)
    except FAILED:
        if first_byte(raw) == QUOTE:
            raise InvalidMember(
                f"{param} holds half of a surrogate pair.",
                "Cut texts between whole characters, not inside one.",
                param=param,
            ) from None
        raise wrong(param, "a string") from None


def string_or(found: Mapping[str, Raw], name: str, param: str) -> str:
    """The string, "" where it is absent or null."""
    raw = said(found, name)
    return "" if raw is None else string(raw, param)


def integer(raw: Raw, param: str) -> int:
    try:
        return _decode_int(raw)
    except FAILED:
        raise wrong(param, "a whole number") from None


def real(raw: Raw, param: str) -> float:
    try:
        return _decode_float(raw)
    except FAILED:
        raise wrong(param, "a number") from None


def boolean(raw: Raw, param: str) -> bool:
    try:
        return _decode_bool(raw)
    except FAILED:
        raise wrong(param, "true or false") from None


def array(raw: Raw, param: str) -> list[Raw]:
    try:
        return _decode_items(raw)
    except FAILED:
        raise wrong(param, "an array") from None


def object_(raw: Raw, param: str) -> dict[str, Raw]:
    try:
        return _decode_members(raw)
    except FAILED:
        raise wrong(param, "an object") from None


def wrong(param: str, kind: str) -> InvalidMember:
    return InvalidMember(f"{param} must be {kind}.", f"Send {kind} as {param}.", code="invalid_type", param=param)
