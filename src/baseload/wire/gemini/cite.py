"""Citations of web pages: any protocol's -> Google's `{"uri","title","startIndex","endIndex"}`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from baseload.wire.raw import FAILED


class _Cited(msgspec.Struct, gc=False):
    """What the protocols call the same: OpenAI's url_citation (flat, or nested in chat), Anthropic's web locations."""

    url: str | None = None
    source: str | None = None
    title: str | None = None
    document_title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class _Nested(msgspec.Struct, gc=False):
    url_citation: _Cited | None = None


_decode = msgspec.json.Decoder(_Cited).decode
_decode_nested = msgspec.json.Decoder(_Nested).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


def citation(protocol: str, raw: Raw) -> dict[str, Any] | None:
    """One citation; None where it names no page (a place in a document that the client sent)."""
    try:
        if protocol == "gemini":
            return _decode_any(raw)
        found = _decode_nested(raw).url_citation or _decode(raw)
    except FAILED:
        return None
    uri = found.url or found.source
    if not uri:
        return None
    cited: dict[str, Any] = {"uri": uri}
    for name, value in (
        ("title", found.title or found.document_title),
        ("startIndex", found.start_index),
        ("endIndex", found.end_index),
    ):
        if value is not None:
            cited[name] = value
    return cited
