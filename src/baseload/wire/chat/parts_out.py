"""Canonical parts -> parts of a chat message's content, for one provider.

In:     text, media and opaque parts, their names in the client's words, the target, the losses.
Out:    objects of `content[]`; None where the part is lost (the loss says so, or refuses).
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.mime import mime_of
from baseload.wire.canon.request import AnyPart, Media, Opaque, Refused, Text

Members = dict[str, Any]

_FORMATS = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav"}
_WITHOUT_VIDEO = ("openai", "azure", "azure_deployments")  # their part types end at image, audio and file


def content_part(part: AnyPart, param: str, request_protocol: str, target: Target, loss: Loss) -> Members | Raw | None:
    """One part of user or assistant content."""
    made: Members | Raw | None = None
    if isinstance(part, Text):
        made = {"type": "text", "text": part.text}
        if part.citations:
            loss.lose("citations", param)
    elif isinstance(part, Media):
        made = _media(part, param, request_protocol, target, loss)
    elif isinstance(part, Refused):
        made = {"type": "refusal", "refusal": part.text}
    elif isinstance(part, Opaque):
        if part.protocol == "chat":
            return part.raw  # its cache mark, if any, is in it
        loss.lose("part", param, f"{param} is of the type {part.what!r}, which no other protocol has.")
    if isinstance(made, dict):
        mark(made, part.cache, param, target, loss)
    return made


def mark(made: Members, cache: str, param: str, target: Target, loss: Loss) -> None:
    """A cache mark, where the vendor takes them (pitfall 19): DashScope, MiniMax, Zhipu, OpenRouter."""
    if not cache:
        return
    if not target.cache_marks:
        loss.lose("cache", param)
        return
    control: Members = {"type": "ephemeral"}
    if cache == "1h":
        control["ttl"] = "1h"  # 5 minutes is the default everywhere
    made["cache_control"] = control


def _media(part: Media, param: str, request_protocol: str, target: Target, loss: Loss) -> Members | None:
    feature = f"media.{part.kind}"
    if feature in target.unsupported or (part.kind == "video" and target.dialect in _WITHOUT_VIDEO):
        loss.lose(feature, param)
        return None
    if part.kind == "image":
        return _image(part, param, target, loss)
    if part.kind == "video":
        return _linked("video_url", part, param, target, loss)
    if part.kind == "audio":
        if not part.data:
            loss.lose("media.url" if part.url else "media.audio", param)
            return None
        form = _FORMATS.get(part.mime, part.mime.partition("/")[2] or "wav")
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}
    return _document(part, param, request_protocol, loss)


def _image(part: Media, param: str, target: Target, loss: Loss) -> Members | None:
    made = _linked("image_url", part, param, target, loss)
    if made is not None and part.detail:
        if "detail" in target.unsupported:
            loss.lose("detail", f"{param}.image_url.detail")
        else:
            made["image_url"]["detail"] = part.detail
    return made


def _linked(member: str, part: Media, param: str, target: Target, loss: Loss) -> Members | None:
    """`image_url` and `video_url`: data as a data: URL (or bare, for Zhipu), or the URL itself."""
    if part.data:
        url = part.data if target.image_bare and part.kind == "image" else data_url(part)
    elif part.url:
        if not target.image_url:
            loss.lose("media.url", param)
            return None
        url = part.url
    else:
        loss.lose("media.file", param)
        return None
    return {"type": member, member: {"url": url}}


def _document(part: Media, param: str, request_protocol: str, loss: Loss) -> Members | None:
    if part.text:  # plain text needs no file
        return {"type": "text", "text": f"{part.name}\n\n{part.text}" if part.name else part.text}
    file: Members = {}
    if part.data:
        file = {"filename": part.name or "document.pdf", "file_data": data_url(part)}
    elif part.file and request_protocol == "chat":
        file = {"file_id": part.file}
    else:
        loss.lose("media.url" if part.url else "media.file", param)
        return None
    return {"type": "file", "file": file}


def data_url(part: Media) -> str:
    return f"data:{mime_of(part)};base64,{part.data}"
