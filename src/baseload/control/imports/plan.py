"""A plan: tables of baseload.toml, secrets, keys and balances, each with where it came from; its report. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

State = Literal["taken", "changed", "not carried"]
Table = dict[str, Any]
_NAME = re.compile(r"[^a-z0-9._-]+")


class Line(msgspec.Struct, frozen=True):
    """One line of the report."""

    state: State
    path: str  # in the source
    what: str  # what it became
    why: str = ""


class KeyWish(msgspec.Struct, frozen=True, kw_only=True):
    """A key that clients have already: it must go on working."""

    source: str
    account: str
    name: str
    text: str
    models: list[str] = []
    expires_ns: int = 0
    budget: str = ""  # the most it may spend in all, a decimal in its account's currency; "" = no limit of its own


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What an account had left there."""

    source: str
    account: str
    amount: str
    currency: str


@dataclass
class Plan:
    """`source` names the kind and stands in the block's marks: a second import replaces the first."""

    source: str
    providers: list[Table] = field(default_factory=list)
    offers: list[Table] = field(default_factory=list)
    tariffs: list[Table] = field(default_factory=list)
    accounts: list[Table] = field(default_factory=list)
    policies: list[Table] = field(default_factory=list)
    groups: list[Table] = field(default_factory=list)
    model_policies: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)  # provider -> its credential, in clear
    keys: list[KeyWish] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    report: list[Line] = field(default_factory=list)

    def say(self, state: State, path: str, what: str = "", why: str = "") -> None:
        self.report.append(Line(state, path, what, why))


def name_of(text: str, fallback: str = "imported") -> str:
    """A text as names are written here: small letters, digits, `.`, `_`, `-`."""
    name = _NAME.sub("-", text.strip().lower()).strip("-._")[:50]
    return name if name and name[0].isalnum() else f"{fallback}-{name}".strip("-")


def unique(name: str, taken: set[str]) -> str:
    """`name`, or name-2, name-3 ...; it is taken from now on."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found


def toml(plan: Plan, *, model_policies: bool = True) -> str:
    """The plan's tables as baseload.toml has them."""
    parts: list[str] = []
    for kind in ("providers", "offers", "tariffs", "accounts", "policies", "groups"):
        for table in getattr(plan, kind):
            parts += [f"[[{kind}]]", *(f"{_key(name)} = {_value(value)}" for name, value in table.items()), ""]
    if plan.model_policies and model_policies:
        parts += ["[model_policies]", *(f"{_key(name)} = {_value(to)}" for name, to in plan.model_policies.items()), ""]
    return "\n".join(parts)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return _text(str(value))
