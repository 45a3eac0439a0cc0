"""What the bodies of these endpoints have in common: the model's name, an error in a 200 reply."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import InvalidMember
from baseload.wire.body import close_body, raw_value
from baseload.wire.metering import Facts
from baseload.wire.raw import ABSENT, FAILED

_FALSY = (b"", b"null", b"false", b'""', b"{}", b"[]", b"0")
_NO_CODE = (b"", b"null", b"0", b'""', b'"0"', b"200", b'"200"', b"20000")

_decode_str = msgspec.json.Decoder(str).decode


class Body(msgspec.Struct, gc=False):
    """The members of a reply that any of the endpoints reads; the others are skipped."""

    id: Raw = ABSENT
    request_id: Raw = ABSENT
    model: Raw = ABSENT
    usage: Raw = ABSENT
    meta: Raw = ABSENT
    duration: Raw = ABSENT
    text: Raw = ABSENT
    results: Raw = ABSENT
    data: Raw = ABSENT
    images: Raw = ABSENT
    output: Raw = ABSENT
    error: Raw = ABSENT
    code: Raw = ABSENT
    message: Raw = ABSENT
    base_resp: Raw = ABSENT


class _BaseResp(msgspec.Struct, gc=False):
    status_code: int = 0


decode_body = msgspec.json.Decoder(Body).decode
_decode_base_resp = msgspec.json.Decoder(_BaseResp).decode


def begin(body: bytes) -> tuple[Facts, Body] | None:
    """The facts that every reply has, and its members; None where it is no JSON object."""
    try:
        found = decode_body(body)
    except FAILED:
        return None
    usage = bytes(found.usage)
    if usage[:1] != b"{":
        usage = b""
    facts = Facts(
        usage=usage,
        usages=[usage] if usage else [],
        model=string(found.model),
        id=string(found.id) or string(found.request_id),
        error=error_in(found, body),
    )
    return facts, found


def error_in(found: Body, body: bytes) -> bytes:
    """The error in a reply with status 200, b"" = none: `error`, a `base_resp`, or a flat object (protocols.md 8)."""
    if bytes(found.error) not in _FALSY:
        return bytes(found.error)
    if found.base_resp is not ABSENT:
        try:
            if _decode_base_resp(found.base_resp).status_code:
                return bytes(found.base_resp)
        except FAILED:
            pass
    shown = (found.results, found.data, found.images, found.output, found.text)
    if (
        bytes(found.message) not in (b"", b"null", b'""')
        and bytes(found.code) not in _NO_CODE
        and all(bytes(raw) in _FALSY for raw in shown)
    ):
        return body.strip()
    return b""


def string(raw: Raw) -> str:
    """The string in a JSON value; "" where it is none."""
    if raw is ABSENT:
        return ""
    try:
        return _decode_str(raw)
    except FAILED:
        return ""


def model_of(members: Mapping[str, Raw]) -> str:
    """The model that a request names; a refusal where it names none."""
    raw = members.get("model")
    if raw is None:
        raise InvalidMember(
            "The request names no model.", "Add model.", code="missing_required_parameter", param="model"
        )
    name = string(raw)
    if not name:
        raise InvalidMember(
            "model must be a string and not empty.", "Send a model's name.", code="invalid_type", param="model"
        )
    return name


def required(members: Mapping[str, Raw], name: str, first: bytes, kind: str) -> Raw:
    """A member that must be there and begin with one of the characters `first`, as `kind` does."""
    raw = members.get(name)
    if raw is None:
        raise InvalidMember(
            f"The request has no {name}.", f"Add {name}.", code="missing_required_parameter", param=name
        )
    if memoryview(raw)[0] not in first:
        raise InvalidMember(f"{name} must be {kind}.", f"Send {kind} as {name}.", code="invalid_type", param=name)
    return raw


def with_model(members: Mapping[str, Raw], upstream_model: str) -> bytes:
    """The body with another model's name; every other value as it came."""
    return close_body({**members, "model": raw_value(upstream_model)})
