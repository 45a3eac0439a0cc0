"""Function arguments that come in pieces: `partialArgs`, each a JSON path and a value or a piece of a string.

In:     the raw `partialArgs` arrays of one call. Out: its arguments as JSON text. Numbers keep their digits.
Holds:  the arguments, at most ARGUMENTS_MAX characters. A path that cannot be followed is `ProviderFault("garbage")`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.raw import ABSENT, FAILED

ARGUMENTS_MAX = 16 * 2**20
DEPTH_MAX = 64
PATH_MAX = 4096

_STEP = re.compile(r"""\.([^.\[\]'"]+)|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\[(\d{1,9})\]""")
_ESCAPED = re.compile(r"\\(.)")


class _Piece(msgspec.Struct, gc=False, rename="camel"):
    json_path: str = "$"
    string_value: str | None = None
    number_value: Raw = ABSENT
    bool_value: bool | None = None
    null_value: Raw = ABSENT


_decode = msgspec.json.Decoder(list[_Piece]).decode
_encode = msgspec.json.Encoder().encode


class PartialArguments:
    """Grows one call's arguments."""

    __slots__ = ("_held", "_root")

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}
        self._held = 0

    def put(self, pieces: Raw) -> None:
        self._held += len(pieces)
        if self._held > ARGUMENTS_MAX:
            raise ProviderFault("garbage", f"arguments of a call exceed {ARGUMENTS_MAX} characters", sent=True)
        try:
            found = _decode(pieces)
        except FAILED:
            raise _garbage("partialArgs is no array of pieces") from None
        for piece in found:
            self._set(_steps(piece.json_path), piece)

    def text(self) -> str:
        """The arguments as JSON text."""
        return _encode(_joined(self._root)).decode()

    def _set(self, steps: list[str | int], piece: _Piece) -> None:
        at: Any = self._root
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            fresh: Any = [] if isinstance(following, int) else {}
            if isinstance(step, int):
                if not isinstance(at, list) or isinstance(at, _Text) or step > len(at):
                    raise _garbage("a path of partialArgs leads nowhere")
                if step == len(at):
                    at.append(_value(piece) if following is None else fresh)
                    if following is None:
                        return
            elif not isinstance(at, dict):
                raise _garbage("a path of partialArgs leads nowhere")
            if following is None:
                _write(at, step, piece)
                return
            at = at.setdefault(step, fresh) if isinstance(at, dict) else at[step]


class _Text(list[str]):
    """A string that still grows: its pieces."""


def _write(at: Any, step: str | int, piece: _Piece) -> None:
    old = at.get(step) if isinstance(at, dict) else at[step]
    if isinstance(old, _Text) and piece.string_value is not None:
        old.append(piece.string_value)
    else:
        at[step] = _value(piece)


def _value(piece: _Piece) -> Any:
    if piece.string_value is not None:
        return _Text([piece.string_value])
    if piece.number_value is not ABSENT:
        return piece.number_value
    return piece.bool_value


def _steps(path: str) -> list[str | int]:
    if len(path) > PATH_MAX:
        raise _garbage("a path of partialArgs is too long")
    at, steps = 1 if path[:1] == "$" else 0, []  # type: tuple[int, list[str | int]]
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise _garbage("a path of partialArgs cannot be read")
        name, single, double, index = found.groups()
        if index is not None:
            steps.append(int(index))
        elif name is not None:
            steps.append(name)
        else:
            steps.append(_ESCAPED.sub(r"\1", single if single is not None else double))
        at = found.end()
    if not steps or len(steps) > DEPTH_MAX or isinstance(steps[0], int):
        raise _garbage("a path of partialArgs leads nowhere")
    return steps


def _joined(value: Any) -> Any:
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _joined(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_joined(each) for each in value]
    return value


def _garbage(say: str) -> ProviderFault:
    return ProviderFault("garbage", say, sent=True)
