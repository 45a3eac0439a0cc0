"""The endpoints `gemini_embed` and `gemini_embed_batch` (embedContent, batchEmbedContents), from and to OpenAI's.

Same protocol:      `read_ask`, `patch`.
Gemini -> OpenAI:   `to_openai` (request), `reply_from_openai`.
OpenAI -> Gemini:   `from_openai` (request; always the batch form), `reply_to_openai`.

`outputDimensionality` is `dimensions`. `taskType` and `title` have no counterpart and are reported. OpenAI's Python
library asks for base64 by default: little-endian float32, which is made here. Usage is often absent.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.ask import Ask, InvalidMember
from baseload.wire.body import close_body
from baseload.wire.canon.carry import Loss, Target, Written
from baseload.wire.gemini.ask import renamed
from baseload.wire.gemini.names import Members, opened
from baseload.wire.raw import ABSENT, FAILED, NULL

GUARDED = ("model", "requests", "content")
BATCH_MAX = 2048
"""Texts in one request; OpenAI's own limit."""

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode
_decode_input = msgspec.json.Decoder(str | list[str]).decode
_decode_str = msgspec.json.Decoder(str).decode


class _Values(msgspec.Struct, gc=False):
    values: list[float] = []


class _GeminiReply(msgspec.Struct, gc=False, rename="camel"):
    embedding: _Values | None = None
    embeddings: list[_Values] | None = None
    usage_metadata: Raw = ABSENT
    error: Raw = ABSENT


class _Datum(msgspec.Struct, gc=False):
    embedding: list[float] | str = ""
    index: int | None = None


class _OpenAiReply(msgspec.Struct, gc=False):
    data: list[_Datum]


_decode_gemini = msgspec.json.Decoder(_GeminiReply).decode
_decode_openai = msgspec.json.Decoder(_OpenAiReply).decode


def read_ask(members: Mapping[str, Raw], model: str, *, batch: bool) -> Ask:
    """What routing needs. A `Refusal` names what is missing."""
    name = "requests" if batch else "content"
    raw = members.get(name)
    if raw is None or raw == NULL:
        raise InvalidMember(
            f"The request has no {name}.", f"Add {name}.", code="missing_required_parameter", param=name
        )
    return Ask(model)


def patch(members: Mapping[str, Raw], upstream_model: str) -> bytes:
    """The body for an offer of this protocol: the model replaced wherever it stands, all else byte for byte."""
    patched = dict(members)
    if "model" in patched:
        patched["model"] = renamed(patched["model"], upstream_model)
    raw = patched.get("requests")
    if raw is not None and raw != NULL:
        requests = []
        for number, each in enumerate(_items(raw, "requests")):
            request = _object(each, f"requests.{number}")
            if "model" in request:
                request["model"] = renamed(request["model"], upstream_model)
            else:  # Google wants it in each
                request["model"] = Raw(_encode(f"models/{upstream_model}"))
            requests.append(request)
        patched["requests"] = Raw(_encode(requests))
    return close_body(patched)


def to_openai(members: Mapping[str, Raw], target: Target, *, batch: bool) -> Written:
    """OpenAI's request for a Gemini one. Dimensions that differ within a batch are refused: OpenAI has one."""
    loss = Loss(target)
    body = Members(dict(members))
    requests = body.objects("requests") if batch else [body]
    if not requests:
        raise InvalidMember("requests is empty.", "Send at least one.", param="requests")
    texts: list[str] = []
    sizes: set[int | None] = set()
    for request in requests:
        texts.append(_text(request))
        sizes.add(request.whole("outputDimensionality"))
        for name in request:
            if name not in ("model", "content", "outputDimensionality"):
                loss.lose("other", request.param(name))
    if len(sizes) > 1:
        raise InvalidMember(
            "The requests of the batch ask for different outputDimensionality.",
            "Ask for one, or send several batches.",
            param="requests",
        )
    written: dict[str, Any] = {"model": target.model, "input": texts, "encoding_format": "float"}
    size = sizes.pop()
    if size is not None:
        written["dimensions"] = size
    return Written(body=_encode(written), dropped=loss.dropped)


def reply_from_openai(body: bytes, *, batch: bool, meters: Mapping[str, int] | None = None) -> bytes:
    """The Gemini client's reply of OpenAI's. Raises `ProviderFault("garbage")`."""
    try:
        data = _decode_openai(body).data
        values = [_floats(datum.embedding) for datum in sorted(data, key=lambda each: each.index or 0)]
    except (*FAILED, binascii.Error, struct.error):
        raise ProviderFault("garbage", "the reply is no list of embeddings", sent=True) from None
    if not batch and len(values) != 1:
        raise ProviderFault("garbage", f"the reply has {len(values)} embeddings for one text", sent=True)
    reply: dict[str, Any] = (
        {"embeddings": [{"values": each} for each in values]} if batch else {"embedding": {"values": values[0]}}
    )
    if meters:
        reply["usageMetadata"] = {"promptTokenCount": sum(meters.values())}
    return _encode(reply)


def from_openai(members: Mapping[str, Raw], target: Target) -> Written:
    """The body of batchEmbedContents for OpenAI's request. Tokens instead of text are refused."""
    loss = Loss(target)
    try:
        found = _decode_input(members.get("input", ABSENT))
    except FAILED:
        raise InvalidMember(
            "input must be a string or an array of strings for this model.",
            "Send text instead of tokens.",
            param="input",
        ) from None
    texts = [found] if isinstance(found, str) else found
    if not texts:
        raise InvalidMember("input is empty.", "Send at least one text.", param="input")
    if len(texts) > BATCH_MAX:
        raise InvalidMember(f"input has {len(texts)} texts.", f"Send at most {BATCH_MAX}.", param="input")
    size = Members(dict(members)).whole("dimensions")
    for name, raw in members.items():
        if name == "user":
            loss.lose("user", name)
        elif name not in ("model", "input", "dimensions", "encoding_format") and raw != NULL:
            loss.lose("other", name)
    requests = []
    for text in texts:
        request: dict[str, Any] = {"model": f"models/{target.model}", "content": {"parts": [{"text": text}]}}
        if size is not None:
            request["outputDimensionality"] = size
        requests.append(request)
    return Written(body=_encode({"requests": requests}), dropped=loss.dropped)


def wants_base64(members: Mapping[str, Raw]) -> bool:
    """Whether an OpenAI client asked for base64; any other word than its two is refused."""
    raw = members.get("encoding_format")
    if raw is None or raw == NULL:
        return False
    try:
        word = _decode_str(raw)
    except FAILED:
        word = ""
    if word not in ("float", "base64"):
        raise InvalidMember("encoding_format must be float or base64.", "Send float.", param="encoding_format")
    return word == "base64"


def reply_to_openai(body: bytes, *, model: str, as_base64: bool, meters: Mapping[str, int] | None = None) -> bytes:
    """OpenAI's reply of Gemini's. `meters`: what was read or counted; without it the usage is 0, as OpenAI's types
    require the member. Raises `ProviderFault("garbage")`."""
    try:
        found = _decode_gemini(body)
    except FAILED:
        raise ProviderFault("garbage", "the reply is no JSON object with embeddings", sent=True) from None
    values = found.embeddings if found.embeddings is not None else [found.embedding] if found.embedding else None
    if values is None:
        raise ProviderFault("garbage", "the reply has no embeddings", sent=True)
    tokens = sum((meters or {}).values())
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(each.values) if as_base64 else each.values}
        for index, each in enumerate(values)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _encode({"object": "list", "data": data, "model": model, "usage": usage})


def usage_in(body: bytes) -> bytes:
    """The usage of a Gemini reply, for `normalise("gemini", ..., endpoint="embeddings")`; b"" where there is none."""
    try:
        raw = bytes(_decode_gemini(body).usage_metadata)
    except FAILED:
        return b""
    return raw if raw[:1] == b"{" else b""


def _packed(values: list[float]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    except (struct.error, OverflowError):
        raise ProviderFault("garbage", "an embedding has a value beyond float32", sent=True) from None


def _floats(embedding: list[float] | str) -> list[float]:
    if isinstance(embedding, list):
        return embedding
    data = base64.b64decode(embedding, validate=True)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def _text(request: Members) -> str:
    content = request.object("content")
    if content is None:
        param = request.param("content")
        raise InvalidMember(f"{param} is missing.", "Add a content with parts.", param=param)
    texts = []
    for part in content.objects("parts"):
        if "text" not in part:
            raise InvalidMember(
                f"{part.at} is no text; this model embeds text only.", "Send text, or ask another model.", param=part.at
            )
        texts.append(part.text("text"))
    return "\n".join(texts)


def _items(raw: Raw, name: str) -> list[Raw]:
    try:
        return _list(raw)
    except FAILED:
        raise InvalidMember(
            f"{name} must be an array.", f"Send an array as {name}.", code="invalid_type", param=name
        ) from None


def _object(raw: Raw, name: str) -> dict[str, Raw]:
    opened(raw, name)
    return _members(raw)
