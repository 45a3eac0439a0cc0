"""Members under two names: Google's JSON is protobuf's, whose readers take `maxOutputTokens` and `max_output_tokens`.

In:     the raw members of one object of the API. Out: the values by their camelCase names, and the spelling the client
        used for what is reported back. An object that says one member under both names is refused: which of the two a
        reader takes is its own affair. Objects of the client's own making (arguments, responses, schemas of
        properties) are never looked at with this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
from msgspec import Raw

from baseload.wire.ask import COUNT_MAX, InvalidMember
from baseload.wire.body import MEMBERS_MAX, InvalidJson
from baseload.wire.raw import FAILED, NULL

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_str = msgspec.json.Decoder(str).decode
_strings = msgspec.json.Decoder(list[str]).decode
_bool = msgspec.json.Decoder(bool).decode
_float = msgspec.json.Decoder(float).decode

T = TypeVar("T")
D = TypeVar("D")


def camel(name: str) -> str:
    """`max_output_tokens` -> `maxOutputTokens`; a name without an underscore is itself."""
    if "_" not in name:
        return name
    head, *rest = name.split("_")
    return head + "".join([word[:1].upper() + word[1:] for word in rest])


class Members:
    """One object of a request. A null counts as absent, as protobuf has it."""

    __slots__ = ("_spelled", "_values", "at")

    def __init__(self, members: dict[str, Raw], at: str = "") -> None:
        self.at = at
        self._values: dict[str, Raw] = {}
        self._spelled: dict[str, str] = {}
        for name, value in members.items():
            plain = camel(name)
            if plain in self._values:
                path = f"{at}.{name}" if at else name
                raise InvalidJson(
                    f"{path} is given under two spellings, {self._spelled.get(plain, plain)!a} and {name!a}.",
                    f"Keep {plain} alone.",
                    code="ambiguous_member",
                    param=path,
                )
            self._values[plain] = value
            if plain != name:
                self._spelled[plain] = name

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The names of the members that are not null."""
        return (name for name, value in self._values.items() if value != NULL)

    def get(self, name: str) -> Raw | None:
        value = self._values.get(name)
        return None if value is None or value == NULL else value

    def param(self, name: str) -> str:
        """The member's path as the client spelled it."""
        own = self._spelled.get(name, name)
        return f"{self.at}.{own}" if self.at else own

    def text(self, name: str) -> str:
        """A string; "" where it is absent."""
        return self._as(name, _str, "a string", "")

    def strings(self, name: str) -> list[str]:
        return self._as(name, _strings, "an array of strings", [])

    def flag(self, name: str) -> bool | None:
        return self._as(name, _bool, "true or false", None)

    def number(self, name: str) -> float | None:
        return self._as(name, _float, "a number", None)

    def whole(self, name: str) -> int | None:
        """An integer, also as `4.0` or `"4"`: protobuf's JSON takes them, Google's own library sends `topK: 4.0`."""
        raw = self.get(name)
        if raw is None:
            return None
        text = bytes(raw).strip(b'"')
        try:
            value = float(text)
            exact = int(text) if text.lstrip(b"-").isdigit() else int(value)
        except (ValueError, OverflowError):
            raise self._wrong(name, "a whole number") from None
        if exact != value:
            raise self._wrong(name, "a whole number")
        if not -COUNT_MAX <= exact <= COUNT_MAX:
            raise InvalidMember(
                f"{self.param(name)} is beyond {COUNT_MAX}.", "Send a smaller number.", param=self.param(name)
            )
        return exact

    def object(self, name: str) -> Members | None:
        raw = self.get(name)
        return None if raw is None else opened(raw, self.param(name))

    def objects(self, name: str) -> list[Members]:
        """An array of objects, each with its place in the path."""
        at = self.param(name)
        return [opened(raw, f"{at}.{i}") for i, raw in enumerate(self.items(name))]

    def items(self, name: str) -> list[Raw]:
        return self._as(name, _list, "an array", [])

    def _as(self, name: str, decode: Callable[[Raw], T], kind: str, default: D) -> T | D:
        raw = self.get(name)
        if raw is None:
            return default
        try:
            return decode(raw)
        except FAILED:
            raise self._wrong(name, kind) from None

    def _wrong(self, name: str, kind: str) -> InvalidMember:
        path = self.param(name)
        return InvalidMember(f"{path} must be {kind}.", f"Send {kind} for {path}.", code="invalid_type", param=path)


def opened(raw: Raw, at: str) -> Members:
    """The members of one object of the API."""
    try:
        members = _members(raw)
    except FAILED:
        raise InvalidMember(
            f"{at} must be an object.", f"Send an object as {at}.", code="invalid_type", param=at
        ) from None
    if len(members) > MEMBERS_MAX:
        raise InvalidJson(f"{at} has {len(members)} members.", f"Send at most {MEMBERS_MAX}.", param=at)
    return Members(members, at)
