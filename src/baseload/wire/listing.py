"""Lists of models in the three shapes that clients read (protocols.md, section 6). Pure.

In:     the models that a key may see, in the order they are shown, and the client's paging, as its query says it.
Out:    a JSON body in OpenAI's, Anthropic's or Gemini's shape; or a refusal that names the query's member at fault.
What is not known (a context length) is left out or null, never invented.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from baseload.wire.ask import InvalidMember

ANTHROPIC_PAGE, GEMINI_PAGE, PAGE_MAX = 20, 50, 1000

GENERATING = frozenset(("chat", "responses", "messages", "gemini", "converse", "qwen"))
"""Endpoints of an offer through which a client of any generation protocol is served, translated where they differ."""
EMBEDDING = frozenset(("embeddings", "gemini_embed"))

_encode = msgspec.json.Encoder().encode


class Listed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One model as a client may see it. 0 and "" = not known."""

    id: str
    created_s: int = 0
    owned_by: str = ""
    context_max: int = 0  # tokens
    output_max: int = 0  # tokens
    endpoints: tuple[str, ...] = ()


def openai_list(rows: Sequence[Listed]) -> bytes:
    """OpenAI's list has no pages."""
    return _encode({"object": "list", "data": [_openai(row) for row in rows]})


def openai_one(row: Listed) -> bytes:
    return _encode(_openai(row))


def anthropic_list(
    rows: Sequence[Listed], limit: int | str | None = None, after_id: str = "", before_id: str = ""
) -> bytes:
    """The models after one, before one, or from the first; `has_more` says whether that way there are others."""
    size = _size("limit", limit, ANTHROPIC_PAGE)
    if after_id and before_id:
        raise InvalidMember("after_id and before_id are both given.", "Send one of them.", param="before_id")
    if before_id:
        end = _place(rows, "before_id", before_id)
        page = rows[max(0, end - size) : end]
        more = end > size
    else:
        start = _place(rows, "after_id", after_id) + 1 if after_id else 0
        page = rows[start : start + size]
        more = len(rows) > start + size
    return _encode(
        {
            "data": [_anthropic(row) for row in page],
            "has_more": more,
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        }
    )


def anthropic_one(row: Listed) -> bytes:
    return _encode(_anthropic(row))


def gemini_list(rows: Sequence[Listed], page_size: int | str | None = None, page_token: str = "") -> bytes:
    """A page and, where more follow, the token of the next. Size 0 is the default, one too large the largest."""
    size = min(_size("pageSize", page_size, GEMINI_PAGE, zero=True, most=2**31), PAGE_MAX)
    start = _place(rows, "pageToken", _untoken(page_token)) + 1 if page_token else 0
    page = rows[start : start + size]
    body: dict[str, Any] = {"models": [_gemini(row) for row in page]}
    if len(rows) > start + size:
        body["nextPageToken"] = base64.urlsafe_b64encode(page[-1].id.encode()).decode()
    return _encode(body)


def gemini_one(row: Listed) -> bytes:
    return _encode(_gemini(row))


def _openai(row: Listed) -> dict[str, Any]:
    return {"id": row.id, "object": "model", "created": row.created_s, "owned_by": row.owned_by or "baseload"}


def _anthropic(row: Listed) -> dict[str, Any]:
    created = datetime.fromtimestamp(row.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": row.id,
        "type": "model",
        "display_name": row.id,
        "created_at": created,
        "lifecycle": "active",
        "max_input_tokens": row.context_max or None,
        "max_tokens": row.output_max or None,
    }


def _gemini(row: Listed) -> dict[str, Any]:
    model: dict[str, Any] = {"name": f"models/{row.id}", "displayName": row.id, "version": "001"}
    if row.context_max:
        model["inputTokenLimit"] = row.context_max
    if row.output_max:
        model["outputTokenLimit"] = row.output_max
    methods = []
    if GENERATING.intersection(row.endpoints):
        methods += ["generateContent", "streamGenerateContent", "countTokens"]
    if EMBEDDING.intersection(row.endpoints):
        methods += ["embedContent", "batchEmbedContents"]
    model["supportedGenerationMethods"] = methods
    return model


def _size(name: str, given: int | str | None, default: int, *, zero: bool = False, most: int = PAGE_MAX) -> int:
    if given is None or given == "":
        return default
    text = str(given)
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    if size == 0 and zero:
        return default
    if not 1 <= size <= most:
        raise InvalidMember(
            f"{name} must be a whole number from 1 to {PAGE_MAX}.", f"Leave it out for {default}.", param=name
        )
    return size


def _place(rows: Sequence[Listed], name: str, id_: str) -> int:
    for at, row in enumerate(rows):
        if row.id == id_:
            return at
    raise InvalidMember(
        f"{name} names no model of this list; it may have changed since.", f"Ask again without {name}.", param=name
    )


def _untoken(token: str) -> str:
    try:
        return base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        return ""  # no model has this name
