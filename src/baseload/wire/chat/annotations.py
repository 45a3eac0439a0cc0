"""Citations of any protocol -> chat's `url_citation` annotations; those without a URL have no place there.

In:     a citation as its protocol sent it, and which span of the content it belongs to. Out: an annotation, or None.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from baseload.wire.chat import loose

_URLS = ("url", "uri")
_STARTS = ("start_index", "startIndex")
_ENDS = ("end_index", "endIndex")


def annotation_of(protocol: str, raw: Raw, start: int, end: int) -> dict[str, Any] | None:
    """chat's own go as they came. Others: Responses has the members flat, Anthropic's web results have no indices (the
    cited block is the span: `start` to `end`), Gemini says `uri`, at the top or within `web`."""
    found = loose.members(raw)
    if protocol == "chat":
        return dict(found) or None
    inner = found if any(name in found for name in _URLS) else loose.members(found.get("web"))
    url = next((text for name in _URLS if (text := loose.text(inner.get(name)))), "")
    if not url:
        return None
    first, last = _index(found, _STARTS), _index(found, _ENDS)
    citation = {
        "url": url,
        "title": loose.text(inner.get("title")),
        "start_index": start if first is None else first,
        "end_index": end if last is None else last,
    }
    return {"type": "url_citation", "url_citation": citation}


def _index(found: dict[str, Raw], names: tuple[str, ...]) -> int | None:
    return next((number for name in names if (number := loose.number(found.get(name))) is not None), None)
