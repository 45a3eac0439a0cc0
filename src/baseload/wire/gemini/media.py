"""Media between the canonical form and Google's `inlineData` and `fileData`.

Google's JSON takes base64 in both alphabets, with and without padding, and its own Python library sends the URL-safe
one; everybody else takes the standard alphabet only. What leaves this file is standard.
"""

from __future__ import annotations

import base64
import binascii

from baseload.wire.canon.mime import by_ending, sniffed
from baseload.wire.canon.request import Media

_STANDARD = str.maketrans("-_", "+/", "\r\n")
_KINDS = ("image", "audio", "video")
_VIDEO_SITES = ("https://www.youtube.com/", "https://youtu.be/", "https://youtube.com/")
_OWN_FILES = ("gs://", "files/", "https://generativelanguage.googleapis.com/")


def standard(data: str) -> str:
    """Base64 in the standard alphabet, padded; anything else is left to its reader."""
    text = data.translate(_STANDARD)
    return text if len(text) % 4 == 0 else text + "=" * (-len(text) % 4)


def is_base64(text: str) -> bool:
    """Whether it is base64 that Google's clients can decode."""
    try:
        base64.b64decode(standard(text), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def kind_of(mime: str) -> str:
    first = mime.partition("/")[0].lower()
    return first if first in _KINDS else "document"


def of_data(data: str, mime: str, name: str = "") -> Media:
    """`inlineData` in canonical form."""
    data = standard(data)
    mime = mime or sniffed(data)
    return Media(kind=kind_of(mime), mime=mime, data=data, name=name)


def of_uri(uri: str, mime: str, name: str = "") -> Media:
    """`fileData` in canonical form: a file at Google belongs to one account, any other address is a URL."""
    if not mime:
        mime = "video/mp4" if uri.startswith(_VIDEO_SITES) else by_ending(uri)
    kind = kind_of(mime) if mime else "image"
    if uri.startswith(_OWN_FILES) or "://" not in uri:
        return Media(kind=kind, mime=mime, file=uri, name=name)
    return Media(kind=kind, mime=mime, url=uri, name=name)


def split_data_url(url: str) -> tuple[str, str] | None:
    """MIME type and base64 of a `data:` URL; None where it is none, or not base64."""
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:" or not head.endswith(";base64"):
        return None
    return head[5:].partition(";")[0], data
