"""`messages[]` of a chat request -> turns.

In:     the raw array. Out: turns in its order, and members of messages that nobody knows, under their whole names.
- `tool` messages that stand one after another are the results in one user turn; whatever stands between them stays
  where it was, as a turn of its own.
- Ids that are missing (old `function_call` and `function` messages have none) are made from the place in the
  conversation: the next request of the same conversation has the same ones, so that cached prefixes stay good.
- `is_error` on a tool message is ours: chat has no such flag, `request_out` says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from baseload.wire.ask import InvalidMember
from baseload.wire.canon import ids
from baseload.wire.canon.request import AnyPart, Media, Refused, Text, Thinking, ToolCall, ToolResult, Turn
from baseload.wire.chat.parts_in import cache_of, content_parts
from baseload.wire.chat.pieces import detail
from baseload.wire.chat.reasoning import place
from baseload.wire.chat.values import BRACE, array, boolean, first_byte, needed, object_, said, string, string_or
from baseload.wire.raw import NULL

_COMMON = frozenset(("role", "content", "name", "cache_control", "prompt_cache_breakpoint"))
_KNOWN: dict[str, frozenset[str]] = {
    "system": _COMMON,
    "developer": _COMMON,
    "user": _COMMON,
    "assistant": _COMMON
    | {
        "tool_calls",
        "function_call",
        "refusal",
        "audio",
        "annotations",
        "reasoning_content",
        "reasoning",
        "reasoning_details",
    },
    "tool": _COMMON | {"tool_call_id", "is_error"},
    "function": _COMMON,
}
_NOTHING = (NULL, Raw(b"[]"), Raw(b"{}"), Raw(b'""'))


def read_messages(raw: Raw, ttl: str) -> tuple[list[Turn], dict[str, Raw]]:
    """The turns, and unknown members by name (`messages.3.partial`)."""
    turns: list[Turn] = []
    others: dict[str, Raw] = {}
    functions: dict[str, str] = {}  # name -> id of the old-style call that waits for its result
    results: Turn | None = None
    for at, message in enumerate(array(raw, "messages")):
        param = f"messages.{at}"
        found = object_(message, param)
        role = string(needed(found, "role", f"{param}.role"), f"{param}.role")
        known = _KNOWN.get(role)
        if known is None:
            raise InvalidMember(
                f"{param}.role is {role[:40]!r}.", f"Use one of {', '.join(_KNOWN)}.", param=f"{param}.role"
            )
        if not found.keys() <= known:
            others |= {
                f"{param}.{name}": value for name, value in found.items() if name not in known and value not in _NOTHING
            }
        if role in ("tool", "function"):
            part = _result(found, param, ttl, functions if role == "function" else None)
            if results is None:
                results = Turn("user", [])
                turns.append(results)
            results.parts.append(part)
            continue
        results = None
        parts = _assistant(found, param, at, ttl, functions) if role == "assistant" else _said(found, param, ttl)
        turns.append(Turn(role, parts, string_or(found, "name", f"{param}.name")))
    return turns, others


def _said(found: Mapping[str, Raw], param: str, ttl: str) -> list[AnyPart]:
    parts = content_parts(said(found, "content"), f"{param}.content", ttl)
    if parts and not parts[-1].cache:
        parts[-1].cache = cache_of(found, param, ttl)
    return parts


def _result(found: Mapping[str, Raw], param: str, ttl: str, functions: dict[str, str] | None) -> ToolResult:
    content: list[Text | Media] = []
    cache = cache_of(found, param, ttl)
    for at, part in enumerate(content_parts(said(found, "content"), f"{param}.content", ttl)):
        if not isinstance(part, Text | Media):
            name = f"{param}.content.{at}"
            raise InvalidMember(f"{name} cannot stand in a tool's result.", "Send text, or images.", param=name)
        cache = part.cache or cache
        part.cache = ""
        content.append(part)
    name = string_or(found, "name", f"{param}.name")
    if functions is None:
        id_ = string(needed(found, "tool_call_id", f"{param}.tool_call_id"), f"{param}.tool_call_id")
        if not id_:
            raise InvalidMember(
                f"{param}.tool_call_id is empty.", "Send the id of the call.", param=f"{param}.tool_call_id"
            )
    else:
        id_ = functions.pop(name, "") or f"call_{param.replace('.', '_')}"
    raw = said(found, "is_error")
    is_error = raw is not None and boolean(raw, f"{param}.is_error")
    return ToolResult(id=ids.native(id_), content=content, name=name, is_error=is_error, cache=cache)


def _assistant(found: Mapping[str, Raw], param: str, at: int, ttl: str, functions: dict[str, str]) -> list[AnyPart]:
    parts = content_parts(said(found, "content"), f"{param}.content", ttl)
    if len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].text:
        parts = []  # content "" beside tool calls is no text
    _cite(found, parts, param)
    refusal = string_or(found, "refusal", f"{param}.refusal")
    if refusal:
        parts.append(Refused(text=refusal))
    audio = said(found, "audio")
    if audio is not None:  # an earlier spoken reply, by its id at its provider
        parts.append(Media(kind="audio", file=string_or(object_(audio, f"{param}.audio"), "id", f"{param}.audio.id")))
    calls = _calls(found, param, at, functions)
    last: list[AnyPart] = [*parts, *calls]
    if last and not last[-1].cache:
        last[-1].cache = cache_of(found, param, ttl)
    plain = string_or(found, "reasoning_content", f"{param}.reasoning_content") or string_or(
        found, "reasoning", f"{param}.reasoning"
    )
    raw = said(found, "reasoning_details")
    name = f"{param}.reasoning_details"
    details = [] if raw is None else [detail(object_(one, name)) for one in array(raw, name)]
    if any(isinstance(part, Thinking) for part in parts):
        plain = ""  # said within the content already
    if not plain and not details:
        return last
    return place(plain, details, parts, calls, ours=True)


def _cite(found: Mapping[str, Raw], parts: list[AnyPart], param: str) -> None:
    raw = said(found, "annotations")
    citations = () if raw is None else tuple(array(raw, f"{param}.annotations"))
    texts = [part for part in parts if isinstance(part, Text)]
    if citations and texts:
        texts[-1].citations, texts[-1].citations_of = citations, "chat"


def _calls(found: Mapping[str, Raw], param: str, at: int, functions: dict[str, str]) -> list[ToolCall]:
    calls: list[ToolCall] = []
    raw = said(found, "tool_calls")
    for place_, item in enumerate(() if raw is None else array(raw, f"{param}.tool_calls")):
        name = f"{param}.tool_calls.{place_}"
        members = object_(item, name)
        id_ = string_or(members, "id", f"{name}.id") or f"call_{at}_{place_}"
        kind = string_or(members, "type", f"{name}.type") or "function"
        inner_name = f"{name}.{'custom' if kind == 'custom' else 'function'}"
        inner = object_(needed(members, inner_name.rpartition(".")[2], inner_name), inner_name)
        call = ToolCall(
            id=ids.native(id_),
            name=string(needed(inner, "name", f"{inner_name}.name"), f"{inner_name}.name"),
            arguments=_arguments(inner, "input" if kind == "custom" else "arguments", inner_name),
            kind="custom" if kind == "custom" else "function",
            cache=cache_of(members, name, "5m"),
        )
        calls.append(call)
    raw = said(found, "function_call")
    if raw is not None:
        inner = object_(raw, f"{param}.function_call")
        name = string(needed(inner, "name", f"{param}.function_call.name"), f"{param}.function_call.name")
        functions[name] = id_ = f"call_{at}_f"
        calls.append(ToolCall(id=id_, name=name, arguments=_arguments(inner, "arguments", f"{param}.function_call")))
    return calls


def _arguments(found: Mapping[str, Raw], member: str, param: str) -> str:
    """Arguments as the text that came; an object in their place (some clients) as its own JSON."""
    raw = said(found, member)
    if raw is None:
        return ""
    if first_byte(raw) == BRACE:
        return bytes(raw).decode()
    return string(raw, f"{param}.{member}")
