"""What a medium is: its MIME type under the name that every provider knows.

In:     a `Media`. Out: its type as it was said, else by the first bytes of its data, by the ending of its address or
        name, or the usual one of its kind.
"""

from __future__ import annotations

from baseload.wire.canon.request import Media

_NAMES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
"""Names that are no names: Anthropic and Google refuse them, and many clients send them."""
_BEGINNINGS = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
    ("SUQz", "audio/mpeg"),
)
"""How the base64 of a file of each type begins."""
_ENDINGS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}
_USUAL = {"image": "image/png", "document": "application/pdf", "audio": "audio/wav", "video": "video/mp4"}


def mime_of(part: Media) -> str:
    """The type of a medium; never empty."""
    said = part.mime.strip().lower()
    return _NAMES.get(said, part.mime) or sniffed(part.data) or by_ending(part.url or part.name) or usual(part.kind)


def sniffed(data: str) -> str:
    """The type of base64 data by how it begins; "" where that says nothing."""
    return next((mime for begin, mime in _BEGINNINGS if data.startswith(begin)), "")


def by_ending(address: str) -> str:
    """The type of a file by the ending of its URL or name; "" where that says nothing."""
    path = address.partition("?")[0].partition("#")[0]
    return _ENDINGS.get(path.rpartition(".")[2].lower(), "")


def usual(kind: str) -> str:
    """The most usual type of a kind of media."""
    return _USUAL.get(kind, "application/octet-stream")
