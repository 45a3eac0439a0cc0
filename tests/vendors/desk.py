"""The reception: which endpoint a path is, whether the vendor serves it, and who answers. No sockets here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.vendors import keys
from tests.vendors.dialects import Dialect
from tests.vendors.failures import failure
from tests.vendors.faults import Fault
from tests.vendors.speak import chat, converse, gemini, messages, others, qwen, responses
from tests.vendors.visit import JSON, SSE, Made, Refused, State, Visit

Handler = Callable[[Visit], Made]

_GENERATE = "(?P<method>generateContent|streamGenerateContent)"
_RESPONSE = "/responses/(?P<id>[^/]+)"
ROUTES: tuple[tuple[str, str, str, Handler], ...] = (
    # method, path (any prefix), endpoint, who answers
    ("POST", "(/deployments/(?P<model>[^/]+))?/chat/completions", "chat", chat.serve),
    ("POST", "(/deployments/(?P<model>[^/]+))?/completions", "completions", chat.serve),
    ("POST", "(/deployments/(?P<model>[^/]+))?/embeddings", "embeddings", chat.serve),
    ("POST", "/responses/input_tokens", "responses", responses.count),
    ("POST", "/responses", "responses", responses.serve),
    ("GET", _RESPONSE, "responses", responses.kept),
    ("DELETE", _RESPONSE, "responses", responses.kept),
    ("POST", f"{_RESPONSE}/cancel", "responses", responses.kept),
    ("GET", f"{_RESPONSE}/input_items", "responses", responses.kept),
    ("POST", "/messages", "messages", messages.serve),
    ("POST", "/messages/count_tokens", "messages_count", messages.count),
    ("POST", f"/models/(?P<model>[^/:]+):{_GENERATE}", "gemini", gemini.serve),
    ("POST", "/models/(?P<model>[^/:]+):countTokens", "gemini_count", gemini.count),
    (
        "POST",
        "/models/(?P<model>[^/:]+):(?P<method>embedContent|batchEmbedContents|predict)",
        "gemini_embed",
        gemini.embed,
    ),
    ("POST", "/token", "token", keys.token),
    ("POST", "/model/(?P<model>[^/]+)/(?P<method>converse|converse-stream)", "converse", converse.serve),
    ("POST", "/model/(?P<model>[^/]+)/count-tokens", "converse_count", converse.count),
    ("POST", "/api/v1/services/aigc/(text|multimodal)-generation/generation", "qwen", qwen.serve),
    ("POST", "/api/v1/services/rerank/text-rerank/text-rerank", "rerank", others.rerank),
    ("POST", "/reranks?", "rerank", others.rerank),
    ("POST", "(/deployments/(?P<model>[^/]+))?/images/generations", "images", others.images),
    ("POST", "(/deployments/(?P<model>[^/]+))?/audio/speech", "speech", others.speech),
    ("POST", "(/deployments/(?P<model>[^/]+))?/audio/transcriptions", "transcriptions", others.transcriptions),
    ("GET", "/models", "models", others.models),
    ("GET", "/models/(?P<id>[^/:]+)", "models", others.models),
)
_ROUTES = [
    (method, re.compile(f"(?P<prefix>.*?){path}"), endpoint, handler) for method, path, endpoint, handler in ROUTES
]
_BODILESS = ("token", "transcriptions")


def find(dialect: Dialect, method: str, path: str) -> tuple[str, Handler, dict[str, str]] | None:
    """Endpoint, handler and names in the path (percent-decoded); None where the vendor serves no such path."""
    bare = path.partition("?")[0]
    for verb, pattern, endpoint, handler in _ROUTES:
        found = pattern.fullmatch(bare)
        if verb == method and found and endpoint in dialect.serves and _placed(dialect, endpoint, bare, path):
            return endpoint, handler, {name: unquote(value) for name, value in found.groupdict().items() if value}
    return None


def _placed(dialect: Dialect, endpoint: str, bare: str, path: str) -> bool:
    """Some doors are at one place only."""
    if endpoint.startswith("messages") and dialect.messages_path:
        return bare.removesuffix("/count_tokens") == dialect.messages_path
    if dialect.name == "vertex" and endpoint.startswith("gemini"):
        return re.search("/projects/[^/]+/locations/[^/]+/publishers/google/models/", bare) is not None
    if "/deployments/" in bare or dialect.name == "azure_deployments":
        return dialect.name.startswith("azure") and "/deployments/" in bare and "api-version=" in path
    if dialect.name == "bedrock":
        return bare.startswith("/model/")
    return True


def asked_fault(dialect: Dialect, method: str, path: str, body: bytes) -> str:
    """The fault that the request chose by its model's name."""
    found = find(dialect, method, path)
    model = (found[2].get("model") if found else "") or ""
    if not model:
        try:
            model = str(json.loads(body).get("model", ""))
        except (ValueError, AttributeError):
            return ""
    return model.removeprefix("fault-") if model.startswith("fault-") else ""


def answer(
    dialect: Dialect,
    state: State,
    fault: Fault,
    number: int,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
) -> Made:
    """The reply to a request, right or wrong as its fault says (the connection's faults are the server's)."""
    found = find(dialect, method, path)
    endpoint = found[0] if found else dialect.main
    if fault.failure and not (fault.failure == "filtered" and _filters_in_reply(dialect)):
        return _failed(failure(dialect.name, fault.failure, endpoint))
    if fault.body is not None:
        return Made(JSON, iter((fault.body,)), fault.status)
    if found is None:
        return _failed(failure(dialect.name, "not_found", endpoint))
    _, handler, names = found
    bare, _, query = path.partition("?")
    visit = Visit(
        dialect, state, fault, number, endpoint, method, unquote(bare), dict(parse_qsl(query)), headers, body, names
    )
    try:
        if method == "POST" and endpoint not in _BODILESS and (body or "id" not in names):
            visit.body = _object(body)
        made = handler(visit)
    except Refused as refused:
        return _failed(refused.failure)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as wrong:  # not the shape that is documented
        status, data, more = failure(dialect.name, "bad_request", endpoint)
        return Made(JSON, iter((data,)), status, (*more, ("x-simulator", f"{type(wrong).__name__} {wrong}"[:200])))
    return _spoiled(visit, made)


def _filters_in_reply(dialect: Dialect) -> bool:
    return dialect.name in ("anthropic", "gemini", "vertex", "bedrock")


def _failed(said: tuple[int, bytes, tuple[tuple[str, str], ...]]) -> Made:
    status, data, headers = said
    return Made(JSON, iter((data,)), status, headers)


def _object(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _spoiled(visit: Visit, made: Made) -> Made:
    """Other line ends, or broken JSON, where the fault wants them."""
    parts, fault = made.parts, visit.fault
    streamed = made.kind == SSE
    if fault.garbage_json:
        parts = _halved(parts, visit.beats + 2 if streamed else None, b"\n\n" if streamed else b"")
    if fault.crlf and streamed:
        parts = (part.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for part in parts)
    return Made(made.kind, parts, made.status, made.headers)


def _halved(parts: Iterator[bytes], only: int | None, end: bytes) -> Iterator[bytes]:
    for number, part in enumerate(parts):
        if (only is None and len(part) > 1) or number == only:
            yield part[: len(part) // 2] + end
        else:
            yield part
