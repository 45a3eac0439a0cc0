"""The endpoint `gemini_count` (countTokens): what is to be counted, and the reply.

In:     a body with `contents`, or with a whole `generateContentRequest`.
Out:    the canonical request to count, the patched body for a provider of this protocol, a body written for one, the
        reply both ways.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.ask import Ask, InvalidMember
from baseload.wire.body import close_body
from baseload.wire.canon.carry import Target, Written
from baseload.wire.canon.request import Request
from baseload.wire.gemini import request_in, request_out
from baseload.wire.gemini.ask import patch as patch_generate
from baseload.wire.gemini.ask import renamed
from baseload.wire.gemini.names import Members
from baseload.wire.raw import FAILED, NULL

GUARDED = ("model", "contents", "generateContentRequest", "generate_content_request")
"""Members that say what is counted."""

_WHOLE = ("generateContentRequest", "generate_content_request")
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Counted(msgspec.Struct, gc=False, rename="camel"):
    total_tokens: int = 0  # Google's JSON leaves a zero out
    cached_content_token_count: int = 0


_decode = msgspec.json.Decoder(_Counted).decode


def read_ask(members: Mapping[str, Raw], model: str) -> Ask:
    """What routing needs. A `Refusal` names what is missing."""
    if not any(name in members and members[name] != NULL for name in ("contents", *_WHOLE)):
        raise InvalidMember(
            "There is nothing to count: the body has neither contents nor generateContentRequest.",
            "Add contents.",
            code="missing_required_parameter",
            param="contents",
        )
    return Ask(model)


def read(members: Mapping[str, Raw], model: str = "") -> Request:
    """What is to be counted, in canonical form. Both forms at once are refused, as Google does."""
    body = Members(dict(members))
    whole = body.get("generateContentRequest")
    if whole is None:
        return request_in.read(members, model)
    if "contents" in body:
        raise InvalidMember(
            "The body has contents and generateContentRequest; one of them is counted.",
            "Remove contents.",
            param="contents",
        )
    return request_in.read(_object(whole, body.param("generateContentRequest")), model)


def patch(members: Mapping[str, Raw], ask: Ask, upstream_model: str, origin: str) -> bytes:
    """The body for an offer of this protocol: the model replaced wherever it stands, all else byte for byte."""
    patched = dict(members)
    for name in _WHOLE:
        raw = patched.get(name)
        if raw is None or raw == NULL:
            continue
        inner = _object(raw, name)
        inner.setdefault("model", Raw(_encode(f"models/{upstream_model}")))
        patched[name] = Raw(patch_generate(inner, ask, upstream_model, origin))
    if "model" in patched:
        patched["model"] = renamed(patched["model"], upstream_model)
    if "contents" in patched:
        return patch_generate(patched, ask, upstream_model, origin)
    return close_body(patched)


def write(request: Request, target: Target) -> Written:
    """A body for a provider of this protocol. Vertex takes the members flat, Google's own API in one more object."""
    written = request_out.write(request, target)
    if target.dialect == "vertex":
        return written
    model = _encode(f"models/{target.model}")
    body = b'{"generateContentRequest":{"model":' + model + b"," + written.body[1:] + b"}"
    return Written(body=body, dropped=written.dropped)


def reply(tokens: int, cached: int = 0) -> bytes:
    """The client's reply."""
    body = {"totalTokens": tokens}
    if cached:
        body["cachedContentTokenCount"] = cached
    return _encode(body)


def read_reply(body: bytes) -> int:
    """The tokens that a provider of this protocol counted."""
    try:
        found = _decode(body)
    except FAILED:
        raise ProviderFault("garbage", "the count is no JSON object with totalTokens", sent=True) from None
    if found.total_tokens < 0 or b'"error"' in body:
        raise ProviderFault("garbage", "the count is no number of tokens", sent=True)
    return found.total_tokens


def _object(raw: Raw, name: str) -> dict[str, Raw]:
    try:
        return _members(raw)
    except FAILED:
        raise InvalidMember(
            f"{name} must be an object.", f"Send an object as {name}.", code="invalid_type", param=name
        ) from None
