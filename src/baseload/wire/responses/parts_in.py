"""Content of input items -> canonical parts: texts, images, files, sounds, refusals.

In:     the raw content of a message or a tool's output, and what the client calls it.
Out:    parts. What nobody here knows becomes `Opaque`; what is broken is refused by name.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember
from baseload.wire.canon.mime import by_ending, usual
from baseload.wire.canon.request import AnyPart, Media, Opaque, Refused, Text
from baseload.wire.raw import ABSENT, FAILED

_STRING, _ARRAY, _NULL = 0x22, 0x5B, 0x6E
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?);base64,", re.IGNORECASE)
_AUDIO_MIME = {"mp3": "audio/mpeg"}
_BREAK_TTL = "30m"  # of a cache breakpoint that names none: OpenAI's only lifetime for long


class _Break(msgspec.Struct, gc=False):
    ttl: str | None = None


class _Audio(msgspec.Struct, gc=False):
    data: str = ""
    format: str = ""


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: _Audio | None = None
    prompt_cache_breakpoint: _Break | None = None


_decode_part = msgspec.json.Decoder(_Part).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode


def read_content(raw: Raw, where: str) -> list[AnyPart]:
    """A string or a list of parts."""
    first = memoryview(raw)[0] if raw is not ABSENT else _NULL
    try:
        if first == _STRING:
            return [Text(text=_decode_str(raw))]
        if first == _ARRAY:
            return [_part(part, f"{where}[{at}]") for at, part in enumerate(_decode_list(raw))]
    except FAILED:
        raise broken(where) from None
    if first == _NULL:
        return []
    raise InvalidMember(f"{where} must be a string or a list of parts.", "Send one of them.", param=where)


def broken(where: str) -> InvalidMember:
    return InvalidMember(
        f"{where} has a value that cannot be read.", "Compare it with the Responses reference.", param=where
    )


def _part(raw: Raw, where: str) -> AnyPart:
    try:
        part = _decode_part(raw)
    except FAILED:
        raise broken(where) from None
    cache = ""
    if part.prompt_cache_breakpoint is not None:
        cache = part.prompt_cache_breakpoint.ttl or _BREAK_TTL
    kind = part.type
    if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
        if part.text is None:
            raise broken(where + ".text")
        cited = tuple(part.annotations or ())
        return Text(text=part.text, citations=cited, citations_of="responses" if cited else "", cache=cache)
    if kind == "refusal":
        return Refused(text=part.refusal or "", cache=cache)
    if kind == "input_image":
        return _image(part, where, cache)
    if kind == "input_file":
        return _file(part, where, cache)
    if kind == "input_audio" and part.input_audio is not None:
        audio = part.input_audio
        mime = _AUDIO_MIME.get(audio.format, f"audio/{audio.format}" if audio.format else "")
        return Media(kind="audio", mime=mime, data=audio.data, cache=cache)
    return Opaque(protocol="responses", what=kind or "part", raw=raw, cache=cache)


def _image(part: _Part, where: str, cache: str) -> Media:
    detail = part.detail or ""
    if part.image_url:
        mime, data, url = split_data_url(part.image_url)
        return Media(kind="image", mime=mime, data=data, url=url, detail=detail, cache=cache)
    if part.file_id:
        return Media(kind="image", file=part.file_id, detail=detail, cache=cache)
    raise InvalidMember(f"{where} has neither image_url nor file_id.", "Add one of them.", param=where)


def _file(part: _Part, where: str, cache: str) -> Media:
    name = part.filename or ""
    guessed = by_ending(name) or usual("document")
    if part.file_data:
        mime, data, rest = split_data_url(part.file_data)
        return Media(kind="document", mime=mime or guessed, data=data or rest, name=name, cache=cache)
    if part.file_url:
        return Media(kind="document", url=part.file_url, name=name, cache=cache)
    if part.file_id:
        return Media(kind="document", file=part.file_id, name=name, cache=cache)
    raise InvalidMember(f"{where} has no file_data, file_url or file_id.", "Add one of them.", param=where)


def split_data_url(url: str) -> tuple[str, str, str]:
    """(type, base64 data, "") of a data URL, ("", "", url) of any other."""
    found = _DATA_URL.match(url, 0, 1024)
    if found is None:
        return "", "", url
    return found[1].lower(), url[found.end() :], ""
