"""What a request shows that the model must be able to do: names of `dispatch.policy.CAPABILITIES`. Pure.

In:     a client's endpoint, raw members. Out: a set of names.

Told by markers in the raw bytes of the members where they can stand. A quote inside a JSON text is escaped there, so a
client's words about `"image_url"` are not one. Asked only for models of which an offer says what it can do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from baseload.wire.ask import OFF
from baseload.wire.raw import NULL

_EMPTY = re.compile(rb"\s*[\[{]\s*[\]}]\s*")

# member -> (marker, what it needs); a marker of b"" = the member itself, when it is neither null, false nor empty
_MARKERS: dict[str, dict[str, tuple[tuple[bytes, str], ...]]] = {
    "chat": {
        "tools": ((b"", "tools"),),
        "functions": ((b"", "tools"),),
        "messages": (
            (b'"image_url"', "vision"), (b'"input_audio"', "audio"), (b'"video_url"', "video"),
            (b'"file"', "documents"),
        ),
        "response_format": ((b'"json_schema"', "schema"), (b'"json_object"', "json")),
        "logprobs": ((b"", "logprobs"),),
        "web_search_options": ((b"", "search"),),
    },
    "responses": {
        "tools": ((b'"function"', "tools"), (b'"custom"', "tools"), (b'"web_search', "search")),
        "input": ((b'"input_image"', "vision"), (b'"input_file"', "documents"), (b'"input_audio"', "audio")),
        "text": ((b'"json_schema"', "schema"), (b'"json_object"', "json")),
        "top_logprobs": ((b"", "logprobs"),),
    },
    "messages": {
        "tools": ((b'"input_schema"', "tools"), (b'"web_search', "search")),
        "messages": ((b'"image"', "vision"), (b'"document"', "documents")),
        "output_config": ((b'"json_schema"', "schema"),),
        "output_format": ((b'"json_schema"', "schema"),),
    },
    "gemini": {
        "tools": (
            (b'"functionDeclarations"', "tools"), (b'"function_declarations"', "tools"), (b'"googleSearch', "search"),
            (b'"google_search', "search"),
        ),
        "contents": (
            (b'"image/', "vision"), (b'"audio/', "audio"), (b'"video/', "video"), (b'"application/pdf"', "documents"),
        ),
        "generationConfig": (
            (b'"responseSchema"', "schema"), (b'"responseJsonSchema"', "schema"), (b'"application/json"', "json"),
            (b'"responseLogprobs"', "logprobs"),
        ),
        "generation_config": (
            (b'"response_schema"', "schema"), (b'"response_json_schema"', "schema"), (b'"application/json"', "json"),
            (b'"response_logprobs"', "logprobs"),
        ),
    },
}  # fmt: skip


def needs_of(endpoint: str, members: Any, thinking: bool | None) -> frozenset[str]:
    """`thinking`: True where the request asks the model to think."""
    found: set[str] = {"thinking"} if thinking else set()
    known: Mapping[str, tuple[tuple[bytes, str], ...]] = _MARKERS.get(endpoint, {})
    for name, markers in known.items() if type(members) is dict else ():
        raw: Raw | None = members.get(name)
        if raw is None or raw == NULL or raw in OFF:
            continue
        text = bytes(raw)
        if _EMPTY.fullmatch(text):
            continue
        found.update(need for marker, need in markers if marker in text)
    return frozenset(found)
