"""The endpoint `gemini` (generateContent, streamGenerateContent): what a request asks, and the bytes that go upstream.

In:     the members of a request body; model and stream come from the URL. Out: `Ask`, the patched body, or a refusal
        that names the member at fault. Contents are not looked into, but for sealed signatures (`canon/signature.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import Ask, InvalidMember
from baseload.wire.body import close_body, open_object
from baseload.wire.canon import signature
from baseload.wire.gemini.names import Members
from baseload.wire.raw import FAILED, NULL

GUARDED = ("model", "contents", "generationConfig", "generation_config")
"""Members that decide what is held, and the one that is replaced. `contents` is where sealed signatures stand."""

_CONFIG = ("maxOutputTokens", "max_output_tokens", "candidateCount", "candidate_count")
_CONFIG_THOUGHT = ("thinkingConfig", "thinking_config")
_SIGNATURE = ("thoughtSignature", "thought_signature")

EXCUSE = "skip_thought_signature_validator"
"""What Google documents for a call that another model made: from Gemini 3 on a call without any signature is a 400.
Whoever sends it says that there is no signature."""
SKIP = Raw(f'"{EXCUSE}"'.encode())

_encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_str = msgspec.json.Decoder(str).decode
_GENERATION = re.compile(r"gemini-(\d+)")


def read_ask(members: Mapping[str, Raw], model: str, stream: bool) -> Ask:
    """Reads the members that decide route, hold and price. A `Refusal` names in `param` what is missing or wrong."""
    if not model:
        raise InvalidMember(
            "The URL names no model.",
            "POST to /v1beta/models/MODEL:generateContent.",
            code="missing_required_parameter",
            param="model",
        )
    raw = members.get("contents")
    if raw is None or raw == NULL:
        raise InvalidMember(
            "The request has no contents.", "Add contents.", code="missing_required_parameter", param="contents"
        )
    if memoryview(raw)[0] not in b"[{":  # one Content alone is taken by some of Google's own readers
        raise InvalidMember(
            "contents must be an array.", "Send an array as contents.", code="invalid_type", param="contents"
        )
    limit, n, thinking = 0, 1, None
    config = _config(members)
    if config is not None:
        limit = _count(config, "maxOutputTokens")
        n = _count(config, "candidateCount") or 1
        thought = config.object("thinkingConfig")
        if thought is not None:
            budget = thought.whole("thinkingBudget")
            if budget is not None:
                thinking = budget != 0
            elif thought.text("thinkingLevel"):
                thinking = True
    return Ask(model, stream, max_output=limit, n=n, thinking=thinking)


def patch(
    members: Mapping[str, Raw], ask: Ask, upstream_model: str, origin: str, lost: list[str] | None = None
) -> bytes:
    """The body for one offer. `members` are not changed; what is not named here leaves byte for byte.

    `model` (in the URL, rarely in the body too) is replaced where the body has it. Signatures that were sealed for
    `origin` are unsealed; another maker's are taken out of their part, and `lost` gets their names.
    """
    patched = dict(members)
    if "model" in patched:
        patched["model"] = renamed(patched["model"], upstream_model)
    for name in ("generationConfig", "generation_config"):
        raw = patched.get(name)
        if raw is not None and _said_twice(bytes(raw)):  # what we read is what goes out
            patched[name] = Raw(close_body(open_object(raw, name, (*_CONFIG, *_CONFIG_THOUGHT))))
    contents = patched.get("contents")
    if contents is not None and signature.MARK in bytes(contents):
        patched["contents"] = unsealed(contents, origin, lost, strict=needs_signatures(upstream_model))
    return close_body(patched)


def renamed(raw: Raw, upstream_model: str) -> Raw:
    """The upstream model in the form the client used: `models/NAME` or the bare name."""
    prefix = ""
    try:
        if _str(raw).startswith("models/"):
            prefix = "models/"
    except FAILED:
        pass
    return Raw(_encode(prefix + upstream_model))


def needs_signatures(model: str) -> bool:
    """Whether a model refuses a function call without a signature (Gemini 3 and later)."""
    found = _GENERATION.search(model)
    return found is not None and int(found[1][:4]) >= 3


def unsealed(contents: Raw, origin: str, lost: list[str] | None = None, *, strict: bool) -> Raw:
    """`contents` with sealed signatures given back to their maker; parts without one keep their bytes."""
    try:
        return _walk(contents, "contents", origin, strict, "contents", [] if lost is None else lost)
    except FAILED:
        raise InvalidMember(
            "contents cannot be read.", "Send an array of contents with parts.", code="invalid_type", param="contents"
        ) from None


def _walk(raw: Raw, what: str, origin: str, strict: bool, at: str, lost: list[str]) -> Raw:
    """`what` is where we are: "contents", then "parts". What is no array of objects is left to the provider."""
    if signature.MARK not in bytes(raw):
        return raw
    if memoryview(raw)[0] == 0x5B:
        return Raw(_encode([_walk(item, what, origin, strict, f"{at}.{n}", lost) for n, item in enumerate(_list(raw))]))
    if memoryview(raw)[0] != 0x7B:
        return raw
    members = _members(raw)
    if what == "contents":
        if "parts" in members:
            members["parts"] = _walk(members["parts"], "parts", origin, strict, f"{at}.parts", lost)
        return Raw(_encode(members))
    for name in _SIGNATURE:
        text = members.get(name)
        if text is None or memoryview(text)[0] != 0x22:
            continue
        sealed = signature.unseal(_str(text))
        if sealed is None:
            continue
        if sealed.origin == origin and not sealed.redacted:
            members[name] = Raw(_encode(sealed.signature))
            continue
        lost.append(f"{at}.{name}")
        if strict and ("functionCall" in members or "function_call" in members):
            members[name] = SKIP
        else:
            del members[name]
    return Raw(_encode(members))


def _config(members: Mapping[str, Raw]) -> Members | None:
    both = Members({name: members[name] for name in ("generationConfig", "generation_config") if name in members})
    raw = both.get("generationConfig")
    if raw is None:
        return None
    at = both.param("generationConfig")
    return Members(open_object(raw, at, (*_CONFIG, *_CONFIG_THOUGHT)), at)


def _count(config: Members, name: str) -> int:
    value = config.whole(name)
    if value is None:
        return 0
    if value < 1:
        param = config.param(name)
        raise InvalidMember(f"{param} is {value}; it must be at least 1.", "Raise it, or leave it out.", param=param)
    return value


def _said_twice(config: bytes) -> bool:
    """Whether a member that we read may stand twice in the object, or under an escaped name."""
    return b"\\u" in config or any(config.count(b'"' + name.encode() + b'"') > 1 for name in _CONFIG)
