"""Images, documents, sounds and videos as Converse takes them: a format word, and bytes in base64 or a place in S3.

In:     a `Media` part. Out: its block, or a refusal through `Loss`: no other URL is taken, and the gateway fetches
        nothing for a client (protocols.md, pitfall 9).
Format words are those of the service model of botocore (bedrock-runtime).
"""

from __future__ import annotations

import base64
import re
from typing import Any

from baseload.wire.canon.carry import Loss
from baseload.wire.canon.mime import by_ending, sniffed
from baseload.wire.canon.request import Media

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    _OFFICE + "wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    _OFFICE + "spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_VIDEOS = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_AUDIOS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp4": "mp4",
    "audio/ogg": "ogg",
    "audio/x-m4a": "m4a",
    "audio/pcm": "pcm",
    "audio/webm": "webm",
}
_FORMATS = {"image": _IMAGES, "document": _DOCUMENTS, "video": _VIDEOS, "audio": _AUDIOS}

_ILLEGAL = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+")
_SPACES = re.compile(r"\s+")
NAME_MAX = 200


class Names:
    """Legal names of documents, each once in a request: letters, digits, single spaces, hyphens and brackets."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def take(self, wanted: str, format_: str) -> str:
        stem = wanted[: -len(format_) - 1] if wanted.lower().endswith("." + format_) else wanted
        name = _SPACES.sub(" ", _ILLEGAL.sub("-", stem)).strip(" -")[: NAME_MAX - 10].rstrip() or "document"
        number = self._used[name] = self._used.get(name, 0) + 1
        return name if number == 1 else self.take(f"{name} ({number})", "")


def block(part: Media, param: str, names: Names, loss: Loss) -> dict[str, Any] | None:
    """The part's block; None where it was lost."""
    if part.file:
        loss.lose("media.file", param)
        return None
    kind = part.kind if part.kind in _FORMATS else "document"
    if part.detail not in ("", "auto"):
        loss.lose("detail", param)
    source: dict[str, Any]
    data = part.data
    if part.url.startswith("s3://"):
        source = {"s3Location": {"uri": part.url}}
    elif part.url:
        loss.lose("media.url", param)
        return None
    else:
        if not data and kind == "document":
            data = base64.b64encode(part.text.encode()).decode()
        source = {"bytes": data}
    format_ = _format(part, kind, data)
    if not format_ or not (data or part.url):
        said = f"is of the type {part.mime!r}" if part.mime else "does not say its type"
        why = f"{param} {said}; the chosen provider takes {', '.join(dict.fromkeys(_FORMATS[kind].values()))}."
        loss.lose("media." + kind, param, why)
        return None
    described: dict[str, Any] = {"format": format_, "source": source}
    if kind == "document":
        described = {"format": format_, "name": names.take(part.name, format_), "source": source}
    return {kind: described}


def _format(part: Media, kind: str, data: str) -> str:
    mime = part.mime.partition(";")[0].strip().lower()
    if kind == "document" and not part.data and not part.url:
        return _DOCUMENTS.get(mime, "txt")
    if mime in _FORMATS[kind]:
        return _FORMATS[kind][mime]
    if mime and mime != "application/octet-stream":
        return ""
    address = part.url or part.name
    ending = address.rpartition(".")[2].lower()
    by_name = _FORMATS[kind].get(by_ending(address)) or (ending if ending in _FORMATS[kind].values() else "")
    return _FORMATS[kind].get(sniffed(data)) or by_name
