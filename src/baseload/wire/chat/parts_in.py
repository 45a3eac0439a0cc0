"""Parts of a chat message's content -> canonical parts.

In:     a raw `content` (string, null or parts), its name, and the lifetime that cache marks without one have.
Out:    parts in order. Of a type that nobody wrote down: `Opaque`, for the writer to name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote_to_bytes

from msgspec import Raw

from baseload.wire.canon.mime import by_ending
from baseload.wire.canon.request import AnyPart, Media, Opaque, Refused, Text, Thinking
from baseload.wire.chat.values import (
    BRACKET,
    QUOTE,
    array,
    first_byte,
    needed,
    object_,
    said,
    string,
    string_or,
    wrong,
)

MARK_TTL = "30m"
"""Lifetime of a `prompt_cache_breakpoint` that says none: OpenAI's default (protocols.md, 2.1)."""
CONTROL_TTL = "5m"
"""Lifetime of a `cache_control` that says none, wherever chat takes it (vendors.md, 3.1)."""

_DATA_URL = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_SOUNDS = {"mp3": "audio/mpeg", "wav": "audio/wav"}


def content_parts(raw: Raw | None, param: str, ttl: str) -> list[AnyPart]:
    """The parts of a content; none for null, one text for a string."""
    if raw is None:
        return []
    kind = first_byte(raw)
    if kind == QUOTE:
        return [Text(text=string(raw, param))]
    if kind != BRACKET:
        raise wrong(param, "a string or an array of parts")
    return [_part(part, f"{param}.{at}", ttl) for at, part in enumerate(array(raw, param))]


def cache_of(found: Mapping[str, Raw], param: str, ttl: str) -> str:
    """The lifetime of a cache mark on a part, message or tool; "" = there is none."""
    raw = said(found, "prompt_cache_breakpoint")
    if raw is not None:
        name = f"{param}.prompt_cache_breakpoint"
        return string_or(object_(raw, name), "ttl", f"{name}.ttl") or ttl
    raw = said(found, "cache_control")
    if raw is not None:
        name = f"{param}.cache_control"
        return string_or(object_(raw, name), "ttl", f"{name}.ttl") or CONTROL_TTL
    return ""


def media_of(kind: str, url: str, **more: str) -> Media:
    """A medium given as a data: URL, as a URL, or as bare base64 (Zhipu's images)."""
    found = _DATA_URL.match(url)
    if found:
        data = url[found.end() :]
        if "base64" not in found.group(2).lower():
            data = base64.b64encode(unquote_to_bytes(data)).decode()
        return Media(kind=kind, mime=found.group(1).lower(), data=data, **more)
    if ":" in url[:16]:
        return Media(kind=kind, url=url, **more)
    return Media(kind=kind, data=url, **more)


def _part(raw: Raw, param: str, ttl: str) -> AnyPart:
    if first_byte(raw) == QUOTE:  # some clients send strings among parts
        return Text(text=string(raw, param))
    found = object_(raw, param)
    what = string(needed(found, "type", f"{param}.type"), f"{param}.type")
    reader = _READERS.get(what)
    part = Opaque(protocol="chat", what=what, raw=raw) if reader is None else reader(found, param)
    part.cache = cache_of(found, param, ttl)
    return part


def _text(found: dict[str, Raw], param: str) -> AnyPart:
    return Text(text=string(needed(found, "text", f"{param}.text"), f"{param}.text"))


def _refusal(found: dict[str, Raw], param: str) -> AnyPart:
    return Refused(text=string(needed(found, "refusal", f"{param}.refusal"), f"{param}.refusal"))


def _linked(kind: str, member: str) -> Callable[[dict[str, Raw], str], AnyPart]:
    """`{type: "image_url", image_url: {url, detail}}`, or the URL itself; videos likewise (DashScope, Zhipu)."""

    def read(found: dict[str, Raw], param: str) -> AnyPart:
        param = f"{param}.{member}"
        raw = needed(found, member, param)
        if first_byte(raw) == QUOTE:
            return media_of(kind, string(raw, param))
        inner = object_(raw, param)
        url = string(needed(inner, "url", f"{param}.url"), f"{param}.url")
        return media_of(kind, url, detail=string_or(inner, "detail", f"{param}.detail"))

    return read


def _sound(found: dict[str, Raw], param: str) -> AnyPart:
    param = f"{param}.input_audio"
    inner = object_(needed(found, "input_audio", param), param)
    media = media_of("audio", string(needed(inner, "data", f"{param}.data"), f"{param}.data"))
    form = string_or(inner, "format", f"{param}.format")
    media.mime = media.mime or _SOUNDS.get(form, f"audio/{form}" if form else "")
    return media


def _file(found: dict[str, Raw], param: str) -> AnyPart:
    param = f"{param}.file"
    inner = object_(needed(found, "file", param), param)
    name = string_or(inner, "filename", f"{param}.filename")
    data = string_or(inner, "file_data", f"{param}.file_data")
    if data:
        media = media_of("document", data, name=name)
        media.mime = media.mime or by_ending(name)
        return media
    return Media(kind="document", file=string(needed(inner, "file_id", f"{param}.file_id"), param), name=name)


def _thinking(found: dict[str, Raw], param: str) -> AnyPart:
    """Mistral's thinking part: a string, or a list of text parts."""
    param = f"{param}.thinking"
    raw = needed(found, "thinking", param)
    if first_byte(raw) == QUOTE:
        return Thinking(text=string(raw, param))
    pieces = [string_or(object_(piece, param), "text", f"{param}.text") for piece in array(raw, param)]
    return Thinking(text="".join(pieces))


_READERS: dict[str, Callable[[dict[str, Raw], str], AnyPart]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _linked("image", "image_url"),
    "video_url": _linked("video", "video_url"),
    "input_audio": _sound,
    "file": _file,
    "thinking": _thinking,
}
