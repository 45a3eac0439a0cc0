"""Which endpoint a request line means, in whose protocol, and what the path says beside it.

In:     path, query, method and the headers that tell overlapping routes apart.
Out:    `Route`, or None where the path is no model's (models, calls, health: `routes.py`).

Gemini has its model and whether to stream in the path. Its clients post to `/v1/models/{m}:method` as well as to
`/v1beta/...`, where OpenAI's clients read `/v1/models/{id}`: a colon with a known method behind it tells them apart.
A model's name may have slashes; google-genai sends them as they are, others percent-encoded.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

import msgspec

JSON, MULTIPART = b"application/json", b"multipart/form-data"

GENERATION = ("chat", "responses", "messages", "gemini")
"""Endpoints of clients whose calls can be translated into each other."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoint` names what is asked for, in journal, metrics and offers; `protocol` is how the caller speaks."""

    endpoint: str
    protocol: str
    content_type: bytes = JSON
    model: str = ""  # where the path names it
    stream: bool = False  # where the path says so
    array: bool = False  # gemini: a JSON array instead of SSE
    counts: bool = False  # asks how long a request is; nothing is generated
    batch: bool = False  # gemini_embed: batchEmbedContents
    explains: bool = False  # asks what dispatch would do; nothing is sent


PATHS: dict[bytes, Route] = {
    b"/v1/chat/completions": Route(endpoint="chat", protocol="chat"),
    b"/v1/completions": Route(endpoint="completions", protocol="completions"),
    b"/v1/embeddings": Route(endpoint="embeddings", protocol="embeddings"),
    b"/v1/responses": Route(endpoint="responses", protocol="responses"),
    b"/v1/responses/input_tokens": Route(endpoint="responses", protocol="responses", counts=True),
    b"/v1/messages": Route(endpoint="messages", protocol="messages"),
    b"/v1/messages/count_tokens": Route(endpoint="messages", protocol="messages", counts=True),
    b"/v1/rerank": Route(endpoint="rerank", protocol="chat"),
    b"/v1/images/generations": Route(endpoint="images", protocol="chat"),
    b"/v1/audio/speech": Route(endpoint="speech", protocol="chat"),
    b"/v1/audio/transcriptions": Route(endpoint="transcriptions", protocol="chat", content_type=MULTIPART),
}
EXPLAIN = b"/v1/dispatch/explain"
_GEMINI = re.compile(rb"/v1(?:beta|alpha|beta1)?/(?:models|tunedModels)/([^?]{1,300}):([a-zA-Z]{1,40})\Z")
METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")


def route_of(path: bytes, query: bytes) -> Route | None:
    """The route of a POST; None where no model is asked."""
    if path.startswith(EXPLAIN):
        found = route_of(path[len(EXPLAIN) :] or b"/v1/chat/completions", query)
        return msgspec.structs.replace(found, explains=True) if found is not None and not found.counts else None
    found = PATHS.get(path)
    if found is not None or not path.startswith(b"/v1"):
        return found
    match = _GEMINI.match(path)
    if match is None:
        return None
    method = match[2].decode()
    if method not in METHODS:
        return None
    model = unquote(match[1].decode("latin-1"))
    if method.endswith("EmbedContents") or method == "embedContent":
        return Route(endpoint="gemini_embed", protocol="gemini", model=model, batch=method != "embedContent")
    stream = method == "streamGenerateContent"
    sse = stream and parse_qs(query.decode("latin-1")).get("alt", [""])[-1] == "sse"
    return Route(
        endpoint="gemini",
        protocol="gemini",
        model=model,
        stream=stream,
        array=stream and not sse,
        counts=method == "countTokens",
    )


def unknown_method(path: bytes) -> str:
    """The method that a Gemini client asks of a model and nobody serves; "" where the path is none of the kind."""
    match = _GEMINI.match(path)
    return match[2].decode() if match is not None and match[2].decode() not in METHODS else ""


_TAILS = sorted((*(path[3:] for path in PATHS), b"/models"), key=len, reverse=True)  # without /v1, the longest first
_GEMINI_TAIL = re.compile(rb"/(?:models|tunedModels)/[^?]{1,300}:[a-zA-Z]{1,40}/*\Z")


def meant(path: bytes) -> str:
    """The route that a path ends with, where only what stands before it is wrong (a base URL); "" where none is.

    /v1/v1/messages, /chat/completions, //v1/responses and /anthropic/v1/messages/ all come of a base URL that has a
    part too many or too few.
    """
    path = re.sub(rb"/{2,}", b"/", path).rstrip(b"/")
    gemini = _GEMINI_TAIL.search(path)
    if gemini is not None:
        route = b"/v1beta" + gemini[0]
        return route.decode("latin-1") if route_of(route, b"") is not None else ""
    return next((f"/v1{tail.decode()}" for tail in _TAILS if path.endswith(tail)), "")


def protocol_of(path: bytes, low: bytes) -> str:
    """How a caller speaks who is on no route of a model: for errors and for lists of models."""
    if path.startswith((b"/v1beta", b"/v1alpha")) or b"\r\nx-goog-api-key:" in low:
        return "gemini"
    match = _GEMINI.match(path)
    if match is not None and match[2].decode() in METHODS:  # `GET /v1/models/llama3:latest` is OpenAI's
        return "gemini"
    if path.startswith(b"/v1/messages") or b"\r\nanthropic-version:" in low:
        return "messages"
    if path.startswith(b"/v1/responses"):
        return "responses"
    return "chat"
